"""Reading and writing together, what is left behind, and odds and ends."""

import asyncio
import contextlib
import errno
import gc
import os
import random
import socket
import time
import weakref
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pairs import (
    MIB,
    Broken,
    Run,
    each_kind,
    numbers,
    pair,
    reset_at_close,
    run_on,
    sockets_only,
)

from support import without_collector
from typhoon import iostream
from typhoon.iostream import (
    BaseIOStream,
    IOStream,
    PipeIOStream,
    StreamClosedError,
)
from typhoon.iostream.base import INLINE_READS

# All together


operations = st.lists(
    st.tuples(st.just("write"), st.sampled_from([0, 1, 7, 3000, 70_000]))
    | st.tuples(
        st.sampled_from(["bytes", "partial", "into", "into partial", "until", "cancel", "loop"]),
        st.sampled_from([0, 1, 5, 4096, 100_000]),
    ),
    max_size=25,
)


@each_kind
@settings(max_examples=30, deadline=None)
@given(operations, st.sampled_from([None, 1, 1000]), st.randoms(use_true_random=False))
def test_no_byte_is_lost_or_moved(
    kind: str, steps: list[tuple[str, int]], chunk: int | None, chance: random.Random
) -> None:
    async def main() -> None:
        async with pair(kind, read_chunk_size=chunk) as (left, right):
            sent, received, writes = bytearray(), bytearray(), []
            for step, size in steps:
                there = len(sent) - len(received)
                if chunk == 1:
                    size = min(size, 3000)
                if step == "write":
                    data = chance.randbytes(size)
                    writes.append(left.write(data))
                    sent += data
                elif step == "loop":
                    await asyncio.sleep(0)
                elif step == "cancel":
                    buffer = bytearray(there + 1)
                    future = chance.choice(
                        [
                            lambda n=there: right.read_bytes(n + 1),
                            lambda: right.read_until(b"never to come"),
                            lambda b=buffer: right.read_into(b),
                            right.read_until_close,
                        ]
                    )()
                    for _ in range(chance.randrange(3)):
                        await asyncio.sleep(0)
                    future.cancel()
                    await asyncio.sleep(0)
                    buffer[:] = bytes(len(buffer))
                elif step == "until" and there:
                    end = min(max(size, 1), there)
                    start = len(received)
                    wanted = bytes(sent[start : start + end][-4:])
                    received += await right.read_until(wanted)
                elif step == "bytes":
                    received += await right.read_bytes(min(size, there))
                elif step == "partial" and there:
                    received += await right.read_bytes(size, partial=True)
                elif step.startswith("into"):
                    partial = step == "into partial"
                    buffer = bytearray(size if partial and there else min(size, there))
                    count = await right.read_into(buffer, partial=partial)
                    received += buffer[:count]
            received += await right.read_bytes(len(sent) - len(received))
            assert received == sent
            await asyncio.gather(*writes)

    for loop_kind in ("asyncio", "uvloop"):
        run_on(loop_kind, main)


@sockets_only
def test_both_ways_at_once(run: Run, kind: str) -> None:
    data = numbers(2 * MIB)

    async def main() -> None:
        async with pair(kind) as (left, right):
            results = await asyncio.gather(
                left.write(data),
                right.write(data[::-1]),
                left.read_bytes(len(data)),
                right.read_bytes(len(data)),
            )
            assert results == [None, None, data[::-1], data]

    run(main)


class Firehose(BaseIOStream):
    """A descriptor that always has bytes, and always takes some."""

    def __init__(self) -> None:
        self.ends = socket.socketpair()
        self.ends[1].send(b"x")  # for the loop: always readable
        super().__init__(max_buffer_size=1 << 40)

    def fileno(self) -> int:
        return self.ends[0].fileno()

    def close_fd(self) -> None:
        for end in self.ends:
            end.close()

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        return len(buf)


@pytest.mark.parametrize("way", ["short", "large", "into", "endless"])
def test_a_firehose_lets_others_have_their_turn(run: Run, way: str) -> None:
    async def main() -> None:
        hose = Firehose()
        received = 0

        async def drink() -> None:
            nonlocal received
            buffer = bytearray(4 * hose.read_chunk_size)
            while True:
                if way == "short":
                    received += len(await hose.read_bytes(1024, partial=True))
                elif way == "large":
                    received += len(await hose.read_bytes(3 * MIB))
                elif way == "into":
                    received += await hose.read_into(buffer)
                else:
                    await hose.read_until(b"never to come", max_bytes=1 << 40)

        drinking = asyncio.ensure_future(drink())
        async with pair("unix") as (left, right):
            started = time.process_time()
            for n in range(20):
                await left.write(b"%d\n" % n)
                assert await right.read_until(b"\n") == b"%d\n" % n
            assert received <= 20 * 40 * INLINE_READS * hose.read_chunk_size
            assert time.process_time() - started < 30
        drinking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await drinking
        hose.close()

    run(main)


