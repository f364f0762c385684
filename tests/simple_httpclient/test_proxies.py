"""Fetches through proxies: a real one, and others that misbehave."""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from authority import Authority
from http_servers import APP, echoed, raw_server
from proxy import needs_nginx, running_nginx, wrapped
from support import Server
from tinyproxy import needs_tinyproxy, running_tinyproxy
from typhoon.httpclient import HTTPClientError, HTTPRequest
from typhoon.ioloop import IOLoop
from typhoon.simple_httpclient import HTTPTimeoutError, SimpleAsyncHTTPClient
from typhoon.simple_httpclient.errors import HTTPProxyError
from typhoon.simple_httpclient.route import route_of
from typhoon.simple_httpclient.target import parse_target

PASSWORD = {"proxy_username": "ann", "proxy_password": "s3cret"}


@pytest.fixture
def proxied(tmp_path: Path) -> Iterator[Callable[..., dict[str, Any]]]:
    """Starts tinyproxy; gives the arguments of a fetch that goes through it."""
    with ExitStack() as stack:

        def start(*lines: str, **more: Any) -> dict[str, Any]:
            port = stack.enter_context(running_tinyproxy(tmp_path, *lines))
            return {"proxy_host": "127.0.0.1", "proxy_port": port, **more}

        yield start


@needs_tinyproxy
def test_forwarding(
    io_loop: IOLoop,
    client: SimpleAsyncHTTPClient,
    server: Server,
    proxied: Callable[..., dict[str, Any]],
) -> None:
    async def main() -> None:
        proxy = proxied()
        response = await client.fetch(
            server.url("/echo?a=b"), method="POST", body=b"content", **proxy
        )
        asked = echoed(response)
        assert (asked["method"], asked["uri"], asked["body"]) == ("POST", "/echo?a=b", "content")
        assert "tinyproxy" in asked["headers"]["Via"]
        assert response.effective_url == server.url("/echo?a=b")

    io_loop.run_sync(main)


@needs_tinyproxy
def test_forwarding_with_a_password(
    io_loop: IOLoop,
    client: SimpleAsyncHTTPClient,
    server: Server,
    proxied: Callable[..., dict[str, Any]],
) -> None:
    async def main() -> None:
        proxy = proxied("BasicAuth ann s3cret")
        response = await client.fetch(server.url("/echo"), **proxy, **PASSWORD)
        assert "Proxy-Authorization" not in echoed(response)["headers"]
        for wrong, code in (({}, 407), (PASSWORD | {"proxy_password": "guess"}, 401)):
            with pytest.raises(HTTPClientError) as failure:
                await client.fetch(server.url("/echo"), **proxy, **wrong)
            assert failure.value.code == code  # the response is the proxy's

    io_loop.run_sync(main)


@needs_tinyproxy
@pytest.mark.parametrize("password", [{}, PASSWORD])
def test_tunnel(
    io_loop: IOLoop,
    client: SimpleAsyncHTTPClient,
    tls_server: Server,
    authority: Authority,
    proxied: Callable[..., dict[str, Any]],
    password: dict[str, str],
) -> None:
    async def main() -> None:
        proxy = proxied(*["BasicAuth ann s3cret"] * bool(password), ca_certs=authority.ca)
        url = f"https://localhost:{tls_server.port}/echo"
        response = await client.fetch(url, **proxy, **password)
        headers = echoed(response)["headers"]
        assert headers["Host"] == f"localhost:{tls_server.port}"
        assert not {"Via", "Proxy-Authorization"} & headers.keys()
        times = response.time_info
        assert 0 < times["namelookup"] < times["connect"] < times["appconnect"]
        again = await client.fetch(url, **proxy, **password)
        assert again.time_info["connect"] == 0.0  # through the same tunnel
        other = f"https://127.0.0.1:{tls_server.port}/echo"
        assert (await client.fetch(other, **proxy, **password)).time_info["connect"] > 0

    io_loop.run_sync(main)


@needs_tinyproxy
def test_a_proxy_that_wants_a_password_opens_no_tunnel(
    io_loop: IOLoop,
    client: SimpleAsyncHTTPClient,
    tls_server: Server,
    authority: Authority,
    proxied: Callable[..., dict[str, Any]],
) -> None:
    async def main() -> None:
        proxy = proxied("BasicAuth ann s3cret", ca_certs=authority.ca)
        url = f"https://localhost:{tls_server.port}/echo"
        with pytest.raises(HTTPProxyError, match=r"407 .*: set proxy_username") as failure:
            await client.fetch(url, **proxy)
        assert (failure.value.code, failure.value.proxy_code) == (599, 407)
        with pytest.raises(HTTPProxyError, match="401") as failure:  # which is tinyproxy's way
            await client.fetch(url, **proxy, **PASSWORD | {"proxy_password": "guess"})
        assert "guess" not in str(failure.value)

    io_loop.run_sync(main)


