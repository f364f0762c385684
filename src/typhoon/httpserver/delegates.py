"""How requests reach what `HTTPServer` was given."""

from collections.abc import Awaitable, Callable
from typing import Any

from typhoon.http1connection.decoding import (
    REQUEST_CODINGS,
    CompressedBodyError,
    consume_codings,
)
from typhoon.http1connection.decompression import Decompressor
from typhoon.httpserver.context import RequestContext
from typhoon.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    HTTPServerRequest,
    RequestStartLine,
    ResponseStartLine,
)

OnRequest = Callable[[HTTPServerRequest], Any]
OnHead = Callable[[HTTPServerRequest], HTTPMessageDelegate | None]


class CallableDelegate(HTTPMessageDelegate):
    """Calls a function with the request once its body is there."""

    def __init__(self, function: OnRequest, server_conn: object, request_conn: Any) -> None:
        self.function = function
        self.server_conn = server_conn
        self.request_conn = request_conn
        self.chunks: list[bytes] = []

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> None:
        self.request = HTTPServerRequest(
            connection=self.request_conn,
            server_connection=self.server_conn,
            start_line=start_line,
            headers=headers,
        )

    def data_received(self, chunk: bytes) -> None:
        self.chunks.append(chunk)

    def finish(self) -> None:
        self.request.body = b"".join(self.chunks)
        self.function(self.request)

    def on_connection_close(self) -> None:
        self.chunks.clear()


def head_listener(server_delegate: HTTPServerConnectionDelegate) -> OnHead:
    """Tells a delegate of each request's head; what it makes of it takes the body."""

    def on_head(request: HTTPServerRequest) -> HTTPMessageDelegate:
        connection = request.connection
        delegate = server_delegate.start_request(connection, connection)
        start_line = RequestStartLine(request.method, request.uri, request.version)
        waiting = delegate.headers_received(start_line, request.headers)
        if waiting is not None:
            connection.hold(waiting)
        return delegate

    return on_head


def decompressing(on_request: OnRequest, on_head: OnHead | None, chunk_size: int) -> OnHead:
    """Puts a decompressor before whatever takes the body of a compressed request."""

    def on_head_decompressing(request: HTTPServerRequest) -> HTTPMessageDelegate | None:
        codings = consume_codings(request.headers, REQUEST_CODINGS)
        receiver = on_head(request) if on_head else None
        if not codings:
            return receiver
        receiver = receiver or _Collector(request, on_request)
        return _Decompressor(request, receiver, codings, chunk_size)

    return on_head_decompressing


class StreamListener(HTTPServerConnectionDelegate):
    """Stands between a stream's requests and the server's delegate.

    `on_close` hears of the end of connections. With `xheaders`, what a proxy says of the client is
    believed.
    """

    def __init__(
        self,
        server_delegate: HTTPServerConnectionDelegate,
        xheaders: bool,
        on_close: Callable[[Any], None],
    ) -> None:
        self.server_delegate = server_delegate
        self.xheaders = xheaders
        self.closed = on_close

    def start_request(self, server_conn: object, request_conn: Any) -> HTTPMessageDelegate:
        delegate = self.server_delegate.start_request(server_conn, request_conn)
        return _Forwarded(delegate, request_conn.context) if self.xheaders else delegate

    def on_close(self, server_conn: object) -> None:
        self.closed(server_conn)


class _Forwarded(HTTPMessageDelegate):
    """Reads who the client is in the headers of a request before its delegate does."""

    def __init__(self, delegate: HTTPMessageDelegate, context: RequestContext) -> None:
        self.delegate = delegate
        self.context = context
        self.data_received = delegate.data_received  # type: ignore[method-assign]
        self.finish = delegate.finish  # type: ignore[method-assign]
        self.on_connection_close = delegate.on_connection_close  # type: ignore[method-assign]

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        self.context._apply_xheaders(headers)
        return self.delegate.headers_received(start_line, headers)


class _Collector(HTTPMessageDelegate):
    """Gives the whole body to the request, and the request to its function."""

    def __init__(self, request: HTTPServerRequest, on_request: OnRequest) -> None:
        self.request = request
        self.on_request = on_request
        self.chunks: list[bytes] = []

    def data_received(self, chunk: bytes) -> None:
        self.chunks.append(chunk)

    def finish(self) -> None:
        self.request.body = b"".join(self.chunks)
        self.on_request(self.request)


class _Decompressor(Decompressor):
    """Decompresses the body of a request that the server's own protocol receives."""

    def __init__(
        self,
        request: HTTPServerRequest,
        receiver: HTTPMessageDelegate,
        codings: tuple[str, ...],
        chunk_size: int,
    ) -> None:
        connection = request.connection
        super().__init__(receiver, codings, lambda: connection.max_body_size, chunk_size)
        self.connection = connection

    async def _receive(self, chunk: bytes) -> None:
        try:
            await super()._receive(chunk)
        except CompressedBodyError as error:
            self._reject(error)

    def finish(self) -> None:
        try:
            super().finish()
        except CompressedBodyError as error:
            self._reject(error)

    def _reject(self, error: CompressedBodyError) -> None:
        self.on_connection_close()
        self.connection.reject(error.status, str(error))
