"""`send_file`: on sockets, with clients that are slow, or go away."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from support import new_event_loop
from typhoon.httpserver.sendfile import send_file

SIZE = 5 * 1024 * 1024 + 7
BODY = os.urandom(1024) * (SIZE // 1024) + b"the end"


@pytest.fixture(scope="module")
def body_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files") / "body"
    path.write_bytes(BODY)
    return path


@pytest.fixture
def fd(body_path: Path) -> Iterator[int]:
    descriptor = os.open(body_path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


@pytest.fixture(scope="module")
def tls() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Contexts for a server and a client that trusts it."""
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


class Peer(asyncio.Protocol):
    """The protocol that files are sent through."""

    def __init__(self) -> None:
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def pause_writing(self) -> None:
        self.flowing.clear()

    def resume_writing(self) -> None:
        self.flowing.set()

    def connection_lost(self, exc: BaseException | None) -> None:
        self.lost.set_result(None)
        self.flowing.set()

    async def send(self, fd: int, offset: int, count: int) -> None:
        await send_file(self.transport, fd, offset, count, lost=self.lost, drain=self.flowing.wait)


def run(loop_kind: str, test: Callable[[Peer, socket.socket], Any]) -> Any:
    """Run `test(peer, client socket)` on this kind of loop."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)

    async def main() -> Any:
        loop = asyncio.get_running_loop()
        _, peer = await loop.create_connection(Peer, sock=ours)
        try:
            return await test(peer, theirs)
        finally:
            peer.transport.abort()
            await peer.lost

    with theirs, asyncio.Runner(loop_factory=lambda: new_event_loop(loop_kind)) as runner:
        return runner.run(main())


async def receive(sock: socket.socket, count: int) -> bytes:
    loop = asyncio.get_running_loop()
    data = bytearray()
    while len(data) < count and (chunk := await loop.sock_recv(sock, 1 << 18)):
        data += chunk
    return bytes(data)


@pytest.mark.parametrize(
    ("offset", "count"), [(0, len(BODY)), (3, 1), (len(BODY) - 5, 5), (7, SIZE // 2), (0, 0)]
)
def test_a_part_of_a_file(loop_kind: str, fd: int, offset: int, count: int) -> None:
    async def test(peer: Peer, client: socket.socket) -> None:
        received = asyncio.create_task(receive(client, count))
        await peer.send(fd, offset, count)
        assert await received == BODY[offset : offset + count]

    run(loop_kind, test)


def test_what_was_written_before_goes_first(loop_kind: str, fd: int) -> None:
    async def test(peer: Peer, client: socket.socket) -> None:
        head = b"head" * 500_000  # more than the socket takes at once
        peer.transport.write(head)
        sending = asyncio.create_task(peer.send(fd, 0, len(BODY)))
        assert await receive(client, len(head) + len(BODY)) == head + BODY
        await sending
        peer.transport.write(b"tail")
        assert await receive(client, 4) == b"tail"

    run(loop_kind, test)


def test_the_descriptors_stay_as_they_were(loop_kind: str, fd: int) -> None:
    async def test(peer: Peer, client: socket.socket) -> None:
        before = sorted(os.listdir("/proc/self/fd"))
        received = asyncio.create_task(receive(client, len(BODY)))
        await peer.send(fd, 0, len(BODY))
        await received
        assert sorted(os.listdir("/proc/self/fd")) == before
        assert os.fstat(fd).st_size == len(BODY)

    if not os.path.exists("/proc/self/fd"):
        pytest.skip("there is no /proc to count descriptors in")
    run(loop_kind, test)


def test_the_client_goes_away(loop_kind: str, fd: int) -> None:
    async def test(peer: Peer, client: socket.socket) -> None:
        sending = asyncio.create_task(peer.send(fd, 0, len(BODY)))
        await receive(client, 1)
        client.close()
        with pytest.raises(ConnectionError):
            await sending

    run(loop_kind, test)


def test_the_connection_is_aborted_while_the_client_does_not_read(loop_kind: str, fd: int) -> None:
    async def test(peer: Peer, client: socket.socket) -> None:
        sending = asyncio.create_task(peer.send(fd, 0, len(BODY)))
        await receive(client, 1)
        assert not sending.done()
        peer.transport.abort()
        with pytest.raises(ConnectionError):
            await sending
        received = await receive(client, len(BODY))
        assert len(received) < len(BODY)

    run(loop_kind, test)


def test_cancelled(loop_kind: str, fd: int) -> None:
    async def test(peer: Peer, client: socket.socket) -> None:
        sending = asyncio.create_task(peer.send(fd, 0, len(BODY)))
        await receive(client, 1)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert not peer.transport.is_closing()

    run(loop_kind, test)


def test_the_file_is_shorter(loop_kind: str, fd: int) -> None:
    async def test(peer: Peer, client: socket.socket) -> None:
        received = asyncio.create_task(receive(client, 5))
        with pytest.raises(EOFError, match="ended 1 bytes early"):
            await peer.send(fd, len(BODY) - 5, 6)
        assert await received == BODY[-5:]

    run(loop_kind, test)


def test_a_connection_that_is_closed_already(loop_kind: str, fd: int) -> None:
    async def test(peer: Peer, client: socket.socket) -> None:
        # The loop still holds the socket, so that its descriptor is valid.
        peer.transport.close()
        with pytest.raises(ConnectionError):
            await peer.send(fd, 0, 5)

    run(loop_kind, test)


def test_tls(loop_kind: str, fd: int, tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    server_ssl, client_ssl = tls

    async def main() -> None:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        class Server(Peer):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                super().connection_made(transport)
                task = asyncio.create_task(self.send(fd, 1, len(BODY) - 1))
                task.add_done_callback(lambda task: transport.close() or done.set_result(None))

        server = await loop.create_server(Server, "127.0.0.1", 0, ssl=server_ssl)
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=client_ssl, server_hostname="localhost"
        )
        assert await reader.read(-1) == BODY[1:]
        await done
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        server.close()
        await server.wait_closed()

    with asyncio.Runner(loop_factory=lambda: new_event_loop(loop_kind)) as runner:
        runner.run(main())
