"""`WritingHalf`: sending bytes as soon as the descriptor takes them."""

import asyncio
from collections import deque

from typhoon.iostream.descriptor import Descriptor
from typhoon.iostream.errors import StreamBufferFullError
from typhoon.iostream.writebuffer import WriteBuffer
from typhoon.log import gen_log


class WritingHalf(Descriptor):
    """What a stream has to do with writing."""

    _written: asyncio.Future[None]
    """What each write gets that is sent at once."""

    def __init__(self, max_write_buffer_size: int | None) -> None:
        super().__init__()
        self.max_write_buffer_size = max_write_buffer_size
        self._write_buffer: WriteBuffer | None = WriteBuffer()  # None once closed
        self._total_write_index = 0  # bytes given to write(), and bytes sent
        self._total_write_done_index = 0
        self._write_futures: deque[tuple[int, asyncio.Future[None]]] = deque()

    def write(self, data: bytes | bytearray | memoryview) -> "asyncio.Future[None]":
        """Send bytes, as soon as the descriptor takes them.

        Args:
            data: What to send. A large `bytearray` or `memoryview` is not copied, and must not
                be changed until the future is done.

        Returns:
            A future that is done when all of `data` has been handed to the system. It need not be
            awaited; who does sends no faster than the other side receives.

        Raises:
            StreamClosedError: The stream is closed.
            StreamBufferFullError: There would be more than ``max_write_buffer_size`` to be sent.
        """
        if self._closed:
            raise self._closed_error()
        index = self._total_write_index
        if (
            index == self._total_write_done_index
            and self._ready
            and type(data) is bytes
            and self.max_write_buffer_size is None
        ):
            # The usual case: nothing waits to be sent, and all of this can be.
            size = len(data)
            sent = self._send(data) if size else 0
            self._total_write_index = index + size
            if sent == size:
                self._total_write_done_index = index + size
                return self._written
            view = memoryview(data)[max(0, sent) :]
            self._total_write_done_index = index + size - len(view)
        else:
            view = memoryview(data).cast("B")
            size = len(view)
            limit = self.max_write_buffer_size
            if limit is not None and self._unsent() + size > limit:
                raise StreamBufferFullError(
                    f"Reached maximum write buffer size: more than {limit} bytes would be unsent"
                )
            self._total_write_index = index + size
        future = self._loop.create_future()
        self._write_futures.append((self._total_write_index, future))
        if self._write_buffer is None:
            self._fail_writes()
        else:
            with view:
                self._write_buffer.append(view)
            if self._fd_write < 0:
                self._flush()
        return future

    def writing(self) -> bool:
        """Whether there are bytes that the descriptor has not taken yet."""
        return self._unsent() > 0

    def _unsent(self) -> int:
        return self._total_write_index - self._total_write_done_index

    def _send(self, data: bytes | memoryview) -> int:
        """Write to the descriptor; 0 if it takes nothing now, -1 if that closed the stream."""
        try:
            return self.write_to_fd(data) or 0
        except BlockingIOError:
            return 0
        except Exception as error:
            if not self._is_gone(error):
                gen_log.warning("Write error on %s: %s", self.fileno(), error)
            error.__traceback__ = None
            self.close(error)
            return -1

    def _flush(self) -> None:
        """Write what waits, as far as the descriptor takes it."""
        if not self._ready:
            return
        buffer = self._write_buffer
        while buffer:
            with buffer.peek() as view:
                size = len(view)
                sent = self._send(view)
            if sent < 0:
                return
            buffer.advance(sent)
            self._total_write_done_index += sent
            if sent == 0 or (sent < size and self._short_means_blocked):
                self._watch_write()
                break
        done, futures = self._total_write_done_index, self._write_futures
        while futures and futures[0][0] <= done:
            _, future = futures.popleft()
            if not future.done():
                future.set_result(None)

    def _on_writable(self) -> None:
        # Not as soon as all is sent: who waited for that will mostly send more.
        if not self._write_buffer:
            self._unwatch_write()
        self._flush()

    def _end_writing(self) -> None:
        """Let go of what is unsent."""
        buffer, self._write_buffer = self._write_buffer, None
        if buffer is not None:
            buffer.clear()

    def _fail_writes(self) -> None:
        while self._write_futures:
            _, future = self._write_futures.popleft()
            if not future.done():
                future.set_exception(self._closed_error())
                future.exception()  # not awaiting a write is fine
