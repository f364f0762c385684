"""When to look at which connection again."""

import asyncio
import heapq
import math
from typing import Protocol

from typhoon.log import gen_log


class Expiring(Protocol):
    """What `Deadlines` looks after."""

    def _expire(self) -> float | None:
        """Act if a deadline has passed; the seconds until the next look, None for no other."""


class Deadlines:
    """Looks at connections when one of their deadlines may have passed.

    Connections that are due in the same tenth of a second share a bucket and there is one timer for
    all, so a connection costs an entry in a set, and a request costs nothing: a connection that
    has been used meanwhile just says at its turn when it wants to be looked at next.
    """

    RESOLUTION = 0.1
    """Seconds that a bucket spans."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._buckets: dict[int, set[Expiring]] = {}
        self._due: list[int] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: Expiring, seconds: float) -> int:
        """Look at the connection in so many seconds. The bucket's number is for `discard`."""
        number = math.ceil((self._loop.time() + seconds) / self.RESOLUTION)
        bucket = self._buckets.get(number)
        if bucket is None:
            bucket = self._buckets[number] = set()
            heapq.heappush(self._due, number)
            if self._due[0] == number:
                self._set_timer()
        bucket.add(connection)
        return number

    def discard(self, connection: Expiring, number: int) -> None:
        """Forget the connection, which is in this bucket or in none."""
        bucket = self._buckets.get(number)
        if bucket is not None:
            bucket.discard(connection)
            if not bucket and len(self._buckets) == 1:
                # Nothing is left to wait for: an idle server does not wake up.
                self.close()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._due[0] * self.RESOLUTION, self._run)

    def _run(self) -> None:
        self._timer = None
        now = self._loop.time() / self.RESOLUTION
        while self._due and self._due[0] <= now + 1e-6:
            for connection in self._buckets.pop(heapq.heappop(self._due)):
                try:
                    connection._expire()
                except Exception:
                    # One that fails must not keep the others from their turn.
                    gen_log.error("Uncaught exception in %r", connection, exc_info=True)
        if self._due:
            self._set_timer()

    def close(self) -> None:
        """Forget everything."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._buckets.clear()
        self._due.clear()
