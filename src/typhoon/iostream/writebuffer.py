"""`WriteBuffer`: bytes that wait until the descriptor takes them."""

from collections import deque

_LARGE = 2048
"""Pieces of this size and more are kept by reference; smaller ones are copied together."""


class WriteBuffer:
    """A queue of bytes. `append` and `advance` cost as much as their pieces, whatever is queued.

    Its bound is the stream's ``max_write_buffer_size``, and a writer who awaits `write`.
    """

    __slots__ = ("_offset", "_pieces", "_size")

    def __init__(self) -> None:
        self._pieces: deque[memoryview | bytearray] = deque()
        self._offset = 0  # how much of the first piece is gone
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def append(self, data: bytes | bytearray | memoryview) -> None:
        """Add bytes at the end. What is large is kept as it is, and must not change meanwhile."""
        view = memoryview(data).cast("B")
        size = len(view)
        self._size += size
        if size >= _LARGE:
            self._pieces.append(view)
            return
        last = self._pieces[-1] if self._pieces else None
        if isinstance(last, bytearray) and len(last) < _LARGE:
            last += view
        elif size:
            self._pieces.append(bytearray(view))
        view.release()

    def peek(self) -> memoryview:
        """A view of the first bytes, which the caller releases before anything else is done."""
        view = memoryview(self._pieces[0])
        if not self._offset:
            return view
        rest = view[self._offset :]
        view.release()
        return rest

    def advance(self, count: int) -> None:
        """Drop the first `count` bytes."""
        self._size -= count
        self._offset += count
        while self._pieces and self._offset >= len(first := self._pieces[0]):
            self._offset -= len(first)
            self._pieces.popleft()
            if isinstance(first, memoryview):
                first.release()  # the caller may want to resize what is below

    def clear(self) -> None:
        """Drop everything."""
        self.advance(self._size)