@needs_tinyproxy
def test_a_proxy_that_does_not_go_there(
    io_loop: IOLoop,
    client: SimpleAsyncHTTPClient,
    tls_server: Server,
    proxied: Callable[..., dict[str, Any]],
) -> None:
    async def main() -> None:
        proxy = proxied("ConnectPort 443")
        with pytest.raises(HTTPProxyError) as failure:
            await client.fetch(f"https://localhost:{tls_server.port}/echo", **proxy)
        assert failure.value.proxy_code == 403
        assert f"opens no tunnel to localhost:{tls_server.port}" in str(failure.value)

    io_loop.run_sync(main)


@needs_tinyproxy
def test_a_redirect_out_of_the_proxys_hands_takes_no_password_along(
    io_loop: IOLoop,
    client: SimpleAsyncHTTPClient,
    server: Server,
    tls_server: Server,
    authority: Authority,
    proxied: Callable[..., dict[str, Any]],
) -> None:
    async def main() -> None:
        proxy = proxied("BasicAuth ann s3cret", ca_certs=authority.ca)
        target = f"https://localhost:{tls_server.port}/echo"
        response = await client.fetch(server.url(f"/redirect?to={target}"), **proxy, **PASSWORD)
        assert response.effective_url == target
        assert "Proxy-Authorization" not in echoed(response)["headers"]

    io_loop.run_sync(main)


@needs_nginx
def test_all_http_origins_share_a_connection_to_the_proxy(
    io_loop: IOLoop,
    client: SimpleAsyncHTTPClient,
    serve: Callable[..., Server],
    tmp_path: Path,
) -> None:
    forwards = wrapped(
        "server { listen 80; location / { proxy_pass http://$http_host$request_uri; "
        "proxy_set_header Host $http_host; add_header Connection-Id $connection; } }"
    )

    async def main(port: int) -> None:
        proxy = {"proxy_host": "http://127.0.0.1", "proxy_port": port}
        seen = []
        for one in (serve(APP), serve(APP)):
            response = await client.fetch(one.url("/echo"), **proxy)
            assert echoed(response)["headers"]["Host"] == f"127.0.0.1:{one.port}"
            seen.append(response.headers["Connection-Id"])
        response = await client.fetch(one.url("/echo"), **proxy, **PASSWORD)
        seen.append(response.headers["Connection-Id"])
        assert seen[0] == seen[1]
        assert seen[2] != seen[0]  # who else the proxy knows has a connection of his own

    with running_nginx(forwards, tmp_path, {}) as connect:
        with connect() as connection:
            port = connection.socket.getpeername()[1]
        io_loop.run_sync(lambda: main(port))


async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


