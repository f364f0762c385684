"""The route of a request: what decides over which connections it can go."""

import socket
from typing import NamedTuple

from typhoon.httpclient.request import HTTPRequest
from typhoon.simple_httpclient.proxy import Proxy, absolute_form, proxy_of
from typhoon.simple_httpclient.target import Target, authority_of
from typhoon.simple_httpclient.tls import TLSSettings, settings_of


class Route(NamedTuple):
    """Where a connection leads, and how. Connections with equal routes are interchangeable.

    | the request goes | `host`, `port` of | `proxy` | `tls` |
    | --- | --- | --- | --- |
    | straight to an http URL | the server | None | None |
    | straight to an https URL | the server | None | its settings |
    | by a proxy to an http URL | the proxy, which forwards it | the proxy | None |
    | by a proxy to an https URL | the server, through a tunnel | the proxy | its settings |
    | by a proxy to a ws URL | the server, through a tunnel | the proxy | None |
    """

    host: str
    port: int
    tls: TLSSettings | None = None
    """What is asked of TLS with the server; None for http URLs."""
    proxy: Proxy | None = None
    unix_socket: str | None = None
    """The path of the UNIX socket to connect to."""
    source: str | None = None
    """The IP address, or the network interface, to connect from."""
    family: int = socket.AF_UNSPEC
    """AF_INET for no IPv6."""
    proxy_ca_certs: str | None = None
    """The authorities that the certificate of an ``https`` proxy is checked against."""
    tunnels: bool = False
    """Whether a proxy is asked for a tunnel also where there is no TLS (RFC 6455 §4.1)."""

    @property
    def is_forwarded(self) -> bool:
        """Whether requests go to a proxy that forwards them.

        They need the absolute form of the request target, and Proxy-Authorization.
        """
        return self.proxy is not None and self.tls is None and not self.tunnels

    def target_of(self, target: Target) -> str:
        """The request target, in the form that is needed on this route (RFC 9112 §3.2)."""
        return absolute_form(target) if self.is_forwarded else target.path

    @property
    def place(self) -> str:
        """Host and port, for messages."""
        return authority_of(self.host, self.port)


def route_of(request: HTTPRequest, target: Target, tunnels: bool = False) -> Route:
    """The route of a request to `target`.

    Args:
        request: The request, with its settings.
        target: What its URL says.
        tunnels: Whether a proxy is to give a tunnel in any case, as WebSockets need it.

    Raises:
        ValueError: The request's settings contradict each other, or are not complete.
    """
    tls = settings_of(request) if target.scheme == "https" else None
    unix_socket = request.unix_socket
    if request.proxy_host or request.proxy_port:
        if unix_socket is not None:
            raise ValueError("unix_socket and proxy_host exclude each other: leave one out")
        proxy = proxy_of(request)
    else:
        proxy = None
    if unix_socket is not None:
        # Neither the interface nor the address family has to do with it.
        return Route(target.host, target.port, tls, None, unix_socket)
    host, port = target.host, target.port
    proxy_ca_certs = None
    if proxy is not None:
        if tls is None and not tunnels:
            host, port = proxy.host, proxy.port
        if proxy.scheme == "https":
            proxy_ca_certs = request.ca_certs
    return Route(
        host,
        port,
        tls,
        proxy,
        None,
        request.network_interface,
        socket.AF_INET if request.allow_ipv6 is False else socket.AF_UNSPEC,
        proxy_ca_certs,
        tunnels and proxy is not None,
    )
