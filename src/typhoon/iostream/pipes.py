"""`PipeIOStream`: a stream over a pipe or another descriptor that can be polled."""

import errno
import os
from typing import Any

from typhoon.iostream.base import BaseIOStream


class PipeIOStream(BaseIOStream):
    """A stream over a file descriptor, such as one end of `os.pipe`; one way at a time, usually.

    Args:
        fd: The descriptor, which belongs to the stream from now on and is made non-blocking.
        args, kwargs: As for `BaseIOStream`.

    Attributes:
        fd: The descriptor.
    """

    def __init__(self, fd: int, *args: Any, **kwargs: Any) -> None:
        self.fd = fd
        os.set_blocking(fd, False)
        super().__init__(*args, **kwargs)

    def fileno(self) -> int:
        return self.fd

    def close_fd(self) -> None:
        os.close(self.fd)

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        try:
            return os.readv(self.fd, [buf])
        except BlockingIOError:
            return None

    def write_to_fd(self, data: bytes | memoryview) -> int:
        return os.write(self.fd, data)

    def _is_gone(self, error: Exception) -> bool:
        # The writing end can be read, with this error, when nobody reads from the other.
        bad = isinstance(error, OSError) and error.errno == errno.EBADF
        return bad or super()._is_gone(error)
