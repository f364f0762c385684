"""Locks for coroutines: `Lock`, `Semaphore`, `BoundedSemaphore`, `Event` and `Condition`.

They are like those of `asyncio`, and can be waited for with a deadline: a `datetime.timedelta`
from now on, or a time in seconds on the clock of `IOLoop.time`. None of them is thread-safe.
"""

import collections
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any

from typhoon.concurrent import Future
from typhoon.gen.deadlines import Deadline, expire_at, seconds_until

__all__ = ["BoundedSemaphore", "Condition", "Event", "Lock", "Semaphore"]

_MAX_FINISHED = 100
"""So many waiters that have given up may stand in a queue before they are removed."""


class _Waiters:
    """Futures that wait in line for a lock. One that has given up is passed over."""

    def __init__(self) -> None:
        self._waiters: collections.deque[Future[Any]] = collections.deque()
        self._given_up = 0

    def _wait(
        self, deadline: Deadline | None, expire: "Callable[[Future[Any]], None]"
    ) -> "Future[Any]":
        """A new waiter at the end of the line; at `deadline`, `expire` is called with it."""
        waiter: Future[Any] = Future()
        if deadline is not None:
            delay = seconds_until(deadline)
            timer = waiter.get_loop().call_later(delay, self._expire, waiter, expire)
            waiter.add_done_callback(lambda _: timer.cancel())
        # Polling with a timeout leaves nothing behind.
        while self._waiters and self._waiters[-1].done():
            self._waiters.pop()
        self._waiters.append(waiter)
        return waiter

    def _expire(self, waiter: "Future[Any]", expire: "Callable[[Future[Any]], None]") -> None:
        if waiter.done():
            return
        expire(waiter)
        self._given_up += 1
        if self._given_up > _MAX_FINISHED:
            self._given_up = 0
            self._waiters = collections.deque(w for w in self._waiters if not w.done())


def _fail(waiter: "Future[Any]") -> None:
    waiter.set_exception(TimeoutError())


class Condition(_Waiters):
    """Lets coroutines wait until they are notified. Unlike `threading.Condition`, has no lock.

    .. code-block:: python

        async def waiter():
            await condition.wait()

        async def notifier():
            condition.notify()
    """

    def __init__(self) -> None:
        super().__init__()

    def __repr__(self) -> str:
        waiters = f" waiters[{len(self._waiters)}]" if self._waiters else ""
        return f"<{type(self).__name__}{waiters}>"

    def wait(self, timeout: Deadline | None = None) -> "Future[bool]":
        """A future of True once notified, of False if `timeout` comes first."""
        return self._wait(timeout, lambda waiter: waiter.set_result(False))

    def notify(self, n: int = 1) -> None:
        """Wake `n` of those who wait, the longest first."""
        waiters: list[Future[bool]] = []
        while n > 0 and self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                n -= 1
                waiters.append(waiter)
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(True)

    def notify_all(self) -> None:
        """Wake all who wait."""
        self.notify(len(self._waiters))


class Event:
    """Lets coroutines wait until a flag is set. Who waits for a flag that is set does not block.

    .. code-block:: python

        async def waiter():
            await event.wait()

        async def setter():
            event.set()
    """

    def __init__(self) -> None:
        self._set = False
        self._waiters: set[Future[None]] = set()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'set' if self._set else 'clear'}>"

    def is_set(self) -> bool:
        """Whether the flag is set."""
        return self._set

    def set(self) -> None:
        """Set the flag and wake all who wait."""
        if not self._set:
            self._set = True
            waiters, self._waiters = self._waiters, set()
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    def clear(self) -> None:
        """Reset the flag, so that `wait` blocks until the next `set`."""
        self._set = False

    def _forget(self, waiter: "Future[None]") -> None:
        self._waiters.discard(waiter)

    def wait(self, timeout: Deadline | None = None) -> "Future[None]":
        """A future that is done once the flag is set; raises `TimeoutError` after `timeout`."""
        waiter: Future[None] = Future()
        if self._set:
            waiter.set_result(None)
            return waiter
        if timeout is not None:
            expire_at(waiter, timeout, "Timeout")
        self._waiters.add(waiter)
        waiter.add_done_callback(self._forget)
        return waiter


