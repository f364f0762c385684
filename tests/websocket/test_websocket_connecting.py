"""`websocket_connect` over every kind of connection, and what is left where none comes of it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import pickle
import re
import ssl
import tempfile
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import websockets
from peers import Echo

from authority import Authority
from digest_servers import needs_apache, prepare, running_apache
from proxy import free_port, needs_nginx, running_nginx, wrapped
from support import Server, without_collector
from tinyproxy import needs_tinyproxy, running_tinyproxy
from typhoon.httpclient import HTTPClientError, HTTPRequest, Stage
from typhoon.netutil import Resolver
from typhoon.simple_httpclient import HTTPTimeoutError
from typhoon.simple_httpclient.errors import HTTPProxyError
from typhoon.simple_httpclient.tls import TLSSettings
from typhoon.testing import bind_unused_port
from typhoon.web import Application
from typhoon.websocket import (
    WebSocketClientConnection,
    WebSocketClosedError,
    WebSocketHandler,
    websocket_connect,
)

PASSWORD = {"proxy_username": "ann", "proxy_password": "s3cret"}


class Asked(WebSocketHandler):
    """Says what it was asked, and from where."""

    def open(self) -> None:
        headers = dict(self.request.headers.get_all())
        self.write_message({"headers": headers, "ip": self.request.remote_ip})

    on_message = Echo.on_message


APP = Application([("/", Asked), ("/echo", Echo)])


@pytest.fixture
def server(serve: Callable[..., Server]) -> Server:
    return serve(APP)


@pytest.fixture
def tls_server(serve: Callable[..., Server], authority: Authority) -> Server:
    return serve(APP, ssl_options=authority.server_context())


def in_unix(request: HTTPRequest, path: str) -> HTTPRequest:
    request.unix_socket = path
    return request


async def echoes(request: HTTPRequest | str, **options: Any) -> None:
    """The WebSocket works, in both directions and to its end."""
    ws = await websocket_connect(request, **options)
    for message in ("grün", "x" * 300_000):
        await ws.write_message(message)
        assert await ws.read_message() == message
    ws.close(1000)
    assert await ws.read_message() is None
    assert ws.close_code == 1000


async def asked(request: HTTPRequest | str) -> dict[str, Any]:
    from typhoon.escape import json_decode

    ws = await websocket_connect(request)
    seen = json_decode(await ws.read_message() or "")
    ws.close()
    assert await ws.read_message() is None
    return dict(seen)


# Proxies


@needs_tinyproxy
@pytest.mark.parametrize("password", [{}, PASSWORD], ids=["open", "password"])
@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_tinyproxy(run, server, tls_server, authority, tmp_path, scheme, password):
    other = server if scheme == "ws" else tls_server
    url = f"{scheme}://localhost:{other.port}/"

    async def main(port: int) -> None:
        proxy = {"proxy_host": "127.0.0.1", "proxy_port": port, "ca_certs": authority.ca}
        headers = (await asked(HTTPRequest(url, **proxy, **password)))["headers"]
        assert headers["Host"] == f"localhost:{other.port}"
        assert not {"Via", "Proxy-Authorization"} & headers.keys()  # which a tunnel keeps out
        await echoes(HTTPRequest(url + "echo", **proxy, **password))
        if password:
            for wrong in ({}, PASSWORD | {"proxy_password": "guess"}):
                with pytest.raises(HTTPProxyError) as caught:
                    await websocket_connect(HTTPRequest(url, **proxy, **wrong))
                check(caught.value, url, Stage.PROXY)
                assert caught.value.proxy_code in (401, 407)

    with running_tinyproxy(tmp_path, *["BasicAuth ann s3cret"] * bool(password)) as port:
        run(lambda: main(port))


@needs_apache
def test_digests(run, server):
    """Apache as a proxy that opens tunnels, and as a server with ours behind it."""
    port = free_port()
    more = f'ProxyPass "/echo" "http://127.0.0.1:{server.port}/echo" upgrade=websocket\n'

    async def main() -> None:
        proxy = {"proxy_host": "127.0.0.1", "proxy_port": port, "proxy_auth_mode": "digest"}
        login = {"proxy_username": "Mufasa", "proxy_password": "Circle of Life"}
        await echoes(HTTPRequest(f"ws://127.0.0.1:{server.port}/echo", **proxy, **login))
        with pytest.raises(HTTPProxyError, match="407"):
            await websocket_connect(
                HTTPRequest("ws://127.0.0.1/", **proxy, **login | {"proxy_password": "?"})
            )
        url = f"ws://127.0.0.1:{port}/echo"
        login = {"auth_username": "Mufasa", "auth_password": "Circle of Life"}
        await echoes(HTTPRequest(url, auth_mode="digest", **login))
        with pytest.raises(HTTPClientError) as caught:
            await websocket_connect(HTTPRequest(url, **login))  # as basic
        assert (caught.value.code, caught.value.response.code) == (401, 401)
        with pytest.raises(HTTPClientError, match="401"):
            await websocket_connect(
                HTTPRequest(url, auth_mode="digest", **login | {"auth_password": "?"})
            )

    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)  # Apache is another user
        prepare(Path(name), {"Mufasa": "Circle of Life"})
        with running_apache(Path(name), port, more):
            run(main)


def test_a_digest_is_asked_for_once(run, serve):
    class Secret(Echo):
        """As RFC 2069 has it."""

        def prepare(self) -> None:
            def digest(*parts: str) -> str:
                return hashlib.md5(":".join(parts).encode()).hexdigest()

            said = dict(
                re.findall('([a-z]+)="([^"]*)"', self.request.headers.get("Authorization", ""))
            )
            right = digest(digest("ann", "r", "s3cret"), "n", digest("GET", said.get("uri", "")))
            requests.append(said.get("uri", ""))
            if said.get("response") != right:
                self.set_header("WWW-Authenticate", 'Digest realm="r", nonce="n"')
                self.set_status(401)
                self.finish()

    requests: list[str] = []
    server = serve(Application([("/.*", Secret)]))

    async def main() -> None:
        url = f"ws://ann:s3cret@127.0.0.1:{server.port}/a?b=c"
        await echoes(HTTPRequest(url, auth_mode="digest"))
        assert requests == ["", "/a?b=c"]
        with pytest.raises(HTTPClientError, match="401"):
            await websocket_connect(HTTPRequest(url.replace("s3cret", "no"), auth_mode="digest"))
        assert len(requests) == 4

    run(main)


def test_a_proxy_with_tls(run, server, tls_server, authority):
    """TLS in TLS, and plain WebSockets in TLS."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        host, port = head.split()[1].decode().rsplit(":", 1)
        other = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(relay(reader, other[1]), relay(other[0], writer))

    async def main() -> None:
        async with await asyncio.start_server(
            proxy, "127.0.0.1", 0, ssl=authority.server_context()
        ) as listening:
            place = {
                "proxy_host": "https://localhost",
                "proxy_port": listening.sockets[0].getsockname()[1],
                "ca_certs": authority.ca,
            }
            await echoes(HTTPRequest(f"ws://localhost:{server.port}/echo", **place))
            await echoes(HTTPRequest(f"wss://localhost:{tls_server.port}/echo", **place))

    run(main)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"proxy_host": "127.0.0.1"}, "needs proxy_port"),
        ({"proxy_host": "socks5://a", "proxy_port": 1}, "no socks5 proxies"),
        ({"client_key": "key"}, "client_key needs client_cert"),
        ({"network_interface": "nowhere0"}, "nowhere0"),
        ({"auth_username": "a", "auth_mode": "other"}, "auth_mode"),
    ],
)
def test_settings_that_cannot_be(run, settings, match):
    async def main() -> None:
        with pytest.raises(ValueError, match=match):
            await websocket_connect(HTTPRequest("wss://127.0.0.1:1/", **settings))

    run(main)


