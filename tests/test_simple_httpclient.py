"""The simple HTTP client against servers that behave, and others that do not."""

import asyncio
import errno
import gzip
import logging
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing, suppress
from typing import Any

import pytest

from support import Server, new_event_loop
from typhoon.httpclient import HTTPError, HTTPRequest
from typhoon.ioloop import IOLoop
from typhoon.netutil import Resolver
from typhoon.simple_httpclient import (
    HTTPStreamClosedError,
    HTTPTimeoutError,
    SimpleAsyncHTTPClient,
)
from typhoon.simple_httpclient.redirects import next_request
from typhoon.simple_httpclient.target import parse_target
from typhoon.testing import AsyncHTTPSTestCase, ExpectLog, bind_unused_port
from typhoon.testing.loops import TestLoop
from typhoon.web import Application, RequestHandler, stream_request_body

pytestmark = pytest.mark.gen_test
"""Coroutines run on a loop of Typhoon's plugin."""


@pytest.fixture
def io_loop(loop_kind: str) -> Iterator[IOLoop]:
    """Each kind of loop in turn."""
    loop = TestLoop(lambda: IOLoop(make_current=False, asyncio_loop=new_event_loop(loop_kind)))
    yield loop.io_loop
    loop.close()


@pytest.fixture
def client(io_loop: IOLoop) -> Iterator[SimpleAsyncHTTPClient]:
    with closing(SimpleAsyncHTTPClient(force_instance=True)) as client:
        yield client


class Echo(RequestHandler):
    """Says what it was asked."""

    def answer(self) -> None:
        request = self.request
        self.write(
            {
                "method": request.method,
                "uri": request.uri,
                "body": request.body.decode("latin-1"),
                "headers": dict(request.headers.get_all()),
            }
        )

    get = post = put = delete = patch = options = head = answer


class Redirect(RequestHandler):
    def answer(self) -> None:
        self.set_status(int(self.get_argument("status", "302")))
        self.set_header("Location", self.get_argument("to"))
        self.finish("not to be seen")

    get = post = put = answer


class Countdown(RequestHandler):
    def get(self, count: str) -> None:
        if int(count):
            self.redirect(f"/countdown/{int(count) - 1}")
        else:
            self.write("zero")


class Pieces(RequestHandler):
    async def get(self) -> None:
        for piece in (b"one ", b"two ", b"three"):
            self.write(piece)
            await self.flush()


class Forbidden(RequestHandler):
    """Answers before the body comes."""

    def prepare(self) -> None:
        self.set_status(403)
        self.finish("forbidden")


Forbidden = stream_request_body(Forbidden)


class Zipped(RequestHandler):
    def get(self) -> None:
        self.set_header("Content-Encoding", "gzip")
        self.set_header("Asked", self.request.headers.get("Accept-Encoding", "nothing"))
        self.write(gzip.compress(b"a" * 100_000))


APP = Application(
    [
        ("/echo", Echo),
        ("/redirect", Redirect),
        ("/countdown/([0-9]+)", Countdown),
        ("/pieces", Pieces),
        ("/forbidden", Forbidden),
        ("/zipped", Zipped),
    ]
)


@pytest.fixture
def server(serve: Callable[..., Server]) -> Server:
    return serve(APP)


def echoed(response: Any) -> dict[str, Any]:
    from typhoon.escape import json_decode

    return json_decode(response.body)


