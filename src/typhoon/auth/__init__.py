"""Sign-in with the account that a user has elsewhere.

A mixin for each protocol gives a handler the methods to send the user to the other site, and to
learn who it was when the user comes back:

    class LoginHandler(RequestHandler, GoogleOAuth2Mixin):
        _OAUTH_STATE = True

        async def get(self):
            here = "https://www.example.com/login"
            if self.get_argument("code", None):
                access = await self.get_authenticated_user(here, self.get_argument("code"))
                ...
            else:
                self.authorize_redirect(
                    here, self.get_google_oauth_settings()["key"], scope=["profile", "email"]
                )

======================= ===================================================================
`OpenIDConnectMixin`    OpenID Connect: the best choice where the other site has it
`OAuth2Mixin`           OAuth 2.0; `GoogleOAuth2Mixin` and `FacebookGraphMixin` build on it
`OAuthMixin`            OAuth 1.0 and 1.0a; `TwitterMixin` builds on it
`OpenIdMixin`           OpenID 2.0, for providers that have nothing newer
======================= ===================================================================

Where nobody is signed in, they raise an `AuthError`: `AuthDeniedError` if the user or the other
site says no, `AuthStateError` if this browser did not begin the sign-in, `AuthProviderError` if the
other site does not answer as it should.
"""

from typing import TYPE_CHECKING

from typhoon.auth.errors import AuthDeniedError, AuthError, AuthProviderError, AuthStateError
from typhoon.auth.facebook import FacebookGraphMixin
from typhoon.auth.google import GoogleOAuth2Mixin
from typhoon.auth.oauth1 import OAuthMixin
from typhoon.auth.oauth2 import OAuth2Mixin
from typhoon.auth.openid import OpenIdMixin
from typhoon.auth.openidconnect import (
    AuthConfigurationError,
    AuthTokenError,
    LogoutToken,
    OpenIDConnectMixin,
    OpenIDProvider,
    OpenIDTokens,
    OpenIDUser,
)
from typhoon.auth.twitter import TwitterMixin

__all__ = [
    "AuthConfigurationError",
    "AuthDeniedError",
    "AuthError",
    "AuthProviderError",
    "AuthStateError",
    "AuthTokenError",
    "FacebookGraphMixin",
    "GoogleOAuth2Mixin",
    "LogoutToken",
    "OAuth2Mixin",
    "OAuthMixin",
    "OpenIDConnectMixin",
    "OpenIDProvider",
    "OpenIDTokens",
    "OpenIDUser",
    "OpenIdMixin",
    "TwitterMixin",
]

if TYPE_CHECKING:
    from typhoon.legacy.friendfeed import FriendFeedMixin as FriendFeedMixin
    from typhoon.legacy.google_openid import GoogleMixin as GoogleMixin
else:

    def __getattr__(name: str) -> object:
        # Only programs that name them have to read them.
        if name == "GoogleMixin":
            from typhoon.legacy.google_openid import GoogleMixin

            return GoogleMixin
        if name == "FriendFeedMixin":
            from typhoon.legacy.friendfeed import FriendFeedMixin

            return FriendFeedMixin
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