# UNIX sockets, interfaces, TLS


def test_unix_sockets(run, serve, authority, tmp_path):
    plain, secure = str(tmp_path / "plain"), str(tmp_path / "tls")
    serve(APP, unix_path=plain)
    serve(APP, unix_path=secure, ssl_options=authority.server_context())

    async def main() -> None:
        headers = (await asked(in_unix(HTTPRequest("ws://service/"), plain)))["headers"]
        assert headers["Host"] == "service"
        await echoes(in_unix(HTTPRequest("ws://service/echo"), plain))
        request = HTTPRequest("wss://localhost/echo", ca_certs=authority.ca)
        await echoes(in_unix(request, secure))
        missing = in_unix(HTTPRequest("ws://service/"), "/nowhere/socket")
        with pytest.raises(FileNotFoundError, match="/nowhere/socket") as caught:
            await websocket_connect(missing)
        check(caught.value, "ws://service/", Stage.CONNECTING)

    run(main)


def test_where_it_comes_from(run, server):
    async def main() -> None:
        url = f"ws://127.0.0.1:{server.port}/"
        assert (await asked(HTTPRequest(url, network_interface="127.0.0.7")))["ip"] == "127.0.0.7"
        assert (await asked(HTTPRequest(url, network_interface="lo")))["ip"] == "127.0.0.1"
        request = HTTPRequest(url.replace("ws://", "ws://ann:s3cret@"))
        headers = (await asked(request))["headers"]
        assert headers["Authorization"] == "Basic YW5uOnMzY3JldA=="
        assert "Accept-Encoding" not in headers
        request = HTTPRequest(url, headers={"Accept-Encoding": "x", "Cookie": "a=b", "Host": "h"})
        headers = (await asked(request))["headers"]
        assert (headers["Accept-Encoding"], headers["Cookie"], headers["Host"]) == ("x", "a=b", "h")

    run(main)


