"""OAuth 1.0 and 1.0a, against a provider that is made of oauthlib, and against worse ones."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from oauth1_provider import KEY, SECRET, USER, Store, provider

from support import Response, Server
from typhoon.auth import AuthDeniedError, AuthError, AuthProviderError, AuthStateError, OAuthMixin
from typhoon.httpclient import AsyncHTTPClient, HTTPClientError
from typhoon.httputil import url_concat
from typhoon.web import Application, RequestHandler
from visits import Browser, location, query_of

Serve = Callable[..., Server]


class Login(RequestHandler, OAuthMixin):
    """What an application writes for a service; `base` is where that is."""

    callback: str | None = "/login?from=there"

    def initialize(self, base: str) -> None:
        self.base = base
        self._OAUTH_REQUEST_TOKEN_URL = base + "/oauth/request_token"
        self._OAUTH_AUTHORIZE_URL = base + "/oauth/authorize"
        self._OAUTH_ACCESS_TOKEN_URL = base + "/oauth/access_token"

    def _oauth_consumer_token(self) -> dict[str, Any]:
        return {"key": KEY, "secret": SECRET}

    async def _oauth_get_user_future(self, access_token: dict[str, Any]) -> dict[str, Any]:
        arguments = {"q": "a b+c&é=~*'", "empty": ""}
        url = self.base + "/1.1/me?lang=en"
        signed = self._oauth_request_parameters(url, access_token, arguments)
        client = self.get_auth_http_client()
        response = await client.fetch(url_concat(url, {**arguments, **signed}))
        return json.loads(response.body)

    async def get(self) -> None:
        if self.get_argument("oauth_token", None) or self.get_argument("back", None):
            self.write(await self.get_authenticated_user())
        else:
            await self.authorize_redirect(self.callback)


@pytest.fixture
def seen() -> list[dict[str, str]]:
    return []


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def base(serve: Serve, store: Store, seen: list[dict[str, str]]) -> str:
    return serve(provider(store, seen)).url("")


@pytest.fixture
def site(serve: Serve, base: str) -> Server:
    return serve(Application([("/login", Login, {"base": base})]))


@pytest.fixture
def browser() -> Browser:
    return Browser()


def cookie(key: str, secret: str) -> str:
    return "|".join(base64.b64encode(text.encode()).decode() for text in (key, secret))


def test_signing_in(site: Server, store: Store, browser: Browser) -> None:
    user = json.loads(browser.go(site.url("/login")).body)
    ((key, secret),) = store.access_tokens.items()
    assert user == {
        **USER,
        "asked": {"lang": "en", "q": "a b+c&é=~*'", "empty": ""},
        "access_token": {"key": key, "secret": secret, "screen_name": "ben", "user_id": "12"},
    }
    assert browser.cookies == {}, "the request token was good once"


def test_the_request_token_is_in_a_cookie(
    site: Server, store: Store, browser: Browser, seen: list[dict[str, str]]
) -> None:
    answer = browser.visit(site.url("/login"))
    ((key, token),) = store.request_tokens.items()
    assert query_of(location(answer)) == {"oauth_token": key}
    value = cookie(key, token["oauth_token_secret"])
    name, _, attributes = answer.header("Set-Cookie").partition("; ")
    assert name.replace('"', "") == f"_oauth_request_token={value}"
    assert sorted(attributes.split("; ")) == ["HttpOnly", "Path=/", "SameSite=Lax"]
    assert seen[0]["oauth_callback"] == site.url("/login?from=there")
    assert "secret" not in str(seen)


def test_the_cookie_of_a_site_with_tls(serve: Serve, base: str) -> None:
    site = serve(Application([("/login", Login, {"base": base})]), xheaders=True)
    answer = site.get("/login", {"X-Scheme": "https"})
    assert "; Secure" in answer.header("Set-Cookie")


@pytest.mark.parametrize(
    ("callback", "sent"),
    [
        ("oob", "oob"),
        ("https://other.example.com/x", "https://other.example.com/x"),
        ("x", "/x"),
    ],
)
def test_callbacks(
    serve: Serve, base: str, seen: list[dict[str, str]], callback: str, sent: str
) -> None:
    class Handler(Login):
        async def get(self) -> None:
            await self.authorize_redirect(callback, extra_params={"scope": "a b"})

    site = serve(Application([("/login", Handler, {"base": base})]))
    answer = Browser().visit(site.url("/login"))
    assert location(answer).startswith(base + "/oauth/authorize?oauth_token=")
    assert seen[0]["oauth_callback"] == (site.url(sent) if sent[0] == "/" else sent)
    assert seen[0]["scope"] == "a b"


def test_an_answer_is_good_once(site: Server, browser: Browser) -> None:
    there = location(browser.visit(site.url("/login")))
    back = location(browser.visit(there))
    cookies = dict(browser.cookies)
    assert browser.visit(back).status == 200
    assert browser.visit(back).status == 400, "the cookie is gone"
    browser.cookies = cookies
    assert browser.visit(back).status == 500, "the service has forgotten the token"


# What the handler sees where it goes wrong.


class Telling(Login):
    """Answers with the error."""

    async def get(self) -> None:
        try:
            await super().get()
        except AuthError as error:
            # By the name that applications know.
            name = type(error).__name__.replace("AnsweredProvider", "AuthProvider")
            code = error.error if isinstance(error, AuthDeniedError | AuthProviderError) else None
            self.write({"type": name, "text": str(error), "error": code})


Tell = Callable[..., dict[str, str]]


@pytest.fixture
def tell(serve: Serve) -> Iterator[Tell]:
    """`tell(base, query, cookie)` is the error that a handler gets."""

    def ask(base: str, query: str = "", cookie: str = "", handler: type = Telling) -> Any:
        site = serve(Application([("/login", handler, {"base": base})]))
        headers = {"Cookie": f"_oauth_request_token={cookie}"} if cookie else {}
        return json.loads(site.get("/login?" + query, headers).body)

    return ask


@pytest.mark.parametrize(
    ("query", "kept", "kind", "text"),
    [
        ("back=1", cookie("a", "b"), AuthDeniedError, "The user did not allow the access"),
        ("back=1&oauth_problem=user_refused", "", AuthDeniedError, "the service says user_refused"),
        ("oauth_token=a", "", AuthStateError, "The cookie _oauth_request_token is missing"),
        ("oauth_token=b", cookie("a", "b"), AuthStateError, "not the request token that this"),
        ("oauth_token=%C3%A9", cookie("e", "b"), AuthStateError, "not the request token that"),
        ("oauth_token=a", "nonsense", AuthStateError, "is not one that was set here"),
        ("oauth_token=a", "YQ==|YQ==|YQ==", AuthStateError, "is not one that was set here"),
        ("oauth_token=a", "YQ==|/w==", AuthStateError, "is not one that was set here"),
        ("oauth_token=a", "a!|b", AuthStateError, "is not one that was set here"),
    ],
)
def test_users_who_come_back_otherwise(
    tell: Tell, base: str, query: str, kept: str, kind: type, text: str
) -> None:
    told = tell(base, query, kept)
    assert told["type"] == kind.__name__
    assert text in told["text"]


def test_statuses_of_errors_that_nobody_catches(
    site: Server, browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    assert site.get("/login?back=1").status == 403
    assert site.get("/login?oauth_token=a").status == 400
    site.call()
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 4
    assert "The cookie _oauth_request_token is missing" in caplog.text


def test_somebody_elses_answer(site: Server) -> None:
    """Who makes others sign in as himself gives them a link that has his token."""
    attacker, victim = Browser(), Browser()
    back = location(attacker.visit(location(attacker.visit(site.url("/login")))))
    assert victim.visit(back).status == 400
    victim.visit(site.url("/login"))
    assert victim.visit(back).status == 400


@pytest.mark.parametrize("kind", [AuthProviderError, HTTPClientError, AuthError])
def test_wrong_keys(serve: Serve, base: str, kind: type[Exception]) -> None:
    class Handler(Login):
        def _oauth_consumer_token(self) -> dict[str, Any]:
            return {"key": KEY, "secret": "wrong"}

        async def get(self) -> None:
            with pytest.raises(kind) as caught:
                await self.authorize_redirect("/")
            assert caught.value.code == 401
            assert str(caught.value) == f"HTTP 401: {base}/oauth/request_token says Unauthorized"
            self.write("told")

    site = serve(Application([("/login", Handler, {"base": base})]))
    assert site.get("/login").text == "told"


class Answer(RequestHandler):
    """A service that answers everything alike."""

    def initialize(self, status: int, kind: str, body: str, challenge: str = "") -> None:
        self.set_status(status)
        self.set_header("Content-Type", kind)
        if challenge:
            self.set_header("WWW-Authenticate", challenge)
        self.write(body)

    def get(self, *args: str) -> None:
        pass


FORM = "application/x-www-form-urlencoded"
PROBLEM = 'OAuth realm="x", oauth_problem="signature_invalid"'


@pytest.mark.parametrize(
    ("answer", "text", "code"),
    [
        (
            (401, FORM, "oauth_problem=token_expired&oauth_problem_advice=Try+again"),
            "token_expired: Try again",
            "token_expired",
        ),
        (
            (401, "text/plain", "", PROBLEM),
            "signature_invalid",
            "signature_invalid",
        ),
        (
            (401, "application/json", '{"errors": [{"code": 32, "message": "Not you"}]}'),
            "32: Not you",
            "32",
        ),
        (
            (403, "text/plain", "Desktop apps\nonly: " + SECRET),
            "Desktop apps only:",
            0,
        ),
        ((503, "text/html", "<h1>Over capacity"), "Service Unavailable", 0),
        ((302, "text/html", ""), "HTTP 302", 0),
        ((200, FORM, "oauth_problem=no"), "gave no token: no", 0),
        ((200, FORM, "oauth_token=a"), "gave no token", 0),
        ((200, FORM, "\xff"), "gave no token", 0),
        ((200, "application/json", "{"), "did not answer with JSON", 0),
    ],
)
@pytest.mark.parametrize("query", ["", "oauth_token=a"])
def test_services_that_refuse(
    serve: Serve, tell: Tell, query: str, answer: tuple[Any, ...], text: str, code: Any
) -> None:
    names = ("status", "kind", "body", "challenge")
    service = serve(Application([("/.*", Answer, dict(zip(names, answer, strict=False)))]))
    told = tell(service.url(""), query, cookie("a", "b"))
    path = "/oauth/access_token" if query else "/oauth/request_token"
    assert told["type"] == "AuthProviderError"
    assert service.url(path) + " " in told["text"]
    assert text in told["text"]
    assert SECRET not in told["text"]
    assert told["error"] == (code or None)


def test_bytes_that_are_no_text(serve: Serve, tell: Tell) -> None:
    class Bytes(RequestHandler):
        def get(self) -> None:
            self.write(b"\xff\xfe")

    service = serve(Application([("/.*", Bytes)]))
    assert "neither with JSON nor with a form" in tell(service.url(""))["text"]


def test_a_service_that_does_not_answer(tell: Tell) -> None:
    told = tell("http://127.0.0.1:9")
    assert told["type"] == "AuthProviderError"
    assert told["text"].startswith("http://127.0.0.1:9/oauth/request_token did not answer")


def test_nobody_behind_the_token(serve: Serve, tell: Tell) -> None:
    class Nobody(Telling):
        async def _oauth_get_user_future(self, access_token: dict[str, Any]) -> dict[str, Any]:
            assert access_token == {"key": "k", "secret": "s"}
            return {}

    service = serve(
        Application(
            [
                (
                    "/.*",
                    Answer,
                    {"status": 200, "kind": FORM, "body": "oauth_token=k&oauth_token_secret=s"},
                )
            ]
        )
    )
    told = tell(service.url(""), "oauth_token=a", cookie("a", "b"), Nobody)
    assert told["type"] == "AuthError"
    assert "Nobody._oauth_get_user_future() found no user" in told["text"]


def test_what_a_class_has_to_have(serve: Serve) -> None:
    class Bare(RequestHandler, OAuthMixin):
        async def get(self) -> None:
            with pytest.raises(NotImplementedError, match=r"Bare\._OAUTH_AUTHORIZE_URL is not set"):
                await self.authorize_redirect()
            self._OAUTH_AUTHORIZE_URL = self._OAUTH_REQUEST_TOKEN_URL = "https://example.com/"
            with pytest.raises(NotImplementedError, match=r"has to define _oauth_consumer_token"):
                await self.authorize_redirect()
            with pytest.raises(
                NotImplementedError, match=r"_oauth_get_user_future\(access_token\)"
            ):
                await self._oauth_get_user_future({})
            self._OAUTH_NO_CALLBACKS = True
            with pytest.raises(ValueError, match="leave out callback_uri"):
                await self.authorize_redirect("/here")
            self.write("told")

    assert serve(Application([("/", Bare)])).get("/").text == "told"


def test_a_client_of_ones_own(serve: Serve, base: str, browser: Browser) -> None:
    used = []

    class Own(Login):
        def get_auth_http_client(self) -> AsyncHTTPClient:
            used.append("method")
            return super().get_auth_http_client()

        async def get(self) -> None:
            client = Login.get_auth_http_client(self)
            if self.get_argument("oauth_token", None):
                self.write(await self.get_authenticated_user(http_client=client))
            else:
                await self.authorize_redirect("/login", None, client)

    site = serve(Application([("/login", Own, {"base": base})]))
    assert browser.go(site.url("/login")).status == 200
    assert used == ["method"], "for the request for the user"


# OAuth 1.0, without verifiers.


class Version10(RequestHandler):
    """A service of 2007."""

    def get(self, page: str) -> None:
        assert self.get_argument("oauth_version") == "1.0"
        assert not self.get_arguments("oauth_callback")
        assert not self.get_arguments("oauth_verifier")
        if page == "access_token":
            assert self.get_argument("oauth_token") == "key ☃"
            self.write("oauth_token=k&oauth_token_secret=s")
        else:
            self.write(f"oauth_token={quote('key ☃')}&oauth_token_secret=s%2B")


def test_version_1_0(serve: Serve, browser: Browser) -> None:
    class Old(Login):
        _OAUTH_VERSION = "1.0"

        async def _oauth_get_user_future(self, access_token: dict[str, Any]) -> dict[str, Any]:
            return {"name": "Ben"}

    service = serve(Application([("/oauth/(.*)", Version10)]))
    site = serve(Application([("/login", Old, {"base": service.url("")})]))
    there = location(browser.visit(site.url("/login")))
    assert there.startswith(service.url("/oauth/authorize?"))
    callback = site.url("/login?from=there")
    assert query_of(there) == {"oauth_token": "key ☃", "oauth_callback": callback}
    answer: Response = browser.visit(f"{callback}&oauth_token={quote('key ☃')}")
    assert json.loads(answer.body) == {"name": "Ben", "access_token": {"key": "k", "secret": "s"}}


def test_no_callback(serve: Serve, browser: Browser) -> None:
    class Registered(Login):
        callback = None
        _OAUTH_NO_CALLBACKS = True

    service = serve(Application([("/oauth/(.*)", Version10)]))
    site = serve(Application([("/login", Registered, {"base": service.url("")})]))
    assert query_of(location(browser.visit(site.url("/login")))) == {"oauth_token": "key ☃"}


def test_parameters_for_a_request_of_ones_own(serve: Serve, base: str) -> None:
    class Handler(Login):
        def get(self) -> None:
            token = {"key": "uiop", "secret": "5678"}
            own = {"oauth_verifier": "v", "a": "b"}
            self.write(self._oauth_request_parameters("http://example.com/", token, own, "POST"))

    site = serve(Application([("/login", Handler, {"base": base})]))
    first, second = (json.loads(site.get("/login").body) for _ in range(2))
    assert sorted(first) == [
        "oauth_consumer_key",
        "oauth_nonce",
        "oauth_signature",
        "oauth_signature_method",
        "oauth_timestamp",
        "oauth_token",
        "oauth_version",
    ]
    assert first["oauth_nonce"] != second["oauth_nonce"]
    assert first["oauth_signature"] != second["oauth_signature"]
