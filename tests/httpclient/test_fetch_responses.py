"""What every client makes of a response."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Any

import pytest

from fetch_servers import CODINGS, numbered
from http_servers import answers, echoed
from support import Server
from typhoon.httpclient import AsyncHTTPClient, HTTPError, HTTPResponse

pytestmark = pytest.mark.gen_test
"""Coroutines run on a loop of Typhoon's plugin."""


async def test_a_response(client: AsyncHTTPClient, server: Server) -> None:
    before = time.time()
    response = await client.fetch(server.url("/echo?a=%C3%A9"))
    assert (response.code, response.reason, response.error) == (200, "OK", None)
    assert response.headers["Content-Type"] == "application/json; charset=UTF-8"
    assert echoed(response)["uri"] == "/echo?a=%C3%A9"
    assert response.buffer is not None
    assert response.buffer.read() == response.body
    assert response.effective_url == response.request.url
    assert before <= (response.start_time or 0) <= time.time()
    assert 0 < (response.request_time or 0) < 20
    response.rethrow()


async def test_where_the_time_went(client: AsyncHTTPClient, server: Server) -> None:
    times = (await client.fetch(server.url("/pieces"))).time_info
    stages = ["namelookup", "connect", "starttransfer", "total"]
    assert times.keys() >= {"queue", *stages}
    assert times["queue"] == 0
    seconds = [times[stage] for stage in stages]
    assert seconds == sorted(seconds)


async def test_a_status_that_is_an_error(client: AsyncHTTPClient, server: Server) -> None:
    with pytest.raises(HTTPError, match="HTTP 418: Short and Stout") as caught:
        await client.fetch(server.url("/failing"))
    assert caught.value.response is not None
    assert caught.value.response.body == b"a pot"
    response = await client.fetch(server.url("/failing"), raise_error=False)
    assert (response.code, str(response.error)) == (418, "HTTP 418: Short and Stout")
    with pytest.raises(HTTPError, match="418"):
        response.rethrow()


async def test_a_reason_that_is_none(client: AsyncHTTPClient) -> None:
    async with answers(b"HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n") as url:
        response = await client.fetch(url, raise_error=False)
    assert response.reason == "Not Found"


async def test_a_body_until_close(client: AsyncHTTPClient) -> None:
    async with answers(b"HTTP/1.0 200 Fine\r\n\r\nall of it") as url:
        response = await client.fetch(url)
    assert (response.reason, response.body) == ("Fine", b"all of it")


async def test_trailers_are_no_headers(client: AsyncHTTPClient) -> None:
    answer = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        b"2\r\nok\r\n0\r\nContent-Type: sneaky\r\n\r\n"
    )
    async with answers(answer) as url:
        response = await client.fetch(url)
    assert (response.body, response.headers.get("Content-Type")) == (b"ok", None)


# Callbacks


async def test_streaming(client: AsyncHTTPClient, server: Server) -> None:
    for path, whole in (("/big/30000", numbered(30000)), ("/pieces", b"one two three")):
        chunks: list[bytes] = []
        response = await client.fetch(server.url(path), streaming_callback=chunks.append)
        assert (b"".join(chunks), response.body) == (whole, b"")
        assert len(chunks) > 1 or path == "/pieces"


async def test_streaming_holds_the_server_up(client: AsyncHTTPClient, server: Server) -> None:
    """A callback that returns an awaitable gets the next piece when that is done."""
    running = 0
    chunks: list[bytes] = []

    async def take(chunk: bytes) -> None:
        nonlocal running
        running += 1
        assert running == 1
        await asyncio.sleep(0)
        chunks.append(chunk)
        running -= 1

    response = await client.fetch(
        server.url("/big/30000"), streaming_callback=lambda chunk: take(chunk)
    )
    assert (b"".join(chunks), response.body) == (numbered(30000), b"")


async def test_the_response_waits_for_the_last_piece(
    client: AsyncHTTPClient, server: Server
) -> None:
    order = []

    async def take(chunk: bytes) -> None:
        for _ in range(20):
            await asyncio.sleep(0.001)
        order.append("taken")

    await client.fetch(server.url("/big/1"), streaming_callback=lambda chunk: take(chunk))
    order.append("response")
    assert order == ["taken", "response"]


@pytest.mark.parametrize("lines", [1, 100_000])
async def test_a_streaming_callback_that_never_ends(
    client: AsyncHTTPClient, server: Server, lines: int
) -> None:
    pieces = []
    cancelled = asyncio.Event()

    async def take(chunk: bytes) -> None:
        pieces.append(chunk)
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    timeout = 0.2
    while not pieces:  # the first of which takes longer on a busy machine
        with pytest.raises(HTTPError) as caught:
            await client.fetch(
                server.url(f"/big/{lines}"),
                streaming_callback=lambda chunk: take(chunk),
                request_timeout=timeout,
            )
        assert caught.value.code == 599
        timeout *= 4
    await cancelled.wait()
    assert len(pieces) == 1


