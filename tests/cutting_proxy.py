"""A proxy that can refuse WebSockets, as some between users and servers do."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

from support import TIMEOUT

REFUSAL = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class CuttingProxy:
    """Relays connections to a port of this machine. `cut` ends WebSockets, `mend` lets them be."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.refused = 0
        self.is_cut = False
        self._websockets: set[asyncio.StreamWriter] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def cut(self) -> None:
        self.is_cut = True
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._end_websockets)

    def mend(self) -> None:
        self.is_cut = False

    def _end_websockets(self) -> None:
        for writer in self._websockets:
            writer.close()

    async def run(self, started: threading.Event, stopped: asyncio.Event) -> None:
        self._loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        await stopped.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # somebody has gone, or the proxy stops
        finally:
            self._tasks.discard(task)
            self._websockets.discard(writer)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if b"\r\nupgrade: websocket\r\n" in head.lower():
            if self.is_cut:
                self.refused += 1
                writer.write(REFUSAL)
                await writer.drain()
                return
            self._websockets.add(writer)
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self.target)
        to_server.write(head)
        try:
            ways = (relay(reader, to_server), relay(from_server, writer))
            _, pending = await asyncio.wait(
                [asyncio.ensure_future(way) for way in ways], return_when=asyncio.FIRST_COMPLETED
            )
            for way in pending:
                way.cancel()
        finally:
            to_server.close()


async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()


@contextlib.contextmanager
def running_cutting_proxy(target: int) -> Iterator[CuttingProxy]:
    """Run such a proxy in a thread of its own."""
    proxy = CuttingProxy(target)
    started = threading.Event()
    stopped = asyncio.Event()
    thread = threading.Thread(target=lambda: asyncio.run(proxy.run(started, stopped)))
    thread.start()
    assert started.wait(TIMEOUT)
    try:
        yield proxy
    finally:
        assert proxy._loop is not None
        proxy._loop.call_soon_threadsafe(stopped.set)
        thread.join(TIMEOUT)
        assert not thread.is_alive()
