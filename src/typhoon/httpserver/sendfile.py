"""Sends a file through a transport, in the kernel where that is possible."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable

STEP = 1024 * 1024
"""Bytes handed to the kernel at a time: others in the loop have their turn after each step."""

CHUNK_SIZE = 256 * 1024
"""Bytes read and written at a time where the kernel cannot do it (TLS)."""


async def send_file(
    transport: asyncio.Transport,
    fd: int,
    offset: int,
    count: int,
    *,
    lost: asyncio.Future[None],
    drain: Callable[[], Awaitable[object]],
) -> None:
    """Send `count` bytes from `offset` on of the file that is open as `fd`.

    What was written to the transport before goes first; nothing may be written to it meanwhile.
    `lost` is a future that is done when the connection is lost, and `drain` waits until the
    transport takes more. `fd` stays open.

    Raises `ConnectionError` if the connection is lost, `EOFError` if the file is shorter; then,
    or when cancelled, an unknown part of the file has been sent, and the connection has to be
    closed.
    """
    sock = transport.get_extra_info("socket")
    if (
        sys.platform == "win32"
        or sock is None
        or transport.get_extra_info("ssl_object") is not None
        or transport.get_extra_info("sslcontext") is not None
    ):
        await _copy(transport, fd, offset, count, lost, drain)
        return
    # The loop watches a descriptor of our own: that of the transport is the transport's.
    target = os.dup(sock.fileno())
    try:
        while transport.get_write_buffer_size() > 0:
            await _writable(target, transport, lost)
        while count > 0:
            _check(transport, lost)
            step = min(count, STEP)
            try:
                sent = os.sendfile(target, fd, offset, step)
            except BlockingIOError:
                await _writable(target, transport, lost)
                continue
            if sent == 0:
                raise EOFError(f"the file ended {count} bytes early")
            offset += sent
            count -= sent
            if count == 0:
                break
            if sent < step:
                await _writable(target, transport, lost)
            else:
                await asyncio.sleep(0)
    finally:
        os.close(target)


async def _writable(target: int, transport: asyncio.Transport, lost: asyncio.Future[None]) -> None:
    """Wait until the socket takes more."""
    _check(transport, lost)
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()

    def wake(_: object = None) -> None:
        if not waiter.done():
            waiter.set_result(None)

    loop.add_writer(target, wake)
    lost.add_done_callback(wake)
    try:
        await waiter
    finally:
        loop.remove_writer(target)
        lost.remove_done_callback(wake)
    _check(transport, lost)


def _check(transport: asyncio.Transport, lost: asyncio.Future[None]) -> None:
    if lost.done() or transport.is_closing():
        raise ConnectionResetError("the connection was lost while a file was sent")


async def _copy(
    transport: asyncio.Transport,
    fd: int,
    offset: int,
    count: int,
    lost: asyncio.Future[None],
    drain: Callable[[], Awaitable[object]],
) -> None:
    while count > 0:
        _check(transport, lost)
        chunk = read_at(fd, min(count, CHUNK_SIZE), offset)
        if not chunk:
            raise EOFError(f"the file ended {count} bytes early")
        transport.write(chunk)
        offset += len(chunk)
        count -= len(chunk)
        await drain()


if sys.platform == "win32":

    def read_at(fd: int, count: int, offset: int) -> bytes:
        """At most `count` bytes from `offset` on; nothing at the end of the file."""
        os.lseek(fd, offset, os.SEEK_SET)
        return os.read(fd, count)

else:
    read_at = os.pread
