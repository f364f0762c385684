"""`Connection`: what a native connection to a server needs of the event loop."""

import asyncio
from collections.abc import Awaitable
from typing import Any, Final

from typhoon._core import ClientConnection
from typhoon.httputil import HTTPHeaders
from typhoon.simple_httpclient.errors import CLOSED, HTTPStreamClosedError

Reply = tuple[str, int, str, HTTPHeaders, bytes, float]
"""A response: version, status code, reason, headers, body, and when its head came, on the clock of
`time.monotonic`."""

MAX_HEADER_SIZE: Final = 65536
"""Bytes of a head by default: as servers have it here."""


class Connection(ClientConnection, asyncio.BufferedProtocol):
    """One HTTP/1.1 connection to a server.

    Args:
        max_header_size: Bytes that the head of a response may have.
        max_body_size: Bytes that its body may have.
    """

    _holder: "asyncio.Future[Any] | None" = None
    _writers: "list[asyncio.Future[None]] | None" = None

    def __init__(self, *, max_header_size: int, max_body_size: int) -> None:
        self._loop = asyncio.get_running_loop()

    def write(self, chunk: bytes) -> "asyncio.Future[None]":
        """Send more of the request's body; await it for backpressure.

        Raises:
            HTTPOutputError: It is more than the Content-Length says.
        """
        future = self._loop.create_future()
        transport = self.transport
        if transport is None or transport.is_closing():
            future.set_exception(HTTPStreamClosedError(CLOSED))
            future.exception()  # not to await it is fine
            return future
        self.send_data(chunk)
        if self._is_choked:
            if self._writers is None:
                self._writers = []
            self._writers.append(future)
        else:
            future.set_result(None)
        return future

    def abort(self) -> None:
        """Close the connection at once, and stop the callback that works on what has come."""
        if self._holder is not None:
            self._holder.cancel()
        super().abort()

    # What the native part calls

    def _resumed(self) -> None:
        writers, self._writers = self._writers, None
        for writer in writers or ():
            if not writer.done():
                writer.set_result(None)

    def _hold(self, awaitable: Awaitable[Any]) -> None:
        """Hand out nothing more until this is done."""
        self._set_held(True)
        self._holder = asyncio.ensure_future(awaitable, loop=self._loop)
        self._holder.add_done_callback(self._release)

    def _release(self, holder: "asyncio.Future[Any]") -> None:
        self._holder = None
        if holder.cancelled():
            self._fail(HTTPStreamClosedError("The streaming_callback was cancelled"))
        elif (error := holder.exception()) is not None:
            self._fail(error)
            del error  # whose traceback may refer to this frame
        self._set_held(False)
