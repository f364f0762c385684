"""A body that the application produces while it is sent."""

import asyncio
import contextvars
from collections.abc import Callable
from typing import Any

from typhoon.curl_httpclient.libcurl import pycurl
from typhoon.httpclient.request import HTTPRequest


class Upload:
    """Runs a `body_producer` and lets libcurl read what it writes: one chunk is held at a time.

    Args:
        curl: The transfer that it belongs to.
        request: The request; a Content-Length in its headers is libcurl's limit.
        resume: Called when libcurl has to go on.

    Attributes:
        error: What the producer raised, if it did.
        complete: Whether the producer is done.
    """

    def __init__(self, curl: Any, request: HTTPRequest, resume: Callable[[], None]) -> None:
        self.error: BaseException | None = None
        self.complete = False
        self._producer = request.body_producer
        self._resume_transfer = resume
        self._task: asyncio.Task[None] | None = None
        self._unsent = memoryview(b"")
        self._sent: asyncio.Future[None] | None = None
        self._paused = False
        if (length := request.headers.get("Content-Length")) is not None:
            size = pycurl.POSTFIELDSIZE_LARGE if request.method == "POST" else None
            curl.setopt(size or pycurl.INFILESIZE_LARGE, int(length))
        curl.setopt(pycurl.READFUNCTION, self._read)

    def start(self, loop: asyncio.AbstractEventLoop, context: contextvars.Context) -> None:
        """Begin to produce."""
        self._task = loop.create_task(self._produce(), context=context)

    def stop(self) -> None:
        """The transfer is over: nothing will be read any more."""
        self.complete = True
        if self._task is not None:
            self._task.cancel()

    async def _produce(self) -> None:
        try:
            if self._producer is not None and (result := self._producer(self._write)) is not None:
                await result
        except Exception as error:
            self.error = error
        if not self.complete:
            self.complete = True
            self._resume()

    async def _write(self, chunk: bytes) -> None:
        """Send `chunk`; what the producer is given."""
        while self._sent is not None:
            await asyncio.wait([self._sent])  # another write
        if not chunk:
            return
        self._unsent = memoryview(chunk)
        self._sent = asyncio.get_running_loop().create_future()
        self._resume()
        try:
            await self._sent
        finally:
            self._sent = None

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            self._resume_transfer()

    def _read(self, size: int) -> bytes | int:
        """libcurl wants more."""
        if self.error is not None:
            return int(pycurl.READFUNC_ABORT)
        if not self._unsent:
            if self.complete:
                return b""
            self._paused = True
            return int(pycurl.READFUNC_PAUSE)
        piece, self._unsent = bytes(self._unsent[:size]), self._unsent[size:]
        if not self._unsent and self._sent is not None and not self._sent.done():
            self._sent.set_result(None)
        return piece
