"""Google, with a provider of OAuth 2.0 in its place."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from oauth2_provider import ID, SECRET, USER, Store, provider

from support import Server
from typhoon.auth import GoogleOAuth2Mixin
from typhoon.web import Application, RequestHandler
from visits import Browser, location, query_of

Serve = Callable[..., Server]


@pytest.fixture(autouse=True)
def _plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")


class GoogleHandler(RequestHandler, GoogleOAuth2Mixin):
    _OAUTH_STATE = _OAUTH_PKCE = True

    def initialize(self, base: str) -> None:
        self._OAUTH_AUTHORIZE_URL = base + "/authorize"
        self._OAUTH_ACCESS_TOKEN_URL = base + "/token"
        self._OAUTH_USERINFO_URL = base + "/me"

    async def get(self) -> None:
        here = f"http://{self.request.host}/login"
        if self.get_argument("code", None):
            access = await self.get_authenticated_user(here, self.get_argument("code"))
            user = await self.oauth2_request(
                self._OAUTH_USERINFO_URL, access_token=access["access_token"]
            )
            self.write(user)
        else:
            self.authorize_redirect(
                here,
                self.get_google_oauth_settings()["key"],
                scope=["profile", "email"],
                extra_params={"prompt": "select_account"},
            )


@pytest.fixture
def base(serve: Serve) -> str:
    return serve(provider(Store())).url("")


def test_signing_in(serve: Serve, base: str) -> None:
    settings = {"google_oauth": {"key": ID, "secret": SECRET}}
    site = serve(Application([("/login", GoogleHandler, {"base": base})], **settings))
    browser = Browser()
    sent = query_of(location(browser.visit(site.url("/login"))))
    assert sent["prompt"] == "select_account"
    assert json.loads(browser.go(site.url("/login")).body)["email"] == USER["email"]


def test_settings_that_are_kept_elsewhere(serve: Serve, base: str) -> None:
    class Handler(GoogleHandler):
        def get_google_oauth_settings(self) -> dict[str, str]:
            return {"key": ID, "secret": SECRET}

    site = serve(Application([("/login", Handler, {"base": base})]))
    assert Browser().go(site.url("/login")).status == 200


def test_keys_as_arguments(serve: Serve, base: str) -> None:
    class Handler(GoogleHandler):
        _OAUTH_STATE = _OAUTH_PKCE = False

        async def get(self) -> None:
            here = f"http://{self.request.host}/login"
            code = self.get_argument("code", None)
            if code:
                self.write(await self.get_authenticated_user(here, code, ID, SECRET))
            else:
                self.authorize_redirect(here, ID, scope=["profile"])

    site = serve(Application([("/login", Handler, {"base": base})]))
    assert json.loads(Browser().go(site.url("/login")).body)["scope"] == "profile"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "You must define the 'google_oauth' setting in your application to use Google"),
        ({"google_oauth": {"key": "a"}}, 'has to be .* {"key": "CLIENT_ID", "secret": "CLIENT_SE'),
    ],
)
def test_settings_that_are_not_there(serve: Serve, settings: dict[str, Any], message: str) -> None:
    class Handler(RequestHandler, GoogleOAuth2Mixin):
        async def get(self) -> None:
            with pytest.raises(RuntimeError, match=message):
                await self.get_authenticated_user("http://localhost/", "code")
            self.write("told")

    assert serve(Application([("/", Handler)], **settings)).get("/").text == "told"


def test_another_key_for_the_settings(serve: Serve) -> None:
    class Handler(RequestHandler, GoogleOAuth2Mixin):
        _OAUTH_SETTINGS_KEY = "my_google"

        def get(self) -> None:
            self.write(self.get_google_oauth_settings())

    site = serve(Application([("/", Handler)], my_google={"key": "k", "secret": "s"}))
    assert json.loads(site.get("/").body) == {"key": "k", "secret": "s"}
