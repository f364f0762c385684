"""Connections that are kept, as a real server counts them: nginx."""

import asyncio
import ssl
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from authority import Authority
from proxy import free_port, needs_nginx, running_nginx, wrapped
from typhoon.httpclient import HTTPClientError, HTTPRequest
from typhoon.ioloop import IOLoop
from typhoon.simple_httpclient import SimpleAsyncHTTPClient

pytestmark = needs_nginx

SERVERS = """
server {{
    listen 80;
    listen 127.0.0.1:{hinting};
    listen unix:{folder}/socket;
    keepalive_timeout 75s;
    location / {{ return 200 "$connection $connection_requests"; }}
    location /close {{ keepalive_timeout 0; return 200 "$connection $connection_requests"; }}
    location /hint {{ keepalive_timeout 75s 7s; return 200 "$connection $connection_requests"; }}
}}
server {{
    listen 127.0.0.1:{few};
    keepalive_requests 3;
    location / {{ return 200 "$connection $connection_requests"; }}
}}
server {{
    listen 127.0.0.1:{tls} ssl;
    ssl_certificate {server};
    ssl_certificate_key {server};
    ssl_client_certificate {ca};
    ssl_verify_client on;
    location / {{ return 200 "$connection $connection_requests $ssl_client_s_dn"; }}
}}
"""


class Nginx(NamedTuple):
    port: int
    few: int
    tls: int
    unix: str


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Nginx]:
    folder = tmp_path_factory.mktemp("nginx")
    ports = {"hinting": free_port(), "few": free_port(), "tls": free_port()}
    text = SERVERS.format(folder=folder, server=authority.server, ca=authority.ca, **ports)
    with running_nginx(wrapped(text), folder, {}) as connect:
        with connect() as connection:
            port = connection.socket.getpeername()[1]
        yield Nginx(port, ports["few"], ports["tls"], f"{folder}/socket")


async def counted(client: SimpleAsyncHTTPClient, url: Any, **more: Any) -> tuple[str, int]:
    """The connection on which a fetch comes, and how many have come on it."""
    connection, count = (await client.fetch(url, **more)).body.decode().split()[:2]
    return connection, int(count)


def test_one_after_another(io_loop: IOLoop, client: SimpleAsyncHTTPClient, nginx: Nginx) -> None:
    async def main() -> None:
        seen = [await counted(client, f"http://127.0.0.1:{nginx.port}/") for _ in range(10)]
        assert len({connection for connection, _ in seen}) == 1
        assert [count for _, count in seen] == list(range(1, 11))

    io_loop.run_sync(main)


def test_many_at_once(io_loop: IOLoop, nginx: Nginx) -> None:
    async def main() -> None:
        client = SimpleAsyncHTTPClient(force_instance=True, max_clients=5)
        url = f"http://127.0.0.1:{nginx.port}/"
        seen = await asyncio.gather(*(counted(client, url) for _ in range(50)))
        client.close()
        counts = Counter(connection for connection, _ in seen)
        assert len(counts) <= 5
        for connection, count in counts.items():
            ones = [number for other, number in seen if other == connection]
            assert sorted(ones) == list(range(1, count + 1))

    io_loop.run_sync(main)


def test_a_unix_socket(io_loop: IOLoop, client: SimpleAsyncHTTPClient, nginx: Nginx) -> None:
    async def main() -> None:
        request = HTTPRequest("http://localhost/")
        request.unix_socket = nginx.unix
        seen = [await counted(client, request) for _ in range(3)]
        assert [count for _, count in seen] == [1, 2, 3]
        _, count = await counted(client, f"http://localhost:{nginx.port}/")
        assert count == 1

    io_loop.run_sync(main)


def test_tls_with_a_client_certificate(
    io_loop: IOLoop, client: SimpleAsyncHTTPClient, nginx: Nginx, authority: Authority
) -> None:
    url = f"https://localhost:{nginx.tls}/"

    async def main() -> None:
        known = {"ca_certs": authority.ca, "client_cert": authority.client}
        for count in (1, 2, 3):
            body = (await client.fetch(url, **known)).body.decode()
            assert f" {count} CN=a client" in body
        with pytest.raises(HTTPClientError) as failure:
            await client.fetch(url, ca_certs=authority.ca)
        assert failure.value.code == 400  # No required SSL certificate was sent
        with pytest.raises(ssl.SSLCertVerificationError):
            await client.fetch(url, client_cert=authority.client)

    io_loop.run_sync(main)


def test_a_server_that_counts(io_loop: IOLoop, client: SimpleAsyncHTTPClient, nginx: Nginx) -> None:
    async def main() -> None:
        seen = [await counted(client, f"http://127.0.0.1:{nginx.few}/") for _ in range(7)]
        assert [count for _, count in seen] == [1, 2, 3, 1, 2, 3, 1]

    io_loop.run_sync(main)


def test_a_server_that_closes(io_loop: IOLoop, client: SimpleAsyncHTTPClient, nginx: Nginx) -> None:
    async def main() -> None:
        seen = [await counted(client, f"http://127.0.0.1:{nginx.port}/close") for _ in range(3)]
        assert [count for _, count in seen] == [1, 1, 1]

    io_loop.run_sync(main)


def test_the_server_says_how_long(
    io_loop: IOLoop, client: SimpleAsyncHTTPClient, nginx: Nginx
) -> None:
    async def main() -> None:
        response = await client.fetch(f"http://127.0.0.1:{nginx.port}/hint")
        assert response.headers["Keep-Alive"] == "timeout=7"
        ((connection, (until, _)),) = next(iter(client.pool._idle.values())).items()
        assert connection.keep_alive_timeout == 7
        assert until - asyncio.get_running_loop().time() <= 6

    io_loop.run_sync(main)


def test_a_limit_for_each_origin(io_loop: IOLoop, nginx: Nginx) -> None:
    async def main() -> None:
        client = SimpleAsyncHTTPClient(force_instance=True)
        client.pool.max_connections_per_origin = 2
        url = f"http://127.0.0.1:{nginx.port}/"
        seen = await asyncio.gather(*(counted(client, url) for _ in range(20)))
        assert len({connection for connection, _ in seen}) <= 2
        client.close()

    io_loop.run_sync(main)


def test_none_is_kept(io_loop: IOLoop, nginx: Nginx) -> None:
    async def main() -> None:
        client = SimpleAsyncHTTPClient(force_instance=True)
        client.pool.max_idle_connections = 0
        seen = [await counted(client, f"http://127.0.0.1:{nginx.port}/") for _ in range(3)]
        assert [count for _, count in seen] == [1, 1, 1]
        client.close()

    io_loop.run_sync(main)
