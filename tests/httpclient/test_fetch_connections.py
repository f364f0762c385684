"""How every client gets to the server: TLS, proxies, UNIX sockets, addresses, time limits."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from fetch_servers import APP
from http_servers import echoed, hangs, raw_server
from proxy import free_port, needs_nginx, running_nginx, wrapped
from support import Server
from tinyproxy import needs_tinyproxy, running_tinyproxy
from typhoon.httpclient import AsyncHTTPClient, HTTPError

pytestmark = pytest.mark.gen_test
"""Coroutines run on a loop of Typhoon's plugin."""


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    """A server's context, and a folder with ca.pem, client.pem and server.pem."""
    folder, ca = tmp_path_factory.mktemp("tls"), trustme.CA()
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    certificate = ca.issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    ca.issue_cert("me@example.org").private_key_and_cert_chain_pem.write_to_path(
        str(folder / "client.pem")
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    context.verify_mode = ssl.CERT_OPTIONAL
    ca.configure_trust(context)
    return context, folder


async def test_certificates(
    client: AsyncHTTPClient, serve: Callable[..., Server], tls: tuple[ssl.SSLContext, Path]
) -> None:
    context, folder = tls
    url = f"https://localhost:{serve(APP, ssl_options=context).port}/peer"
    ca, own = str(folder / "ca.pem"), str(folder / "client.pem")
    with pytest.raises(Exception, match=r"(?i)certificate") as caught:
        await client.fetch(url, allow_ipv6=False)
    assert (caught.value.stage, caught.value.url) == ("TLS handshake", url)
    with pytest.raises(Exception, match="/no/such/file"):
        await client.fetch(url, ca_certs="/no/such/file", allow_ipv6=False)
    for arguments, known in (
        ({"ca_certs": ca}, False),
        ({"validate_cert": False}, False),
        ({"ca_certs": ca, "client_cert": own}, True),
        ({"ca_certs": ca, "client_cert": own, "client_key": own}, True),
        ({"ssl_options": {"ca_certs": ca, "certfile": own}}, True),
        ({"ssl_options": {"cert_reqs": ssl.CERT_NONE}}, False),
        ({"ca_certs": ca}, False),
    ):
        response = await client.fetch(url, allow_ipv6=False, **arguments)
        assert echoed(response)["certificate"] is known
    assert response.time_info["connect"] <= response.time_info["starttransfer"]


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
async def test_digest_authentication(
    client: AsyncHTTPClient, server: Server, algorithm: str
) -> None:
    lines: list[str] = []
    url = server.url(f"/digest/{algorithm}")
    arguments: dict[str, Any] = {"auth_username": "me", "auth_mode": "digest"}
    response = await client.fetch(
        url, auth_password="secret", header_callback=lines.append, **arguments
    )
    assert response.body == b"hello me"
    assert [line for line in lines if line.startswith("HTTP/")] == ["HTTP/1.1 200 OK\r\n"]
    with pytest.raises(HTTPError, match="401"):
        await client.fetch(url, auth_password="wrong", **arguments)


# Proxies


async def test_a_proxy(client: AsyncHTTPClient) -> None:
    heads: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")

    async with raw_server(handle) as url:
        for user in ("me", None):
            response = await client.fetch(
                "http://example.invalid/path",
                proxy_host="127.0.0.1",
                proxy_port=int(url.rstrip("/").rpartition(":")[2]),
                proxy_username=user,
                proxy_password="secret",
            )
            assert response.body == b"ok"
    with_user, without = heads
    assert with_user.startswith(b"GET http://example.invalid/path HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic bWU6c2VjcmV0\r\n" in with_user
    assert b"Proxy-Authorization" not in without


@needs_tinyproxy
@pytest.mark.parametrize("has_tls", [False, True], ids=["forwarded", "tunnel"])
async def test_credentials_set_by_hand_are_for_the_proxy(
    client: AsyncHTTPClient,
    serve: Callable[..., Server],
    tls: tuple[ssl.SSLContext, Path],
    tmp_path: Path,
    has_tls: bool,
) -> None:
    server = serve(APP, ssl_options=tls[0] if has_tls else None)
    url = f"{'https' if has_tls else 'http'}://127.0.0.1:{server.port}/"
    with running_tinyproxy(tmp_path, "BasicAuth me secret") as port:
        for path in ("echo", f"redirect?to={url.replace('127.0.0.1', 'localhost')}echo"):
            response = await client.fetch(
                url + path,
                headers={"Proxy-Authorization": "Basic bWU6c2VjcmV0"},
                proxy_host="127.0.0.1",
                proxy_port=port,
                validate_cert=False,
            )
            assert "Proxy-Authorization" not in echoed(response)["headers"]


async def test_digest_authentication_with_a_proxy(client: AsyncHTTPClient, server: Server) -> None:
    response = await client.fetch(
        "http://example.invalid/forwarded",
        proxy_host="127.0.0.1",
        proxy_port=server.port,
        proxy_username="me",
        proxy_password="secret",
        proxy_auth_mode="digest",
    )
    assert response.body == b"hello me"


# Sockets and addresses


async def test_a_unix_socket(
    client: AsyncHTTPClient, serve: Callable[..., Server], tmp_path: Path
) -> None:
    path = str(tmp_path / "socket")
    serve(APP, unix_path=path)
    response = await client.fetch("http://a.invalid/echo", unix_socket=path)
    assert echoed(response)["headers"]["Host"] == "a.invalid"
    assert response.effective_url == "http://a.invalid/echo"


@pytest.mark.parametrize("interface", ["127.0.0.2", "lo"])
async def test_a_network_interface(client: AsyncHTTPClient, server: Server, interface: str) -> None:
    response = await client.fetch(server.url("/peer"), network_interface=interface)
    assert echoed(response)["address"] == ("127.0.0.1" if interface == "lo" else interface)


@needs_nginx
async def test_nginx(
    client: AsyncHTTPClient, tls: tuple[ssl.SSLContext, Path], tmp_path: Path
) -> None:
    """Basic authentication, TLS and UNIX sockets as nginx has them."""
    _, folder = tls
    port = free_port()
    (tmp_path / "users").write_text("me:{PLAIN}secret\n")
    locations = (
        'location / { return 200 "hello"; }'
        f" location /closed {{ auth_basic here; auth_basic_user_file {tmp_path}/users;"
        " try_files /none =204; }"
    )
    configuration = wrapped(
        f"server {{ listen 80; listen unix:{tmp_path}/nginx; {locations} }}\n"
        f"server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {folder}/server.pem;"
        f" ssl_certificate_key {folder}/server.pem; {locations} }}"
    )
    with running_nginx(configuration, tmp_path, {}):
        url = f"https://localhost:{port}/"
        arguments: dict[str, Any] = {"ca_certs": str(folder / "ca.pem"), "allow_ipv6": False}
        assert (await client.fetch(url, **arguments)).body == b"hello"
        response = await client.fetch(
            url + "closed", auth_username="me", auth_password="secret", **arguments
        )
        assert response.code == 204
        with pytest.raises(HTTPError, match="401"):
            await client.fetch(url + "closed", **arguments)
        response = await client.fetch("http://any/", unix_socket=str(tmp_path / "nginx"))
        assert response.body == b"hello"


# Time limits and errors


async def test_no_limits(client: AsyncHTTPClient, server: Server) -> None:
    response = await client.fetch(server.url("/echo"), connect_timeout=0, request_timeout=0)
    assert response.code == 200


async def test_request_timeout(client: AsyncHTTPClient) -> None:
    async with hangs() as url:
        with pytest.raises(HTTPError) as caught:
            await client.fetch(url, request_timeout=0.05)
    assert (caught.value.code, caught.value.url) == (599, url)
    assert caught.value.stage in ("connecting", "waiting for the response")


async def test_nobody_listens(client: AsyncHTTPClient) -> None:
    url = f"http://127.0.0.1:{free_port()}/"
    with pytest.raises(Exception, match=r"while connecting to 127\.0\.0\.1") as caught:
        await client.fetch(url)
    assert (caught.value.url, caught.value.stage) == (url, "connecting")
