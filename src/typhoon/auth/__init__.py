"""Sign-in with the account that a user has elsewhere.

A mixin for each protocol gives a handler the methods to send the user to the other site, and to
learn who it was when the user comes back:

    class LoginHandler(RequestHandler, OpenIdMixin):
        _OPENID_ENDPOINT = "https://id.example.com/openid"

        async def get(self):
            if self.get_argument("openid.mode", None):
                user = await self.get_authenticated_user()
                self.set_signed_cookie("user", user["claimed_id"])
                self.redirect("/")
            else:
                self.authenticate_redirect()
"""

from typing import TYPE_CHECKING

from typhoon.auth.errors import AuthError
from typhoon.auth.openid import OpenIdMixin
from typhoon.auth.openidconnect import (
    AuthConfigurationError,
    AuthDeniedError,
    AuthProviderError,
    AuthStateError,
    AuthTokenError,
    LogoutToken,
    OpenIDConnectMixin,
    OpenIDProvider,
    OpenIDTokens,
    OpenIDUser,
)

__all__ = [
    "AuthConfigurationError",
    "AuthDeniedError",
    "AuthError",
    "AuthProviderError",
    "AuthStateError",
    "AuthTokenError",
    "LogoutToken",
    "OpenIDConnectMixin",
    "OpenIDProvider",
    "OpenIDTokens",
    "OpenIDUser",
    "OpenIdMixin",
]

if TYPE_CHECKING:
    from typhoon.legacy.google_openid import GoogleMixin as GoogleMixin
else:

    def __getattr__(name: str) -> object:
        # Only programs that name it have to read it.
        if name == "GoogleMixin":
            from typhoon.legacy.google_openid import GoogleMixin

            return GoogleMixin
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
