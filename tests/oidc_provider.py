"""A provider of OpenID Connect that does what a test tells it, right or wrong."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from support import Server
from typhoon.web import Application, RequestHandler

BEN = {"sub": "248289761001", "name": "Ben Bé", "email": "ben@example.com"}


@cache
def private_key(kind: str = "RS256", number: int = 0) -> Any:
    """A key for this algorithm; another one for another number."""
    if kind.startswith("ES"):
        curves = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
        return ec.generate_private_key(curves[kind])
    if kind == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, 2048)


def public_jwk(key: Any, algorithm: str, kid: str | None) -> dict[str, Any]:
    implementation = jwt.get_algorithm_by_name(algorithm)
    jwk = implementation.to_jwk(key.public_key(), as_dict=True)
    jwk |= {"use": "sig", "alg": algorithm}
    return jwk | {"kid": kid} if kid is not None else jwk


def left_half(text: str, algorithm: str = "RS256") -> str:
    bits = "512" if algorithm == "EdDSA" else algorithm[2:]
    digest = hashlib.new("sha" + bits, text.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


class Provider:
    """What the provider answers, to be changed by a test, and what it was asked."""

    def __init__(self) -> None:
        self.server: Server
        self.algorithm = "RS256"
        self.kid: str | None = "key-1"
        self.key = private_key()
        self.jwks: Any = None
        self.person: dict[str, Any] = dict(BEN)
        self.client_id = "typhoon"
        self.client_secret = "a secret: 100% & more"
        self.metadata: dict[str, Any] = {}
        self.claims: dict[str, Any] = {}
        """Instead of those that would be right; None leaves one out."""
        self.header: dict[str, Any] = {}
        self.tokens: dict[str, Any] = {}
        self.make_token: Callable[[dict[str, Any]], str] = self.sign
        self.answers: dict[str, tuple[int, Any]] = {}
        """Status and body instead of the right ones, by path."""
        self.headers: dict[str, str] = {}
        self.asked: list[tuple[str, dict[str, str], Any]] = []
        self.codes: dict[str, dict[str, str]] = {}

    @property
    def issuer(self) -> str:
        return self.server.url("")

    def application(self) -> Application:
        return Application([("/.*", ProviderHandler, {"provider": self})])

    def count(self, path: str) -> int:
        """How often a path was asked for."""
        return sum(asked == path for asked, _, _ in self.asked)

    def last(self, path: str) -> tuple[dict[str, str], Any]:
        """The arguments and the headers of the last request for a path."""
        return next(asked[1:] for asked in reversed(self.asked) if asked[0] == path)

    def sign(self, claims: dict[str, Any]) -> str:
        header = {"kid": self.kid, **self.header} if self.kid is not None else self.header
        return jwt.encode(claims, self.key, self.algorithm, headers=header)

    def authorize(self, arguments: dict[str, str]) -> str:
        """The user signs in and agrees: the code."""
        code = secrets.token_urlsafe(8)
        self.codes[code] = arguments
        return code

    def document(self, path: str, arguments: dict[str, str], headers: Any) -> tuple[int, Any]:
        match path:
            case "/.well-known/openid-configuration":
                return 200, self.described()
            case "/keys":
                return 200, self.jwks or {"keys": [public_jwk(self.key, self.algorithm, self.kid)]}
            case "/token":
                return self.exchange(arguments, headers)
            case "/userinfo":
                token = headers.get("Authorization", "").removeprefix("Bearer ")
                return (200, {**self.person, "zoneinfo": "UTC"}) if token == "at" else (401, {})
        return 404, {}

    def described(self) -> dict[str, Any]:
        document = {
            "issuer": self.issuer,
            "authorization_endpoint": self.issuer + "/authorize?tenant=a",
            "token_endpoint": self.issuer + "/token",
            "jwks_uri": self.issuer + "/keys",
            "userinfo_endpoint": self.issuer + "/userinfo",
            "end_session_endpoint": self.issuer + "/logout",
            "authorization_response_iss_parameter_supported": True,
        } | self.metadata
        return {name: value for name, value in document.items() if value is not None}

    def is_client(self, arguments: dict[str, str], headers: Any) -> bool:
        kind, _, coded = headers.get("Authorization", "").partition(" ")
        if kind == "Basic":
            name, _, password = base64.b64decode(coded).decode().partition(":")
            pair = unquote_plus(name), unquote_plus(password)
        else:
            pair = arguments.get("client_id", ""), arguments.get("client_secret", "")
        return pair == (self.client_id, self.client_secret)

    def exchange(self, arguments: dict[str, str], headers: Any) -> tuple[int, Any]:
        if not self.is_client(arguments, headers):
            return 401, {"error": "invalid_client"}
        if arguments["grant_type"] == "refresh_token":
            if arguments["refresh_token"] != "rt":
                return 400, {"error": "invalid_grant", "error_description": "unknown"}
            asked = None
        else:
            asked = self.codes.pop(arguments["code"], None)
            if asked is None or asked["redirect_uri"] != arguments["redirect_uri"]:
                return 400, {"error": "invalid_grant"}
            digest = hashlib.sha256(arguments["code_verifier"].encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            if (asked["code_challenge"], asked["code_challenge_method"]) != (challenge, "S256"):
                return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": self.person["sub"],
            "aud": self.client_id,
            "iat": now,
            "exp": now + 60,
            "at_hash": left_half("at", self.algorithm),
        }
        if asked is not None:
            claims["nonce"] = asked["nonce"]
        claims |= self.claims
        token = self.make_token({n: value for n, value in claims.items() if value is not None})
        tokens = {
            "access_token": "at",
            "token_type": "Bearer",
            "expires_in": 300,
            "refresh_token": "rt",
            "id_token": token,
        } | self.tokens
        return 200, {name: value for name, value in tokens.items() if value is not None}


class ProviderHandler(RequestHandler):
    """The provider's pages."""

    def initialize(self, provider: Provider) -> None:
        self.provider = provider

    def get(self) -> None:
        path = self.request.path
        arguments = dict(
            parse_qsl(self.request.body.decode(), strict_parsing=bool(self.request.body))
        )
        self.provider.asked.append((path, arguments, self.request.headers))
        status, body = self.provider.answers.get(path) or self.provider.document(
            path, arguments, self.request.headers
        )
        self.set_status(status)
        for name, value in self.provider.headers.items():
            self.set_header(name, value)
        self.write(body)

    post = get
