"""The methods that clients know (RFC 9110 §9)."""

import re
from typing import Final

from typhoon.httpclient.request import HTTPRequest

METHODS_WITH_BODY: Final = {"POST", "PUT", "PATCH"}

_METHODS: Final = {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"}
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def check_method(request: HTTPRequest) -> None:
    """Check that the method can be sent, and has a body if it is one that has.

    Raises:
        ValueError: The method is no token, or there is a body where none belongs, or none.
        KeyError: The method is unknown, and `allow_nonstandard_methods` is not set.
    """
    method = request.method
    if _TOKEN.fullmatch(method) is None:
        raise ValueError(f"{method!r} is no HTTP method")
    if request.body is not None and request.body_producer is not None:
        raise ValueError("a request has a body or a body_producer, not both")
    if request.allow_nonstandard_methods:
        return
    if method not in _METHODS:
        raise KeyError(f"unknown method {method}: pass allow_nonstandard_methods=True to send it")
    has_body = request.body is not None or request.body_producer is not None
    if has_body != (method in METHODS_WITH_BODY):
        raise ValueError(
            f"Body must {'be' if has_body else 'not be'} None for method {method} "
            "(unless allow_nonstandard_methods is true)"
        )
