"""`websocket_connect` and `WebSocketClientConnection`, against servers of all kinds."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import pytest
import trustme
from peers import BINARY, CLOSE, PING, PONG, encode
from scripted import nothing, scripted

from typhoon.httpclient import HTTPClientError, HTTPRequest
from typhoon.httpserver import HTTPServer
from typhoon.netutil import Resolver
from typhoon.simple_httpclient import HTTPTimeoutError
from typhoon.web import Application, RequestHandler
from typhoon.websocket import (
    WebSocketClosedError,
    WebSocketError,
    WebSocketHandler,
    websocket_connect,
)


class Echo(WebSocketHandler):
    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        return "b" if "b" in subprotocols else None

    def open(self) -> None:
        if greeting := self.request.headers.get("X-Greeting"):
            self.write_message(greeting)

    async def on_message(self, message: str | bytes) -> None:
        if message == "close":
            self.close(4001, "as you wish")
        else:
            await self.write_message(message, isinstance(message, bytes))


class Plain(RequestHandler):
    def get(self) -> None:
        self.write("no WebSocket here")


class Moved(RequestHandler):
    def get(self) -> None:
        self.redirect("/")


@contextlib.asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[str]:
    rules: list[Any] = [("/", Echo), ("/plain", Plain), ("/moved", Moved)]
    server = HTTPServer(Application(rules), **options)
    server.listen(0, "127.0.0.1")
    (port,) = {sock.getsockname()[1] for sock in server._sockets.values()}
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop()
        await server.close_all_connections()


def test_messages_and_their_end(run):
    async def main() -> None:
        async with serving() as host:
            ws = await websocket_connect(f"ws://{host}/")
            assert ws.headers["Upgrade"] == "websocket"
            assert (ws.code, ws.selected_subprotocol) == (101, None)
            await ws.write_message("grün")
            assert await ws.read_message() == "grün"
            await ws.write_message(b"\xff" * 100_000, binary=True)
            assert await ws.read_message() == b"\xff" * 100_000
            ws.write_message({"a": 1})
            assert await ws.read_message() == '{"a": 1}'
            ws.write_message("close")
            assert await ws.read_message() is None
            assert await ws.read_message() is None
            assert (ws.close_code, ws.close_reason) == (4001, "as you wish")
            for late in (lambda: ws.write_message("late"), ws.ping):
                with pytest.raises(WebSocketClosedError):
                    late()

    run(main)


def test_headers_and_subprotocols(run):
    async def main() -> None:
        async with serving() as host:
            request = HTTPRequest(f"ws://{host}/", headers={"X-Greeting": "hello"})
            ws = await websocket_connect(request, subprotocols=["a", "b"])
            assert ws.selected_subprotocol == "b"
            assert await ws.read_message() == "hello"
            assert "Sec-WebSocket-Key" not in request.headers
            ws.close()
            assert await ws.read_message() is None

    run(main)


def test_a_callback_gets_messages_one_at_a_time(run):
    async def main() -> None:
        seen: list[Any] = []
        over = asyncio.Event()

        async def on_message(message: str | bytes | None) -> None:
            seen.append(("begin", message))
            await asyncio.sleep(0)
            seen.append(("end", message))
            if message == "b":
                ws.close(1000, "enough")

        def ended(message: str | bytes | None) -> Awaitable[None] | None:
            if message is None:
                over.set()
                return None
            return on_message(message)

        async with serving() as host:
            ws = await websocket_connect(f"ws://{host}/", on_message_callback=ended)
            ws.write_message("a")
            ws.write_message("b")
            await over.wait()
        assert seen == [("begin", "a"), ("end", "a"), ("begin", "b"), ("end", "b")]

    run(main)


def test_what_is_not_read_is_not_received(run):
    async def main() -> None:
        count = 3000
        sent = 0

        async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            for _ in range(count):
                writer.write(encode(BINARY, bytes(10_000), masked=False))
                await writer.drain()
                sent += 1
            writer.write(encode(CLOSE, masked=False))
            writer.close()

        async with scripted(flood) as url:
            ws = await websocket_connect(url)
            before = -1
            while sent != before:
                before = sent
                await asyncio.sleep(0.05)
            assert sent < count
            assert len(ws.read_queue) <= 16
            for _ in range(count):
                message = await ws.read_message()
                assert message is not None
                assert len(message) == 10_000
            ws.close()
            assert await ws.read_message() is None

    run(main)


@pytest.mark.parametrize(
    ("path", "error", "match"),
    [
        ("/missing", HTTPClientError, "404"),
        ("/moved", HTTPClientError, "302"),
        ("/plain", WebSocketError, "Non-websocket response"),
    ],
)
def test_servers_that_do_not_switch(run, path, error, match):
    async def main() -> None:
        async with serving() as host:
            with pytest.raises(error, match=match) as caught:
                await websocket_connect(f"ws://{host}{path}")
            if error is HTTPClientError and path == "/missing":
                assert b"404" in caught.value.response.body

    run(main)


def test_a_server_that_closes_or_is_not_there(run):
    async def main() -> None:
        async def close(reader: Any, writer: Any) -> None: ...

        async with scripted(close, " ") as url:
            with pytest.raises((WebSocketError, OSError)):
                await websocket_connect(url)
        with pytest.raises(OSError, match=r"127\.0\.0\.1"):
            await websocket_connect(url)

    run(main)


def test_timeout(run):
    async def main() -> None:
        async with scripted(nothing, " ") as url:
            with pytest.raises(HTTPTimeoutError, match="while receiving the head"):
                await websocket_connect(url, connect_timeout=0.05)
            request = HTTPRequest(url, connect_timeout=0.05)
            with pytest.raises(HTTPTimeoutError):
                await websocket_connect(request)
            with pytest.raises(ValueError, match="HTTPRequest"):
                websocket_connect(request, connect_timeout=1)

    run(main)


@pytest.mark.parametrize("url", ["ftp://localhost/", "ws://localhost/#fragment", "ws:///path"])
def test_urls_of_no_websocket(run, url):
    async def main() -> None:
        with pytest.raises(ValueError, match=r"http|fragment|host"):
            await websocket_connect(url)

    run(main)


def test_masks_are_never_the_same(run):
    async def main() -> None:
        seen: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.set_result(await reader.readexactly(7 * 600))

        async with scripted(read) as url:
            ws = await websocket_connect(url)
            for _ in range(600):
                ws.write_message("a")
            frames = await seen
            masks = {frames[i + 2 : i + 6] for i in range(0, len(frames), 7)}
            assert len(masks) > 590
            ws.close()

    run(main)


def test_pings(run):
    async def main() -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for _ in range(2):
                assert (await reader.readexactly(6))[0] == 0x80 | PING
                writer.write(encode(PONG, masked=False))
            writer.write(encode(PING, b"?", masked=False))
            frame = await reader.readexactly(7)
            while frame[0] != 0x80 | PONG:
                frame = frame[6:] + await reader.readexactly(6)
            assert frame[6] ^ frame[2] == ord("?")
            await reader.read()

        async with scripted(answer) as url:
            ws = await websocket_connect(url, ping_interval=0.02, ping_timeout=0.02)
            assert await ws.read_message() is None  # in the end nobody answers

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typhoon.websocket.protocol.CLOSE_TIMEOUT", 0.1)
        run(main)


def test_closing_before_it_is_open(run):
    async def main() -> None:
        from typhoon.websocket import WebSocketClientConnection

        async with scripted(nothing, " ") as url:
            ws = WebSocketClientConnection(HTTPRequest(url))
            with pytest.raises(WebSocketClosedError):
                ws.write_message("early")
            await asyncio.sleep(0)
            ws.close()
            with pytest.raises(WebSocketClosedError):
                await ws.connect_future

    run(main)


def test_who_forgets_to_close_is_told(run):
    async def main() -> None:
        async with serving() as host:
            ws = await websocket_connect(f"ws://{host}/")
            with pytest.warns(ResourceWarning, match="has not been closed"):
                ws.__del__()
            ws.close()
            assert await ws.read_message() is None

    run(main)


def test_the_older_callbacks(run):
    async def main() -> None:
        opened: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        read: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        async with serving() as host:
            with pytest.warns(DeprecationWarning, match="await what it returns"):
                websocket_connect(f"ws://{host}/", callback=opened.set_result)
            ws = (await opened).result()
            ws.write_message("hello")
            ws.read_message(read.set_result)
            assert (await read).result() == "hello"
            ws.close()
            assert await ws.read_message() is None

    run(main)


class Pointing(Resolver):
    """Finds every name at 127.0.0.1."""

    def initialize(self) -> None: ...

    async def resolve(self, host: str, port: int, family: Any = 0) -> Any:
        import socket

        return [(socket.AF_INET, ("127.0.0.1", port))]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def test_tls(run, authority):
    async def main() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("feed.example").configure_cert(context)
        trusting = ssl.create_default_context()
        authority.configure_trust(trusting)
        async with serving(ssl_options=context) as host:
            port = host.split(":")[1]
            request = HTTPRequest(f"wss://feed.example:{port}/", ssl_options=trusting)
            ws = await websocket_connect(request, resolver=Pointing(), compression_options={})
            for message in ["hello", "x" * 1_000_000]:
                await ws.write_message(message)
                assert await ws.read_message() == message
            ws.close(1000)
            assert await ws.read_message() is None
            assert ws.close_code == 1000
            request = HTTPRequest(f"wss://other.example:{port}/", ssl_options=trusting)
            with pytest.raises(ssl.SSLCertVerificationError):
                await websocket_connect(request, resolver=Pointing())

    run(main)


def test_through_a_proxy(run):
    async def main() -> None:
        asked: list[bytes] = []

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError):
                while data := await reader.read(65536):
                    writer.write(data)
            writer.close()

        async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            asked.append(head)
            if b"Proxy-Authorization: Basic QW5uOnNlY3JldA==\r\n" not in head:
                writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
                writer.close()
                return
            host, port = head.split()[1].decode().rsplit(":", 1)
            other = await asyncio.open_connection(host, int(port))
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await asyncio.gather(relay(reader, other[1]), relay(other[0], writer))

        server = await asyncio.start_server(proxy, "127.0.0.1", 0)
        place = {"proxy_host": "127.0.0.1", "proxy_port": server.sockets[0].getsockname()[1]}
        login = {"proxy_username": "Ann", "proxy_password": "secret"}
        async with serving() as host:
            ws = await websocket_connect(HTTPRequest(f"ws://{host}/", **place, **login))
            await ws.write_message("hello")
            assert await ws.read_message() == "hello"
            ws.close()
            assert await ws.read_message() is None
            with pytest.raises(HTTPClientError, match="407"):
                await websocket_connect(HTTPRequest(f"ws://{host}/", **place))
            assert asked[0].startswith(b"CONNECT %s HTTP/1.1\r\n" % host.encode())
        server.close()
        await server.wait_closed()

    run(main)
