"""Waiting: for a time, for futures one after the other, and no longer than until a deadline."""

import collections
from collections.abc import AsyncIterator, Callable
from typing import Any

from typhoon.concurrent import (
    Future,
    chain_future,
    future_add_done_callback,
    is_future,
)
from typhoon.gen.deadlines import Deadline, seconds_until
from typhoon.gen.yielding import QuietExceptions, convert_yielded, moment
from typhoon.log import app_log

__all__ = ["WaitIterator", "maybe_future", "sleep", "with_timeout"]


def sleep(duration: float) -> "Future[None]":
    """A future that is done after `duration` seconds. `asyncio.sleep` does the same.

    In a coroutine: ``yield gen.sleep(0.5)``.
    """
    future: Future[None] = Future()
    future.get_loop().call_later(duration, _wake, future)
    return future


def _wake(future: "Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def maybe_future(x: Any) -> "Future[Any]":
    """`x` itself if it is a future, else a future whose result it is. Deprecated.

    Use `convert_yielded`, which also takes other awaitables, or write an ``async def`` function.
    """
    if is_future(x):
        return x  # type: ignore[no-any-return]
    future: Future[Any] = Future()
    future.set_result(x)
    return future


def with_timeout(
    timeout: Deadline,
    future: Any,
    quiet_exceptions: QuietExceptions = (),
    *,
    message: str | Callable[[], str] | None = None,
) -> "Future[Any]":
    """A future with the outcome of another, unless that takes until after a deadline.

    Args:
        timeout: When to stop waiting: a `datetime.timedelta` from now on, or a time in seconds on
            the clock of `IOLoop.time`.
        future: What to wait for: anything that a coroutine may yield. It is not cancelled when
            the time is over.
        quiet_exceptions: Types of exceptions which, raised after the deadline, are not logged.
        message: The text of the `TimeoutError`, or a function that makes it.

    The future raises `TimeoutError` once the time is over. (`asyncio.timeout` and
    `asyncio.wait_for` do the like for ``async def`` functions, and cancel what they wait for.)
    """
    waited = convert_yielded(future)
    if waited is moment:
        waited = maybe_future(None)
    delay = seconds_until(timeout)
    result: Future[Any] = Future()
    chain_future(waited, result)
    if result.done():
        return result

    def expire() -> None:
        if result.done():
            return
        text = message() if callable(message) else message
        result.set_exception(TimeoutError("Timeout" if text is None else text))
        future_add_done_callback(waited, lambda late: _log_late(late, quiet_exceptions))

    timer = result.get_loop().call_later(delay, expire)
    result.add_done_callback(lambda _: timer.cancel())
    return result


def _log_late(future: "Future[Any]", quiet_exceptions: QuietExceptions) -> None:
    if future.cancelled():
        return
    error = future.exception()
    if isinstance(error, Exception) and not isinstance(error, quiet_exceptions or ()):
        app_log.error("Exception in Future %r after timeout", future, exc_info=error)


class WaitIterator:
    """Gives the results of futures in the order in which they come.

    .. code-block:: python

        wait_iterator = gen.WaitIterator(future1, future2)
        async for result in wait_iterator:
            print(result, "from", wait_iterator.current_future)

    In a decorated coroutine: ``while not wait_iterator.done(): yield wait_iterator.next()``. A
    future that fails raises its exception there, and the iteration can go on afterwards.

    Args:
        args: The futures, or what else a coroutine may yield; the index of each is its position.
        kwargs: Or futures by name; the index of each is its name.

    Raises:
        ValueError: There are both `args` and `kwargs`.

    Attributes:
        current_future: The future whose result was given last. None before and after.
        current_index: Its position or name.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if args and kwargs:
            raise ValueError("WaitIterator takes futures by position or by name, not both")
        self.current_index: int | str | None = None
        self.current_future: Future[Any] | None = None
        self._finished: collections.deque[tuple[int | str, Future[Any]]] = collections.deque()
        self._waiting: Future[Any] | None = None
        children: list[tuple[int | str, Any]]
        children = list(kwargs.items()) if kwargs else list(enumerate(args))
        self._remaining = len(children)
        for index, child in children:
            future = convert_yielded(child)
            if future is moment:
                future = maybe_future(None)
            future_add_done_callback(future, _Finished(self, index))

    def done(self) -> bool:
        """Whether all results have been given."""
        if self._remaining:
            return False
        self.current_index = self.current_future = None
        return True

    def next(self) -> "Future[Any]":
        """A future of the next result.

        Raises:
            RuntimeError: There is none (see `done`).
        """
        if not self._remaining:
            raise RuntimeError("WaitIterator.next: all results have been given; ask done() first")
        waiting: Future[Any] = Future()
        self._waiting = waiting
        if self._finished:
            self._give(*self._finished.popleft())
        return waiting

    def _child_done(self, index: "int | str", future: "Future[Any]") -> None:
        if self._waiting is not None and not self._waiting.done():
            self._give(index, future)
        else:
            self._finished.append((index, future))

    def _give(self, index: "int | str", future: "Future[Any]") -> None:
        waiting, self._waiting = self._waiting, None
        self._remaining -= 1
        self.current_index = index
        self.current_future = future
        if waiting is not None:
            chain_future(future, waiting)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    def __anext__(self) -> "Future[Any]":
        if self.done():
            # This is what ends an "async for" loop.
            raise StopAsyncIteration
        return self.next()


class _Finished:
    """The callback of a child of a `WaitIterator`."""

    __slots__ = ("index", "iterator")

    def __init__(self, iterator: WaitIterator, index: int | str) -> None:
        self.iterator = iterator
        self.index = index

    def __call__(self, future: "Future[Any]") -> None:
        self.iterator._child_done(self.index, future)
