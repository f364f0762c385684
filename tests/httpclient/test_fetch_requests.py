"""What every client sends."""

from __future__ import annotations

import asyncio
import datetime
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from fetch_servers import numbered
from http_servers import echoed
from support import Server
from typhoon.httpclient import AsyncHTTPClient, HTTPError, HTTPRequest
from typhoon.httputil import HTTPHeaders

pytestmark = pytest.mark.gen_test
"""Coroutines run on a loop of Typhoon's plugin."""

Write = Callable[[bytes], Awaitable[None]]


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("GET", None),
        ("DELETE", None),
        ("OPTIONS", None),
        ("POST", b"\0\xff"),
        ("POST", b""),
        ("PUT", b"put"),
        ("PUT", b""),
        ("PATCH", b"patch"),
        ("DELETE", b"unusual"),
        ("GET", b"unusual"),
    ],
)
async def test_methods_and_bodies(
    client: AsyncHTTPClient, server: Server, method: str, body: bytes | None
) -> None:
    response = await client.fetch(
        server.url("/echo"), method=method, body=body, allow_nonstandard_methods=True
    )
    seen = echoed(response)
    assert seen["method"] == method
    assert seen["body"].encode("latin-1") == (body or b"")
    assert seen["headers"].get("Content-Length") == (None if body is None else str(len(body)))
    form = "application/x-www-form-urlencoded" if method == "POST" else None
    assert seen["headers"].get("Content-Type") == form
    assert "Expect" not in seen["headers"]


async def test_head(client: AsyncHTTPClient, server: Server) -> None:
    response = await client.fetch(server.url("/big/20"), method="HEAD")
    assert (response.headers["Content-Length"], response.body) == ("200", b"")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"method": "POST"}, ValueError, "must not be None"),
        ({"body": b"x"}, ValueError, "must be None"),
        ({"method": "BREW"}, KeyError, "unknown method BREW"),
        ({"method": "A B", "allow_nonstandard_methods": True}, ValueError, "no HTTP method"),
        ({"auth_username": "me", "auth_mode": "magic"}, ValueError, "auth_mode 'magic'"),
        ({"client_key": "key.pem", "url": "https://localhost:1/"}, ValueError, "client_cert"),
        ({"url": "ftp://localhost/"}, ValueError, "Unsupported url scheme"),
        ({"url": "file:///etc/hostname"}, ValueError, "Unsupported url scheme"),
        ({"url": "http://"}, ValueError, "no host"),
        ({"url": "http://localhost:x/"}, ValueError, "port"),
        ({"user_agent": "a\r\nInjected: yes"}, ValueError, "header"),
        ({"headers": {"a": "b\nc"}}, ValueError, "header"),
    ],
)
async def test_what_cannot_be_sent(
    client: AsyncHTTPClient,
    server: Server,
    arguments: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    arguments = {"url": server.url("/echo"), **arguments}
    with pytest.raises(error, match=message):
        await client.fetch(arguments.pop("url"), **arguments)


async def test_other_methods(client: AsyncHTTPClient, server: Server) -> None:
    with pytest.raises(HTTPError, match="405"):
        await client.fetch(server.url("/echo"), method="BREW", allow_nonstandard_methods=True)


@pytest.mark.parametrize("container", [dict, HTTPHeaders])
async def test_headers(client: AsyncHTTPClient, server: Server, container: Any) -> None:
    sent = container({"Foo": "bär", "Empty": "", "User-Agent": "mine"})
    sent["Bytes"] = b"b\xe4r"
    headers = echoed(await client.fetch(server.url("/echo"), headers=sent))["headers"]
    assert {name: headers[name] for name in ("Foo", "Empty", "User-Agent", "Bytes")} == {
        "Foo": "bär",
        "Empty": "",
        "User-Agent": "mine",
        "Bytes": "bär",
    }


async def test_headers_of_one_name(client: AsyncHTTPClient, server: Server) -> None:
    headers = HTTPHeaders()
    headers.add("A", "1")
    headers.add("A", "2")
    response = await client.fetch(server.url("/failing"), headers=headers, raise_error=False)
    assert list(response.request.headers.get_all()) == [("A", "1"), ("A", "2")]


async def test_user_agent(client: AsyncHTTPClient, server: Server) -> None:
    url = server.url("/echo")
    assert echoed(await client.fetch(url))["headers"]["User-Agent"].startswith("Typhoon/")
    seen = echoed(await client.fetch(url, headers={"User-Agent": "you"}, user_agent="me"))
    assert seen["headers"]["User-Agent"] == "me"


async def test_if_modified_since(client: AsyncHTTPClient, server: Server) -> None:
    since = datetime.datetime(2013, 1, 27, 18, 43, 20, tzinfo=datetime.UTC)
    for moment in (since, since.timestamp()):
        response = await client.fetch(
            server.url("/cached"), if_modified_since=moment, raise_error=False
        )
        assert (response.code, response.reason, response.body) == (304, "Not Modified", b"")
    assert (await client.fetch(server.url("/cached"), if_modified_since=0)).body == b"new"


async def test_defaults_fill_in_what_a_request_leaves_open(
    client_class: type[AsyncHTTPClient], io_loop: Any, server: Server
) -> None:
    client = client_class(
        force_instance=True, defaults={"user_agent": "default", "decompress_response": False}
    )
    seen = echoed(await client.fetch(server.url("/echo")))
    assert seen["headers"]["User-Agent"] == "default"
    assert "Accept-Encoding" not in seen["headers"]
    seen = echoed(await client.fetch(server.url("/echo"), user_agent="own"))
    assert seen["headers"]["User-Agent"] == "own"
    client.close()


async def test_a_request_is_sent_again(client: AsyncHTTPClient, server: Server) -> None:
    before = time.time()
    request = HTTPRequest(server.url("/echo"), "POST", {"A": "b"}, b"body", auth_username="me")
    assert before <= request.start_time <= time.time()
    first, second = await client.fetch(request), await client.fetch(request)
    assert first.request is second.request is request
    assert echoed(first) == echoed(second)
    assert dict(request.headers) == {"A": "b"}


# Credentials


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ({"auth_username": "me", "auth_password": "secret"}, "Basic bWU6c2VjcmV0"),
        ({"auth_username": "me"}, "Basic bWU6"),
        ({"auth_username": "me", "auth_mode": "basic"}, "Basic bWU6"),
        ({"auth_username": "mü", "auth_password": "ö"}, "Basic bcO8OsO2"),
        ({"headers": {"Authorization": "Bearer x"}}, "Bearer x"),
        ({}, None),
    ],
)
async def test_basic_authentication(
    client: AsyncHTTPClient, server: Server, arguments: dict[str, Any], sent: str | None
) -> None:
    seen = echoed(await client.fetch(server.url("/echo"), **arguments))
    assert seen["headers"].get("Authorization") == sent


