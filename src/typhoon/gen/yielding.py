"""What a coroutine may yield: futures, awaitables, and lists and dicts of them."""

import asyncio
import functools
import inspect
from collections.abc import Mapping, Sequence
from concurrent import futures
from typing import Any, Final

from typhoon.concurrent import Future, future_add_done_callback, is_future
from typhoon.log import app_log

__all__ = ["BadYieldError", "Moment", "convert_yielded", "moment", "multi", "multi_future"]

QuietExceptions = type[BaseException] | tuple[type[BaseException], ...]


class BadYieldError(Exception):
    """A coroutine has yielded something that cannot be waited for."""


class Moment:
    """The type of `moment`, which is done at once, but has a turn of the loop come first."""

    def done(self) -> bool:
        """True."""
        return True

    def result(self) -> None:
        """None."""

    def __repr__(self) -> str:
        return "typhoon.gen.moment"


moment: Final = Moment()
"""Yielded in a coroutine, lets the event loop run for one turn, as does ``yield None``.

In an ``async def`` function, write ``await asyncio.sleep(0)`` instead.
"""


@functools.singledispatch
def convert_yielded(yielded: Any) -> Any:
    """Convert what a coroutine has yielded to a future.

    Futures of either kind are returned as they are, other awaitables become tasks, lists and
    dicts become the future of `multi`, None becomes `moment`. This is a
    `functools.singledispatch` function, so other types can be added::

        convert_yielded.register(Deferred, lambda deferred: deferred.asFuture(loop))

    Raises:
        BadYieldError: It is none of these.
    """
    if yielded is None or yielded is moment:
        return moment
    if is_future(yielded):
        return yielded
    if isinstance(yielded, list | dict):
        return multi_future(yielded)
    if inspect.isawaitable(yielded):
        return asyncio.ensure_future(yielded)
    raise BadYieldError(f"yielded unknown object {yielded!r}")


def multi(
    children: Sequence[Any] | Mapping[Any, Any], quiet_exceptions: QuietExceptions = ()
) -> "Future[Any]":
    """Wait for many awaitables at a time.

    In a coroutine, ``yield [a, b]`` and ``yield {"a": a, "b": b}`` do the same.

    Args:
        children: A list of what may be yielded, or a dict whose values are that. It may hold the
            same future more than once.
        quiet_exceptions: Types of exceptions that are not logged.

    Returns a future of the list, or the dict, of results. If one of the children raises, so does
    the future, once all of them are done; the exceptions of all but the first are logged.
    """
    return multi_future(children, quiet_exceptions)


def multi_future(
    children: Sequence[Any] | Mapping[Any, Any], quiet_exceptions: QuietExceptions = ()
) -> "Future[Any]":
    """The same as `multi`."""
    keys: list[Any] | None = None
    if isinstance(children, Mapping):
        keys = list(children)
        children = list(children.values())
    converted = [convert_yielded(child) for child in children]
    result: Future[Any] = Future()
    pending = {child for child in converted if not child.done()}
    if not pending:
        _gather(converted, keys, quiet_exceptions, result)
        return result
    remaining = len(pending)

    def one_done(_: Any) -> None:
        nonlocal remaining
        remaining -= 1
        if not remaining:
            _gather(converted, keys, quiet_exceptions, result)

    for child in pending:
        if isinstance(child, futures.Future):
            child = asyncio.wrap_future(child)
        future_add_done_callback(child, one_done)
    return result


def _gather(
    children: list[Any],
    keys: list[Any] | None,
    quiet_exceptions: QuietExceptions,
    result: "Future[Any]",
) -> None:
    """Give `result` the outcome of `children`, all of which are done."""
    results = []
    first_error: BaseException | None = None
    error: BaseException | None = None
    try:
        for child in children:
            try:
                error = _error_of(child)
                if error is None:
                    results.append(child.result())
                    continue
            except (Exception, asyncio.CancelledError, futures.CancelledError) as raised:
                error = raised
            if first_error is None:
                first_error = error
            elif (
                error is not first_error
                and isinstance(error, Exception)
                and not isinstance(error, quiet_exceptions or ())
            ):
                app_log.error("Multiple exceptions in yield list", exc_info=error)
        if result.done():
            return
        if first_error is not None:
            result.set_exception(first_error)
        else:
            result.set_result(results if keys is None else dict(zip(keys, results, strict=True)))
    finally:
        # The traceback of an exception may refer to this frame.
        del first_error, error


def _error_of(child: Any) -> BaseException | None:
    """The exception that a future keeps.

    It is not raised: so its traceback leads to no frame that has the future, and is no circle.
    """
    if is_future(child) and not child.cancelled():
        return child.exception()  # type: ignore[no-any-return]
    return None
