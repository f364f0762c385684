"""TCP servers: their sockets, starting and stopping, and what becomes of connections."""

import asyncio
import contextlib
import os
import re
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from support import new_event_loop
from typhoon import gen
from typhoon.ioloop import IOLoop
from typhoon.iostream import IOStream, SSLIOStream, StreamClosedError
from typhoon.netutil import bind_sockets, bind_unix_socket
from typhoon.tcpserver import TCPServer


class Echo(TCPServer):
    """Says the line back that it is told."""

    async def handle_stream(self, stream: IOStream, address: Any) -> None:
        await stream.write(await stream.read_until(b"\n", max_bytes=100))
        stream.close()


async def ask(port: int, host: str = "127.0.0.1", **options: Any) -> bytes:
    reader, writer = await asyncio.open_connection(host, port, **options)
    writer.write(b"hello\n")
    answer = await reader.read()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return answer


def port_of(server: TCPServer) -> int:
    (port,) = {sock.getsockname()[1] for sock in server._sockets.values()}
    return port


@pytest.fixture
def io_loop(loop_kind: str) -> Iterator[IOLoop]:
    loop = IOLoop(asyncio_loop=new_event_loop(loop_kind))
    yield loop
    loop.run_sync(lambda: asyncio.sleep(0))
    loop.close()


@pytest.fixture
def server() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.stop()


def listen(server: TCPServer) -> None:
    server.listen(0, "127.0.0.1")


def add_sockets(server: TCPServer) -> None:
    server.add_sockets(bind_sockets(0, "127.0.0.1"))


def add_socket(server: TCPServer) -> None:
    (sock,) = bind_sockets(0, "127.0.0.1")
    server.add_socket(sock)


def bind_and_start(server: TCPServer) -> None:
    server.bind(0, "127.0.0.1")
    assert server._sockets == {}
    server.start()


def start_and_bind(server: TCPServer) -> None:
    server.start(1)
    server.bind(0, "127.0.0.1")


WAYS = [listen, add_sockets, add_socket, bind_and_start, start_and_bind]


@pytest.mark.parametrize("begin", WAYS)
def test_before_the_loop_runs(
    io_loop: IOLoop, server: Echo, begin: Callable[[TCPServer], None]
) -> None:
    begin(server)
    assert io_loop.run_sync(lambda: ask(port_of(server))) == b"hello\n"
    server.stop()


@pytest.mark.parametrize("begin", WAYS)
def test_while_the_loop_runs(
    io_loop: IOLoop, server: Echo, begin: Callable[[TCPServer], None]
) -> None:
    async def run() -> bytes:
        begin(server)
        answer = await ask(port_of(server))
        server.stop()
        return answer

    assert io_loop.run_sync(run) == b"hello\n"


def test_the_sockets_are_known_by_their_descriptors(io_loop: IOLoop, server: Echo) -> None:
    server.listen(0, "localhost")
    server.listen(0, "127.0.0.1")
    assert len(server._sockets) >= 2
    assert all(sock.fileno() == fd for fd, sock in server._sockets.items())


def test_a_unix_socket(io_loop: IOLoop, server: Echo, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    server.add_socket(bind_unix_socket(path))

    async def run() -> bytes:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"hello\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        server.stop()
        return answer

    assert io_loop.run_sync(run) == b"hello\n"


def test_stop_closes_the_sockets_and_may_be_repeated(io_loop: IOLoop, server: Echo) -> None:
    server.listen(0, "127.0.0.1")
    server.bind(0, "127.0.0.1")
    sockets = [*server._sockets.values(), *server._pending]
    port = port_of(server)
    server.stop()
    server.stop()
    assert len(sockets) == 2
    assert all(sock.fileno() == -1 for sock in sockets)
    assert server._sockets == {}
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 5)


def test_a_stopped_server_can_listen_again(io_loop: IOLoop, server: Echo) -> None:
    server.listen(0, "127.0.0.1")
    server.stop()
    server.listen(0, "127.0.0.1")
    assert io_loop.run_sync(lambda: ask(port_of(server))) == b"hello\n"
    server.stop()


def test_starting_twice(io_loop: IOLoop, server: Echo) -> None:
    server.start()
    with pytest.raises(RuntimeError, match="started already"):
        server.start()


@pytest.mark.parametrize("method", ["listen", "bind"])
def test_a_port_in_use_is_named(io_loop: IOLoop, server: Echo, method: str) -> None:
    server.listen(0, "127.0.0.1")
    port = port_of(server)
    with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
        getattr(Echo(), method)(port, "127.0.0.1")


