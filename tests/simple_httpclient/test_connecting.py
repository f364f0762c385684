"""How the simple client reaches a server: names, addresses, UNIX sockets, interfaces, TLS."""

import asyncio
import gc
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from authority import Authority
from http_servers import APP, echoed
from support import Server
from typhoon.httpclient import HTTPRequest
from typhoon.ioloop import IOLoop
from typhoon.netutil import Resolver
from typhoon.simple_httpclient import HTTPStreamClosedError, HTTPTimeoutError, SimpleAsyncHTTPClient
from typhoon.simple_httpclient.route import route_of
from typhoon.simple_httpclient.target import parse_target
from typhoon.simple_httpclient.tls import TLSSettings
from typhoon.testing import bind_unused_port


class UnixResolver(Resolver):
    """The well-known recipe: some names stand for UNIX sockets."""

    def initialize(self, path: str) -> None:  # type: ignore[override]
        self.path = path

    async def resolve(  # type: ignore[override]
        self, host: str, port: int, family: int = socket.AF_UNSPEC
    ) -> list[tuple[int, Any]]:
        return [(socket.AF_UNIX, self.path)]


def place(server: Server, host: str, scheme: str = "http") -> str:
    return f"{scheme}://{host}:{server.port}/echo"


def in_unix(path: str) -> HTTPRequest:
    request = HTTPRequest("http://service/echo")
    request.unix_socket = path
    return request


# UNIX sockets


def test_a_unix_socket(
    io_loop: IOLoop, client: SimpleAsyncHTTPClient, serve: Callable[..., Server], tmp_path: Path
) -> None:
    path = str(tmp_path / "socket")
    serve(APP, unix_path=path)

    async def main() -> None:
        for _ in range(2):
            response = await client.fetch(in_unix(path))
            assert echoed(response)["headers"]["Host"] == "service"
        assert response.time_info["connect"] == 0.0  # the connection was kept

    io_loop.run_sync(main)


def test_tls_over_a_unix_socket(
    io_loop: IOLoop,
    client: SimpleAsyncHTTPClient,
    serve: Callable[..., Server],
    tmp_path: Path,
    authority: Authority,
) -> None:
    path = str(tmp_path / "socket")
    serve(APP, unix_path=path, ssl_options=authority.server_context())

    async def main() -> None:
        request = HTTPRequest("https://localhost/echo", ca_certs=authority.ca)
        request.unix_socket = path
        assert echoed(await client.fetch(request))["method"] == "GET"
        request.url = "https://elsewhere/echo"
        with pytest.raises(ssl.SSLCertVerificationError):
            await client.fetch(request)

    io_loop.run_sync(main)


def test_a_resolver_that_knows_a_unix_socket(
    io_loop: IOLoop, serve: Callable[..., Server], tmp_path: Path
) -> None:
    path = str(tmp_path / "socket")
    serve(APP, unix_path=path)

    async def main() -> None:
        client = SimpleAsyncHTTPClient(force_instance=True, resolver=UnixResolver(path=path))
        response = await client.fetch("http://service/echo", allow_ipv6=False)
        assert echoed(response)["headers"]["Host"] == "service"
        client.close()
        client = SimpleAsyncHTTPClient(force_instance=True, resolver=UnixResolver(path="/nowhere"))
        with pytest.raises(FileNotFoundError, match="/nowhere"):
            await client.fetch("http://service/echo")
        client.close()

    io_loop.run_sync(main)


def test_a_unix_socket_that_is_not_there(io_loop: IOLoop, client: SimpleAsyncHTTPClient) -> None:
    async def main() -> None:
        with pytest.raises(FileNotFoundError, match="/nowhere/socket: No such file"):
            await client.fetch(in_unix("/nowhere/socket"))

    io_loop.run_sync(main)


def test_a_unix_socket_whose_backlog_is_full(
    io_loop: IOLoop, client: SimpleAsyncHTTPClient, tmp_path: Path
) -> None:
    path = str(tmp_path / "socket")

    async def main() -> None:
        with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as first:
            listening.bind(path)
            listening.listen(0)
            first.connect(path)
            request = in_unix(path)
            request.connect_timeout = 0.05
            with pytest.raises(HTTPTimeoutError, match=f"while connecting to {path}"):
                await client.fetch(request)
            request.connect_timeout = None
            waiting = client.fetch(request)
            await asyncio.sleep(0)
            listening.setblocking(False)
            loop = asyncio.get_running_loop()
            listening.accept()[0].close()
            server, _ = await loop.sock_accept(listening)
            with server:
                await loop.sock_recv(server, 1000)
                await loop.sock_sendall(server, b"HTTP/1.1 204 No Content\r\n\r\n")
                assert (await waiting).code == 204

    io_loop.run_sync(main)


