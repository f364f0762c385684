"""The route of a request: what decides over which connections it can go."""

import socket
import ssl
from typing import NamedTuple

from typhoon.httpclient.request import HTTPRequest
from typhoon.simple_httpclient.target import Target
from typhoon.simple_httpclient.tls import context_for


class Route(NamedTuple):
    """Where a connection leads, and how. Connections with equal routes are interchangeable."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    source: str | None = None
    family: socket.AddressFamily = socket.AF_UNSPEC

    @property
    def place(self) -> str:
        """Host and port, for messages."""
        return f"{self.host}:{self.port}"


def route_of(request: HTTPRequest, target: Target) -> Route:
    """The route of a request to `target`."""
    if request.proxy_host or request.proxy_port:
        raise NotImplementedError(
            "the simple client does not use proxies: leave out proxy_host and proxy_port, or "
            "configure typhoon.curl_httpclient.CurlAsyncHTTPClient"
        )
    return Route(
        target.host,
        target.port,
        context_for(request) if target.scheme == "https" else None,
        request.network_interface,
        socket.AF_INET if request.allow_ipv6 is False else socket.AF_UNSPEC,
    )
