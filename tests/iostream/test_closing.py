"""The end of a stream, whoever brings it about, and its close callback."""

import asyncio
import contextlib
import errno
import os
from collections.abc import Callable
from typing import Any

import pytest
from pairs import (
    KINDS,
    MIB,
    Broken,
    Run,
    each_kind,
    half,
    pair,
    reset,
    until,
)

from typhoon.iostream import (
    StreamClosedError,
)

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
