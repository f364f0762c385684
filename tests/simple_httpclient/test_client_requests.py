"""What the client sends."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from http_servers import echoed, raw_server
from support import Server
from typhoon.httpclient import HTTPRequest
from typhoon.httputil import HTTPOutputError
from typhoon.simple_httpclient import SimpleAsyncHTTPClient
from typhoon.simple_httpclient.target import parse_target

pytestmark = pytest.mark.gen_test
"""Coroutines run on a loop of Typhoon's plugin."""


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
        ("http://example.com\\.example.org/", "neither a host name"),
        ("http://exam ple.com/", "neither a host name"),
        ("http://a@b\\@c<d>/", "neither a host name"),
        ("http://example\x00.com/", "neither a host name"),
        ("http://[::1]x/", "neither a host name"),
        ("http://[::1].example.com/", "neither a host name"),
        ("http://example.com[::1]/", "neither a host name"),
    ],
)
async def test_urls_that_are_none(client: SimpleAsyncHTTPClient, url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        await client.fetch(url)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://a@b@c/", "c"),
        ("http://good.example\\@evil.example/", "evil.example"),
        ("http://evil.example#@good.example/", "evil.example"),
        ("http://evil.example?@good.example/", "evil.example"),
        ("http://evil\t.exam\r\nple/", "evil.example"),
        ("http://a:0/", "a"),
    ],
)
def test_hosts_are_those_of_the_standard_library(url: str, host: str) -> None:
    assert parse_target(url).host == urlsplit(url).hostname == host


@pytest.mark.parametrize("coding", ["gzip", "chunked, gzip", "", "identity", "x-chunked"])
async def test_a_transfer_coding_that_does_not_end(
    client: SimpleAsyncHTTPClient, server: Server, coding: str
) -> None:
    headers = {"Transfer-Encoding": coding}
    with pytest.raises(HTTPOutputError, match="chunked"):
        await client.fetch(
            server.url("/echo"),
            method="POST",
            headers=headers,
            body_producer=lambda write: write(b"a"),
        )


async def test_a_producer_that_goes_on_behind_its_end(
    client: SimpleAsyncHTTPClient, server: Server
) -> None:
    """What it writes then is not for the next request on the connection."""
    kept: list[Callable[[bytes], Awaitable[None]]] = []
    stray: list[BaseException] = []

    async def produce(write: Callable[[bytes], Awaitable[None]]) -> None:
        for late in kept:
            try:
                await late(b"stray")
            except HTTPOutputError as error:
                stray.append(error)
        kept.append(write)
        await write(b"mine")

    for _ in range(3):
        response = await client.fetch(server.url("/echo"), method="POST", body_producer=produce)
        assert echoed(response)["body"] == "mine"
    assert len(stray) == 3


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
    with pytest.raises(ValueError, match="auth_mode 'ntlm'"):
        await client.fetch(url, auth_username="me", auth_mode="ntlm")
    with pytest.raises(ValueError, match="a body or a body_producer"):
        await client.fetch(url, method="POST", body=b"", body_producer=print)


async def test_the_address_to_send_from(client: SimpleAsyncHTTPClient, server: Server) -> None:
    response = await client.fetch(server.url("/echo"), network_interface="127.0.0.2")
    assert response.code == 200
