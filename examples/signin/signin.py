"""Sign in with an account that you have elsewhere, by OpenID Connect.

python examples/signin/signin.py --issuer=https://accounts.google.com --client-id=…

The other settings are in the environment: OIDC_CLIENT_SECRET and, so that restarts sign nobody out,
COOKIE_SECRET. Register http://localhost:8888/login at the provider as redirect URI, and
http://localhost:8888/ as post-logout redirect URI.

No account with a provider at hand? ``python tests/identity_provider.py`` runs one on this machine,
and says how to start the example for it. It needs Canaille: pip install 'canaille[oidc]'.
"""

import argparse
import asyncio
import json
import os
import secrets
import signal
from pathlib import Path
from typing import Any

from typhoon.auth import (
    AuthDeniedError,
    AuthError,
    AuthStateError,
    OpenIDConnectMixin,
    OpenIDProvider,
)
from typhoon.web import Application, RequestHandler, authenticated

HERE = Path(__file__).resolve().parent
SESSION = "signin_session"
TOKEN_MAX = 1500  # characters of an ID token that fit into a cookie beside the rest


class BaseHandler(RequestHandler):
    def get_current_user(self) -> dict[str, Any] | None:
        """The user, as `LoginHandler` has put him into the cookie."""
        cookie = self.get_encrypted_cookie(SESSION, max_age_days=1)
        return json.loads(cookie) if cookie else None

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        match kwargs.get("exc_info", (None, None, None))[1]:
            case AuthDeniedError():
                self.render("page.html", problem="You have not signed in.")
            case AuthStateError():
                self.render("page.html", problem="That is too old. Please sign in again.")
            case AuthError():
                self.render("page.html", problem="Signing in does not work. Please try later.")
            case _:
                super().write_error(status_code, **kwargs)


class HomeHandler(BaseHandler):
    def get(self) -> None:
        self.render("page.html", problem=None)


class LoginHandler(BaseHandler, OpenIDConnectMixin):
    async def get(self) -> None:
        if self.get_argument("state", None):  # back from the provider
            user = await self.get_authenticated_user()
            self.keep_user(user, user.tokens.id_token or "")
            self.redirect(user.next_url)
        else:
            await self.authorize_redirect()

    def keep_user(self, user: dict[str, Any], id_token: str) -> None:
        kept = {
            "id": [user["iss"], user["sub"]],
            "name": user.get("name") or user.get("preferred_username") or user["sub"],
            "email": user.get("email"),
            "id_token": id_token if len(id_token) <= TOKEN_MAX else None,
        }
        secure = self.request.protocol == "https"
        self.set_encrypted_cookie(
            SESSION, json.dumps(kept), 1, httponly=True, secure=secure, samesite="Lax"
        )


class LogoutHandler(BaseHandler, OpenIDConnectMixin):
    @authenticated
    async def post(self) -> None:
        self.clear_cookie(SESSION)
        await self.logout_redirect(self.current_user["id_token"])


def make_app(provider: OpenIDProvider, cookie_secret: str) -> Application:
    return Application(
        [(r"/", HomeHandler), (r"/login", LoginHandler), (r"/logout", LogoutHandler)],
        openid_connect=provider,
        cookie_secret=cookie_secret,
        login_url="/login",
        cross_origin_protection=True,
        template_path=str(HERE / "templates"),
        static_path=str(HERE.parent / "feed" / "static"),
    )


async def main() -> None:
    parser = argparse.ArgumentParser(description="Sign-in by OpenID Connect, on Typhoon.")
    parser.add_argument("--issuer", required=True, help="the provider's URL")
    parser.add_argument("--client-id", required=True, help="what it calls this application")
    parser.add_argument("--port", type=int, default=8888, help="TCP port (default: 8888)")
    options = parser.parse_args()

    try:
        provider = OpenIDProvider(
            issuer=options.issuer,
            client_id=options.client_id,
            client_secret=os.environ.get("OIDC_CLIENT_SECRET"),
        )
    except ValueError as error:
        parser.error(str(error))
    app = make_app(provider, os.environ.get("COOKIE_SECRET") or secrets.token_urlsafe(32))
    server = app.listen(options.port)
    print(f"Sign in on http://localhost:{options.port}", flush=True)
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await stopped.wait()
    server.stop()
    await server.close_all_connections()


if __name__ == "__main__":
    asyncio.run(main())
