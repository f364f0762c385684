"""OAuth 2.0, against a provider that is made of oauthlib, and against worse ones."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from oauth2_provider import ID, SECRET, USER, Store, provider

from support import Server
from typhoon.auth import AuthError, AuthProviderError, AuthStateError, OAuth2Mixin
from typhoon.httpclient import AsyncHTTPClient, HTTPClientError
from typhoon.web import Application, RequestHandler
from visits import Browser, location, query_of

Serve = Callable[..., Server]


@pytest.fixture(autouse=True)
def _plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")


class Login(RequestHandler, OAuth2Mixin):
    """What an application writes for a service; `base` is where that is."""

    secret: str | None = SECRET

    def initialize(self, base: str) -> None:
        self.base = base
        self._OAUTH_AUTHORIZE_URL = base + "/authorize"
        self._OAUTH_ACCESS_TOKEN_URL = base + "/token"

    @property
    def here(self) -> str:
        return f"http://{self.request.host}/login"

    async def get(self) -> None:
        code = self.get_argument("code", None)
        if code is None:
            self.authorize_redirect(self.here, ID, scope=["profile", "email"])
            return
        token = await self.oauth2_token(self.here, code, ID, self.secret)
        user = await self.oauth2_request(
            self.base + "/me?lang=en", access_token=token["access_token"], q="a b&c"
        )
        self.write({**user, "token": sorted(token)})


class Careful(Login):
    _OAUTH_STATE = _OAUTH_PKCE = True


class InHeader(Login):
    _OAUTH_TOKEN_IN_HEADER = True


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def base(serve: Serve, store: Store) -> str:
    return serve(provider(store)).url("")


@pytest.fixture
def browser() -> Browser:
    return Browser()


def site_of(serve: Serve, base: str, handler: type = Login) -> Server:
    return serve(Application([("/login", handler, {"base": base})]))


@pytest.mark.parametrize("handler", [Login, Careful, InHeader])
def test_signing_in(serve: Serve, base: str, browser: Browser, handler: type) -> None:
    site = site_of(serve, base, handler)
    assert json.loads(browser.go(site.url("/login")).body) == {
        **USER,
        "asked": {"lang": "en", "q": "a b&c"},
        "by": "header" if handler is InHeader else "query",
        "method": "GET",
        "token": ["access_token", "expires_in", "refresh_token", "scope", "token_type"],
    }
    assert browser.cookies == {}


def test_a_provider_that_wants_pkce(serve: Serve, store: Store, browser: Browser) -> None:
    store.needs_pkce = True
    base = serve(provider(store)).url("")
    assert browser.go(site_of(serve, base, Careful).url("/login")).status == 200


def test_where_the_user_is_sent(serve: Serve, base: str) -> None:
    site = site_of(serve, base)
    there = location(Browser().visit(site.url("/login")))
    assert there.startswith(base + "/authorize?")
    assert query_of(there) == {
        "response_type": "code",
        "redirect_uri": site.url("/login"),
        "client_id": ID,
        "scope": "profile email",
    }


def test_parameters_of_ones_own(serve: Serve) -> None:
    class Handler(RequestHandler, OAuth2Mixin):
        _OAUTH_AUTHORIZE_URL = "https://id.example.com/authorize?a=b"

        def get(self) -> None:
            self.authorize_redirect(
                client_secret="secret",
                extra_params={"state": "abc", "prompt": "none"},
                scope="openid",
                response_type="token",
            )

    there = location(Browser().visit(serve(Application([("/", Handler)])).url("/")))
    assert query_of(there) == {
        "a": "b",
        "response_type": "token",
        "state": "abc",
        "prompt": "none",
        "scope": "openid",
    }


def test_state_and_challenge(serve: Serve, base: str) -> None:
    site = site_of(serve, base, Careful)
    first, second = Browser().visit(site.url("/login")), Browser().visit(site.url("/login"))
    sent = query_of(location(first))
    assert len(sent["state"]) == len(sent["code_challenge"]) == 43
    assert sent["code_challenge_method"] == "S256"
    assert not set(sent.values()) & {
        query_of(location(second))[name] for name in ("state", "code_challenge")
    }
    name, *attributes = first.header("Set-Cookie").split("; ")
    assert name.startswith(f"_oauth2_request={sent['state']}.")
    assert sorted(attributes) == ["HttpOnly", "Max-Age=3600", "Path=/", "SameSite=Lax"]
    assert sent["code_challenge"] not in name


@pytest.mark.parametrize("state", [None, "", "x" * 43, "%C3%A9"])
def test_users_with_another_state(serve: Serve, base: str, state: str | None) -> None:
    site, browser = site_of(serve, base, Careful), Browser()
    back = site.url("/login?code=1") + ("" if state is None else f"&state={state}")
    assert browser.visit(back).status == 400, "without a cookie"
    browser.visit(site.url("/login"))
    assert browser.visit(back).status == 400
    assert browser.cookies == {}, "one try"


def test_somebody_elses_answer(serve: Serve, base: str) -> None:
    site = site_of(serve, base, Careful)
    attacker, victim = Browser(), Browser()
    back = location(attacker.visit(location(attacker.visit(site.url("/login")))))
    victim.visit(site.url("/login"))
    assert victim.visit(back).status == 400


def test_an_empty_cookie_is_no_state(serve: Serve, base: str) -> None:
    class Stateful(Login):
        _OAUTH_STATE = True

    site = site_of(serve, base, Stateful)
    browser = Browser()
    browser.cookies["_oauth2_request"] = ".abc"
    assert browser.visit(site.url("/login?code=1&state=")).status == 400


# What the handler sees where it goes wrong.


class Telling(Login):
    async def get(self) -> None:
        try:
            await super().get()
        except AuthError as error:
            # By the name that applications know.
            name = type(error).__name__.replace("AnsweredProvider", "AuthProvider")
            code = getattr(error, "error", None)
            self.write({"type": name, "text": str(error), "error": code})


def test_a_code_that_is_not_known(serve: Serve, base: str) -> None:
    told = json.loads(site_of(serve, base, Telling).get("/login?code=topsecret").body)
    assert told == {
        "type": "AuthProviderError",
        "text": f"HTTP 400: {base}/token says invalid_grant",
        "error": "invalid_grant",
    }


def test_a_refusal_that_nobody_catches(
    serve: Serve, base: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert site_of(serve, base).get("/login?code=topsecret").status == 502
    (text,) = [one.getMessage() for one in caplog.records if one.name == "typhoon.general"]
    assert text.startswith("502 GET /login")
    assert text.endswith(f"HTTP 400: {base}/token says invalid_grant")


def test_a_code_that_is_part_of_a_word(serve: Serve, base: str) -> None:
    told = json.loads(site_of(serve, base, Telling).get("/login?code=a").body)
    assert told["error"] == "invalid_grant"


@pytest.mark.parametrize("secret", ["wrong", None])
def test_a_wrong_secret(serve: Serve, base: str, browser: Browser, secret: str | None) -> None:
    class Handler(Telling):
        pass

    Handler.secret = secret
    told = json.loads(browser.go(site_of(serve, base, Handler).url("/login")).body)
    assert told["error"] == "invalid_client"


class Answer(RequestHandler):
    """A provider that answers everything alike; "%s" is what it was sent."""

    def initialize(self, status: int, kind: str, body: str, header: tuple[str, str]) -> None:
        self.set_status(status)
        self.set_header("Content-Type", kind)
        self.set_header(*header)
        given = {name: values[0].decode() for name, values in self.request.arguments.items()}
        self.write(body % given if "%(" in body else body)

    def get(self) -> None:
        pass

    post = get


JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("status", "kind", "body", "header", "text"),
    [
        # As GitHub's, with the status of a success.
        (
            200,
            FORM,
            "error=bad_code&error_description=Too+old",
            (),
            "no access token: bad_code: Too old",
        ),
        (200, JSON, "{}", (), "gave no access token"),
        (200, JSON, '{"access_token": null}', (), "gave no access token"),
        (200, JSON, '{"a"', (), "did not answer with JSON"),
        (200, "text/html", "<p>", (), "gave no access token"),
        (
            400,
            JSON,
            '{"error": "invalid_grant", "error_description": "No %(code)s for %(client_secret)s"}',
            (),
            "says invalid_grant: No [hidden] for [hidden]",
        ),
        (
            400,
            JSON,
            '{"error": {"message": "Bad %(code)s", "code": 100}}',
            (),
            "says 100: Bad [hidden]",
        ),
        (400, JSON, '{"error": "a\\r\\nb\\u0000c"}', (), "says a  b c"),
        (400, JSON, json.dumps({"error": "x" * 1000}), (), "says " + "x" * 200 + "…"),
        (400, JSON, "[" * 100_000, (), "says Bad Request"),
        (400, JSON, '["error"]', (), "says Bad Request"),
        (400, FORM, "error=a&error_description=b", (), "says a: b"),
        (
            401,
            JSON,
            "",
            (
                "WWW-Authenticate",
                'Bearer realm="x", error="invalid_token", error_description="Old"',
            ),
            "says invalid_token: Old",
        ),
        (307, "text/plain", "", ("Location", "/elsewhere"), "says Temporary Redirect"),
        (500, "text/plain", "No: %(client_secret)s", (), "says No: [hidden]"),
    ],
)
def test_providers_that_refuse(
    serve: Serve, status: int, kind: str, body: str, header: Any, text: str
) -> None:
    rule = {"status": status, "kind": kind, "body": body, "header": header or ("X-Test", "1")}
    base = serve(Application([("/token", Answer, rule)])).url("")
    told = json.loads(site_of(serve, base, Telling).get("/login?code=topsecret").body)
    assert told["type"] == "AuthProviderError"
    assert f"{base}/token " in told["text"]
    assert text in told["text"]
    assert "topsecret" not in told["text"]


def test_requests(serve: Serve, store: Store, base: str) -> None:
    class Handler(RequestHandler, OAuth2Mixin):
        async def get(self) -> None:
            self._OAUTH_TOKEN_IN_HEADER = bool(self.get_argument("header", None))
            answer = await self.oauth2_request(
                base + "/me", "good", post_args={"text": "a&b ☃", "n": 1}, fields="id,name"
            )
            self.write(answer)

    store.tokens["good"] = ["profile"]
    site = serve(Application([("/", Handler)]))
    for query, by in (("", "query"), ("?header=1", "header")):
        answer = json.loads(site.get("/" + query).body)
        assert answer["asked"] == {"text": "a&b ☃", "n": "1", "fields": "id,name"}
        assert (answer["method"], answer["by"]) == ("POST", by)


def test_a_request_without_a_token(serve: Serve) -> None:
    class Echo(RequestHandler):
        def get(self) -> None:
            self.write(json.dumps([self.request.query]))

    class Handler(RequestHandler, OAuth2Mixin):
        async def get(self) -> None:
            self.write(json.dumps(await self.oauth2_request(echo + "/?a=b", c="d")))

    echo = serve(Application([("/", Echo)])).url("")
    assert json.loads(serve(Application([("/", Handler)])).get("/").body) == ["a=b&c=d"]


TOKEN = "t0ken+/=%&€"


class Asking(RequestHandler, OAuth2Mixin):
    """Asks with a token, and does not expect that it fails."""

    def initialize(self, base: str) -> None:
        self.base = base

    async def get(self) -> None:
        await self.oauth2_request(self.base + "/me", access_token=TOKEN)


@pytest.mark.parametrize("base", ["refusing", "silent", "closing", "unsupported"])
def test_no_token_is_told(
    serve: Serve, store: Store, base: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Closing(RequestHandler):
        def get(self) -> None:
            self.detach().close()

    caplog.set_level(logging.DEBUG)
    url = {
        "refusing": lambda: serve(provider(store), xheaders=True).url(""),
        "silent": lambda: "http://127.0.0.1:9",
        "closing": lambda: serve(Application([("/me", Closing)])).url(""),
        "unsupported": lambda: "ftp://127.0.0.1",
    }[base]()
    site = serve(Application([("/", Asking, {"base": url})], serve_traceback=True))
    page = site.get("/", {"Accept": "text/plain"}).text
    site.call()
    ours = [record for record in caplog.records if "/me?" not in record.getMessage()]
    told = page + "".join(
        logging.Formatter().format(record)
        for record in (ours if base in ("refusing", "closing") else caplog.records)
    )
    assert f"{url}/me" in told
    assert "t0ken" not in told


def test_errors_of_requests(serve: Serve, store: Store, base: str) -> None:
    class Handler(RequestHandler, OAuth2Mixin):
        async def get(self) -> None:
            for kind in (AuthProviderError, HTTPClientError, AuthError):
                with pytest.raises(kind) as caught:
                    await self.oauth2_request(base + "/me", access_token=TOKEN)
                assert str(caught.value) == (
                    f"HTTP 401: {base}/me says OAuth: Malformed token [hidden]"
                )
                assert caught.value.response.code == 401
            with pytest.raises(AuthProviderError) as caught:
                await self.oauth2_request("http://127.0.0.1:9/me")
            assert isinstance(caught.value.__cause__, OSError)
            with pytest.raises(AuthStateError):
                raise AuthStateError("told: 100 %")
            self.write("told")

    assert serve(Application([("/", Handler)])).get("/").text == "told"


def test_what_a_class_has_to_have(serve: Serve) -> None:
    class Bare(RequestHandler, OAuth2Mixin):
        async def get(self) -> None:
            with pytest.raises(NotImplementedError, match=r"Bare\._OAUTH_AUTHORIZE_URL is not set"):
                self.authorize_redirect()
            with pytest.raises(NotImplementedError, match=r"Bare\._OAUTH_ACCESS_TOKEN_URL is not"):
                await self.oauth2_token(None, "code", "id")
            self.write("told")

    assert serve(Application([("/", Bare)])).get("/").text == "told"


def test_a_client_of_ones_own(serve: Serve, base: str, browser: Browser) -> None:
    used = []

    class Own(Login):
        def get_auth_http_client(self) -> AsyncHTTPClient:
            used.append(self)
            return super().get_auth_http_client()

    assert browser.go(site_of(serve, base, Own).url("/login")).status == 200
    assert len(used) == 2


def test_a_user_who_says_no(serve: Serve, base: str, browser: Browser) -> None:
    class Handler(Login):
        async def get(self) -> None:
            if self.get_argument("error", None):
                self.set_status(403)
                self.write(self.get_argument("error"))
            else:
                self.authorize_redirect(self.here, ID, extra_params={"deny": "1"})

    answer = browser.go(site_of(serve, base, Handler).url("/login"))
    assert (answer.status, answer.text) == (403, "access_denied")
