"""What all HTTP clients share, with one that answers by itself."""

import asyncio
import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from fake_client import FakeClient
from typhoon.httpclient import AsyncHTTPClient, HTTPError, HTTPRequest, HTTPResponse
from typhoon.httputil import HTTPHeaders
from typhoon.simple_httpclient import SimpleAsyncHTTPClient
from typhoon.testing import ExpectLog

pytestmark = pytest.mark.gen_test
"""Coroutines run on a loop of Typhoon's plugin."""


@pytest.fixture
def configured() -> Iterator[None]:
    """Configure the client for one test."""
    saved = AsyncHTTPClient._save_configuration()
    yield
    AsyncHTTPClient._restore_configuration(saved)


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


async def test_a_url_that_is_no_text_is_an_error() -> None:
    with closing(FakeClient(force_instance=True)) as client:
        for url in (b"http://x/200", HTTPRequest(None)):
            with pytest.raises(TypeError, match="the URL of a request is a str, not "):
                client.fetch(url)


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