async def test_credentials_in_the_url_go_first(client: AsyncHTTPClient, server: Server) -> None:
    url = server.url("/echo").replace("://", "://u%40:p%3A@")
    seen = echoed(await client.fetch(url, auth_username="other"))
    assert seen["headers"]["Authorization"] == "Basic dUA6cDo="
    assert seen["headers"]["Host"] == f"127.0.0.1:{server.port}"


# Bodies


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("length", [None, "150000"])
async def test_a_body_producer(
    client: AsyncHTTPClient, server: Server, method: str, length: str | None
) -> None:
    async def produce(write: Write) -> None:
        await write(b"")
        for _ in range(3):
            await asyncio.sleep(0)
            await write(numbered(5000))

    headers = {} if length is None else {"Content-Length": length}
    seen = echoed(
        await client.fetch(
            server.url("/upload"), method=method, body_producer=produce, headers=headers
        )
    )
    assert seen["size"] == 150000
    assert seen["headers"].get("Content-Length") == length
    assert seen["headers"].get("Transfer-Encoding") == (None if length else "chunked")


async def test_a_body_producer_that_is_no_coroutine_function(
    client: AsyncHTTPClient, server: Server
) -> None:
    def produce(write: Write) -> Any:
        return asyncio.ensure_future(write(b"12345"))

    response = await client.fetch(server.url("/upload"), method="POST", body_producer=produce)
    assert echoed(response)["size"] == 5


async def test_a_body_producer_that_raises(client: AsyncHTTPClient, server: Server) -> None:
    async def produce(write: Write) -> None:
        await write(b"x")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await client.fetch(server.url("/upload"), method="POST", body_producer=produce)


async def test_a_body_producer_of_a_request_that_ends(
    client: AsyncHTTPClient, server: Server
) -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def produce(write: Write) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    timeout = 0.05
    while not begun.is_set():  # which takes longer on a busy machine
        options = {"body_producer": produce, "request_timeout": timeout}
        with pytest.raises(HTTPError):
            await client.fetch(server.url("/upload"), method="POST", **options)
        timeout *= 4
    await cancelled.wait()


async def test_a_body_and_a_body_producer(client: AsyncHTTPClient, server: Server) -> None:
    with pytest.raises(ValueError, match="not both"):
        await client.fetch(
            server.url("/upload"), method="POST", body=b"x", body_producer=lambda write: None
        )


async def test_expect_100_continue(client: AsyncHTTPClient, server: Server) -> None:
    seen = echoed(
        await client.fetch(
            server.url("/echo"), method="POST", body=b"body", expect_100_continue=True
        )
    )
    assert (seen["body"], seen["headers"]["Expect"]) == ("body", "100-continue")
