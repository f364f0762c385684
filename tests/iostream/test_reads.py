"""What a read waits for: however the bytes come, the result is the same."""

import array
import itertools
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typhoon.iostream.errors import UnsatisfiableReadError
from typhoon.iostream.reads import (
    Read,
    ReadBytes,
    ReadInto,
    ReadUntil,
    ReadUntilClose,
    ReadUntilRegex,
)

some_bytes = st.text("ab\r\n", max_size=40).map(str.encode)
cuts = st.lists(st.integers(0, 40), max_size=8)
limits = st.none() | st.integers(0, 40)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    return [data[a:b] for a, b in itertools.pairwise(places)] or [b""]


def outcome(read: Read, chunks: list[bytes]) -> int | str | None:
    received = bytearray()
    for chunk in chunks:
        received += chunk
        try:
            end = read.end(received)
        except UnsatisfiableReadError:
            return "unsatisfiable"
        assert end is None or end >= read.least
        if end is not None:
            return end
    return None


def same_however_it_comes(make: Callable[[], Read], data: bytes, cuts: list[int]) -> None:
    assert outcome(make(), pieces(data, cuts)) == outcome(make(), [data])


@given(some_bytes, cuts, st.integers(0, 40))
def test_bytes_in_pieces(data: bytes, cuts: list[int], count: int) -> None:
    same_however_it_comes(lambda: ReadBytes(count, False), data, cuts)


@given(some_bytes, cuts, st.sampled_from([b"\n", b"\r\n", b"\r\n\r\n", b"aab", b"aaa"]), limits)
def test_until_in_pieces(data: bytes, cuts: list[int], delimiter: bytes, limit: int | None) -> None:
    same_however_it_comes(lambda: ReadUntil(delimiter, limit), data, cuts)
    found = data.find(delimiter)
    end = None if found < 0 else found + len(delimiter)
    got = outcome(ReadUntil(delimiter, limit), pieces(data, cuts))
    over = limit is not None and (len(data) if end is None else end) > limit
    assert got == ("unsatisfiable" if over else end)


@given(some_bytes, cuts, st.sampled_from([b"\r?\n\r?\n", b"[ab]\n", b"a{3}"]), limits)
def test_regex_in_pieces(data: bytes, cuts: list[int], regex: bytes, limit: int | None) -> None:
    same_however_it_comes(lambda: ReadUntilRegex(re.compile(regex), limit), data, cuts)


@given(some_bytes, cuts)
def test_until_close_needs_more_in_any_case(data: bytes, cuts: list[int]) -> None:
    assert outcome(ReadUntilClose(), pieces(data, cuts)) is None


@given(some_bytes, cuts, st.integers(0, 40), st.booleans())
def test_into_in_pieces(data: bytes, cuts: list[int], size: int, partial: bool) -> None:
    target = bytearray(size)
    read = ReadInto(target, partial)
    left = bytearray()
    for piece in pieces(data, cuts):
        left += piece
        if not read.is_satisfied():
            read.take(left)
    read.view.release()
    if partial:
        assert min(1, size, len(data)) <= read.filled <= size
    else:
        assert read.filled == min(size, len(data))
    assert target[: read.filled] + left == data
    assert target[read.filled :] == bytes(size - read.filled)


@pytest.mark.parametrize(("size", "end"), [(0, None), (1, 1), (9, 9), (10, 10), (11, 10)])
def test_partial_takes_what_there_is(size: int, end: int | None) -> None:
    assert ReadBytes(10, True).end(bytearray(size)) == end


@pytest.mark.parametrize("partial", [False, True])
def test_no_bytes_are_there_already(partial: bool) -> None:
    assert ReadBytes(0, partial).end(bytearray()) == 0
    assert ReadInto(bytearray(), partial).is_satisfied()


@pytest.mark.parametrize("kind", ["until", "regex"])
@pytest.mark.parametrize(
    ("data", "limit", "satisfied"),
    [
        (b"123\n", 4, True),
        (b"123\n", 3, False),
        (b"123\n456", 4, True),
        (b"1234", 4, None),  # it might come yet, but would be beyond
        (b"12345", 4, False),
        (b"123\n", None, True),
        (b"\n", 0, False),
    ],
)
def test_limits(kind: str, data: bytes, limit: int | None, satisfied: bool | None) -> None:
    read = ReadUntil(b"\n", limit) if kind == "until" else ReadUntilRegex(re.compile(b"\n"), limit)
    if satisfied is False:
        with pytest.raises(UnsatisfiableReadError, match=rf"not found within {limit} bytes"):
            read.end(bytearray(data))
    else:
        assert read.end(bytearray(data)) == (4 if satisfied else None)


def test_until_is_linear() -> None:
    class Counting(bytearray):
        searched = 0

        def find(self, what: bytes, start: int = 0) -> int:  # type: ignore[override]
            self.searched += len(self) - start
            return super().find(what, start)

    received, read = Counting(), ReadUntil(b"\r\n\r\n", None)
    for _ in range(10_000):
        received += b"x"
        assert read.end(received) is None
    assert received.searched <= 4 * 10_000


def test_into_a_view_of_larger_items() -> None:
    target = array.array("I", [0, 0])
    read = ReadInto(memoryview(target), False)
    received = bytearray(range(9))
    read.take(received)
    assert (read.filled, bytes(target), received) == (8, bytes(range(8)), b"\x08")


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ReadBytes(-1, False), ValueError, "cannot read -1 bytes"),
        (lambda: ReadBytes(1.0, False), TypeError, "integer"),  # type: ignore[arg-type]
        (lambda: ReadBytes(None, False), TypeError, "integer"),  # type: ignore[arg-type]
        (lambda: ReadUntil("\n", None), TypeError, r"'\\n' is to be bytes"),  # type: ignore[arg-type]
        (lambda: ReadUntilRegex(re.compile("x"), None), TypeError, "'x' is to be bytes"),  # type: ignore[arg-type]
        (lambda: ReadInto(b"123", False), TypeError, "use a bytearray"),  # type: ignore[arg-type]
    ],
)
def test_what_makes_no_sense(
    make: Callable[[], object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make()
