"""Redirects, and who may know the credentials."""

from collections.abc import Awaitable, Callable

import pytest

from http_servers import echoed
from support import Server
from typhoon.httpclient import HTTPRequest
from typhoon.simple_httpclient import SimpleAsyncHTTPClient
from typhoon.simple_httpclient.redirects import next_request

pytestmark = pytest.mark.gen_test
"""Coroutines run on a loop of Typhoon's plugin."""


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
