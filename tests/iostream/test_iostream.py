"""Reading and writing, alike for every kind of stream and on both loops."""

import array
import asyncio
import contextlib
import errno
import gc
import os
import random
import socket
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pairs import KINDS, Run, half, pair, reset, reset_at_close, run_on, until

from typhoon import iostream
from typhoon.iostream import (
    BaseIOStream,
    IOStream,
    PipeIOStream,
    StreamBufferFullError,
    StreamClosedError,
    UnsatisfiableReadError,
)
from typhoon.iostream.base import INLINE_READS

TWO_WAYS = [kind for kind in KINDS if kind != "pipe"]
MIB = 1024 * 1024

each_kind = pytest.mark.parametrize("kind", KINDS)
sockets_only = pytest.mark.parametrize("kind", TWO_WAYS)


def numbers(size: int) -> bytes:
    """Bytes of which each tells its place, nearly."""
    return b"".join(n.to_bytes(4, "big") for n in range(-(-size // 4)))[:size]


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


# The end


@each_kind
@pytest.mark.parametrize("what", ["bytes", "until", "regex", "into", "partial"])
@pytest.mark.parametrize("early", [False, True])
def test_the_end_comes_first(run: Run, kind: str, what: str, early: bool) -> None:
    async def main() -> None:
        async with pair(kind) as (left, right):
            buffer = bytearray(10)
            reads: dict[str, Callable[[], Any]] = {
                "bytes": lambda: right.read_bytes(10),
                "until": lambda: right.read_until(b"\n"),
                "regex": lambda: right.read_until_regex(b"\n"),
                "into": lambda: right.read_into(buffer),
                "partial": lambda: right.read_until(b"-"),
            }
            future = reads[what]() if early else None
            await left.write(b"abc")
            left.close()
            with pytest.raises(StreamClosedError, match="Stream is closed") as caught:
                await (future or reads[what]())
            assert caught.value.real_error is None
            assert right.closed()
            assert right.error is None
            buffer.clear()
            # What had come can still be read.
            assert await right.read_bytes(10, partial=True) == b"abc"
            with pytest.raises(StreamClosedError):
                await right.read_bytes(1)
            with pytest.raises(StreamClosedError):
                await right.read_bytes(1, partial=True)

    run(main)


@each_kind
@pytest.mark.parametrize("data", [b"", b"abc", bytes(300_000)])
@pytest.mark.parametrize("early", [False, True])
def test_until_close(run: Run, kind: str, data: bytes, early: bool) -> None:
    async def main() -> None:
        async with pair(kind) as (left, right):
            future = right.read_until_close() if early else None

            async def send() -> None:
                await left.write(data)
                left.close()

            sending = asyncio.ensure_future(send())
            assert await (future or right.read_until_close()) == data
            await sending
            assert await right.read_until_close() == b""

    run(main)


@each_kind
def test_until_close_of_a_closed_stream(run: Run, kind: str) -> None:
    async def main() -> None:
        async with pair(kind) as (left, right):
            await left.write(b"one\ntwo")
            assert await right.read_until(b"\n") == b"one\n"
            right.close()
            assert await right.read_until_close() == b"two"

    run(main)


@each_kind
def test_until_close_and_an_error(run: Run, kind: str) -> None:
    async def main() -> None:
        async with pair(kind) as (left, right):
            future = right.read_until_close()
            await left.write(b"some")
            await until(lambda: right._read_buffer)
            right.close(ValueError("boom"))
            for _ in range(2):
                with pytest.raises(StreamClosedError) as caught:
                    await future
                assert isinstance(caught.value.real_error, ValueError)
                with pytest.raises(StreamClosedError):
                    future = right.read_until_close()
            assert await right.read_bytes(4) == b"some"

    run(main)


@pytest.mark.parametrize("pending", [False, True])
def test_a_reset(run: Run, pending: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with half() as (stream, peer):
            future = stream.read_bytes(10) if pending else None
            reset(peer)
            with pytest.raises(StreamClosedError) as caught:
                await (future or stream.read_bytes(10))
            assert isinstance(caught.value.real_error, ConnectionResetError)
            assert stream.error is caught.value.real_error
            assert stream.closed()

    run(main)
    assert caplog.records == []


def test_writing_to_who_has_gone(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        for kind in KINDS:
            async with pair(kind) as (left, right):
                right.close()
                with contextlib.suppress(StreamClosedError):
                    while True:
                        await left.write(bytes(10_000))
                        await asyncio.sleep(0)
                assert left.closed()

    run(main)
    assert caplog.records == []


@each_kind
def test_operations_on_a_closed_stream(run: Run, kind: str) -> None:
    async def main() -> None:
        async with pair(kind) as (left, _):
            error = ValueError("boom")
            left.close(error)
            left.close(OSError("too late"))
            assert left.closed()
            assert left.error is error
            assert not left.reading()
            assert not left.writing()
            left.set_nodelay(True)
            for operation in (
                lambda: left.read_bytes(1),
                lambda: left.read_into(bytearray(1)),
                lambda: left.read_until(b"x"),
                lambda: left.read_until_regex(b"x"),
                lambda: left.read_until_close(),
                lambda: left.write(b"x"),
                lambda: left.write(b""),
                lambda: left.write(bytearray(10_000)),
            ):
                with pytest.raises(StreamClosedError) as caught:
                    await operation()
                assert caught.value.real_error is error

    run(main)


@each_kind
@pytest.mark.parametrize("form", [True, "exception", "triple"])
def test_close_with_the_error_at_hand(run: Run, kind: str, form: Any) -> None:
    import sys

    async def main() -> None:
        async with pair(kind) as (left, _):
            future = left.write(bytes(20 * MIB))
            try:
                raise ValueError("boom")
            except ValueError as error:
                left.close({"exception": error, "triple": sys.exc_info()}.get(form, True))
            assert str(left.error) == "boom"
            left.error.__traceback__ = None
            with pytest.raises(StreamClosedError) as caught:
                await future
            assert caught.value.real_error is left.error

    run(main)


def test_a_descriptor_closed_by_somebody_else(run: Run) -> None:
    async def main() -> None:
        ended: list[str] = []
        async with pair("pipe") as (left, right):
            os.close(right.fd)
            with pytest.raises(StreamClosedError) as caught:
                await right.read_bytes(1)
            assert caught.value.real_error.errno == errno.EBADF
            assert right.closed()
        async with pair("unix") as (left, right):
            left.set_close_callback(lambda: ended.append("left"))
            future = left.write(bytes(20 * MIB))
            os.close(left.fileno())
            left.close()
            assert left.error.errno == errno.EBADF
            with pytest.raises(StreamClosedError):
                await future
            os.close(right.fileno())
            with pytest.raises(StreamClosedError) as caught:
                right.read_bytes(1)  # at once: nobody has begun to wait
            assert caught.value.real_error is right.error
            assert right.error.errno == errno.EBADF
        await until(lambda: ended)

    run(main)


class Broken(BaseIOStream):
    """Over no descriptor at all; fails as it is told."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.failure = error
        self.closings = 0

    def fileno(self) -> int:
        return -1

    def close_fd(self) -> None:
        self.closings += 1
        raise self.failure

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        raise self.failure

    def write_to_fd(self, data: bytes | memoryview) -> int:
        raise self.failure


def test_an_error_of_close_fd_leaves_nothing_half_done(run: Run) -> None:
    async def main() -> None:
        for error in (OSError(errno.EIO, "bad disk"), ZeroDivisionError()):
            closed: list[bool] = []
            stream = Broken(error)
            stream._ready = False
            stream.set_close_callback(lambda closed=closed: closed.append(True))
            waiting = [stream.read_bytes(1), stream.write(b"1")]
            try:
                stream.close()
            except ZeroDivisionError:
                assert error.__class__ is ZeroDivisionError
            else:
                assert stream.error is error
            stream.close()
            for future in waiting:
                with pytest.raises(StreamClosedError):
                    await future
            await until(lambda closed=closed: closed)
            assert stream.closings == 1

    run(main)


def test_an_unexpected_error_closes(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        stream = Broken(OSError(errno.EIO, "bad disk"))
        with pytest.raises(StreamClosedError) as caught:
            stream.read_bytes(1)
        assert caught.value.real_error is stream.error
        assert stream.error.errno == errno.EIO
        stream = Broken(OSError(errno.EIO, "bad disk"))
        with pytest.raises(StreamClosedError):
            await stream.write(b"1")
        assert stream.closed()

    run(main)
    assert caplog.messages == ["Write error on -1: [Errno 5] bad disk"]


# The close callback


@each_kind
@pytest.mark.parametrize("who", ["we", "they"])
@pytest.mark.parametrize("buffered", [b"", b"data"])
def test_close_callback(run: Run, kind: str, who: str, buffered: bytes) -> None:
    async def main() -> None:
        calls: list[bool] = []
        async with pair(kind) as (left, right):
            right.set_close_callback(lambda: calls.append(right.closed()))
            await left.write(buffered)
            if buffered:
                await until(lambda: right._read_buffer)
            (right if who == "we" else left).close()
            if buffered:
                assert await right.read_bytes(2) == buffered[:2]
                assert await right.read_until_close() == buffered[2:]
            await until(lambda: calls)
            await asyncio.sleep(0)
            right.close()
            await asyncio.sleep(0)
            assert calls == [True]

    run(main)


@each_kind
def test_close_callback_after_a_read_at_once(run: Run, kind: str) -> None:
    async def main() -> None:
        closed = asyncio.Event()
        async with pair(kind) as (left, right):
            right.set_close_callback(closed.set)
            await left.write(b"1")
            await until(lambda: right._read_buffer)
            await left.write(b"23\n")
            await asyncio.sleep(0.01)
            assert await right.read_until(b"\n") == b"123\n"
            left.close()
            await closed.wait()

    run(main)


@each_kind
def test_close_callback_of_a_closed_stream(run: Run, kind: str) -> None:
    async def main() -> None:
        async with pair(kind) as (left, _):
            left.close()
            closed = asyncio.Event()
            left.set_close_callback(closed.set)
            assert not closed.is_set()  # never within the call
            await closed.wait()

    run(main)


@each_kind
def test_close_callback_taken_back(run: Run, kind: str) -> None:
    async def main() -> None:
        calls: list[int] = []
        async with pair(kind) as (left, right):
            right.set_close_callback(lambda: calls.append(1))
            right.set_close_callback(None)
            left.close()
            with pytest.raises(StreamClosedError):
                await right.read_bytes(1)
            await asyncio.sleep(0)
            assert calls == []

    run(main)


@each_kind
def test_close_callback_of_the_writing_side(
    run: Run, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with pair(kind) as (left, right):
            closed = asyncio.Event()
            left.set_close_callback(closed.set)
            right.close()
            await closed.wait()

    run(main)
    assert caplog.records == []


@each_kind
def test_close_in_the_close_callback(run: Run, kind: str) -> None:
    async def main() -> None:
        calls: list[int] = []
        async with pair(kind) as (left, _):
            left.set_close_callback(lambda: (calls.append(1), left.close())[0])
            left.close()
            await until(lambda: calls)
            await asyncio.sleep(0)
            assert calls == [1]

    run(main)


def test_an_error_in_the_close_callback(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with pair("unix") as (left, _):
            left.set_close_callback(lambda: 1 // 0)
            left.close()
            await until(lambda: caplog.records)

    run(main)
    assert "Exception in callback" in caplog.text


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


# Writing


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

    gc.collect()
    gc.disable()
    try:
        run(main)
    finally:
        gc.enable()


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

    gc.collect()
    gc.disable()
    try:
        run(main)
    finally:
        gc.enable()


def test_loops_are_not_kept(run: Run) -> None:
    from typhoon.iostream.descriptor import _shared_by

    async def main() -> None:
        async with pair("unix"):
            pass

    for _ in range(5):
        run(main)
    gc.collect()
    assert len([loop for loop in _shared_by if loop.asyncio_loop.is_closed()]) <= 1


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
