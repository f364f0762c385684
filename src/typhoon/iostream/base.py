"""`BaseIOStream`: reading and writing through buffers, over any descriptor that can be polled."""

import asyncio
import errno
import re
import sys
from collections.abc import Callable
from typing import Any, Final

from typhoon.iostream.descriptor import READ_CHUNK_SIZE, ExcInfo, Shared
from typhoon.iostream.errors import StreamBufferFullError, UnsatisfiableReadError
from typhoon.iostream.reads import (
    Read,
    ReadBytes,
    ReadInto,
    ReadUntil,
    ReadUntilClose,
    ReadUntilRegex,
)
from typhoon.iostream.writing import WritingHalf
from typhoon.log import gen_log

MAX_BUFFER_SIZE: Final = 100 * 1024 * 1024

DIRECT_SIZE: Final = 16 * 1024
"""Reads of this many bytes get what the system gives, without a copy in between."""

INLINE_READS: Final = 16
"""How many chunks are read at once before the loop, and so others, have their turn.

That is as long as the descriptor gave all that was asked for: then there is probably more.
"""

_NO_BYTES: Final = ReadBytes(0, False)


class BaseIOStream(WritingHalf):
    """Reads from and writes to a descriptor without blocking; the base of the other streams.

    One read at a time may be pending, and any number of writes. Reads return futures that resolve
    to what was read; they and writes fail with `StreamClosedError` once the stream is closed.
    A read whose future is cancelled leaves what has come for the next read.

    Subclasses define `fileno`, `close_fd`, `write_to_fd` and `read_from_fd`, and may define
    `get_fd_error`.

    Args:
        max_buffer_size: The most bytes to hold that have come and are not yet read; 100 MiB by
            default.
        read_chunk_size: The most bytes to ask the system for at once; 64 KiB by default.
        max_write_buffer_size: The most bytes to hold that are not yet sent; no limit by default,
            since whoever awaits `write` holds one write at most.

    Attributes:
        io_loop: The loop that the stream belongs to: the one that was current when it was made.
        error: The error that closed the stream, if any.
    """

    def __init__(
        self,
        max_buffer_size: int | None = None,
        read_chunk_size: int | None = None,
        max_write_buffer_size: int | None = None,
    ) -> None:
        super().__init__(max_write_buffer_size)
        self.max_buffer_size = max_buffer_size or MAX_BUFFER_SIZE
        # Half of the buffer at the most, so that the other half can be read meanwhile.
        self.read_chunk_size = max(
            1, min(read_chunk_size or READ_CHUNK_SIZE, self.max_buffer_size // 2)
        )
        self._close_callback: Callable[[], Any] | None = None
        shared = Shared.of(self.io_loop)
        self._written = shared.written
        self._space = shared.space_of(self.read_chunk_size)
        self._read_buffer = bytearray()
        self._last_bytes = _NO_BYTES
        self._inline_reads = INLINE_READS
        self._read: Read | ReadInto | None = None
        self._read_future: asyncio.Future[Any] | None = None

    def _receive(self, size: int) -> bytes | None:
        """Bytes from the descriptor, at most `size`; otherwise as `read_from_fd`."""
        space = self._space[:size]
        count = self.read_from_fd(space)
        return None if count is None else bytes(space[:count])

    # Reading

    def read_until_regex(
        self, regex: bytes, max_bytes: int | None = None
    ) -> "asyncio.Future[bytes]":
        """Read up to the end of the first match of a regular expression.

        Args:
            regex: The pattern; what has come is searched again whenever more comes.
            max_bytes: Close the stream (`UnsatisfiableReadError`) if there is no match within.

        Returns:
            A future for the bytes up to the match, and with it.
        """
        return self._start_read(ReadUntilRegex(re.compile(regex), max_bytes))

    def read_until(self, delimiter: bytes, max_bytes: int | None = None) -> "asyncio.Future[bytes]":
        """Read up to a delimiter.

        Args:
            delimiter: What to look for.
            max_bytes: Close the stream (`UnsatisfiableReadError`) if it does not end within.

        Returns:
            A future for the bytes up to the delimiter, and with it.
        """
        return self._start_read(ReadUntil(delimiter, max_bytes))

    def read_bytes(self, num_bytes: int, partial: bool = False) -> "asyncio.Future[bytes]":
        """Read a number of bytes.

        Args:
            num_bytes: How many.
            partial: Whether to be content with fewer, as soon as there are any.

        Returns:
            A future for the bytes.

        Raises:
            TypeError: `num_bytes` is no whole number.
            ValueError: `num_bytes` is negative.
        """
        read = self._last_bytes  # most programs ask for the same again
        if read.count != num_bytes or read.partial is not partial:
            read = self._last_bytes = ReadBytes(num_bytes, partial)
        return self._start_read(read)

    def read_into(
        self, buf: bytearray | memoryview, partial: bool = False
    ) -> "asyncio.Future[int]":
        """Read bytes into a buffer of the caller, without a copy where possible.

        Args:
            buf: The buffer, which keeps its size until the read is done.
            partial: Whether to be content when it is not full, as soon as there are any bytes.

        Returns:
            A future for the number of bytes read.
        """
        future = self._start_read(ReadInto(buf, partial))
        if not future.done():
            future.add_done_callback(self._give_back)
        return future

    def _give_back(self, future: "asyncio.Future[int]") -> None:
        """Let go of the caller's buffer at once where its read is cancelled."""
        if future.cancelled() and future is self._read_future:
            self._abandon_read()

    def read_until_close(self) -> "asyncio.Future[bytes]":
        """Read everything until the other side closes, at most ``max_buffer_size`` bytes.

        Returns:
            A future for the bytes, which fails if an error closed the stream: these may not be
            all. They can be read with `read_bytes` then.
        """
        return self._start_read(ReadUntilClose())

    def reading(self) -> bool:
        """Whether a read is pending."""
        return self._read_future is not None and not self._read_future.done()

    def _start_read(self, read: Read | ReadInto) -> "asyncio.Future[Any]":
        if (pending := self._read_future) is not None:
            if not pending.done():
                raise RuntimeError("Already reading: await the read before starting another")
            self._abandon_read()
        self._read = read
        self._read_future = future = self._loop.create_future()
        if self._fd_read >= 0 and not self._read_buffer and not self._inline_reads and read.least:
            return future  # the loop will say when there is something
        try:
            if (self._read_buffer or self._closed or not read.least) and self._from_buffer(read):
                self._watch_idle()
                return future
            if self._closed:
                raise self._closed_error()
            if self._ready:
                if self._inline_reads:
                    self._fill()
                if self._read_future is not None:
                    self._inline_reads = 0
                    self._watch_read()
                elif not self._is_complete():
                    raise self._closed_error()
                else:
                    self._watch_idle()
        except UnsatisfiableReadError as error:
            # As when it is found later: the future fails.
            self._unsatisfiable(error)
        except Exception as error:
            # It is raised here, so nobody looks at the future.
            future.cancel()
            self._abandon_read()
            if self._closed:
                raise
            error.__traceback__ = None  # which refers to a frame, and so to the stream
            self.close(error)
            raise self._closed_error() from error
        return future

    def _from_buffer(self, read: Read | ReadInto) -> bool:
        """Satisfy the read with bytes that have come before, if they suffice."""
        buffer = self._read_buffer
        if isinstance(read, ReadInto):
            read.take(buffer)
            if not read.is_satisfied():
                return False
            self._finish_read_into(read)
        elif isinstance(read, ReadUntilClose):
            if not self._closed or not self._is_complete():
                return False
            self._finish_read(len(buffer))
        elif (end := read.end(buffer)) is not None:
            self._finish_read(end)
        else:
            return False
        return True

    def _fill(self) -> None:
        """Read from the descriptor until the pending read is satisfied or nothing is there."""
        read = self._read
        if isinstance(read, ReadInto):
            self._fill_into(read)
            return
        buffer, space = self._read_buffer, self._space
        while read is not None:
            data: bytes | None
            count: int | None
            try:
                if type(read) is ReadBytes and read.count >= DIRECT_SIZE and not buffer:
                    asked = min(read.count, len(space))
                    data = self._receive(asked)
                    count = None if data is None else len(data)
                else:
                    asked = len(space)
                    data, count = None, self.read_from_fd(space)
            except OSError as error:
                self._read_failed(error)
                return
            if not count:
                self._inline_reads = 0
                if count == 0:
                    self.close()
                return
            if count < asked and self._short_means_blocked:
                self._inline_reads = 0
            else:
                self._inline_reads -= 1
            if not buffer and type(read) is ReadBytes and read.least <= count <= read.count:
                future, self._read_future, self._read = self._read_future, None, None
                if future is not None:
                    future.set_result(bytes(space[:count]) if data is None else data)
                return
            buffer += space[:count] if data is None else data
            end = read.end(buffer)
            if end is not None:
                self._finish_read(end)
                return
            if len(buffer) > self.max_buffer_size:
                gen_log.error("Reached maximum read buffer size")
                raise StreamBufferFullError(
                    f"more than max_buffer_size ({self.max_buffer_size} bytes) came unread"
                )
            if not self._inline_reads:
                return

    def _read_failed(self, error: OSError) -> None:
        """Close the stream, without a word if the other side has just gone."""
        if not self._is_gone(error):
            raise error
        error.__traceback__ = None  # which refers to a frame, and so to the stream
        self.close(error)

    def _fill_into(self, read: ReadInto) -> None:
        while not read.is_satisfied():
            with read.view[read.filled :] as rest:
                try:
                    count = self.read_from_fd(rest)
                except OSError as error:
                    self._read_failed(error)
                    return
                if not count:
                    self._inline_reads = 0
                    if count == 0:
                        self.close()
                    return
                read.filled += count
                if count < len(rest) and self._short_means_blocked:
                    self._inline_reads = 0
                else:
                    self._inline_reads -= 1
                if not self._inline_reads:
                    break
        if read.is_satisfied():
            self._finish_read_into(read)

    def _finish_read(self, end: int) -> None:
        buffer = self._read_buffer
        if end == len(buffer):
            data = bytes(buffer)
            buffer.clear()
        else:
            with memoryview(buffer) as view:
                data = bytes(view[:end])
            del buffer[:end]
        future, self._read_future, self._read = self._read_future, None, None
        if future is not None:
            future.set_result(data)

    def _finish_read_into(self, read: ReadInto) -> None:
        read.view.release()
        future, self._read_future, self._read = self._read_future, None, None
        if future is not None:
            future.set_result(read.filled)

    def _abandon_read(self) -> None:
        """Forget a read that was cancelled or failed; bytes that it had taken are kept."""
        read, self._read, self._read_future = self._read, None, None
        if isinstance(read, ReadInto):
            with read.view:
                if read.filled:
                    self._read_buffer[:0] = read.view[: read.filled]

    def _unread(self, data: bytes) -> None:
        """Put bytes back in front of those that the next read gets."""
        self._read_buffer[:0] = data

    def _on_readable(self) -> None:
        future = self._read_future
        self._inline_reads = INLINE_READS
        try:
            if future is not None and not future.done():
                self._fill()
            else:
                if future is not None:
                    self._abandon_read()
                self._read_ahead()
        except UnsatisfiableReadError as error:
            self._unsatisfiable(error)
        except Exception as error:
            gen_log.warning("error on read: %s", error)
            error.__traceback__ = None
            self.close(error)

    def _read_ahead(self) -> None:
        """Something has come that nobody waits for: perhaps the end.

        It is looked at if somebody wants to know of the end, one chunk at the most.
        """
        if self._close_callback is None or self._read_buffer:
            self._unwatch_read()
            return
        self._read = _NO_BYTES
        try:
            self._fill()
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                raise
            self._unwatch_read()  # a socket that is to be connected yet
        finally:
            self._read = None

    def _watch_idle(self) -> None:
        """Look out for the end of the connection if somebody wants to know of it."""
        if self._close_callback is not None and self._ready and not self._read_buffer:
            self._watch_read()

    def _unsatisfiable(self, error: UnsatisfiableReadError) -> None:
        gen_log.info("Unsatisfiable read, closing connection: %s", error)
        error.__traceback__ = None
        self.close(error)

    # Beginning and end

    def _become_ready(self) -> None:
        """Begin with what was asked for while bytes could go neither way."""
        self._ready = True
        self._flush()
        if self._read_future is not None:
            self._watch_read()
            self._on_readable()
        else:
            self._watch_idle()

    def set_close_callback(self, callback: Callable[[], Any] | None) -> None:
        """Call `callback` when the stream is closed, by whichever side; None for no longer.

        Reads and writes notice by themselves; this is for the time in which there are none.
        """
        self._close_callback = callback
        if callback is not None and self._closed:
            self._run_close_callback()
        elif self._read_future is None:
            self._watch_idle()

    def close(self, exc_info: bool | BaseException | ExcInfo = False) -> None:
        """Close the stream. What has not been sent is lost; what has come can still be read.

        Args:
            exc_info: The error to keep as `error` and to fail reads and writes with: an exception,
                what `sys.exc_info` returns, or True for the exception being handled.
        """
        if self._closed:
            return
        if isinstance(exc_info, BaseException):
            self.error = exc_info
        elif exc_info:
            self.error = (sys.exc_info() if exc_info is True else exc_info)[1]  # type: ignore[index]
        self._unwatch_read()
        self._unwatch_write()
        self._closed = True
        try:
            self.close_fd()
        except OSError as error:
            # The descriptor is gone in any case; there is only to be told why.
            error.__traceback__ = None
            if self.error is None:
                self.error = error
        finally:
            self._space = memoryview(b"")
            self._end_writing()
            self._fail_pending()
            self._run_close_callback()

    def closed(self) -> bool:
        """Whether the stream is closed."""
        return self._closed

    def _fail_pending(self) -> None:
        """Let everything that waits know that the stream is closed."""
        future, read = self._read_future, self._read
        if future is not None and not future.done():
            if isinstance(read, ReadUntilClose) and self._is_complete():
                self._finish_read(len(self._read_buffer))
            else:
                self._abandon_read()
                future.set_exception(self._closed_error())
                future.exception()
        self._fail_writes()

    def _run_close_callback(self) -> None:
        callback, self._close_callback = self._close_callback, None
        if callback is not None:
            self.io_loop.add_callback(callback)

    def _is_complete(self) -> bool:
        """Whether the stream ended by itself, as one that is reset does too."""
        return self.error is None or (
            isinstance(self.error, Exception) and self._is_gone(self.error)
        )
