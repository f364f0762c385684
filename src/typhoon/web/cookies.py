"""Cookies of requests and responses (RFC 6265)."""

import datetime
import http.cookies
import re
from typing import TYPE_CHECKING, Any, overload

from typhoon.escape import native_str
from typhoon.httputil import format_timestamp

if TYPE_CHECKING:
    from typhoon.httputil import HTTPServerRequest

_FORBIDDEN = re.compile(r"[\x00-\x20]")
_FORBIDDEN_IN_ATTRIBUTES = re.compile(r"[\x00-\x1f;\x7f]")


class CookiesMixin:
    """How a handler reads and sets cookies."""

    request: "HTTPServerRequest"

    _new_cookies: "http.cookies.SimpleCookie | None" = None

    @property
    def cookies(self) -> "dict[str, http.cookies.Morsel[Any]]":
        """The cookies that came with the request: names to `http.cookies.Morsel`."""
        cookies: dict[str, http.cookies.Morsel[Any]] = self.request.cookies
        return cookies

    @overload
    def get_cookie(self, name: str, default: str) -> str: ...
    @overload
    def get_cookie(self, name: str, default: None = None) -> str | None: ...

    def get_cookie(self, name: str, default: str | None = None) -> str | None:
        """The value of a cookie that came with the request, or `default`."""
        morsel = self.request.cookies.get(name)
        return morsel.value if morsel is not None else default

    def set_cookie(
        self,
        name: str,
        value: str | bytes,
        domain: str | None = None,
        expires: float | tuple[int, ...] | datetime.datetime | None = None,
        path: str = "/",
        expires_days: float | None = None,
        *,
        max_age: int | None = None,
        httponly: bool = False,
        secure: bool = False,
        samesite: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Set a cookie with the response; `get_cookie` sees it from the next request on.

        `expires` is a point in time (see `format_timestamp`), `expires_days` a number of days from
        now, `max_age` a number of seconds; without any of them the browser keeps the cookie until
        it is closed. Other keywords are attributes that `http.cookies` knows.

        `ValueError` for characters that could break out of the header.
        """
        name, value = native_str(name), native_str(value)
        if _FORBIDDEN.search(name + value):
            raise ValueError(f"Invalid cookie {name!r}: {value!r}")
        for attribute in (domain, path, samesite):
            if attribute is not None and _FORBIDDEN_IN_ATTRIBUTES.search(attribute):
                raise ValueError(f"Invalid attribute of cookie {name!r}: {attribute!r}")
        if self._new_cookies is None:
            self._new_cookies = http.cookies.SimpleCookie()
        # The last one wins, and comes last.
        self._new_cookies.pop(name, None)
        try:
            self._new_cookies[name] = value
        except http.cookies.CookieError as error:
            raise ValueError(f"Invalid cookie {name!r}: {error}") from error
        morsel = self._new_cookies[name]
        if domain:
            morsel["domain"] = domain
        if expires_days is not None and expires is None:
            now = datetime.datetime.now(datetime.UTC)
            expires = now + datetime.timedelta(days=expires_days)
        if expires is not None:
            morsel["expires"] = format_timestamp(expires)
        if path:
            morsel["path"] = path
        if max_age is not None:
            morsel["max-age"] = str(max_age)
        if httponly:
            morsel["httponly"] = True
        if secure:
            morsel["secure"] = True
        if samesite:
            morsel["samesite"] = samesite
        for key, attribute in kwargs.items():
            key = key.replace("_", "-")
            if attribute or key not in ("httponly", "secure"):
                morsel[key] = attribute

    def clear_cookie(self, name: str, **kwargs: Any) -> None:
        """Delete a cookie in the browser.

        `domain` and `path` have to be those that it was set with; the other keywords are those of
        `set_cookie`, but for `expires` and `max_age`.
        """
        for given in ("expires", "max_age"):
            if given in kwargs:
                raise TypeError(f"clear_cookie() got an unexpected keyword argument {given!r}")
        expires = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=365)
        self.set_cookie(name, value="", expires=expires, **kwargs)

    def clear_all_cookies(self, **kwargs: Any) -> None:
        """Delete every cookie that came with the request. Keywords as for `clear_cookie`."""
        for name in self.request.cookies:
            self.clear_cookie(name, **kwargs)
