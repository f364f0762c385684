"""The life of a client on libcurl."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import weakref
from contextlib import closing

import pycurl
import pytest

from http_servers import echoed
from support import Server, without_collector
from typhoon.curl_httpclient import CurlAsyncHTTPClient, CurlError
from typhoon.httpclient import AsyncHTTPClient, HTTPError, HTTPRequest, HTTPResponse
from typhoon.ioloop import IOLoop

pytestmark = pytest.mark.gen_test
"""Coroutines run on a loop of Typhoon's plugin."""


async def test_the_queue_and_the_connections(io_loop: IOLoop, server: Server) -> None:
    with closing(CurlAsyncHTTPClient(force_instance=True, max_clients=2)) as client:
        urls = [server.url("/peer"), server.url("/redirect?to=/peer")] * 3
        responses = await asyncio.gather(*map(client.fetch, urls))
        ports = {echoed(response)["port"] for response in responses}
        assert len(ports) <= 2, "connections are kept"
        assert responses[5].time_info["queue"] > 0
        assert responses[5].time_info["redirect"] > 0
        assert responses[4].time_info["redirect"] < responses[5].time_info["redirect"]
        assert not client.active
        assert not client.queue


async def test_a_timeout_in_the_queue(io_loop: IOLoop, server: Server) -> None:
    with closing(CurlAsyncHTTPClient(force_instance=True, max_clients=1)) as client:
        running = client.fetch(server.url("/never"), request_timeout=0)
        with pytest.raises(CurlError, match="Timeout in request queue") as caught:
            await client.fetch(server.url("/echo"), connect_timeout=0.01)
        assert caught.value.errno == pycurl.E_OPERATION_TIMEDOUT
        client.close()
        with pytest.raises(asyncio.CancelledError):
            await running


async def test_a_client_that_lets_nothing_run(io_loop: IOLoop) -> None:
    with pytest.raises(ValueError, match="write 1 or more"):
        CurlAsyncHTTPClient(force_instance=True, max_clients=0)


async def test_an_exception_in_the_callback_of_fetch_impl(
    client: CurlAsyncHTTPClient, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    told = asyncio.Event()

    def callback(response: HTTPResponse) -> None:
        told.set()
        raise ZeroDivisionError

    request = HTTPRequest(server.url("/echo"), connect_timeout=5, request_timeout=5)
    client.fetch_impl(request, callback)
    await told.wait()
    assert "Exception in callback" in caplog.text


async def test_closing_cancels(io_loop: IOLoop, server: Server) -> None:
    client = CurlAsyncHTTPClient(force_instance=True, max_clients=1)
    fetches = [client.fetch(server.url("/never")), client.fetch(server.url("/echo"))]
    client.close()
    client.close()
    for future in fetches:
        with pytest.raises(asyncio.CancelledError):
            await future
    with pytest.raises(RuntimeError, match="closed"):
        client.fetch(server.url("/echo"))


@pytest.mark.parametrize("path", ["/echo", "/failing", "/redirect?to=/echo", "/redirect?to=ftp:x"])
@pytest.mark.parametrize("kind", ["whole", "streamed", "awaited"])
async def test_a_client_is_freed_when_it_is_closed(
    io_loop: IOLoop, server: Server, path: str, kind: str
) -> None:
    async def take(chunk: bytes) -> None:
        await asyncio.sleep(0)

    async def use() -> weakref.ref[CurlAsyncHTTPClient]:
        callback = {"whole": None, "streamed": [].append, "awaited": lambda chunk: take(chunk)}
        with closing(CurlAsyncHTTPClient(force_instance=True)) as client:
            try:
                await client.fetch(server.url(path), streaming_callback=callback[kind])
            except (HTTPError, ValueError):
                pass
            return weakref.ref(client)

    with without_collector():
        freed = await use()
        await asyncio.sleep(0)
        assert freed() is None


def test_configure(io_loop: IOLoop) -> None:
    saved = AsyncHTTPClient._save_configuration()
    AsyncHTTPClient.configure("typhoon.curl_httpclient.CurlAsyncHTTPClient", max_body_size=5)
    try:
        client = AsyncHTTPClient()
    finally:
        AsyncHTTPClient._restore_configuration(saved)
    assert isinstance(client, CurlAsyncHTTPClient)
    assert client.max_body_size == 5
    client.close()


def test_without_pycurl() -> None:
    program = "import sys; sys.modules['pycurl'] = None; import typhoon.curl_httpclient"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    message = "ImportError: typhoon.curl_httpclient needs pycurl: pip install typhoon[curl]"
    assert message in done.stderr
