"""What a connection needs of the event loop; HTTP itself is the native core's."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

from typhoon import _core
from typhoon.http1connection.message import log_malformed, refusal
from typhoon.httpserver.clientstream import ClientStream
from typhoon.httpserver.context import RequestContext
from typhoon.httpserver.sendfile import send_file
from typhoon.httpserver.takeover import take_over
from typhoon.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPServerRequest,
    RequestStartLine,
    ResponseStartLine,
)
from typhoon.iostream import IOStream, StreamClosedError
from typhoon.log import app_log, gen_log

if TYPE_CHECKING:
    from typhoon.httpserver.server import HTTPServer


class Successor(Protocol):
    """An asyncio protocol that goes on with a connection in place of HTTP."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...

    def pause_writing(self) -> None: ...

    def shut_down(self) -> None:
        """Close in order: the server stops."""

    def abort(self) -> None:
        """Close at once."""


class HTTP1ServerConnection(_core.ServerConnection, HTTPConnection):
    """One connection to a client: an asyncio protocol, and the `HTTPConnection` of its requests."""

    __slots__ = (
        "_bucket",
        "_context",
        "_file_lost",
        "_held_by",
        "_server",
        "_shut_down_callback",
        "_waiters",
    )

    _server: "HTTPServer"

    def __new__(cls, server: "HTTPServer") -> "HTTP1ServerConnection":
        return super().__new__(cls, server._settings)

    def __init__(self, server: "HTTPServer") -> None:
        self._server = server
        self._bucket = 0
        self._context: RequestContext | None = None
        self._held_by: asyncio.Future[Any] | None = None
        self._file_lost: asyncio.Future[None] | None = None
        self._shut_down_callback: Callable[[], None] | None = None
        self._waiters: list[asyncio.Future[None]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not before: a TLS handshake that fails ends without a connection.
        self._server._connections.add(self)
        super().connection_made(transport)
        if self._server._is_ended:
            self.abort()

    # HTTPConnection: how responses are written.

    def write_headers(
        self,
        start_line: RequestStartLine | ResponseStartLine,
        headers: HTTPHeaders,
        chunk: bytes | None = None,
    ) -> "asyncio.Future[None]":
        """Send the head of a response. Without a Content-Length the body is sent in chunks."""
        if not isinstance(start_line, ResponseStartLine):
            raise TypeError("a server sends responses, not requests")
        self.send_head(start_line.code, start_line.reason, headers, chunk)
        return self._written()

    def write(self, chunk: bytes) -> "asyncio.Future[None]":
        """Send a piece of the body."""
        self.send_data(chunk)
        return self._written()

    def finish(self) -> None:
        """The response is complete."""
        self.send_end()

    async def send_file(self, fd: int, offset: int, count: int) -> None:
        """Send a part of a file as (a piece of) the body, in the kernel where that is possible.

        `count` bytes from `offset` on of what is open as `fd`, which stays open. The head has to
        have a Content-Length. Raises `StreamClosedError` if not all of it could be sent; the
        connection is closed then.
        """
        if not self._data_elsewhere(count):
            return
        transport = self.transport
        if transport is None:
            raise StreamClosedError
        self._file_lost = lost = self._server._loop.create_future()
        try:
            await send_file(transport, fd, offset, count, lost=lost, drain=self.drained)
        except ConnectionError as error:
            self.abort()
            raise StreamClosedError(error) from error
        except (OSError, EOFError) as error:
            gen_log.error("Could not send a file whole to %s: %s", self.context, error)
            self.abort()
            raise StreamClosedError(error) from error
        except BaseException:
            self.abort()
            raise
        finally:
            self._file_lost = None

    def drained(self) -> "asyncio.Future[None]":
        """Done once the transport's buffer is below its high-water mark.

        Raises `StreamClosedError` if the client has gone.
        """
        if self._waiters is None and self.transport is not None:
            return self._server._done
        return self._wait()

    def _written(self) -> "asyncio.Future[None]":
        transport = self.transport
        if self._waiters is None and transport is not None:
            if not transport.is_closing():
                return self._server._done
            # Who goes on to write has to let the loop find out that the client has gone.
            self._waiters = []
        return self._wait()

    def _wait(self) -> "asyncio.Future[None]":
        future = self._server._loop.create_future()
        if self._waiters is not None:
            self._waiters.append(future)
        else:
            future.set_exception(StreamClosedError())
            future.exception()  # not awaiting a flush is fine
        return future

    # asyncio: backpressure of the transport.

    def pause_writing(self) -> None:
        if self._waiters is None:
            self._waiters = []
        self._set_choked(True)

    def resume_writing(self) -> None:
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)
        self._set_choked(False)

    # Backpressure of the application.

    def hold(self, awaitable: Awaitable[Any], then: Callable[[], Any] | None = None) -> None:
        """Receive no more of the request's body until this is done; go on with `then`."""
        self._set_held(True)
        self._held_by = asyncio.ensure_future(awaitable, loop=self._server._loop)
        self._held_by.add_done_callback(functools.partial(self._release, then))

    def _release(self, then: Callable[[], Any] | None, future: "asyncio.Future[Any]") -> None:
        self._held_by = None
        try:
            future.result()
            if then is not None:
                then()
        except asyncio.CancelledError:
            self.abort()
        except Exception as error:
            self._failed(error)
        self._set_held(False)

    # The client.

    @property
    def context(self) -> RequestContext:
        """The client's address and protocol, as the connection itself has them."""
        if self._context is None:
            server = self._server
            self._context = RequestContext.of_transport(
                self.transport, server.protocol, server.trusted_downstream
            )
        return self._context

    def context_of(self, request: HTTPServerRequest) -> RequestContext:
        """The client's address and protocol, from a proxy's headers if they are believed."""
        context = self.context
        if self._server.xheaders:
            context._apply_xheaders(request.headers)
        return context

    @property
    def stream(self) -> ClientStream:
        """The stream below: `write` past HTTP, `closed`, `close`, `socket`, `set_nodelay`."""
        return ClientStream(self)

    def get_ssl_certificate(self, binary_form: bool = False) -> dict[str, Any] | bytes | None:
        """The client's certificate; None on plain connections and if it sent none."""
        ssl_object = self.transport and self.transport.get_extra_info("ssl_object")
        return ssl_object.getpeercert(binary_form) if ssl_object else None

    # Ends.

    @property
    def is_closed(self) -> bool:
        """Whether the client cannot be reached any more."""
        return self.transport is None

    def close(self) -> None:
        """Close once all that has been written is on its way."""
        if self.transport is not None:
            self.transport.close()

    def shut_down(self) -> None:
        """The server stops: close, but let a response end that would go on without an end."""
        if self._shut_down_callback is None:
            self.close()
        else:
            self.close_after_response()
            self._shut_down_callback()

    def set_shut_down_callback(self, callback: Callable[[], None] | None) -> None:
        """Call this in place of closing when the server stops: it ends the response at once."""
        self._shut_down_callback = callback

    def abort(self) -> None:
        """Close at once; what has not been sent is lost."""
        if self.transport is not None:
            self.transport.abort()

    def detach(self) -> IOStream:
        """Take the connection away from HTTP, after an upgrade for instance.

        Returns a stream, from which the bytes that have come behind the request are read first.
        `RuntimeError` if the connection is closed.
        """
        transport = self.transport
        self._context = self.context  # what knows the client's address goes
        unread = self._detach()
        self._lost()
        return take_over(transport, unread, self._server.max_buffer_size)

    def hand_over(self, successor: Successor) -> tuple[bytes, Callable[[Successor], None]]:
        """Let another asyncio protocol go on with the transport, in place of HTTP.

        Returns the bytes that have come behind the request, and a function that the successor
        calls with itself in the end. `RuntimeError` if the connection is closed.
        """
        transport, server, choked = self.transport, self._server, self._waiters is not None
        _ = self.context  # the handler may ask for it later
        unread = self._detach()
        server._connections.add(successor)
        self._lost()
        successor.connection_made(transport)
        transport.set_protocol(successor)
        if choked:
            successor.pause_writing()
        if not transport.is_reading():
            transport.resume_reading()
        return unread, server._successor_lost

    # What the core asks for.

    def _watch(self, seconds: float) -> None:
        deadlines = self._server._deadlines
        deadlines.discard(self, self._bucket)
        self._bucket = deadlines.add(self, seconds)

    def _expire(self) -> None:
        seconds = super()._expire()
        if seconds is not None:
            self._bucket = self._server._deadlines.add(self, seconds)

    def _close_idle(self) -> None:
        # A client that does not read its last response is not waited for any longer.
        if self._waiters is None:
            self.close()
        else:
            self.abort()

    def _pump_soon(self) -> None:
        self._server._loop.call_soon(self._pump)

    def _lost(self) -> None:
        self._server._deadlines.discard(self, self._bucket)
        if self._file_lost is not None:
            self._file_lost.set_result(None)
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_exception(StreamClosedError())
                waiter.exception()
        self._server._connection_lost(self)

    def _reject(self, status: int, message: str, can_answer: bool) -> None:
        """The client broke the rules, a limit or a deadline."""
        log_malformed(self.context, status, message)
        if can_answer:
            self._answer(status, message)
        else:
            self.abort()

    def _application_failed(self, error: BaseException, can_answer: bool) -> None:
        """The callable or delegate that the server was given raised an exception."""
        app_log.error("Uncaught exception", exc_info=error)
        if can_answer:
            self._answer(500, "the application failed")
        elif self.is_busy:
            self.abort()

    def _answer(self, status: int, message: str) -> None:
        reason, headers, body = refusal(status, message)
        self.close_after_response()
        self.respond(status, reason, headers, [body])