@asynccontextmanager
async def raw_server(
    handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    """A server that does what it likes with each connection once it has a head; its URL."""
    tasks = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.current_task())
        try:
            await handle(reader, writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    sock, port = bind_unused_port()
    async with await asyncio.start_server(serve, sock=sock):
        yield f"http://127.0.0.1:{port}/"
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def answers(data: bytes) -> Any:
    """A server that answers with these bytes."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(data)
        await writer.drain()

    return raw_server(handle)


def hangs() -> Any:
    """A server that never answers."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    return raw_server(handle)


# Requests


async def test_get(client: SimpleAsyncHTTPClient, server: Server) -> None:
    response = await client.fetch(server.url("/echo?a=b"))
    assert response.code == 200
    assert response.reason == "OK"
    assert response.effective_url == server.url("/echo?a=b")
    seen = echoed(response)
    assert (seen["method"], seen["uri"], seen["body"]) == ("GET", "/echo?a=b", "")
    assert seen["headers"]["Host"] == f"127.0.0.1:{server.port}"
    assert seen["headers"]["User-Agent"].startswith("Typhoon/")
    assert "Content-Length" not in seen["headers"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_methods_with_a_body(
    client: SimpleAsyncHTTPClient, server: Server, method: str
) -> None:
    url = server.url("/echo")
    seen = echoed(await client.fetch(url, method=method, body="a=é"))
    assert (seen["method"], seen["body"]) == (method, "a=\xc3\xa9")
    assert seen["headers"]["Content-Length"] == "4"
    with pytest.raises(ValueError, match=f"Body must not be None for method {method}"):
        await client.fetch(url, method=method)
    seen = echoed(await client.fetch(url, method=method, allow_nonstandard_methods=True))
    assert (seen["body"], seen["headers"]["Content-Length"]) == ("", "0")


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS"])
async def test_methods_without_a_body(
    client: SimpleAsyncHTTPClient, server: Server, method: str
) -> None:
    url = server.url("/echo")
    response = await client.fetch(url, method=method)
    assert response.body == b"" if method == "HEAD" else echoed(response)["method"] == method
    with pytest.raises(ValueError, match=f"Body must be None for method {method}"):
        await client.fetch(url, method=method, body=b"body")


async def test_other_methods(client: SimpleAsyncHTTPClient, server: Server) -> None:
    url = server.url("/echo")
    with pytest.raises(KeyError, match="unknown method BREW"):
        await client.fetch(url, method="BREW")
    response = await client.fetch(
        url, method="BREW", allow_nonstandard_methods=True, raise_error=False
    )
    assert response.code == 405
    with pytest.raises(ValueError, match="is no HTTP method"):
        await client.fetch(url, method="GET / HTTP/1.1\r\nA:", allow_nonstandard_methods=True)


async def test_a_form_is_what_a_post_has_unless_it_says_otherwise(
    client: SimpleAsyncHTTPClient, server: Server
) -> None:
    seen = echoed(await client.fetch(server.url("/echo"), method="POST", body=b"a=b"))
    assert seen["headers"]["Content-Type"] == "application/x-www-form-urlencoded"
    headers = {"Content-Type": "text/plain", "User-Agent": "me"}
    request = HTTPRequest(server.url("/echo"), "POST", headers, b"a=b")
    seen = echoed(await client.fetch(request))
    assert seen["headers"]["Content-Type"] == "text/plain"
    assert seen["headers"]["User-Agent"] == "me"
    assert headers == {"Content-Type": "text/plain", "User-Agent": "me"}


@pytest.mark.parametrize("length", [None, "8"])
@pytest.mark.parametrize("kind", ["plain", "coroutine"])
async def test_a_body_producer(
    client: SimpleAsyncHTTPClient, server: Server, length: str | None, kind: str
) -> None:
    def plain(write: Callable[[bytes], Awaitable[None]]) -> None:
        write(b"1234")
        write(b"5678")

    async def coroutine(write: Callable[[bytes], Awaitable[None]]) -> None:
        await write(b"1234")
        await asyncio.sleep(0)
        await write(b"5678")

    producer = plain if kind == "plain" else coroutine
    headers = {} if length is None else {"Content-Length": length}
    response = await client.fetch(
        server.url("/echo"), method="POST", headers=headers, body_producer=producer
    )
    seen = echoed(response)
    assert seen["body"] == "12345678"
    assert seen["headers"].get("Transfer-Encoding") == ("chunked" if length is None else None)


async def test_a_body_producer_that_fails_fails_the_request(
    client: SimpleAsyncHTTPClient,
) -> None:
    arrived, closed = asyncio.Event(), asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        arrived.set()
        await reader.read()
        closed.set()

    async def producer(write: Callable[[bytes], Awaitable[None]]) -> None:
        await arrived.wait()
        raise ZeroDivisionError

    async with raw_server(handle) as url:
        with pytest.raises(ZeroDivisionError):
            await client.fetch(url, method="POST", body_producer=producer)
        await closed.wait()
    assert not client.active


async def test_an_answer_before_the_body_is_all_sent_is_taken(
    client: SimpleAsyncHTTPClient, server: Server
) -> None:
    async def producer(write: Callable[[bytes], Awaitable[None]]) -> None:
        await write(b"1234")
        await asyncio.Event().wait()

    response = await client.fetch(
        server.url("/forbidden"), method="POST", body_producer=producer, raise_error=False
    )
    assert (response.code, response.body) == (403, b"forbidden")


async def test_expect_sends_the_body_when_it_is_wanted(
    client: SimpleAsyncHTTPClient, server: Server
) -> None:
    url = server.url("/echo")
    response = await client.fetch(url, method="POST", body=b"1234", expect_100_continue=True)
    assert echoed(response)["body"] == "1234"

    def producer(write: Callable[[bytes], Awaitable[None]]) -> None:
        raise AssertionError("the body is not wanted")

    response = await client.fetch(
        server.url("/forbidden"),
        method="POST",
        body_producer=producer,
        expect_100_continue=True,
        raise_error=False,
    )
    assert response.code == 403


@pytest.mark.parametrize(
    ("settings", "value"),
    [
        (
            {"auth_username": "Aladdin", "auth_password": "open sesame"},
            "QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        ),
        (
            {"auth_username": "test", "auth_password": "123£", "auth_mode": "basic"},
            "dGVzdDoxMjPCow==",
        ),
        ({"auth_username": "me"}, "bWU6"),
    ],
)
async def test_basic_authentication(
    client: SimpleAsyncHTTPClient, server: Server, settings: dict[str, Any], value: str
) -> None:
    """The values are those of RFC 7617 §2 and §2.1."""
    seen = echoed(await client.fetch(server.url("/echo"), **settings))
    assert seen["headers"]["Authorization"] == f"Basic {value}"


async def test_credentials_in_the_url_are_not_in_the_host(
    client: SimpleAsyncHTTPClient, server: Server
) -> None:
    url = server.url("/echo").replace("http://", "http://m%40e:secret@")
    headers = echoed(await client.fetch(url))["headers"]
    assert headers["Authorization"] == "Basic bUBlOnNlY3JldA=="
    assert headers["Host"] == f"127.0.0.1:{server.port}"


async def test_what_the_client_cannot_do_is_an_error(
    client: SimpleAsyncHTTPClient, server: Server
) -> None:
    url = server.url("/echo")
    with pytest.raises(ValueError, match="auth_mode 'digest'"):
        await client.fetch(url, auth_username="me", auth_mode="digest")
    with pytest.raises(NotImplementedError, match="proxy_host"):
        await client.fetch(url, proxy_host="localhost", proxy_port=8080)
    with pytest.raises(ValueError, match="network_interface: 'eth0'"):
        await client.fetch(url, network_interface="eth0")
    with pytest.raises(ValueError, match="a body or a body_producer"):
        await client.fetch(url, method="POST", body=b"", body_producer=print)


async def test_the_address_to_send_from(client: SimpleAsyncHTTPClient, server: Server) -> None:
    response = await client.fetch(server.url("/echo"), network_interface="127.0.0.2")
    assert response.code == 200


# URLs


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://example.com", ("example.com", 80, "example.com", "/", None)),
        ("https://example.com?a=b", ("example.com", 443, "example.com", "/?a=b", None)),
        ("HTTP://[::1]:81/x#f", ("::1", 81, "[::1]:81", "/x", None)),
        ("http://u:p%3A@h/ä b", ("h", 80, "h", "/%C3%A4%20b", ("u", "p:"))),
        (
            "http://bücher.example/%20",
            ("xn--bcher-kva.example", 80, "xn--bcher-kva.example", "/%20", None),
        ),
    ],
)
def test_parse_target(url: str, expected: tuple[Any, ...]) -> None:
    target = parse_target(url)
    found = (target.host, target.port, target.authority, target.path, target.credentials)
    assert found == expected


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://example.com/", "Unsupported url scheme"),
        ("/path", "Unsupported url scheme"),
        ("http:///path", "no host"),
        ("http://example.com:99999/", "port"),
        ("http://example.com:x/", "port"),
    ],
)
async def test_urls_that_are_none(client: SimpleAsyncHTTPClient, url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        await client.fetch(url)


# Responses


async def test_callbacks_get_the_head_and_the_body(
    client: SimpleAsyncHTTPClient, server: Server
) -> None:
    calls: list[Any] = []
    response = await client.fetch(
        server.url("/pieces"), header_callback=calls.append, streaming_callback=calls.append
    )
    head = [call for call in calls if isinstance(call, str)]
    body = [call for call in calls if isinstance(call, bytes)]
    assert calls == head + body
    assert head[0] == "HTTP/1.1 200 OK\r\n"
    assert "Transfer-Encoding: chunked\r\n" in head
    assert head[-1] == "\r\n"
    assert b"".join(body) == b"one two three"
    assert response.body == b""


async def test_a_coroutine_as_streaming_callback(
    client: SimpleAsyncHTTPClient, server: Server
) -> None:
    events: list[str] = []

    async def take(chunk: bytes) -> None:
        events.append("begin")
        await asyncio.sleep(0)
        events.append("end")

    await client.fetch(server.url("/pieces"), streaming_callback=take)
    assert events == ["begin", "end"] * (len(events) // 2)


@pytest.mark.parametrize("callback", ["streaming_callback", "header_callback"])
async def test_a_callback_that_fails_fails_the_request(
    client: SimpleAsyncHTTPClient, server: Server, callback: str
) -> None:
    def fail(data: object) -> None:
        raise ZeroDivisionError

    with (
        ExpectLog("typhoon.application", "Uncaught exception") as log,
        pytest.raises(HTTPStreamClosedError),
    ):
        await client.fetch(server.url("/pieces"), **{callback: fail})
    assert log.logged_stack
    assert log.matched == 1


async def test_a_callback_whose_wait_is_cancelled_fails_the_request(
    client: SimpleAsyncHTTPClient, server: Server
) -> None:
    async def cancelled(chunk: bytes) -> None:
        raise asyncio.CancelledError

    with (
        ExpectLog("typhoon.application", "Uncaught exception"),
        pytest.raises(HTTPStreamClosedError),
    ):
        await client.fetch(server.url("/pieces"), streaming_callback=cancelled)


async def test_decompression(client: SimpleAsyncHTTPClient, server: Server) -> None:
    response = await client.fetch(server.url("/zipped"))
    assert response.body == b"a" * 100_000
    assert response.headers["Asked"] == "gzip"
    response = await client.fetch(server.url("/zipped"), decompress_response=False)
    assert gzip.decompress(response.body) == b"a" * 100_000
    assert response.headers["Asked"] == "nothing"


async def test_times(client: SimpleAsyncHTTPClient, server: Server) -> None:
    request = HTTPRequest(server.url("/echo"))
    response = await client.fetch(request)
    assert response.start_time >= request.start_time
    assert 0 <= response.request_time < 10
    times = response.time_info
    assert times["queue"] >= 0
    order = ["namelookup", "connect", "starttransfer", "total"]
    assert sorted(times, key=times.__getitem__)[1:] == order


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (b"HTTP/1.0 200 OK\r\n\r\nuntil close", b"until close"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokrest", b"ok"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nA", b"A"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", b"a"),
    ],
)
async def test_framings(client: SimpleAsyncHTTPClient, data: bytes, body: bytes) -> None:
    async with answers(data) as url:
        assert (await client.fetch(url)).body == body


@pytest.mark.parametrize(
    ("data", "log"),
    [
        (b"", None),
        (b"HTTP/1.1 200 OK\r\nContent-Le", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", None),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc", "Malformed"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "Malformed"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "Malformed"),
    ],
)
async def test_what_is_no_whole_response_is_an_error(
    client: SimpleAsyncHTTPClient, data: bytes, log: str | None
) -> None:
    expected = ExpectLog("typhoon.general", log or "", required=log is not None, level=logging.INFO)
    async with answers(data) as url:
        with expected, pytest.raises(HTTPStreamClosedError) as caught:
            await client.fetch(url)
    assert caught.value.code == 599
    assert not client.active


async def test_the_limit_of_the_body(io_loop: IOLoop, server: Server) -> None:
    with closing(SimpleAsyncHTTPClient(force_instance=True, max_body_size=99_999)) as client:
        for path, options in (("/zipped", {}), ("/zipped", {"streaming_callback": len})):
            with (
                ExpectLog("typhoon.general", "Malformed HTTP message", level=logging.INFO),
                pytest.raises(HTTPError),
            ):
                await client.fetch(server.url(path), **options)
        assert (await client.fetch(server.url("/pieces"))).body == b"one two three"
    with closing(SimpleAsyncHTTPClient(force_instance=True, max_body_size=100_000)) as client:
        assert len((await client.fetch(server.url("/zipped"))).body) == 100_000


# Redirects


async def test_redirects_are_followed_so_often(
    client: SimpleAsyncHTTPClient, server: Server
) -> None:
    response = await client.fetch(server.url("/countdown/5"))
    assert response.body == b"zero"
    assert response.effective_url == server.url("/countdown/0")
    assert response.request.url == server.url("/countdown/5")
    for path, options, location in (
        ("/countdown/5", {"max_redirects": 3}, "/countdown/1"),
        ("/countdown/5", {"follow_redirects": False}, "/countdown/4"),
        ("/countdown/5", {"max_redirects": 0}, "/countdown/4"),
    ):
        response = await client.fetch(server.url(path), raise_error=False, **options)
        assert response.code == 302
        assert response.headers["Location"] == location


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "POST", "GET"),
        (303, "PUT", "GET"),
        (301, "PUT", "PUT"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
        (303, "GET", "GET"),
    ],
)
async def test_the_method_and_body_after_a_redirect(
    client: SimpleAsyncHTTPClient, server: Server, status: int, method: str, then: str
) -> None:
    url = server.url(f"/redirect?to=/echo&status={status}")
    seen = echoed(await client.fetch(url, method=method, body=b"a=b" if method != "GET" else None))
    assert seen["method"] == then
    assert seen["body"] == ("a=b" if then != "GET" else "")
    assert ("Content-Type" in seen["headers"]) == (then == "POST")


