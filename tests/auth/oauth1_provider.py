"""A provider of OAuth 1.0a, made of oauthlib, which checks everything that it is sent."""

from __future__ import annotations

from typing import Any

from oauthlib.oauth1 import (
    AccessTokenEndpoint,
    AuthorizationEndpoint,
    RequestTokenEndpoint,
    RequestValidator,
    ResourceEndpoint,
)

from typhoon.web import Application, RequestHandler

KEY = "consumerkey"
SECRET = "c0nsumer &=+/%€ secret"
USER = {"screen_name": "ben", "name": "Bén & Co", "id_str": "12"}


class Store(RequestValidator):
    """What the provider remembers. Each nonce is good once, and so is each request token."""

    enforce_ssl = False
    client_key_length = (5, 40)
    request_token_length = access_token_length = verifier_length = (20, 40)
    nonce_length = (20, 40)

    def __init__(self) -> None:
        super().__init__()
        self.nonces: set[str] = set()
        self.request_tokens: dict[str, dict[str, Any]] = {}
        self.access_tokens: dict[str, str] = {}

    @property
    def dummy_client(self) -> str:
        return "nobody"

    dummy_request_token = dummy_access_token = dummy_client

    def validate_client_key(self, client_key: str, request: Any) -> bool:
        return client_key == KEY

    def get_client_secret(self, client_key: str, request: Any) -> str:
        return SECRET

    def validate_timestamp_and_nonce(
        self, client_key: str, timestamp: str, nonce: str, request: Any, *tokens: Any, **more: Any
    ) -> bool:
        fresh = nonce not in self.nonces
        self.nonces.add(nonce)
        return fresh

    def validate_redirect_uri(self, client_key: str, redirect_uri: str, request: Any) -> bool:
        return True

    def validate_requested_realms(self, client_key: str, realms: Any, request: Any) -> bool:
        return True

    def validate_realms(self, client_key: str, token: str, request: Any, **more: Any) -> bool:
        return True

    def get_default_realms(self, client_key: str, request: Any) -> list[str]:
        return []

    def get_realms(self, token: str, request: Any) -> list[str]:
        return []

    def save_request_token(self, token: dict[str, str], request: Any) -> None:
        self.request_tokens[token["oauth_token"]] = {**token, "callback": request.redirect_uri}

    def verify_request_token(self, token: str, request: Any) -> bool:
        return token in self.request_tokens

    def get_redirect_uri(self, token: str, request: Any) -> str:
        return self.request_tokens[token]["callback"]

    def save_verifier(self, token: str, verifier: dict[str, str], request: Any) -> None:
        self.request_tokens[token]["verifier"] = verifier["oauth_verifier"]

    def validate_request_token(self, client_key: str, token: str, request: Any) -> bool:
        return token in self.request_tokens

    def get_request_token_secret(self, client_key: str, token: str, request: Any) -> str:
        return self.request_tokens.get(token, {}).get("oauth_token_secret", "unknown")

    def validate_verifier(self, client_key: str, token: str, verifier: str, request: Any) -> bool:
        return self.request_tokens[token].get("verifier") == verifier

    def invalidate_request_token(self, client_key: str, token: str, request: Any) -> None:
        del self.request_tokens[token]

    def save_access_token(self, token: dict[str, str], request: Any) -> None:
        self.access_tokens[token["oauth_token"]] = token["oauth_token_secret"]

    def validate_access_token(self, client_key: str, token: str, request: Any) -> bool:
        return token in self.access_tokens

    def get_access_token_secret(self, client_key: str, token: str, request: Any) -> str:
        return self.access_tokens.get(token, "unknown")


class _Handler(RequestHandler):
    def initialize(self, store: Store, seen: list[dict[str, str]]) -> None:
        self.store = store
        seen.append({name: it[-1].decode() for name, it in self.request.arguments.items()})

    @property
    def asked(self) -> tuple[str, str, str | None, dict[str, str]]:
        """What oauthlib wants to know: URL, method, body, headers."""
        kind = self.request.headers.get("Content-Type")
        headers = {"Content-Type": kind} if kind else {}
        return (
            self.request.full_url(),
            self.request.method,
            self.request.body.decode() or None,
            headers,
        )

    def answer(self, headers: dict[str, str], body: str | None, status: int) -> None:
        self.set_status(status)
        for name, value in headers.items():
            self.set_header(name, value)
        self.finish(body)


class _RequestToken(_Handler):
    def get(self) -> None:
        self.answer(*RequestTokenEndpoint(self.store).create_request_token_response(*self.asked))


class _Authorize(_Handler):
    """A user who has just signed in, and allows everything."""

    def get(self) -> None:
        self.answer(*AuthorizationEndpoint(self.store).create_authorization_response(*self.asked))


class _AccessToken(_Handler):
    def get(self) -> None:
        self.answer(
            *AccessTokenEndpoint(self.store).create_access_token_response(
                *self.asked, credentials={"screen_name": "ben", "user_id": "12"}
            )
        )


class _Resource(_Handler):
    def get(self) -> None:
        endpoint = ResourceEndpoint(self.store)
        valid, _ = endpoint.validate_protected_resource_request(*self.asked)
        if not valid:
            self.set_status(401)
            self.finish({"errors": [{"code": 32, "message": "Could not authenticate you."}]})
        else:
            arguments = {n: v[-1].decode() for n, v in self.request.arguments.items()}
            shown = {n: v for n, v in arguments.items() if not n.startswith("oauth_")}
            self.write({**USER, "asked": shown})

    post = get


def provider(store: Store, seen: list[dict[str, str]]) -> Application:
    """The application; `seen` gets the arguments of each request."""
    each = {"store": store, "seen": seen}
    return Application(
        [
            ("/oauth/request_token", _RequestToken, each),
            ("/oauth/(?:authorize|authenticate)", _Authorize, each),
            ("/oauth/access_token", _AccessToken, each),
            (r"/1\.1/.*", _Resource, each),
        ]
    )
