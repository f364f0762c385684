"""How the client connects: addresses, names, TLS."""

import asyncio
import errno
import os
import ssl
from collections.abc import Callable
from contextlib import closing

import pytest

from http_servers import APP, echoed, hangs
from support import Server
from typhoon.ioloop import IOLoop
from typhoon.simple_httpclient import (
    HTTPTimeoutError,
    SimpleAsyncHTTPClient,
)
from typhoon.testing import AsyncHTTPSTestCase, ExpectLog, bind_unused_port
from typhoon.web import Application, RequestHandler

pytestmark = pytest.mark.gen_test
"""Coroutines run on a loop of Typhoon's plugin."""


async def test_a_refused_connection(client: SimpleAsyncHTTPClient) -> None:
    sock, port = bind_unused_port()
    sock.close()
    with pytest.raises(OSError, match=os.strerror(errno.ECONNREFUSED)) as caught:
        await client.fetch(f"http://127.0.0.1:{port}/")
    assert str(errno.ECONNREFUSED) in str(caught.value)


async def test_hostname_mapping(io_loop: IOLoop, server: Server) -> None:
    mapping = {
        "www.example.com": "127.0.0.1",
        ("example.com", 8000): ("127.0.0.1", server.port),
    }
    with closing(SimpleAsyncHTTPClient(force_instance=True, hostname_mapping=mapping)) as client:
        seen = echoed(await client.fetch(f"http://www.example.com:{server.port}/echo"))
        assert seen["headers"]["Host"] == f"www.example.com:{server.port}"
        seen = echoed(await client.fetch("http://example.com:8000/echo"))
        assert seen["headers"]["Host"] == "example.com:8000"


TLS = AsyncHTTPSTestCase.default_ssl_options()


async def test_tls(client: SimpleAsyncHTTPClient, serve: Callable[..., Server]) -> None:
    server = serve(APP, ssl_options=TLS)
    context = ssl.create_default_context(cafile=TLS["certfile"])
    for host in ("127.0.0.1", "localhost"):
        url = f"https://{host}:{server.port}/echo"
        for options in (
            {"ca_certs": TLS["certfile"]},
            {"validate_cert": False},
            {"ssl_options": context},
            {"ssl_options": {"ca_certs": TLS["certfile"]}},
            {"ssl_options": {"cert_reqs": ssl.CERT_NONE}},
        ):
            response = await client.fetch(url, allow_ipv6=False, **options)
            assert echoed(response)["method"] == "GET"
            assert response.time_info["appconnect"] > response.time_info["connect"]


async def test_a_certificate_that_is_not_trusted(
    client: SimpleAsyncHTTPClient, serve: Callable[..., Server]
) -> None:
    url = serve(APP, ssl_options=TLS).url("/echo").replace("http:", "https:")
    for options in ({}, {"ssl_options": {"cert_reqs": ssl.CERT_REQUIRED}}):
        with (
            ExpectLog("typhoon.general", "SSL Error") as log,
            pytest.raises(ssl.SSLCertVerificationError),
        ):
            await client.fetch(url, **options)
        assert not log.logged_stack


async def test_a_client_certificate(
    client: SimpleAsyncHTTPClient, serve: Callable[..., Server]
) -> None:
    class Subject(RequestHandler):
        def get(self) -> None:
            certificate = self.request.get_ssl_certificate()
            self.write(dict(subject=str(certificate["subject"])))

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=TLS["certfile"])
    context.load_cert_chain(TLS["certfile"], TLS["keyfile"])
    context.verify_mode = ssl.CERT_REQUIRED
    url = (
        serve(Application([("/", Subject)]), ssl_options=context).url("/").replace("http", "https")
    )
    response = await client.fetch(
        url, ca_certs=TLS["certfile"], client_cert=TLS["certfile"], client_key=TLS["keyfile"]
    )
    assert "Typhoon test certificate" in response.body.decode()


async def test_files_that_cannot_be_used_are_named(client: SimpleAsyncHTTPClient) -> None:
    for options, message in (
        ({"ca_certs": "missing.pem"}, "ca_certs 'missing.pem'"),
        ({"client_cert": "missing.pem"}, "client_cert 'missing.pem'"),
        ({"ssl_options": {"ca_certs": "missing.pem"}}, "ca_certs 'missing.pem'"),
    ):
        with pytest.raises(OSError, match=message):
            await client.fetch("https://127.0.0.1:1/", **options)
    with pytest.raises(ValueError, match="client_key needs client_cert"):
        await client.fetch("https://127.0.0.1:1/", client_key="key.pem")


async def test_nothing_is_left_open(client: SimpleAsyncHTTPClient, server: Server) -> None:
    await client.fetch(server.url("/echo"))

    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = descriptors()
    for _ in range(20):
        await client.fetch(server.url("/echo"))
    with pytest.raises(HTTPTimeoutError):
        async with hangs() as url:
            await client.fetch(url, request_timeout=0.01)
    await asyncio.sleep(0)
    server.call()
    assert descriptors() <= before + 2
