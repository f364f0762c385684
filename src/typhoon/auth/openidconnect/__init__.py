"""OpenID Connect: sign-in at Google, Microsoft, Keycloak, Authentik, GitLab and others."""

from typhoon.auth.openidconnect.errors import AuthConfigurationError, AuthTokenError
from typhoon.auth.openidconnect.logout import LogoutToken
from typhoon.auth.openidconnect.mixin import OpenIDConnectMixin, OpenIDUser
from typhoon.auth.openidconnect.provider import OpenIDProvider
from typhoon.auth.openidconnect.tokens import OpenIDTokens

__all__ = [
    "AuthConfigurationError",
    "AuthTokenError",
    "LogoutToken",
    "OpenIDConnectMixin",
    "OpenIDProvider",
    "OpenIDTokens",
    "OpenIDUser",
]
