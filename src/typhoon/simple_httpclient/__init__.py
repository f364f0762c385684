"""The HTTP client that needs nothing but Typhoon itself; the default of `.AsyncHTTPClient`."""

from typhoon.simple_httpclient.client import SimpleAsyncHTTPClient
from typhoon.simple_httpclient.errors import (
    HTTPBodyTooLargeError,
    HTTPContentCodingError,
    HTTPHeaderTooLargeError,
    HTTPIncompleteResponseError,
    HTTPMalformedResponseError,
    HTTPProxyError,
    HTTPRedirectError,
    HTTPStreamClosedError,
    HTTPTimeoutError,
)

__all__ = [
    "HTTPBodyTooLargeError",
    "HTTPContentCodingError",
    "HTTPHeaderTooLargeError",
    "HTTPIncompleteResponseError",
    "HTTPMalformedResponseError",
    "HTTPProxyError",
    "HTTPRedirectError",
    "HTTPStreamClosedError",
    "HTTPTimeoutError",
    "SimpleAsyncHTTPClient",
]
