"""One connection of the client: what goes over it, and when it can be used again."""

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hostile import Peer, hostile, ok

from support import without_collector
from typhoon._core import ExchangeError, HTTPHeaders, HTTPOutputError
from typhoon.simple_httpclient import SimpleAsyncHTTPClient
from typhoon.simple_httpclient.connection import Connection, Reply

Main = Callable[[Callable[[], Awaitable[None]]], None]

HEADERS = HTTPHeaders({"Host": "example.com"})
OK = b"HTTP/1.1 200 OK\r\n"
HELLO = OK + b"Content-Length: 5\r\n\r\nhello"


class Delegate:
    """Keeps what it is told; with `hold`, takes its time for each piece."""

    def __init__(self, hold: asyncio.Event | None = None) -> None:
        self.heads: list[tuple[str, int, str]] = []
        self.chunks: list[bytes] = []
        self.hold = hold

    def headers_received(self, line: tuple[str, int, str], headers: HTTPHeaders) -> None:
        self.heads.append(line)

    def data_received(self, chunk: bytes) -> Awaitable[Any] | None:
        self.chunks.append(chunk)
        return None if self.hold is None else self.hold.wait()


@asynccontextmanager
async def connected(**limits: int) -> AsyncIterator[tuple[Connection, Peer]]:
    """A connection, and the server's end of it."""
    ours, theirs = socket.socketpair()
    for sock in (ours, theirs):
        sock.setblocking(False)
    sizes = {"max_header_size": 1000, "max_body_size": 1 << 24, **limits}
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_unix_connection(lambda: Connection(**sizes), sock=ours)
    peer = Peer(theirs)
    try:
        yield connection, peer
    finally:
        connection.abort()
        peer.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)


def begin(
    connection: Connection, method: str = "GET", body: bytes | None = None, **options: Any
) -> "asyncio.Future[Reply]":
    waiter: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
    headers = options.pop("headers", HEADERS)
    connection.send_request(method, "/", headers, body, waiter, **options)
    return waiter


async def ended(connection: Connection) -> None:
    """Wait until the connection has no transport any more."""
    for _ in range(1000):
        if connection.transport is None:
            return
        await asyncio.sleep(0.001)
    raise TimeoutError


def test_one_exchange_after_another(run: Main) -> None:
    async def main() -> None:
        async with connected() as (connection, peer):
            for count in (1, 2, 3):
                reply = begin(connection)
                assert not connection.is_reusable
                assert await peer.head() == b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"
                await peer.send(HELLO)
                version, code, reason, headers, body, head_at = await reply
                assert (version, code, reason, body) == ("HTTP/1.1", 200, "OK", b"hello")
                assert headers["content-length"] == "5"
                assert head_at > 0
                assert connection.is_reusable
                assert connection.exchanges == count

    run(main)


@pytest.mark.parametrize("size", [0, 1, 32 * 1024, 32 * 1024 + 1, 3_000_000])
def test_bodies_of_any_size(run: Main, size: int) -> None:
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)

    async def main() -> None:
        async with connected() as (connection, peer):
            headers = HTTPHeaders({"Host": "a", "Content-Length": str(size)})
            for framed in (
                OK + b"Content-Length: %d\r\n\r\n" % size + body,
                OK
                + b"Transfer-Encoding: chunked\r\n\r\n"
                + b"".join(
                    b"%x\r\n%b\r\n" % (len(piece), piece)
                    for piece in (body[at : at + 70_000] for at in range(0, size, 70_000))
                )
                + b"0\r\n\r\n",
            ):
                reply = begin(connection, "POST", body, headers=headers)
                assert (await peer.message())[2] == body
                await peer.send(framed)
                assert (await reply)[4] == body
                assert connection.is_reusable

    run(main)


@pytest.mark.parametrize(
    ("response", "hint"),
    [
        (HELLO, None),
        (OK + b"Content-Length: 0\r\nKeep-Alive: timeout=7, max=3\r\n\r\n", 7),
        (OK + b"Content-Length: 0\r\nKeep-Alive: max=3\r\n\r\n", None),
    ],
)
def test_the_server_says_how_long_it_waits(run: Main, response: bytes, hint: int | None) -> None:
    async def main() -> None:
        async with connected() as (connection, peer):
            reply = begin(connection)
            await peer.head()
            await peer.send(response)
            await reply
            assert connection.keep_alive_timeout == hint

    run(main)


