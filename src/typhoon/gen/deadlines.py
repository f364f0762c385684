"""Deadlines: points in time, or the time that is left, and futures that fail when they pass."""

import asyncio
import datetime
import time
from typing import Any

__all__ = ["Deadline", "expire_at", "seconds_until"]

Deadline = float | datetime.timedelta
"""A time in seconds on the clock of `IOLoop.time`, or the time from now on."""


def seconds_until(deadline: Deadline) -> float:
    """The seconds from now to `deadline`; 0 if it has passed.

    Raises:
        TypeError: `deadline` is neither a number nor a `datetime.timedelta`.
    """
    if isinstance(deadline, datetime.timedelta):
        return max(0.0, deadline.total_seconds())
    if isinstance(deadline, int | float):
        return max(0.0, deadline - time.time())
    raise TypeError(
        f"Unsupported deadline {deadline!r}: pass a datetime.timedelta from now on, "
        "or a number of seconds on the clock of IOLoop.time()"
    )


def expire_at(future: "asyncio.Future[Any]", deadline: Deadline, *message: str) -> None:
    """Fail `future` with `TimeoutError` at `deadline`, unless it is done by then.

    Args:
        future: A future of the current loop.
        deadline: When it expires.
        message: The text of the error, if any.
    """
    timer = future.get_loop().call_later(seconds_until(deadline), _expire, future, message)
    future.add_done_callback(lambda _: timer.cancel())


def _expire(future: "asyncio.Future[Any]", message: tuple[str, ...]) -> None:
    if not future.done():
        future.set_exception(TimeoutError(*message))
