"""What all HTTP clients share, with one that answers by itself."""

import asyncio
import copy
import datetime
import gc
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing
from io import BytesIO
from typing import Any

import pytest

from support import Server, without_collector
from typhoon.httpclient import (
    AsyncHTTPClient,
    HTTPClient,
    HTTPClientError,
    HTTPError,
    HTTPRequest,
    HTTPResponse,
)
from typhoon.httputil import HTTPHeaders
from typhoon.ioloop import IOLoop
from typhoon.simple_httpclient import SimpleAsyncHTTPClient
from typhoon.testing import ExpectLog
from typhoon.web import Application, RequestHandler

pytestmark = pytest.mark.gen_test
"""Coroutines run on a loop of Typhoon's plugin."""


class FakeClient(AsyncHTTPClient):
    """Answers with the status that the path of the URL is."""

    def initialize(self, size: int = 0, **kwargs: Any) -> None:
        super().initialize(**kwargs)
        self.size = size
        self.requests: list[HTTPRequest] = []

    def fetch_impl(self, request: HTTPRequest, callback: Callable[[HTTPResponse], None]) -> None:
        self.requests.append(request)
        last = request.url.rpartition("/")[2]
        if last == "broken":
            callback(HTTPResponse(request, 599, error=OSError("broken")))
        elif last == "cancelled":
            callback(HTTPResponse(request, 599, error=asyncio.CancelledError()))
        else:
            callback(HTTPResponse(request, int(last), buffer=BytesIO(b"body")))


@pytest.fixture
def configured() -> Iterator[None]:
    """Configure the client for one test."""
    saved = AsyncHTTPClient._save_configuration()
    yield
    AsyncHTTPClient._restore_configuration(saved)


# Requests


def test_a_request_takes_a_dictionary_of_headers_and_leaves_it_as_it_is() -> None:
    headers = {"A": "b"}
    request = HTTPRequest("http://x/", headers=headers, if_modified_since=1359312200)
    assert request.headers == {"A": "b", "If-Modified-Since": "Sun, 27 Jan 2013 18:43:20 GMT"}
    assert headers == {"A": "b"}
    request.headers = None  # type: ignore[assignment]
    assert request.headers == {}


@pytest.mark.parametrize(
    "since",
    [
        datetime.datetime(2013, 1, 27, 18, 43, 20),
        datetime.datetime(2013, 1, 27, 18, 43, 20, tzinfo=datetime.UTC),
    ],
)
def test_if_modified_since_takes_datetimes(since: datetime.datetime) -> None:
    request = HTTPRequest("http://x/", if_modified_since=since)
    assert request.headers["If-Modified-Since"] == "Sun, 27 Jan 2013 18:43:20 GMT"


def test_a_body_is_encoded() -> None:
    request = HTTPRequest("http://x/", body="é")
    assert request.body == b"\xc3\xa9"
    request.body = "è"  # type: ignore[assignment]
    assert request.body == b"\xc3\xa8"


def test_use_gzip_is_an_older_name() -> None:
    assert HTTPRequest("http://x/", use_gzip=False).decompress_response is False
    assert HTTPRequest("http://x/", use_gzip=False, decompress_response=True).decompress_response


# Responses and errors


def test_a_response_has_the_usual_phrase_and_an_empty_body() -> None:
    response = HTTPResponse(HTTPRequest("http://x/"), 204)
    assert response.reason == "No Content"
    assert response.body == b""
    assert response.headers == {}
    assert response.effective_url == "http://x/"
    assert response.error is None
    assert response.time_info == {}
    response.rethrow()
    assert repr(response).startswith("HTTPResponse(")
    assert "code=204" in repr(response)


def test_a_status_that_is_no_success_is_an_error() -> None:
    response = HTTPResponse(HTTPRequest("http://x/"), 404, reason="Gone Fishing")
    with pytest.raises(HTTPError) as caught:
        response.rethrow()
    assert caught.value.code == 404
    assert caught.value.response is response
    assert response.error is caught.value
    assert str(caught.value) == repr(caught.value) == "HTTP 404: Gone Fishing"


def test_a_response_and_its_error_are_freed_at_once() -> None:
    with without_collector():
        response = HTTPResponse(HTTPRequest("http://x/"), 404)
        gone = weakref.ref(response)
        with pytest.raises(HTTPError) as caught:
            response.rethrow()
        del response, caught
        assert gone() is None


def test_an_error_can_be_set() -> None:
    response = HTTPResponse(HTTPRequest("http://x/"), 404)
    response.error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        response.rethrow()


def test_errors_have_a_message_and_can_be_copied() -> None:
    error = HTTPClientError(403)
    assert str(error) == "HTTP 403: Forbidden"
    assert str(HTTPClientError(700)) == "HTTP 700: Unknown"
    other = copy.copy(error)
    assert (other.code, other.message) == (403, "Forbidden")


# The client


async def test_one_client_for_each_loop_and_class(configured: None) -> None:
    AsyncHTTPClient.configure(FakeClient)
    client = AsyncHTTPClient()
    assert isinstance(client, FakeClient)
    assert AsyncHTTPClient() is client
    other = AsyncHTTPClient(force_instance=True)
    assert other is not client
    other.close()
    simple = SimpleAsyncHTTPClient()
    assert simple is SimpleAsyncHTTPClient()
    simple.close()
    client.close()
    new = AsyncHTTPClient()
    assert new is not client
    new.close()


def test_clients_of_other_loops_are_others_and_are_forgotten() -> None:
    async def make() -> AsyncHTTPClient:
        return FakeClient()

    gone = weakref.ref(asyncio.run(make()))
    other = asyncio.run(make())
    gc.collect()
    assert gone() is not other
    assert gone() is None


