"""How a client opens a connection: by HTTP, until the server switches."""

import asyncio
import base64
from typing import TYPE_CHECKING

from typhoon._core import HTTP1Codec, HTTP1End, HTTP1Head
from typhoon.httpclient import HTTPClientError, HTTPRequest
from typhoon.httputil import (
    HTTPHeaders,
    HTTPInputError,
    ResponseStartLine,
    encode_username_password,
)
from typhoon.iostream import IOStream
from typhoon.simple_httpclient.headers import request_headers
from typhoon.simple_httpclient.target import Target, parse_target
from typhoon.websocket.deflate import OFFER
from typhoon.websocket.errors import WebSocketError
from typhoon.websocket.handshake import VERSION

if TYPE_CHECKING:
    from typhoon.websocket.client import WebSocketClientConnection

_SCHEMES = {"ws": "http", "wss": "https"}
_CHUNK = 64 * 1024
_MAX_PROXY_RESPONSE = 64 * 1024


def target_of(url: str) -> Target:
    """Where a URL with the scheme ws or wss (or http or https) leads.

    Raises:
        ValueError: It is no such URL, or has a fragment (RFC 6455 §3).
    """
    scheme, separator, rest = url.partition(":")
    if "#" in rest:
        raise ValueError(f"the URL of a WebSocket has no fragment: {url!r}")
    return parse_target(_SCHEMES.get(scheme.lower(), scheme) + separator + rest)


def handshake_headers(
    request: HTTPRequest,
    target: Target,
    key: str,
    subprotocols: list[str] | None,
    compresses: bool,
) -> HTTPHeaders:
    """The headers of an opening handshake (RFC 6455 §4.1): the application's, and its own."""
    headers = request_headers(request, target)
    if request.decompress_response:
        headers.pop("Accept-Encoding", None)
    headers["Upgrade"] = "websocket"
    headers["Connection"] = "Upgrade"
    headers["Sec-WebSocket-Key"] = key
    headers["Sec-WebSocket-Version"] = VERSION
    if subprotocols:
        headers["Sec-WebSocket-Protocol"] = ",".join(subprotocols)
    if compresses:
        headers["Sec-WebSocket-Extensions"] = OFFER
    return headers


async def open_tunnel(stream: IOStream, request: HTTPRequest, target: Target) -> None:
    """Let a proxy lead the stream to the target (RFC 9110 §9.3.6).

    Raises:
        HTTPClientError: The proxy does not want to.
    """
    place = f"[{target.host}]" if ":" in target.host else target.host
    place += f":{target.port}"
    headers = HTTPHeaders({"Host": place})
    if request.proxy_username is not None:
        pair = encode_username_password(request.proxy_username, request.proxy_password or "")
        headers["Proxy-Authorization"] = "Basic " + base64.b64encode(pair).decode()
    codec = HTTP1Codec(is_client=True, max_header_size=_MAX_PROXY_RESPONSE, max_body_size=0)
    await stream.write(codec.send_request("CONNECT", place, headers))
    codec.receive(await stream.read_until(b"\r\n\r\n", max_bytes=_MAX_PROXY_RESPONSE))
    head = codec.next_event(_CHUNK)
    code = head.start_line[1] if isinstance(head, HTTP1Head) else 599
    if not 200 <= code < 300:
        raise HTTPClientError(code, f"the proxy does not connect to {place}")


class Opening(asyncio.Protocol):
    """Sends the opening handshake and takes in the response to it.

    Args:
        connection: What is told of the response, as an `HTTPMessageDelegate`.
        path: The request target.
        headers: The headers of the request.
    """

    def __init__(
        self, connection: "WebSocketClientConnection", path: str, headers: HTTPHeaders
    ) -> None:
        self._connection = connection
        self._path = path
        self._headers = headers
        self._codec = HTTP1Codec(
            is_client=True,
            max_header_size=connection.max_header_size,
            max_body_size=connection.max_body_size,
        )
        self._over = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the connection is there."""
        self._transport = transport  # type: ignore[assignment]
        transport.write(  # type: ignore[attr-defined]
            self._codec.send_request("GET", self._path, self._headers)
        )

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes have come."""
        if self._over:
            return
        self._codec.receive(data)
        try:
            self._receive()
        except HTTPInputError as error:
            self._end(WebSocketError(f"the server's response is malformed: {error}"))
        except Exception as error:
            self._end(error)

    def _receive(self) -> None:
        connection = self._connection
        while (event := self._codec.next_event(_CHUNK)) is not None:
            if isinstance(event, HTTP1End):
                connection.finish()
                self._end(None)
                return
            if isinstance(event, bytes):
                connection.data_received(event)
            elif not event.is_informational:
                connection.headers_received(ResponseStartLine(*event.start_line), event.headers)
                if connection.protocol is not None and self._transport is not None:
                    self._over = True
                    connection._switch(self._transport, self._codec.take_unread())
                    return

    def eof_received(self) -> None:
        """asyncio: the server has closed its side."""
        if self._over:
            return
        try:
            if self._codec.receive_eof() is not None:
                self._connection.finish()
                self._end(None)
        except HTTPInputError:
            pass  # connection_lost comes next

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the connection is gone."""
        if not self._over:
            self._end(exc or WebSocketError("the server closed the connection without a response"))

    def _end(self, error: Exception | None) -> None:
        self.abort()
        self._connection._refused(error)

    def abort(self) -> None:
        """Close the connection, unless the server has switched."""
        if not self._over and self._transport is not None:
            self._transport.abort()
        self._over = True
