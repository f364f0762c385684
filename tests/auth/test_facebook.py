"""Facebook, with a Graph API in its place that knows one user."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest

from support import Server
from typhoon.auth import AuthProviderError, FacebookGraphMixin
from typhoon.httputil import url_concat
from typhoon.web import Application, HTTPError, RequestHandler
from visits import Browser, location, query_of

Serve = Callable[..., Server]

KEYS = {"facebook_api_key": "12345", "facebook_secret": "s3cret&"}
TOKEN = "EAAB+/="
USER = {"id": "10", "name": "Bén", "first_name": "Bén", "picture": {"data": {"url": "…"}}}


class Dialog(RequestHandler):
    def get(self) -> None:
        assert self.get_argument("client_id") == KEYS["facebook_api_key"]
        assert self.get_argument("scope") == "email,public_profile"
        back = {"code": "c0de#_=_", "state": self.get_argument("state", "")}
        self.redirect(url_concat(self.get_argument("redirect_uri"), back))


class AccessToken(RequestHandler):
    def get(self) -> None:
        asked = {name: self.get_argument(name) for name in self.request.arguments}
        redirect_uri = asked.pop("redirect_uri")
        if asked != {
            "client_id": KEYS["facebook_api_key"],
            "client_secret": KEYS["facebook_secret"],
            "code": "c0de#_=_",
        }:
            self.set_status(400)
            message = f"Invalid code {asked['code']} of {asked['client_secret']}"
            self.write({"error": {"message": message, "type": "OAuthException", "code": 100}})
            return
        assert redirect_uri.endswith("/login")
        self.write({"access_token": TOKEN, "token_type": "bearer", **self.settings["expires"]})


class Me(RequestHandler):
    def get(self) -> None:
        proof = hmac.new(KEYS["facebook_secret"].encode(), TOKEN.encode(), hashlib.sha256)
        assert self.get_argument("appsecret_proof") == proof.hexdigest()
        assert self.get_argument("access_token") == TOKEN
        names = self.get_argument("fields").split(",")
        self.write({name: USER[name] for name in names if name in USER})


class Feed(RequestHandler):
    def post(self) -> None:
        if self.get_query_argument("access_token") != TOKEN:
            raise HTTPError(400)
        self.write({"posted": self.get_body_argument("message")})


class FacebookHandler(RequestHandler, FacebookGraphMixin):
    _OAUTH_STATE = True
    extra: list[str] | None = None

    def initialize(self, base: str) -> None:
        self._OAUTH_AUTHORIZE_URL = base + "/dialog/oauth?"
        self._OAUTH_ACCESS_TOKEN_URL = base + "/oauth/access_token?"
        self._FACEBOOK_BASE_URL = base

    async def get(self) -> None:
        here = f"http://{self.request.host}/login"
        key = self.settings["facebook_api_key"]
        if self.get_argument("code", None):
            user = await self.get_authenticated_user(
                redirect_uri=here,
                client_id=key,
                client_secret=self.settings["facebook_secret"],
                code=self.get_argument("code"),
                extra_fields=self.extra,
            )
            self.write(user)
        else:
            self.authorize_redirect(
                redirect_uri=here, client_id=key, extra_params={"scope": "email,public_profile"}
            )

    async def post(self) -> None:
        self.write(
            await self.facebook_request(
                "/me/feed",
                post_args={"message": self.get_argument("message")},
                access_token=TOKEN,
            )
        )


@pytest.fixture
def serve_graph(serve: Serve) -> Callable[..., Server]:
    """The site, with handlers that use the Graph API."""

    def start(handler: type = FacebookHandler, expires: Any = "5183944") -> Server:
        graph = serve(
            Application(
                [
                    ("/dialog/oauth", Dialog),
                    ("/oauth/access_token", AccessToken),
                    ("/me", Me),
                    ("/me/feed", Feed),
                ],
                expires={"expires_in": expires} if expires else {},
            )
        )
        return serve(Application([("/login", handler, {"base": graph.url("")})], **KEYS))

    return start


TOLD = {
    **USER,
    "last_name": None,
    "locale": None,
    "link": None,
    "access_token": TOKEN,
    "session_expires": "5183944",
}


@pytest.mark.parametrize("expires", [5183944, "5183944"])
def test_signing_in(serve_graph: Callable[..., Server], expires: Any) -> None:
    site = serve_graph(expires=expires)
    assert json.loads(Browser().go(site.url("/login")).body) == TOLD


def test_tokens_that_do_not_expire(serve_graph: Callable[..., Server]) -> None:
    user = json.loads(Browser().go(serve_graph(expires=None).url("/login")).body)
    assert user == {**TOLD, "session_expires": None}


def test_more_fields(serve_graph: Callable[..., Server]) -> None:
    class Handler(FacebookHandler):
        extra = ["email", "id"]

    user = json.loads(Browser().go(serve_graph(Handler).url("/login")).body)
    assert user == {**TOLD, "email": None}


def test_where_the_user_is_sent(serve_graph: Callable[..., Server]) -> None:
    there = location(Browser().visit(serve_graph().url("/login")))
    assert "/dialog/oauth?response_type=code" in there
    assert len(query_of(there)["state"]) == 43


def test_another_state(serve_graph: Callable[..., Server]) -> None:
    browser, site = Browser(), serve_graph()
    browser.visit(site.url("/login"))
    assert browser.visit(site.url("/login?code=c0de%23_%3D_&state=x")).status == 400


def test_a_code_that_is_not_known(serve_graph: Callable[..., Server]) -> None:
    class Handler(FacebookHandler):
        _OAUTH_STATE = False

        async def get(self) -> None:
            with pytest.raises(AuthProviderError) as caught:
                await super().get()
            self.write(str(caught.value))

    text = serve_graph(Handler).get("/login?code=topsecret").text
    assert text.endswith(
        "/oauth/access_token says OAuthException: Invalid code [hidden] of [hidden]"
    )


def test_posting(serve_graph: Callable[..., Server]) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = serve_graph().post("/login", b"message=%E2%98%83+%26", form)
    assert json.loads(answer.body) == {"posted": "☃ &"}