# Nothing is left behind


ENDINGS = ["we", "they", "reset", "error", "cancelled", "unsatisfiable", "write fails", "full"]


@pytest.mark.parametrize("ending", ENDINGS)
@each_kind
def test_streams_are_freed_without_the_collector(run: Run, kind: str, ending: str) -> None:
    async def connection() -> list[weakref.ref[Any]]:
        async with pair(kind, max_buffer_size=100_000) as (left, right):
            right.set_close_callback(lambda: None)
            await left.write(b"hello\n")
            await right.read_until(b"\n")
            if ending == "we":
                right.close()
            elif ending == "they":
                left.close()
                with contextlib.suppress(StreamClosedError):
                    await right.read_bytes(1)
            elif ending == "reset":
                if kind != "pipe":
                    reset_at_close(left.socket)
                left.close()
                with contextlib.suppress(StreamClosedError):
                    await right.read_bytes(1)
            elif ending == "error":
                right.close(OSError("boom"))
            elif ending == "cancelled":
                buffer = bytearray(10)
                for read in (lambda: right.read_bytes(1), lambda: right.read_into(buffer)):
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(read(), 0.001)
            elif ending == "unsatisfiable":
                await left.write(b"12345")
                with contextlib.suppress(StreamClosedError):
                    await right.read_until(b"\n", max_bytes=4)
            elif ending == "write fails":
                right.close()
                with contextlib.suppress(StreamClosedError):
                    while True:
                        await left.write(bytes(100_000))
                        await asyncio.sleep(0)
            elif ending == "full":
                sent = left.write(bytes(5 * MIB))
                try:
                    await right.read_until_close()
                except StreamClosedError:
                    pass
                sent.cancel()
            return [weakref.ref(left), weakref.ref(right)]

    async def main() -> None:
        refs = await connection()
        for _ in range(3):
            await asyncio.sleep(0)
        assert [ref() for ref in refs] == [None, None]

    with without_collector():
        run(main)


def test_an_error_at_once_is_freed_too(run: Run) -> None:
    async def connection() -> weakref.ref[Any]:
        stream = Broken(OSError(errno.EIO, "bad disk"))
        try:
            stream.read_bytes(1)
        except StreamClosedError:
            pass
        return weakref.ref(stream)

    async def main() -> None:
        ref = await connection()
        assert ref() is None

    with without_collector():
        run(main)


def test_loops_are_not_kept(run: Run) -> None:
    from typhoon.iostream.descriptor import _shared_by

    async def main() -> None:
        async with pair("unix"):
            pass

    known = set(_shared_by)  # others may be held still: by an HTTP client of their own, say
    for _ in range(5):
        run(main)
    gc.collect()
    assert len([loop for loop in set(_shared_by) - known if loop.asyncio_loop.is_closed()]) <= 1


# Odds and ends


def test_set_nodelay(run: Run) -> None:
    async def main() -> None:
        async with pair("tcp") as (left, _):
            for value in (True, False):
                left.set_nodelay(value)
                option = left.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                assert bool(option) is value
        for kind in ("unix", "pipe"):
            async with pair(kind) as (left, _):
                left.set_nodelay(True)

    run(main)


def test_attributes(run: Run) -> None:
    async def main() -> None:
        async with pair("unix", read_chunk_size=1000) as (left, _):
            assert isinstance(left, IOStream)
            assert left.io_loop.asyncio_loop is asyncio.get_running_loop()
            assert left.fileno() == left.socket.fileno()
            assert left.socket.getblocking() is False
            assert (left.max_buffer_size, left.read_chunk_size) == (100 * MIB, 1000)
            assert left.max_write_buffer_size is None
            assert left.error is None
            assert left.get_fd_error() is None
        async with pair("pipe", max_buffer_size=1000) as (left, _):
            assert isinstance(left, PipeIOStream)
            assert left.fileno() == left.fd
            assert os.get_blocking(left.fd) is False
            assert left.read_chunk_size == 500

    run(main)


def test_base_is_abstract(run: Run) -> None:
    async def main() -> None:
        stream = BaseIOStream()
        for call in (
            stream.fileno,
            stream.close_fd,
            lambda: stream.read_from_fd(bytearray(1)),
            lambda: stream.write_to_fd(b"1"),
        ):
            with pytest.raises(NotImplementedError):
                call()
        assert stream.get_fd_error() is None

    run(main)


def test_doctests() -> None:
    import unittest

    result = unittest.TestResult()
    iostream.doctests().run(result)
    assert result.wasSuccessful()
