"""What goes wrong with streams."""


class StreamClosedError(OSError):
    """The connection is closed, so nothing more can be read or written.

    `real_error` is the error that closed it, or None if it was closed in order.
    """

    def __init__(self, real_error: BaseException | None = None) -> None:
        super().__init__("Stream is closed")
        self.real_error = real_error