async def test_configure_sets_arguments_and_defaults(configured: None) -> None:
    AsyncHTTPClient.configure(FakeClient, size=3, defaults={"user_agent": "me", "max_redirects": 1})
    with closing(AsyncHTTPClient()) as client:
        assert client.size == 3
        await client.fetch("http://x/200")
        await client.fetch("http://x/200", user_agent="you")
        first, second = client.requests
        assert (first.user_agent, first.max_redirects, first.follow_redirects) == ("me", 1, True)
        assert second.user_agent == "you"


async def test_an_unknown_default_is_an_error() -> None:
    with (
        closing(FakeClient(force_instance=True, defaults={"timeout": 1})) as client,
        pytest.raises(AttributeError, match="timeout"),
    ):
        client.fetch("http://x/200")


async def test_the_implementation_works_on_a_copy_of_the_request() -> None:
    with closing(FakeClient(force_instance=True)) as client:
        request = HTTPRequest("http://x/200", headers={"A": b"\xe9"})
        response = await client.fetch(request)
        assert response.request is request
        assert request.connect_timeout is None
        (seen,) = client.requests
        assert seen.connect_timeout == 20
        assert isinstance(seen.headers, HTTPHeaders)
        assert seen.headers["A"] == "\xe9"
        assert (await client.fetch(response.request)).body == b"body"


async def test_raise_error_is_about_statuses_only() -> None:
    with closing(FakeClient(force_instance=True)) as client:
        with pytest.raises(HTTPError) as caught:
            await client.fetch("http://x/404")
        assert caught.value.response.body == b"body"
        assert (await client.fetch("http://x/404", raise_error=False)).code == 404
        with pytest.raises(OSError, match="broken"):
            await client.fetch("http://x/broken", raise_error=False)
        with pytest.raises(asyncio.CancelledError):
            await client.fetch("http://x/cancelled")


async def test_arguments_for_a_request_object_are_an_error() -> None:
    with (
        closing(FakeClient(force_instance=True)) as client,
        pytest.raises(ValueError, match="set its attributes"),
    ):
        client.fetch(HTTPRequest("http://x/200"), method="POST")


async def test_headers_that_cannot_be_sent_are_an_error() -> None:
    with closing(FakeClient(force_instance=True)) as client:
        for headers in ({"A": "b\r\nC: d"}, {"A\n": "b"}):
            with pytest.raises(ValueError, match="header"):
                client.fetch("http://x/200", headers=headers)


async def test_a_closed_client_says_so() -> None:
    client = FakeClient(force_instance=True)
    client.close()
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        client.fetch("http://x/200")


async def test_an_error_behind_a_cancelled_fetch_is_logged() -> None:
    class Late(FakeClient):
        def fetch_impl(
            self, request: HTTPRequest, callback: Callable[[HTTPResponse], None]
        ) -> None:
            self.answer = lambda: callback(HTTPResponse(request, 404))

    with closing(Late(force_instance=True)) as client:
        future = client.fetch("http://x/")
        future.cancel()
        with ExpectLog("typhoon.application", "Exception after Future was cancelled"):
            client.answer()


@pytest.mark.parametrize("path", ["200", "404", "broken"])
async def test_a_callback_is_called_with_every_response(path: str) -> None:
    responses: asyncio.Queue[HTTPResponse] = asyncio.Queue()
    with closing(FakeClient(force_instance=True)) as client:
        with pytest.warns(DeprecationWarning, match="await what it returns") as caught:
            client.fetch(f"http://x/{path}", callback=responses.put_nowait)
        assert caught[0].filename == __file__
        response = await responses.get()
        assert response.code == (599 if path == "broken" else int(path))
        assert isinstance(response.error, {"200": type(None), "404": HTTPError}.get(path, OSError))


# The blocking client and the command line


class Hello(RequestHandler):
    def get(self) -> None:
        self.set_header("X-Greeting", "hello")
        self.write("Hello")


def test_the_blocking_client(serve: Callable[..., Server]) -> None:
    server = serve(Application([("/", Hello)]))
    current = IOLoop.current(instance=False)
    client = HTTPClient()
    assert client.fetch(server.url("/")).body == b"Hello"
    with pytest.raises(HTTPError, match="404"):
        client.fetch(server.url("/missing"))
    assert client.fetch(server.url("/missing"), raise_error=False).code == 404
    client.close()
    client.close()
    assert IOLoop.current(instance=False) is current


def test_the_blocking_client_takes_another_class() -> None:
    with closing(HTTPClient(FakeClient, size=4)) as client:
        assert client.fetch("http://x/200").body == b"body"
        assert client._async_client.size == 4


def test_a_blocking_client_that_cannot_be_made_leaves_nothing_behind() -> None:
    with pytest.raises(TypeError, match="colour"):
        HTTPClient(colour="red")


def test_a_blocking_client_that_is_left_open_does_not_complain() -> None:
    program = "from typhoon.httpclient import HTTPClient; f = lambda: None; c = HTTPClient()"
    command = [sys.executable, "-W", "error", "-c", program]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_the_command_line(serve: Callable[..., Server]) -> None:
    server = serve(Application([("/", Hello)]))
    command = [sys.executable, "-m", "typhoon.httpclient", "--print_headers"]
    command += [server.url("/"), server.url("/missing")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert result.returncode == 0, result.stderr
    assert "X-Greeting: hello" in result.stdout
    assert "Hello\n" in result.stdout
    assert "404" in result.stdout
