"""A site that people sign in to with `oidc_provider`, and a browser without a window."""

from __future__ import annotations

import http.cookies
from urllib.parse import parse_qsl, urlencode, urlsplit

from oidc_provider import Provider
from support import Response, Server
from typhoon.auth import AuthError, OpenIDConnectMixin
from typhoon.web import RequestHandler


class Login(RequestHandler, OpenIDConnectMixin):
    async def get(self) -> None:
        try:
            if self.get_argument("state", None):
                user = await self.get_authenticated_user(self.get_argument("only", None))
                tokens = user.tokens
                assert tokens.id_token is not None
                self.write(
                    {
                        "user": user,
                        "provider": user.provider,
                        "next": user.next_url,
                        "tokens": [tokens.access_token, tokens.refresh_token, tokens.scope],
                        "shown": repr(tokens),
                    }
                )
            else:
                options = self.settings["authorize_options"]
                await self.authorize_redirect(self.get_argument("provider", None), **options)
        except AuthError as error:
            self.set_status(getattr(error, "status_code", 500))
            # By the name that applications know.
            name = type(error).__name__.replace("AnsweredProvider", "AuthProvider")
            self.write({"error": name, "message": str(error)})


class Browser:
    """Keeps cookies for one site, and does what redirects say where a test lets it."""

    def __init__(self, site: Server, provider: Provider) -> None:
        self.site = site
        self.provider = provider
        self.cookies: dict[str, str] = {}

    def get(self, target: str, headers: dict[str, str] | None = None) -> Response:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        fields = {"Host": f"localhost:{self.site.port}", **(headers or {})}
        answer = self.site.get(target, fields | ({"Cookie": cookies} if cookies else {}))
        for line in answer.header_list("Set-Cookie"):
            for name, morsel in http.cookies.SimpleCookie(line).items():
                if morsel.value:
                    self.cookies[name] = morsel.value
                else:
                    self.cookies.pop(name, None)
        return answer

    def begin(
        self, target: str = "/login", headers: dict[str, str] | None = None
    ) -> dict[str, str]:
        """Go to the provider: what it is asked."""
        answer = self.get(target)
        assert answer.status == 303, answer.text
        return dict(parse_qsl(urlsplit(answer.header("Location")).query))

    def target(self, asked: dict[str, str], **changes: str | None) -> str:
        """Where the provider sends the user back to, who has agreed."""
        answer: dict[str, str | None] = {
            "code": self.provider.authorize(asked),
            "state": asked["state"],
            "iss": self.provider.issuer,
        }
        answer |= changes
        path = urlsplit(asked["redirect_uri"]).path
        return path + "?" + urlencode({n: v for n, v in answer.items() if v is not None})

    def come_back(self, asked: dict[str, str], **changes: str | None) -> Response:
        return self.get(self.target(asked, **changes))

    def sign_in(self, target: str = "/login", **changes: str | None) -> Response:
        return self.come_back(self.begin(target), **changes)
