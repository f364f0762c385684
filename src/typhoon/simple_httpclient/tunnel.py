"""Tunnels through a proxy (CONNECT, RFC 9110 §9.3.6)."""

import asyncio
from typing import Final

from typhoon._core import HTTP1Codec, HTTP1Head
from typhoon.httputil import HTTPHeaders, HTTPInputError
from typhoon.simple_httpclient.errors import HTTPProxyError
from typhoon.simple_httpclient.proxy import Proxy
from typhoon.simple_httpclient.target import authority_of

_MAX_HEADER_SIZE: Final = 64 * 1024
"""Bytes that the head of the proxy's response may have: as for the responses of servers."""


def tunnel_authority(host: str, port: int) -> str:
    """The request target that asks for a tunnel to a server."""
    return authority_of(host.partition("%")[0], port)


class Tunnel(asyncio.Protocol):
    """Asks a proxy for a tunnel to a server, and waits for its response.

    Then it looks after the connection until another protocol takes it over.

    Args:
        proxy: The proxy, to which the connection leads.
        host: The server's name or address.
        port: The server's port.
        authorization: The value of Proxy-Authorization; None for none.

    Attributes:
        headers: The headers of the proxy's response, when there is one.
        transport: The connection.
        opened: Done when the tunnel is there. Fails with `HTTPProxyError`, or with the error of
            the network.
        is_spoiled: Whether the connection is of no use any more.
    """

    transport: asyncio.Transport
    opened: "asyncio.Future[None]"

    def __init__(self, proxy: Proxy, host: str, port: int, authorization: str | None) -> None:
        self._proxy = proxy
        self._place = tunnel_authority(host, port)
        self._authorization = authorization
        self.headers = HTTPHeaders()
        self._codec = HTTP1Codec(is_client=True, max_header_size=_MAX_HEADER_SIZE, max_body_size=0)
        self.opened = asyncio.get_running_loop().create_future()
        self.is_spoiled = False

    def abort(self) -> None:
        """Cut the connection."""
        self.opened.cancel()
        self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the connection to the proxy is there."""
        self.transport = transport  # type: ignore[assignment]
        headers = HTTPHeaders({"Host": self._place})
        if self._authorization is not None:
            headers["Proxy-Authorization"] = self._authorization
        self.transport.write(self._codec.send_request("CONNECT", self._place, headers))

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes have come."""
        if self.opened.done():  # also if it failed
            self.is_spoiled = True  # the server does not speak before the client does
            return
        self._codec.receive(data)
        try:
            head = self._codec.next_event(len(data))
            while isinstance(head, HTTP1Head) and head.is_informational:
                head = self._codec.next_event(len(data))
        except HTTPInputError as error:
            self._refuse(f"its response is wrong: {error}")
            return
        if not isinstance(head, HTTP1Head):
            return
        _, code, reason = head.start_line
        self.headers = head.headers
        if not 200 <= code < 300:
            advice = ": set proxy_username and proxy_password" if code == 407 else ""
            self._refuse(f"it answered {code} {reason}".rstrip() + advice, code)
        elif self._codec.take_unread():
            self._refuse("it sent more than a head", code)
        else:
            self.opened.set_result(None)

    def eof_received(self) -> None:
        """asyncio: the proxy says no more. The transport is closed then."""

    def connection_lost(self, error: Exception | None) -> None:
        """asyncio: the connection is gone."""
        self.is_spoiled = True
        if not self.opened.done():
            if error is not None:
                self._fail(error)
            else:
                self._refuse("it closed the connection")

    def _refuse(self, reason: str, code: int | None = None) -> None:
        message = f"the proxy {self._proxy.place} opens no tunnel to {self._place}: {reason}"
        self._fail(HTTPProxyError(message, code))

    def _fail(self, error: Exception) -> None:
        self.opened.set_exception(error)
        self.opened.exception()  # who asked for it may have gone
