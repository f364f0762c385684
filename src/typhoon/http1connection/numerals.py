"""The numbers and lists that frame a message, as HTTP writes them and no more leniently."""

import re

from typhoon.httputil import HTTPHeaders, HTTPInputError

CR_OR_LF_RE = re.compile(rb"[\r\n]")
"""What must not stand in the head of a message but at the ends of its lines."""

DIGITS = re.compile(r"[0-9]+")
"""A decimal number (RFC 9110 §8.6): `int` takes signs, spaces and underscores, too."""

HEXDIGITS = re.compile(r"[0-9a-fA-F]+")
"""A hexadecimal number (RFC 9112 §7.1)."""


def parse_int(s: str) -> int:
    """The value of a decimal number. `ValueError` if it has anything but digits in it.

    >>> parse_int("10")
    10
    """
    if DIGITS.fullmatch(s) is None:
        raise ValueError(f"not a decimal number: {s!r}")
    return int(s)


def parse_hex_int(s: str) -> int:
    """The value of a hexadecimal number. `ValueError` if it has anything but digits in it.

    >>> parse_hex_int("fF")
    255
    """
    if HEXDIGITS.fullmatch(s) is None:
        raise ValueError(f"not a hexadecimal number: {s!r}")
    return int(s, 16)


def is_transfer_encoding_chunked(headers: HTTPHeaders) -> bool:
    """Whether these headers say that the body comes in chunks.

    `HTTPInputError` for any other transfer coding, and for a Content-Length beside it: a proxy
    might find another end of the message there (RFC 9112 §6.1).
    """
    coding = headers.get("Transfer-Encoding")
    if coding is None:
        return False
    if "Content-Length" in headers:
        raise HTTPInputError("Message with both Transfer-Encoding and Content-Length")
    if coding.lower() != "chunked":
        raise HTTPInputError(f"Unsupported Transfer-Encoding {coding}")
    return True
