"""Generators as coroutines: each ``yield`` waits for what it is given, and is its result."""

import functools
from collections.abc import Callable, Generator
from typing import Any, ParamSpec, TypeVar, overload

from typhoon._core import Runner, run_coroutine
from typhoon.concurrent import Future

__all__ = ["Return", "Runner", "coroutine", "is_coroutine_function"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Return(Exception):
    """Raised in a coroutine, ends it with a result: an older form of ``return value``.

    Args:
        value: The result.
    """

    def __init__(self, value: Any = None) -> None:
        super().__init__(value)
        self.value = value
        self.args = (value,)


@overload
def coroutine(func: Callable[_P, Generator[Any, Any, _T]]) -> "Callable[_P, Future[_T]]": ...
@overload
def coroutine(func: Callable[_P, _T]) -> "Callable[_P, Future[_T]]": ...
def coroutine(func: Callable[_P, Any]) -> "Callable[_P, Future[Any]]":
    """Decorator: make a generator function a coroutine, which returns a `Future` of its result.

    .. code-block:: python

        @gen.coroutine
        def fetch_json(url):
            response = yield AsyncHTTPClient().fetch(url)
            return json_decode(response.body)

    A coroutine may yield futures, other awaitables, lists and dicts of them (see `multi`), and
    None or `moment` to let the event loop run. It starts when it is called and runs up to the
    first ``yield`` that has to wait. All of it runs in a copy of the caller's
    `contextvars.Context`.

    An exception is raised where the future is yielded or awaited. So a coroutine whose future
    nobody looks at hides its errors until the future is freed, when asyncio logs them. Cancelling
    the future leaves the coroutine running.

    New code had better use ``async def`` functions.
    """

    @functools.wraps(func)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> "Future[Any]":
        return run_coroutine(func, args, kwargs)

    wrapper.__typhoon_coroutine__ = True  # type: ignore[attr-defined]
    return wrapper


def is_coroutine_function(func: Any) -> bool:
    """Whether `func` is a function decorated with `coroutine`."""
    return getattr(func, "__typhoon_coroutine__", False)
