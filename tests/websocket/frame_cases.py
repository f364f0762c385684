"""Reads `cases/`: the frames of a peer, and what comes of them."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peers import mask

from escapes import unescape

CASES = Path(__file__).parent / "cases"
OPCODES = {"continuation": 0, "text": 1, "binary": 2, "close": 8, "ping": 9, "pong": 10}

Event = tuple[Any, ...]


def frame(line: str, from_client: bool) -> bytes:
    """The bytes of a line of `frames`."""
    start, end = line.index('"'), line.rindex('"')
    word, *flags = line[:start].split()
    payload = unescape(line[start + 1 : end])
    if word == "raw":
        return payload
    _, _, number = word.partition("=")
    first = 0x80 | (int(number) if number else OPCODES[word])
    length: int | None = None
    form, masked = 0, from_client
    for flag in flags:
        match flag.partition("="):
            case ("more", _, _):
                first &= 0x7F
            case (("rsv1" | "rsv2" | "rsv3") as bit, _, _):
                first |= 0x80 >> int(bit[3])
            case ("code", _, value):
                payload = struct.pack("!H", int(value)) + payload
            case ("length", _, value):
                length = int(value)
            case ("form", _, value):
                form = int(value)
            case ("mask", _, "wrong"):
                masked = not masked
            case _:
                raise ValueError(f"unknown flag {flag!r} in {line!r}")
    length = len(payload) if length is None else length
    bit = 0x80 if masked else 0
    if form == 64 or length > 0xFFFF:
        head = struct.pack("!BBQ", first, bit | 127, length)
    elif form == 16 or length > 125:
        head = struct.pack("!BBH", first, bit | 126, length)
    else:
        head = bytes([first, bit | length])
    if masked:
        key = os.urandom(4)
        head, payload = head + key, mask(payload, key)
    return head + payload


def event(line: str) -> Event:
    """A line of `events`: ("text", b"…"), ("close", code, reason) or ("error", code)."""
    before, quote, payload = line.partition('"')
    kind, *words = before.split()
    data = unescape(payload.removesuffix('"')) if quote else b""
    if kind == "close":
        return kind, int(words[0]) if words else None, data.decode() or None
    if kind == "error":
        return kind, int(words[0])
    return kind, data


@dataclass
class Case:
    name: str
    to: tuple[str, ...]
    max_message_size: int
    deflate: bool
    keeps_context: bool
    lines: list[str]
    events: list[Event]

    def __str__(self) -> str:
        return self.name.replace("§", "")

    def sent(self, to: str) -> bytes:
        return b"".join(frame(line, from_client=to == "server") for line in self.lines)


def read_cases() -> Iterator[Case]:
    for path in sorted(CASES.glob("*.md")):
        if path.name == "README.md":
            continue
        for section in re.split(r"\n## ", path.read_text())[1:]:
            name = section.partition("\n")[0]
            blocks = re.findall(r"^```(\w.*?)\n(.*?)```$", section, re.DOTALL | re.MULTILINE)
            (info, lines), (_, events) = blocks
            _, *words = info.split()
            options = dict(word.partition("=")[::2] for word in words)
            to = options.pop("to", "")
            yield Case(
                name=f"{path.stem}: {name}",
                to=(to,) if to else ("server", "client"),
                max_message_size=int(options.pop("max", 1 << 20)),
                deflate=options.pop("deflate", None) is not None,
                keeps_context=options.pop("no-context", None) is None,
                lines=lines.splitlines(),
                events=[event(line) for line in events.splitlines()],
            )
            assert not options, (name, options)


CASES_OF = {role: [c for c in read_cases() if role in c.to] for role in ("server", "client")}
