"""Every kind of read, limits, and reads that are cancelled; for every kind of stream."""

import array
import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from pairs import (
    MIB,
    Run,
    each_kind,
    numbers,
    pair,
)

from typhoon.iostream import (
    StreamBufferFullError,
    StreamClosedError,
    UnsatisfiableReadError,
)

# Every kind of read


READS: dict[str, tuple[Callable[[Any], Any], bytes]] = {
    "bytes": (lambda s: s.read_bytes(5), b"one\nt"),
    "partial": (lambda s: s.read_bytes(100, partial=True), b"one\ntwo\n"),
    "partial, fewer": (lambda s: s.read_bytes(2, partial=True), b"on"),
    "none": (lambda s: s.read_bytes(0), b""),
    "until": (lambda s: s.read_until(b"\n"), b"one\n"),
    "until, bounded": (lambda s: s.read_until(b"\n", max_bytes=4), b"one\n"),
    "regex": (lambda s: s.read_until_regex(rb"[a-z]+\n"), b"one\n"),
    "regex, bounded": (lambda s: s.read_until_regex(rb"\n", max_bytes=4), b"one\n"),
}


@each_kind
@pytest.mark.parametrize("what", list(READS))
@pytest.mark.parametrize("early", [False, True])
def test_a_read(run: Run, kind: str, what: str, early: bool) -> None:
    read, expected = READS[what]

    async def main() -> None:
        async with pair(kind) as (left, right):
            if early:
                future = read(right)
                await left.write(b"one\ntwo\n")
            else:
                await left.write(b"one\ntwo\n")
                future = read(right)
            got = await future
            assert got == expected
            assert type(got) is bytes
            assert not right.reading()
            rest = b"one\ntwo\n"[len(expected) :]
            assert await right.read_bytes(len(rest)) == rest

    run(main)


@each_kind
@pytest.mark.parametrize("make", [bytearray, lambda n: memoryview(bytearray(n))])
def test_read_into(run: Run, kind: str, make: Callable[[int], Any]) -> None:
    async def main() -> None:
        async with pair(kind) as (left, right):
            buffer = make(10)
            future = right.read_into(buffer)
            await left.write(b"01234")
            await left.write(b"56789ab")
            assert await future == 10
            assert buffer == b"0123456789"
            assert await right.read_into(buffer, partial=True) == 2
            assert buffer == b"ab23456789"
            assert await right.read_into(make(0)) == 0
            assert await right.read_into(make(0), partial=True) == 0

    run(main)


@each_kind
def test_read_into_a_view_of_larger_items(run: Run, kind: str) -> None:
    async def main() -> None:
        async with pair(kind) as (left, right):
            target = array.array("I", [0, 0])
            await left.write(memoryview(array.array("I", [7, 8])))
            assert await right.read_into(memoryview(target)) == 8
            assert target.tolist() == [7, 8]

    run(main)


@each_kind
def test_a_read_buffer_can_be_resized_afterwards(run: Run, kind: str) -> None:
    async def main() -> None:
        async with pair(kind) as (left, right):
            buffer = bytearray(4)
            future = right.read_into(buffer)
            with pytest.raises(BufferError):
                buffer.clear()
            await left.write(b"1234")
            await future
            buffer.clear()

    run(main)


@each_kind
def test_no_bytes_are_read_without_waiting(run: Run, kind: str) -> None:
    async def main() -> None:
        async with pair(kind) as (_, right):
            for partial in (False, True):
                assert right.read_bytes(0, partial=partial).result() == b""

    run(main)


