"""A server that does to its clients what it is told to, byte by byte; and what has to hold then."""

import asyncio
import contextlib
import logging
import os
import pickle
import socket
import struct
import tracemalloc
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

import pytest

from typhoon.httpclient import Stage
from typhoon.simple_httpclient import SimpleAsyncHTTPClient
from typhoon.testing import bind_unused_port

OK = b"HTTP/1.1 200 OK\r\n"


def ok(body: str) -> bytes:
    """A response without a fault."""
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


class Peer:
    """The server's end of one connection. It notices nothing by itself.

    Attributes:
        sent: How many bytes have been sent.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.sent = 0
        self._loop = asyncio.get_running_loop()
        self._unread = bytearray()

    async def head(self) -> bytes:
        """The head of the next request; `EOFError` if none comes."""
        return await self._until(b"\r\n\r\n")

    async def message(self) -> tuple[str, str, bytes]:
        """Method, path and body of the next request; `EOFError` if none comes."""
        head = await self.head()
        method, path, _ = head.decode("latin-1").split(" ", 2)
        fields = dict(line.lower().split(b": ", 1) for line in head.splitlines()[1:-1])
        if fields.get(b"transfer-encoding") == b"chunked":
            body = b""
            while size := int(await self._until(b"\r\n"), 16):
                body += (await self.exactly(size + 2))[:-2]
            await self._until(b"\r\n")
            return method, path, body
        return method, path, await self.exactly(int(fields.get(b"content-length", 0)))

    async def request(self) -> str:
        """The path of the next request, which has come whole."""
        _, path, _ = await self.message()
        return path

    async def send(self, data: bytes) -> None:
        await self._loop.sock_sendall(self.socket, data)
        self.sent += len(data)

    async def repeat(self, data: bytes | Iterable[bytes], pause: float = 0.0) -> None:
        """Send this over and over, or each of these; until the client has enough."""
        endless = data if not isinstance(data, bytes) else iter(lambda: data, None)
        for piece in endless:
            await self.send(piece)
            await asyncio.sleep(pause)  # also lets the client have its turn

    async def gone(self) -> None:
        """Wait until the client has closed its end."""
        with contextlib.suppress(ConnectionError):
            while await self._loop.sock_recv(self.socket, 1 << 16):
                pass

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """Close, and have the client get an RST rather than a FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    async def _until(self, delimiter: bytes) -> bytes:
        while (end := self._unread.find(delimiter)) < 0:
            await self._receive()
        return self._take(end + len(delimiter))

    async def exactly(self, count: int) -> bytes:
        while len(self._unread) < count:
            await self._receive()
        return self._take(count)

    def _take(self, count: int) -> bytes:
        data = bytes(self._unread[:count])
        del self._unread[:count]
        return data

    async def _receive(self) -> None:
        data = await self._loop.sock_recv(self.socket, 1 << 16)
        if not data:
            raise EOFError
        self._unread += data


Script = Callable[[Peer], Awaitable[None]]


async def healthy(peer: Peer) -> None:
    """Answers each request with its path, and keeps the connection open."""
    while True:
        await peer.send(ok(await peer.request()))


def answer(*pieces: bytes) -> Script:
    """Answers one request with these bytes, and closes."""

    async def script(peer: Peer) -> None:
        await peer.request()
        for piece in pieces:
            await peer.send(piece)

    return script


def answer_and_wait(*pieces: bytes) -> Script:
    """Answers one request with these bytes, and leaves it to the client to close."""

    async def script(peer: Peer) -> None:
        await answer(*pieces)(peer)
        await peer.gone()

    return script


def answer_forever(begin: bytes, more: bytes | Iterable[bytes], pause: float = 0.0) -> Script:
    """Answers one request without end."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(begin)
        await peer.repeat(more, pause)

    return script


class HostileServer:
    """Each connection goes by the next script; those behind the last one are healthy.

    Attributes:
        port: Where it listens, at 127.0.0.1.
        peers: The connections so far.
    """

    def __init__(self, scripts: Iterable[Script]) -> None:
        self.peers: list[Peer] = []
        self._scripts = iter(scripts)
        self._tasks: set[asyncio.Task[None]] = set()
        self._socket, self.port = bind_unused_port()
        self._socket.setblocking(False)

    def url(self, path: str, scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    async def closed(self) -> None:
        """Wait until every connection has ended: those of healthy ones when the client closes."""
        while self._tasks - {self._accepting}:
            await asyncio.wait(self._tasks - {self._accepting})

    async def __aenter__(self) -> "HostileServer":
        self._accepting = self._start(self._accept())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._socket.close()

    def _start(self, work: Awaitable[None]) -> "asyncio.Task[None]":
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            sock, _ = await loop.sock_accept(self._socket)
            sock.setblocking(False)
            peer = Peer(sock)
            self.peers.append(peer)
            self._start(self._serve(peer, next(self._scripts, healthy)))

    async def _serve(self, peer: Peer, script: Script) -> None:
        try:
            await script(peer)
        except (EOFError, ConnectionError):
            pass  # the client has had enough
        finally:
            peer.close()


def hostile(*scripts: Script) -> HostileServer:
    return HostileServer(scripts)


# What has to hold

LIMIT = 100_000
"""The most bytes that a body may have here."""

BOUND = 8 << 20
"""Bytes that may be on their way, in the buffers of both sides, when the client has enough."""


@contextlib.contextmanager
def little_memory() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < BOUND


def check(error: BaseException, url: str, stage: Stage | set[Stage], method: str = "GET") -> None:
    """The error says what it is about."""
    assert (error.method, error.url) == (method, url)
    assert error.stage in (stage if isinstance(stage, set) else {stage})
    assert f"{method} {url}" in str(error) + "".join(getattr(error, "__notes__", []))
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


async def fails(
    client: SimpleAsyncHTTPClient,
    server: HostileServer,
    expected: Any,
    stage: Stage | set[Stage],
    **options: Any,
) -> Exception:
    """A fetch fails so; its connection is not used again, and the next fetch is answered."""
    url = server.url("/bad")
    with pytest.raises(expected) as caught:
        await client.fetch(url, **options)
    check(caught.value, url, stage, options.get("method", "GET"))
    before = len(server.peers)
    await still_works(client, server)
    assert len(server.peers) > before, "a connection with something wrong was used again"
    return caught.value


async def still_works(client: SimpleAsyncHTTPClient, server: HostileServer) -> None:
    """What the server did to the client's connections so far does not matter any more."""
    for path in ("/one", "/two"):
        response = await client.fetch(server.url(path), request_timeout=5)
        assert (response.code, response.body) == (200, path.encode())
    assert (len(client.active), len(client.queue)) == (0, 0)


def descriptors() -> int:
    """How many file descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))


def is_alarming(record: logging.LogRecord) -> bool:
    """Whether it should not be in the log when a server does something wrong."""
    # asyncio's warnings are about slow machines.
    return record.levelno > (logging.WARNING if record.name == "asyncio" else logging.INFO)
