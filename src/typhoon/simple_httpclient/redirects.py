"""Redirects (RFC 9110 §15.4).

| status | method of the next request | its body |
| --- | --- | --- |
| 301, 302 | GET in place of POST; others stay | none where the method has changed |
| 303 | GET, or HEAD as it was | none |
| 307, 308 | stays | the same; a `body_producer` is called again |

What a redirect to another origin (scheme, host or port) does not take along: Authorization and
Cookie, user names and passwords (also those in the URL), client certificates; Proxy-Authorization,
unless a proxy is set, which it is for. That holds for the rest of the chain, should it lead back.
An `ssl.SSLContext` is used on: give one with a client certificate to requests that are not
redirected elsewhere.

A redirect from https to http is followed, as browsers and curl do; it leads to another origin, so
nothing that is secret goes over it. To see redirects oneself: `follow_redirects=False`.

Without a Location, or with an empty one, the response is the result; also the one that would be
one redirect too many.
"""

import copy
import ssl
from typing import Any, Final
from urllib.parse import quote, urldefrag, urljoin

from typhoon.httpclient.failures import mask_url, shown
from typhoon.httpclient.request import HTTPRequest
from typhoon.httputil import HTTPHeaders
from typhoon.simple_httpclient.errors import HTTPRedirectError
from typhoon.simple_httpclient.target import Target, parse_target

_REDIRECTS: Final = (301, 302, 303, 307, 308)

_CONTENT_HEADERS: Final = (
    "Content-Digest",
    "Content-Encoding",
    "Content-Language",
    "Content-Length",
    "Content-Location",
    "Content-Type",
    "Digest",
    "Last-Modified",
    "Repr-Digest",
    "Transfer-Encoding",
)
"""What says something about a body (RFC 9110 §15.4, 5.)."""

_CREDENTIAL_HEADERS: Final = ("Authorization", "Cookie")

_CERTIFICATE_OPTIONS: Final = ("certfile", "keyfile")
"""In a dictionary of TLS settings: what proves who the client is."""

_PRINTABLE: Final = "".join(map(chr, range(0x20, 0x7F)))


def is_followed(request: HTTPRequest, code: int, headers: HTTPHeaders) -> bool:
    """Whether a response makes the client send another request, and is not seen by anyone."""
    return bool(
        code in _REDIRECTS
        and request.follow_redirects
        and request.max_redirects
        and request.max_redirects > 0
        and headers.get("Location")
    )


def next_request(request: HTTPRequest, code: int, headers: HTTPHeaders) -> HTTPRequest:
    """The request that follows `request` when it is redirected.

    Raises:
        HTTPRedirectError: The client cannot go there; the message names both places.
    """
    old = parse_target(request.url)
    following = copy.copy(request)
    following._original = request._original or request
    following.url, new = _resolve(request.url, headers)
    following.max_redirects = (request.max_redirects or 0) - 1
    following.headers = request.headers.copy()
    _drop(following.headers, ("Host",))
    if (code == 303 and request.method != "HEAD") or (
        code in (301, 302) and request.method == "POST"
    ):
        following.method = "GET"
        following.body = None
        following.body_producer = None
        following.expect_100_continue = False
        _drop(following.headers, _CONTENT_HEADERS)
    if new.origin != old.origin:
        _drop(following.headers, _CREDENTIAL_HEADERS)
        if not request.proxy_host:
            _drop(following.headers, ("Proxy-Authorization",))
        following.auth_username = following.auth_password = None
        following.client_cert = following.client_key = None
        following.ssl_options = _without_certificate(request.ssl_options)
    elif old.credentials is not None:
        # What is in a URL goes first.
        following.auth_username, following.auth_password = new.credentials or old.credentials
    return following


def _resolve(url: str, headers: HTTPHeaders) -> tuple[str, Target]:
    """Where the Location of the response to `url` leads (RFC 9110 §10.2.2)."""
    locations = set(headers.get_list("Location"))
    location = locations.pop()
    try:
        if locations:
            raise ValueError("the response has several Locations")
        if any(character < " " or character == "\x7f" for character in location):
            raise ValueError("there are control characters in it")
        following = urljoin(url, _to_text(location))
        if "#" not in location and (fragment := urldefrag(url).fragment):
            following += f"#{fragment}"
        return following, parse_target(following)
    except ValueError as error:
        raise HTTPRedirectError(
            f"{shown(mask_url(url))} redirects to {shown(mask_url(location))!r}, "
            f"where the client cannot go: {error}"
        ) from None


def _to_text(location: str) -> str:
    """Where bytes beyond ASCII came, against the rules, they are UTF-8 or else mean themselves."""
    if location.isascii():
        return location
    data = location.encode("latin-1")
    try:
        return data.decode()
    except UnicodeDecodeError:
        return quote(data, safe=_PRINTABLE)


def _without_certificate(
    options: dict[str, Any] | ssl.SSLContext | None,
) -> dict[str, Any] | ssl.SSLContext | None:
    if not isinstance(options, dict):
        return options
    return {name: value for name, value in options.items() if name not in _CERTIFICATE_OPTIONS}


def _drop(headers: HTTPHeaders, names: tuple[str, ...]) -> None:
    for name in names:
        headers.pop(name, None)
