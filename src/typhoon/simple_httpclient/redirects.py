"""Redirects (RFC 9110 §15.4)."""

import copy
from urllib.parse import urljoin

from typhoon.httpclient.request import HTTPRequest
from typhoon.httputil import HTTPHeaders
from typhoon.simple_httpclient.errors import HTTPRedirectError
from typhoon.simple_httpclient.target import parse_target

_REDIRECTS = (301, 302, 303, 307, 308)

_BODY_HEADERS = ("Content-Length", "Content-Type", "Content-Encoding", "Transfer-Encoding")
_CREDENTIAL_HEADERS = ("Authorization", "Cookie")


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

    A POST becomes a GET, unless the status says that the method stays. What proves who the user
    is goes to no other origin.

    Raises:
        HTTPRedirectError: The client cannot go there.
    """
    old = parse_target(request.url)
    following = copy.copy(request)
    following._original = request._original or request
    try:
        following.url = urljoin(request.url, headers["Location"])
        new = parse_target(following.url)
    except ValueError as error:
        raise HTTPRedirectError(f"Redirect to where the client cannot go: {error}") from None
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
        _drop(following.headers, _BODY_HEADERS)
    if new.origin != old.origin:
        following.auth_username = following.auth_password = None
        following.client_cert = following.client_key = None
        _drop(following.headers, _CREDENTIAL_HEADERS)
    elif following.auth_username is None and old.credentials is not None:
        following.auth_username, following.auth_password = old.credentials
    return following


def _drop(headers: HTTPHeaders, names: tuple[str, ...]) -> None:
    for name in names:
        headers.pop(name, None)
