"""Redirects, and who may know the credentials."""

import asyncio
from base64 import b64decode
from collections.abc import Awaitable, Callable

import pytest

from http_servers import answers, echoed, raw_server
from support import Server
from typhoon.httpclient import HTTPRequest
from typhoon.httputil import HTTPHeaders
from typhoon.simple_httpclient import SimpleAsyncHTTPClient
from typhoon.simple_httpclient.errors import HTTPRedirectError
from typhoon.simple_httpclient.headers import request_headers
from typhoon.simple_httpclient.redirects import next_request
from typhoon.simple_httpclient.target import parse_target

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
    "headers": {
        "Authorization": "secret",
        "Cookie": "secret",
        "Proxy-Authorization": "secret",
        "Host": "other",
        "X": "y",
    },
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
        ("http://EXAMPLE.com", True),
        ("http://example.com./", False),
        ("http://user@example.org/", False),
    ],
)
def test_credentials_stay_with_their_origin(location: str, kept: bool) -> None:
    for request in (
        HTTPRequest("http://example.com/", auth_username="me", auth_password="it", **SECRETS),
        HTTPRequest("http://me:it@example.com/", **SECRETS),
    ):
        request.max_redirects = 5
        following = next_request(request, 302, HTTPHeaders({"Location": location}))
        names = {"X"} | ({"Authorization", "Cookie", "Proxy-Authorization"} if kept else set())
        assert set(following.headers) == names
        wanted = ("me", "it", "cert.pem", "key.pem") if kept else (None, None, None, None)
        assert (
            following.auth_username,
            following.auth_password,
            following.client_cert,
            following.client_key,
        ) == wanted
        assert following.max_redirects == 4
        assert set(request.headers) == set(SECRETS["headers"])


def redirected(request: HTTPRequest, location: str, code: int = 302) -> HTTPRequest:
    request.max_redirects = 5
    return next_request(request, code, HTTPHeaders({"Location": location}))


def test_credentials_of_the_url_go_first_after_a_redirect_too() -> None:
    request = HTTPRequest("http://me:it@example.com/", auth_username="you", auth_password="that")
    for location, wanted in (
        ("http://example.com/x", ("me", "it")),
        ("http://she:this@example.com/x", ("she", "this")),
        ("/x", ("me", "it")),
    ):
        following = redirected(request, location)
        sent = request_headers(following, parse_target(following.url))["Authorization"]
        assert b64decode(sent.removeprefix("Basic ")).decode() == ":".join(wanted)


def test_certificates_in_tls_settings_stay_with_their_origin() -> None:
    options = {"certfile": "c", "keyfile": "k", "ca_certs": "a"}
    request = HTTPRequest("https://example.com/", ssl_options=options)
    assert redirected(request, "/x").ssl_options == options
    assert redirected(request, "https://example.org/").ssl_options == {"ca_certs": "a"}


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/c", "http://example.com/c#f"),
        ("c", "http://example.com/a/c#f"),
        ("../c?d", "http://example.com/c?d#f"),
        ("../../../c", "http://example.com/c#f"),
        ("?c", "http://example.com/a/b?c#f"),
        ("#g", "http://example.com/a/b?q#g"),
        ("c#", "http://example.com/a/c"),
        ("c#g", "http://example.com/a/c#g"),
        ("//example.org/c", "http://example.org/c#f"),
        ("https://example.org", "https://example.org#f"),
        ("HTTP://example.org/#g", "http://example.org/#g"),
        ("/a b", "http://example.com/a b#f"),
        ("/\u00c3\u00bc", "http://example.com/\u00fc#f"),  # UTF-8
        ("/\u00fc", "http://example.com/%FC#f"),  # Latin-1
        ("//m\u00c3\u00bcnchen.example/", "http://m\u00fcnchen.example/#f"),
    ],
)
def test_where_a_location_leads(location: str, url: str) -> None:
    """RFC 9110 §10.2.2, RFC 3986 §5.4."""
    assert redirected(HTTPRequest("http://example.com/a/b?q#f"), location).url == url


async def test_what_a_server_sends_beyond_ascii(client: SimpleAsyncHTTPClient) -> None:
    paths = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        locations = [b"/\xc3\xbc?\xc3\xbc#\xc3\xbc", b"/\xfc?\xfc"]
        while line := await reader.readline():
            await reader.readuntil(b"\r\n\r\n")
            paths.append(line.split()[1])
            more = b"302 Found\r\nLocation: " + locations.pop(0) if locations else b"200 OK"
            writer.write(b"HTTP/1.1 " + more + b"\r\nContent-Length: 0\r\n\r\n")

    async with raw_server(handle) as url:
        response = await client.fetch(url)
        assert paths == [b"/", b"/%C3%BC?%C3%BC", b"/%FC?%FC"]
        assert response.effective_url == url + "%FC?%FC#\u00fc"


@pytest.mark.parametrize(
    ("location", "problem"),
    [
        ("ftp://you:that@example.org/", "Unsupported url scheme"),
        ("https://", "there is no host"),
        ("//example.org:x/", "the port"),
        ("http://[::1/", "Invalid IPv6 URL"),
        ("/a\tb", "control characters"),
    ],
)
def test_an_error_names_both_urls(location: str, problem: str) -> None:
    with pytest.raises(HTTPRedirectError, match=problem) as caught:
        redirected(HTTPRequest("http://me:it@example.com/here"), location)
    message = str(caught.value)
    assert "http://***@example.com/here redirects to" in message
    assert location.rpartition("@")[2].replace("\t", r"\t") in message.replace("\\\\", "\\")
    assert "that" not in message


def test_several_locations_are_an_error() -> None:
    headers = HTTPHeaders()
    headers.add("Location", "/a")
    headers.add("Location", "/a")
    request = HTTPRequest("http://example.com/", max_redirects=1)
    assert next_request(request, 302, headers).url == "http://example.com/a"
    headers.add("Location", "/b")
    with pytest.raises(HTTPRedirectError, match="several Locations"):
        next_request(request, 302, headers)


@pytest.mark.parametrize("location", ["", None])
async def test_without_a_location_the_response_is_the_result(
    client: SimpleAsyncHTTPClient, location: str | None
) -> None:
    line = b"" if location is None else b"Location:\r\n"
    async with answers(b"HTTP/1.1 302 Found\r\n" + line + b"Content-Length: 1\r\n\r\nx") as url:
        response = await client.fetch(url, raise_error=False)
        assert (response.code, response.body) == (302, b"x")


def test_headers_about_a_body_go_with_it() -> None:
    headers = {"Content-Type": "a/b", "Content-Encoding": "br", "Content-Language": "en", "X": "y"}
    for code, left in ((302, {"X"}), (303, {"X"}), (307, set(headers)), (308, set(headers))):
        request = HTTPRequest("http://example.com/", "POST", headers=HTTPHeaders(headers), body=b"")
        assert set(redirected(request, "/x", code).headers) == left


async def test_a_redirect_to_another_scheme_is_an_error(
    client: SimpleAsyncHTTPClient, server: Server
) -> None:
    with pytest.raises(ValueError, match="Unsupported url scheme"):
        await client.fetch(server.url("/redirect?to=ftp://example.com/"))
