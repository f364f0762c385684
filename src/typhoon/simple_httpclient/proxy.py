"""The proxy of a request: who it is, and what it is told (RFC 9110 §3.7)."""

import base64
from typing import NamedTuple
from urllib.parse import urlsplit

from typhoon.httpclient.request import HTTPRequest
from typhoon.httputil import encode_username_password
from typhoon.simple_httpclient.digest import Login
from typhoon.simple_httpclient.target import Target, authority_of

_SCHEMES = ("http", "https")


class Proxy(NamedTuple):
    """An HTTP proxy, with what it knows its user by.

    What has equal proxies may share a connection to it.
    """

    scheme: str
    """``https`` if the connection to the proxy has TLS."""
    host: str
    port: int
    authorization: str | None
    """The value of Proxy-Authorization (RFC 9110 §11.7.2), for nobody but the proxy."""
    login: Login | None = None
    """For Digest authentication, where that value is made when it is needed."""

    def __repr__(self) -> str:
        return f"<Proxy {self.scheme}://{authority_of(self.host, self.port)}>"  # and no password

    @property
    def place(self) -> str:
        """Host and port, for messages."""
        return authority_of(self.host, self.port)


def proxy_of(request: HTTPRequest) -> Proxy | None:
    """The proxy that a request is to go through, or None.

    Raises:
        ValueError: The settings are not complete, or ask for what this client cannot.
    """
    if not request.proxy_host:
        if request.proxy_port:
            raise ValueError("proxy_port needs proxy_host, the name or address of the proxy")
        return None
    scheme, host, port = "http", request.proxy_host, request.proxy_port
    if "://" in host:
        parts = urlsplit(host)
        scheme = parts.scheme
        if scheme not in _SCHEMES:
            raise ValueError(
                f"proxy_host: the simple client uses no {scheme} proxies, but http:// and "
                "https:// ones; typhoon.curl_httpclient.CurlAsyncHTTPClient does more"
            )
        if parts.path.strip("/") or parts.query or parts.username is not None or not parts.hostname:
            raise ValueError(
                "proxy_host is a name, an address, or one of them behind http:// or https://: "
                "write the rest as proxy_port, proxy_username and proxy_password"
            )
        host, port = parts.hostname, port or parts.port
    if not port:
        raise ValueError(f"proxy_host={host!r} needs proxy_port, such as 3128")
    host = host.strip("[]")
    login = None
    if request.proxy_username is not None and request.proxy_auth_mode == "digest":
        space = "proxy", scheme, host, port
        login = Login(space, request.proxy_username, request.proxy_password or "")
    return Proxy(scheme, host, port, _authorization(request), login)


def absolute_form(target: Target) -> str:
    """The request target for a proxy that forwards the request (RFC 9112 §3.2.2)."""
    return f"{target.scheme}://{target.authority}{target.path}"


def _authorization(request: HTTPRequest) -> str | None:
    if request.proxy_username is None:
        # Set by hand, as for kinds of authentication that are not known here.
        return request.headers.get("Proxy-Authorization")
    if request.proxy_auth_mode == "digest":
        return None
    if request.proxy_auth_mode not in (None, "basic"):
        raise ValueError(
            f"unsupported proxy_auth_mode {request.proxy_auth_mode!r}: write basic or digest"
        )
    pair = encode_username_password(request.proxy_username, request.proxy_password or "")
    return "Basic " + base64.b64encode(pair).decode()