# Addresses and interfaces


@pytest.mark.parametrize("host", ["[::1]", "[::1%251]", "[::1%1]"])
def test_ipv6_literals(
    io_loop: IOLoop, client: SimpleAsyncHTTPClient, serve: Callable[..., Server], host: str
) -> None:
    server = serve(APP, host="::1")

    async def main() -> None:
        response = await client.fetch(place(server, host))
        assert echoed(response)["headers"]["Host"] == f"[::1]:{server.port}"

    io_loop.run_sync(main)


@pytest.mark.parametrize(
    ("url", "host", "authority"),
    [
        ("http://[fe80::1%25eth0]/", "fe80::1%eth0", "[fe80::1]"),
        ("http://[fe80::1%eth0]:81/", "fe80::1%eth0", "[fe80::1]:81"),
        ("http://[fe80::1%25]/", "fe80::1%25", "[fe80::1]"),
        ("http://[::1]:80/", "::1", "[::1]:80"),
    ],
)
def test_zones(url: str, host: str, authority: str) -> None:
    target = parse_target(url)
    assert (target.host, target.authority) == (host, authority)


def test_tls_with_an_ipv6_address(
    io_loop: IOLoop,
    client: SimpleAsyncHTTPClient,
    serve: Callable[..., Server],
    authority: Authority,
) -> None:
    server = serve(APP, host="::1", ssl_options=authority.server_context())

    async def main() -> None:
        for host in ("[::1]", "[::1%251]"):
            response = await client.fetch(place(server, host, "https"), ca_certs=authority.ca)
            assert echoed(response)["headers"]["Host"] == f"[::1]:{server.port}"

    io_loop.run_sync(main)


def test_without_ipv6(io_loop: IOLoop, server: Server) -> None:
    families = []

    class Noting(Resolver):
        def initialize(self) -> None:
            pass

        async def resolve(  # type: ignore[override]
            self, host: str, port: int, family: int = socket.AF_UNSPEC
        ) -> list[tuple[int, Any]]:
            families.append(family)
            return [(socket.AF_INET, ("127.0.0.1", port))]

    async def main() -> None:
        client = SimpleAsyncHTTPClient(force_instance=True, resolver=Noting())
        for allowed in (None, True, False, False):
            await client.fetch(place(server, "name"), allow_ipv6=allowed)
        client.close()
        assert families == [socket.AF_UNSPEC, socket.AF_INET]  # each once, as they are kept

    io_loop.run_sync(main)


@pytest.mark.parametrize(("host", "interface"), [("127.0.0.1", "lo"), ("[::1]", "lo")])
def test_an_interface(
    io_loop: IOLoop,
    client: SimpleAsyncHTTPClient,
    serve: Callable[..., Server],
    host: str,
    interface: str,
) -> None:
    server = serve(APP, host=host.strip("[]"))

    async def main() -> None:
        response = await client.fetch(place(server, host), network_interface=interface)
        assert response.code == 200

    io_loop.run_sync(main)


def test_an_interface_that_is_not_there(io_loop: IOLoop, client: SimpleAsyncHTTPClient) -> None:
    async def main() -> None:
        with pytest.raises(
            ValueError, match=r"'eth99' is neither an IP address nor a network interface .*lo"
        ):
            await client.fetch("http://127.0.0.1/", network_interface="eth99")
        with pytest.raises(OSError, match=r"192\.0\.2\.1"):
            await client.fetch("http://127.0.0.1/", network_interface="192.0.2.1")

    io_loop.run_sync(main)


# TLS


def test_a_client_certificate(
    io_loop: IOLoop,
    client: SimpleAsyncHTTPClient,
    serve: Callable[..., Server],
    authority: Authority,
) -> None:
    server = serve(APP, ssl_options=authority.server_context(wants_client=True))
    url = place(server, "localhost", "https")

    async def main() -> None:
        known = {"ca_certs": authority.ca, "client_cert": authority.client}
        assert (await client.fetch(url, **known)).time_info["appconnect"] > 0
        assert (await client.fetch(url, **known)).time_info["appconnect"] == 0
        with pytest.raises((OSError, HTTPStreamClosedError)):
            await client.fetch(url, ca_certs=authority.ca)  # over no connection of somebody else
        with pytest.raises(OSError, match="cannot use client_cert '/nowhere'"):
            await client.fetch(url, client_cert="/nowhere")

    io_loop.run_sync(main)


