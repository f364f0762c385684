"""A connection that goes on as something else than HTTP: a stream in place of its transport.

| transport | the stream is on |
| --- | --- |
| plain, all written data sent | the transport's own socket |
| TLS, or not all sent yet | one end of a socket pair, whose other end is relayed |
"""

import asyncio
import os
import socket
from typing import Any

from typhoon.iostream import IOStream


def take_over(
    transport: asyncio.Transport, unread: bytes, max_buffer_size: int | None = None
) -> IOStream:
    """A stream that goes on where the transport is; `unread` is what has been received before."""
    if transport.is_reading():
        transport.pause_reading()
    sock = transport.get_extra_info("socket")
    is_plain = sock is not None and transport.get_extra_info("sslcontext") is None
    if is_plain and transport.get_write_buffer_size() == 0:
        own = socket.socket(fileno=os.dup(sock.fileno()))
        transport.set_protocol(asyncio.Protocol())
        transport.close()  # closes its descriptor, which leaves ours connected
        if hasattr(transport, "_read_ready_cb"):
            # In Python 3.11 asyncio's own transport refers to itself by this, for good.
            transport._read_ready_cb = None
    else:
        own, far = socket.socketpair()
        _Relay.start(transport, far)
    stream = IOStream(own, max_buffer_size=max_buffer_size)
    stream._unread(unread)
    return stream


class _Relay(asyncio.Protocol):
    """Gives what comes on one transport to another, no faster than that takes it."""

    def __init__(self, other: "asyncio.Transport | None" = None) -> None:
        self.other = other
        self.task: asyncio.Task[Any] | None = None

    @classmethod
    def start(cls, transport: asyncio.Transport, sock: socket.socket) -> None:
        """Relay between a transport, which does not read for now, and a socket."""
        loop = asyncio.get_running_loop()
        forth, back = cls(), cls(transport)
        transport.set_protocol(forth)
        # Held by its transport, the relay holds the task that connects it.
        forth.task = loop.create_task(forth._connect(loop, back, transport, sock))

    async def _connect(
        self,
        loop: asyncio.AbstractEventLoop,
        back: "_Relay",
        transport: asyncio.Transport,
        sock: socket.socket,
    ) -> None:
        try:
            self.other, _ = await loop.connect_accepted_socket(lambda: back, sock)
        except BaseException:
            sock.close()
            transport.abort()
            raise
        finally:
            self.task = None
        if transport.is_closing():
            self.other.close()
        else:
            transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self.other is not None:
            self.other.write(data)

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None:
            self.other.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        other, self.other = self.other, None
        if other is not None:
            other.close()
