"""Two streams that are connected to each other, of every kind, and loops to run them in."""

import asyncio
import contextlib
import functools
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import pytest
import trustme

from support import TIMEOUT, new_event_loop
from typhoon.iostream import BaseIOStream, IOStream, PipeIOStream, SSLIOStream

Run = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]

KINDS = ["tcp", "unix", "pipe", "tls"]
TWO_WAYS = [kind for kind in KINDS if kind != "pipe"]
MIB = 1024 * 1024

each_kind = pytest.mark.parametrize("kind", KINDS)
sockets_only = pytest.mark.parametrize("kind", TWO_WAYS)


def numbers(size: int) -> bytes:
    """Bytes of which each tells its place, nearly."""
    return b"".join(n.to_bytes(4, "big") for n in range(-(-size // 4)))[:size]


@dataclass(frozen=True)
class Certificates:
    """An authority, and contexts for both sides that go by it."""

    authority: trustme.CA
    server: ssl.SSLContext
    client: ssl.SSLContext

    def issue(self, *names: str, **options: Any) -> ssl.SSLContext:
        """A server's context with another certificate."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.authority.issue_cert(*names, **options).configure_cert(context)
        return context


@functools.cache
def certificates() -> Certificates:
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return Certificates(authority, server, client)


def tcp_sockets() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        left = socket.create_connection(listener.getsockname(), 5)
        return left, listener.accept()[0]


def sockets(kind: str) -> tuple[socket.socket, socket.socket]:
    return tcp_sockets() if kind == "tcp" else socket.socketpair()


async def connect(kind: str, options: dict[str, Any]) -> tuple[BaseIOStream, BaseIOStream]:
    if kind == "pipe":
        read_fd, write_fd = os.pipe()
        return PipeIOStream(write_fd, **options), PipeIOStream(read_fd, **options)
    left, right = sockets("unix" if kind == "unix" else "tcp")
    if kind != "tls":
        return IOStream(left, **options), IOStream(right, **options)
    known = certificates()
    streams = [
        SSLIOStream(
            context.wrap_socket(
                sock, do_handshake_on_connect=False, suppress_ragged_eofs=True, **sides
            ),
            **options,
        )
        for sock, context, sides in (
            (_non_blocking(left), known.client, {"server_hostname": "localhost"}),
            (_non_blocking(right), known.server, {"server_side": True}),
        )
    ]
    await asyncio.gather(*(stream.wait_for_handshake() for stream in streams))
    return streams[0], streams[1]


def _non_blocking(sock: socket.socket) -> socket.socket:
    sock.setblocking(False)
    return sock


@contextlib.asynccontextmanager
async def pair(kind: str, **options: Any) -> AsyncIterator[tuple[Any, Any]]:
    """`left` writes and `right` reads; all but pipes go the other way too."""
    left, right = await connect(kind, options)
    try:
        yield left, right
    finally:
        left.close()
        right.close()


@contextlib.asynccontextmanager
async def half(kind: str = "tcp", **options: Any) -> AsyncIterator[tuple[Any, socket.socket]]:
    """A stream, and the other side's plain socket (non-blocking)."""
    ours, theirs = sockets(kind)
    theirs.setblocking(False)
    stream = IOStream(ours, **options)
    try:
        yield stream, theirs
    finally:
        stream.close()
        theirs.close()


def reset_at_close(sock: socket.socket) -> None:
    """Have a TCP connection closed with a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def reset(sock: socket.socket) -> None:
    reset_at_close(sock)
    sock.close()


async def until(condition: Any) -> None:
    """Let the loop go on until something holds; the test's time limit is the limit."""
    while not condition():  # noqa: ASYNC110 - what is waited for sets no event
        await asyncio.sleep(0.001)


def run_on(loop_kind: str, main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    failures: list[dict[str, Any]] = []

    async def guarded() -> Any:
        asyncio.get_running_loop().set_exception_handler(lambda _, what: failures.append(what))
        async with asyncio.timeout(TIMEOUT):
            return await main()

    with contextlib.closing(new_event_loop(loop_kind)) as loop:
        asyncio.set_event_loop(loop)
        try:
            return loop.run_until_complete(guarded())
        finally:
            asyncio.set_event_loop(None)
            assert failures == []


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