@each_kind
@pytest.mark.parametrize("size", [1, 100_000, 3 * MIB])
@pytest.mark.parametrize("chunk", [None, 1, 100, MIB])
def test_sizes(run: Run, kind: str, size: int, chunk: int | None) -> None:
    if chunk == 1:
        size = min(size, 20_000)
    data = numbers(size)

    async def main() -> None:
        async with pair(kind, read_chunk_size=chunk) as (left, right):
            sent = left.write(data)
            assert await right.read_bytes(size) == data
            await sent
            sent = left.write(data)
            assert await right.read_bytes(size // 2) == data[: size // 2]
            buffer = bytearray(size - size // 2)
            assert await right.read_into(buffer) == len(buffer)
            assert buffer == data[size // 2 :]
            await sent

    run(main)


@each_kind
def test_one_read_at_a_time(run: Run, kind: str) -> None:
    async def main() -> None:
        async with pair(kind) as (left, right):
            future = right.read_bytes(1)
            assert right.reading()
            with pytest.raises(RuntimeError, match="Already reading"):
                right.read_bytes(1)
            await left.write(b"1")
            assert await future == b"1"

    run(main)


@pytest.mark.parametrize(
    ("read", "error"),
    [
        (lambda s: s.read_bytes(-1), ValueError),
        (lambda s: s.read_bytes("1"), TypeError),
        (lambda s: s.read_until("\n"), TypeError),
        (lambda s: s.read_until_regex("\n"), TypeError),
        (lambda s: s.read_until_regex(b"("), Exception),
        (lambda s: s.read_into(b"123"), TypeError),
        (lambda s: s.write("text"), TypeError),
        (lambda s: s.write(None), TypeError),
    ],
)
def test_mistakes_leave_the_stream_as_it_is(
    run: Run, read: Callable[[Any], Any], error: type[Exception]
) -> None:
    async def main() -> None:
        async with pair("unix") as (left, right):
            with pytest.raises(error):
                read(right)
            assert not right.reading()
            assert not right.writing()
            await left.write(b"1")
            assert await right.read_bytes(1) == b"1"
            await right.write(b"2")
            assert await left.read_bytes(1) == b"2"

    run(main)


# Cancelled reads


@each_kind
@pytest.mark.parametrize("what", ["bytes", "until", "regex", "into", "until close"])
def test_a_cancelled_read_loses_nothing(run: Run, kind: str, what: str) -> None:
    async def main() -> None:
        async with pair(kind) as (left, right):
            buffer = bytearray(10)
            reads: dict[str, Callable[[], Any]] = {
                "bytes": lambda: right.read_bytes(10),
                "until": lambda: right.read_until(b"\n"),
                "regex": lambda: right.read_until_regex(b"\n"),
                "into": lambda: right.read_into(buffer),
                "until close": right.read_until_close,
            }
            for sent in (b"", b"one", b"two"):
                await left.write(sent)
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.01):
                        await reads[what]()
                assert not right.reading()
                buffer[:] = bytes(10)  # the caller's own again
            await left.write(b"end\n")
            assert await right.read_until(b"\n") == b"onetwoend\n"

    run(main)


@each_kind
def test_wait_for_in_time(run: Run, kind: str) -> None:
    async def main() -> None:
        async with pair(kind) as (left, right):
            await left.write(b"1")
            assert await asyncio.wait_for(right.read_bytes(1), 10) == b"1"
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(right.read_bytes(1), 0)
            await left.write(b"2")
            assert await asyncio.wait_for(right.read_bytes(1), 10) == b"2"

    run(main)


@each_kind
def test_a_cancelled_task(run: Run, kind: str) -> None:
    async def main() -> None:
        async with pair(kind) as (left, right):
            task = asyncio.ensure_future(right.read_until(b"\n"))
            await left.write(b"abc")
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await left.write(b"\n")
            assert await right.read_until(b"\n") == b"abc\n"

    run(main)


@each_kind
def test_cancelled_as_its_bytes_come(run: Run, kind: str) -> None:
    async def main() -> None:
        async with pair(kind) as (left, right):
            for n in range(50):
                future = right.read_bytes(2)
                await left.write(b"%02d" % n)
                if n % 3 == 1:
                    await asyncio.sleep(0)
                if future.cancel():
                    future = right.read_bytes(2)
                assert await future == b"%02d" % n

    run(main)


# Limits


@each_kind
def test_max_buffer_size_of_read_until_close(run: Run, kind: str) -> None:
    async def main(size: int) -> bytes:
        async with pair(kind, max_buffer_size=100_000, read_chunk_size=50_000) as (left, right):

            async def send() -> None:
                with contextlib.suppress(StreamClosedError):
                    await left.write(bytes(size))
                left.close()

            sending = asyncio.ensure_future(send())
            try:
                return await right.read_until_close()
            finally:
                right.close()
                await sending

    assert len(run(lambda: main(100_000))) == 100_000
    with pytest.raises(StreamClosedError) as caught:
        run(lambda: main(100_001))
    assert isinstance(caught.value.real_error, StreamBufferFullError)
    assert "max_buffer_size (100000 bytes)" in str(caught.value.real_error)


@each_kind
@pytest.mark.parametrize("early", [False, True])
def test_max_buffer_size_bounds_the_memory(run: Run, kind: str, early: bool) -> None:
    async def main() -> None:
        async with pair(kind, max_buffer_size=100_000) as (left, right):
            future = right.read_until(b"\n") if early else None
            sent = left.write(bytes(5 * MIB))
            try:
                with pytest.raises(StreamClosedError) as caught:
                    await (future or right.read_until(b"\n"))
                assert isinstance(caught.value.real_error, StreamBufferFullError)
                assert right.closed()
                assert len(right._read_buffer) <= 150_000
            finally:
                with contextlib.suppress(StreamClosedError):
                    await sent

    run(main)


def test_the_smallest_buffer(run: Run) -> None:
    async def main() -> None:
        async with pair("unix", max_buffer_size=1) as (left, right):
            await left.write(b"123")
            assert await right.read_bytes(1) == b"1"
            assert await right.read_bytes(1) == b"2"
            assert await right.read_bytes(1) == b"3"

    run(main)


@each_kind
def test_nothing_is_read_that_nobody_asks_for(run: Run, kind: str) -> None:
    async def main() -> None:
        async with pair(kind) as (left, right):
            right.set_close_callback(lambda: None)
            sent = left.write(bytes(20 * MIB))
            await asyncio.sleep(0.05)
            assert not sent.done()
            assert len(right._read_buffer) <= right.read_chunk_size
            assert len(await right.read_bytes(20 * MIB)) == 20 * MIB
            await sent

    run(main)


@each_kind
@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("regex", [False, True])
@pytest.mark.parametrize(("line", "fine"), [(b"123456789\n", True), (b"1234567890\n", False)])
def test_max_bytes(
    run: Run,
    kind: str,
    early: bool,
    regex: bool,
    line: bytes,
    fine: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")

    async def main() -> None:
        async with pair(kind) as (left, right):
            read = right.read_until_regex if regex else right.read_until
            future = read(b"\n", max_bytes=10) if early else None
            await left.write(line + b"more")
            if fine:
                assert await (future or read(b"\n", max_bytes=10)) == line
                return
            with pytest.raises(StreamClosedError) as caught:
                await (future or read(b"\n", max_bytes=10))
            assert isinstance(caught.value.real_error, UnsatisfiableReadError)
            assert right.closed()

    run(main)
    expected = "Unsatisfiable read, closing connection: b'\\n' not found within 10 bytes"
    assert caplog.messages == ([] if fine else [expected])


@each_kind
def test_max_write_buffer_size(run: Run, kind: str) -> None:
    async def main() -> None:
        async with pair(kind, max_write_buffer_size=10_000) as (left, right):
            await left.write(bytes(10_000))
            assert len(await right.read_bytes(10_000)) == 10_000
            with pytest.raises(StreamBufferFullError, match="more than 10000 bytes"):
                left.write(bytes(10_001))
            assert not left.closed()
            total, futures = 0, []
            with contextlib.suppress(StreamBufferFullError):
                while True:
                    futures.append(left.write(bytes(1000)))
                    total += 1000
            assert left._total_write_index - left._total_write_done_index <= 10_000
            room = 10_000 - (left._total_write_index - left._total_write_done_index)
            futures.append(left.write(bytes(room)))
            with pytest.raises(StreamBufferFullError):
                left.write(b"1")
            assert await right.read_bytes(total + room) == bytes(total + room)
            await asyncio.gather(*futures)

    run(main)
