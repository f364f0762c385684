"""What is known of files until they change."""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

_Value = TypeVar("_Value")


class StampedCache(Generic[_Value]):
    """Values, each with the stamp (what changes with the thing it is about) it belongs to.

    Keeps those used last; every operation is O(1). May be used from many threads.
    """

    def __init__(self) -> None:
        self._values: OrderedDict[Hashable, tuple[object, _Value]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Hashable, stamp: object) -> _Value | None:
        """The value, if it is known and the stamp is still the same."""
        with self._lock:
            known = self._values.get(key)
            if known is None or known[0] != stamp:
                return None
            self._values.move_to_end(key)
            return known[1]

    def put(self, key: Hashable, stamp: object, value: _Value, limit: int) -> None:
        """Keep a value, and forget those used longest ago if there are more than `limit`."""
        with self._lock:
            self._values[key] = stamp, value
            self._values.move_to_end(key)
            while len(self._values) > limit:
                self._values.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._values.clear()


class Jobs:
    """What threads of event loops' executors work on: each thing once at a time."""

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Future[None]] = {}
        self._lock = threading.Lock()

    def start(self, key: Hashable, job: Callable[[], object]) -> "asyncio.Future[None]":
        """Run a function in a thread, unless that is going on for this key in this loop.

        Returns what is done with it; wait for it with `asyncio.shield`, since others may, too.
        """
        loop = asyncio.get_running_loop()
        with self._lock:
            running = self._running.get((loop, key))
            if running is None:
                running = loop.run_in_executor(None, self._run, (loop, key), job)
                running.add_done_callback(_look_at)
                self._running[loop, key] = running
        return running

    def _run(self, key: Hashable, job: Callable[[], object]) -> None:
        try:
            job()
        finally:
            with self._lock:
                del self._running[key]


def _look_at(future: "asyncio.Future[None]") -> None:
    """Whoever waits gets the exception, and perhaps nobody does."""
    if not future.cancelled():
        future.exception()
