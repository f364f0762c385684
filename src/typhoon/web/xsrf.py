"""Protection against requests that other sites make in a user's name (XSRF, or CSRF).

The cookie `_xsrf` holds a random token that other sites cannot read, and a request that changes
something has to bring it along. A token is written in one of two ways: version 1 is its hexadecimal
digits; version 2 is `2|mask|masked|time`, where the token is combined by exclusive or with a mask
that is new for each response, so that what compression tells about a page does not tell the token
(BREACH). Both are the same token, and Tornado's are the same.
"""

import binascii
import hmac
import itertools
import operator
import re
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from typhoon.escape import utf8, xhtml_escape
from typhoon.web.errors import HTTPError, refuse_coroutine
from typhoon.web.origins import check_origin

if TYPE_CHECKING:
    from typhoon.httputil import HTTPServerRequest

_VERSION = re.compile(rb"([1-9][0-9]?)\|")
_MASKED = re.compile(rb"2\|([0-9A-Fa-f]{8})\|((?:[0-9A-Fa-f]{2})+)\|([0-9]{1,18})")

LONGEST = 1024
"""Bytes of a token above which it is none: ours have 60."""


class XSRFToken(bytes):
    """A token as it is written for one response.

    It equals every other way to write the same token, str or bytes, and the comparison takes the
    same time whatever they are: `if self.xsrf_token != token` is right. As text (`str`, `%s`,
    f-strings) it is its characters.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, str | bytes):
            return NotImplemented
        ours, theirs = _decode(self), _decode(utf8(other))
        if ours is None or theirs is None:
            return False
        return hmac.compare_digest(ours.value, theirs.value)

    def __ne__(self, other: object) -> bool:
        return not self == other

    # Of the text: tokens are no keys of a dict.
    __hash__ = bytes.__hash__

    def __str__(self) -> str:
        return self.decode()

    def __format__(self, format_spec: str) -> str:
        return format(self.decode(), format_spec)


class _Token(NamedTuple):
    """A token as such, and when it was made (seconds since the epoch)."""

    value: bytes
    made: int
    is_new: bool = False


def _encode(token: _Token, version: int) -> bytes:
    """Write the token in one of its ways."""
    if version == 1:
        return token.value.hex().encode()
    mask = secrets.token_bytes(4)
    masked = _exclusive_or(token.value, mask)
    return f"2|{mask.hex()}|{masked.hex()}|{token.made}".encode()


def _decode(text: bytes) -> _Token | None:
    """The token that this text stands for; None if it is not written as one."""
    if not 0 < len(text) <= LONGEST:
        return None
    if _VERSION.match(text):
        match = _MASKED.fullmatch(text)
        if match is None:
            return None
        mask, masked = bytes.fromhex(match[1].decode()), bytes.fromhex(match[2].decode())
        return _Token(_exclusive_or(masked, mask), int(match[3]))
    try:
        return _Token(binascii.unhexlify(text), int(time.time()))
    except ValueError:
        # Made by somebody else, such as a script that set the cookie: that protects as well.
        return _Token(text, int(time.time()))


def _exclusive_or(data: bytes, mask: bytes) -> bytes:
    return bytes(map(operator.xor, data, itertools.cycle(mask)))


class XSRFMixin:
    """How a handler tells the requests of its own pages from forged ones."""

    application: Any
    request: "HTTPServerRequest"
    _xsrf_secret: _Token | None = None

    if TYPE_CHECKING:
        current_user: Any
        get_argument: Callable[..., str | None]
        get_cookie: Callable[..., str | None]
        set_cookie: Callable[..., None]

    @property
    def xsrf_token(self) -> bytes:
        """The token that this user's requests have to bring along, an `XSRFToken`.

        Reading it sets the cookie if the user has none yet. The text is another one for each
        request (but for the setting `xsrf_cookie_version=1`); all are the same token.

        The settings `xsrf_cookie_name` and `xsrf_cookie_kwargs` (keywords of `set_cookie`) say how
        the cookie is set; a user who is signed in keeps it for 30 days.
        """
        if not hasattr(self, "_xsrf_token"):
            token = self._get_xsrf_secret()
            settings = self.application.settings
            self._xsrf_token: bytes = XSRFToken(
                _encode(token, settings.get("xsrf_cookie_version") or 2)
            )
            if token.is_new:
                keywords = dict(settings.get("xsrf_cookie_kwargs") or {})
                if "expires_days" not in keywords and self.current_user:
                    keywords["expires_days"] = 30
                self.set_cookie(self._xsrf_cookie_name, self._xsrf_token, **keywords)
        return self._xsrf_token

    def xsrf_form_html(self) -> str:
        """The hidden field that each form which is sent by POST has to hold, as HTML.

        <form action="/new_message" method="post">{% module xsrf_form_html() %}…</form>
        """
        return f'<input type="hidden" name="_xsrf" value="{xhtml_escape(self.xsrf_token)}"/>'

    def check_xsrf_cookie(self) -> None:
        """`HTTPError` 403 unless the request brings along the token that is in its cookie.

        As the argument `_xsrf`, or in the header `X-XSRFToken` or `X-CSRFToken`. With the setting
        `xsrf_cookies` this is called before `prepare` for all methods but GET, HEAD and OPTIONS.

        Override to check otherwise, or to do nothing where no cookie says who makes the request.
        """
        headers = self.request.headers
        text = (
            self.get_argument("_xsrf", None)
            or headers.get("X-Xsrftoken")
            or headers.get("X-Csrftoken")
        )
        if not text:
            raise HTTPError(403, "'_xsrf' argument missing from POST")
        theirs = _decode(utf8(text))
        if theirs is None:
            raise HTTPError(403, "'_xsrf' argument has invalid format")
        if not hmac.compare_digest(theirs.value, self._get_xsrf_secret().value):
            raise HTTPError(403, "XSRF cookie does not match POST argument")

    def check_trusted_origin(self, origin: str) -> bool:
        """Whether pages of another origin may make requests that change something.

        By default, if it is one of the setting `trusted_origins`. Asked before `prepare`, with the
        setting `cross_origin_protection`. Override for what a list cannot say:

            def check_trusted_origin(self, origin):
                return origin.startswith("https://") and origin.endswith(".example.com")
        """
        return origin in (self.application.settings.get("trusted_origins") or ())

    def _check_source(self) -> None:
        """Called for each request that may change something, if the settings want a check."""
        settings = self.application.settings
        if settings.get("cross_origin_protection"):
            check_origin(self.request, self.check_trusted_origin)
        if settings.get("xsrf_cookies"):
            # An override may be anything, and one that is not awaited would let everything pass.
            checked: object = self.check_xsrf_cookie()  # type: ignore[func-returns-value]
            refuse_coroutine(
                checked,
                f"{type(self).__name__}.check_xsrf_cookie() has to be awaited:"
                " make it a plain method, or check in an async prepare() instead",
            )

    @property
    def _xsrf_cookie_name(self) -> str:
        name: str = self.application.settings.get("xsrf_cookie_name") or "_xsrf"
        return name

    def _get_xsrf_secret(self) -> _Token:
        """The token of this user, a new one if there is no cookie that holds one."""
        if self._xsrf_secret is None:
            cookie = self.get_cookie(self._xsrf_cookie_name)
            token = _decode(utf8(cookie)) if cookie else None
            if token is None:
                token = _Token(secrets.token_bytes(16), int(time.time()), is_new=True)
            self._xsrf_secret = token
        return self._xsrf_secret
