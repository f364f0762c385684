"""Connections that go wrong, and bytes that nobody asked for: the next request gets through."""

import asyncio
import datetime
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from typing import Any

import pytest
import trustme
from hostile import (
    Peer,
    Script,
    answer_and_wait,
    check,
    descriptors,
    fails,
    healthy,
    hostile,
    ok,
    still_works,
)

from http_servers import raw_server
from typhoon.httpclient import Stage
from typhoon.ioloop import IOLoop
from typhoon.netutil import Resolver
from typhoon.simple_httpclient import (
    HTTPStreamClosedError,
    HTTPTimeoutError,
    SimpleAsyncHTTPClient,
)
from typhoon.testing import bind_unused_port

pytestmark = [pytest.mark.gen_test, pytest.mark.usefixtures("quiet")]
"""Coroutines run on a loop of Typhoon's plugin."""

OK = b"HTTP/1.1 200 OK\r\n"
LOST = (ConnectionResetError, BrokenPipeError, HTTPStreamClosedError)
"""How the loss of a connection shows."""


# Resets


def reset_after(*pieces: bytes, request: bool = True) -> Script:
    async def script(peer: Peer) -> None:
        if request:
            await peer.request()
        for piece in pieces:
            await peer.send(piece)
            await asyncio.sleep(0.02)  # what has come behind an RST is not read any more
        peer.reset()

    return script


RESETS = {
    "when it is accepted": (
        reset_after(request=False),
        {Stage.CONNECTING, Stage.SENDING, Stage.WAITING},
    ),
    "before the head": (reset_after(), {Stage.WAITING}),
    "in the head": (reset_after(OK + b"Content-Le"), {Stage.HEAD}),
    "behind the head": (reset_after(OK + b"Content-Length: 5\r\n\r\n"), {Stage.BODY}),
    "in the body": (reset_after(OK + b"Content-Length: 5\r\n\r\n", b"123"), {Stage.BODY}),
    "in a body until close": (reset_after(b"HTTP/1.0 200 OK\r\n\r\n", b"123"), {Stage.BODY}),
    "in a chunk": (
        reset_after(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"5\r\n123"),
        {Stage.BODY},
    ),
}


@pytest.mark.parametrize(("script", "stages"), RESETS.values(), ids=RESETS)
async def test_a_reset(client: SimpleAsyncHTTPClient, script: Script, stages: set[Stage]) -> None:
    # A fresh connection is not tried again by itself. (Two: the second fetch streams.)
    async with hostile(script) as server:
        await fails(client, server, LOST, stages)
    async with hostile(script) as server:
        await fails(client, server, LOST, stages, streaming_callback=lambda piece: None)


async def test_a_reset_behind_the_response(client: SimpleAsyncHTTPClient) -> None:
    async with hostile(*[reset_after(ok("/"))] * 3) as server:
        for _ in range(3):
            assert (await client.fetch(server.url("/"))).body == b"/"
            await server.closed()
        await still_works(client, server)


