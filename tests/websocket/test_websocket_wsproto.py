"""The other side is a third implementation: `wsproto`, as client and as server, also over TLS."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
from peers import Echo
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    Request,
    TextMessage,
)
from wsproto.extensions import PerMessageDeflate

from authority import Authority
from typhoon.httpclient import HTTPRequest
from typhoon.httpserver import HTTPServer
from typhoon.web import Application
from typhoon.websocket import websocket_connect

SIZES = [0, 1, 125, 126, 127, 65535, 65536, 1 << 20]


def payloads(deflate: dict[str, Any] | None) -> list[str | bytes]:
    # It is slow: all sizes once, and two that a window does not hold for each size of window.
    sizes = [70_000, 70_000] if deflate else SIZES
    texts = ["é" * (size // 2) + "a" * (size % 2) for size in sizes]
    return [*texts, *(os.urandom(size) for size in sizes)]


class Wsproto:
    """One side of a connection, over streams."""

    def __init__(
        self, kind: ConnectionType, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.connection = WSConnection(kind)
        self.reader, self.writer = reader, writer
        self.received: list[Event] = []

    async def send(self, *events: Event) -> None:
        for event in events:
            self.writer.write(self.connection.send(event))
        await self.writer.drain()

    async def next(self) -> Event:
        while not self.received:
            data = await self.reader.read(1 << 16)
            assert data, "the connection was cut off"
            self.connection.receive_data(data)
            self.received = list(self.connection.events())
        return self.received.pop(0)

    async def message(self) -> str | bytes:
        pieces = []
        while True:
            event = await self.next()
            assert isinstance(event, TextMessage | BytesMessage), event
            pieces.append(event.data)
            if event.message_finished:
                return (b"" if isinstance(event, BytesMessage) else "").join(pieces)  # type: ignore[arg-type]


class Handler(Echo):
    def initialize(self, options: dict[str, Any] | None) -> None:
        self.options = options

    def get_compression_options(self) -> dict[str, Any] | None:
        return self.options

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        return "b" if "b" in subprotocols else None


DEFLATES = [
    None,
    {},
    {"client_no_context_takeover": True, "server_no_context_takeover": True},
    *({"server_max_window_bits": bits, "client_max_window_bits": bits} for bits in range(9, 16)),
]


@contextlib.asynccontextmanager
async def our_server(
    deflate: dict[str, Any] | None, context: ssl.SSLContext | None
) -> AsyncIterator[int]:
    options = None if deflate is None else {"compression_level": 1}
    server = HTTPServer(Application([("/", Handler, {"options": options})]), ssl_options=context)
    server.listen(0, "127.0.0.1")
    (port,) = {sock.getsockname()[1] for sock in server._sockets.values()}
    try:
        yield port
    finally:
        server.stop()
        await server.close_all_connections()


@pytest.mark.parametrize(
    ("deflate", "tls"), [*((d, False) for d in DEFLATES), (None, True), ({}, True)], ids=str
)
def test_its_client_and_our_server(run, authority: Authority, deflate, tls):
    async def main() -> None:
        theirs = ssl.create_default_context(cafile=authority.ca) if tls else None
        ours = authority.server_context() if tls else None
        async with our_server(deflate, ours) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=theirs)
            peer = Wsproto(ConnectionType.CLIENT, reader, writer)
            extensions = [] if deflate is None else [PerMessageDeflate(**deflate)]
            await peer.send(Request("localhost", "/", extensions, subprotocols=["a", "b"]))
            accepted = await peer.next()
            assert isinstance(accepted, AcceptConnection)
            assert accepted.subprotocol == "b"
            assert bool(accepted.extensions) == (deflate is not None)
            for payload in payloads(deflate):
                kind = TextMessage if isinstance(payload, str) else BytesMessage
                await peer.send(kind(payload))
                assert await peer.message() == payload
            pieces = [TextMessage("gr", message_finished=False), Ping(b"1")]
            await peer.send(*pieces, TextMessage("", message_finished=False), TextMessage("ün"))
            assert await peer.next() == Pong(b"1")
            assert await peer.message() == "grün"
            await peer.send(CloseConnection(4000, "bye"))
            assert await peer.next() == CloseConnection(4000, "")
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()

    run(main)


@pytest.mark.parametrize(
    ("deflate", "tls"), [*((d, False) for d in DEFLATES), (None, True), ({}, True)], ids=str
)
def test_our_client_and_its_server(run, authority: Authority, deflate, tls):
    async def main() -> None:
        ended = asyncio.get_running_loop().create_future()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            peer = Wsproto(ConnectionType.SERVER, reader, writer)
            request = await peer.next()
            assert isinstance(request, Request)
            extensions = [] if deflate is None else [PerMessageDeflate(**deflate)]
            await peer.send(AcceptConnection(subprotocol="b", extensions=extensions))
            while not isinstance(event := await peer.next(), CloseConnection):
                if isinstance(event, Ping):
                    await peer.send(event.response())
                else:
                    # Each piece of a message goes back as a frame.
                    await peer.send(event)
            await peer.send(event.response())
            writer.close()
            await writer.wait_closed()
            ended.set_result((event.code, event.reason))

        ours = authority.server_context() if tls else None
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=ours)
        port = server.sockets[0].getsockname()[1]
        scheme = "wss" if tls else "ws"
        ws = await websocket_connect(
            HTTPRequest(f"{scheme}://127.0.0.1:{port}/", ca_certs=authority.ca),
            compression_options=None if deflate is None else {},
            subprotocols=["a", "b"],
        )
        assert ws.selected_subprotocol == "b"
        assert ("Sec-WebSocket-Extensions" in ws.headers) == (deflate is not None)
        ws.ping(b"1")
        for payload in payloads(deflate):
            await ws.write_message(payload, isinstance(payload, bytes))
            assert await ws.read_message() == payload
        ws.close(1000, "bye")
        assert await ws.read_message() is None
        assert await ended == (1000, "bye")
        assert ws.close_code == 1000
        server.close()

    run(main)
