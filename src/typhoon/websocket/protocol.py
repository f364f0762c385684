"""The protocol itself: what a connection needs of the event loop; frames are the native core's.

| what happens | what is done | how it ends |
| --- | --- | --- |
| `close` is called | Close is sent | the peer's Close, or `CLOSE_TIMEOUT` |
| the peer's Close comes | Close is sent | the server closes the connection |
| the peer breaks the rules | Close is sent, our side shut | the peer closes, or `CLOSE_TIMEOUT` |
| the handler raises | the same, with 1011 | the same |
| a ping is not answered | as `close` | as `close` |
| the peer reads too slowly | as `close`, with 1013; what waits for it is thrown away | the same |
"""

import asyncio
import socket
import sys
import weakref
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from typhoon import _core
from typhoon.escape import json_encode, utf8
from typhoon.log import app_log, gen_log
from typhoon.websocket.deflate import Deflate, check_options
from typhoon.websocket.errors import WebSocketClosedError
from typhoon.websocket.handshake import accept_value
from typhoon.websocket.interface import WebSocketProtocol
from typhoon.websocket.parameters import WebSocketParams
from typhoon.websocket.pinging import deadlines_of, effective_timeout

if TYPE_CHECKING:
    from typhoon.httpserver.deadlines import Deadlines
    from typhoon.iostream import IOStream
    from typhoon.websocket.handler import WebSocketHandler
    from typhoon.websocket.stream import TransportStream

CLOSE_TIMEOUT = 5.0
"""Seconds that the peer has for its part of the closing handshake."""

GONE_TIMEOUT = 60.0
"""Seconds that messages of a peer that has gone wait for the handler, which is still at work on
one of them. Then they are thrown away, so that `on_close` is called whatever the handler does."""

STUCK_TIMEOUT = 60.0
"""Seconds that a peer may take nothing of what waits for it, in which our ping is, before it counts
as gone: where that is longer than the timeout for pings. A slow one has large buffers on its way,
and seems to take nothing for a while. (nginx's `send_timeout` is the same.)"""

_tasks: "set[asyncio.Future[Any]]" = set()
"""What handlers wait for: nobody else may hold it once a connection is gone."""


_done: "weakref.ref[asyncio.Future[None]] | None" = None


def _done_of(loop: asyncio.AbstractEventLoop) -> "asyncio.Future[None]":
    """A future of this loop that is done: one for all connections."""
    global _done
    done = None if _done is None else _done()
    if done is None or done.get_loop() is not loop:
        done = loop.create_future()
        done.set_result(None)
        _done = weakref.ref(done)
    return done


