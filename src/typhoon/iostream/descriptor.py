"""`Descriptor`: what the loop watches, and what a kind of stream defines."""

import asyncio
import errno
import weakref
from types import TracebackType
from typing import Final

from typhoon.ioloop import IOLoop
from typhoon.iostream.errors import StreamClosedError

READ_CHUNK_SIZE: Final = 64 * 1024

_GONE: Final = frozenset({errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE, errno.ETIMEDOUT})


ExcInfo = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]


class Shared:
    """What the streams of one loop have in common; a loop runs in one thread."""

    __slots__ = ("space", "written")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.space = memoryview(bytearray(READ_CHUNK_SIZE))
        """Where bytes are received before their stream keeps them: a stream that waits has none."""
        self.written: asyncio.Future[None] = loop.create_future()
        """What each write gets that is sent at once."""
        self.written.set_result(None)

    @staticmethod
    def of(io_loop: IOLoop) -> "Shared":
        shared = _shared_by.get(io_loop)
        if shared is None:
            shared = _shared_by[io_loop] = Shared(io_loop.asyncio_loop)
        return shared

    def space_of(self, size: int) -> memoryview:
        if size > len(self.space):
            self.space = memoryview(bytearray(size))
        return self.space if size == len(self.space) else self.space[:size]


_shared_by: "weakref.WeakKeyDictionary[IOLoop, Shared]" = weakref.WeakKeyDictionary()


class Descriptor:
    """A descriptor that belongs to a loop, which says when it can be read and written."""

    _short_means_blocked = True
    """Whether less than was asked for, read or written, means that there is no more for now."""

    def __init__(self) -> None:
        self.io_loop = IOLoop.current()
        self.error: BaseException | None = None
        self._loop = self.io_loop.asyncio_loop
        self._ready = True  # False while bytes can go neither way, as it connects
        self._closed = False
        self._fd_read = -1  # the descriptor that the loop watches for reading, for writing
        self._fd_write = -1

    # What a kind of stream defines

    def fileno(self) -> int:
        """The descriptor's number, for the event loop."""
        raise NotImplementedError

    def close_fd(self) -> None:
        """Close the descriptor; called once, by `close`."""
        raise NotImplementedError

    def write_to_fd(self, data: bytes | memoryview) -> int:
        """Write as much of `data` as the descriptor takes, and return how much that was.

        Raises `BlockingIOError` if it takes nothing now. `data` is not kept.
        """
        raise NotImplementedError

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        """Read at most ``len(buf)`` bytes into `buf`.

        Returns their number, 0 at the end of the stream, or None if nothing is there now.
        """
        raise NotImplementedError

    def get_fd_error(self) -> Exception | None:
        """An error that the descriptor has, if it can be asked."""
        return None

    def set_nodelay(self, value: bool) -> None:
        """Whether small writes are sent at once (TCP_NODELAY); nothing for streams without TCP."""

    # The end

    def close(self, exc_info: bool | BaseException | ExcInfo = False) -> None:
        raise NotImplementedError

    def _is_gone(self, error: Exception) -> bool:
        """Whether an error means no more than that the other side has gone.

        Such a one closes the stream without a word in the log.
        """
        return isinstance(error, OSError) and error.errno in _GONE

    def _closed_error(self) -> StreamClosedError:
        return StreamClosedError(self.error)

    # What the loop watches

    def _on_readable(self) -> None:
        raise NotImplementedError

    def _on_writable(self) -> None:
        raise NotImplementedError

    def _watch_read(self) -> None:
        if self._fd_read < 0 and not self._closed:
            self._fd_read = self.fileno()
            self.io_loop.selector_loop.add_reader(self._fd_read, self._on_readable)

    def _watch_write(self) -> None:
        if self._fd_write < 0 and not self._closed:
            self._fd_write = self.fileno()
            self.io_loop.selector_loop.add_writer(self._fd_write, self._on_writable)

    def _unwatch_read(self) -> None:
        fd, self._fd_read = self._fd_read, -1
        if fd >= 0:
            try:
                self.io_loop.selector_loop.remove_reader(fd)
            except OSError:
                pass  # somebody else has closed it: the system watches it no longer

    def _unwatch_write(self) -> None:
        fd, self._fd_write = self._fd_write, -1
        if fd >= 0:
            try:
                self.io_loop.selector_loop.remove_writer(fd)
            except OSError:
                pass  # as above
