"""Connecting, and what may go wrong with it."""

import asyncio
import contextlib
import errno
import socket
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pairs import Run, until

from support import without_collector
from typhoon.iostream import IOStream, StreamClosedError


@contextlib.contextmanager
def listening(backlog: int | None = None) -> Iterator[tuple[socket.socket, Any]]:
    with socket.create_server(("127.0.0.1", 0), backlog=backlog) as listener:
        listener.setblocking(False)
        yield listener, listener.getsockname()


def closed_port() -> tuple[str, int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()


async def accept(listener: socket.socket) -> IOStream:
    connection, _ = await asyncio.get_running_loop().sock_accept(listener)
    return IOStream(connection)


@pytest.mark.parametrize("size", [0, 1, 5000, 5_000_000])
def test_reads_and_writes_while_connecting(run: Run, size: int) -> None:
    data = bytes(range(250)) * (size // 250) + bytes(size % 250)

    async def main() -> None:
        with listening() as (listener, address):
            client = IOStream(socket.socket())
            connecting = client.connect(address)
            futures = [client.write(data), client.write(b"end")]
            answer = client.read_until(b"\n")
            assert client.read_bytes is not None
            assert client.reading()
            assert client.writing()
            server = await accept(listener)
            assert await server.read_bytes(size) == data
            assert await server.read_bytes(3) == b"end"
            assert await connecting is client
            await asyncio.gather(*futures)
            await server.write(b"answer\n")
            assert await answer == b"answer\n"
            server.close()
            client.close()

    run(main)


def test_unix(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(tmp_path / "socket"))
            listener.listen()
            listener.setblocking(False)
            client = IOStream(socket.socket(socket.AF_UNIX))
            assert await client.connect(str(tmp_path / "socket")) is client
            server = await accept(listener)
            await client.write(b"1")
            assert await server.read_bytes(1) == b"1"
            server.close()
            client.close()

    run(main)


def test_a_full_queue_of_a_unix_socket(run: Run, tmp_path: Path) -> None:
    """Nothing goes on in the background there, so nothing may be said to be connected."""

    async def main() -> None:
        with socket.socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as stack:
            listener.bind(str(tmp_path / "socket"))
            listener.listen(0)
            refused = None
            for _ in range(10):
                client = IOStream(socket.socket(socket.AF_UNIX))
                stack.callback(client.close)
                try:
                    await client.connect(str(tmp_path / "socket"))
                except StreamClosedError as error:
                    refused = error.real_error
                    break
                assert client.socket.getpeername()
            assert isinstance(refused, BlockingIOError)

    run(main)


async def connect_in_vain(sock: socket.socket, address: Any) -> BaseException | None:
    client = IOStream(sock)
    closed = asyncio.Event()
    client.set_close_callback(closed.set)
    connecting = client.connect(address)
    others = [] if client.closed() else [client.write(b"1"), client.read_bytes(1)]
    for future in (connecting, *others):
        with pytest.raises(StreamClosedError) as caught:
            await future
        assert caught.value.real_error is client.error
    assert client.closed()
    await closed.wait()
    return client.error


def test_refused(run: Run, tmp_path: Path) -> None:
    error = run(lambda: connect_in_vain(socket.socket(), closed_port()))
    assert isinstance(error, ConnectionRefusedError)
    unix = socket.socket(socket.AF_UNIX)
    error = run(lambda: connect_in_vain(unix, str(tmp_path / "nothing")))
    assert isinstance(error, FileNotFoundError)


def test_unreachable(run: Run) -> None:
    # A broadcast address: refused by the system itself, whatever the network is like.
    error = run(lambda: connect_in_vain(socket.socket(), ("255.255.255.255", 9)))
    assert isinstance(error, OSError)
    assert error.errno in {errno.EACCES, errno.ENETUNREACH, errno.EHOSTUNREACH}


def test_an_unknown_name(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Lost(socket.socket):
        def connect(self, address: Any) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    error = run(lambda: connect_in_vain(Lost(), ("no-such-name.invalid", 80)))
    assert isinstance(error, socket.gaierror)


@pytest.mark.parametrize("address", ["text", ("127.0.0.1", 100_000), ("127.0.0.1", "80"), None])
def test_no_address(run: Run, address: Any) -> None:
    async def main() -> None:
        client = IOStream(socket.socket())
        with pytest.raises((TypeError, OverflowError)):
            client.connect(address)
        assert client.closed()

    run(main)


def test_a_cancelled_connect_closes_the_socket(run: Run) -> None:
    async def main() -> None:
        with listening() as (_, address):
            for wait in (False, True):
                client = IOStream(socket.socket())
                closed = asyncio.Event()
                client.set_close_callback(closed.set)
                task = asyncio.ensure_future(_connect(client, address))
                if wait:
                    await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                if wait:
                    await closed.wait()
                    assert client.socket.fileno() == -1
                client.close()

    async def _connect(client: IOStream, address: Any) -> None:
        await client.connect(address)

    run(main)


def test_close_while_connecting(run: Run) -> None:
    async def main() -> None:
        with listening() as (_, address):
            client = IOStream(socket.socket())
            connecting = client.connect(address)
            written = client.write(b"1")
            client.close()
            for future in (connecting, written):
                with pytest.raises(StreamClosedError):
                    await future

    run(main)


def test_connect_a_closed_stream(run: Run) -> None:
    async def main() -> None:
        client = IOStream(socket.socket())
        client.close()
        with pytest.raises(StreamClosedError):
            await client.connect(("127.0.0.1", 1))

    run(main)


def test_connect_twice(run: Run) -> None:
    async def main() -> None:
        with listening() as (_, address):
            client = IOStream(socket.socket())
            connecting = client.connect(address)
            with pytest.raises(RuntimeError, match="Already connecting"):
                client.connect(address)
            assert await connecting is client
            client.close()

    run(main)


def test_a_close_callback_before_connecting(run: Run) -> None:
    async def main() -> None:
        with listening() as (listener, address):
            client = IOStream(socket.socket())
            calls: list[int] = []
            client.set_close_callback(lambda: calls.append(1))
            await asyncio.sleep(0.01)
            assert not client.closed()
            assert calls == []
            await client.connect(address)
            await client.write(b"1")
            server = await accept(listener)
            assert await server.read_bytes(1) == b"1"
            server.close()
            await until(lambda: calls)
            assert client.closed()

    run(main)


def test_reading_and_writing_before_connecting(run: Run) -> None:
    async def main() -> None:
        client = IOStream(socket.socket())
        with pytest.raises(StreamClosedError) as caught:
            await client.read_bytes(1)
        assert caught.value.real_error.errno == errno.ENOTCONN
        client = IOStream(socket.socket())
        with pytest.raises(StreamClosedError):
            await client.write(b"1")
        assert client.closed()

    run(main)


@pytest.mark.parametrize("ending", ["refused", "cancelled", "closed", "fine"])
def test_freed_without_the_collector(run: Run, ending: str) -> None:
    async def connect(address: Any) -> weakref.ref[Any]:
        client = IOStream(socket.socket())
        client.set_close_callback(lambda: None)
        connecting = client.connect(closed_port() if ending == "refused" else address)
        written = client.write(b"1") if not client.closed() else None
        if ending == "cancelled":
            connecting.cancel()
        elif ending == "closed":
            client.close()
        with contextlib.suppress(StreamClosedError, asyncio.CancelledError):
            await connecting
            await written
        client.close()
        del connecting, written  # whose errors refer to this frame
        return weakref.ref(client)

    async def main() -> None:
        with listening() as (_, address):
            ref = await connect(address)
            for _ in range(3):
                await asyncio.sleep(0)
            assert ref() is None

    with without_collector():
        run(main)