async def test_a_body_producer_is_called_again_after_a_redirect(
    client: SimpleAsyncHTTPClient, server: Server
) -> None:
    async def producer(write: Callable[[bytes], Awaitable[None]]) -> None:
        await write(b"1234")

    url = server.url("/redirect?to=/echo&status=307")
    seen = echoed(await client.fetch(url, method="PUT", body_producer=producer))
    assert seen["body"] == "1234"


async def test_callbacks_see_the_last_response_only(
    client: SimpleAsyncHTTPClient, server: Server
) -> None:
    lines: list[str] = []
    chunks: list[bytes] = []
    await client.fetch(
        server.url("/redirect?to=/pieces"),
        header_callback=lines.append,
        streaming_callback=chunks.append,
    )
    assert [line for line in lines if line.startswith("HTTP/")] == ["HTTP/1.1 200 OK\r\n"]
    assert b"".join(chunks) == b"one two three"


SECRETS = {
    "headers": {"Authorization": "secret", "Cookie": "secret", "Host": "other", "X": "y"},
    "client_cert": "cert.pem",
    "client_key": "key.pem",
}


@pytest.mark.parametrize(
    ("location", "kept"),
    [
        ("/other", True),
        ("http://example.com:80/", True),
        ("https://example.com/", False),
        ("//example.org/", False),
        ("http://example.com:8080/", False),
    ],
)
def test_credentials_stay_with_their_origin(location: str, kept: bool) -> None:
    for request in (
        HTTPRequest("http://example.com/", auth_username="me", auth_password="it", **SECRETS),
        HTTPRequest("http://me:it@example.com/", **SECRETS),
    ):
        request.max_redirects = 5
        following = next_request(request, 302, type(request.headers)({"Location": location}))
        names = {"X"} | ({"Authorization", "Cookie"} if kept else set())
        assert set(following.headers) == names
        wanted = ("me", "it", "cert.pem", "key.pem") if kept else (None, None, None, None)
        assert (
            following.auth_username,
            following.auth_password,
            following.client_cert,
            following.client_key,
        ) == wanted
        assert following.max_redirects == 4
        assert set(request.headers) == {"Authorization", "Cookie", "Host", "X"}