@pytest.mark.parametrize(
    ("headers", "response"),
    [
        ({"Connection": "close"}, HELLO),
        ({}, OK + b"Connection: close\r\nContent-Length: 0\r\n\r\n"),
        ({}, b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ({}, HELLO + b"x"),
        ({}, b"HTTP/1.1 101 Switching Protocols\r\n\r\n"),
    ],
)
def test_connections_that_are_not_used_again(
    run: Main, headers: dict[str, str], response: bytes
) -> None:
    async def main() -> None:
        async with connected() as (connection, peer):
            reply = begin(connection, headers=HTTPHeaders({"Host": "a", **headers}))
            await peer.head()
            await peer.send(response)
            await reply
            assert not connection.is_reusable
            with pytest.raises(RuntimeError, match="is_reusable"):
                begin(connection)

    run(main)


@pytest.mark.parametrize("what", ["bytes", "end"])
def test_what_comes_while_it_is_idle_ends_it(run: Main, what: str) -> None:
    async def main() -> None:
        async with connected() as (connection, peer):
            reply = begin(connection)
            await peer.head()
            await peer.send(HELLO)
            await reply
            assert not connection.has_input()
            told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            connection.on_idle_close = lambda: told.set_result(None)  # twice would raise
            if what == "bytes":
                await peer.send(HELLO)
            else:
                peer.close()
            await told
            assert not connection.is_reusable

    run(main)


def test_what_the_event_loop_has_not_seen(run: Main) -> None:
    async def main() -> None:
        async with connected() as (connection, peer):
            peer.socket.send(b"x")
            assert connection.is_reusable
            assert connection.has_input()

    run(main)


@pytest.mark.parametrize(
    ("response", "kind", "received"),
    [
        (b"", "closed", 0),
        (b"HTTP/1.1 2", "truncated", 1),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n", "truncated", 1),
        (HELLO[:-1], "truncated", 2),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "truncated", 2),
        (b"SSH-2.0\r\n\r\n", "malformed", 1),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 1\r\n\r\nx", "malformed", 1),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 33 + HELLO, "malformed", 1),
        (OK + b"A: " + b"a" * 1000 + b"\r\n\r\n", "header_too_large", 1),
        (OK + b"Content-Length: 101\r\n\r\n", "body_too_large", 2),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n65\r\n", "body_too_large", 2),
        (OK + b"\r\n" + b"x" * 101, "body_too_large", 2),
    ],
)
def test_responses_that_are_none(run: Main, response: bytes, kind: str, received: int) -> None:
    async def main() -> None:
        async with connected(max_body_size=100) as (connection, peer):
            reply = begin(connection)
            await peer.head()
            await peer.send(response)
            peer.close()
            with pytest.raises(ExchangeError) as caught:
                await reply
            assert caught.value.args[0] == kind
            assert connection.received == received
            assert not connection.is_reusable
            assert connection.exchanges == 0

    run(main)


def test_a_body_until_close_is_complete(run: Main) -> None:
    async def main() -> None:
        async with connected() as (connection, peer):
            reply = begin(connection)
            await peer.head()
            await peer.send(OK + b"\r\nhello")
            peer.close()
            assert (await reply)[4] == b"hello"
            assert not connection.is_reusable

    run(main)


def test_informational_responses_are_told(run: Main) -> None:
    async def main() -> None:
        async with connected() as (connection, peer):
            delegate = Delegate()
            reply = begin(connection, delegate=delegate)
            await peer.head()
            await peer.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 32 + HELLO)
            assert (await reply)[4] == b"hello"
            assert [code for _, code, _ in delegate.heads] == [103] * 32 + [200]
            assert delegate.chunks == []

    run(main)


def test_no_more_is_read_while_the_delegate_waits(run: Main) -> None:
    size = 8 << 20

    async def main() -> None:
        async with connected() as (connection, peer):
            delegate = Delegate(asyncio.Event())
            reply = begin(connection, delegate=delegate, streams=True)
            await peer.head()
            await peer.send(OK + b"Content-Length: %d\r\n\r\n" % size)
            sending = asyncio.ensure_future(peer.send(b"x" * size))
            for _ in range(100):
                await asyncio.sleep(0)
            assert len(delegate.chunks) == 1
            assert not sending.done()
            assert delegate.hold is not None
            delegate.hold.set()
            assert (await reply)[4] == b""
            await sending
            assert sum(map(len, delegate.chunks)) == size
            assert connection.is_reusable

    run(main)


