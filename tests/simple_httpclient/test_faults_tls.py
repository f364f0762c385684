"""TLS that fails: errors that say at which stage, and of what kind."""

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trustme
from hostile import OK, Peer, check, hostile, ok

from http_servers import APP
from support import Server
from typhoon.httpclient import Stage
from typhoon.simple_httpclient import HTTPStreamClosedError, SimpleAsyncHTTPClient
from typhoon.testing import AsyncHTTPSTestCase

pytestmark = [pytest.mark.gen_test, pytest.mark.usefixtures("quiet")]
"""Coroutines run on a loop of Typhoon's plugin."""


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@asynccontextmanager
async def tls_server(certificate: trustme.LeafCert) -> AsyncIterator[str]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(ok("/"))
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    # asyncio tells of handshakes that fail, which is what is tested here.
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("127.0.0.1", {"not_after": datetime.datetime(2020, 1, 1)}, "certificate has expired"),
        ("127.0.0.1", {"not_before": datetime.datetime(2200, 1, 1)}, "is not yet valid"),
        ("example.com", {}, "IP address mismatch"),
    ],
)
async def test_a_certificate_that_is_wrong(
    client: SimpleAsyncHTTPClient,
    authority: trustme.CA,
    trusting: ssl.SSLContext,
    caplog: pytest.LogCaptureFixture,
    name: str,
    options: dict[str, Any],
    message: str,
) -> None:
    async with tls_server(authority.issue_cert(name, **options)) as url:
        with pytest.raises(ssl.SSLCertVerificationError, match=message) as caught:
            await client.fetch(url, ssl_options=trusting)
        check(caught.value, url, Stage.TLS_HANDSHAKE)
        assert caught.value.verify_code
    caplog.clear()  # "SSL Error" is logged, as Tornado's tests want it


async def test_an_authority_that_is_not_known(
    client: SimpleAsyncHTTPClient, authority: trustme.CA, caplog: pytest.LogCaptureFixture
) -> None:
    async with tls_server(authority.issue_cert("127.0.0.1")) as url:
        with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local") as caught:
            await client.fetch(url)
        check(caught.value, url, Stage.TLS_HANDSHAKE)
        # The next one does not take over what was settled without a check.
        assert (await client.fetch(url, validate_cert=False)).body == b"/"
        with pytest.raises(ssl.SSLCertVerificationError):
            await client.fetch(url)
    caplog.clear()


async def test_tls_with_a_server_that_has_none(
    client: SimpleAsyncHTTPClient, caplog: pytest.LogCaptureFixture
) -> None:
    async def script(peer: Peer) -> None:
        await peer.send(b"220 smtp.example.com ESMTP\r\n" * 10)
        await peer.gone()

    async with hostile(script) as server:
        url = server.url("/", "https")
        with pytest.raises(ssl.SSLError) as caught:
            await client.fetch(url, validate_cert=False)
        check(caught.value, url, Stage.TLS_HANDSHAKE)
    caplog.clear()


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_server_that_closes_during_the_handshake(
    client: SimpleAsyncHTTPClient, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def script(peer: Peer) -> None:
        await asyncio.get_running_loop().sock_recv(peer.socket, 10)
        getattr(peer, how)()

    async with hostile(script) as server:
        url = server.url("/", "https")
        with pytest.raises((OSError, HTTPStreamClosedError)) as caught:
            await client.fetch(url, validate_cert=False)
        check(caught.value, url, Stage.TLS_HANDSHAKE)
    caplog.clear()


async def test_a_tls_server_that_is_asked_without_tls(
    client: SimpleAsyncHTTPClient, authority: trustme.CA
) -> None:
    async with tls_server(authority.issue_cert("127.0.0.1")) as url:
        url = url.replace("https:", "http:")
        with pytest.raises((HTTPStreamClosedError, ConnectionError)) as caught:
            await client.fetch(url)
        check(caught.value, url, {Stage.WAITING, Stage.HEAD})


async def test_tls_that_is_cut_off(
    client: SimpleAsyncHTTPClient, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    """A body with a length is known to be cut off; with or without the farewell of TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + b"Content-Length: 10\r\n\r\n12345")
        await writer.drain()
        writer.transport.abort()

    async with await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        with pytest.raises((HTTPStreamClosedError, OSError)) as caught:
            await client.fetch(url, ssl_options=trusting)
        check(caught.value, url, Stage.BODY)


async def test_what_tls_itself_sends_is_no_answer(
    client: SimpleAsyncHTTPClient, serve: Callable[..., Server]
) -> None:
    """Tickets for later sessions come as soon as a connection is there (RFC 8446 §4.6.1)."""
    url = serve(APP, ssl_options=AsyncHTTPSTestCase.default_ssl_options()).url("/echo")
    url = url.replace("http:", "https:")
    options = {"validate_cert": False, "headers": {"Connection": "close"}}
    for _ in range(10):
        both = [client.fetch(url, **options), client.fetch(url, method="POST", body="", **options)]
        for response in await asyncio.gather(*both):
            assert response.code == 200
