"""Signing in, as it should go."""

from __future__ import annotations

import json
import re
import weakref

import pytest

from oidc_provider import private_key, public_jwk
from oidc_site import Login
from support import without_collector


def test_signing_in(browser, provider):
    answer = browser.sign_in("/login?next=/home%3Fa%3D1")
    assert answer.status == 200, answer.text
    result = json.loads(answer.body)
    assert result["user"]["iss"] == provider.issuer
    assert result["user"]["name"] == "Ben Bé"
    assert result["user"]["zoneinfo"] == "UTC"  # of userinfo
    assert result["provider"] is None
    assert result["next"] == "/home?a=1"
    assert result["tokens"] == ["at", "rt", ["openid", "email", "profile"]]
    assert "at" not in re.findall(r"'(\w+)'", result["shown"].partition("expires_at")[0])
    assert not browser.cookies
    assert answer.header("Cache-Control") == "no-store"


def test_what_the_provider_is_asked(browser, provider):
    answer = browser.get("/login")
    location = answer.header("Location")
    assert location.startswith(provider.issuer + "/authorize?tenant=a&")
    asked = browser.begin()
    uri = f"http://localhost:{browser.site.port}/login"
    random = {name: asked.pop(name) for name in ("state", "nonce", "code_challenge")}
    assert asked == {
        "tenant": "a",
        "response_type": "code",
        "client_id": "typhoon",
        "redirect_uri": uri,
        "scope": "openid email profile",
        "code_challenge_method": "S256",
    }
    assert all(len(value) == 43 for value in random.values())
    assert random.items().isdisjoint(browser.begin().items())


def test_the_cookie_of_a_try(browser):
    line = browser.get("/login", {}).header("Set-Cookie")
    name, _, rest = line.partition("=")
    assert name.startswith("openid-")
    attributes = {part.strip().lower() for part in rest.split(";")[1:]}
    assert attributes == {"httponly", "max-age=600", "path=/", "samesite=lax"}
    assert len(line) < 1200


def test_over_https_the_cookie_belongs_to_this_host(make_browser, settings_of):
    browser = make_browser(settings_of(redirect_uri="https://shop.example.com/login"))
    line = browser.get("/login").header("Set-Cookie")
    assert line.startswith("__Host-openid-")
    assert line.endswith("; Secure")
    asked = browser.begin()
    assert asked["redirect_uri"] == "https://shop.example.com/login"
    assert browser.come_back(asked).status == 200


def test_several_tabs_at_once(browser):
    first, second = browser.begin("/login?next=/1"), browser.begin("/login?next=/2")
    assert json.loads(browser.come_back(second).body)["next"] == "/2"
    assert json.loads(browser.come_back(first).body)["next"] == "/1"
    assert not browser.cookies


def test_tabs_without_end_make_room(browser):
    tries = [browser.begin() for _ in range(12)]
    assert len(browser.cookies) == 8
    assert browser.come_back(tries[-1]).status == 200


def test_what_else_can_be_asked(make_browser, settings_of):
    settings = settings_of(
        scope="email offline_access",
        authorize_params={"access_type": "offline", "state": "ours counts"},
    )
    browser = make_browser(
        settings,
        redirect_uri="/other",
        prompt="login",
        max_age=60,
        login_hint="ben@example.com",
        extra_params={"ui_locales": "de"},
        next_url="/welcome",
    )
    asked = browser.begin()
    assert asked["redirect_uri"].endswith("/other")
    assert asked["scope"] == "openid email offline_access"
    assert asked["access_type"] == "offline"
    assert asked["prompt"] == "login"
    assert asked["max_age"] == "60"
    assert asked["login_hint"] == "ben@example.com"
    assert asked["ui_locales"] == "de"
    assert len(asked["state"]) == 43
    answer = json.loads(browser.come_back(asked).body)
    assert answer["error"] == "AuthTokenError"
    assert "auth_time" in answer["message"]


@pytest.mark.parametrize("algorithm", ["PS256", "RS512", "ES256", "ES384", "ES512", "EdDSA"])
def test_algorithms(browser, provider, algorithm):
    provider.algorithm = algorithm
    provider.key = private_key(algorithm)
    assert browser.sign_in().status == 200


def test_a_token_and_keys_without_names(browser, provider):
    provider.kid = None
    provider.jwks = {
        "keys": [
            public_jwk(private_key("RS256", 7), "RS256", None),
            public_jwk(provider.key, "RS256", None),
            {"kty": "RSA", "use": "enc"},
            "no key",
        ]
    }
    assert browser.sign_in().status == 200


def test_without_userinfo(make_browser, settings_of, provider):
    browser = make_browser(settings_of(userinfo=False))
    assert "name" not in json.loads(browser.sign_in().body)["user"]
    assert provider.count("/userinfo") == 0


def test_what_is_signed_counts_more_than_userinfo(browser, provider):
    provider.claims["email"] = "signed@example.com"
    assert json.loads(browser.sign_in().body)["user"]["email"] == "signed@example.com"


def test_the_provider_is_asked_for_itself_and_its_keys_once(browser, provider):
    for _ in range(3):
        assert browser.sign_in().status == 200
    assert provider.count("/.well-known/openid-configuration") == 1
    assert provider.count("/keys") == 1


def test_several_providers(make_browser, settings_of):
    browser = make_browser({"one": settings_of(), "two": settings_of(scope=["openid"])})
    asked = browser.begin("/login?provider=two")
    assert asked["scope"] == "openid"
    assert json.loads(browser.come_back(asked).body)["provider"] == "two"


@pytest.mark.parametrize(
    ("target", "goes_to"),
    [
        ("/login?next=/a", "/a"),
        ("/login?next=//evil.example", "/"),
        ("/login?next=https://evil.example/a", "/"),
        ("/login?next=/%5Cevil.example", "/"),
        ("/login?next=/" + "a" * 2000, "/"),
        ("/login", "/"),
    ],
)
def test_where_to_go_afterwards(browser, target, goes_to):
    assert json.loads(browser.sign_in(target).body)["next"] == goes_to


@pytest.mark.parametrize(
    "changes",
    [
        {"client_authentication": "client_secret_post"},
        {"client_authentication": "client_secret_basic"},
    ],
)
def test_how_the_secret_is_sent(make_browser, settings_of, provider, changes):
    assert make_browser(settings_of(**changes)).sign_in().status == 200
    arguments, headers = provider.last("/token")
    in_body = changes["client_authentication"] == "client_secret_post"
    assert ("client_secret" in arguments) == in_body
    assert ("Authorization" in headers) != in_body


def test_the_secret_is_sent_as_the_provider_can(browser, provider):
    provider.metadata["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    assert browser.sign_in().status == 200
    assert "client_secret" in provider.last("/token")[0]


def test_a_public_client(make_browser, settings_of, provider):
    provider.client_secret = ""
    assert make_browser(settings_of(client_secret=None)).sign_in().status == 200
    arguments, headers = provider.last("/token")
    assert arguments["client_id"] == "typhoon"
    assert "client_secret" not in arguments
    assert "Authorization" not in headers


@pytest.mark.parametrize("claims", [{}, {"aud": "another"}, {"nonce": "another"}])
def test_nothing_is_left_for_the_garbage_collector(make_browser, settings_of, provider, claims):
    handlers = []

    class Watched(Login):
        def prepare(self):
            handlers.append(weakref.ref(self))

    provider.claims = claims
    browser = make_browser(settings_of(), Watched)
    browser.sign_in()
    handlers.clear()
    with without_collector():
        browser.sign_in()
        browser.site.call()
        assert [handler() for handler in handlers] == [None, None]
