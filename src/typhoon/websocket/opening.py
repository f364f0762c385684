"""How a client opens a connection: by HTTP, until the server switches.

| step | by |
| --- | --- |
| the server is connected to, or asked for through a tunnel | the HTTP client's `.Connector` |
| the opening handshake is sent, and its response taken in | `Opening` |
| it is sent again, on another connection, where the server wants a digest | `open_connection` |
| the response is 101, and right: the transport goes to the WebSocket's own protocol | `Opening` |
"""

import asyncio
from typing import TYPE_CHECKING, Final

from typhoon._core import HTTP1Codec, HTTP1End
from typhoon.httpclient.failures import Stage, mask_url
from typhoon.httpclient.request import HTTPRequest
from typhoon.httputil import HTTPHeaders, HTTPInputError, ResponseStartLine
from typhoon.simple_httpclient.authenticating import Authentication
from typhoon.simple_httpclient.connecting import Connector
from typhoon.simple_httpclient.digest import DigestMemory
from typhoon.simple_httpclient.errors import HTTPTimeoutError
from typhoon.simple_httpclient.headers import request_headers
from typhoon.simple_httpclient.progress import Progress
from typhoon.simple_httpclient.route import Route, route_of
from typhoon.simple_httpclient.target import Target, parse_target
from typhoon.tcpclient import TCPClient
from typhoon.websocket.deflate import OFFER, Deflate
from typhoon.websocket.errors import WebSocketError
from typhoon.websocket.handshake import VERSION, response_error

if TYPE_CHECKING:
    from typhoon.websocket.client import WebSocketClientConnection

_SCHEMES: Final = {"ws": "http", "wss": "https"}
_CHUNK: Final = 64 * 1024


def target_of(url: str) -> Target:
    """Where a URL with the scheme ws or wss (or http or https) leads.

    Raises:
        ValueError: It is no such URL, or has a fragment (RFC 6455 §3).
    """
    scheme, separator, rest = url.partition(":")
    if "#" in rest:
        raise ValueError(f"the URL of a WebSocket has no fragment: {mask_url(url)!r}")
    if scheme.lower() not in (*_SCHEMES, *_SCHEMES.values()):
        raise ValueError(
            f"the URL of a WebSocket begins with ws:// or wss://, not as {mask_url(url)!r}"
        )
    return parse_target(_SCHEMES.get(scheme.lower(), scheme) + separator + rest)


def handshake_headers(
    request: HTTPRequest,
    target: Target,
    key: str,
    subprotocols: list[str] | None,
    compresses: bool,
) -> HTTPHeaders:
    """The headers of an opening handshake (RFC 6455 §4.1): the application's, and its own."""
    headers = request_headers(request, target).copy()
    headers["Upgrade"] = "websocket"
    headers["Connection"] = "Upgrade"
    headers["Sec-WebSocket-Key"] = key
    headers["Sec-WebSocket-Version"] = VERSION
    if subprotocols:
        headers["Sec-WebSocket-Protocol"] = ",".join(subprotocols)
    if compresses:
        headers["Sec-WebSocket-Extensions"] = OFFER
    return headers


def agreement(
    headers: HTTPHeaders, key: str, subprotocols: list[str] | None, compresses: bool
) -> tuple[Deflate | None, str | None]:
    """What a server that switches has agreed to: the compression, and the subprotocol.

    Args:
        headers: The headers of its response.
        key: The key that it has to answer.
        subprotocols: What has been offered.
        compresses: Whether compression has been.

    Raises:
        WebSocketError: The response is not what RFC 6455 §4.1 wants.
    """
    problem = response_error(headers, key)
    if problem is not None:
        raise WebSocketError(f"the server's response is no WebSocket handshake: {problem}")
    agreed = None
    extensions = headers.get("Sec-WebSocket-Extensions", "")
    if compresses:
        agreed = Deflate.agreed(extensions)
    elif extensions.strip():
        raise WebSocketError(f"the server answers with extensions not offered: {extensions!r}")
    chosen = headers.get("Sec-WebSocket-Protocol")
    if chosen is not None and chosen not in (subprotocols or ()):
        raise WebSocketError(f"the server chose a subprotocol not offered: {chosen!r}")
    return agreed, chosen


