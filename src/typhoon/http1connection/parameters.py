"""How a connection is read and written."""

CHUNK_SIZE = 64 * 1024
MAX_HEADER_SIZE = 64 * 1024


class HTTP1ConnectionParameters:
    """Settings of an `HTTP1Connection` or `HTTP1ServerConnection`.

    Args:
        no_keep_alive: Close the connection behind the first message.
        chunk_size: The most bytes of a body that `data_received` gets at a time (64 KiB).
        max_header_size: The most bytes that a head may have (64 KiB).
        header_timeout: Seconds that a head may take to come, from when it is waited for on; None
            for any time.
        max_body_size: The most bytes that a body may have; by default the stream's
            `max_buffer_size`.
        body_timeout: Seconds that a body may take to come; None for any time.
        decompress: Undo a Content-Encoding of gzip. What comes out counts against `max_body_size`.
    """

    idle_timeout: float | None = None
    """Seconds that a server waits for the first byte of a request, with which `header_timeout`
    begins then. None if `header_timeout` is for both."""

    def __init__(
        self,
        no_keep_alive: bool = False,
        chunk_size: int | None = None,
        max_header_size: int | None = None,
        header_timeout: float | None = None,
        max_body_size: int | None = None,
        body_timeout: float | None = None,
        decompress: bool = False,
    ) -> None:
        self.no_keep_alive = no_keep_alive
        self.chunk_size = chunk_size or CHUNK_SIZE
        self.max_header_size = max_header_size or MAX_HEADER_SIZE
        self.header_timeout = header_timeout
        self.max_body_size = max_body_size
        self.body_timeout = body_timeout
        self.decompress = decompress
