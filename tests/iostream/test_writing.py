"""Writing: order, backpressure, and what becomes of bytes that are not sent."""

import array
import asyncio
import gc
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
    StreamClosedError,
)


@each_kind
@pytest.mark.parametrize("make", [bytes, bytearray, memoryview, lambda d: array.array("B", d)])
@pytest.mark.parametrize("size", [0, 1, 5000, 3 * MIB])
def test_what_can_be_written(run: Run, kind: str, make: Callable[[bytes], Any], size: int) -> None:
    data = numbers(size)

    async def main() -> None:
        async with pair(kind) as (left, right):
            written = make(data)
            sent = left.write(written)
            assert await right.read_bytes(size) == data
            assert await sent is None
            if isinstance(written, bytearray):
                written.clear()  # nobody looks at it any more
            assert not left.writing()

    run(main)


@each_kind
def test_a_view_of_larger_items(run: Run, kind: str) -> None:
    async def main() -> None:
        async with pair(kind) as (left, right):
            for count in (3, 100_000):
                items = array.array("d", range(count))
                sent = left.write(memoryview(items))
                assert await right.read_bytes(8 * count) == items.tobytes()
                await sent

    run(main)


@each_kind
def test_writes_are_done_in_order_and_when_all_is_sent(run: Run, kind: str) -> None:
    async def main() -> None:
        async with pair(kind) as (left, right):
            done: list[int] = []
            futures = [left.write(bytes([n]) * 2_000_000) for n in range(8)]
            for n, future in enumerate(futures):
                future.add_done_callback(lambda _, n=n: done.append(n))
            last = left.write(b"")  # done when those before are
            assert left.writing()
            assert not last.done()
            for n in range(8):
                assert await right.read_bytes(2_000_000) == bytes([n]) * 2_000_000
            await last
            await asyncio.sleep(0)
            assert done == list(range(8))
            assert not left.writing()

    run(main)


@each_kind
def test_backpressure(run: Run, kind: str) -> None:
    async def main() -> None:
        async with pair(kind) as (left, right):
            sent = 0

            async def send() -> None:
                nonlocal sent
                while sent < 400:
                    await left.write(bytes(65536))
                    sent += 1

            sending = asyncio.ensure_future(send())
            while (before := sent) < 400:
                await asyncio.sleep(0.02)
                if sent == before:
                    break
            assert sent < 400
            assert len(left._write_buffer) <= 65536
            await right.read_bytes(400 * 65536)
            await sending

    run(main)


@each_kind
def test_a_cancelled_write_is_sent_all_the_same(run: Run, kind: str) -> None:
    async def main() -> None:
        async with pair(kind) as (left, right):
            data = numbers(5 * MIB)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(left.write(data), 0.01)
            last = left.write(b"end")
            assert await right.read_bytes(len(data) + 3) == data + b"end"
            await last

    run(main)


@each_kind
def test_close_while_writing(run: Run, kind: str) -> None:
    async def main() -> None:
        async with pair(kind) as (left, right):
            data = bytearray(20 * MIB)
            futures = [left.write(data), left.write(b"more")]
            left.close()
            for future in futures:
                with pytest.raises(StreamClosedError):
                    await future
            data.clear()
            assert left._write_buffer is None
            assert len(await right.read_until_close()) < 20 * MIB

    run(main)


@each_kind
def test_the_reader_goes_while_we_write(
    run: Run, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with pair(kind) as (left, right):
            data = bytearray(20 * MIB)
            sent = left.write(data)
            await right.read_bytes(100_000)
            right.close()
            with pytest.raises(StreamClosedError):
                await sent
            data.clear()

    run(main)
    assert caplog.records == []


@each_kind
def test_a_lost_write_is_no_unheard_error(run: Run, kind: str) -> None:
    async def main() -> None:
        async with pair(kind) as (left, _):
            left.write(bytes(20 * MIB))
            left.close()
        gc.collect()
        await asyncio.sleep(0)

    run(main)


@each_kind
def test_pieces_appended_to_the_buffer(run: Run, kind: str) -> None:
    """As Dask does for large frames."""

    async def main() -> None:
        async with pair(kind) as (left, right):
            pieces = [b"1" * 10, memoryview(b"2" * MIB), bytearray(b"3" * 3000), b"", b"4" * MIB]
            for piece in pieces:
                left._write_buffer.append(piece)
                left._total_write_index += len(piece)
            sent = left.write(b"")
            expected = b"".join(pieces)
            assert await right.read_bytes(len(expected)) == expected
            await sent
            assert not left.writing()
            assert await asyncio.wait_for(left.write(b""), 5) is None

    run(main)


def test_memory_is_bounded_while_writing_slowly(run: Run) -> None:
    import tracemalloc

    async def main() -> None:
        async with pair("unix") as (left, right):
            data = numbers(10 * MIB)
            tracemalloc.start()
            try:
                sent = left.write(data)
                digest = hash(data)
                received = bytearray(len(data))
                base = tracemalloc.get_traced_memory()[0]
                tracemalloc.reset_peak()
                with memoryview(received) as view:
                    for start in range(0, len(data), 8192):
                        assert await right.read_into(view[start : start + 8192]) == 8192
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
            await sent
            assert hash(bytes(received)) == digest
            assert peak - base < MIB

    run(main)
