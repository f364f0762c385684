"""Timeouts, and how many requests run at once."""

import asyncio
import logging
from contextlib import closing
from typing import Any

import pytest

from http_servers import answers, hangs, raw_server
from typhoon.ioloop import IOLoop
from typhoon.iostream import UnsatisfiableReadError
from typhoon.netutil import Resolver
from typhoon.simple_httpclient import (
    HTTPTimeoutError,
    SimpleAsyncHTTPClient,
)
from typhoon.testing import ExpectLog
from typhoon.util import import_object

pytestmark = pytest.mark.gen_test
"""Coroutines run on a loop of Typhoon's plugin."""


async def test_a_request_timeout(client: SimpleAsyncHTTPClient) -> None:
    async with hangs() as url:
        # Long enough to connect, on a busy machine too.
        with pytest.raises(HTTPTimeoutError, match="waiting for the response"):
            await client.fetch(url, request_timeout=0.5)
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
            await client.fetch(url, connect_timeout=0.5, validate_cert=False)
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


async def test_the_limit_of_the_head(io_loop: IOLoop) -> None:
    head = b"HTTP/1.1 204 No Content\r\nA: %b\r\n\r\n" % (b"a" * 1000)
    refused = ExpectLog("typhoon.general", "Unsatisfiable read", level=logging.INFO)
    async with answers(head) as url:
        with closing(SimpleAsyncHTTPClient(force_instance=True, max_header_size=1100)) as client:
            assert (await client.fetch(url)).code == 204
        client = SimpleAsyncHTTPClient(force_instance=True, max_header_size=900)
        with closing(client), refused, pytest.raises(UnsatisfiableReadError):
            await client.fetch(url)


@pytest.mark.parametrize("name", ["SimpleAsyncHTTPClient", "CurlAsyncHTTPClient"])
async def test_a_timeout_that_is_no_number_takes_no_place(io_loop: IOLoop, name: str) -> None:
    module = "simple_httpclient" if name.startswith("Simple") else "curl_httpclient"
    make = import_object(f"typhoon.{module}.{name}")
    async with hangs() as url:
        with closing(make(force_instance=True, max_clients=1)) as client:
            with pytest.raises(TypeError) as caught:
                await client.fetch(url, request_timeout="1")
            assert caught.value.stage == "preparing"
            running = client.fetch(url)
            with pytest.raises(TypeError):
                client.fetch(url, connect_timeout="1")
            assert (len(client.active), len(client.queue)) == (1, 0)
        await asyncio.wait([running])
