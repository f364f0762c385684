"""The header Set-Cookie: what a browser would silently drop does not get into it.

RFC 6265 and its successor, draft-ietf-httpbis-rfc6265bis, whose sections are meant below.
"""

import http.cookies
import re
from collections.abc import Mapping
from typing import Any

# Every version of Python writes values as this does: in quotes, with escapes, where it is needed.
_quoted = http.cookies.SimpleCookie().value_encode
# And none reads cookies of these names.
_is_reserved = http.cookies.Morsel[Any]().isReservedKey

_NAME = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z:]+")
_FORBIDDEN_IN_VALUES = re.compile(r"[\x00-\x20]")
_FORBIDDEN_IN_ATTRIBUTES = re.compile(r"[\x00-\x1f;\x7f]")

MAX_PAIR = 4096
"""Bytes of name and value together above which browsers ignore a cookie (§5.6)."""

MAX_ATTRIBUTE = 1024
"""Bytes above which browsers ignore an attribute (§5.6)."""

# In the order in which they are sent.
_ATTRIBUTES = {
    "comment": "Comment",
    "domain": "Domain",
    "expires": "expires",
    "httponly": "HttpOnly",
    "max-age": "Max-Age",
    "partitioned": "Partitioned",
    "path": "Path",
    "samesite": "SameSite",
    "secure": "Secure",
    "version": "Version",
}
_FLAGS = ("httponly", "partitioned", "secure")

# Browsers accept cookies of these names only with these attributes (§4.1.3); case is no matter.
_PREFIXES = {
    "__host-http-": ("secure", "httponly", "path", "domain"),
    "__http-": ("secure", "httponly"),
    "__host-": ("secure", "path", "domain"),
    "__secure-": ("secure",),
}


class InvalidCookieError(http.cookies.CookieError, ValueError):
    """A cookie that cannot be sent, or that a browser would not keep."""


def set_cookie_header(name: str, value: str, attributes: Mapping[str, Any]) -> str:
    """The header's value. What is None, empty or a false flag is left out.

    `InvalidCookieError`, a `ValueError`, says what to write instead.
    """
    if not _NAME.fullmatch(name):
        raise InvalidCookieError(f"Invalid cookie attribute name: {name!r} is no token")
    if _is_reserved(name):
        raise InvalidCookieError(f"Invalid cookie attribute name: {name!r} is that of an attribute")
    if _FORBIDDEN_IN_VALUES.search(value):
        raise InvalidCookieError(
            f"Invalid cookie {name!r}: its value has spaces or control characters; encode them"
        )
    _, value = _quoted(value)
    if len(name) + len(value) > MAX_PAIR:
        raise InvalidCookieError(
            f"Cookie {name!r} would have {len(name) + len(value)} bytes; browsers ignore cookies"
            f" of more than {MAX_PAIR}. Keep the data on the server, and its key in the cookie"
        )
    header = f"{name}={value}"
    for key, written in _ATTRIBUTES.items():
        attribute = attributes.get(key)
        if key in _FLAGS:
            if attribute:
                header += f"; {written}"
        elif attribute is not None and attribute != "":
            header += f"; {written}={_checked(name, key, str(attribute))}"
    _check_promises(name, attributes)
    return header


def prefix_of(name: str) -> tuple[str, ...]:
    """The attributes that a cookie of this name depends on."""
    if name.startswith("__"):
        lowered = name.lower()
        for prefix, attributes in _PREFIXES.items():
            if lowered.startswith(prefix):
                return attributes
    return ()


def check_attribute_name(key: str) -> None:
    """`InvalidCookieError` if there is no such attribute."""
    if key not in _ATTRIBUTES:
        known = ", ".join(key.replace("-", "_") for key in _ATTRIBUTES)
        raise InvalidCookieError(f"Invalid cookie attribute {key!r}: there are only {known}")


def check_attribute(label: str, attribute: str) -> None:
    """`InvalidCookieError` for an attribute that could break out of the header."""
    if _FORBIDDEN_IN_ATTRIBUTES.search(attribute):
        raise InvalidCookieError(
            f"Invalid cookie attribute {label}: {attribute!r} has control characters or semicolons"
        )


def _checked(name: str, key: str, attribute: str) -> str:
    check_attribute(key, attribute)
    if len(attribute) > MAX_ATTRIBUTE:
        raise InvalidCookieError(
            f"Invalid cookie attribute {key} of {name!r}: browsers ignore attributes of more than"
            f" {MAX_ATTRIBUTE} bytes"
        )
    if not attribute.isascii():
        raise InvalidCookieError(
            f"Invalid cookie attribute {key}: {attribute!r} is not ASCII;"
            " write a domain in its IDNA form, and a path with percent escapes"
        )
    if key == "samesite" and attribute.lower() not in ("strict", "lax", "none"):
        raise InvalidCookieError(
            f"Invalid cookie attribute samesite: {attribute!r} is not 'Strict', 'Lax' or 'None'"
        )
    return attribute


def _check_promises(name: str, attributes: Mapping[str, Any]) -> None:
    """What browsers demand of attributes together (§5.7)."""
    samesite = attributes.get("samesite")
    secure = attributes.get("secure")
    if samesite and samesite.lower() == "none" and not secure:
        raise InvalidCookieError(
            f"Cookie {name!r}: browsers ignore cookies with SameSite=None that are not Secure;"
            " add secure=True"
        )
    if attributes.get("partitioned") and not secure:
        raise InvalidCookieError(
            f"Cookie {name!r}: browsers ignore partitioned cookies that are not Secure;"
            " add secure=True"
        )
    for needed in prefix_of(name):
        match needed:
            case "path" if attributes.get("path") != "/":
                raise InvalidCookieError(f"Cookie {name!r}: its prefix demands path='/'")
            case "domain" if attributes.get("domain"):
                raise InvalidCookieError(f"Cookie {name!r}: its prefix forbids a domain")
            case "secure" | "httponly" if not attributes.get(needed):
                raise InvalidCookieError(
                    f"Cookie {name!r}: its prefix demands {needed}=True; else browsers ignore it"
                )
