"""Streams and transports, each seen as the other.

A WebSocket runs on an asyncio transport. Where a server serves streams (`HTTPServer.handle_stream`)
there is none: `StreamTransport` stands for it. `TransportStream` is what `ws_connection.stream`
gives: the part of an `IOStream` that is about the connection and not about its bytes.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any

from typhoon.iostream import IOStream, SSLIOStream, StreamClosedError

_CHUNK = 64 * 1024
_HIGH_WATER = 64 * 1024


class TransportStream:
    """A transport, asked as a stream is asked.

    Args:
        transport: The connection.
    """

    __slots__ = ("_transport",)

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    @property
    def socket(self) -> Any:
        """The socket; None if it is closed."""
        return self._transport.get_extra_info("socket")

    def closed(self) -> bool:
        """Whether the connection is closed, or about to be."""
        return self._transport.is_closing()

    def writing(self) -> bool:
        """Whether something has not been sent yet."""
        return self._transport.get_write_buffer_size() > 0

    def close(self) -> None:
        """Close the connection without a closing handshake, behind what has been written."""
        flush = getattr(self._transport.get_protocol(), "_flush", None)
        if flush is not None:
            flush()
        self._transport.close()

    def set_nodelay(self, value: bool) -> None:
        """Send small writes at once, or let the system wait for more."""
        sock = self.socket
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1 if value else 0)


class StreamTransport(asyncio.Transport):
    """A stream, as the transport of a protocol. The stream is closed with it.

    Args:
        stream: A connected stream, from which nobody else reads.
        protocol: What gets the bytes. It is told of the connection here.
    """

    def __init__(self, stream: IOStream, protocol: Any) -> None:
        super().__init__()
        self._stream = stream
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._unsent = 0
        self._choked = False
        self._closing = False
        self._reads = asyncio.Event()
        self._reads.set()
        stream.set_close_callback(self._closed)
        protocol.connection_made(self)

    def start(self) -> None:
        """Read from now on."""
        self._reader = self._loop.create_task(self._read())

    async def _read(self) -> None:
        try:
            while True:
                await self._reads.wait()
                self._protocol.data_received(await self._stream.read_bytes(_CHUNK, partial=True))
        except StreamClosedError:
            pass

    def _closed(self) -> None:
        self._closing = True
        self._reads.set()
        self._loop.call_soon(self._protocol.connection_lost, self._stream.error)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As asyncio's transports; no socket, since the stream writes by itself."""
        sock = self._stream.socket
        if name == "peername" and sock is not None:
            return sock.getpeername()
        if name in ("sslcontext", "ssl_object") and isinstance(self._stream, SSLIOStream):
            tls = sock if isinstance(sock, ssl.SSLSocket) else None
            return tls and (tls.context if name == "sslcontext" else tls)
        return default

    def is_reading(self) -> bool:
        """Whether the protocol gets what comes."""
        return self._reads.is_set()

    def pause_reading(self) -> None:
        """Keep from the protocol what comes."""
        self._reads.clear()

    def resume_reading(self) -> None:
        """Give the protocol what comes."""
        self._reads.set()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send this."""
        if self._stream.closed():
            return
        self._unsent += (length := len(data))
        sent = self._stream.write(bytes(data))
        sent.add_done_callback(lambda future: self._sent(length, future))
        if self._unsent > _HIGH_WATER and not self._choked:
            self._choked = True
            self._protocol.pause_writing()

    def _sent(self, length: int, future: "asyncio.Future[None]") -> None:
        if future.cancelled() or future.exception() is not None:
            return
        self._unsent -= length
        if self._choked and self._unsent <= _HIGH_WATER // 4:
            self._choked = False
            self._protocol.resume_writing()
        if self._closing and not self._unsent:
            self._stream.close()

    def get_write_buffer_size(self) -> int:
        """Bytes that have not been sent yet."""
        return self._unsent

    def can_write_eof(self) -> bool:
        """Whether one side can be closed alone: streams cannot."""
        return False

    def is_closing(self) -> bool:
        """Whether the stream is closed, or about to be."""
        return self._closing

    def close(self) -> None:
        """Close the stream once all has been sent."""
        self._closing = True
        if not self._unsent:
            self._stream.close()

    def abort(self) -> None:
        """Close the stream at once."""
        self._closing = True
        self._stream.close()


def stream_of(transport: Any) -> "IOStream | TransportStream":
    """The stream below a transport, or the transport seen as one."""
    if isinstance(transport, StreamTransport):
        return transport._stream
    return TransportStream(transport)


def take_transport(connection: Any, protocol: Any) -> "tuple[bytes, Callable[[Any], None] | None]":
    """Put a protocol on the connection of a request, in place of HTTP.

    Args:
        connection: The request's connection.
        protocol: The asyncio protocol that goes on with it.

    Returns:
        The bytes that have come behind the request, and what to call with the protocol in the end.
    """
    hand_over = getattr(connection, "hand_over", None)
    if hand_over is None:
        StreamTransport(connection.detach(), protocol).start()
        return b"", None
    unread, on_ended = hand_over(protocol)
    return unread, on_ended