async def test_a_streaming_callback_that_fetches(client: AsyncHTTPClient, server: Server) -> None:
    fetches: list[Awaitable[HTTPResponse]] = []

    def callback(chunk: bytes) -> None:
        fetches.append(client.fetch(server.url("/echo")))

    await client.fetch(server.url("/big/1"), streaming_callback=callback)
    (response,) = await asyncio.gather(*fetches)
    assert response.code == 200


async def test_a_streaming_callback_that_closes(
    client_class: type[AsyncHTTPClient], io_loop: Any, server: Server
) -> None:
    client = client_class(force_instance=True)
    with pytest.raises(asyncio.CancelledError):
        await client.fetch(
            server.url("/big/30000"), streaming_callback=lambda chunk: client.close()
        )


async def test_a_header_callback(client: AsyncHTTPClient, server: Server) -> None:
    lines: list[str] = []
    url = server.url("/redirect?to=/echo")
    response = await client.fetch(
        url,
        method="POST",
        body=b"x",
        expect_100_continue=True,
        header_callback=lines.append,
        streaming_callback=lambda chunk: lines.append("body"),
    )
    assert lines[0] == "HTTP/1.1 200 OK\r\n"
    assert "Content-Type: application/json; charset=UTF-8\r\n" in lines
    assert lines.index("\r\n") == lines.index("body") - 1
    assert len([line for line in lines if line.startswith("HTTP/")]) == 1
    assert len(lines) - 2 - lines.count("body") == len(list(response.headers.get_all()))


async def test_callbacks_run_in_the_context_of_the_fetch(
    client_class: type[AsyncHTTPClient], io_loop: Any, server: Server
) -> None:
    user: contextvars.ContextVar[int] = contextvars.ContextVar("user")
    seen: list[tuple[str, int]] = []

    async def later(chunk: bytes) -> None:
        await asyncio.sleep(0)
        seen.append(("later", user.get()))

    def callback(chunk: bytes) -> Awaitable[None]:
        seen.append(("now", user.get()))
        return later(chunk)

    async def produce(write: Callable[[bytes], Awaitable[None]]) -> None:
        seen.append(("produce", user.get()))
        await write(b"body")

    async def one(number: int) -> None:
        user.set(number)
        await client.fetch(
            server.url("/upload"),
            method="POST",
            body_producer=produce,
            streaming_callback=callback,
            header_callback=lambda line: seen.append(("head", user.get())),
        )

    with closing(client_class(force_instance=True, max_clients=1)) as client:
        await asyncio.gather(one(1), one(2))
    kinds = [("produce", 1), ("head", 1), ("now", 1), ("later", 1)]
    assert list(dict.fromkeys(seen)) == kinds + [(kind, 2) for kind, _ in kinds]


# Codings and limits


async def test_decompression(client: AsyncHTTPClient, server: Server) -> None:
    response = await client.fetch(server.url("/coded/gzip"))
    assert response.body == b"a" * 100_000
    assert "gzip" in response.headers["Asked"]


async def test_no_decompression(client: AsyncHTTPClient, server: Server) -> None:
    for option in ("decompress_response", "use_gzip"):
        response = await client.fetch(server.url("/coded/gzip"), **{option: False})
        assert response.headers["Asked"] == "nothing"
        assert response.headers["Content-Encoding"] == "gzip"
        assert response.body[:2] == b"\x1f\x8b"


@pytest.mark.parametrize("coding", CODINGS)
async def test_codings_that_are_asked_for(
    client: AsyncHTTPClient, server: Server, coding: str
) -> None:
    response = await client.fetch(server.url(f"/coded/{coding}"))
    asked = [item.partition(";")[0].strip() for item in response.headers["Asked"].split(",")]
    if coding in asked:
        assert response.body == b"a" * 100_000


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("path", ["/big/{}", "/coded/gzip"])
async def test_max_body_size(
    client_class: type[AsyncHTTPClient], io_loop: Any, server: Server, streamed: bool, path: str
) -> None:
    size = 0

    def callback(chunk: bytes) -> None:
        nonlocal size
        size += len(chunk)

    arguments: dict[str, Any] = {"streaming_callback": callback} if streamed else {}
    for limit, fits in ((100_000, True), (99_999, False)):
        size = 0
        with closing(client_class(force_instance=True, max_body_size=limit)) as client:
            fetch = client.fetch(server.url(path.format(10000)), **arguments)
            if fits:
                assert (await fetch).code == 200
            else:
                with pytest.raises(HTTPError) as caught:
                    await fetch
                assert caught.value.code == 599
                assert size <= limit