NGINX = """
server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {authority.server};
    ssl_certificate_key {authority.server};
    ssl_client_certificate {authority.ca};
    ssl_verify_client on;
    location / {{
        proxy_pass http://127.0.0.1:{behind};
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection "upgrade";
    }}
}}
server {{ listen 80; }}
"""


@needs_nginx
@pytest.mark.parametrize("whose", ["ours", "websockets"])
def test_client_certificates_and_nginx(run, server, authority, tmp_path, whose):
    async def echo(ws: Any) -> None:
        async for message in ws:
            await ws.send(message)

    async def main() -> None:
        async with websockets.serve(echo, "127.0.0.1", 0) as other:
            behind = other.sockets[0].getsockname()[1] if whose == "websockets" else server.port
            port = free_port()
            text = wrapped(NGINX.format(authority=authority, port=port, behind=behind))
            with running_nginx(text, tmp_path, {}):
                url = f"wss://localhost:{port}/echo"
                trust = {"ca_certs": authority.ca}
                for options in ({}, {"compression_options": {}}):
                    request = HTTPRequest(url, client_cert=authority.client, **trust)
                    await echoes(request, **options)
                context = ssl.create_default_context(cafile=authority.ca)
                context.load_cert_chain(authority.client)
                await echoes(HTTPRequest(url, ssl_options=context))
                with pytest.raises(HTTPClientError, match="400"):
                    await websocket_connect(HTTPRequest(url, **trust))
                with pytest.raises(ssl.SSLCertVerificationError) as caught:
                    await websocket_connect(url)
                check(caught.value, url, Stage.TLS_HANDSHAKE)
                await echoes(HTTPRequest(url, client_cert=authority.client, validate_cert=False))

    run(main)


# What went wrong, where


def check(error: Any, url: str, stage: Stage) -> None:
    """The error says what it is about."""
    assert (error.method, error.url, error.stage) == ("GET", url, stage)
    assert f"GET {url}" in str(error) + "".join(getattr(error, "__notes__", []))
    if isinstance(error, HTTPClientError):
        assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_nobody_listens(run):
    async def main() -> None:
        sock, port = bind_unused_port()
        sock.close()
        url = f"ws://127.0.0.1:{port}/"
        with pytest.raises(ConnectionRefusedError, match=re.escape(f"(GET {url}, while")) as caught:
            await websocket_connect(url)
        check(caught.value, url, Stage.CONNECTING)

    run(main)


def test_passwords_are_not_told(run):
    async def main() -> None:
        for url in (
            "ws://ann:s3cret@127.0.0.1:1/",
            "ws://ann:s3cret@127.0.0.1/#x",
            "x://a:s3cret@b",
        ):
            with pytest.raises((OSError, ValueError)) as caught:
                await websocket_connect(url)
            told = str(caught.value) + "".join(getattr(caught.value, "__notes__", []))
            assert "s3cret" not in told
            assert "***@" in told

    run(main)


OK = b"HTTP/1.1 200 OK\r\n\r\n"


@asynccontextmanager
async def stalling(answer: bytes, reached: asyncio.Event) -> AsyncIterator[int]:
    """A server that answers whatever comes, once, and then no more; its port."""
    connections: list[asyncio.Task[None]] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(asyncio.current_task())  # type: ignore[arg-type]
        try:
            await reader.read(65536)
            writer.write(answer)
            reached.set()
            await reader.read()
        except OSError:
            pass
        finally:
            writer.close()

    sock, port = bind_unused_port()
    async with await asyncio.start_server(handle, sock=sock):
        yield port
        for connection in connections:
            await connection


class Slow(Resolver):
    def initialize(self, reached: asyncio.Event) -> None:  # type: ignore[override]
        self.reached = reached

    async def resolve(self, *args: Any, **kwargs: Any) -> list[tuple[int, Any]]:  # type: ignore[override]
        self.reached.set()
        await asyncio.Event().wait()
        return []


