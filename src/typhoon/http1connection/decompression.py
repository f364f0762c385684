"""Compressed bodies, undone piece by piece and up to the limit for bodies."""

import zlib
from collections.abc import Awaitable, Callable, Iterator

from typhoon.httputil import HTTPHeaders, HTTPInputError, HTTPMessageDelegate

CODINGS = ("gzip", "deflate")

PIECE = 64 * 1024
"""Bytes that are decompressed at a time at most."""

FREE_MEMBERS = 1000
"""Members that a gzip body may have whatever their size; more need a kibibyte each on average."""


class CompressedBodyError(HTTPInputError):
    """A body cannot be decompressed, or not any further; `status` says which to its sender."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def consume_coding(headers: HTTPHeaders) -> bool:
    """Whether the body has to be decompressed. What it was is noted in the headers then."""
    coding = headers.get("Content-Encoding", "").lower()
    if coding not in CODINGS:
        return False
    headers.add("X-Consumed-Content-Encoding", coding)
    del headers["Content-Encoding"]
    return True


class _Inflater:
    """The content of one body; `size` is how many bytes of it have come out."""

    def __init__(self) -> None:
        self.size = 0
        self._members = 1
        self._start()

    def _start(self) -> None:
        self._object = zlib.decompressobj(32 + zlib.MAX_WBITS)

    def pieces(self, data: bytes, most: int) -> Iterator[bytes]:
        """What comes of `data`, up to `most` bytes at a time."""
        while data:
            if self._object.eof:
                # RFC 1952 §2.2: a gzip file may have several members.
                self._members += 1
                if self._members > FREE_MEMBERS + self.size // 1024:
                    raise CompressedBodyError("invalid gzip data: too many members")
                self._start()
            try:
                piece = self._object.decompress(data, most)
            except zlib.error as error:
                raise CompressedBodyError(f"invalid gzip data: {error}") from error
            data = self._object.unused_data if self._object.eof else self._object.unconsumed_tail
            self.size += len(piece)
            if piece:
                yield piece

    def finish(self) -> None:
        """That was all of the body. `CompressedBodyError` if something is missing."""
        if not self._object.eof:
            raise CompressedBodyError("invalid gzip data: it is truncated")


class Decompressor(HTTPMessageDelegate):
    """Stands before the delegate that takes a body, and gives it what comes out.

    Raises `CompressedBodyError` for a body that is damaged or gets too large.

    Args:
        receiver: Takes the content.
        max_size: Returns how many bytes of content there may be.
        chunk_size: The most bytes of content that the receiver gets at a time.
    """

    def __init__(
        self, receiver: HTTPMessageDelegate, max_size: Callable[[], int], chunk_size: int
    ) -> None:
        self.receiver = receiver
        self._max_size = max_size
        self._chunk_size = min(chunk_size, PIECE)
        self._inflater = _Inflater()

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        return self._receive(chunk)

    async def _receive(self, chunk: bytes) -> None:
        for piece in self._inflater.pieces(chunk, self._chunk_size):
            if self._inflater.size > self._max_size():
                raise CompressedBodyError("decompressed body too large", 413)
            if (waiting := self.receiver.data_received(piece)) is not None:
                await waiting

    def finish(self) -> None:
        self._inflater.finish()
        self.receiver.finish()

    def on_connection_close(self) -> None:
        self.receiver.on_connection_close()
