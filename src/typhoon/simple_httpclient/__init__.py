"""The HTTP client that needs nothing but Typhoon itself; the default of `.AsyncHTTPClient`."""

from typhoon.simple_httpclient.client import SimpleAsyncHTTPClient
from typhoon.simple_httpclient.errors import HTTPStreamClosedError, HTTPTimeoutError

__all__ = ["HTTPStreamClosedError", "HTTPTimeoutError", "SimpleAsyncHTTPClient"]
