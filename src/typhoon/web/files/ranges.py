"""The parts of a representation that a client asks for (RFC 9110 §14)."""

import os
import re
from collections.abc import Sequence

from typhoon import httputil

MAX_RANGES = 32
"""Ranges that a request may name. Viewers of paged documents ask for a handful; a request for more
is answered with everything."""

PART_OVERHEAD = 100
"""About the bytes that each part of a multipart response takes besides its content."""

Range = tuple[int, int]
"""First byte, and the one behind the last."""

_LIST = re.compile(r"bytes\s*=(.*)", re.DOTALL)
_RANGE = re.compile(r"([0-9]+)-([0-9]*)|-([0-9]+)")


def select(field: str, size: int) -> list[Range] | None:
    """The parts of `size` bytes that a Range header asks for, as they are to be sent.

    None stands for everything: the header is malformed, of another unit, asks for the whole or
    for so many parts that the whole is cheaper. An empty list says that there is no such part
    (416). Parts that overlap or touch have become one. Linear in the header but for sorting at
    most `MAX_RANGES`.
    """
    if "," not in field:
        return _select_one(field, size)
    match = _LIST.fullmatch(field)
    if match is None or field.count(",") >= MAX_RANGES:
        return None
    found: list[Range] = []
    members = [member.strip(httputil.HTTP_WHITESPACE) for member in match[1].split(",")]
    if not any(members):
        return None
    for text in filter(None, members):
        bounds = _RANGE.fullmatch(text)
        if bounds is None:
            return None
        if bounds[3] is not None:
            first, end = max(size - httputil._parse_position(bounds[3]), 0), size
        else:
            first = httputil._parse_position(bounds[1])
            end = httputil._parse_position(bounds[2]) + 1 if bounds[2] else size
            if bounds[2] and end <= first:
                return None
        if first < min(end, size):
            found.append((first, min(end, size)))
    parts = _coalesced(found)
    overhead = PART_OVERHEAD * len(parts) if len(parts) > 1 else 0
    if parts and sum(end - first for first, end in parts) + overhead >= size:
        return None
    return parts


def _select_one(field: str, size: int) -> list[Range] | None:
    bounds = httputil._parse_request_range(field)
    if bounds is None:
        return None
    start, end = bounds
    if start is not None and start < 0:
        start = max(start + size, 0)
    if end == 0 or (start is not None and (start >= size or (end or size) <= start)):
        return []
    start, end = start or 0, size if end is None else min(end, size)
    # For everything, some browsers do not play media that comes as 206.
    return None if start == 0 and end == size else [(start, end)]


def _coalesced(ranges: list[Range]) -> list[Range]:
    """The ranges in the order in which they came, each place covered once (RFC 9110 §15.3.7.2)."""
    merged: list[tuple[int, int, int]] = []  # place in the list, first, end
    for first, end, place in sorted((*bounds, place) for place, bounds in enumerate(ranges)):
        if merged and first <= merged[-1][2]:
            earlier, start, stop = merged[-1]
            merged[-1] = min(earlier, place), start, max(stop, end)
        else:
            merged.append((place, first, end))
    return [(first, end) for _, first, end in sorted(merged)]


def multipart(
    ranges: Sequence[Range], size: int, content_type: str | None
) -> tuple[str, int, list[bytes | Range]]:
    """A multipart/byteranges body of these parts (RFC 9110 §14.6).

    Its Content-Type, its length, and what it is made of: bytes as they are, and ranges of the
    content.
    """
    boundary = os.urandom(16).hex()
    described = f"Content-Type: {content_type}\r\n" if content_type else ""
    pieces: list[bytes | Range] = []
    length = 0
    for first, end in ranges:
        head = (
            f"\r\n--{boundary}\r\n{described}Content-Range: bytes {first}-{end - 1}/{size}\r\n\r\n"
        )
        pieces += head.encode("latin-1"), (first, end)
        length += len(head) + end - first
    tail = f"\r\n--{boundary}--\r\n".encode()
    pieces.append(tail)
    return f"multipart/byteranges; boundary={boundary}", length + len(tail), pieces
