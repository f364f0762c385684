"""The bytes of test cases, as they are written in Markdown."""

from __future__ import annotations

import re

ESCAPE = re.compile(r"\\(?:x(..)|\{(\d+)\*([^}]*)\}|(.))", re.DOTALL)
PLAIN = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\"}


def unescape(text: str) -> bytes:
    """What the README of `http1/cases` says: `\\r`, `\\x80`, `\\{1000*a}`."""
    data, position = b"", 0
    for match in ESCAPE.finditer(text):
        data += text[position : match.start()].encode()
        position = match.end()
        hexadecimal, count, repeated, letter = match.groups()
        if hexadecimal is not None:
            data += bytes([int(hexadecimal, 16)])
        elif count is not None:
            data += unescape(repeated) * int(count)
        else:
            data += PLAIN[letter]
    return data + text[position:].encode()