def test_a_socket_that_cannot_be_served_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[socket.socket] = []

    class Refusing(Echo):
        def _serve(self, sock: socket.socket) -> Callable[[], None]:
            made.append(sock)
            raise KeyError("refused")

    server = Refusing()
    with pytest.raises(KeyError, match="refused"):
        server.listen(0)
    assert server._sockets == {}
    assert made[0].fileno() == -1


def test_the_options_are_attributes() -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server = Echo(context, max_buffer_size=10, read_chunk_size=5)
    assert (server.ssl_options, server.max_buffer_size, server.read_chunk_size) == (context, 10, 5)


# Connections


class Serving(TCPServer):
    """Serves with a function."""

    def __init__(self, serve: Callable[[IOStream, Any], Any], **options: Any) -> None:
        super().__init__(**options)
        self.serve = serve

    def handle_stream(self, stream: IOStream, address: Any) -> Any:
        return self.serve(stream, address)


async def answers(server: TCPServer, count: int = 1) -> list[bytes]:
    """What `count` connections, one after the other, get from the server."""
    server.listen(0, "127.0.0.1")
    try:
        return [await asyncio.wait_for(ask(port_of(server)), 10) for _ in range(count)]
    finally:
        server.stop()


def say_plainly(stream: IOStream, address: Any) -> None:
    stream.write(b"hello").add_done_callback(lambda _: stream.close())


async def say(stream: IOStream, address: Any) -> None:
    await stream.write(await stream.read_until(b"\n"))
    await stream.write(b"hello")
    stream.close()


@gen.coroutine
def say_with_yield(stream: IOStream, address: Any) -> Any:
    line = yield stream.read_until(b"\n")
    yield stream.write(line + b"hello")
    stream.close()


def say_in_a_task(stream: IOStream, address: Any) -> Any:
    return asyncio.ensure_future(say(stream, address))


@pytest.mark.parametrize("serve", [say_plainly, say, say_with_yield, say_in_a_task])
def test_handle_stream(io_loop: IOLoop, serve: Callable[[IOStream, Any], Any]) -> None:
    got = io_loop.run_sync(lambda: answers(Serving(serve), 3))
    assert [answer[-5:] for answer in got] == [b"hello"] * 3


def fail_plainly(stream: IOStream, address: Any) -> None:
    raise ZeroDivisionError("in the handler")


async def fail_at_once(stream: IOStream, address: Any) -> None:
    raise ZeroDivisionError("in the handler")


async def fail_later(stream: IOStream, address: Any) -> None:
    await stream.read_until(b"\n")
    raise ZeroDivisionError("in the handler")


@gen.coroutine
def fail_with_yield(stream: IOStream, address: Any) -> Any:
    yield stream.read_until(b"\n")
    raise ZeroDivisionError("in the handler")