class WebSocketProtocol13(_core.WebSocketConnection, WebSocketProtocol):
    """RFC 6455, whose version number is 13: an asyncio protocol.

    Args:
        handler: What gets the messages: a `WebSocketHandler` or a `WebSocketClientConnection`.
        mask_outgoing: Whether this is a client, whose frames are masked.
        params: The settings.

    Attributes:
        close_code: The code of the peer's Close; None if it gave none, or none has come.
        close_reason: The reason of the peer's Close; None if there is none.
        mask_outgoing: Whether this is a client.
        params: The settings.
    """

    # RFC 6455 §5.2, the first byte of a frame.
    FIN = 0x80
    RSV1 = 0x40
    RSV2 = 0x20
    RSV3 = 0x10
    RSV_MASK = RSV1 | RSV2 | RSV3
    OPCODE_MASK = 0x0F

    __slots__ = (
        "_bucket",
        "_closes",
        "_deadlines",
        "_last_ping",
        "_loop",
        "_on_ended",
        "_pinged",
        "_stuck_since",
        "_subprotocol",
        "_task",
        "_unsent",
        "_waiters",
        "mask_outgoing",
        "params",
    )

    def __new__(
        cls, handler: object, mask_outgoing: bool, params: WebSocketParams
    ) -> "WebSocketProtocol13":
        return super().__new__(
            cls,
            handler,
            is_client=mask_outgoing,
            max_message_size=params.max_message_size,
            done=_done_of(asyncio.get_running_loop()),
            max_write_buffer=params.max_write_buffer,
            skips=params.slow_client_policy == "skip",
        )

    def __init__(self, handler: object, mask_outgoing: bool, params: WebSocketParams) -> None:
        self.mask_outgoing = mask_outgoing
        self.params = params
        self._loop = asyncio.get_running_loop()
        self._subprotocol: str | None = None
        self._on_ended: Callable[[WebSocketProtocol13], None] | None = None
        self._task: asyncio.Future[Any] | None = None
        self._waiters: list[asyncio.Future[None]] | None = None
        # What is looked at when this connection is due: its end, an answer to a ping, or a ping.
        self._deadlines: Deadlines | None = None
        self._bucket = 0
        self._closes = False
        self._pinged = False
        self._last_ping = 0.0
        self._unsent = 0
        self._stuck_since = 0.0

    # Opening.

    @staticmethod
    def compute_accept_value(key: str | bytes) -> str:
        """The value of Sec-WebSocket-Accept for a Sec-WebSocket-Key."""
        return accept_value(key)

    @property
    def selected_subprotocol(self) -> str | None:
        """The subprotocol that both sides have agreed upon, None for none."""
        return self._subprotocol

    def accept_connection(self, handler: "WebSocketHandler") -> None:
        """Answer the opening handshake that the handler's request is, and take its connection."""
        handler._accept(self)

    def compress(self, agreed: Deflate) -> None:
        """Compress messages in the way that has been agreed upon."""
        options = self.params.compression_options or {}
        check_options(options)
        self._compress(**agreed.settings(self.mask_outgoing, options))

    # Sending.

    def write_ping(self, data: bytes) -> None:
        """Send a ping with up to 125 bytes.

        Raises:
            ValueError: There are more.
            WebSocketClosedError: Either side has begun to close.
        """
        self._send_control(9, data)

    def _json(self, message: dict[str, Any]) -> str:
        return json_encode(message)

    def _drained(self) -> "asyncio.Future[None]":
        """A future for when the transport takes more."""
        future = self._loop.create_future()
        if self._waiters is None:
            self._waiters = []
        self._waiters.append(future)
        return future

    def _resumed(self) -> None:
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)

    # The handler at work.

    def _pump_soon(self) -> None:
        self._loop.call_soon(self._pump)

    def _hold(self, awaitable: Awaitable[Any]) -> None:
        """Handle nothing more until this is done."""
        task: asyncio.Future[Any]
        if sys.version_info >= (3, 12) and asyncio.iscoroutine(awaitable):
            task = asyncio.Task(awaitable, loop=self._loop, eager_start=True)
        else:
            task = asyncio.ensure_future(awaitable, loop=self._loop)
        if task.done():
            self._check(task)
            return
        self._set_held(True)
        self._task = task
        _tasks.add(task)
        task.add_done_callback(self._release)

    def _release(self, task: "asyncio.Future[Any]") -> None:
        _tasks.discard(task)
        self._task = None
        self._check(task)
        self._set_held(False)

    def _check(self, task: "asyncio.Future[Any]") -> None:
        if isinstance(task, asyncio.Task) and task.cancelled() and task.cancelling():
            # The loop is being stopped, or the application does not want it any more.
            self._abort()
            return
        try:
            task.result()
        except (Exception, asyncio.CancelledError) as error:
            self._handler_failed(error)

    def _handler_failed(self, error: BaseException) -> None:
        """The handler has raised this."""
        if not isinstance(error, Exception | asyncio.CancelledError):
            raise error
        gone = self.is_closing() or self._is_dropped
        if isinstance(error, WebSocketClosedError) and gone:
            # What the handler said has crossed a Close, or the peer has gone: that is its right.
            return
        self._log_exception(error)
        self._fail(1011, "")
        self._linger()

    def _log_exception(self, error: BaseException) -> None:
        handler = self.handler
        if handler is None:
            app_log.error("Uncaught exception", exc_info=error)
            return
        try:
            handler.log_exception(type(error), error, error.__traceback__)
        except Exception:
            app_log.error("Error in exception logger", exc_info=True)

    # Pings.

    @property
    def ping_interval(self) -> float:
        """Seconds between pings; 0 for no pings."""
        return self.params.ping_interval or 0

    @property
    def ping_timeout(self) -> float:
        """Seconds that the peer has to answer a ping; 0 for ever."""
        return effective_timeout(self.ping_interval, self.params.ping_timeout)

    @staticmethod
    def ping_sleep_time(*, last_ping_time: float, interval: float, now: float) -> float:
        """Seconds until the next ping.

        Args:
            last_ping_time: When the last one was sent, in seconds.
            interval: Seconds between them.
            now: What time it is, by the same clock.
        """
        return max(0.0, last_ping_time + interval - now)

    def start_pinging(self) -> None:
        """Send pings from now on, if the settings have an interval for them."""
        if self.ping_interval > 0 and self._deadlines is None:
            self._expire_in(self.ping_interval)

    def periodic_ping(self) -> None:
        """Send a ping, and see to it that it is answered, and that the next one follows."""
        if self.is_closing():
            return
        self._last_ping = self._loop.time()
        self._was_active()
        if not self._is_choked or self.ping_timeout > 0:
            self.write_ping(b"")
        if self.ping_timeout > 0:
            self._pinged = True
            self._expire_in(self.ping_timeout)
        else:
            self._ping_later()

    def _ping_later(self) -> None:
        seconds = self.ping_sleep_time(
            last_ping_time=self._last_ping, interval=self.ping_interval, now=self._loop.time()
        )
        self._expire_in(seconds)

    def _check_pong(self) -> None:
        self._pinged = False
        if self.is_closing():
            return
        # Whatever has come shows that the peer lives: its pong may stand behind a long message.
        if self._is_choked:
            is_dead = self._is_stuck()
        else:
            is_dead = not self._was_active()
            self._stuck_since = 0.0
        if is_dead:
            self.close(reason="ping timed out")
        else:
            self._ping_later()

    def _is_stuck(self) -> bool:
        """Whether the peer, which has much to read before our ping, gives no sign of life."""
        transport, now = self.transport, self._loop.time()
        unsent = transport.get_write_buffer_size()
        # If we do not read from it, nothing can come.
        heard = self._was_active() and transport.is_reading()
        if heard or unsent < self._unsent or not self._stuck_since:
            self._stuck_since = now
        self._unsent = unsent
        return now - self._stuck_since >= max(self.ping_timeout, STUCK_TIMEOUT)

    def _expire_in(self, seconds: float) -> None:
        """Call `_expire` then, and not before."""
        if self._deadlines is None:
            self._deadlines = deadlines_of(self._loop)
        else:
            self._deadlines.discard(self, self._bucket)
        self._bucket = self._deadlines.add(self, seconds)

    def _expire(self) -> None:
        if self._closes:
            self._abort()
        elif self._pinged:
            self._check_pong()
        else:
            self.periodic_ping()

    # Closing.

    def close(self, code: int | None = None, reason: str | None = None) -> None:
        """Begin the closing handshake, or go on with it if the peer has begun.

        Args:
            code: A code of RFC 6455 §7.4; 1000 if there is only a reason.
            reason: Why, in up to 123 bytes of UTF-8; what is longer is cut off.

        Raises:
            ValueError: The code may not be sent.
        """
        if code is None and reason is not None:
            code = 1000
        if self._send_close(code, utf8(reason or "").decode()):
            self._close_in_time()

    def shut_down(self) -> None:
        """The server stops: tell the client to go away."""
        if self.transport is None:
            self._abort()  # only the handler is still at work
        else:
            self.close(1001, "the server is shutting down")

    def _reads_too_slowly(self) -> None:
        """More than `max_write_buffer` waits for the peer."""
        gen_log.info("Closing WebSocket: the peer reads too slowly")
        self.close(1013, "reads too slowly")

    def _sending_failed(self, error: Exception) -> None:
        """This was raised by the transport, in the midst of a broadcast."""
        app_log.error("Cannot send on a WebSocket", exc_info=error)
        self._abort()

    def _close_received(self) -> None:
        # RFC 6455 §7.1.1: the server closes the connection, so that it waits for nothing.
        if not self.mask_outgoing:
            self.transport.close()
        self._close_in_time()

    def _peer_failed(self, code: int, message: str) -> None:
        gen_log.debug("Closing WebSocket: %d %s", code, message)
        self._linger()

    def _linger(self) -> None:
        """Send no more, and let the peer read our Close before the connection goes: closing on
        one that is still sending would reset it and destroy what we said."""
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        if transport.can_write_eof():
            transport.write_eof()
        else:
            transport.close()
        self._close_in_time()

    def _close_in_time(self) -> None:
        if not self._closes and self.transport is not None:
            self._closes = True
            self._expire_in(CLOSE_TIMEOUT)

    def _abort(self) -> None:
        """Close the connection at once; what has come and was not handled is not handled."""
        self._deafen()
        if self.transport is not None:
            self.transport.abort()

    def abort(self) -> None:
        """Close the connection at once, without a closing handshake."""
        self._abort()

    def on_connection_close(self) -> None:
        """The connection is gone."""
        self._abort()

    def _lost(self) -> None:
        """The transport is gone."""
        if self._deadlines is not None:
            self._deadlines.discard(self, self._bucket)
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_exception(WebSocketClosedError("the WebSocket was closed"))
                waiter.exception()  # not awaiting it is fine
        if self._task is not None:
            self._closes = True
            self._expire_in(GONE_TIMEOUT)
            if getattr(self.handler, "cancel_on_disconnect", False):
                self._task.cancel()

    def _ended(self) -> None:
        """The transport is gone, and all that came over it has been handled."""
        handler, on_ended = self.handler, self._on_ended
        self._on_ended = None
        if self._deadlines is not None:
            self._deadlines.discard(self, self._bucket)
        if on_ended is not None:
            on_ended(self)
        if handler is None:
            return
        try:
            handler.on_ws_connection_close(self.close_code, self.close_reason)
            handler.on_connection_close()
        except Exception as error:
            self._log_exception(error)
        finally:
            self._forget()

    # The connection below.

    @property
    def stream(self) -> "TransportStream | IOStream | None":  # type: ignore[override]
        """The connection below: a stream to ask about it or to close it, not to read or write."""
        from typhoon.websocket.stream import stream_of

        transport = self.transport
        return None if transport is None else stream_of(transport)

    def set_nodelay(self, x: bool) -> None:
        """Send small messages at once, or let the system wait for more.

        They are sent at once unless this is called with False (TCP_NODELAY).
        """
        sock = self.transport and self.transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1 if x else 0)
