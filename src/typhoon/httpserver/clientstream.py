"""`connection.stream`: what programs ask of the stream below a request's connection.

Connections here are on transports, and have no stream until they are detached. This object knows
what can be said and done nevertheless.
"""

import asyncio
import socket
from typing import Any, Protocol


class _Connection(Protocol):
    transport: Any

    def abort(self) -> None: ...

    def _send_raw(self, data: bytes) -> None: ...

    def _written(self) -> "asyncio.Future[None]": ...


class ClientStream:
    """The way to the client; for a stream to read and write, see `RequestHandler.detach`."""

    __slots__ = ("_connection",)

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    def closed(self) -> bool:
        """Whether the client cannot be reached any more."""
        transport: asyncio.Transport | None = self._connection.transport
        return transport is None or transport.is_closing()

    def write(self, data: bytes | memoryview) -> "asyncio.Future[None]":
        """Send bytes past HTTP: such as a 1xx response, or a whole response of one's own.

        The server knows nothing of them: whoever writes a response so closes the stream behind it.
        """
        self._connection._send_raw(bytes(data))
        return self._connection._written()

    def close(self) -> None:
        """Close the connection at once; what has not been sent is lost."""
        self._connection.abort()

    @property
    def socket(self) -> "socket.socket | None":
        """The socket, to look at its addresses and options; None once it is closed."""
        transport: asyncio.Transport | None = self._connection.transport
        return None if transport is None else transport.get_extra_info("socket")

    def set_nodelay(self, value: bool) -> None:
        """Whether small pieces are sent at once (TCP_NODELAY), which is so by default."""
        sock = self.socket
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, value)
