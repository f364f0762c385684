"""What goes wrong with streams."""


class StreamClosedError(OSError):
    """The stream is closed, so nothing more can be read or written.

    Attributes:
        real_error: The error that closed it; None if it was closed in order.
    """

    def __init__(self, real_error: BaseException | None = None) -> None:
        super().__init__("Stream is closed")
        self.real_error = real_error


class UnsatisfiableReadError(Exception):
    """A read that can never succeed: the delimiter did not come within ``max_bytes``.

    The stream is closed, and this is the ``real_error`` of the `StreamClosedError`.
    """


class StreamBufferFullError(Exception):
    """A buffer of the stream is full: ``max_buffer_size`` or ``max_write_buffer_size``."""
