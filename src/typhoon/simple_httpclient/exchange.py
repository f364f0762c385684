"""One request and its response, over a connection that is there."""

import asyncio
import inspect
from collections.abc import Awaitable
from typing import Final

from typhoon.http1connection import HTTP1Connection
from typhoon.httpclient.failures import Stage
from typhoon.httpclient.request import HTTPRequest
from typhoon.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from typhoon.iostream import IOStream, StreamClosedError
from typhoon.log import app_log
from typhoon.simple_httpclient.errors import (
    HTTPIncompleteResponseError,
    HTTPStreamClosedError,
    refused,
)
from typhoon.simple_httpclient.progress import Progress
from typhoon.simple_httpclient.redirects import is_followed

_CONTINUE_TIMEOUT: Final = 1.0
"""Seconds to wait for 100 (Continue), after which the body is sent all the same; as curl does.
A server from before HTTP/1.1 never sends it (RFC 9110 §10.1.1)."""


class Exchange(HTTPMessageDelegate):
    """Sends a request and takes in the response.

    Attributes:
        start_line: The response's first line.
        headers: The response's headers.
        chunks: The response's body, unless it went to a callback.
        followed: Whether the response is a redirect that the client will follow.
    """

    start_line: ResponseStartLine
    headers: HTTPHeaders

    def __init__(
        self,
        request: HTTPRequest,
        stream: IOStream,
        connection: HTTP1Connection,
        progress: Progress,
    ) -> None:
        self._request = request
        self._stream = stream
        self._connection = connection
        self._progress = progress
        self._wants_body = asyncio.Event()
        self._complete = False
        self.chunks: list[bytes] = []
        self.followed = False

    async def run(self, path: str, headers: HTTPHeaders) -> None:
        """Do it.

        Args:
            path: The request target.
            headers: All headers of the request.

        Raises:
            HTTPStreamClosedError: The connection was closed too early, or the response is wrong.
            OSError: The network failed.
        """
        request, connection = self._request, self._connection
        line = RequestStartLine(request.method, path, "HTTP/1.1")
        waits = request.expect_100_continue and "Expect" in headers
        try:
            connection.write_headers(line, headers, None if waits else request.body)
            if waits or request.body_producer is not None:
                await self._send_while_reading(waits)
            else:
                connection.finish()
                await connection.read_response(self)
        except StreamClosedError as error:
            raise error.real_error or HTTPStreamClosedError() from None
        except asyncio.CancelledError as error:
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            # Not this request was cancelled, but what a callback waited for.
            app_log.error("Uncaught exception", exc_info=error)
        if not self._complete:
            # The parser or a callback had a reason, which it has logged, or else the network.
            raise self._reason()

    def _reason(self) -> BaseException:
        if self._connection._codec.error is not None:
            return refused(*self._connection._codec.error)
        if self._stream.error is not None:
            return self._stream.error
        if self._progress.stage is Stage.BODY:
            return HTTPIncompleteResponseError()
        return HTTPStreamClosedError()

    async def _send_while_reading(self, waits: bool) -> None:
        """Send the body; a response that comes meanwhile ends that."""
        reading = asyncio.ensure_future(self._connection.read_response(self))
        sending = asyncio.ensure_future(self._send_body(waits))
        try:
            await asyncio.wait((reading, sending), return_when=asyncio.FIRST_COMPLETED)
            if sending.done() and not reading.done():
                sending.result()
            await reading
        finally:
            for task in (reading, sending):
                if not task.done():
                    task.cancel()
                elif not task.cancelled():
                    task.exception()  # the response, or the first error, tells more
            await asyncio.wait((reading, sending))

    async def _send_body(self, waits: bool) -> None:
        if waits:
            try:
                await asyncio.wait_for(self._wants_body.wait(), _CONTINUE_TIMEOUT)
            except TimeoutError:
                pass
        if self._request.body_producer is not None:
            result = self._request.body_producer(self._connection.write)
            if result is not None:
                await result
        elif self._request.body is not None:
            await self._connection.write(self._request.body)
        self._connection.finish()

    # What the connection tells

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> None:
        """The head has come."""
        if not isinstance(start_line, ResponseStartLine):
            raise TypeError(f"{start_line!r} does not begin a response")
        if start_line.code < 200:
            self._wants_body.set()
            return
        self._progress.enter(Stage.BODY, after="starttransfer")
        self.start_line = start_line
        self.headers = headers
        self.followed = is_followed(self._request, start_line.code, headers)
        header_callback = self._request.header_callback
        if header_callback is not None and not self.followed:
            header_callback(f"{start_line.version} {start_line.code} {start_line.reason}\r\n")
            for name, value in headers.get_all():
                header_callback(f"{name}: {value}\r\n")
            header_callback("\r\n")

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """A piece of the body has come."""
        if self.followed:
            return None
        streaming_callback = self._request.streaming_callback
        if streaming_callback is None:
            self.chunks.append(chunk)
            return None
        result = streaming_callback(chunk)
        return result if inspect.isawaitable(result) else None

    def finish(self) -> None:
        """All of it has come."""
        self._complete = True

    def on_connection_close(self) -> None:
        """The connection is gone; `run` sees that it was too early."""
