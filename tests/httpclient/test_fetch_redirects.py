"""Redirects, by every client's rules (RFC 9110 §15.4)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from fetch_servers import APP
from http_servers import answers, echoed
from support import Server
from typhoon.httpclient import AsyncHTTPClient, HTTPError

pytestmark = pytest.mark.gen_test
"""Coroutines run on a loop of Typhoon's plugin."""


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        (301, "POST", ("GET", "")),
        (302, "POST", ("GET", "")),
        (303, "POST", ("GET", "")),
        (303, "PUT", ("GET", "")),
        (307, "POST", ("POST", "body")),
        (308, "POST", ("POST", "body")),
        (301, "PUT", ("PUT", "body")),
        (307, "PUT", ("PUT", "body")),
    ],
)
async def test_methods(
    client: AsyncHTTPClient, server: Server, status: int, method: str, then: tuple[str, str]
) -> None:
    url = server.url(f"/redirect?status={status}&to=/echo")
    response = await client.fetch(url, method=method, body="body")
    seen = echoed(response)
    assert (seen["method"], seen["body"]) == then
    assert response.effective_url == server.url("/echo")
    assert response.request.url == url


async def test_a_body_producer_is_asked_again(client: AsyncHTTPClient, server: Server) -> None:
    async def produce(write: Any) -> None:
        await write(b"body")

    url = server.url("/redirect?status=307&to=/echo")
    response = await client.fetch(url, method="POST", body_producer=produce)
    assert echoed(response)["body"] == "body"


async def test_redirects_that_are_not_followed(client: AsyncHTTPClient, server: Server) -> None:
    for arguments in ({"follow_redirects": False}, {"max_redirects": 0}):
        response = await client.fetch(
            server.url("/redirect?to=/echo"), raise_error=False, **arguments
        )
        assert (response.code, response.headers["Location"]) == (302, "/echo")
        assert response.body == b"not to be seen"


async def test_the_last_of_too_many_redirects_is_the_response(
    client: AsyncHTTPClient, server: Server
) -> None:
    assert (await client.fetch(server.url("/countdown/3"), max_redirects=3)).body == b"zero"
    with pytest.raises(HTTPError, match="302") as caught:
        await client.fetch(server.url("/countdown/4"), max_redirects=3)
    assert caught.value.response is not None
    assert caught.value.response.effective_url == server.url("/countdown/1")


async def test_redirects_that_lead_nowhere(client: AsyncHTTPClient, server: Server) -> None:
    with pytest.raises(ValueError, match="file:///etc/hostname"):
        await client.fetch(server.url("/redirect?to=file:///etc/hostname"))


@pytest.mark.parametrize(
    "arguments",
    [
        {"auth_username": "me", "auth_password": "secret"},
        {"headers": {"Authorization": "secret"}},
        {"headers": {"Cookie": "secret"}},
    ],
)
async def test_credentials_stay_with_the_origin(
    client: AsyncHTTPClient,
    server: Server,
    serve: Callable[..., Server],
    arguments: dict[str, Any],
) -> None:
    other = serve(APP)
    (name,) = {"Authorization"} if "auth_username" in arguments else arguments["headers"]
    same = await client.fetch(server.url(f"/redirect?to={server.url('/echo')}"), **arguments)
    away = await client.fetch(server.url(f"/redirect?to={other.url('/echo')}"), **arguments)
    assert name in echoed(same)["headers"]
    assert name not in echoed(away)["headers"]


async def test_nobody_sees_a_redirect(client: AsyncHTTPClient, server: Server) -> None:
    lines: list[str] = []
    chunks: list[bytes] = []
    await client.fetch(
        server.url("/redirect?to=/big/1"),
        header_callback=lines.append,
        streaming_callback=chunks.append,
    )
    assert "Location" not in "".join(lines)
    assert chunks == [b"000000000\n"]


async def test_the_time_is_for_all_of_them(client: AsyncHTTPClient, server: Server) -> None:
    with pytest.raises(HTTPError) as caught:
        await client.fetch(server.url("/redirect?to=/never"), request_timeout=0.1)
    assert caught.value.code == 599


async def test_a_large_body_on_the_way(
    client_class: type[AsyncHTTPClient], io_loop: Any, server: Server
) -> None:
    head = (
        f"HTTP/1.1 302 Found\r\nLocation: {server.url('/big/1')}\r\nContent-Length: 99000\r\n\r\n"
    )
    with closing(client_class(force_instance=True, max_body_size=99000)) as client:
        async with answers(head.encode() + b"x" * 99000) as url:
            assert (await client.fetch(url)).body == b"000000000\n"
