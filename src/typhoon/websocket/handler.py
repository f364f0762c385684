"""`WebSocketHandler`: what applications subclass for WebSockets."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from typhoon import _core
from typhoon.escape import utf8
from typhoon.httputil import HTTPHeaders, HTTPServerRequest, ResponseStartLine
from typhoon.iostream import StreamClosedError
from typhoon.web import Application, RequestHandler
from typhoon.websocket.deflate import Deflate
from typhoon.websocket.errors import WebSocketClosedError
from typhoon.websocket.handshake import (
    VERSION,
    Refusal,
    accept_value,
    refusal_of,
    refusal_of_key,
)
from typhoon.websocket.interface import WebSocketProtocol
from typhoon.websocket.parameters import (
    MAX_MESSAGE_SIZE,
    MAX_WRITE_BUFFER,
    SLOW_CLIENT_POLICIES,
    WebSocketParams,
)
from typhoon.websocket.protocol import WebSocketProtocol13
from typhoon.websocket.stream import take_transport

_SWITCHING = ResponseStartLine("", 101, "Switching Protocols")

_Method = TypeVar("_Method", bound=Callable[..., Any])


def _before_opening(method: _Method) -> _Method:
    """Let a method work as long as the request is answered by HTTP."""

    @functools.wraps(method)
    def guarded(self: "WebSocketHandler", *args: Any, **kwargs: Any) -> Any:
        if self._opened:
            raise RuntimeError(
                f"{method.__name__}() is of no use on a WebSocket that is open: there is no "
                "response any more; send messages with write_message()"
            )
        return method(self, *args, **kwargs)

    return guarded  # type: ignore[return-value]


class WebSocketHandler(RequestHandler):
    """Handles WebSockets: subclass it and define `on_message`, and `open` and `on_close` if needed.

        class Echo(WebSocketHandler):
            def open(self):
                self.write_message("Hello")

            async def on_message(self, message):
                await self.write_message("You said: " + message)

            def on_close(self):
                print(self.close_code, self.close_reason)

    A handler is made for each connection. `prepare` and whatever else comes before the handshake
    are those of any `RequestHandler`; from `open` on there is no response that could be written.
    Messages are handled one at a time: if `open` or `on_message` is a coroutine, the next message
    waits until it is done, and with it, before long, the peer that sends it.

    An exception in `open` or `on_message` is logged and closes the connection with 1011.

    Settings of the application:

    - `websocket_ping_interval`: seconds between pings, which keep connections from being closed
      by proxies and find out who has gone. None for no pings.
    - `websocket_ping_timeout`: seconds in which something has to come after a ping; then the
      connection is closed. As long as the interval if it is not set; 0 for ever.
    - `websocket_max_message_size`: bytes that a message may have; over it the connection is
      closed with 1009. 10 MiB by default.
    - `websocket_max_write_buffer`: bytes that may wait for a client that reads slowly, besides the
      message that is being sent. 4 MiB by default.
    - `websocket_slow_client_policy`: what becomes of messages over it. "close" (the default) closes
      the connection with 1013 ("try again later"); "skip" leaves them out until the client has
      caught up, and then calls `on_skipped`.

    Attributes:
        ws_connection: The protocol; None before the handshake and after the end.
        close_code: The code that the peer closed with, in `on_close` and after it. None if it gave
            none or vanished.
        close_reason: The reason that it gave, None for none.
        open_args: The groups of the URL pattern, as `open` gets them.
        open_kwargs: The named groups.
    """

    _opened: bool = False
    _on_close_called: bool = False
    _subprotocol: str | None = None
    ws_connection: WebSocketProtocol13 | None = None
    close_code: int | None = None
    close_reason: str | None = None
    open_args: tuple[Any, ...] = ()
    open_kwargs: dict[str, Any] = {}

    def __init__(self, application: Application, request: HTTPServerRequest, **kwargs: Any) -> None:
        super().__init__(application, request, **kwargs)

    # What applications override.

    def open(self, *args: Any, **kwargs: Any) -> Awaitable[None] | None:
        """Override to do something when the connection is there.

        Gets the groups of the URL pattern, as `get` of other handlers. May be a coroutine, for
        which messages wait.
        """
        return None

    def on_message(self, message: str | bytes) -> Awaitable[None] | None:
        """Override to take messages: a text is a str, other messages are bytes.

        May be a coroutine, for which further messages wait.
        """
        raise NotImplementedError(f"{type(self).__name__} has to define on_message")

    def on_ping(self, data: bytes) -> Awaitable[None] | None:
        """Override to hear of the peer's pings. They are answered already."""
        return None

    def on_pong(self, data: bytes) -> Awaitable[None] | None:
        """Override to hear of the answers to pings."""
        return None

    def on_skipped(self, count: int) -> Awaitable[None] | None:
        """Override to hear of messages that the client has missed, now that it takes more.

        With the policy "skip" only. It is the place to send what they have led to:

            def on_skipped(self, count):
                self.write_message({"prices": market.prices})

        Args:
            count: How many there were, sent by `write_message` or `broadcast`.
        """
        return None

    def on_close(self) -> None:
        """Override to clean up: the connection is closed, by whomever.

        `close_code` and `close_reason` are those of the peer.
        """

    def check_origin(self, origin: str) -> bool:
        """Override to accept connections from pages of other sites, or of fewer.

        Browsers let any page open a WebSocket to any site, and send that site's cookies with it;
        so a handler that trusts cookies has to look at where the page comes from. By default that
        is the request's own host, or an origin for which `check_trusted_origin` is true (those in
        the setting `trusted_origins`). Where the browser says by itself how page and request are
        related (Sec-Fetch-Site), its word goes before a comparison with the Host header, which
        proxies may change.

            def check_origin(self, origin):
                host = urllib.parse.urlsplit(origin).hostname or ""
                return host == "example.com" or host.endswith(".example.com")

        Args:
            origin: The page's origin, such as "https://example.com". Programs other than browsers
                send none and are not asked.

        Returns:
            Whether to accept; if not, the response is a 403.
        """
        relation = self.request.headers.get("Sec-Fetch-Site")
        if relation is None:
            same = urlsplit(origin).netloc.lower() == self.request.headers.get("Host", "").lower()
        else:
            same = relation == "same-origin"
        return same or self.check_trusted_origin(origin)

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        """Override to choose one of the subprotocols that the client offers (RFC 6455 §1.9).

        Args:
            subprotocols: What it offers, the best first; may be empty.

        Returns:
            One of them; or None for none, which many clients answer by closing.
        """
        return None

    def get_compression_options(self) -> dict[str, Any] | None:
        """Override to compress messages, if the client offers that (RFC 7692).

        Each connection that is used then takes some 300 KiB, and compression takes time. Secrets
        in the same message as text of somebody else's can be guessed by its size.

        Returns:
            None for no compression, else a dict, which may be empty, with `compression_level`
            (0 to 9; 6 by default) and `mem_level`, which other implementations need.
        """
        return None

    # The connection.

    @property
    def ping_interval(self) -> float | None:
        """Seconds between pings: the setting `websocket_ping_interval`. May be overridden."""
        interval: float | None = self.settings.get("websocket_ping_interval")
        return interval

    @property
    def ping_timeout(self) -> float | None:
        """Seconds to answer a ping: the setting `websocket_ping_timeout`. May be overridden."""
        timeout: float | None = self.settings.get("websocket_ping_timeout")
        return timeout

    @property
    def max_message_size(self) -> int:
        """Bytes of a message: the setting `websocket_max_message_size`. May be overridden."""
        size: int = self.settings.get("websocket_max_message_size", MAX_MESSAGE_SIZE)
        return size

    @property
    def max_write_buffer(self) -> int:
        """Bytes that may wait for a client that reads slowly: the setting
        `websocket_max_write_buffer`. May be overridden."""
        size: int = self.settings.get("websocket_max_write_buffer", MAX_WRITE_BUFFER)
        return size

    @property
    def slow_client_policy(self) -> str:
        """What becomes of messages over `max_write_buffer`, "close" or "skip": the setting
        `websocket_slow_client_policy`. May be overridden."""
        policy: str = self.settings.get("websocket_slow_client_policy", SLOW_CLIENT_POLICIES[0])
        return policy

    @property
    def selected_subprotocol(self) -> str | None:
        """The subprotocol that `select_subprotocol` has chosen, None for none."""
        return self._subprotocol

    def write_message(
        self, message: str | bytes | dict[str, Any], binary: bool = False
    ) -> "asyncio.Future[None]":
        """Send a message to the client.

        Args:
            message: A str; bytes; or a dict, which is sent as JSON.
            binary: Whether the client shall get bytes. Bytes that are sent without it have to be
                UTF-8, and arrive as a text.

        Returns:
            A future that is done once the connection takes more. Awaiting it lets a fast sender
            keep pace with a slow client; without that, `slow_client_policy` says what happens.

        Raises:
            WebSocketClosedError: The connection is closed, or about to be. (Awaiting the future
                raises it, too.)
        """
        connection = self.ws_connection
        if connection is None:
            raise WebSocketClosedError("the WebSocket is closed")
        return connection.write_message(message, binary)

    def ping(self, data: str | bytes = b"") -> None:
        """Send a ping to the client, with up to 125 bytes, which its answer repeats.

        Raises:
            ValueError: There are more.
            WebSocketClosedError: The connection is closed, or about to be.
        """
        connection = self.ws_connection
        if connection is None:
            raise WebSocketClosedError("the WebSocket is closed")
        connection.write_ping(utf8(data))

    def close(self, code: int | None = None, reason: str | None = None) -> None:
        """Close the connection. `on_close` is called when that is done.

        Args:
            code: 1000 to 1003, 1007 to 1014, or one of one's own from 3000 to 4999
                (RFC 6455 §7.4).
            reason: Why, for the other side's log; in up to 123 bytes of UTF-8.
        """
        connection = self.ws_connection
        if connection is not None:
            connection.close(code, reason)
            self.ws_connection = None

    def set_nodelay(self, value: bool) -> None:
        """Send small messages at once, or let the system wait for more.

        They are sent at once unless this is called with False.
        """
        if self.ws_connection is None:
            raise WebSocketClosedError("the WebSocket is closed")
        self.ws_connection.set_nodelay(value)

    # The handshake.

    def get(self, *args: Any, **kwargs: Any) -> Awaitable[None]:
        """Answer the opening handshake. Whoever overrides it calls (or awaits) this in the end."""
        self.open_args = args
        self.open_kwargs = kwargs
        headers = self.request.headers
        refusal = refusal_of(self.request)
        if refusal is None:
            origin = headers.get("Origin") or headers.get("Sec-Websocket-Origin")
            if origin is not None and not self.check_origin(origin):
                refusal = Refusal(403, "Cross origin websockets not allowed")
        if refusal is None:
            connection = self.get_websocket_protocol()
            if connection is None:
                self.set_header("Sec-WebSocket-Version", VERSION)
                # RFC 9110 §15.5.22 wants it with a 426.
                self.set_header("Upgrade", "websocket")
                self.set_header("Connection", "Upgrade")
                refusal = Refusal(426, "The version of the protocol has to be 13.")
            else:
                refusal = refusal_of_key(headers)
        if refusal is not None or connection is None:
            self._refuse(*(refusal or Refusal(400, "")))
        else:
            connection.accept_connection(self)
        return _core.DONE

    def get_websocket_protocol(self) -> WebSocketProtocol | None:
        """The protocol of the version that the client asks for, None if there is none."""
        if self.request.headers.get("Sec-WebSocket-Version") != VERSION:
            return None
        params = WebSocketParams(
            ping_interval=self.ping_interval,
            ping_timeout=self.ping_timeout,
            max_message_size=self.max_message_size,
            compression_options=self.get_compression_options(),
            max_write_buffer=self.max_write_buffer,
            slow_client_policy=self.slow_client_policy,
        )
        return WebSocketProtocol13(self, False, params)

    def _refuse(self, status: int, message: str) -> None:
        self.set_status(status)
        self.set_header("Content-Type", "text/plain; charset=UTF-8")
        self.finish(message)

    def _accept(self, protocol: WebSocketProtocol13) -> None:
        """Answer with 101, and go on with the protocol in place of HTTP."""
        if self._client_has_gone():
            raise StreamClosedError
        headers = self.request.headers
        offered = [item.strip() for item in headers.get("Sec-WebSocket-Protocol", "").split(",")]
        chosen = self.select_subprotocol([item for item in offered if item])
        if chosen:
            if chosen not in offered:
                raise ValueError(
                    f"select_subprotocol chose {chosen!r}, which the client has not offered"
                )
            self._subprotocol = protocol._subprotocol = chosen
            self.set_header("Sec-WebSocket-Protocol", chosen)
        if protocol.params.compression_options is not None:
            try:
                accepted = Deflate.accept(headers.get("Sec-WebSocket-Extensions", ""))
            except ValueError as error:
                self.clear_header("Sec-WebSocket-Protocol")
                self._refuse(400, f"Malformed Sec-WebSocket-Extensions: {error}.")
                return
            if accepted is not None:
                agreed, answer = accepted
                protocol.compress(agreed)
                self.set_header("Sec-WebSocket-Extensions", answer)
        self.set_status(101)
        self.set_header("Upgrade", "websocket")
        self.set_header("Connection", "Upgrade")
        self.set_header("Sec-WebSocket-Accept", accept_value(headers["Sec-WebSocket-Key"]))
        self.clear_header("Content-Type")
        self._add_cookies()
        connection = self.request.connection
        connection.write_headers(_SWITCHING, self._headers)
        unread, protocol._on_ended = take_transport(connection, protocol)
        self._headers_written = self._finished = self._opened = True
        self.ws_connection = protocol
        self._log()
        self.on_finish()
        # They have been sent, and are of no use while the connection stays open.
        self._headers = HTTPHeaders()
        self._open(protocol, unread)

    def _open(self, protocol: WebSocketProtocol13, unread: bytes) -> None:
        try:
            waiting = self.open(*self.open_args, **self.open_kwargs)
        except (Exception, asyncio.CancelledError) as error:
            protocol._handler_failed(error)
            return
        protocol.start_pinging()
        if waiting is not None:
            protocol._hold(waiting)
        if unread:
            protocol.data_received(unread)

    # Ends.

    def on_ws_connection_close(
        self, close_code: int | None = None, close_reason: str | None = None
    ) -> None:
        """The protocol calls this with the peer's code and reason, before `on_connection_close`."""
        self.close_code = close_code
        self.close_reason = close_reason

    def on_connection_close(self) -> None:
        """The connection is gone. Override `on_close` instead, which this calls once."""
        self.ws_connection = None
        if self._opened and not self._on_close_called:
            self._on_close_called = True
            self.on_close()

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Answer with an error page; close the connection if it is no HTTP any more."""
        if not self._opened:
            super().send_error(status_code, **kwargs)
        elif self.ws_connection is not None:
            self.close(1011)

    # What makes sense before the handshake only.

    write = _before_opening(RequestHandler.write)
    redirect = _before_opening(RequestHandler.redirect)
    set_header = _before_opening(RequestHandler.set_header)
    set_cookie = _before_opening(RequestHandler.set_cookie)
    set_status = _before_opening(RequestHandler.set_status)
    flush = _before_opening(RequestHandler.flush)
    finish = _before_opening(RequestHandler.finish)