@pytest.mark.parametrize("serve", [fail_plainly, fail_at_once, fail_later, fail_with_yield])
def test_a_handler_that_fails_is_logged_and_closes(
    io_loop: IOLoop, serve: Callable[[IOStream, Any], Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert io_loop.run_sync(lambda: answers(Serving(serve), 2)) == [b"", b""]
    assert len(caplog.records) == 2
    for record in caplog.records:
        assert record.name == "typhoon.application"
        assert record.exc_info is not None
        assert str(record.exc_info[1]) == "in the handler"


def test_a_handler_that_returns_nonsense(io_loop: IOLoop, caplog: pytest.LogCaptureFixture) -> None:
    assert io_loop.run_sync(lambda: answers(Serving(lambda *_: 42))) == [b""]
    assert "Error in connection callback" in caplog.text


def test_a_handler_that_is_cancelled(io_loop: IOLoop, caplog: pytest.LogCaptureFixture) -> None:
    async def serve(stream: IOStream, address: Any) -> None:
        raise asyncio.CancelledError

    assert io_loop.run_sync(lambda: answers(Serving(serve))) == [b""]
    assert caplog.records == []


def test_the_base_alone_serves_nothing(io_loop: IOLoop, caplog: pytest.LogCaptureFixture) -> None:
    assert io_loop.run_sync(lambda: answers(TCPServer())) == [b""]
    assert "TCPServer does not define handle_stream" in caplog.text


def test_a_connection_that_ends_under_its_handler(
    io_loop: IOLoop, caplog: pytest.LogCaptureFixture
) -> None:
    """A StreamClosedError is an exception like others: handlers catch it."""

    async def run() -> None:
        ended = asyncio.Event()

        async def serve(stream: IOStream, address: Any) -> None:
            try:
                await stream.read_bytes(10)
            except StreamClosedError:
                ended.set()

        server = Serving(serve)
        server.listen(0, "127.0.0.1")
        _, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        writer.close()
        await asyncio.wait_for(ended.wait(), 10)
        await writer.wait_closed()
        server.stop()

    io_loop.run_sync(run)
    assert caplog.records == []


def test_the_address_and_the_limits(io_loop: IOLoop) -> None:
    async def run() -> None:
        seen: list[Any] = []

        def serve(stream: IOStream, address: Any) -> None:
            peer = stream.socket.getpeername()
            seen.append((address == peer, stream.max_buffer_size, stream.read_chunk_size))
            stream.close()

        await answers(Serving(serve, max_buffer_size=1000, read_chunk_size=100))
        assert seen == [(True, 1000, 100)]

    io_loop.run_sync(run)


def test_stop_within_a_handler(io_loop: IOLoop) -> None:
    async def run() -> None:
        handled: list[IOStream] = []

        def serve(stream: IOStream, address: Any) -> None:
            handled.append(stream)
            server.stop()
            stream.write(b"goodbye").add_done_callback(lambda _: stream.close())

        server = Serving(serve)
        server.listen(0, "127.0.0.1")
        port = port_of(server)
        # Both wait to be accepted when the first is.
        clients = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(2)]
        while not handled:  # noqa: ASYNC110 - the other side has no event to set
            await asyncio.sleep(0.001)
        assert server._sockets == {}
        clients[0].settimeout(5)
        assert clients[0].recv(100) == b"goodbye"
        assert len(handled) == 1
        for client in clients:
            client.close()

    io_loop.run_sync(run)


def test_open_connections_outlive_stop(io_loop: IOLoop) -> None:
    async def run() -> None:
        server = Echo()
        server.listen(0, "127.0.0.1")
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        writer.write(b"hel")
        await asyncio.sleep(0.01)
        server.stop()
        writer.write(b"lo\n")
        assert await asyncio.wait_for(reader.read(), 10) == b"hello\n"
        writer.close()
        await writer.wait_closed()

    io_loop.run_sync(run)


def test_many_connections_leave_no_descriptor(io_loop: IOLoop) -> None:
    async def run() -> None:
        await answers(Echo(), 2)
        before = len(os.listdir("/proc/self/fd"))
        await answers(Echo(), 50)
        await answers(Serving(fail_at_once), 50)
        assert len(os.listdir("/proc/self/fd")) == before

    io_loop.run_sync(run)


EMFILE = """
import asyncio, errno, logging, os, resource, socket, sys
from typhoon.tcpserver import TCPServer
from typhoon.iostream import IOStream

logging.basicConfig(format="%(message)s")

class Echo(TCPServer):
    async def handle_stream(self, stream, address):
        await stream.write(await stream.read_until(b"\\n"))
        stream.close()

async def main():
    server = Echo()
    server.listen(0, "127.0.0.1")
    (sock,) = server._sockets.values()
    client = IOStream(socket.socket())
    taken = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
    try:
        while True:
            taken.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as error:
        assert error.errno == errno.EMFILE
    await client.connect(sock.getsockname())
    await client.write(b"hello\\n")
    await asyncio.sleep(0.1)  # it cannot be accepted
    assert not client.closed()
    for fd in taken:
        os.close(fd)
    print(await asyncio.wait_for(client.read_until_close(), 20))
    server.stop()

asyncio.run(main())
"""


def test_too_many_open_files() -> None:
    done = subprocess.run(
        [sys.executable, "-c", EMFILE], capture_output=True, text=True, timeout=30
    )
    assert done.stdout == "b'hello\\n'\n", done.stderr
    (line,) = done.stderr.splitlines()
    assert re.match(r"cannot accept connections on 127.0.0.1:\d+: .*Too many open files", line)


# TLS


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def certificate(tmp_path: Path, authority: trustme.CA) -> dict[str, str]:
    leaf = authority.issue_cert("localhost")
    leaf.private_key_pem.write_to_path(tmp_path / "key.pem")
    leaf.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    return {"certfile": str(tmp_path / "cert.pem"), "keyfile": str(tmp_path / "key.pem")}


def test_ssl_options(io_loop: IOLoop, certificate: dict[str, str], authority: trustme.CA) -> None:
    client = ssl.create_default_context()
    authority.configure_trust(client)
    server = Echo(certificate)
    server.listen(0, "127.0.0.1")
    port = port_of(server)
    ask_securely = lambda: ask(port, ssl=client, server_hostname="localhost")  # noqa: E731
    assert io_loop.run_sync(ask_securely) == b"hello\n"
    server.stop()


def test_who_speaks_no_tls_disturbs_nobody(
    io_loop: IOLoop,
    certificate: dict[str, str],
    authority: trustme.CA,
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = ssl.create_default_context()
    authority.configure_trust(client)
    ended: list[OSError] = []

    async def serve(stream: IOStream, address: Any) -> None:
        assert isinstance(stream, SSLIOStream)
        try:
            await stream.wait_for_handshake()
            await stream.write(await stream.read_until(b"\n"))
            stream.close()
        except StreamClosedError as error:
            ended.append(error)

    async def run() -> None:
        server = Serving(serve, ssl_options=certificate)
        server.listen(0, "127.0.0.1")
        port = port_of(server)
        silent = socket.create_connection(("127.0.0.1", port), 5)
        gone = socket.create_connection(("127.0.0.1", port), 5)
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        gone.close()
        with contextlib.suppress(ConnectionResetError):
            await ask(port)  # in plain text
        assert await ask(port, ssl=client, server_hostname="localhost") == b"hello\n"
        silent.close()
        while len(ended) < 2:  # noqa: ASYNC110 - and perhaps the one that was gone at once
            await asyncio.sleep(0.001)
        server.stop()

    io_loop.run_sync(run)
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert "SSL Error on" in caplog.text


def test_ssl_options_without_a_certificate() -> None:
    with pytest.raises(KeyError, match='missing key "certfile" in ssl_options'):
        Echo({"keyfile": "key.pem"})


@pytest.mark.parametrize("missing", ["certfile", "keyfile"])
def test_ssl_options_with_a_missing_file(certificate: dict[str, str], missing: str) -> None:
    with pytest.raises(ValueError, match=f'{missing} "/no/such.pem" does not exist'):
        Echo(certificate | {missing: "/no/such.pem"})


def test_ssl_options_with_a_key_that_does_not_fit(
    tmp_path: Path, certificate: dict[str, str], authority: trustme.CA
) -> None:
    other = tmp_path / "other.pem"
    authority.issue_cert("localhost").private_key_pem.write_to_path(other)
    with pytest.raises(ssl.SSLError, match=re.escape(f"keyfile '{other}'")):
        Echo(certificate | {"keyfile": str(other)})


def test_ssl_options_with_an_unknown_key(certificate: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="unknown 'cert'"):
        Echo(certificate | {"cert": "x"})


PROGRAMS = {
    "bind and start": """
server = Quiet()
server.bind(0, "127.0.0.1")
server.start(3)
IOLoop.current().run_sync(lambda: None)
""",
    "add_sockets": """
sockets = bind_sockets(0, "127.0.0.1")
fork_processes(3)
async def main():
    Quiet().add_sockets(sockets)
asyncio.run(main())
""",
    "reuse_port": """
(sock,) = bind_sockets(0, "127.0.0.1", reuse_port=True)
fork_processes(3)
async def main():
    Quiet().listen(sock.getsockname()[1], "127.0.0.1", reuse_port=True)
asyncio.run(main())
""",
}


@pytest.mark.parametrize("way", list(PROGRAMS))
def test_several_processes(way: str) -> None:
    program = f"""
import asyncio
from typhoon.ioloop import IOLoop
from typhoon.netutil import bind_sockets
from typhoon.process import fork_processes, task_id
from typhoon.tcpserver import TCPServer

class Quiet(TCPServer):
    def _serve(self, sock):
        return lambda: None

{PROGRAMS[way]}
print(task_id(), end="")
"""
    command = [sys.executable, "-Werror::DeprecationWarning", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (sorted(done.stdout), done.stderr) == (["0", "1", "2"], "")


def test_stop_from_a_callback_of_the_loop(io_loop: IOLoop, server: Echo) -> None:
    server.listen(0, "127.0.0.1")
    assert threading.current_thread() is threading.main_thread()
    io_loop.add_callback(server.stop)
    io_loop.add_callback(io_loop.stop)
    io_loop.start()
    assert server._sockets == {}
