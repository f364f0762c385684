"""The client: `websocket_connect`, and the connection that it gives."""

import asyncio
import copy
import time
import warnings
from collections import deque
from collections.abc import Awaitable, Callable
from io import BytesIO
from types import TracebackType
from typing import Any
from urllib.parse import SplitResult, urlsplit

from typhoon.concurrent import Future
from typhoon.escape import utf8
from typhoon.httpclient import HTTPClientError, HTTPRequest, HTTPResponse
from typhoon.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from typhoon.ioloop import IOLoop
from typhoon.iostream import IOStream, StreamClosedError
from typhoon.log import app_log
from typhoon.netutil import Resolver
from typhoon.simple_httpclient import HTTPTimeoutError
from typhoon.simple_httpclient.target import Target
from typhoon.simple_httpclient.tls import context_for
from typhoon.tcpclient import TCPClient
from typhoon.websocket.deflate import Deflate, check_options
from typhoon.websocket.errors import WebSocketClosedError, WebSocketError
from typhoon.websocket.handshake import new_key, response_error
from typhoon.websocket.opening import Opening, handshake_headers, open_tunnel, target_of
from typhoon.websocket.parameters import MAX_MESSAGE_SIZE, WebSocketParams
from typhoon.websocket.protocol import WebSocketProtocol13
from typhoon.websocket.stream import TransportStream

MessageCallback = Callable[[str | bytes | None], Awaitable[None] | None]

_MAX_QUEUED = 16
_MAX_QUEUED_SIZE = 1024 * 1024
_MAX_HEADER_SIZE = 64 * 1024
_MAX_RESPONSE_BODY = 1024 * 1024