@pytest.mark.parametrize("how", ["reset", "close"])
async def test_a_close_while_the_request_is_sent(client: SimpleAsyncHTTPClient, how: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        getattr(peer, how)()

    async def produce(write: Callable[[bytes], Awaitable[None]]) -> None:
        for _ in range(1000):
            await write(bytes(100_000))

    stages = {Stage.SENDING, Stage.WAITING}
    for options in ({"body": bytes(20_000_000)}, {"body_producer": produce}):
        async with hostile(script) as server:
            await fails(client, server, LOST, stages, method="POST", **options)


async def test_a_response_before_the_request_is_sent(client: SimpleAsyncHTTPClient) -> None:
    written = 0

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
        await peer.gone()

    async def produce(write: Callable[[bytes], Awaitable[None]]) -> None:
        nonlocal written
        while True:
            await write(bytes(100_000))
            written += 100_000
            await asyncio.sleep(0)

    async with hostile(script) as server:
        response = await client.fetch(
            server.url("/"), method="POST", body_producer=produce, raise_error=False
        )
        assert (response.code, response.body) == (413, b"no")
        await still_works(client, server)
        before = written
        await asyncio.sleep(0.01)
        assert written == before, "the producer goes on"


# Bytes that nobody asked for

POISON = ok("poison")


async def test_a_server_that_answers_before_it_is_asked(client: SimpleAsyncHTTPClient) -> None:
    async def script(peer: Peer) -> None:
        await peer.send(POISON)
        await peer.request()

    async with hostile(*[script] * 10) as server:
        for _ in range(5):
            url = server.url("/bad")
            try:
                response = await client.fetch(url)
            except (HTTPStreamClosedError, ConnectionError) as error:
                check(error, url, {Stage.SENDING, Stage.WAITING, Stage.HEAD})
            else:
                # It came behind the request, as far as anyone can tell.
                assert response.body == b"poison"


SURPLUS = {
    "a length": OK + b"Content-Length: 4\r\n\r\nmine",
    "chunks": OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nmine\r\n0\r\n\r\n",
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "not modified": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n",
    "nothing": OK + b"Content-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("later", [False, True], ids=["at once", "later"])
@pytest.mark.parametrize("surplus", [POISON, b"\r\n", b"x"], ids=["a response", "CRLF", "a byte"])
@pytest.mark.parametrize("response", SURPLUS.values(), ids=SURPLUS)
async def test_surplus_bytes_are_no_answer_to_the_next(
    client: SimpleAsyncHTTPClient, response: bytes, surplus: bytes, later: bool
) -> None:
    more, sent = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        if later:
            await peer.send(response)
            await more.wait()
            await peer.send(surplus)
            sent.set()
        else:
            await peer.send(response + surplus)
        await healthy(peer)

    async with hostile(script) as server:
        answered = await client.fetch(server.url("/bad"), raise_error=False)
        assert answered.body in (b"mine", b"")
        if later:
            more.set()
            await sent.wait()  # The event loop has not seen it yet, or just so.
        await still_works(client, server)


async def test_a_body_behind_the_answer_to_head(client: SimpleAsyncHTTPClient) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK + b"Content-Length: %d\r\n\r\n" % len(POISON) + POISON)
        await healthy(peer)

    async with hostile(script) as server:
        response = await client.fetch(server.url("/"), method="HEAD")
        assert (response.code, response.body) == (200, b"")
        await still_works(client, server)


async def test_a_request_that_must_not_be_repeated_is_sent_once(
    client: SimpleAsyncHTTPClient,
) -> None:
    posts = 0

    async def script(peer: Peer) -> None:
        nonlocal posts
        while True:
            method, path, _ = await peer.message()
            if method == "POST":
                posts += 1
                peer.reset()
            await peer.send(ok(path))

    async with hostile(*[script] * 4) as server:
        await client.fetch(server.url("/"))
        for sent in (1, 2):
            with pytest.raises(LOST):
                await client.fetch(server.url("/"), method="POST", body="once")
            assert posts == sent
        await still_works(client, server)


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_close_that_races_with_the_next_request(
    client: SimpleAsyncHTTPClient, how: str
) -> None:
    """A request that can be repeated, and met a connection that was being closed, gets through."""
    for turns in range(6):
        close = asyncio.Event()

        async def script(peer: Peer, close: asyncio.Event = close) -> None:
            await peer.request()
            await peer.send(ok("/"))
            await close.wait()
            getattr(peer, how)()

        async with hostile(script) as server:
            await client.fetch(server.url("/"))
            close.set()
            for _ in range(turns):
                await asyncio.sleep(0)
            assert (await client.fetch(server.url("/"))).body == b"/"
            await still_works(client, server)


async def test_101_without_being_asked(client: SimpleAsyncHTTPClient) -> None:
    switching = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
    async with hostile(answer_and_wait(switching + POISON)) as server:
        try:
            response = await client.fetch(server.url("/"), request_timeout=0.3, raise_error=False)
        except (HTTPStreamClosedError, HTTPTimeoutError):
            pass
        else:
            assert response.code == 101
        await still_works(client, server)


# Before the request


async def test_a_port_where_nobody_listens(client: SimpleAsyncHTTPClient) -> None:
    sock, port = bind_unused_port()
    sock.close()
    url = f"http://127.0.0.1:{port}/"
    with pytest.raises(ConnectionRefusedError) as caught:
        await client.fetch(url)
    check(caught.value, url, Stage.CONNECTING)
    assert f"127.0.0.1:{port}" in str(caught.value)


async def test_a_server_that_does_not_accept(client: SimpleAsyncHTTPClient) -> None:
    listening, port = bind_unused_port()
    listening.listen(0)
    with closing(listening):
        # Fill its backlog, until one has to wait.
        waiting = []
        try:
            for _ in range(8):
                sock = socket.socket()
                waiting.append(sock)
                sock.settimeout(0.05)
                sock.connect(("127.0.0.1", port))
        except TimeoutError:
            pass
        url = f"http://127.0.0.1:{port}/"
        with pytest.raises(HTTPTimeoutError) as caught:
            await client.fetch(url, connect_timeout=0.05)
        check(caught.value, url, Stage.CONNECTING)
        for sock in waiting:
            sock.close()


class FailingResolver(Resolver):
    """Raises one and the same error for every name."""

    def initialize(self, error: Exception) -> None:
        self.error = error

    async def resolve(self, *args: Any, **kwargs: Any) -> list[tuple[int, Any]]:
        raise self.error

    @classmethod
    def configurable_base(cls) -> Any:
        return cls

    configurable_default = configurable_base


async def test_a_name_that_cannot_be_looked_up(io_loop: IOLoop) -> None:
    error = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    resolver = FailingResolver(error=error)
    with closing(SimpleAsyncHTTPClient(force_instance=True, resolver=resolver)) as client:
        for name in ("one", "two"):
            url = f"http://{name}.example/"
            with pytest.raises(socket.gaierror) as caught:
                await client.fetch(url)
            check(caught.value, url, Stage.RESOLVING)
            assert caught.value.errno == socket.EAI_NONAME
            assert str(caught.value) == (
                f"[Errno {socket.EAI_NONAME}] Name or service not known "
                f"(GET {url}, while resolving {name}.example)"
            )


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "example.com",
        "http://",
        "http://example.com:port/",
        "http://example.com:65536/",
        "http://[::1/",
        "http://me:secret@example.com:x/",
        "http://" + "a" * 64 + ".example/",
        "http://a..example/",
    ],
)
async def test_a_url_that_is_none(client: SimpleAsyncHTTPClient, url: str) -> None:
    with pytest.raises((ValueError, OSError)) as caught:
        await client.fetch(url)
    shown = url.replace("me:secret", "***")
    check(caught.value, shown, {Stage.QUEUE, Stage.RESOLVING})
    assert "secret" not in repr(caught.value)


