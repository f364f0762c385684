"""The sign-in mixins of old: with callbacks, for Google's OpenID and for FriendFeed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from openid_provider import BEN, Provider
from support import TIMEOUT, Server, running_server
from typhoon.auth import FriendFeedMixin, GoogleMixin
from typhoon.httpclient import AsyncHTTPClient
from typhoon.web import Application, RequestHandler, asynchronous
from visits import Browser, location, query_of, visit

Serve = Callable[..., Server]

pytestmark = [
    pytest.mark.filterwarnings("ignore:OpenIdMixin is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:FriendFeedMixin is deprecated:DeprecationWarning"),
]


@pytest.fixture
def provider() -> Iterator[str]:
    with running_server(Application([("/openid", Provider)])) as server:
        yield server.url("/openid")


def google(endpoint: str) -> Application:
    with pytest.warns(DeprecationWarning, match="asynchronous is deprecated"):

        class Handler(RequestHandler, GoogleMixin):
            _OPENID_ENDPOINT = endpoint

            @asynchronous
            def get(self) -> None:
                if self.get_argument("openid.mode", None):
                    self.get_authenticated_user(self._on_auth)
                    return
                self.authenticate_redirect()

            def _on_auth(self, user: dict[str, Any] | None) -> None:
                if not user:
                    self.authenticate_redirect()
                    return
                raise ZeroDivisionError

    return Application([("/login", Handler)])


def test_google_begins_again_if_the_provider_cannot_be_asked(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    site = serve(google("http://127.0.0.1:9/"))
    assert visit(site.url("/login?openid.mode=id_res")).status == 302
    assert "Nobody has been signed in" in caplog.text


def test_an_exception_in_the_callback_is_answered(serve: Serve, provider: str) -> None:
    site = serve(google(provider))
    assert Browser().go(site.url("/login")).status == 500


def test_google_without_a_callback(serve: Serve, provider: str) -> None:
    class Handler(RequestHandler, GoogleMixin):
        _OPENID_ENDPOINT = provider

        async def get(self) -> None:
            if self.get_argument("openid.mode", None):
                self.write(await asyncio.wait_for(self.get_authenticated_user(), TIMEOUT))
            else:
                self.authenticate_redirect()

    site = serve(Application([("/login", Handler)]))
    assert json.loads(Browser().go(site.url("/login")).body) == BEN


class FriendFeed(RequestHandler):
    """A service of 2009; oauthlib's opinion of the signatures is in tests/auth."""

    def get(self, page: str) -> None:
        assert self.get_argument("oauth_consumer_key") == "k"
        assert self.get_argument("oauth_signature")
        match page:
            case "account/oauth/request_token":
                self.write("oauth_token=request&oauth_token_secret=1")
            case "account/oauth/access_token":
                assert self.get_argument("oauth_token") == "request"
                self.write("oauth_token=access&oauth_token_secret=2&username=bret")
            case _:
                assert page == "v2/feedinfo/bret"
                assert self.get_argument("include") == "id,name,description"
                self.write({"id": "bret", "name": "Bret"})

    def post(self, page: str) -> None:
        if self.get_body_argument("body") == "fail":
            self.set_status(400)
            self.write({"errorCode": "bad-id"})
        else:
            self.write({"body": self.get_body_argument("body"), "to": self.get_argument("to")})


@pytest.fixture
def friendfeed(serve: Serve) -> Server:
    base = serve(Application([("/(.*)", FriendFeed)])).url("")
    with pytest.warns(DeprecationWarning, match="asynchronous is deprecated"):

        class Handler(RequestHandler, FriendFeedMixin):
            _OAUTH_REQUEST_TOKEN_URL = base + "/account/oauth/request_token"
            _OAUTH_ACCESS_TOKEN_URL = base + "/account/oauth/access_token"
            _OAUTH_AUTHORIZE_URL = base + "/account/oauth/authorize"
            _FRIENDFEED_BASE_URL = base + "/v2"

            @asynchronous
            def get(self) -> None:
                if self.get_argument("oauth_token", None):
                    self.get_authenticated_user(self._on_auth)
                    return
                self.authorize_redirect()

            def _on_auth(self, user: dict[str, Any] | None) -> None:
                self.finish(json.dumps(user))

            @asynchronous
            def post(self) -> None:
                self.friendfeed_request(
                    "/entry",
                    self._on_auth,
                    access_token={"key": "a", "secret": "b"},
                    post_args={"body": self.get_argument("body")},
                    to="me",
                )

    keys = {"friendfeed_consumer_key": "k", "friendfeed_consumer_secret": "s"}
    return serve(Application([("/login", Handler)], **keys))


def test_friendfeed(friendfeed: Server) -> None:
    browser = Browser()
    there = location(browser.visit(friendfeed.url("/login")))
    assert query_of(there) == {"oauth_token": "request"}
    assert json.loads(browser.visit(friendfeed.url("/login?oauth_token=request")).body) == {
        "id": "bret",
        "name": "Bret",
        "username": "bret",
        "access_token": {"key": "access", "secret": "2", "username": "bret"},
    }


def test_nobody_from_friendfeed(friendfeed: Server, caplog: pytest.LogCaptureFixture) -> None:
    assert friendfeed.get("/login?oauth_token=request").text == "null"
    assert "Nobody has been signed in: The cookie" in caplog.text


def test_requests_to_friendfeed(friendfeed: Server, caplog: pytest.LogCaptureFixture) -> None:
    visited = visit(friendfeed.url("/login"), b"body=%E2%98%83")
    assert json.loads(visited.body) == {"body": "☃", "to": "me"}
    assert visit(friendfeed.url("/login"), b"body=fail").text == "null"
    assert "FriendFeed did not answer: HTTP 400" in caplog.text


def test_a_client_of_ones_own(serve: Serve) -> None:
    class Handler(RequestHandler, FriendFeedMixin):
        def get_auth_http_client(self) -> AsyncHTTPClient:
            raise LookupError("ask me")

        async def get(self) -> None:
            with pytest.raises(LookupError, match="ask me"):
                await self.friendfeed_request("/entry")
            with pytest.raises(RuntimeError, match="'friendfeed_consumer_key' setting"):
                await self.authorize_redirect()
            self.write("told")

    assert serve(Application([("/", Handler)])).get("/").text == "told"
