"""Twitter, with a provider of OAuth 1.0a in its place."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from oauth1_provider import KEY, SECRET, USER, Store, provider

from support import Server
from typhoon.auth import AuthProviderError, TwitterMixin
from typhoon.web import Application, RequestHandler
from visits import Browser, location

Serve = Callable[..., Server]

KEYS = {"twitter_consumer_key": KEY, "twitter_consumer_secret": SECRET}
TOKEN = {"key": "accesstokenaccesstoken", "secret": "s3cret&"}


class TwitterHandler(RequestHandler, TwitterMixin):
    def initialize(self, base: str) -> None:
        self.base = base
        self._OAUTH_REQUEST_TOKEN_URL = base + "/oauth/request_token"
        self._OAUTH_ACCESS_TOKEN_URL = base + "/oauth/access_token"
        self._OAUTH_AUTHORIZE_URL = base + "/oauth/authorize"
        self._OAUTH_AUTHENTICATE_URL = base + "/oauth/authenticate"
        self._TWITTER_BASE_URL = base + "/1.1"

    async def get(self) -> None:
        if self.get_argument("oauth_token", None):
            self.write(await self.get_authenticated_user())
        elif self.get_argument("authorize", None):
            await self.authorize_redirect("/login")
        else:
            await self.authenticate_redirect("/login")


@pytest.fixture
def store() -> Store:
    store = Store()
    store.access_tokens[TOKEN["key"]] = TOKEN["secret"]
    return store


@pytest.fixture
def seen() -> list[dict[str, str]]:
    return []


@pytest.fixture
def base(serve: Serve, store: Store, seen: list[dict[str, str]]) -> str:
    return serve(provider(store, seen)).url("")


@pytest.mark.parametrize(("query", "page"), [("", "authenticate"), ("?authorize=1", "authorize")])
def test_signing_in(serve: Serve, store: Store, base: str, query: str, page: str) -> None:
    store.access_tokens.clear()
    site = serve(Application([("/login", TwitterHandler, {"base": base})], **KEYS))
    browser = Browser()
    there = location(browser.visit(site.url("/login" + query)))
    assert there.startswith(f"{base}/oauth/{page}?oauth_token=")
    user = json.loads(browser.go(there).body)
    ((key, secret),) = store.access_tokens.items()
    assert user == {
        **USER,
        "asked": {},
        "username": "ben",
        "access_token": {"key": key, "secret": secret, "screen_name": "ben", "user_id": "12"},
    }


def ask(serve: Serve, base: str, *args: Any, **named: Any) -> Any:
    """What `twitter_request` returns."""

    class Handler(TwitterHandler):
        async def get(self) -> None:
            self.write(await self.twitter_request(*args, **named))

    answer = serve(Application([("/", Handler, {"base": base})], **KEYS)).get("/")
    assert answer.status == 200, answer.text
    return json.loads(answer.body)


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/statuses/user_timeline/ben", {"count": "2", "q": "é&=+ ~"}),
        ("statuses/user_timeline/ben", {"count": "2", "q": "é&=+ ~"}),
        ("{base}/1.1/search.json?lang=en", {"count": "2", "q": "é&=+ ~", "lang": "en"}),
    ],
)
def test_requests(serve: Serve, base: str, path: str, asked: dict[str, str]) -> None:
    path = path.replace("{base}", base)
    assert ask(serve, base, path, TOKEN, count=2, q="é&=+ ~")["asked"] == asked


def test_posting(serve: Serve, base: str, seen: list[dict[str, str]]) -> None:
    form = {"status": "Bücher & Tee ☃", "n": 1}
    answer = ask(
        serve, base, "/statuses/update", access_token=TOKEN, post_args=form, include_entities="true"
    )
    assert answer["asked"] == {"status": "Bücher & Tee ☃", "n": "1", "include_entities": "true"}
    assert SECRET not in str(seen)
    assert TOKEN["secret"] not in str(seen)


def test_a_request_in_nobodys_name(serve: Serve) -> None:
    class Echo(RequestHandler):
        def get(self) -> None:
            self.write({"uri": self.request.uri})

    base = serve(Application([("/.*", Echo)])).url("")
    assert ask(serve, base, "/help/languages", None, a="b") == {
        "uri": "/1.1/help/languages.json?a=b"
    }


def test_a_token_that_is_not_known(serve: Serve, base: str) -> None:
    class Handler(TwitterHandler):
        async def get(self) -> None:
            token = {"key": "unknownunknownunknown", "secret": "x"}
            with pytest.raises(
                AuthProviderError, match="says 32: Could not authenticate you"
            ) as caught:
                await self.twitter_request("/account/settings", access_token=token)
            self.write(str(caught.value.code))

    assert serve(Application([("/", Handler, {"base": base})], **KEYS)).get("/").text == "401"


@pytest.mark.parametrize("missing", sorted(KEYS))
def test_settings_that_are_not_there(serve: Serve, missing: str) -> None:
    class Handler(RequestHandler, TwitterMixin):
        async def get(self) -> None:
            with pytest.raises(RuntimeError, match=f"must define the '{missing}' setting"):
                await self.authenticate_redirect()
            self.write("told")

    settings = {name: value for name, value in KEYS.items() if name != missing}
    assert serve(Application([("/", Handler)], **settings)).get("/").text == "told"
