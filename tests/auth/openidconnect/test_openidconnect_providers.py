"""Providers: what they say of themselves, their keys, their failures."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import sys

import pytest

from oidc_provider import private_key, public_jwk
from oidc_site import Login
from typhoon.auth import OpenIDProvider
from typhoon.auth.openidconnect.fetching import MAX_BYTES, Cached, lifetime
from typhoon.httputil import HTTPHeaders


def failed(answer, error: str, message: str) -> None:
    result = json.loads(answer.body)
    assert result.get("error") == error, result
    assert message in result["message"]


# Keys.


def test_new_keys_are_fetched_when_they_are_used(browser, provider, monkeypatch):
    monkeypatch.setattr(Cached, "RENEWAL", 0.0)
    assert browser.sign_in().status == 200
    provider.key, provider.kid = private_key("RS256", 1), "key-2"
    assert browser.sign_in().status == 200
    assert provider.count("/keys") == 2


def test_unknown_keys_make_no_flood(browser, provider):
    assert browser.sign_in().status == 200
    provider.jwks = {"keys": [public_jwk(provider.key, "RS256", "key-1")]}
    for number in range(5):
        provider.kid = f"unknown-{number}"
        failed(browser.sign_in(), "AuthTokenError", f"no key 'unknown-{number}'")
    assert provider.count("/keys") == 1


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (200, {"keys": 1}, "no keys"),
        (200, {}, "no keys"),
        (500, {"keys": []}, "status is 500"),
        (200, {"keys": [{}] * 101}, "101 keys"),
        (200, "<html>", "no JSON object"),
    ],
)
def test_keys_that_are_none(browser, provider, status, body, message):
    provider.answers["/keys"] = status, body
    failed(browser.sign_in(), "AuthProviderError", message)


def test_how_long_answers_are_kept(run):
    now = 0.0
    loaded = []

    async def load():
        loaded.append(now)
        return len(loaded), seconds

    async def main():
        nonlocal now, seconds
        cached = Cached(lambda: now)
        for wait, value in [(0, 1), (299, 1), (1, 2), (3599, 2), (1, 3), (86399, 3), (1, 4)]:
            now += wait
            seconds = {0: 10, 1: None}.get(len(loaded), 1e9)
            assert await cached.get(load) == value

    seconds: float | None = 0.0
    run(main)


def test_those_who_wait_share_one_fetch(run):
    loads = 0

    async def load():
        nonlocal loads
        loads += 1
        await asyncio.sleep(0)
        return "value", None

    async def main():
        cached = Cached()
        values = await asyncio.gather(*(cached.get(load) for _ in range(20)))
        assert values == ["value"] * 20
        assert await cached.renew(load) == "value"

    run(main)
    assert loads == 1


def test_who_waits_goes_on_where_another_gave_up(run):
    async def main():
        cached = Cached()
        reached = asyncio.Event()

        async def hang():
            reached.set()
            await asyncio.Event().wait()

        async def load():
            return "value", None

        first = asyncio.create_task(cached.get(hang))
        await reached.wait()
        second = asyncio.create_task(cached.get(load))
        await asyncio.sleep(0)
        first.cancel()
        assert await second == "value"
        with pytest.raises(asyncio.CancelledError):
            await first

    run(main)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("public, max-age=19800, must-revalidate", 19800),
        ("Max-Age=7", 7),
        ("s-maxage=9", None),
        ("no-store", 0),
        ("max-age=600, no-cache", 0),
        ("", None),
    ],
)
def test_lifetimes(value, seconds):
    assert lifetime(HTTPHeaders({"Cache-Control": value})) == seconds


# Metadata.


@pytest.mark.parametrize(
    ("metadata", "error", "message"),
    [
        ({"issuer": "https://evil.example.com"}, "AuthConfigurationError", "calls itself"),
        ({"issuer": None}, "AuthConfigurationError", "calls itself None"),
        ({"token_endpoint": None}, "AuthProviderError", "token_endpoint"),
        ({"token_endpoint": "http://evil.example.com/"}, "AuthProviderError", "token_endpoint"),
        ({"jwks_uri": "file:///etc/passwd"}, "AuthProviderError", "jwks_uri"),
        ({"jwks_uri": "https://a@b/"}, "AuthProviderError", "jwks_uri"),
        ({"userinfo_endpoint": ["x"]}, "AuthProviderError", "userinfo_endpoint"),
        ({"authorization_endpoint": "javascript:x"}, "AuthProviderError", "authorization_endp"),
        ({"end_session_endpoint": "https://["}, "AuthProviderError", "end_session_endpoint"),
    ],
)
def test_metadata_that_cannot_be_right(browser, provider, metadata, error, message):
    provider.metadata = metadata
    failed(browser.get("/login"), error, message)


@pytest.mark.parametrize(
    ("status", "body", "error", "message"),
    [
        (404, {}, "AuthConfigurationError", "check the setting issuer"),
        (500, {}, "AuthProviderError", "status 500"),
        (302, {}, "AuthProviderError", "status 302"),
        (200, "[1]", "AuthProviderError", "no JSON object"),
        (200, "[" * 100_000, "AuthProviderError", "no JSON object"),
        (200, " " * (MAX_BYTES + 1), "AuthProviderError", "more than 262144 bytes"),
    ],
)
def test_metadata_that_are_none(browser, provider, status, body, error, message):
    path = "/.well-known/openid-configuration"
    provider.answers[path] = status, body
    provider.headers["Location"] = "/"
    failed(browser.get("/login"), error, message)
    del provider.answers[path]
    browser.begin()  # nothing wrong is kept


def test_a_provider_that_is_not_there(make_browser, settings_of):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        issuer = f"http://localhost:{free.getsockname()[1]}"
        answer = make_browser(settings_of(issuer=issuer)).get("/login")
    assert answer.status == 502
    failed(answer, "AuthProviderError", f"from {issuer}/.well-known/openid-configuration")


def test_metadata_at_another_address(make_browser, settings_of, provider):
    document = {**provider.described()}
    provider.answers["/elsewhere"] = 200, document
    browser = make_browser(settings_of(metadata_url=provider.issuer + "/elsewhere"))
    assert browser.sign_in().status == 200
    assert provider.count("/.well-known/openid-configuration") == 0


# Issuers of many tenants.

TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"


@pytest.fixture
def tenants(make_browser, settings_of, provider):
    """A provider such as Microsoft, for accounts of any organization."""
    template = provider.issuer + "/{tenantid}/v2.0"
    provider.metadata = {
        "issuer": template,
        "authorization_response_iss_parameter_supported": None,
    }
    provider.answers["/common/v2.0/.well-known/openid-configuration"] = 200, provider.described()
    key = public_jwk(provider.key, "RS256", "key-1")
    provider.jwks = {"keys": [key | {"issuer": template}]}
    provider.claims = {"iss": template.replace("{tenantid}", TENANT), "tid": TENANT}
    return make_browser(settings_of(issuer=provider.issuer + "/common/v2.0"))


def test_a_tenant(tenants, provider):
    answer = tenants.sign_in(iss=None)
    assert answer.status == 200, answer.text
    assert json.loads(answer.body)["user"]["iss"] == f"{provider.issuer}/{TENANT}/v2.0"


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ({"tid": "ffffffff-6c67-4c5b-b112-36a304b66dad"}, "not of "),
        ({"tid": None}, "no usable tid"),
        ({"tid": "../.."}, "no usable tid"),
        ({"iss": "https://evil.example.com/v2.0"}, "'https://evil.example.com/v2.0'"),
    ],
)
def test_a_tenant_that_is_another(tenants, provider, claims, message):
    provider.claims |= claims
    failed(tenants.sign_in(iss=None), "AuthTokenError", message)


def test_a_key_of_another_tenant(tenants, provider):
    provider.jwks["keys"][0]["issuer"] = provider.issuer + "/another/v2.0"
    failed(tenants.sign_in(iss=None), "AuthTokenError", "The key of the token")


def test_a_template_of_another_host(make_browser, settings_of, provider):
    provider.metadata = {"issuer": "https://{tenantid}/v2.0"}
    answer = make_browser(settings_of()).get("/login")
    failed(answer, "AuthConfigurationError", "calls itself")


# Errors that providers tell.


@pytest.mark.parametrize(
    ("code", "error", "status"),
    [
        ("access_denied", "AuthDeniedError", 403),
        ("login_required", "AuthDeniedError", 403),
        ("server_error", "AuthProviderError", 502),
        ("temporarily_unavailable", "AuthProviderError", 502),
        ("unauthorized_client", "AuthConfigurationError", 500),
        ("invalid_scope", "AuthConfigurationError", 500),
        ("unheard\nof", "AuthConfigurationError", 500),
    ],
)
def test_errors_in_the_answer(browser, provider, code, error, status):
    answer = browser.sign_in(code=None, error=code, error_description="why\nnot" * 1000)
    assert answer.status == status
    failed(answer, error, repr(code))
    message = json.loads(answer.body)["message"]
    assert "\n" not in message
    assert len(message) < 600
    assert provider.count("/token") == 0


def test_an_error_for_another_browser(browser):
    answer = browser.get("/login?error=access_denied&state=" + "a" * 43)
    failed(answer, "AuthStateError", "does not know this sign-in")


def test_an_error_does_not_send_the_user_round_in_circles(make_browser, settings_of):
    class ByCode(Login):
        async def get(self):
            if self.get_argument("code", None):
                await self.get_authenticated_user()
            else:
                await self.authorize_redirect()

    browser = make_browser(settings_of(), ByCode)
    assert browser.sign_in(code=None, error="access_denied").status == 403


def test_neither_a_code_nor_an_error(browser):
    failed(browser.sign_in(code=None), "AuthProviderError", "neither a code nor an error")


@pytest.mark.parametrize(
    ("status", "body", "error", "message"),
    [
        (400, {"error": "invalid_grant"}, "AuthStateError", "sign in again"),
        (401, {"error": "invalid_client"}, "AuthConfigurationError", "check client_id"),
        (400, {"error": {"x": 1}}, "AuthConfigurationError", "{'x': 1}"),
        (503, {}, "AuthProviderError", "status 503"),
        (200, {}, "AuthProviderError", "no access token"),
        (200, {"access_token": "a", "token_type": "MAC"}, "AuthProviderError", "'MAC'"),
        (200, {"access_token": 1, "token_type": "Bearer"}, "AuthProviderError", "no text"),
        (200, {"access_token": "a\n", "token_type": "bearer"}, "AuthProviderError", "header"),
        (200, {"access_token": "a", "token_type": "bearer"}, "AuthProviderError", "no ID token"),
    ],
)
def test_tokens_that_are_none(browser, provider, status, body, error, message):
    provider.answers["/token"] = status, body
    failed(browser.sign_in(), error, message)


@pytest.mark.parametrize("seconds", [None, "300", True, -1, 1e400, 10**400, "9" * 400, [], "x"])
def test_lifetimes_of_tokens(browser, provider, seconds):
    provider.tokens["expires_in"] = seconds
    assert browser.sign_in().status == 200


def test_userinfo_that_fails(browser, provider):
    provider.answers["/userinfo"] = 403, {"error": "insufficient_scope"}
    failed(browser.sign_in(), "AuthProviderError", "userinfo=False")


def test_errors_that_nobody_catches(make_browser, settings_of, caplog):
    class Plain(Login):
        async def get(self):
            if self.get_argument("state", None):
                await self.get_authenticated_user()
            else:
                await self.authorize_redirect()

    browser = make_browser(settings_of(), Plain)
    with caplog.at_level(logging.WARNING):
        assert browser.sign_in(code=None, error="access_denied").status == 403
        assert browser.get("/login?state=x").status == 400
        browser.site.call()
    general = [record for record in caplog.records if record.name == "typhoon.general"]
    assert [record.levelname for record in general] == ["WARNING", "WARNING"]
    assert "The user did not sign in" in general[0].getMessage()
    assert all(record.levelno < logging.ERROR for record in caplog.records)


def test_nothing_secret_is_logged(browser, provider, caplog):
    provider.claims["iss"] = "https://evil.example.com"
    with caplog.at_level(logging.DEBUG):
        failed(browser.sign_in(), "AuthTokenError", "evil")
        browser.site.call()
    assert provider.client_secret not in caplog.text
    assert "eyJ" not in caplog.text


# Settings.


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"issuer": "http://accounts.example.com"}, "http is for localhost alone"),
        ({"issuer": "accounts.example.com"}, "such as https://"),
        ({"issuer": "https://user@example.com"}, "such as https://"),
        ({"issuer": "https://example.com/?a=b"}, "without a query"),
        ({"metadata_url": "http://example.com"}, "metadata_url"),
        ({"client_id": ""}, "client_id is empty"),
        ({"client_secret": ""}, "leave it out"),
        ({"client_authentication": "basic"}, "'client_secret_basic'"),
        ({"signing_algorithms": ["HS256"]}, "not 'HS256'"),
        ({"signing_algorithms": ["none", "RS256"]}, "not 'none'"),
        ({"signing_algorithms": []}, "some of"),
    ],
)
def test_settings_that_cannot_be_right(changes, message):
    right = {"issuer": "https://accounts.example.com", "client_id": "typhoon"}
    with pytest.raises(ValueError, match=message):
        OpenIDProvider(**(right | changes))


@pytest.mark.parametrize(
    "issuer", ["http://localhost:1", "http://127.0.0.2/a", "http://[::1]:8", "http://a.localhost"]
)
def test_providers_on_this_computer(issuer):
    assert OpenIDProvider(issuer=issuer, client_id="typhoon").issuer == issuer


def test_settings_show_no_secret():
    provider = OpenIDProvider(
        issuer="https://a.example", client_id="typhoon", client_secret="s3cret", private_key="pr1v"
    )
    assert "s3cret" not in repr(provider)
    assert "pr1v" not in repr(provider)


@pytest.mark.parametrize(
    ("settings", "target", "message"),
    [
        ({"two": None}, "/login?provider=one", "no provider 'one'"),
        ({"two": None}, "/login", "no provider None, but 'two'"),
        ({"issuer": "https://a.example"}, "/login", "no provider None"),
        ("https://a.example", "/login", "is an OpenIDProvider"),
    ],
)
def test_settings_without_the_provider(make_browser, settings, target, message):
    failed(make_browser(settings).get(target), "AuthConfigurationError", message)


def test_a_name_for_the_only_provider(make_browser, settings_of):
    answer = make_browser(settings_of()).get("/login?provider=one")
    failed(answer, "AuthConfigurationError", "a dict of providers by name")


def test_next_url_of_another_site(make_browser, settings_of, caplog):
    answer = make_browser(settings_of(), next_url="//evil.example").get("/login")
    assert answer.status == 500


def test_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "jwt", None)
    with pytest.raises(ImportError, match=r"pip install 'typhoon\[oidc\]'"):
        OpenIDProvider(issuer="https://a.example", client_id="typhoon")
