"""Bytes that wait to be sent."""

import array
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typhoon.iostream.writebuffer import WriteBuffer

kinds = st.sampled_from([bytes, bytearray, memoryview])
sizes = st.sampled_from([0, 1, 10, 2047, 2048, 2049, 5000])


@given(st.lists(st.tuples(kinds, sizes) | st.integers(0, 6000), max_size=30))
def test_first_in_first_out(operations: list[tuple[type, int] | int]) -> None:
    """Sizes are numbers of bytes to add; a number alone is how many to take at most."""
    buffer, model, next_byte = WriteBuffer(), bytearray(), 0
    for operation in operations:
        if isinstance(operation, int):
            if not buffer:
                assert not model
                continue
            with buffer.peek() as view:
                assert 0 < len(view) <= len(buffer)
                assert view == model[: len(view)]
            count = min(operation, len(buffer))
            buffer.advance(count)
            del model[:count]
        else:
            kind, size = operation
            data = bytes((next_byte + i) % 251 for i in range(size))
            next_byte += size
            buffer.append(kind(data))
            model += data
        assert len(buffer) == len(model)
    rest = bytearray()
    while buffer:
        with buffer.peek() as view:
            rest += view
            size = len(view)
        buffer.advance(size)
    assert rest == model


def test_large_pieces_are_not_copied() -> None:
    data = bytearray(10_000)
    buffer = WriteBuffer()
    buffer.append(data)
    data[0] = 1
    with buffer.peek() as view:
        assert view[0] == 1


def test_small_pieces_are_copied() -> None:
    data = bytearray(b"small")
    buffer = WriteBuffer()
    buffer.append(data)
    data.clear()
    with buffer.peek() as view:
        assert view == b"small"


@pytest.mark.parametrize("end", ["advance", "clear"])
@pytest.mark.parametrize("partly", [0, 1, 9_999])
def test_large_pieces_are_let_go_of(end: str, partly: int) -> None:
    data = bytearray(10_000)
    buffer = WriteBuffer()
    buffer.append(data)
    buffer.advance(partly)
    with pytest.raises(BufferError):
        data.clear()
    if end == "advance":
        buffer.advance(10_000 - partly)
    else:
        buffer.clear()
    data.clear()
    assert not buffer


def test_a_view_of_larger_items_counts_as_bytes() -> None:
    buffer = WriteBuffer()
    numbers = array.array("I", range(1000))
    buffer.append(memoryview(numbers))
    assert len(buffer) == 4000
    with buffer.peek() as view:
        assert view == numbers.tobytes()
    buffer.clear()
    buffer.append(memoryview(array.array("I")))
    assert len(buffer) == 0


def test_many_small_pieces_are_few_objects() -> None:
    buffer = WriteBuffer()
    for _ in range(100_000):
        buffer.append(b"x")
    assert len(buffer) == 100_000
    assert len(buffer._pieces) < 100
    assert sum(map(sys.getsizeof, buffer._pieces)) < 200_000


def test_what_is_no_bytes() -> None:
    buffer = WriteBuffer()
    with pytest.raises(TypeError, match="bytes-like object is required"):
        buffer.append("text")  # type: ignore[arg-type]
    assert len(buffer) == 0
