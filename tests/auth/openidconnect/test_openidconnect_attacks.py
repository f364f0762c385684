"""Answers that are forged, stale, or meant for somebody else: nobody is signed in."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import warnings

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from oidc_provider import private_key, public_jwk


def refused(answer, error: str, message: str) -> None:
    result = json.loads(answer.body)
    assert result.get("error") == error, result
    assert message in result["message"]


# The answer in the URL.


def test_an_answer_without_a_state(browser, provider):
    refused(
        browser.get(f"/login?state=x&code=x&iss={provider.issuer}"), "AuthStateError", "no state"
    )
    assert provider.count("/token") == 0


def test_a_state_of_another_browser(browser, make_browser, settings_of, provider):
    other = make_browser(settings_of())
    target = other.target(other.begin())
    browser.begin()
    refused(browser.get(target), "AuthStateError", "does not know this sign-in")
    assert provider.count("/token") == 0


def test_a_state_that_begins_like_another(browser):
    asked = browser.begin()
    forged = asked["state"][:8] + "A" * 35
    refused(browser.come_back(asked, state=forged), "AuthStateError", "another sign-in")


def test_a_state_counts_once(browser, provider):
    target = browser.target(browser.begin())
    assert browser.get(target).status == 200
    refused(browser.get(target), "AuthStateError", "sign in again")
    assert provider.count("/token") == 1


def test_a_state_is_used_up_by_a_failure(browser):
    asked = browser.begin()
    refused(browser.come_back(asked, code="wrong"), "AuthStateError", "invalid_grant")
    refused(browser.come_back(asked), "AuthStateError", "does not know this sign-in")


def test_a_cookie_that_was_changed(browser):
    asked = browser.begin()
    ((name, value),) = browser.cookies.items()
    browser.cookies[name] = value[:-2] + "AA"
    refused(browser.come_back(asked), "AuthStateError", "void")


def test_a_cookie_under_another_name(browser):
    first, second = browser.begin(), browser.begin()
    values = dict(browser.cookies)
    names = [f"openid-{asked['state'][:8]}" for asked in (first, second)]
    browser.cookies[names[0]] = values[names[1]]
    refused(browser.come_back(first), "AuthStateError", "void")


def test_a_try_that_is_too_old(browser, monkeypatch):
    asked = browser.begin()
    now = time.time()
    with monkeypatch.context() as patch:
        patch.setattr("time.time", lambda: now + 601)
        refused(browser.come_back(asked), "AuthStateError", "too old")


def test_arguments_that_come_twice(browser):
    target = browser.target(browser.begin())
    refused(browser.get(target + "&code=another"), "AuthStateError", "came 2 times")


def test_an_answer_of_another_issuer(browser, provider):
    answer = browser.sign_in(iss="https://evil.example.com")
    refused(answer, "AuthStateError", "'https://evil.example.com'")
    assert provider.count("/token") == 0  # the code stays secret


def test_an_answer_without_the_issuer_that_was_promised(browser, provider):
    refused(browser.sign_in(iss=None), "AuthStateError", "does not name the issuer")
    assert provider.count("/token") == 0


def test_an_answer_without_an_issuer_that_was_not_promised(browser, provider):
    provider.metadata["authorization_response_iss_parameter_supported"] = None
    assert browser.sign_in(iss=None).status == 200


def test_an_answer_at_the_page_of_another_provider(browser, provider):
    target = browser.target(browser.begin()).replace("/login", "/other")
    refused(browser.get(target), "AuthStateError", "it is not read here")
    assert provider.count("/token") == 0


def test_an_answer_of_another_provider_than_the_handler_wants(make_browser, settings_of):
    browser = make_browser({"one": settings_of(), "two": settings_of()})
    target = browser.target(browser.begin("/login?provider=one"))
    refused(browser.get(target + "&only=two"), "AuthStateError", "'one'")


def test_a_code_of_another_try(browser):
    """PKCE: who has got hold of a code cannot use it."""
    theirs, ours = browser.begin(), browser.begin()
    stolen = browser.provider.authorize(theirs)
    refused(browser.come_back(ours, code=stolen), "AuthStateError", "invalid_grant")


# The ID token.


def unsigned(claims):
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'none', 'kid': 'key-1'})}.{part(claims)}."


@pytest.mark.parametrize(
    ("claims", "error", "message"),
    [
        ({"nonce": "another"}, "AuthStateError", "nonce"),
        ({"nonce": None}, "AuthStateError", "nonce"),
        ({"nonce": 1}, "AuthStateError", "nonce"),
        ({"nonce": "é"}, "AuthStateError", "nonce"),
        ({"iss": "https://evil.example.com"}, "AuthTokenError", "'https://evil.example.com'"),
        ({"iss": None}, "AuthTokenError", '"iss"'),
        ({"aud": "another"}, "AuthTokenError", "Audience"),
        ({"aud": None}, "AuthTokenError", '"aud"'),
        ({"aud": ["typhoon", "another"]}, "AuthTokenError", "for None to use"),
        ({"aud": ["typhoon", "another"], "azp": "another"}, "AuthTokenError", "'another'"),
        ({"azp": "another"}, "AuthTokenError", "'another'"),
        ({"exp": 1}, "AuthTokenError", "expired"),
        ({"exp": None}, "AuthTokenError", '"exp"'),
        ({"exp": "soon"}, "AuthTokenError", "not valid"),
        ({"iat": None}, "AuthTokenError", '"iat"'),
        ({"iat": 2_000_000_000_000}, "AuthTokenError", "not yet valid"),
        ({"nbf": 2_000_000_000_000}, "AuthTokenError", "not yet valid"),
        ({"sub": None}, "AuthTokenError", '"sub"'),
        ({"sub": 1}, "AuthTokenError", "not valid"),
        ({"at_hash": "another"}, "AuthTokenError", "at_hash"),
        ({"at_hash": 1}, "AuthTokenError", "at_hash"),
    ],
)
def test_wrong_claims(browser, provider, claims, error, message):
    provider.claims = claims
    refused(browser.sign_in(), error, message)
    assert provider.count("/userinfo") == 0


def test_right_claims_of_other_forms(browser, provider):
    provider.claims = {"aud": ["typhoon", "another"], "azp": "typhoon", "at_hash": None}
    assert browser.sign_in().status == 200


def test_a_clock_that_is_a_little_wrong(browser, provider):
    now = int(time.time())
    provider.claims = {"iat": now + 30, "exp": now - 30}
    assert browser.sign_in().status == 200


def test_a_token_that_nobody_signed(browser, provider):
    provider.make_token = unsigned
    refused(browser.sign_in(), "AuthTokenError", "'none'")


@pytest.mark.parametrize("form", ["pem", "jwk"])
def test_a_token_signed_with_the_public_key(browser, provider, form):
    key = provider.key.public_key()
    if form == "pem":
        known = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    else:
        known = json.dumps(public_jwk(provider.key, "RS256", "key-1")).encode()
    header = {"alg": "HS256", "kid": "key-1"}

    def make(claims):
        head, body, _ = jwt.encode(claims, "a" * 32, "HS256", headers=header).split(".")
        mac = hmac.digest(known, f"{head}.{body}".encode(), hashlib.sha256)
        return f"{head}.{body}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"

    provider.make_token = make
    refused(browser.sign_in(), "AuthTokenError", "'HS256'")


def test_a_secret_key_among_the_public_ones(browser, provider):
    provider.jwks = {"keys": [{"kty": "oct", "kid": "key-1", "k": "YWFh", "alg": "RS256"}]}
    refused(browser.sign_in(), "AuthTokenError", "no key 'key-1' for RS256")


def test_another_key_of_the_same_name(browser, provider):
    right = public_jwk(provider.key, "RS256", "key-1")
    provider.jwks = {"keys": [right]}
    provider.key = private_key("RS256", 1)
    refused(browser.sign_in(), "AuthTokenError", "Signature")


def test_a_key_in_the_token_itself(browser, provider):
    provider.jwks = {"keys": [public_jwk(provider.key, "RS256", "key-1")]}
    provider.key = private_key("RS256", 1)
    provider.header = {"jwk": public_jwk(provider.key, "RS256", "key-1")}
    refused(browser.sign_in(), "AuthTokenError", "Signature")


def test_an_algorithm_that_is_not_the_keys(browser, provider):
    provider.jwks = {"keys": [public_jwk(provider.key, "RS256", "key-1")]}
    provider.algorithm = "RS512"
    refused(browser.sign_in(), "AuthTokenError", "no key 'key-1' for RS512")


def test_an_algorithm_that_the_settings_leave_out(make_browser, settings_of):
    browser = make_browser(settings_of(signing_algorithms=["ES256"]))
    refused(browser.sign_in(), "AuthTokenError", "allowed are ES256")


def test_a_key_that_is_too_short(browser, provider):
    provider.key = rsa.generate_private_key(65537, 1024)

    def make(claims):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the library warns who signs
            return provider.sign(claims)

    provider.make_token = make
    refused(browser.sign_in(), "AuthTokenError", "not valid")


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "a" * 70_000, "e30.e30."])
def test_what_is_no_token(browser, provider, token):
    provider.make_token = lambda claims: token
    answer = browser.sign_in()
    assert json.loads(answer.body)["error"] in ("AuthTokenError", "AuthProviderError")


def test_a_changed_token(browser, provider):
    def change(claims):
        head, _, signature = provider.sign(claims).split(".")
        body = base64.urlsafe_b64encode(json.dumps(claims | {"sub": "root"}).encode())
        return f"{head}.{body.rstrip(b'=').decode()}.{signature}"

    provider.make_token = change
    refused(browser.sign_in(), "AuthTokenError", "Signature")


def test_the_user_has_signed_in_too_long_ago(make_browser, settings_of, provider):
    browser = make_browser(settings_of(), max_age=60)
    now = int(time.time())
    provider.claims["auth_time"] = now - 100
    assert browser.sign_in().status == 200  # within the leeway
    provider.claims["auth_time"] = now - 1000
    refused(browser.sign_in(), "AuthTokenError", "more than 60 seconds")
    provider.claims["auth_time"] = True
    refused(browser.sign_in(), "AuthTokenError", "auth_time")


def test_userinfo_of_another_user(browser, provider):
    provider.answers["/userinfo"] = 200, {"sub": "another", "name": "Root"}
    refused(browser.sign_in(), "AuthTokenError", "'another'")


def test_userinfo_of_nobody(browser, provider):
    provider.answers["/userinfo"] = 200, {"name": "Root"}
    refused(browser.sign_in(), "AuthTokenError", "another user: None")
