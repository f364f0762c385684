"""Compressed bodies, undone on their way to the delegate that takes them."""

from collections.abc import Awaitable, Callable, Sequence

from typhoon.http1connection.decoding import PIECE, BodyDecoder
from typhoon.httputil import HTTPMessageDelegate


class Decompressor(HTTPMessageDelegate):
    """Stands before the delegate that takes a body, and gives it what comes out.

    Raises `CompressedBodyError` for a body that is damaged or gets too large.

    Args:
        receiver: Takes the content.
        codings: From `consume_codings`.
        max_size: Returns how many bytes of content there may be.
        chunk_size: The most bytes of content that the receiver gets at a time.
    """

    def __init__(
        self,
        receiver: HTTPMessageDelegate,
        codings: Sequence[str],
        max_size: Callable[[], int],
        chunk_size: int,
    ) -> None:
        self.receiver = receiver
        self._chunk_size = min(chunk_size, PIECE)
        self._decoder = BodyDecoder(codings, max_size)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        return self._receive(chunk)

    async def _receive(self, chunk: bytes) -> None:
        for piece in self._decoder.pieces(chunk, self._chunk_size):
            if (waiting := self.receiver.data_received(piece)) is not None:
                await waiting

    def finish(self) -> None:
        self._decoder.finish()
        self.receiver.finish()

    def on_connection_close(self) -> None:
        self.receiver.on_connection_close()
