"""The base of servers: sockets, starting and stopping. How they are served is an echo here."""

import asyncio
import contextlib
import re
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from support import new_event_loop
from typhoon.ioloop import IOLoop
from typhoon.netutil import bind_sockets, bind_unix_socket
from typhoon.tcpserver import TCPServer


class Echo(TCPServer):
    """Says the line back that it is told."""

    def _serve(self, sock: socket.socket) -> Callable[[], None]:
        server: list[asyncio.Server] = []

        async def start() -> None:
            server.append(await asyncio.start_server(self.reply, sock=sock, ssl=self._ssl_context))

        IOLoop.current().add_callback(start)
        return lambda: [running.close() for running in server].clear()

    async def reply(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()


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


def test_the_base_alone_serves_nothing() -> None:
    with pytest.raises(TypeError, match="abstract"):
        TCPServer()  # type: ignore[abstract]


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