@needs_tinyproxy
def test_a_proxy_with_tls(
    io_loop: IOLoop,
    client: SimpleAsyncHTTPClient,
    server: Server,
    tls_server: Server,
    authority: Authority,
    proxied: Callable[..., dict[str, Any]],
) -> None:
    port = proxied("BasicAuth ann s3cret")["proxy_port"]

    async def serve_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        both = (relay(reader, inner_writer), relay(inner_reader, writer))
        try:
            # Whichever side ends first ends both, as TLS cannot be closed by half.
            await asyncio.wait(
                [asyncio.ensure_future(one) for one in both], return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            inner_writer.close()
            writer.close()

    async def main() -> None:
        outer = await asyncio.start_server(
            serve_tls, "127.0.0.1", 0, ssl=authority.server_context()
        )
        async with outer:
            proxy = {
                "proxy_host": "https://localhost",
                "proxy_port": outer.sockets[0].getsockname()[1],
                "ca_certs": authority.ca,
                **PASSWORD,
            }
            forwarded = echoed(await client.fetch(server.url("/echo"), **proxy))
            assert "tinyproxy" in forwarded["headers"]["Via"]
            url = f"https://localhost:{tls_server.port}/echo"
            for _ in range(2):
                tunnelled = echoed(await client.fetch(url, **proxy))
                assert not {"Via", "Proxy-Authorization"} & tunnelled["headers"].keys()
            # That the server's certificate need not be right does not mean the proxy's.
            with pytest.raises(ssl.SSLCertVerificationError):
                await client.fetch(url, **proxy | {"ca_certs": None, "validate_cert": False})
            client.close()

    io_loop.run_sync(main)


@pytest.mark.parametrize(
    ("answer", "message", "code"),
    [
        (b"", "it closed the connection", None),
        (b"HTTP/1.1 200", "it closed the connection", None),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 5\r\n\r\nsorry", "502 Bad Gateway", 502),
        (b"HTTP/1.1 302 Found\r\nLocation: http://a/\r\n\r\n", "it answered 302 Found", 302),
        (b"HTTP/1.1 204\r\n\r\nand more", "it sent more than a head", 204),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "its response is wrong: ", None),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 20000, "its response is wrong: ", None),
    ],
)
def test_proxies_that_are_wrong(
    io_loop: IOLoop, client: SimpleAsyncHTTPClient, answer: bytes, message: str, code: int | None
) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert head == b"CONNECT [::1]:8443 HTTP/1.1\r\nHost: [::1]:8443\r\n\r\n"
        writer.write(answer)
        await writer.drain()

    async def main() -> None:
        async with raw_server(handle) as url:
            place = parse_target(url)
            with pytest.raises(HTTPProxyError, match=message) as failure:
                await client.fetch(
                    "https://[::1]:8443/", proxy_host=place.host, proxy_port=place.port
                )
        assert failure.value.proxy_code == code

    io_loop.run_sync(main)


def test_informational_responses_do_not_open_a_tunnel(
    io_loop: IOLoop, client: SimpleAsyncHTTPClient
) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 ")
        await writer.drain()
        writer.write(b"403 Forbidden\r\n\r\n")
        await writer.drain()

    async def main() -> None:
        async with raw_server(handle) as url:
            place = parse_target(url)
            with pytest.raises(HTTPProxyError, match="403 Forbidden"):
                await client.fetch("https://a/", proxy_host=place.host, proxy_port=place.port)

    io_loop.run_sync(main)


def test_a_proxy_that_never_answers(io_loop: IOLoop, client: SimpleAsyncHTTPClient) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def main() -> None:
        async with raw_server(handle) as url:
            place = parse_target(url)
            with pytest.raises(HTTPTimeoutError) as failure:
                await client.fetch(
                    "https://a/",
                    proxy_host=place.host,
                    proxy_port=place.port,
                    connect_timeout=0.05,
                )
        assert f"while asking for a tunnel through {place.authority}" in str(failure.value)

    io_loop.run_sync(main)


def test_a_proxy_that_is_not_there(io_loop: IOLoop, client: SimpleAsyncHTTPClient) -> None:
    from typhoon.testing import bind_unused_port

    sock, port = bind_unused_port()
    sock.close()

    async def main() -> None:
        for url in ("http://a/", "https://a/"):
            with pytest.raises(ConnectionRefusedError, match=f"127.0.0.1:{port}"):
                await client.fetch(url, proxy_host="127.0.0.1", proxy_port=port)

    io_loop.run_sync(main)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"proxy_host": "proxy"}, "proxy_host='proxy' needs proxy_port"),
        ({"proxy_port": 3128}, "proxy_port needs proxy_host"),
        ({"proxy_host": "socks5://proxy", "proxy_port": 1080}, "uses no socks5 proxies"),
        ({"proxy_host": "http://a:b@proxy", "proxy_port": 1}, "write the rest as proxy_port"),
        (
            {
                "proxy_host": "a",
                "proxy_port": 1,
                "proxy_username": "ann",
                "proxy_auth_mode": "ntlm",
            },
            "unsupported proxy_auth_mode 'ntlm'",
        ),
    ],
)
def test_settings_that_are_wrong(
    io_loop: IOLoop, client: SimpleAsyncHTTPClient, settings: dict[str, Any], message: str
) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match=message):
            await client.fetch("http://a/", **settings)

    io_loop.run_sync(main)


def test_a_proxy_shows_no_password() -> None:
    request = HTTPRequest("http://a/", proxy_host="http://proxy:3128", **PASSWORD)
    route = route_of(request, parse_target(request.url))
    assert route.proxy is not None
    assert repr(route.proxy) == "<Proxy http://proxy:3128>"
    assert (route.host, route.port) == ("proxy", 3128)
