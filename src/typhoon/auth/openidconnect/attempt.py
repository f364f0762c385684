"""One try to sign in, which its browser keeps while the user is at the provider.

Each is an encrypted cookie of its own, so that several tabs do not disturb each other. The browser
that comes back with a `state` has to have the cookie of that state.
"""

import base64
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from typhoon.auth.errors import AuthStateError

if TYPE_CHECKING:
    import http.cookies

SECONDS = 600
"""How long a user may take at the provider."""

MOST = 8
"""Of a browser at one time: the oldest makes room, or the cookies would outgrow a request."""

_STATE = re.compile(r"[-_0-9A-Za-z]{43}")
_DAY = 24 * 3600
_TRY_AGAIN = "it is too old, was used before, or begun in another browser; sign in again"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What has to fit the answer."""

    provider: str | None
    """The name in the settings, if they have several."""
    redirect_uri: str
    next_url: str
    max_age: int | None = None
    state: str = field(default_factory=secrets.token_urlsafe, repr=False)
    nonce: str = field(default_factory=secrets.token_urlsafe, repr=False)
    verifier: str = field(default_factory=secrets.token_urlsafe, repr=False)

    @property
    def challenge(self) -> str:
        """What the provider knows of the verifier: RFC 7636 §4.2, S256."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class AttemptCookies:
    """How a handler keeps attempts in the browser."""

    if TYPE_CHECKING:
        cookies: dict[str, http.cookies.Morsel[Any]]
        clear_cookie: Callable[..., None]
        get_encrypted_cookie: Callable[..., bytes | None]
        set_encrypted_cookie: Callable[..., None]

    def _keep_attempt(self, attempt: Attempt) -> None:
        secure = attempt.redirect_uri.startswith("https:")
        prefix = _prefix(secure)
        kept = [name for name in self.cookies if name.startswith(prefix)]
        if len(kept) >= MOST:
            kept.sort(key=lambda name: _time(self.cookies[name].value))
            for name in kept[: len(kept) - MOST + 1]:
                self.clear_cookie(name, secure=secure, httponly=True, samesite="Lax")
        self.set_encrypted_cookie(
            prefix + attempt.state[:8],
            json.dumps(asdict(attempt)),
            expires_days=None,
            max_age=SECONDS,
            httponly=True,
            secure=secure,
            samesite="Lax",  # the user comes back from another site
        )

    def _take_attempt(self, state: str | None) -> Attempt:
        """The attempt of this state, which is over then. `AuthStateError` if there is none."""
        if state is None or not _STATE.fullmatch(state):
            raise AuthStateError("This is no answer to a sign-in: it has no state; sign in again")
        for secure in (True, False):
            name = _prefix(secure) + state[:8]
            if name in self.cookies:
                break
        else:
            raise AuthStateError(f"This browser does not know this sign-in: {_TRY_AGAIN}")
        self.clear_cookie(name, secure=secure, httponly=True, samesite="Lax")
        kept = self.get_encrypted_cookie(name, max_age_days=SECONDS / _DAY)
        if kept is None:
            raise AuthStateError(f"What this browser knows of this sign-in is void: {_TRY_AGAIN}")
        attempt = Attempt(**json.loads(kept))
        if not hmac.compare_digest(attempt.state, state):
            raise AuthStateError(f"This browser knows another sign-in than this: {_TRY_AGAIN}")
        return attempt


def _prefix(secure: bool) -> str:
    # Other hosts of the same domain cannot set the former (RFC 6265bis §4.1.3.2).
    return "__Host-openid-" if secure else "openid-"


def _time(value: str) -> int:
    """When an encrypted value was made, as it says; those that say nothing are the oldest."""
    digits = value.split(".", 3)[2:3]
    return int(digits[0]) if digits and digits[0].isdecimal() and len(digits[0]) < 19 else 0
