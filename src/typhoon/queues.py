"""Queues for coroutines: `Queue`, `PriorityQueue` and `LifoQueue`.

They are like those of `asyncio`, and `put`, `get` and `join` take a deadline: a
`datetime.timedelta` from now on, or a time in seconds on the clock of `IOLoop.time`. None of them
is thread-safe: from another thread, use ``io_loop.add_callback(queue.put_nowait, item)``.
"""

import collections
import heapq
from typing import Any, Generic, TypeVar

from typhoon.concurrent import Future
from typhoon.gen.deadlines import Deadline, expire_at
from typhoon.locks import Event

__all__ = ["LifoQueue", "PriorityQueue", "Queue", "QueueEmpty", "QueueFull"]

_T = TypeVar("_T")


class QueueEmpty(Exception):
    """`Queue.get_nowait` was called on a queue without items."""


class QueueFull(Exception):
    """`Queue.put_nowait` was called on a queue that has as many items as it may."""


class Queue(Generic[_T]):
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
        self._getters: collections.deque[Future[_T]] = collections.deque()
        self._putters: collections.deque[tuple[_T, Future[None]]] = collections.deque()
        self._unfinished_tasks = 0
        self._finished = Event()
        self._finished.set()
        self._init()

    @property
    def maxsize(self) -> int:
        """How many items there may be; 0 for any number."""
        return self._maxsize

    def qsize(self) -> int:
        """How many items there are."""
        return len(self._queue)

    def empty(self) -> bool:
        """Whether there are no items."""
        return not self._queue

    def full(self) -> bool:
        """Whether `put` would wait."""
        return 0 < self._maxsize <= len(self._queue)

    def put(self, item: _T, timeout: Deadline | None = None) -> "Future[None]":
        """Put `item` into the queue: at once, or when there is room.

        Returns a future that is done when the item is in the queue. After `timeout` it raises
        `TimeoutError`, and the item is left out.
        """
        future: Future[None] = Future()
        try:
            self.put_nowait(item)
        except QueueFull:
            self._putters.append((item, future))
            if timeout is not None:
                expire_at(future, timeout)
        else:
            future.set_result(None)
        return future

    def put_nowait(self, item: _T) -> None:
        """Put `item` into the queue at once.

        Raises:
            QueueFull: There is no room.
        """
        self._drop_done()
        if self._getters:
            getter = self._getters.popleft()
            self._add(item)
            getter.set_result(self._get())
        elif self.full():
            raise QueueFull
        else:
            self._add(item)

    def get(self, timeout: Deadline | None = None) -> "Future[_T]":
        """Take an item: at once, or when there is one.

        Returns a future of the item. After `timeout` it raises `TimeoutError`.
        """
        future: Future[_T] = Future()
        try:
            future.set_result(self.get_nowait())
        except QueueEmpty:
            self._getters.append(future)
            if timeout is not None:
                expire_at(future, timeout)
        return future

    def get_nowait(self) -> _T:
        """Take an item at once.

        Raises:
            QueueEmpty: There is none.
        """
        self._drop_done()
        if self._putters:
            item, putter = self._putters.popleft()
            self._add(item)
            putter.set_result(None)
        elif not self._queue:
            raise QueueEmpty
        return self._get()

    def task_done(self) -> None:
        """Say that the work on an item taken from the queue is done.

        Raises:
            ValueError: It was called more often than items were put in.
        """
        if self._unfinished_tasks <= 0:
            raise ValueError("task_done() called too many times")
        self._unfinished_tasks -= 1
        if not self._unfinished_tasks:
            self._finished.set()

    def join(self, timeout: Deadline | None = None) -> "Future[None]":
        """A future that is done when `task_done` was called for each item that was put in.

        After `timeout` it raises `TimeoutError`.
        """
        return self._finished.wait(timeout)

    def __aiter__(self) -> "_Items[_T]":
        return _Items(self)

    # What subclasses replace

    def _init(self) -> None:
        self._queue: Any = collections.deque()

    def _get(self) -> _T:
        return self._queue.popleft()  # type: ignore[no-any-return]

    def _put(self, item: _T) -> None:
        self._queue.append(item)

    def _add(self, item: _T) -> None:
        self._unfinished_tasks += 1
        self._finished.clear()
        self._put(item)

    def _drop_done(self) -> None:
        """Drop those at the head of each line who have given up."""
        while self._putters and self._putters[0][1].done():
            self._putters.popleft()
        while self._getters and self._getters[0].done():
            self._getters.popleft()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {id(self):#x} {self._format()}>"

    def __str__(self) -> str:
        return f"<{type(self).__name__} {self._format()}>"

    def _format(self) -> str:
        parts = [f"maxsize={self._maxsize!r}"]
        if self._queue:
            parts.append(f"queue={self._queue!r}")
        if self._getters:
            parts.append(f"getters[{len(self._getters)}]")
        if self._putters:
            parts.append(f"putters[{len(self._putters)}]")
        if self._unfinished_tasks:
            parts.append(f"tasks={self._unfinished_tasks}")
        return " ".join(parts)


class _Items(Generic[_T]):
    """The iterator of ``async for item in queue``, which never ends."""

    def __init__(self, queue: Queue[_T]) -> None:
        self._queue = queue

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