def test_the_end_comes_while_the_delegate_waits(run: Main) -> None:
    async def main() -> None:
        async with connected() as (connection, peer):
            delegate = Delegate(asyncio.Event())
            reply = begin(connection, delegate=delegate, streams=True)
            await peer.head()
            await peer.send(OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n")
            peer.close()
            await ended(connection)
            assert delegate.chunks == [b"a"]
            assert delegate.hold is not None
            delegate.hold.set()
            await reply
            assert delegate.chunks == [b"a", b"b"]

    run(main)


def test_a_body_in_pieces(run: Main) -> None:
    async def main() -> None:
        async with connected() as (connection, peer):
            pieces = [b"a", b"", b"b" * 100_000]
            for headers in (HEADERS, HTTPHeaders({"Host": "a", "Content-Length": "100001"})):
                reply = begin(connection, "POST", headers=headers, has_more=True)
                taking = asyncio.ensure_future(peer.message())
                for piece in pieces:
                    await connection.write(piece)
                connection.send_end()
                assert (await taking)[2] == b"".join(pieces)
                await peer.send(HELLO)
                await reply
                assert connection.is_reusable

    run(main)


def test_writing_waits_for_a_server_that_does_not_read(run: Main) -> None:
    async def main() -> None:
        async with connected() as (connection, peer):
            begin(connection, "POST", has_more=True)
            written = connection.write(b"x" * (8 << 20))
            assert not written.done()
            await peer.head()
            await peer.exactly(8 << 20)
            await written

    run(main)


def test_lengths_that_are_not_kept(run: Main) -> None:
    async def main() -> None:
        headers = HTTPHeaders({"Host": "a", "Content-Length": "2"})
        async with connected() as (connection, _):
            begin(connection, "POST", headers=headers, has_more=True)
            with pytest.raises(HTTPOutputError, match="more data"):
                connection.write(b"abc")
            with pytest.raises(HTTPOutputError, match="less data"):
                connection.send_end()

    run(main)


def test_an_answer_before_the_request_is_sent_ends_the_connection(run: Main) -> None:
    async def main() -> None:
        async with connected() as (connection, peer):
            reply = begin(connection, "POST", has_more=True)
            await peer.head()
            await peer.send(HELLO)
            assert (await reply)[4] == b"hello"
            assert not connection.is_reusable

    run(main)


def test_a_request_that_cannot_be_sent_leaves_it_as_it_is(run: Main) -> None:
    async def main() -> None:
        async with connected() as (connection, peer):
            wrong = HTTPHeaders({"Host": "a", "Content-Length": "one"})
            with pytest.raises(ValueError, match="Content-Length"):
                begin(connection, headers=wrong)
            with pytest.raises(HTTPOutputError, match="less data"):
                begin(connection, "POST", b"a", headers=HTTPHeaders({"Content-Length": "2"}))
            assert connection.is_reusable
            reply = begin(connection)
            await peer.head()
            await peer.send(HELLO)
            await reply

    run(main)


def test_what_is_read_while_a_delegate_works_goes_elsewhere(run: Main) -> None:
    """The connections of a thread share their buffer."""

    def come(connection: Connection, data: bytes) -> None:
        connection.get_buffer(-1)[: len(data)] = data
        connection.buffer_updated(len(data))

    async def main() -> None:
        async with connected() as (first, _), connected() as (second, _):
            other = begin(second)

            class Reading(Delegate):
                def data_received(self, chunk: bytes) -> None:
                    super().data_received(chunk)
                    if not other.done():
                        come(second, OK + b"Content-Length: 99\r\n\r\n" + b"x" * 99)

            reading = Reading()
            reply = begin(first, delegate=reading, streams=True)
            chunks = b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
            come(first, OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
            await reply
            assert reading.chunks == [b"one", b"two"]
            assert (await other)[4] == b"x" * 99

    run(main)


def test_an_exchange_that_is_aborted_tells_nobody(run: Main) -> None:
    async def main() -> None:
        async with connected() as (connection, peer):
            reply = begin(connection)
            await peer.head()
            connection.abort()
            await peer.gone()
            await ended(connection)
            assert not reply.done()

    run(main)


@pytest.mark.gen_test
async def test_fetches_on_kept_connections_leave_no_cycles(client: SimpleAsyncHTTPClient) -> None:
    async def script(peer: Peer) -> None:
        while True:
            await peer.send(ok(await peer.request()))

    def alive() -> int:
        kinds = ("Fetch", "HTTPRequest", "HTTPResponse", "Progress", "Ticket")
        return sum(type(found).__name__ in kinds for found in gc.get_objects())

    async with hostile(script) as server:
        with without_collector():
            before = alive()
            for path in ("/one", "/two", "/three"):
                assert (await client.fetch(server.url(path))).body == path.encode()
            await asyncio.sleep(0)  # the first one's task ends
            assert alive() == before
        assert len(server.peers) == 1
