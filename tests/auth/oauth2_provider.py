"""A provider of OAuth 2.0, made of oauthlib, which checks everything that it is sent."""

from __future__ import annotations

import json
from typing import Any

from oauthlib.oauth2 import RequestValidator, WebApplicationServer

from typhoon.web import Application, RequestHandler

ID = "client.example.com"
SECRET = "s3cret &=+/%€"
USER = {"id": "12", "name": "Bén & Co", "email": "ben@example.com"}


class Site:
    """The application that is registered with the provider."""

    client_id = ID


class Store(RequestValidator):
    """What the provider remembers. Each code is good once."""

    def __init__(self, redirect_uri: str | None = None, needs_pkce: bool = False) -> None:
        super().__init__()
        self.redirect_uri = redirect_uri
        self.needs_pkce = needs_pkce
        self.codes: dict[str, Any] = {}
        self.tokens: dict[str, list[str]] = {}

    def validate_client_id(self, client_id: str, request: Any, *args: Any, **more: Any) -> bool:
        return client_id == ID

    def validate_redirect_uri(self, client_id: str, uri: str, request: Any, **more: Any) -> bool:
        return self.redirect_uri in (None, uri)

    def validate_response_type(self, client_id: str, kind: str, *args: Any, **more: Any) -> bool:
        return kind == "code"

    def validate_scopes(self, client_id: str, scopes: list[str], *args: Any, **more: Any) -> bool:
        return set(scopes) <= {"profile", "email"}

    def get_default_scopes(self, client_id: str, request: Any, *args: Any, **more: Any) -> Any:
        return ["profile"]

    def is_pkce_required(self, client_id: str, request: Any) -> bool:
        return self.needs_pkce

    def save_authorization_code(
        self, client_id: str, code: dict[str, str], request: Any, *args: Any, **more: Any
    ) -> None:
        self.codes[code["code"]] = request

    def authenticate_client(self, request: Any, *args: Any, **more: Any) -> bool:
        request.client = Site()
        return (request.client_id, request.client_secret) == (ID, SECRET)

    def validate_grant_type(self, client_id: str, kind: str, *args: Any, **more: Any) -> bool:
        return kind == "authorization_code"

    def validate_code(
        self, client_id: str, code: str, client: Any, request: Any, *args: Any
    ) -> bool:
        asked = self.codes.get(code)
        if asked is None:
            return False
        request.scopes = asked.scopes
        return True

    def get_code_challenge(self, code: str, request: Any) -> str | None:
        return self.codes[code].code_challenge

    def get_code_challenge_method(self, code: str, request: Any) -> str | None:
        return self.codes[code].code_challenge_method

    def confirm_redirect_uri(self, client_id: str, code: str, uri: str, *args: Any) -> bool:
        return self.codes[code].redirect_uri == uri

    def invalidate_authorization_code(self, client_id: str, code: str, *args: Any) -> None:
        del self.codes[code]

    def save_bearer_token(self, token: dict[str, str], request: Any, *args: Any) -> None:
        self.tokens[token["access_token"]] = request.scopes

    def validate_bearer_token(self, token: str, scopes: list[str], request: Any) -> bool:
        return set(scopes) <= set(self.tokens.get(token, ()))


class _Handler(RequestHandler):
    def initialize(self, store: Store) -> None:
        self.store = store
        self.server = WebApplicationServer(store)

    @property
    def asked(self) -> tuple[str, str, str, dict[str, str]]:
        """What oauthlib wants to know: URL, method, body, headers."""
        headers = dict(self.request.headers)
        return self.request.full_url(), self.request.method, self.request.body.decode(), headers

    def answer(self, headers: dict[str, str], body: str | None, status: int) -> None:
        self.set_status(status)
        for name, value in headers.items():
            self.set_header(name, value)
        self.finish(body)


class _Authorize(_Handler):
    """A user who has just signed in, and allows everything."""

    def get(self) -> None:
        scopes, known = self.server.validate_authorization_request(*self.asked)
        if self.get_argument("deny", None):
            self.redirect(known["redirect_uri"] + "?error=access_denied")
            return
        self.answer(*self.server.create_authorization_response(*self.asked, scopes, known))


class _Token(_Handler):
    def post(self) -> None:
        assert not self.request.query, "the secret is in the body"
        self.answer(*self.server.create_token_response(*self.asked))


class _Resource(_Handler):
    def get(self) -> None:
        valid, _ = self.server.verify_request(*self.asked, scopes=["profile"])
        if valid:
            shown = {n: v[-1].decode() for n, v in self.request.arguments.items()}
            shown.pop("access_token", None)
            by = "header" if "Authorization" in self.request.headers else "query"
            self.write({**USER, "asked": shown, "by": by, "method": self.request.method})
            return
        self.set_status(401)
        token = self.get_argument("access_token", "")
        # As Facebook does, it repeats the token.
        self.write(json.dumps({"error": {"message": f"Malformed token {token}", "type": "OAuth"}}))

    post = get


def provider(store: Store) -> Application:
    each = {"store": store}
    return Application(
        [("/authorize", _Authorize, each), ("/token", _Token, each), ("/me.*", _Resource, each)]
    )
