"""The other side is another implementation: the package `websockets`, as client and as server."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest
import websockets
from peers import Echo, connect
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    ServerPerMessageDeflateFactory,
)

from typhoon.httpserver import HTTPServer
from typhoon.web import Application
from typhoon.websocket import websocket_connect

SIZES = [0, 1, 125, 126, 127, 65535, 65536, 1 << 20, 16 << 20]
LIMIT = 16 << 20


class Compressing(Echo):
    def initialize(self, options: dict[str, Any] | None = None) -> None:
        self.options = options

    def get_compression_options(self) -> dict[str, Any] | None:
        return self.options


def payloads(size: int) -> list[str | bytes]:
    line = "Es grünt so grün. "
    return [(line * (size // len(line) + 1))[:size], os.urandom(size)]


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_its_client_and_our_server(run, compression):
    async def main() -> None:
        options = None if compression is None else {"compression_level": 1}
        app = Application([("/", Compressing, {"options": options})])
        app.settings["websocket_max_message_size"] = 2 * LIMIT
        server = HTTPServer(app)
        server.listen(0, "127.0.0.1")
        (port,) = {sock.getsockname()[1] for sock in server._sockets.values()}
        async with websockets.connect(
            f"ws://127.0.0.1:{port}/", compression=compression, max_size=None
        ) as ws:
            for size in SIZES:
                for payload in payloads(size):
                    await ws.send(payload)
                    assert await ws.recv() == payload
            # In many frames, with a ping between them.
            await ws.send(["in ", "many ", "", "frames"])
            assert await ws.recv() == "in many frames"
            await (await ws.ping(b"hello"))
            await ws.close(4000, "bye")
            assert (ws.close_code, ws.close_reason) == (4000, "")
        server.stop()
        await server.close_all_connections()

    run(main)


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_our_client_and_its_server(run, compression):
    async def main() -> None:
        ended: asyncio.Future[tuple[int | None, str | None]] = (
            asyncio.get_running_loop().create_future()
        )

        async def echo(ws: Any) -> None:
            async for message in ws:
                await ws.send(message)
            ended.set_result((ws.close_code, ws.close_reason))

        async with websockets.serve(
            echo, "127.0.0.1", 0, compression=compression, max_size=None
        ) as server:
            port = server.sockets[0].getsockname()[1]
            ws = await websocket_connect(
                f"ws://127.0.0.1:{port}/",
                compression_options={} if compression else None,
                max_message_size=2 * LIMIT,
            )
            assert ("Sec-WebSocket-Extensions" in ws.headers) == (compression is not None)
            for size in SIZES:
                for payload in payloads(size):
                    await ws.write_message(payload, isinstance(payload, bytes))
                    assert await ws.read_message() == payload
            ws.close(1000, "bye")
            assert await ws.read_message() is None
            assert await ended == (1000, "bye")
            assert ws.close_code == 1000

    run(main)


@pytest.mark.parametrize("server_bits", [None, 9, 15])
@pytest.mark.parametrize("server_keeps", [True, False])
@pytest.mark.parametrize("client_keeps", [True, False])
def test_parameters_of_compression(run, server_bits, server_keeps, client_keeps):
    """RFC 7692 §7.1: context take-over and window bits, agreed upon in both directions."""
    offer = ClientPerMessageDeflateFactory(
        server_no_context_takeover=not server_keeps,
        client_no_context_takeover=not client_keeps,
        server_max_window_bits=server_bits,
        client_max_window_bits=True,
    )
    demand = ServerPerMessageDeflateFactory(
        server_no_context_takeover=not server_keeps,
        client_no_context_takeover=not client_keeps,
        server_max_window_bits=server_bits,
        client_max_window_bits=server_bits,
    )
    messages = [payload for size in (10, 10, 40_000, 40_000) for payload in payloads(size)]

    async def main() -> None:
        async def echo(ws: Any) -> None:
            async for message in ws:
                await ws.send(message)

        server = HTTPServer(Application([("/", Compressing, {"options": {}})]))
        server.listen(0, "127.0.0.1")
        (port,) = {sock.getsockname()[1] for sock in server._sockets.values()}
        url = f"ws://127.0.0.1:{port}/"
        async with websockets.connect(url, compression=None, extensions=[offer]) as theirs:
            assert theirs.protocol.extensions
            for message in messages:
                await theirs.send(message)
                assert await theirs.recv() == message
        server.stop()
        await server.close_all_connections()
        async with websockets.serve(
            echo, "127.0.0.1", 0, compression=None, extensions=[demand]
        ) as other:
            url = f"ws://127.0.0.1:{other.sockets[0].getsockname()[1]}/"
            ours = await websocket_connect(url, compression_options={})
            assert "permessage-deflate" in ours.headers["Sec-WebSocket-Extensions"]
            for message in messages:
                await ours.write_message(message, isinstance(message, bytes))
                assert await ours.read_message() == message
            ours.close()
            assert await ours.read_message() is None

    run(main)


def test_a_bomb_is_stopped_at_the_limit(serve):
    import zlib

    app = Application([("/", Compressing, {"options": {}})], websocket_max_message_size=1 << 16)
    peer = connect(serve(app), Sec_WebSocket_Extensions="permessage-deflate")
    assert peer.response.header("Sec-WebSocket-Extensions") == "permessage-deflate"
    packer = zlib.compressobj(9, wbits=-15)
    bomb = packer.compress(bytes(1 << 26)) + packer.flush(zlib.Z_SYNC_FLUSH)
    peer.send(2, bomb[:-4], rsv=4)
    assert peer.receive().close == (1009, "message too big")
    assert peer.is_closed()
