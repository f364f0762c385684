"""One run of a WSGI application: the server's half of PEP 3333."""

import asyncio
import concurrent.futures
import contextlib
import contextvars
import re
import threading
from collections.abc import Callable, Generator, Iterable
from types import TracebackType
from typing import Any
from wsgiref.util import is_hop_by_hop

from typhoon._core import __version__
from typhoon.httputil import (
    HTTPHeaders,
    HTTPInputError,
    HTTPServerRequest,
    ResponseStartLine,
)
from typhoon.iostream import StreamClosedError

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
StartResponse = Callable[..., Callable[[bytes], object]]
WSGIApp = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]

_STATUS = re.compile(r"([2-9][0-9]{2})(?: ([\x20-\x7e\xa0-\xff]*))?")


class Exchange:
    """A request, its response, and how far that has gone.

    | state | `start_response` | a piece of body |
    | --- | --- | --- |
    | not begun | sets status and headers | is an error |
    | begun | needs `exc_info`, and sets them anew | sends the head, too |
    | sent | raises what `exc_info` says | is sent |
    """

    def __init__(self, application: WSGIApp, request: HTTPServerRequest) -> None:
        self.application = application
        self.request = request
        self.status = 0
        self.reason = ""
        self.headers: HTTPHeaders | None = None
        self.is_head_sent = False
        self.whole: list[bytes] | None = None
        """The body, if the application has given all of it at once."""

    def run(self, environ: dict[str, Any]) -> Generator[bytes, None, None]:
        """Run the application; each piece of body is to be sent before it goes on."""
        result = self.application(environ, self.start_response)
        try:
            if isinstance(result, list | tuple) and not self.is_head_sent:
                self.whole = [self._checked(piece) for piece in result]
            else:
                for piece in result:
                    if self._checked(piece):
                        yield piece
                if not self.is_head_sent:
                    self.whole = []
            self._begun()
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], object]:
        """What the application is given to begin the response."""
        if exc_info is not None:
            try:
                if self.is_head_sent and exc_info[1] is not None:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # a frame that it refers to refers to this one
        elif self.headers is not None:
            raise RuntimeError(
                f"{self._who} called start_response twice; "
                "after an error it has to give exc_info the second time"
            )
        match = _STATUS.fullmatch(status) if isinstance(status, str) else None
        if match is None:
            raise ValueError(
                f"{self._who} called start_response with the status {status!r}; "
                "it is a str like '200 OK'"
            )
        checked = HTTPHeaders()
        for name, value in headers:
            if is_hop_by_hop(name):
                raise ValueError(
                    f"{self._who} set the header {name}, which is for the server to set"
                )
            try:
                checked.add(name, value)
            except HTTPInputError as error:
                raise ValueError(f"{self._who} set the header {name!r}: {error}") from None
        self.status, self.reason = int(match[1]), match[2] or ""
        self.headers = checked
        return self._write_checked

    def _write_checked(self, data: bytes) -> None:
        if self._checked(data):
            self._write(data)

    def _write(self, data: bytes) -> None:
        # What is called by the application cannot wait in the event loop.
        self.send(data)

    def _checked(self, piece: object) -> bytes:
        if not isinstance(piece, bytes):
            raise TypeError(
                f"{self._who} gave {type(piece).__name__} as a piece of its response; it is bytes"
            )
        return piece

    def _begun(self) -> HTTPHeaders:
        if self.headers is None:
            raise RuntimeError(f"{self._who} did not call start_response")
        return self.headers

    @property
    def _who(self) -> str:
        name = (
            getattr(self.application, "__qualname__", None) or type(self.application).__qualname__
        )
        return f"The WSGI application {name}"

    # In the event loop.

    def send(self, piece: bytes) -> "asyncio.Future[None]":
        """Send a piece of body. Await it for backpressure."""
        connection = self.request.connection
        if self.is_head_sent:
            return connection.write(piece)  # type: ignore[no-any-return]
        headers = self._complete_headers()
        start_line = ResponseStartLine("", self.status, self.reason)
        sent: asyncio.Future[None] = connection.write_headers(start_line, headers, piece)
        self.is_head_sent = True
        return sent

    def finish(self) -> None:
        """The application is through: send what is left."""
        connection = self.request.connection
        if self.whole is None:
            connection.finish()
        else:
            headers = self._complete_headers()
            connection.respond(self.status, self.reason, headers, self.whole)
            self.is_head_sent = True

    def _complete_headers(self) -> HTTPHeaders:
        headers = self._begun()
        if "Server" not in headers:
            headers["Server"] = f"TyphoonServer/{__version__}"
        if "Content-Type" not in headers and self.status not in (204, 304):
            headers["Content-Type"] = "text/html; charset=UTF-8"
        return headers


class ThreadedExchange(Exchange):
    """An exchange whose application runs in another thread than the event loop."""

    def __init__(
        self,
        application: WSGIApp,
        request: HTTPServerRequest,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(application, request)
        self._loop = loop
        self._lock = threading.Lock()
        self._pending: concurrent.futures.Future[None] | None = None
        self._is_abandoned = False

    async def run_in(self, executor: concurrent.futures.Executor, environ: dict[str, Any]) -> None:
        """Run the application in one thread of an executor to its end."""
        try:
            context = contextvars.copy_context()
            await self._loop.run_in_executor(executor, context.run, self._run_through, environ)
        finally:
            self._abandon()

    def _run_through(self, environ: dict[str, Any]) -> None:
        with contextlib.closing(self.run(environ)) as pieces:
            for piece in pieces:
                self._write(piece)

    def _write(self, data: bytes) -> None:
        """Have the event loop send a piece; wait until there is room for the next one."""
        sent: concurrent.futures.Future[None] = concurrent.futures.Future()
        with self._lock:
            if self._is_abandoned:
                raise StreamClosedError
            self._pending = sent
            self._loop.call_soon_threadsafe(self._send_for, data, sent)
        try:
            sent.result()
        finally:
            # It keeps its error, whose traceback refers to this frame.
            self._pending = None
            del sent

    def _send_for(self, piece: bytes, sent: "concurrent.futures.Future[None]") -> None:
        def tell(future: "asyncio.Future[None]") -> None:
            error = future.exception()
            if not sent.done():
                sent.set_exception(error) if error else sent.set_result(None)

        if sent.done():
            return
        try:
            future = self.send(piece)
        except Exception as error:
            sent.set_exception(error)
            return
        if future.done():
            tell(future)
        else:
            future.add_done_callback(tell)

    def _abandon(self) -> None:
        """Nobody sends any more: the thread shall not wait for it."""
        with self._lock:
            self._is_abandoned = True
            if self._pending is not None and not self._pending.done():
                self._pending.set_exception(StreamClosedError())
