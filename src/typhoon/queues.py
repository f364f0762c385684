"""Queues for coroutines: `Queue`, `PriorityQueue` and `LifoQueue`.

They are like those of `asyncio`, and `put`, `get` and `join` take a deadline: a
`datetime.timedelta` from now on, or a time in seconds on the clock of `IOLoop.time`. None of them
is thread-safe: from another thread, use ``io_loop.add_callback(queue.put_nowait, item)``.
"""

import collections
import heapq
import math
from typing import Any, Generic, TypeVar

from typhoon._core import QueueBase, QueueEmpty, QueueFull
from typhoon.concurrent import Future

__all__ = ["LifoQueue", "PriorityQueue", "Queue", "QueueEmpty", "QueueFull"]

_T = TypeVar("_T")


class Queue(QueueBase[_T], Generic[_T]):
    """A first in, first out queue between coroutines.

    .. code-block:: python

        queue = Queue(maxsize=2)

        async def consumer():
            async for item in queue:
                ...
                queue.task_done()

        async def producer():
            for item in range(5):
                await queue.put(item)

        async def main():
            IOLoop.current().spawn_callback(consumer)
            await producer()
            await queue.join()

    Subclasses may keep the items in another way: they replace ``_init`` (which sets the attribute
    ``_queue`` to a container that has a length), ``_put`` and ``_get``.

    Args:
        maxsize: How many items there may be before `put` waits; 0 for any number.

    Raises:
        TypeError: `maxsize` is None.
        ValueError: `maxsize` is negative.
    """

    def __init__(self, maxsize: int = 0) -> None:
        if maxsize is None:
            raise TypeError("maxsize can't be None: 0 is for a queue of any size")
        if maxsize < 0:
            raise ValueError("maxsize can't be negative: 0 is for a queue of any size")
        self._maxsize = maxsize
        self._set_limit(math.ceil(maxsize))
        hooks = ("_init", "_put", "_get")
        if any(getattr(type(self), hook) is not getattr(Queue, hook) for hook in hooks):
            self._init()

    @property
    def maxsize(self) -> int:
        """How many items there may be; 0 for any number."""
        return self._maxsize

    def __aiter__(self) -> "_Items[_T]":
        return _Items(self)

    def _init(self) -> None:
        """Make the container of the items, empty."""
        self._queue: Any = collections.deque()

    def _put(self, item: _T) -> None:
        """Add an item to the container."""
        self._queue.append(item)

    def _get(self) -> _T:
        """Remove an item from the container, which has one, and return it."""
        return self._queue.popleft()  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {id(self):#x} {self._format()}>"

    def __str__(self) -> str:
        return f"<{type(self).__name__} {self._format()}>"

    def _format(self) -> str:
        getters, putters, unfinished = self._counts()
        parts = [f"maxsize={self._maxsize!r}"]
        if self._queue:
            parts.append(f"queue={self._queue!r}")
        if getters:
            parts.append(f"getters[{getters}]")
        if putters:
            parts.append(f"putters[{putters}]")
        if unfinished:
            parts.append(f"tasks={unfinished}")
        return " ".join(parts)


class _Items(Generic[_T]):
    """The iterator of ``async for item in queue``, which never ends."""

    def __init__(self, queue: Queue[_T]) -> None:
        self._queue = queue

    def __aiter__(self) -> "_Items[_T]":
        return self

    def __anext__(self) -> "Future[_T]":
        return self._queue.get()


class PriorityQueue(Queue[_T]):
    """A queue that gives the least item first: often a tuple of priority and data."""

    def _init(self) -> None:
        self._queue = []

    def _put(self, item: _T) -> None:
        heapq.heappush(self._queue, item)

    def _get(self) -> _T:
        return heapq.heappop(self._queue)  # type: ignore[no-any-return]


class LifoQueue(Queue[_T]):
    """A queue that gives the newest item first."""

    def _init(self) -> None:
        self._queue = []

    def _put(self, item: _T) -> None:
        self._queue.append(item)

    def _get(self) -> _T:
        return self._queue.pop()  # type: ignore[no-any-return]
