"""Connections that go wrong, and bytes that nobody asked for: the next request gets through."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Any

import pytest
from hostile import (
    OK,
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
    check(caught.value, shown, {Stage.PREPARING, Stage.RESOLVING})
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