@pytest.mark.parametrize("ends_by", ["timeout", "cancel", "close"])
@pytest.mark.parametrize(
    ("stage", "url", "answer"),
    [
        (Stage.RESOLVING, "ws://name:{port}/", b""),
        (Stage.TLS_HANDSHAKE, "wss://127.0.0.1:{port}/", b""),
        (Stage.PROXY, "ws://a/", b""),
        (Stage.PROXY, "wss://a/", b"HTTP/1.1 200"),
        (Stage.TLS_HANDSHAKE, "wss://a/", OK),
        (Stage.WAITING, "ws://a/", OK),
        (Stage.WAITING, "ws://127.0.0.1:{port}/", b""),
        (Stage.HEAD, "ws://127.0.0.1:{port}/", b"HTTP/1.1 101"),
        (Stage.BODY, "ws://127.0.0.1:{port}/", b"HTTP/1.1 403 No\r\nContent-Length: 5\r\n\r\n12"),
    ],
    ids=lambda value: str(value) if isinstance(value, Stage) else None,
)
def test_whatever_ends_it_nothing_is_left(run, stage, url, answer, ends_by):
    async def main() -> None:
        TLSSettings().context()  # which takes its time, once
        (await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)).close()  # opens pipes, once
        await asyncio.sleep(0.001)
        before = open_files()
        reached = asyncio.Event()
        resolver = Slow(reached=reached) if stage is Stage.RESOLVING else None
        async with stalling(answer, reached) as port:
            place = url.format(port=port)
            request = HTTPRequest(place)
            if "://a/" in url:
                request.proxy_host, request.proxy_port = "127.0.0.1", port
            if ends_by == "timeout":
                connects = stage in (Stage.RESOLVING, Stage.TLS_HANDSHAKE, Stage.PROXY)
                setattr(request, "connect_timeout" if connects else "request_timeout", 0.5)
            with without_collector():
                ws = WebSocketClientConnection(request, resolver=resolver)
                if ends_by == "timeout":
                    with pytest.raises(HTTPTimeoutError) as caught:
                        await ws.connect_future
                    check(caught.value, place, stage)
                    del caught
                else:
                    await reached.wait()
                    await asyncio.sleep(0.01)
                    if ends_by == "close":
                        ws.close()
                        with pytest.raises(WebSocketClosedError, match="before it was open"):
                            await ws.connect_future
                    else:
                        ws.connect_future.cancel()
                alive = weakref.ref(ws)
                del ws
                for _ in range(1000):
                    if alive() is None and open_files() <= before + 2:
                        break
                    await asyncio.sleep(0.001)
                assert alive() is None
        for _ in range(1000):
            if open_files() == before:
                break
            await asyncio.sleep(0.001)
        assert open_files() == before
        await no_tasks()

    run(main)


def test_closing_at_once(run):
    async def main() -> None:
        ws = WebSocketClientConnection(HTTPRequest("ws://127.0.0.1:1/"))
        ws.close()
        with pytest.raises(WebSocketClosedError, match="before it was open"):
            await ws.connect_future
        future = websocket_connect("ws://127.0.0.1:1/")
        future.cancel()
        with pytest.raises(asyncio.CancelledError):
            await future
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await websocket_connect("ws://127.0.0.1:1/")
        await no_tasks()

    run(main)


def test_the_connecting_has_a_limit_of_its_own(run):
    """A slow handshake is fine where the request has more time than the connection."""

    class Late(Echo):
        async def prepare(self) -> None:
            await asyncio.sleep(0.2)

    async def main() -> None:
        from typhoon.httpserver import HTTPServer

        http_server = HTTPServer(Application([("/", Late)]))
        sock, port = bind_unused_port()
        http_server.add_socket(sock)
        url = f"ws://127.0.0.1:{port}/"
        await echoes(HTTPRequest(url, connect_timeout=0.1, request_timeout=20))
        with pytest.raises(HTTPTimeoutError) as caught:
            await websocket_connect(url, connect_timeout=0.1)
        check(caught.value, url, Stage.WAITING)
        http_server.stop()
        await http_server.close_all_connections()

    run(main)


def test_an_open_connection_is_freed_with_its_last_reference(run, server):
    async def main() -> None:
        ws = await websocket_connect(f"ws://127.0.0.1:{server.port}/echo")
        with without_collector():
            alive = weakref.ref(ws)
            assert await ws.connect_future is ws
            ws.close()
            assert await ws.read_message() is None
            del ws
            await asyncio.sleep(0.01)
            assert alive() is None

    run(main)


async def no_tasks() -> None:
    """Wait until there are no tasks but this one."""
    for _ in range(1000):
        if asyncio.all_tasks() == {asyncio.current_task()}:
            return
        await asyncio.sleep(0.001)
    raise AssertionError(asyncio.all_tasks())


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))
