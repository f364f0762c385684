"""Calling a function again and again."""

import asyncio
import datetime
import inspect
import math
import random
from collections.abc import Callable
from typing import Any

from typhoon.ioloop.interface import IOLoop
from typhoon.log import app_log

__all__ = ["PeriodicCallback"]

_calls: set[asyncio.Future[Any]] = set()
"""The coroutines that run now: asyncio itself keeps only weak references to tasks."""


class PeriodicCallback:
    """Calls a function again and again, on the schedule set by its first start.

    A call that comes due while the one before is running, coroutines included, is left out. What
    it raises is logged, and the calls go on.

    .. code-block:: python

        async def refresh() -> None:
            cache.replace(await fetch_rates())

        PeriodicCallback(refresh, datetime.timedelta(minutes=5), jitter=0.1).start()

    Args:
        callback: A function or coroutine function without parameters.
        callback_time: The time between calls, in milliseconds or as a `datetime.timedelta`.
        jitter: The part of `callback_time` by which each interval varies at random: with 0.1,
            between 95 and 105 per cent.

    Raises:
        ValueError: `callback_time` is not positive, or `jitter` is not from 0 up to (not
            including) 2.
    """

    callback: Callable[[], Any]
    callback_time: float
    """The time between calls, in milliseconds."""
    jitter: float
    io_loop: IOLoop
    """The loop that the calls are made in, from `start` on."""

    def __init__(
        self,
        callback: Callable[[], Any],
        callback_time: datetime.timedelta | float,
        jitter: float = 0,
    ) -> None:
        self.callback = callback
        if isinstance(callback_time, datetime.timedelta):
            callback_time = callback_time / datetime.timedelta(milliseconds=1)
        if callback_time <= 0:
            raise ValueError("Periodic callback must have a positive callback_time")
        if not 0 <= jitter < 2:
            raise ValueError(f"the jitter {jitter!r} is not from 0 up to 2: 0.1 means 10 per cent")
        self.callback_time = callback_time
        self.jitter = jitter
        self._running = False
        self._timeout: object | None = None
        self._next_timeout = 0.0
        self._call: asyncio.Future[Any] | None = None  # the coroutine that runs now

    def start(self) -> None:
        """Make the first call after one interval, in the current loop.

        Nothing happens if it has been started already.
        """
        if self._running:
            return
        self.io_loop = IOLoop.current()
        self._running = True
        self._next_timeout = self.io_loop.time()
        self._schedule_next()

    def stop(self) -> None:
        """Make no more calls; one that is running is not disturbed."""
        self._running = False
        if self._timeout is not None:
            self.io_loop.remove_timeout(self._timeout)
            self._timeout = None

    def is_running(self) -> bool:
        """Whether it has been started, and not stopped since."""
        return self._running

    def _run(self) -> None:
        self._timeout = None
        if self._call is None:  # else it was started again while a coroutine ran
            try:
                result = self.callback()
                if inspect.isawaitable(result):
                    self._call = asyncio.ensure_future(result)
                    _calls.add(self._call)
                    self._call.add_done_callback(self._finished)
                    return
            except Exception:
                app_log.error("Exception in callback %r", self.callback, exc_info=True)
        self._schedule_next()

    def _finished(self, future: "asyncio.Future[Any]") -> None:
        self._call = None
        _calls.discard(future)
        if not future.cancelled() and (error := future.exception()) is not None:
            app_log.error("Exception in callback %r", self.callback, exc_info=error)
        self._schedule_next()

    def _schedule_next(self) -> None:
        # A restart while a coroutine was running has scheduled the next call already.
        if self._running and self._timeout is None:
            self._update_next(self.io_loop.time())
            self._timeout = self.io_loop.add_timeout(self._next_timeout, self._run)

    def _update_next(self, now: float) -> None:
        """Move the next call past `now`, by whole intervals, so as to stay on schedule."""
        interval = self.callback_time / 1000
        if self.jitter:
            interval *= 1 + self.jitter * (random.random() - 0.5)
        missed = max(0, math.floor((now - self._next_timeout) / interval))  # 0: clock set back
        self._next_timeout += (missed + 1) * interval
