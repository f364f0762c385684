"""A provider tells that a user has signed out: OpenID Connect Back-Channel Logout 1.0."""

import time
from typing import NamedTuple

from typhoon.auth.openidconnect.discovery import Metadata
from typhoon.auth.openidconnect.errors import AuthTokenError, quoted
from typhoon.auth.openidconnect.idtoken import verify_token
from typhoon.auth.openidconnect.provider import OpenIDProvider
from typhoon.httpclient import AsyncHTTPClient

_EVENT = "http://schemas.openid.net/event/backchannel-logout"

MAX_AGE = 300.0
"""Seconds for which a token can be used (§2.6): its number, `jti`, need be kept no longer."""


class LogoutToken(NamedTuple):
    """Whose sessions end. One of `sub` and `sid` may be missing."""

    iss: str
    sub: str | None
    """The user."""
    sid: str | None
    """The session: that of the user's claim ``sid``. Without it, all sessions of the user."""
    jti: str | None
    """The number of this message."""


async def verify_logout_token(
    text: str | None, provider: OpenIDProvider, metadata: Metadata, client: AsyncHTTPClient
) -> LogoutToken:
    """What the token says, if it is one of the provider, and for this."""
    if not text:
        raise AuthTokenError("The request has no logout_token: only the provider comes here")
    claims, _ = await verify_token(
        text, provider, metadata, client, require=("iss", "aud", "iat", "events")
    )
    events = claims["events"]
    if not isinstance(events, dict) or not isinstance(events.get(_EVENT), dict):
        raise AuthTokenError("The token is not for a logout: events")
    if "nonce" in claims:  # §2.4: or an ID token could be taken for one
        raise AuthTokenError("The token is for a sign-in, not for a logout: it has a nonce")
    if claims["iat"] + MAX_AGE + provider.leeway < time.time():
        raise AuthTokenError("The token for a logout is too old")
    known = {}
    for name in ("sub", "sid", "jti"):
        value = claims.get(name)
        if value is not None and not isinstance(value, str):
            raise AuthTokenError(f"The {name} of the token for a logout is {quoted(value)}")
        known[name] = value
    if known["sub"] is None and known["sid"] is None:
        raise AuthTokenError("The token for a logout says neither who nor which session")
    return LogoutToken(claims["iss"], **known)
