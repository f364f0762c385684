"""After signing in: new tokens, a client's own key, signing out."""

from __future__ import annotations

import json
import time
from urllib.parse import parse_qsl, urlencode, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from oidc_provider import private_key
from typhoon.auth import AuthError, OpenIDConnectMixin
from typhoon.web import RequestHandler

EVENT = "http://schemas.openid.net/event/backchannel-logout"


class Account(RequestHandler, OpenIDConnectMixin):
    """GET gets new tokens, DELETE signs out, POST is for the provider."""

    async def get(self):
        try:
            tokens = await self.refresh_tokens(self.get_argument("refresh_token"), sub=BEN)
            self.write({"tokens": [tokens.access_token, tokens.refresh_token, tokens.scope]})
        except AuthError as error:
            self.write({"error": type(error).__name__, "message": str(error)})

    async def delete(self):
        await self.logout_redirect(self.get_argument("id_token", None))

    async def post(self):
        token = await self.get_logout_token()
        self.write(token._asdict())


BEN = "248289761001"


@pytest.fixture
def site(make_browser, settings_of):
    return make_browser(settings_of(), Account)


# Refresh.


@pytest.mark.parametrize(
    ("changes", "refresh_token"),
    [({}, "rt"), ({"refresh_token": "rt2"}, "rt2"), ({"refresh_token": None}, "rt")],
)
def test_new_tokens(site, provider, changes, refresh_token):
    provider.tokens = {"access_token": "at", **changes, "scope": "openid email"}
    tokens = json.loads(site.get("/login?refresh_token=rt").body)["tokens"]
    assert tokens == ["at", refresh_token, ["openid", "email"]]


def test_new_tokens_without_an_id_token(site, provider):
    provider.tokens["id_token"] = None
    assert "tokens" in json.loads(site.get("/login?refresh_token=rt").body)


def test_a_refresh_token_that_has_ended(site):
    result = json.loads(site.get("/login?refresh_token=old").body)
    assert result["error"] == "AuthStateError"
    assert "sign in again" in result["message"]


def test_new_tokens_of_another_user(site, provider):
    provider.claims["sub"] = "another"
    result = json.loads(site.get("/login?refresh_token=rt").body)
    assert result["error"] == "AuthTokenError"


# A client with a key.


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_client_with_a_key(make_browser, settings_of, provider, algorithm):
    key = private_key(algorithm, 5)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    provider.is_client = lambda arguments, headers: True
    settings = settings_of(client_secret=None, private_key=pem, private_key_id="ours")
    assert make_browser(settings).sign_in().status == 200
    arguments, headers = provider.last("/token")
    assert "Authorization" not in headers
    assert arguments["client_assertion_type"].endswith(":jwt-bearer")
    assertion = arguments["client_assertion"]
    url = provider.issuer + "/token"
    claims = jwt.decode(assertion, key.public_key(), [algorithm], audience=url)
    assert jwt.get_unverified_header(assertion)["kid"] == "ours"
    assert claims["iss"] == claims["sub"] == "typhoon"
    assert claims["jti"]
    assert claims["exp"] - claims["iat"] == 60


def test_a_key_that_is_none(make_browser, settings_of, provider):
    answer = make_browser(settings_of(client_secret=None, private_key="secret")).sign_in()
    result = json.loads(answer.body)
    assert result["error"] == "AuthConfigurationError"
    assert "no private key in PEM" in result["message"]


def test_a_secret_that_is_missing(make_browser, settings_of):
    settings = settings_of(client_secret=None, client_authentication="client_secret_post")
    result = json.loads(make_browser(settings).sign_in().body)
    assert "takes a client_secret" in result["message"]


# Signing out.


def delete(site, target):
    headers = {"Host": f"localhost:{site.site.port}"}
    with site.site.connect() as client:
        return client.request("DELETE", target, headers)


def test_signing_out(site, provider):
    location = delete(site, "/login?id_token=it").header("Location")
    assert location.startswith(provider.issuer + "/logout?")
    assert dict(parse_qsl(urlsplit(location).query)) == {
        "client_id": "typhoon",
        "id_token_hint": "it",
        "post_logout_redirect_uri": f"http://localhost:{site.site.port}/",
    }
    assert "id_token_hint" not in delete(site, "/login").header("Location")


def test_signing_out_where_the_provider_cannot(site, provider):
    provider.metadata["end_session_endpoint"] = None
    location = delete(site, "/login?id_token=it").header("Location")
    assert location == f"http://localhost:{site.site.port}/"


def logout_token(provider, **changes):
    now = int(time.time())
    claims = {
        "iss": provider.issuer,
        "aud": "typhoon",
        "iat": now,
        "exp": now + 60,
        "jti": "1",
        "sub": BEN,
        "sid": "s1",
        "events": {EVENT: {}},
    } | changes
    return provider.sign({name: value for name, value in claims.items() if value is not None})


def post(site, token):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    return site.site.post("/login", urlencode({"logout_token": token}).encode(), form)


@pytest.mark.parametrize("changes", [{}, {"exp": None}, {"sid": None}, {"sub": None}])
def test_the_provider_tells_of_a_logout(site, provider, changes):
    answer = post(site, logout_token(provider, **changes))
    assert answer.status == 200
    expected = {"iss": provider.issuer, "sub": BEN, "sid": "s1", "jti": "1"} | changes
    expected.pop("exp", None)
    assert json.loads(answer.body) == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"events": None},
        {"events": {}},
        {"events": {EVENT: 1}},
        {"events": [EVENT]},
        {"nonce": "n"},
        {"iat": 1, "exp": None},
        {"iat": None},
        {"exp": 1},
        {"aud": "another"},
        {"iss": "https://evil.example.com"},
        {"sub": None, "sid": None},
        {"sid": 1},
    ],
)
def test_what_tells_of_no_logout(site, provider, changes):
    assert post(site, logout_token(provider, **changes)).status == 400


def test_a_logout_that_is_not_signed_by_the_provider(site, provider):
    assert post(site, logout_token(provider)).status == 200
    provider.key = private_key("RS256", 1)
    assert post(site, logout_token(provider)).status == 400
    assert post(site, "").status == 400