async def test_a_redirect_to_another_scheme_is_an_error(
    client: SimpleAsyncHTTPClient, server: Server
) -> None:
    with pytest.raises(ValueError, match="Unsupported url scheme"):
        await client.fetch(server.url("/redirect?to=ftp://example.com/"))


# Timeouts and the queue


async def test_a_request_timeout(client: SimpleAsyncHTTPClient) -> None:
    async with hangs() as url:
        with pytest.raises(HTTPTimeoutError, match="waiting for the response"):
            await client.fetch(url, request_timeout=0.01)
        with pytest.raises(HTTPTimeoutError):
            await client.fetch(url, request_timeout=0.01, connect_timeout=0)


async def test_a_timeout_while_resolving(io_loop: IOLoop) -> None:
    class Slow(Resolver):
        async def resolve(self, *args: Any, **kwargs: Any) -> Any:
            await asyncio.Event().wait()

        @classmethod
        def configurable_base(cls) -> Any:
            return cls

        configurable_default = configurable_base

    with closing(SimpleAsyncHTTPClient(force_instance=True, resolver=Slow())) as client:
        with pytest.raises(HTTPTimeoutError) as caught:
            await client.fetch("http://example.com/", connect_timeout=0.01)
        assert str(caught.value) == "Timeout while resolving example.com"


