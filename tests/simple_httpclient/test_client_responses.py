"""What the client makes of responses, whole or not."""

import asyncio
import gzip
import logging
from contextlib import closing
from typing import Any

import pytest

from http_servers import answers
from support import Server
from typhoon.http1connection.decoding import accept_encoding
from typhoon.httpclient import HTTPError, HTTPRequest
from typhoon.ioloop import IOLoop
from typhoon.simple_httpclient import (
    HTTPStreamClosedError,
    SimpleAsyncHTTPClient,
)
from typhoon.testing import ExpectLog

pytestmark = pytest.mark.gen_test
"""Coroutines run on a loop of Typhoon's plugin."""


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
    assert response.headers["Asked"] == accept_encoding()
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
    order = ["namelookup", "connect", "pretransfer", "starttransfer", "total"]
    assert sorted(order, key=times.__getitem__) == order
    assert times["redirect"] == times["appconnect"] == 0
    # Nothing is looked up, and no connection is made, where there is one.
    times = (await client.fetch(request)).time_info
    order = ["pretransfer", "starttransfer", "total"]
    assert sorted(order, key=times.__getitem__) == order
    assert times["namelookup"] == times["connect"] == times["appconnect"] == 0
    times = (await client.fetch(server.url("/redirect?to=/echo"))).time_info
    assert 0 < times["redirect"] < 10


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