class WebSocketClientConnection(HTTPMessageDelegate):
    """A client's connection. Not to be made by hand: see `websocket_connect`.

    Received messages wait in a queue to be read; once there are 16 of them, or 1 MiB, no more are
    received until some have been read.

    Attributes:
        request: The request that opened it.
        headers: The headers of the server's response.
        code: The status code of the response.
        reason: The phrase behind it.
        close_code: The code that the server closed with; None before that, and if it gave none.
        close_reason: The reason that it gave, None for none.
        protocol: The protocol; None until the connection is open.
        connect_future: Done with this object once the connection is open, or with what went wrong.
        params: The settings.
        key: The key of the handshake.
        read_queue: The messages that have not been read.
        io_loop: The `.IOLoop` that it belongs to.
        tcp_client: What makes the connection.
        parsed: The URL, split.
        parsed_hostname: The host in it.
        start_time: When it began, by a clock that only goes forward, in seconds.
        start_wall_time: When it began, in seconds since the epoch.
        chunks: The body of a response that refuses, as it came.
        max_header_size: Bytes that the head of the response may have.
        max_body_size: Bytes that the body of a response that refuses may have.
        max_buffer_size: The same.
        client: No HTTP client is involved: None, as are the next three.
        connection: None.
        final_callback: None.
        release_callback: None.
    """

    headers: HTTPHeaders
    code: int | None = None
    reason: str | None = None
    close_code: int | None = None
    close_reason: str | None = None
    protocol: WebSocketProtocol13 | None = None
    max_header_size: int = _MAX_HEADER_SIZE
    max_body_size: int = _MAX_RESPONSE_BODY
    max_buffer_size: int = _MAX_RESPONSE_BODY
    client: None = None
    connection: None = None
    final_callback: None = None
    release_callback: None = None

    def __init__(
        self,
        request: HTTPRequest,
        on_message_callback: MessageCallback | None = None,
        compression_options: dict[str, Any] | None = None,
        ping_interval: float | None = None,
        ping_timeout: float | None = None,
        max_message_size: int = MAX_MESSAGE_SIZE,
        subprotocols: list[str] | None = None,
        resolver: Resolver | None = None,
    ) -> None:
        if compression_options is not None:
            check_options(compression_options)
        self.request = request
        self.parsed: SplitResult = urlsplit(request.url)
        self.parsed_hostname = self.parsed.hostname
        self.params = WebSocketParams(
            ping_interval, ping_timeout, max_message_size, compression_options
        )
        self.key = new_key()
        self.io_loop = IOLoop.current()
        self.start_time = time.monotonic()
        self.start_wall_time = time.time()
        self.chunks: list[bytes] = []
        self.read_queue: deque[str | bytes] = deque()
        self.tcp_client = TCPClient(resolver=resolver)
        self._subprotocols = subprotocols
        self._on_message_callback = on_message_callback
        self._queued_size = 0
        self._readers: deque[Future[str | bytes | None]] = deque()
        self._closed = False
        self._ended = False
        self._agreed: Deflate | None = None
        loop = self.io_loop.asyncio_loop
        self.connect_future: Future[WebSocketClientConnection] = loop.create_future()
        self._opening = loop.create_task(self.run())

    def __del__(self) -> None:
        if self.protocol is not None and not (self._closed or self._ended):
            warnings.warn(
                "a WebSocketClientConnection has not been closed: call its close()",
                ResourceWarning,
                source=self,
                stacklevel=2,
            )

    # Opening.

    async def run(self) -> None:
        """Open the connection; `connect_future` tells of the outcome."""
        limit = asyncio.timeout(self._setting("connect_timeout") or None)
        try:
            async with limit:
                opening = await self._connect()
                try:
                    await asyncio.wait([self.connect_future])
                finally:
                    opening.abort()
        except TimeoutError as error:
            if limit.expired():
                message = f"Timeout while opening a WebSocket to {self.parsed_hostname}"
                self._refused(HTTPTimeoutError(message))
            else:
                self._refused(error)
        except StreamClosedError as error:
            self._refused(error.real_error or error)
        except asyncio.CancelledError:
            self._refused(WebSocketClosedError("the WebSocket was closed before it was open"))
            raise
        except Exception as error:
            self._refused(error)
        finally:
            self.tcp_client.close()
            del limit  # which refers to the task, and that to the error

    def _setting(self, name: str) -> Any:
        value = getattr(self.request, name)
        return HTTPRequest._DEFAULTS.get(name) if value is None else value

    async def _connect(self) -> Opening:
        """Connect, and send the request."""
        request = copy.copy(self.request)
        request.headers = HTTPHeaders(request.headers or {})
        for name, value in HTTPRequest._DEFAULTS.items():
            if getattr(request, name, None) is None:
                setattr(request, name, value)
        target = target_of(request.url)
        headers = handshake_headers(
            request,
            target,
            self.key,
            self._subprotocols,
            self.params.compression_options is not None,
        )
        context = context_for(request) if target.scheme == "https" else None
        stream = await self._connect_stream(request, target)
        sock = stream._give_up_socket()
        opening = Opening(self, target.path, headers)
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: opening,
                sock=sock,
                ssl=context,
                server_hostname=None if context is None else target.host,
            )
        except BaseException:
            sock.close()
            raise
        return opening

    async def _connect_stream(self, request: HTTPRequest, target: Target) -> IOStream:
        """A plain connection, to the server or through a proxy."""
        source_ip = request.network_interface
        if request.proxy_host is None:
            return await self.tcp_client.connect(target.host, target.port, source_ip=source_ip)
        if request.proxy_port is None:
            raise ValueError("proxy_host needs proxy_port")
        stream = await self.tcp_client.connect(
            request.proxy_host, request.proxy_port, source_ip=source_ip
        )
        try:
            await open_tunnel(stream, request, target)
        except BaseException:
            stream.close()
            raise
        return stream

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> None:
        """The head of the response has come. 101 makes the protocol.

        Raises:
            WebSocketError: It says that the server switches, and is not what RFC 6455 §4.1 wants.
        """
        if not isinstance(start_line, ResponseStartLine):
            raise TypeError(f"{start_line!r} does not begin a response")
        self.code, self.reason, self.headers = start_line.code, start_line.reason, headers
        if self.code != 101:
            return
        problem = response_error(headers, self.key)
        if problem is not None:
            raise WebSocketError(f"the server's response is no WebSocket handshake: {problem}")
        agreed = None
        extensions = headers.get("Sec-WebSocket-Extensions", "")
        if self.params.compression_options is not None:
            agreed = Deflate.agreed(extensions)
        elif extensions.strip():
            raise WebSocketError(f"the server answers with extensions not offered: {extensions!r}")
        chosen = headers.get("Sec-WebSocket-Protocol")
        if chosen is not None and chosen not in (self._subprotocols or ()):
            raise WebSocketError(f"the server chose a subprotocol not offered: {chosen!r}")
        self.protocol = self.get_websocket_protocol()
        self.protocol._subprotocol = chosen
        if agreed is not None:
            self.protocol.compress(agreed)

    def get_websocket_protocol(self) -> WebSocketProtocol13:
        """The protocol of this side."""
        return WebSocketProtocol13(self, True, self.params)

    def data_received(self, chunk: bytes) -> None:
        """A piece of the body of a response that refuses."""
        self.chunks.append(chunk)

    def finish(self) -> None:
        """All of such a response has come."""
        code = self.code or 599
        if 200 <= code < 300:
            self._refused(WebSocketError("Non-websocket response"))
            return
        response = HTTPResponse(
            self.request,
            code,
            reason=self.reason,
            headers=self.headers,
            buffer=BytesIO(b"".join(self.chunks)),
            request_time=time.monotonic() - self.start_time,
            start_time=self.start_wall_time,
        )
        self._refused(HTTPClientError(code, response=response))

    def _refused(self, error: BaseException | None) -> None:
        """There will be no connection, because of this."""
        self._ended = True
        self.protocol = None
        if error is not None and not self.connect_future.done():
            self.connect_future.set_exception(error)
            if self._closed:
                self.connect_future.exception()  # nobody has to ask

    def _switch(self, transport: asyncio.Transport, unread: bytes) -> None:
        """The server has switched: let the protocol go on with the connection."""
        protocol = self.protocol
        if protocol is None or self.connect_future.done():
            transport.abort()
            return
        protocol.connection_made(transport)
        transport.set_protocol(protocol)  # type: ignore[arg-type]
        protocol.start_pinging()
        self.connect_future.set_result(self)
        if unread:
            protocol.data_received(unread)

    # Messages.

    @property
    def selected_subprotocol(self) -> str | None:
        """The subprotocol that the server has chosen, None for none."""
        return None if self.protocol is None else self.protocol.selected_subprotocol

    def write_message(
        self, message: str | bytes | dict[str, Any], binary: bool = False
    ) -> "asyncio.Future[None]":
        """Send a message to the server.

        Args:
            message: A str; bytes; or a dict, which is sent as JSON.
            binary: Whether the server shall get bytes. Bytes that are sent without it have to be
                UTF-8, and arrive as a text.

        Returns:
            A future that is done once the connection takes more.

        Raises:
            WebSocketClosedError: The connection is not open, or about to be closed.
        """
        return self._open_protocol().write_message(message, binary)

    def _open_protocol(self) -> WebSocketProtocol13:
        if self.protocol is None:
            raise WebSocketClosedError("the WebSocket is not open")
        return self.protocol

    def read_message(
        self, callback: "Callable[[Future[str | bytes | None]], None] | None" = None
    ) -> "Future[str | bytes | None]":
        """The next message.

        Args:
            callback: Called with the future that is returned, once it is done.

        Returns:
            A future of a str for a text, or of bytes; of None once the connection is closed.
        """
        future: Future[str | bytes | None] = self.io_loop.asyncio_loop.create_future()
        if callback is not None:
            self.io_loop.add_future(future, callback)
        if self.read_queue:
            message = self.read_queue.popleft()
            self._queued_size -= len(message)
            future.set_result(message)
            if not self.read_queue and self.protocol is not None:
                self.protocol._set_held(False)
        elif self._ended:
            future.set_result(None)
        else:
            self._readers.append(future)
        return future

    def on_message(self, message: str | bytes) -> Awaitable[None] | None:
        """A message has come: give it to who waits for it, or keep it."""
        if self._on_message_callback is not None:
            return self._on_message_callback(message)
        while self._readers:
            reader = self._readers.popleft()
            if not reader.done():
                reader.set_result(message)
                return None
        self.read_queue.append(message)
        self._queued_size += len(message)
        full = len(self.read_queue) >= _MAX_QUEUED or self._queued_size >= _MAX_QUEUED_SIZE
        if full and self.protocol is not None:
            self.protocol._set_held(True)
        return None

    def ping(self, data: str | bytes = b"") -> None:
        """Send a ping to the server, with up to 125 bytes, which its answer repeats.

        Raises:
            ValueError: There are more.
            WebSocketClosedError: The connection is not open, or about to be closed.
        """
        self._open_protocol().write_ping(utf8(data))

    def on_ping(self, data: bytes) -> None:
        """The server has sent a ping, which is answered already."""

    def on_pong(self, data: bytes) -> None:
        """The server has answered a ping."""

    # Ends.

    @property
    def stream(self) -> "IOStream | TransportStream | None":
        """The connection below: a stream to ask about it or to close it, not to read or write."""
        return None if self.protocol is None else self.protocol.stream

    def close(self, code: int | None = None, reason: str | None = None) -> None:
        """Close the connection. Messages that are under way can still be read.

        Args:
            code: 1000 to 1003, 1007 to 1014, or one of one's own from 3000 to 4999
                (RFC 6455 §7.4).
            reason: Why, for the other side's log; in up to 123 bytes of UTF-8.
        """
        self._closed = True
        if self.protocol is not None:
            self.protocol.close(code, reason)
        elif not self._opening.done() and not self.io_loop.asyncio_loop.is_closed():
            self._opening.cancel()

    def on_ws_connection_close(
        self, close_code: int | None = None, close_reason: str | None = None
    ) -> None:
        """The protocol calls this with the server's code and reason in the end."""
        self.close_code = close_code
        self.close_reason = close_reason

    def on_connection_close(self) -> None:
        """The connection is gone: whoever waits for a message gets None."""
        self._ended = True
        while self._readers:
            reader = self._readers.popleft()
            if not reader.done():
                reader.set_result(None)
        if self._on_message_callback is not None:
            self._on_message_callback(None)

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """A callback has raised this."""
        app_log.error("Uncaught exception %s", value, exc_info=value)