async def test_a_timeout_during_the_tls_handshake(client: SimpleAsyncHTTPClient) -> None:
    closed = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        closed.set()

    async with raw_server(handle) as url:
        url = url.replace("http:", "https:")
        with pytest.raises(HTTPTimeoutError, match=r"during TLS handshake with 127\.0\.0\.1:"):
            await client.fetch(url, connect_timeout=0.1, validate_cert=False)
        await closed.wait()


async def test_at_most_so_many_requests_at_once(io_loop: IOLoop) -> None:
    arrived: asyncio.Queue[asyncio.Event] = asyncio.Queue()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        go_on = asyncio.Event()
        arrived.put_nowait(go_on)
        await go_on.wait()
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with raw_server(handle) as url:
        with closing(SimpleAsyncHTTPClient(force_instance=True, max_clients=1)) as client:
            first = client.fetch(url)
            second = client.fetch(url)
            assert (len(client.active), len(client.queue), len(client.waiting)) == (1, 1, 1)
            with pytest.raises(HTTPTimeoutError) as caught:
                await client.fetch(url, connect_timeout=0.01)
            assert str(caught.value) == "Timeout in request queue"
            assert (len(client.queue), len(client.waiting)) == (1, 1)
            (await arrived.get()).set()
            assert (await first).code == 204
            (await arrived.get()).set()
            assert (await second).time_info["queue"] > 0
            assert (len(client.active), len(client.queue), len(client.waiting)) == (0, 0, 0)


async def test_closing_the_client_cancels_what_runs_and_what_waits(io_loop: IOLoop) -> None:
    async with hangs() as url:
        client = SimpleAsyncHTTPClient(force_instance=True, max_clients=1)
        running, waiting = client.fetch(url), client.fetch(url)
        client.close()
        await asyncio.wait((running, waiting))
        assert running.cancelled()
        assert waiting.cancelled()


# Connections


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