def test_a_certificate_that_nobody_trusts(
    io_loop: IOLoop, client: SimpleAsyncHTTPClient, tls_server: Server, authority: Authority
) -> None:
    url = place(tls_server, "localhost", "https")

    async def main() -> None:
        with pytest.raises(ssl.SSLCertVerificationError):
            await client.fetch(url)
        assert (await client.fetch(url, validate_cert=False)).code == 200
        with pytest.raises(ssl.SSLCertVerificationError):
            await client.fetch(url)  # still: the connection that is idle was made without a look
        context = ssl.create_default_context(cafile=authority.ca)
        for options in ({"ca_certs": authority.ca, "cert_reqs": ssl.CERT_REQUIRED}, context):
            assert (await client.fetch(url, ssl_options=options)).code == 200
            assert (await client.fetch(url, ssl_options=options)).time_info["connect"] == 0

    io_loop.run_sync(main)


# What is interchangeable


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({}, {}, True),
        ({}, {"validate_cert": True}, True),
        ({"headers": {"A": "b"}}, {"method": "PUT"}, True),
        ({}, {"validate_cert": False}, False),
        ({}, {"ca_certs": "file"}, False),
        ({"client_cert": "file"}, {"client_cert": "another"}, False),
        ({"ssl_options": {"ca_certs": "f"}}, {"ssl_options": {"ca_certs": "f"}}, True),
        ({"ssl_options": {"ca_certs": "f"}}, {"ssl_options": {"ca_certs": "g"}}, False),
        ({}, {"network_interface": "lo"}, False),
        ({}, {"allow_ipv6": False}, False),
        ({}, {"url": "https://a:444/"}, False),
        ({}, {"url": "http://a:443/"}, False),
        ({}, {"url": "https://a/b"}, True),
        ({}, {"url": "https://A/"}, True),
        ({}, {"proxy_host": "p", "proxy_port": 1}, False),
    ],
)
def test_routes(one: dict[str, Any], other: dict[str, Any], same: bool) -> None:
    routes = []
    for settings in (one, other):
        request = HTTPRequest(**{"url": "https://a/", **settings})._with_defaults(
            HTTPRequest._DEFAULTS
        )
        routes.append(route_of(request, parse_target(request.url)))
    assert (routes[0] == routes[1]) is same
    assert (hash(routes[0]) == hash(routes[1])) is same


def test_a_unix_socket_and_a_proxy_exclude_each_other() -> None:
    request = HTTPRequest("http://a/", proxy_host="p", proxy_port=1)
    request.unix_socket = "/run/socket"
    with pytest.raises(ValueError, match="exclude each other"):
        route_of(request, parse_target(request.url))


# Nothing is left behind


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@asynccontextmanager
async def stalling(answer: bytes, reached: asyncio.Event) -> AsyncIterator[int]:
    """A server that answers whatever comes, once, and then no more; its port."""
    sock, port = bind_unused_port()
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


@pytest.mark.parametrize("ends_by", ["timeout", "close"])
@pytest.mark.parametrize(
    ("stage", "url", "answer", "through_proxy"),
    [
        ("while resolving name", "http://name:{port}/", b"", False),
        ("during TLS handshake", "https://127.0.0.1:{port}/", b"", False),
        ("while asking for a tunnel", "https://a/", b"", True),
        ("during TLS handshake", "https://a/", b"HTTP/1.1 200 OK\r\n\r\n", True),
        ("while waiting for the response", "http://127.0.0.1:{port}/", b"", False),
        ("while waiting for the response", "http://a/", b"", True),
        (
            "while receiving the body",
            "http://127.0.0.1:{port}/",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n123",
            False,
        ),
    ],
)
def test_whatever_ends_it_no_descriptor_is_left(
    io_loop: IOLoop, stage: str, url: str, answer: bytes, through_proxy: bool, ends_by: str
) -> None:
    async def main() -> None:
        TLSSettings().context()  # which takes its time, once
        # What the loop opens only once: its pipes, libuv's spare descriptor.
        (await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)).close()
        await asyncio.sleep(0.001)
        gc.collect()
        before = open_files()
        reached = asyncio.Event()
        resolver = Slow(reached=reached) if "resolving" in stage else None
        async with stalling(answer, reached) as port:
            client = SimpleAsyncHTTPClient(force_instance=True, resolver=resolver)
            proxy = {"proxy_host": "127.0.0.1", "proxy_port": port} if through_proxy else {}
            timeout = 0.3 if ends_by == "timeout" else 20
            fetching = client.fetch(url.format(port=port), request_timeout=timeout, **proxy)
            if ends_by == "timeout":
                with pytest.raises(HTTPTimeoutError, match=stage):
                    await fetching
            else:
                await reached.wait()
                client.close()
                with pytest.raises(asyncio.CancelledError):
                    await fetching
            client.close()
        for _ in range(1000):
            if open_files() == before:
                break
            await asyncio.sleep(0.001)
        assert open_files() == before

    io_loop.run_sync(main)
