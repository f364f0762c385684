"""Futures: those of asyncio and of `concurrent.futures`, and what connects the two.

`Future` is `asyncio.Future`. The functions here also take `concurrent.futures.Future`.
"""

import asyncio
import functools
from collections.abc import Callable
from concurrent import futures
from types import TracebackType
from typing import Any, TypeVar, overload

from typhoon.log import app_log

__all__ = [
    "FUTURES",
    "DummyExecutor",
    "Future",
    "ReturnValueIgnoredError",
    "chain_future",
    "dummy_executor",
    "future_add_done_callback",
    "future_set_exc_info",
    "future_set_exception_unless_cancelled",
    "future_set_result_unless_cancelled",
    "is_future",
    "run_on_executor",
]

_T = TypeVar("_T")

Future = asyncio.Future

FUTURES = (futures.Future, Future)
"""Both kinds of future, for `isinstance`."""

AnyFuture = futures.Future[_T] | asyncio.Future[_T]


class ReturnValueIgnoredError(Exception):
    """Kept for programs that name it; nothing raises it."""


def is_future(x: Any) -> bool:
    """Whether `x` is a future of either kind."""
    return isinstance(x, FUTURES)


class DummyExecutor(futures.Executor):
    """An executor that runs every call at once, in the calling thread."""

    def submit(  # type: ignore[override]  # `fn` may be given by name
        self, fn: Callable[..., _T], *args: Any, **kwargs: Any
    ) -> "futures.Future[_T]":
        """Call `fn` and return a future that is done."""
        future: futures.Future[_T] = futures.Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future

    def shutdown(self, wait: bool = True, cancel_futures: bool = False) -> None:
        """Nothing: no call is ever pending."""


dummy_executor = DummyExecutor()


@overload
def run_on_executor(function: Callable[..., _T], /) -> "Callable[..., Future[_T]]": ...
@overload
def run_on_executor(
    *, executor: str = ...
) -> "Callable[[Callable[..., _T]], Callable[..., Future[_T]]]": ...
def run_on_executor(*args: Any, **kwargs: Any) -> Any:
    """Decorator: run a blocking method on an executor of its object and return a `Future`.

    Args:
        executor: The name of the attribute that holds the executor; ``"executor"`` by default.

    Use it as ``@run_on_executor`` or ``@run_on_executor(executor="_thread_pool")``. The method
    must be called where an event loop is current.
    """
    attribute: str = kwargs.pop("executor", "executor")
    if kwargs or len(args) > 1 or (args and not callable(args[0])):
        raise TypeError("run_on_executor takes one method, or the keyword argument executor alone")

    def decorate(method: Callable[..., _T]) -> "Callable[..., Future[_T]]":
        @functools.wraps(method)
        def wrapper(self: Any, *args: Any, **kwargs: Any) -> "Future[_T]":
            future: Future[_T] = Future()
            chain_future(getattr(self, attribute).submit(method, self, *args, **kwargs), future)
            return future

        return wrapper

    return decorate(args[0]) if args else decorate


def chain_future(a: AnyFuture[_T], b: AnyFuture[_T]) -> None:
    """Hand the outcome of `a` on to `b` (result, exception or cancellation).

    Nothing happens if `b` is done by then. Cancelling `b` does not cancel `a`. The two may be of
    either kind, and belong to different threads and event loops.
    """

    # `a` is an argument: a future of a thread keeps its callbacks, and would be kept by them.
    def copy(a: AnyFuture[_T]) -> None:
        if b.done():
            return
        if a.cancelled():
            b.cancel()
        elif (error := a.exception()) is not None:
            b.set_exception(error)
        else:
            b.set_result(a.result())

    if not isinstance(b, Future) or (isinstance(a, Future) and a.get_loop() is b.get_loop()):
        future_add_done_callback(a, copy)
        return
    loop = b.get_loop()

    def copy_in_its_loop(a: AnyFuture[_T]) -> None:
        try:
            loop.call_soon_threadsafe(copy, a)
        except RuntimeError:
            if not loop.is_closed():  # where nobody waits for `b` any more
                raise

    future_add_done_callback(a, copy_in_its_loop)


def future_set_result_unless_cancelled(future: AnyFuture[_T], value: _T) -> None:
    """Set the result of `future`, unless it has been cancelled."""
    if not future.cancelled():
        future.set_result(value)


def future_set_exception_unless_cancelled(future: AnyFuture[Any], exc: BaseException) -> None:
    """Set the exception of `future`; if it has been cancelled, log the exception instead."""
    if not future.cancelled():
        future.set_exception(exc)
    else:
        app_log.error("Exception after Future was cancelled", exc_info=exc)


def future_set_exc_info(
    future: AnyFuture[Any],
    exc_info: tuple[type[BaseException] | None, BaseException | None, TracebackType | None],
) -> None:
    """Set the exception of `future` from `sys.exc_info`, unless it has been cancelled.

    Raises:
        ValueError: There is no exception in `exc_info`.
    """
    if exc_info[1] is None:
        raise ValueError("future_set_exc_info called with no exception")
    future_set_exception_unless_cancelled(future, exc_info[1])


def future_add_done_callback(future: AnyFuture[_T], callback: Callable[..., None]) -> None:
    """Call `callback` with `future` when it is done: at once, if it is done already.

    (`asyncio.Future.add_done_callback` would wait for the next turn of the event loop.)
    """
    if future.done():
        callback(future)
    else:
        future.add_done_callback(callback)