class _Releaser:
    """What ``with (yield lock.acquire()):`` enters: releases the lock at the end of the block."""

    __slots__ = ("_lock",)

    def __init__(self, lock: "Semaphore | Lock") -> None:
        self._lock = lock

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc_info: object) -> None:
        self._lock.release()


class Semaphore(_Waiters):
    """A counter that `release` raises and `acquire` lowers, waiting while it is 0.

    .. code-block:: python

        semaphore = Semaphore(2)

        async def worker():
            async with semaphore:
                ...  # at most two at a time

    In a decorated coroutine, write ``with (yield semaphore.acquire()):``.

    Args:
        value: The counter's initial value.

    Raises:
        ValueError: `value` is negative.
    """

    def __init__(self, value: int = 1) -> None:
        super().__init__()
        if value < 0:
            raise ValueError("semaphore initial value must be >= 0")
        self._value = value

    def __repr__(self) -> str:
        state = f"unlocked,value:{self._value}" if self._value else "locked"
        if self._waiters:
            state += f",waiters:{len(self._waiters)}"
        return f"{object.__repr__(self)[:-1]} [{state}]>"

    def release(self) -> None:
        """Raise the counter and wake one who waits."""
        self._value += 1
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                self._value -= 1
                waiter.set_result(_Releaser(self))
                return

    def acquire(self, timeout: Deadline | None = None) -> "Future[_Releaser]":
        """A future that is done once the counter is lowered; it raises `TimeoutError` after
        `timeout`. Its result is a context manager that releases the semaphore again.
        """
        if self._value > 0:
            acquired: Future[_Releaser] = Future()
            self._value -= 1
            acquired.set_result(_Releaser(self))
            return acquired
        return self._wait(timeout, _fail)

    def __enter__(self) -> None:
        raise RuntimeError(f"Use 'async with' instead of 'with' for {type(self).__name__}")

    def __exit__(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__enter__()

    async def __aenter__(self) -> None:
        if self._value > 0:
            self._value -= 1
            return
        waiter = self.acquire()
        try:
            await waiter
        except BaseException:
            if not waiter.cancelled() and waiter.exception() is None:
                # The task was cancelled after it had got the semaphore.
                self.release()
            raise

    async def __aexit__(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.release()


class BoundedSemaphore(Semaphore):
    """A semaphore whose counter never goes over its initial value.

    Releasing it more often than it was acquired is mostly a mistake, and raises `ValueError`.
    """

    def __init__(self, value: int = 1) -> None:
        super().__init__(value)
        self._initial_value = value

    def release(self) -> None:
        """Raise the counter and wake one who waits.

        Raises:
            ValueError: The counter has its initial value already.
        """
        if self._value >= self._initial_value:
            raise ValueError("Semaphore released too many times")
        super().release()


class Lock:
    """A lock for coroutines. It has no owner: any coroutine may release it.

    .. code-block:: python

        lock = Lock()

        async def worker():
            async with lock:
                ...  # one at a time

    In a decorated coroutine, write ``with (yield lock.acquire()):``.
    """

    def __init__(self) -> None:
        self._semaphore = BoundedSemaphore(1)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._semaphore!r}>"

    def acquire(self, timeout: Deadline | None = None) -> "Future[_Releaser]":
        """A future that is done once the lock is held; it raises `TimeoutError` after `timeout`.
        Its result is a context manager that releases the lock again.
        """
        return self._semaphore.acquire(timeout)

    def release(self) -> None:
        """Unlock, and hand the lock to the first in line.

        Raises:
            RuntimeError: It is not locked.
        """
        try:
            self._semaphore.release()
        except ValueError:
            raise RuntimeError("release unlocked lock") from None

    def __enter__(self) -> None:
        raise RuntimeError("Use 'async with' instead of 'with' for Lock")

    def __exit__(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.__enter__()

    def __aenter__(self) -> Coroutine[Any, Any, None]:
        return self._semaphore.__aenter__()

    async def __aexit__(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.release()
