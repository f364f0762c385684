"""What a pending read waits for: pure functions of what has come so far, with no stream in them.

Each kind of read has a method `end`, which looks into the bytes received and not yet read:

    ================  ==========================================================================
    `end` returns     meaning
    ================  ==========================================================================
    a number          the read is satisfied with this many bytes
    None              more bytes are needed
    (raises)          `UnsatisfiableReadError`: no further bytes can satisfy it
    ================  ==========================================================================

`least` is the number of bytes below which it is not satisfied in any case.

It is called after each chunk that comes, always with the same bytes and those that were added.
"""

import operator
import re

from typhoon.iostream.errors import UnsatisfiableReadError


class ReadBytes:
    """A number of bytes, or, if `partial`, at least one and at most that number."""

    __slots__ = ("count", "least", "partial")

    def __init__(self, count: int, partial: bool) -> None:
        self.count = count = operator.index(count)
        if count < 0:
            raise ValueError(f"cannot read {count} bytes: the number must not be negative")
        self.partial = partial
        self.least = min(count, 1) if partial else count

    def end(self, received: bytearray) -> int | None:
        size = len(received)
        return min(size, self.count) if size >= self.least else None


class ReadUntil:
    """All bytes up to a delimiter, and with it. Linear: no byte is searched twice."""

    __slots__ = ("_delimiter", "_limit", "_searched")
    least = 1

    def __init__(self, delimiter: bytes, limit: int | None) -> None:
        if isinstance(delimiter, str):
            raise TypeError(f"read_until: the delimiter {delimiter!r} is to be bytes")
        self._delimiter = delimiter
        self._limit = limit
        self._searched = 0

    def end(self, received: bytearray) -> int | None:
        position = received.find(self._delimiter, self._searched)
        if position >= 0:
            return _within(self._limit, position + len(self._delimiter), self._delimiter)
        # A delimiter may have begun in the last bytes.
        self._searched = max(0, len(received) - len(self._delimiter) + 1)
        _within(self._limit, len(received), self._delimiter)
        return None


class ReadUntilRegex:
    """All bytes up to the end of the first match.

    Every chunk has the whole search begin again, as a regular expression can look back at
    anything. `limit` bounds that; `ReadUntil` does without.
    """

    __slots__ = ("_limit", "_pattern")
    least = 1

    def __init__(self, pattern: re.Pattern[bytes], limit: int | None) -> None:
        if isinstance(pattern.pattern, str):
            raise TypeError(f"read_until_regex: the pattern {pattern.pattern!r} is to be bytes")
        self._pattern = pattern
        self._limit = limit

    def end(self, received: bytearray) -> int | None:
        if (match := self._pattern.search(received)) is not None:
            return _within(self._limit, match.end(), self._pattern.pattern)
        _within(self._limit, len(received), self._pattern.pattern)
        return None


class ReadUntilClose:
    """Everything until the other side closes; only the stream knows when that is."""

    __slots__ = ()
    least = 1

    def end(self, received: bytearray) -> None:
        return None


class ReadInto:
    """Bytes that go straight into the caller's buffer, until it is full (if `partial`: any)."""

    __slots__ = ("filled", "least", "view")

    def __init__(self, buffer: bytearray | memoryview, partial: bool) -> None:
        self.view = memoryview(buffer).cast("B")
        if self.view.readonly:
            raise TypeError("read_into: the buffer cannot be written to; use a bytearray")
        self.filled = 0
        size = len(self.view)
        self.least = min(size, 1) if partial else size

    def take(self, received: bytearray) -> None:
        """Move what has been received before into the caller's buffer."""
        count = min(len(received), len(self.view) - self.filled)
        with memoryview(received) as view:
            self.view[self.filled : self.filled + count] = view[:count]
        del received[:count]
        self.filled += count

    def is_satisfied(self) -> bool:
        return self.filled >= self.least


Read = ReadBytes | ReadUntil | ReadUntilRegex | ReadUntilClose


def _within(limit: int | None, size: int, wanted: bytes) -> int:
    if limit is not None and size > limit:
        raise UnsatisfiableReadError(f"{wanted!r} not found within {limit} bytes")
    return size
