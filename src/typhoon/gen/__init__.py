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

from typhoon.concurrent import Future, ReturnValueIgnoredError, is_future
from typhoon.gen.coroutine import Return, Runner, coroutine, is_coroutine_function
from typhoon.gen.waiting import WaitIterator, maybe_future, sleep, with_timeout
from typhoon.gen.yielding import BadYieldError, convert_yielded, moment, multi, multi_future

__all__ = [
    "BadYieldError",
    "Future",
    "KeyReuseError",
    "LeakedCallbackError",
    "Multi",
    "Return",
    "ReturnValueIgnoredError",
    "Runner",
    "TimeoutError",
    "UnknownKeyError",
    "WaitIterator",
    "convert_yielded",
    "coroutine",
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