def websocket_connect(
    url: str | HTTPRequest,
    callback: "Callable[[Future[WebSocketClientConnection]], None] | None" = None,
    connect_timeout: float | None = None,
    on_message_callback: MessageCallback | None = None,
    compression_options: dict[str, Any] | None = None,
    ping_interval: float | None = None,
    ping_timeout: float | None = None,
    max_message_size: int = MAX_MESSAGE_SIZE,
    subprotocols: list[str] | None = None,
    resolver: Resolver | None = None,
) -> "Future[WebSocketClientConnection]":
    """Open a WebSocket to a server.

        async def main():
            ws = await websocket_connect("wss://example.com/feed")
            await ws.write_message("Hello")
            while (message := await ws.read_message()) is not None:
                print(message)

    Args:
        url: A URL with ws or wss, or an `HTTPRequest` for one, whose headers, credentials,
            certificates, proxy and `connect_timeout` are those of the connection.
        callback: Called with the future that is returned (deprecated: await it).
        connect_timeout: Seconds until the connection has to be open; 20 by default.
        on_message_callback: Called with each message, and with None when the connection is
            closed, instead of `read_message`. If it is a coroutine function, messages wait.
        compression_options: Offer compression, with the options of
            `WebSocketHandler.get_compression_options`; None not to.
        ping_interval: Seconds between pings; None for no pings.
        ping_timeout: Seconds in which something has to come after a ping; then the connection is
            closed. None for `ping_interval`, 0 for ever.
        max_message_size: Bytes that a message may have; over it the connection is closed with 1009.
        subprotocols: What is offered, the best first: see
            `WebSocketClientConnection.selected_subprotocol`.
        resolver: What looks up the host's name.

    Returns:
        A future of the connection.

    Raises:
        ValueError: `connect_timeout` is given beside an `HTTPRequest`. (What follows comes from
            the future.) Also if the URL is none of a WebSocket.
        HTTPClientError: The server answers with an error or a redirect.
        WebSocketError: The server answers, but not with a WebSocket.
        OSError: The network failed.
    """
    if isinstance(url, HTTPRequest):
        if connect_timeout is not None:
            raise ValueError("give connect_timeout to the HTTPRequest")
        request = url
    else:
        request = HTTPRequest(url, connect_timeout=connect_timeout)
    connection = WebSocketClientConnection(
        request,
        on_message_callback=on_message_callback,
        compression_options=compression_options,
        ping_interval=ping_interval,
        ping_timeout=ping_timeout,
        max_message_size=max_message_size,
        subprotocols=subprotocols,
        resolver=resolver,
    )
    if callback is not None:
        from typhoon.legacy.websocket_callback import call_when_open

        call_when_open(connection.io_loop, connection.connect_future, callback)
    return connection.connect_future