async def test_a_timeout_in_the_queue(io_loop: IOLoop) -> None:
    async def silent(peer: Peer) -> None:
        await peer.gone()

    async with hostile(silent) as server:
        with closing(SimpleAsyncHTTPClient(force_instance=True, max_clients=1)) as client:
            running = client.fetch(server.url("/"))
            url = f"http://me:secret@127.0.0.1:{server.port}/queued"
            with pytest.raises(HTTPTimeoutError) as caught:
                await client.fetch(url, connect_timeout=0.01)
            assert str(caught.value) == "Timeout in request queue"
            check(caught.value, url.replace("me:secret", "***"), Stage.QUEUE)
        await asyncio.wait([running])


# TLS


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


# What is left behind


async def test_faults_leave_no_descriptors(io_loop: IOLoop) -> None:
    scripts = [script for script, _ in RESETS.values()]
    with closing(SimpleAsyncHTTPClient(force_instance=True)) as client:
        async with hostile(*scripts * 5) as server:
            before = None
            for _ in range(5):
                for _ in scripts:
                    with pytest.raises(LOST):
                        await client.fetch(server.url("/"))
                await server.closed()
                await asyncio.sleep(0)
                if before is None:
                    before = descriptors()
            assert descriptors() <= before
        async with raw_server(lambda reader, writer: reader.read()) as url:
            for _ in range(10):
                with pytest.raises(HTTPTimeoutError):
                    await client.fetch(url, request_timeout=0.01)
            await asyncio.sleep(0.01)
            assert descriptors() <= before + 12  # the server's own
        await asyncio.sleep(0.01)
        assert descriptors() <= before
