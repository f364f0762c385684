"""Cookies of requests and responses (RFC 6265): plain, signed and encrypted."""

import datetime
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, overload

from typhoon.escape import native_str
from typhoon.httputil import format_timestamp
from typhoon.web.cookies.setcookie import (
    MAX_PAIR,
    check_attribute,
    check_attribute_name,
    prefix_of,
    set_cookie_header,
)
from typhoon.web.cookies.signing import (
    DAY,
    Secret,
    create_signed_value,
    decode_signed_value,
    get_signature_key_version,
)

if TYPE_CHECKING:
    import http.cookies

    from typhoon.httputil import HTTPServerRequest


class CookiesMixin:
    """How a handler reads and sets cookies.

    A plain cookie is what anybody may read and change. A signed one can be read by the user, and
    changed by nobody; an encrypted one can be neither read nor changed. Both of these need the
    setting `cookie_secret`: a long random text, as `secrets.token_hex(32)` gives one, that all
    processes of the application share. To change it one day without losing anybody's cookies, make
    it a dict of secrets by numbers, and set `key_version` to the number of that for new cookies.
    """

    application: Any
    request: "HTTPServerRequest"

    if TYPE_CHECKING:
        require_setting: Callable[..., None]

    # Names to values of the header Set-Cookie.
    _new_cookies: "dict[str, str] | None" = None

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
        it is closed. `httponly` hides it from scripts, `secure` keeps it to HTTPS, `samesite`
        ("Strict", "Lax" or "None") says whether requests that other sites cause carry it. Other
        keywords are further attributes: `partitioned=True` gives an embedded page its own cookies
        on each site that embeds it.

            self.set_cookie("__Host-theme", "dark", secure=True, samesite="Lax", max_age=86400)

        `ValueError` for what would break out of the header, and for what browsers ignore without
        saying so: more than 4096 bytes, `samesite="None"` or `partitioned` without `secure`, and
        names that begin with `__Secure-`, `__Host-`, `__Http-` or `__Host-Http-` without the
        attributes that these demand.
        """
        attributes = {
            "domain": domain,
            "path": path,
            "httponly": httponly,
            "secure": secure,
            "samesite": samesite,
        }
        if max_age is not None:
            attributes["max-age"] = str(int(max_age))
        if kwargs:
            self._add_attributes(attributes, kwargs)
        if expires is not None:
            attributes["expires"] = format_timestamp(expires)
        elif expires_days is not None and not attributes.get("expires"):
            attributes["expires"] = format_timestamp(time.time() + expires_days * DAY)
        name = native_str(name)
        header = set_cookie_header(name, native_str(value), attributes)
        if self._new_cookies is None:
            self._new_cookies = {}
        # The last one wins, and comes last.
        self._new_cookies.pop(name, None)
        self._new_cookies[name] = header

    @staticmethod
    def _add_attributes(attributes: dict[str, Any], given: dict[str, Any]) -> None:
        for key, attribute in given.items():
            if isinstance(attribute, str):
                check_attribute(key, attribute)
            if not key.islower():
                from typhoon.legacy.cookie_attributes import lowercase

                key = lowercase(key)
            key = key.replace("_", "-")
            check_attribute_name(key)
            attributes[key] = attribute

    def clear_cookie(self, name: str, **kwargs: Any) -> None:
        """Delete a cookie in the browser.

        `domain` and `path` have to be those that it was set with; the other keywords are those of
        `set_cookie`, but for `expires` and `max_age`.
        """
        for given in ("expires", "max_age"):
            if given in kwargs:
                raise TypeError(f"clear_cookie() got an unexpected keyword argument {given!r}")
        for needed in prefix_of(name):
            if needed in ("secure", "httponly"):
                kwargs.setdefault(needed, True)
        self.set_cookie(name, value="", expires=time.time() - 365 * DAY, **kwargs)

    def clear_all_cookies(self, **kwargs: Any) -> None:
        """Delete every cookie that came with the request. Keywords as for `clear_cookie`.

        Cookies that another domain or path than these has set stay: the request does not say which.
        """
        for name in self.request.cookies:
            if len(name) > MAX_PAIR:
                continue  # no browser keeps such a one
            bound = prefix_of(name)
            fitting = {key: value for key, value in kwargs.items() if key not in bound}
            self.clear_cookie(name, **fitting)

    # Signed cookies.

    def _cookie_secret(self, feature: str) -> Secret:
        self.require_setting("cookie_secret", feature)
        secret: Secret = self.application.settings["cookie_secret"]
        return secret

    def set_signed_cookie(
        self,
        name: str,
        value: str | bytes,
        expires_days: float | None = 30,
        version: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Set a cookie that cannot be forged; `get_signed_cookie` reads it.

        Its user can read it: see `set_encrypted_cookie`. `expires_days` is how long the browser
        keeps it (None: until it is closed), which `max_age_days` of `get_signed_cookie` has to
        match. `version` is the format of `create_signed_value`; other keywords as for `set_cookie`.

        Requires the setting `cookie_secret`.
        """
        signed = self.create_signed_value(name, value, version=version)
        self.set_cookie(name, signed, expires_days=expires_days, **kwargs)

    def create_signed_value(
        self, name: str, value: str | bytes, version: int | None = None
    ) -> bytes:
        """Sign a value as `set_signed_cookie` does, for other uses than cookies.

        `get_signed_cookie` takes it as `value`. Requires the setting `cookie_secret`.
        """
        return create_signed_value(
            self._cookie_secret("signed cookies"),
            name,
            value,
            version=version,
            key_version=self.application.settings.get("key_version"),
        )

    def get_signed_cookie(
        self,
        name: str,
        value: str | None = None,
        max_age_days: float = 31,
        min_version: int | None = None,
    ) -> bytes | None:
        """The value of a signed cookie, or of `value`, which is signed for this name.

        None if there is none, if it is not ours, or if it was signed more than `max_age_days` ago
        or in a format before `min_version`.

        Requires the setting `cookie_secret`.
        """
        secret = self._cookie_secret("signed cookies")
        if value is None:
            value = self.get_cookie(name)
        return decode_signed_value(
            secret, name, value, max_age_days=max_age_days, min_version=min_version
        )

    def get_signed_cookie_key_version(self, name: str, value: str | None = None) -> int | None:
        """The version of the key that a signed cookie names; this is not checked.

        None if there is no cookie, or no version in it.
        """
        self._cookie_secret("signed cookies")
        if value is None:
            value = self.get_cookie(name)
        return get_signature_key_version(value) if value is not None else None

    # Their names until Tornado 6.3.
    set_secure_cookie = set_signed_cookie
    get_secure_cookie = get_signed_cookie
    get_secure_cookie_key_version = get_signed_cookie_key_version

    # Encrypted cookies.

    def set_encrypted_cookie(
        self, name: str, value: str | bytes, expires_days: float | None = 30, **kwargs: Any
    ) -> None:
        """Set a cookie that nobody else can read, change, or use under another name.

        Keywords as for `set_signed_cookie`. Requires the setting `cookie_secret`, and the package
        cryptography: `pip install 'typhoon[crypto]'`.
        """
        from typhoon.web.cookies.encryption import create_encrypted_value

        secret = self._cookie_secret("encrypted cookies")
        key_version = self.application.settings.get("key_version")
        encrypted = create_encrypted_value(secret, name, value, key_version=key_version)
        self.set_cookie(name, encrypted, expires_days=expires_days, **kwargs)

    def get_encrypted_cookie(
        self, name: str, value: str | None = None, max_age_days: float = 31
    ) -> bytes | None:
        """The value of an encrypted cookie, or of `value`, which is encrypted for this name.

        None if there is none, if it is not ours, or if it is older than `max_age_days`.
        """
        from typhoon.web.cookies.encryption import decode_encrypted_value

        secret = self._cookie_secret("encrypted cookies")
        if value is None:
            value = self.get_cookie(name)
        return decode_encrypted_value(secret, name, value, max_age_days=max_age_days)
