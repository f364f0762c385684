"""The connection that `websocket_connect` gives."""

import asyncio
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
from typhoon.httpclient.failures import located
from typhoon.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from typhoon.ioloop import IOLoop
from typhoon.iostream import IOStream
from typhoon.log import app_log
from typhoon.netutil import Resolver
from typhoon.simple_httpclient import HTTPTimeoutError
from typhoon.simple_httpclient.progress import NotingResolver, Progress
from typhoon.tcpclient import TCPClient
from typhoon.websocket.deflate import check_options
from typhoon.websocket.errors import WebSocketClosedError, WebSocketError
from typhoon.websocket.handshake import check_subprotocols, new_key, offered_subprotocols
from typhoon.websocket.opening import agreement, open_connection
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
        if subprotocols:
            check_subprotocols(subprotocols)
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
        self._own_resolver = Resolver() if resolver is None else None
        self.tcp_client = TCPClient(NotingResolver(resolver=resolver or self._own_resolver))
        self._subprotocols = subprotocols or offered_subprotocols(request.headers)
        self._on_message_callback = on_message_callback
        self._queued_size = 0
        self._readers: deque[Future[str | bytes | None]] = deque()
        self._closed = False
        self._ended = False
        loop = self.io_loop.asyncio_loop
        self._opened: Future[WebSocketClientConnection] | None = loop.create_future()
        self._opened.add_done_callback(self._given_up)
        self._progress = Progress(request)
        self._opening = loop.create_task(self.run())
        self._opening.add_done_callback(self._free)

    def __del__(self) -> None:
        if self.protocol is not None and not (self._closed or self._ended):
            warnings.warn(
                "a WebSocketClientConnection has not been closed: call its close()",
                ResourceWarning,
                source=self,
                stacklevel=2,
            )

    # Opening.

    @property
    def connect_future(self) -> "Future[WebSocketClientConnection]":
        """Done with this object once the connection is open, or with what went wrong."""
        if self._opened is not None:
            return self._opened
        future: Future[WebSocketClientConnection] = self.io_loop.asyncio_loop.create_future()
        future.set_result(self)
        return future

    async def run(self) -> None:
        """Open the connection; `connect_future` tells of the outcome."""
        request = self.request._with_defaults(HTTPRequest._DEFAULTS)
        request.decompress_response = False
        limit = asyncio.timeout(self._seconds_to_open(request) or None)
        try:
            async with limit:
                await open_connection(self, request, self.tcp_client, self._progress)
        except asyncio.CancelledError:
            self._refused(_closed_early())
            raise
        except Exception as error:
            if isinstance(error, TimeoutError) and limit.expired():
                self._refused(HTTPTimeoutError(f"Timeout {self._progress.phrase}"))
            else:
                self._refused(error)
        finally:
            # They refer to the task, and to the error, whose traceback refers to this frame.
            del limit, self

    def _seconds_to_open(self, request: HTTPRequest) -> float | None:
        """Seconds until the connection has to be open."""
        if self.request.request_timeout is None and self.request.connect_timeout is not None:
            return request.connect_timeout
        return request.request_timeout

    def _free(self, opening: "asyncio.Task[None]") -> None:
        """Opening has ended: close what it needed."""
        self.tcp_client.close()
        if self._own_resolver is not None:
            self._own_resolver.close()
            self._own_resolver = None

    def _given_up(self, opened: "Future[WebSocketClientConnection]") -> None:
        """If nobody waits any more for the connection to be open: close it."""
        if opened.cancelled():
            self.close()

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
        agreed, chosen = agreement(
            headers, self.key, self._subprotocols, self.params.compression_options is not None
        )
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

    def _refused(self, error: Exception) -> None:
        """There will be no connection, because of this."""
        self._ended = True
        self.protocol = None
        opened, progress = self._opened, self._progress
        if opened is None or opened.done():
            return
        if error.__suppress_context__:
            error.__context__ = None  # it may refer to the error that was raised in its place
        if not (isinstance(error, HTTPClientError) and error.response is not None):
            url = self.request.url
            opened.set_exception(located(error, "GET", url, progress.stage, progress.place))
        else:
            opened.set_exception(error)
        if self._closed:
            opened.exception()  # nobody has to ask

    def _switch(self, transport: asyncio.Transport, unread: bytes) -> None:
        """The server has switched: let the protocol go on with the connection."""
        protocol, opened = self.protocol, self._opened
        if protocol is None or opened is None or opened.done():
            transport.abort()
            return
        protocol.connection_made(transport)
        transport.set_protocol(protocol)  # type: ignore[arg-type]
        protocol.start_pinging()
        opened.set_result(self)
        self._opened = None  # it refers to this object
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
            self._refused(_closed_early())
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
            last = self._on_message_callback(None)
            if last is not None and self.protocol is not None:
                self.protocol._hold(last)

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """A callback has raised this."""
        app_log.error("Uncaught exception %s", value, exc_info=value)


def _closed_early() -> WebSocketClosedError:
    return WebSocketClosedError("the WebSocket was closed before it was open")