async def open_connection(
    connection: "WebSocketClientConnection",
    request: HTTPRequest,
    tcp_client: TCPClient,
    progress: Progress,
) -> None:
    """Connect, shake hands, and wait until the connection has been told of the response.

    Args:
        connection: What the handshake is for.
        request: Its request, in which no default is missing.
        tcp_client: See `.Connector`.
        progress: Is told of the stages.

    Raises:
        ValueError: The request's settings cannot be used.
        OSError: The network failed, as `.Connector` says it.
        HTTPClientError: So did a proxy, or too much time has passed.
        WebSocketError: The server's response is none, or not what it has to be.
    """
    try:
        target = target_of(request.url)
        route = route_of(request, target, tunnels=True)
        compresses = connection.params.compression_options is not None
        headers = handshake_headers(
            request, target, connection.key, connection._subprotocols, compresses
        )
        memory = DigestMemory()
        connector = Connector(tcp_client, memory)
        authentication = None
        if request.auth_mode == "digest":
            authentication = Authentication(memory, request, target, route)
        again = True
        while again:
            if authentication is not None:
                authentication.add_to(headers)
            opening = Opening(connection, target.path, headers, authentication, progress)
            try:
                await _connect(connector, request, route, opening, progress)
                again = await opening.outcome
            finally:
                opening.abort()
                del opening  # which refers to its error, and that to this frame
    finally:
        del connection  # which refers to its error as well


async def _connect(
    connector: Connector, request: HTTPRequest, route: Route, opening: "Opening", progress: Progress
) -> None:
    limit = asyncio.timeout(request.connect_timeout or None)
    try:
        async with limit:
            await connector.connect(route, lambda: opening, progress)
    except TimeoutError:
        if limit.expired():
            raise HTTPTimeoutError(f"Timeout {progress.phrase}") from None
        raise
    finally:
        del limit  # which refers to the task, and that to its error
    progress.place = route.place


class Opening(asyncio.Protocol):
    """Sends the opening handshake and takes in the response to it.

    Args:
        connection: What is told of the response, as an `HTTPMessageDelegate`.
        path: The request target.
        headers: The headers of the request.
        authentication: What looks at the response first, for a challenge.
        progress: Is told of the stages.

    Attributes:
        outcome: Done when the connection has been told of the response; with True if it has not,
            and the handshake is to be sent again.
    """

    def __init__(
        self,
        connection: "WebSocketClientConnection",
        path: str,
        headers: HTTPHeaders,
        authentication: Authentication | None,
        progress: Progress,
    ) -> None:
        self._connection: WebSocketClientConnection | None = connection
        self._path = path
        self._headers = headers
        self._authentication = authentication
        self._progress = progress
        self._codec = HTTP1Codec(
            is_client=True,
            max_header_size=connection.max_header_size,
            max_body_size=connection.max_body_size,
        )
        self._transport: asyncio.Transport | None = None
        self._switched = False
        self.outcome: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the connection is there."""
        self._transport = transport  # type: ignore[assignment]
        self._progress.stage = Stage.WAITING
        transport.write(  # type: ignore[attr-defined]
            self._codec.send_request("GET", self._path, self._headers)
        )

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes have come."""
        connection = self._connection
        if connection is None or self.outcome.done():
            return
        if self._progress.stage is Stage.WAITING:
            self._progress.stage = Stage.HEAD
        self._codec.receive(data)
        try:
            self._receive(connection)
        except HTTPInputError as error:
            self._fail(WebSocketError(f"the server's response is malformed: {error}"))
        except WebSocketError as error:
            self._fail(error.with_traceback(None))  # which refers to the connection
        except Exception as error:
            self._fail(error)

    def _receive(self, connection: "WebSocketClientConnection") -> None:
        while (event := self._codec.next_event(_CHUNK)) is not None:
            if isinstance(event, HTTP1End):
                connection.finish()
                self.outcome.set_result(False)
                return
            if isinstance(event, bytes):
                connection.data_received(event)
            elif not event.is_informational:
                line = ResponseStartLine(*event.start_line)
                if self._is_challenge(line.code, event.headers):
                    self.outcome.set_result(True)
                    return
                self._progress.stage = Stage.BODY
                connection.headers_received(line, event.headers)
                if connection.protocol is not None and self._transport is not None:
                    self._switched = True
                    self.outcome.set_result(False)
                    connection._switch(self._transport, self._codec.take_unread())
                    return

    def _is_challenge(self, code: int, headers: HTTPHeaders) -> bool:
        return self._authentication is not None and self._authentication.take(code, headers)

    def eof_received(self) -> None:
        """asyncio: the server has closed its side."""
        connection = self._connection
        if connection is None or self.outcome.done():
            return
        try:
            if self._codec.receive_eof() is not None:
                connection.finish()
                self.outcome.set_result(False)
        except HTTPInputError:
            pass  # connection_lost comes next

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the connection is gone."""
        if not self.outcome.done():
            self._fail(exc or WebSocketError("the server closed the connection without a response"))

    def _fail(self, error: Exception) -> None:
        self.outcome.set_exception(error)
        self.outcome.exception()  # who waits for it may have gone

    def abort(self) -> None:
        """Forget the WebSocket; and close the connection, unless the server has switched."""
        self._connection = None
        self.outcome.cancel()
        if not self._switched and self._transport is not None:
            self._transport.abort()
