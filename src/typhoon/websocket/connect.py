"""`websocket_connect`."""

from collections.abc import Callable
from typing import Any

from typhoon.concurrent import Future
from typhoon.httpclient import HTTPRequest
from typhoon.netutil import Resolver
from typhoon.websocket.client import MessageCallback, WebSocketClientConnection
from typhoon.websocket.parameters import MAX_MESSAGE_SIZE


def websocket_connect(
    url: str | HTTPRequest,
    callback: "Callable[[Future[WebSocketClientConnection]], None] | None" = None,
    connect_timeout: float | None = None,
    on_message_callback: MessageCallback | None = None,
    compression_options: dict[str, Any] | None = None,
    ping_interval: float | None = None,
    ping_timeout: float | None = None,
    max_message_size: int = MAX_MESSAGE_SIZE,
    subprotocols: list[str] | None = None,
    resolver: Resolver | None = None,
) -> "Future[WebSocketClientConnection]":
    """Open a WebSocket to a server.

        async def main():
            ws = await websocket_connect("wss://example.com/feed")
            await ws.write_message("Hello")
            while (message := await ws.read_message()) is not None:
                print(message)

    Nothing is followed: a redirect is an error, as any response but 101. It says where to.

    Args:
        url: A URL with ws or wss, or an `HTTPRequest` for one. Of that, what matters is what it
            says of the connection: headers, credentials (with a digest, too), certificates,
            `network_interface`, `unix_socket`, the proxy (which gives a tunnel, RFC 6455 §4.1),
            and timeouts: `connect_timeout` as below; or, beside a `request_timeout` for all of it,
            until the connection is made and only the handshake is missing.
        callback: Called with the future that is returned (deprecated: await it).
        connect_timeout: Seconds until the connection has to be open; 20 by default.
        on_message_callback: Called with each message, and with None when the connection is
            closed, instead of `read_message`. If it is a coroutine function, messages wait.
        compression_options: Offer compression, with the options of
            `WebSocketHandler.get_compression_options`; None not to.
        ping_interval: Seconds between pings; None for no pings.
        ping_timeout: Seconds in which something has to come after a ping; then the connection is
            closed. None for `ping_interval`, 0 for ever.
        max_message_size: Bytes that a message may have; over it the connection is closed with 1009.
        subprotocols: What is offered, the best first: see
            `WebSocketClientConnection.selected_subprotocol`.
        resolver: What looks up the host's name.

    Returns:
        A future of the connection.

    Raises:
        ValueError: `connect_timeout` is given beside an `HTTPRequest`. (What follows comes from
            the future.) Also if the URL is none of a WebSocket.
        HTTPClientError: The server answers with an error or a redirect, which is the `response`;
            or an `HTTPTimeoutError` or an `HTTPProxyError`, without one.
        WebSocketError: The server answers, but not with a WebSocket; or closes the connection.
        OSError: The network failed.

    Errors without a response have the attributes `url` and `stage` (see `.Stage`).
    """
    if isinstance(url, HTTPRequest):
        if connect_timeout is not None:
            raise ValueError("give connect_timeout to the HTTPRequest")
        request = url
    else:
        request = HTTPRequest(url, connect_timeout=connect_timeout)
    connection = WebSocketClientConnection(
        request,
        on_message_callback=on_message_callback,
        compression_options=compression_options,
        ping_interval=ping_interval,
        ping_timeout=ping_timeout,
        max_message_size=max_message_size,
        subprotocols=subprotocols,
        resolver=resolver,
    )
    if callback is not None:
        from typhoon.legacy.websocket_callback import call_when_open

        call_when_open(connection.io_loop, connection.connect_future, callback)
    return connection.connect_future
