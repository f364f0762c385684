"""Coroutines as generators, and waiting for futures.

Code that is new had better use ``async def`` functions, which are faster and are what every tool
understands. The two call each other freely: a coroutine can yield what an ``async def`` function
returns, and an ``async def`` function can await what a coroutine returns, which is a future.

.. code-block:: python

    @gen.coroutine
    def fetch_both(first, second):
        client = AsyncHTTPClient()
        responses = yield [client.fetch(first), client.fetch(second)]
        return [response.body for response in responses]
"""

from typing import TYPE_CHECKING, Any

from typhoon.concurrent import Future, ReturnValueIgnoredError, is_future
from typhoon.gen.coroutine import Return, Runner, coroutine, is_coroutine_function
from typhoon.gen.waiting import WaitIterator, maybe_future, sleep, with_timeout
from typhoon.gen.yielding import BadYieldError, convert_yielded, moment, multi, multi_future

if TYPE_CHECKING:
    from typhoon.legacy.gen import (
        Arguments,
        Callback,
        Task,
        Wait,
        WaitAll,
        YieldPoint,
        engine,
    )

__all__ = [
    "Arguments",
    "BadYieldError",
    "Callback",
    "Future",
    "KeyReuseError",
    "LeakedCallbackError",
    "Multi",
    "Return",
    "ReturnValueIgnoredError",
    "Runner",
    "Task",
    "TimeoutError",
    "UnknownKeyError",
    "Wait",
    "WaitAll",
    "WaitIterator",
    "YieldPoint",
    "convert_yielded",
    "coroutine",
    "engine",
    "is_coroutine_function",
    "is_future",
    "maybe_future",
    "moment",
    "multi",
    "multi_future",
    "sleep",
    "with_timeout",
]

Multi = multi

TimeoutError = TimeoutError  # what with_timeout raises, importable from here


class KeyReuseError(Exception):
    """A key of `Callback` is in use already."""


class UnknownKeyError(Exception):
    """`Wait` names a key for which there is no `Callback`."""


class LeakedCallbackError(Exception):
    """A coroutine has ended without a `Wait` for each of its `Callback` keys."""


_LEGACY = ("Arguments", "Callback", "Task", "Wait", "WaitAll", "YieldPoint", "engine")


def __getattr__(name: str) -> Any:
    # Programs that use none of the older forms do not load them.
    if name in _LEGACY:
        from typhoon.legacy import gen as legacy

        return getattr(legacy, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
