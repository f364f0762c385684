"""How requests reach what `HTTPServer` was given."""

import zlib
from collections.abc import Awaitable, Callable
from typing import Any

from typhoon.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    HTTPServerRequest,
    RequestStartLine,
    ResponseStartLine,
)
from typhoon.log import gen_log

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


def decompressing(on_request: OnRequest, on_head: OnHead | None) -> OnHead:
    """Puts a decompressor before whatever takes the body of a compressed request."""

    def on_head_decompressing(request: HTTPServerRequest) -> HTTPMessageDelegate | None:
        coding = request.headers.get("Content-Encoding", "").lower()
        if coding not in ("gzip", "deflate"):
            return on_head(request) if on_head else None
        request.headers.add("X-Consumed-Content-Encoding", coding)
        del request.headers["Content-Encoding"]
        receiver = on_head(request) if on_head else None
        return _Decompressor(request, receiver or _Collector(request, on_request))

    return on_head_decompressing


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


class _Decompressor(HTTPMessageDelegate):
    """Decompresses a body piece by piece, up to the limit for bodies."""

    PIECE = 64 * 1024

    def __init__(self, request: HTTPServerRequest, receiver: HTTPMessageDelegate) -> None:
        self.request = request
        self.receiver = receiver
        self.length = 0
        self.inflate = zlib.decompressobj(32 + zlib.MAX_WBITS)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        return self._receive(chunk)

    async def _receive(self, chunk: bytes) -> None:
        while chunk:
            try:
                piece = self.inflate.decompress(chunk, self.PIECE)
            except zlib.error as error:
                self._reject(400, f"malformed compressed body: {error}")
                return
            chunk = self.inflate.unconsumed_tail
            self.length += len(piece)
            if self.length > self.request.connection.max_body_size:
                self._reject(413, "decompressed body too large")
                return
            if piece and (waiting := self.receiver.data_received(piece)) is not None:
                await waiting

    def _reject(self, status: int, message: str) -> None:
        self.receiver.on_connection_close()
        self.request.connection.reject(status, message)

    def finish(self) -> None:
        if not self.inflate.eof:
            gen_log.info("Compressed request body is truncated")
            self._reject(400, "truncated compressed body")
            return
        self.receiver.finish()

    def on_connection_close(self) -> None:
        self.receiver.on_connection_close()
