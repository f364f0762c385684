"""The half of a connection that writes."""

import asyncio
from typing import TYPE_CHECKING

from typhoon._core import HTTP1Codec
from typhoon.http1connection.message import done, lost, retrieve
from typhoon.http1connection.parameters import HTTP1ConnectionParameters
from typhoon.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPOutputError,
    RequestStartLine,
    ResponseStartLine,
)
from typhoon.iostream import StreamClosedError

if TYPE_CHECKING:
    from typhoon.iostream import IOStream


class MessageWriter(HTTPConnection):
    """Writes requests or responses to a stream."""

    stream: "IOStream"
    """The stream, None once it has been detached."""

    def __init__(
        self, stream: "IOStream", is_client: bool, params: HTTP1ConnectionParameters
    ) -> None:
        self.stream = stream
        self.is_client = is_client
        self.params = params
        self.no_keep_alive = params.no_keep_alive
        self._codec = new_codec(stream, is_client, params)
        self._in_body = False  # some of the message that is read has not come
        self._response_complete = False
        self._last_write: asyncio.Future[None] | None = None

    @property
    def is_closed(self) -> bool:
        """Whether the peer cannot be reached any more."""
        return self.stream is None or self.stream.closed()

    def close(self) -> None:
        """Close the stream; what has not been sent is lost."""
        raise NotImplementedError

    def write_headers(
        self,
        start_line: RequestStartLine | ResponseStartLine,
        headers: HTTPHeaders,
        chunk: bytes | None = None,
    ) -> "asyncio.Future[None]":
        """Write a head, and the first piece of its body with it.

        A response without a Content-Length is written in chunks, and so is the body of a POST, PUT
        or PATCH request.

        Raises `ValueError` for control characters and malformed lengths, and `HTTPOutputError` for
        a second head or more data than the Content-Length says. Awaiting what it returns raises
        `StreamClosedError` if the peer has gone.
        """
        if self.is_closed:
            return lost()
        if self.is_client:
            if not isinstance(start_line, RequestStartLine):
                raise TypeError("a client sends requests: give a RequestStartLine")
            if self.no_keep_alive and "Connection" not in headers:
                headers = headers.copy()
                headers["Connection"] = "close"
            method, target, _ = start_line
            return self._send(self._codec.send_request(method, target, headers, chunk))
        if self._response_complete:
            raise HTTPOutputError("the response is complete already")
        if not isinstance(start_line, ResponseStartLine):
            raise TypeError("a server sends responses: give a ResponseStartLine")
        _, status, reason = start_line
        return self._send(self._codec.send_response(status, reason, headers, chunk))

    def write(self, chunk: bytes) -> "asyncio.Future[None]":
        """Write a piece of the body.

        `HTTPOutputError` if it is more than the Content-Length says. Awaiting what it returns
        raises `StreamClosedError` if the peer has gone.
        """
        if self.is_closed:
            return lost()
        if self._response_complete:
            raise HTTPOutputError("the response is complete already")
        return self._send(self._codec.send_data(chunk))

    def finish(self) -> None:
        """The message is complete. `HTTPOutputError` if it is less than its Content-Length says."""
        if self.is_closed:
            return
        if self._response_complete:
            raise HTTPOutputError("the response is complete already")
        try:
            data = self._codec.send_end()
        except HTTPOutputError:
            self.close()
            raise
        self._send(data)
        if not self.is_client:
            self._response_complete = True
            self._response_finished()

    def _response_finished(self) -> None:
        """Servers: the response is complete."""

    def respond(self, status: int, reason: str, headers: HTTPHeaders, chunks: list[bytes]) -> None:
        if self._in_body and self._codec.expects_head:
            self._codec.close_after()
        super().respond(status, reason, headers, chunks)

    def drained(self) -> "asyncio.Future[None]":
        """Done once all that has been written is on its way."""
        if self.is_closed:
            return lost()
        return self._last_write or done()

    def _send(self, data: bytes) -> "asyncio.Future[None]":
        if self.stream is None:
            return lost()
        if not data:
            return done()
        try:
            future = self.stream.write(data)
        except StreamClosedError as error:
            return lost(error)
        future.add_done_callback(retrieve)
        self._last_write = future
        return future

    async def _flushed(self) -> None:
        future, self._last_write = self._last_write, None
        if future is not None:
            await future


def new_codec(stream: "IOStream", is_client: bool, params: HTTP1ConnectionParameters) -> HTTP1Codec:
    """The native core for a connection with these settings."""
    return HTTP1Codec(
        is_client=is_client,
        max_header_size=params.max_header_size,
        max_body_size=max_body_size(params, stream),
    )


def max_body_size(params: HTTP1ConnectionParameters, stream: "IOStream") -> int:
    limit = params.max_body_size
    return stream.max_buffer_size if limit is None else limit
