"""Coroutines around functions that take callbacks: `engine`, `Task`, `Callback` and `Wait`.

Today such a function is made one that returns a future, which ``async def`` functions await.
"""

import functools
import warnings
from collections.abc import Callable as Function
from collections.abc import Hashable, Sequence
from types import TracebackType
from typing import Any, NamedTuple, ParamSpec

from typhoon._core import Runner
from typhoon.concurrent import Future, ReturnValueIgnoredError
from typhoon.gen import (
    BadYieldError,
    KeyReuseError,
    LeakedCallbackError,
    UnknownKeyError,
    convert_yielded,
    coroutine,
    multi_future,
)
from typhoon.legacy.stack_context import ExceptionStackContext, handle_exception
from typhoon.log import app_log

__all__ = ["Arguments", "Callback", "Task", "Wait", "WaitAll", "YieldPoint", "engine"]

_P = ParamSpec("_P")


class Arguments(NamedTuple):
    """What a callback was called with, if that was not just one positional argument."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def _warn(form: str, instead: str) -> None:
    warnings.warn(f"gen.{form} is deprecated: {instead}", DeprecationWarning, stacklevel=3)


def _callback(future: "Future[Any]") -> Function[..., None]:
    """A function whose argument becomes the result of `future`."""

    def callback(*args: Any, **kwargs: Any) -> None:
        result: Any = Arguments(args, kwargs)
        if not kwargs and len(args) <= 1:
            result = args[0] if args else None
        if not future.done():
            future.set_result(result)

    return callback


def engine(func: Function[_P, Any]) -> Function[_P, None]:
    """Decorator: make a generator function a coroutine which returns nothing. Deprecated.

    An exception raised before the first wait comes from the call; one raised later goes to the
    `ExceptionStackContext` around the call, or is logged. Use `coroutine` or ``async def``.
    """
    _warn("engine", "use gen.coroutine or an async def function, and wait for what it returns")
    run = coroutine(func)

    @functools.wraps(func)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> None:
        future = run(*args, **kwargs)
        if future.done():
            _check(func, future)
        else:
            # The callback runs in the context of this call, which has its stack contexts.
            future.add_done_callback(functools.partial(_report, func))

    return wrapper


def _check(func: Function[..., Any], future: "Future[Any]") -> None:
    result = future.result()
    if result is not None:
        raise ReturnValueIgnoredError(
            f"{func!r}, decorated with gen.engine, returned {result!r}, which nobody can get: "
            "decorate it with gen.coroutine"
        )


def _report(func: Function[..., Any], future: "Future[Any]") -> None:
    try:
        if not future.cancelled():
            _check(func, future)
    except Exception as error:
        if not handle_exception(error):
            app_log.error("Exception in gen.engine function %r", func, exc_info=True)


def Task(func: Function[..., Any], *args: Any, **kwargs: Any) -> "Future[Any]":
    """Call a function with a ``callback`` argument; its argument is the result. Deprecated.

    .. code-block:: python

        result = yield gen.Task(fetch, url)  # calls fetch(url, callback=...)

    If the callback gets other than one positional argument, the result is `Arguments` (or None,
    if it gets none). An exception that `func` raises is raised by the future. Have `func` return
    a future instead, and yield or await that.
    """
    _warn("Task", "have the function return a future, and yield or await it")
    future: Future[Any] = Future()

    def failed(typ: type[BaseException], value: BaseException, tb: TracebackType | None) -> bool:
        if future.done() or not isinstance(value, Exception):
            return False
        future.set_exception(value)
        return True

    with ExceptionStackContext(failed):
        func(*args, callback=_callback(future), **kwargs)
    return future


class YieldPoint:
    """Something to yield whose meaning depends on the coroutine that yields it. Deprecated.

    Subclasses define ``start(runner)``, which returns a future of the result.
    """

    def start(self, runner: Runner) -> "Future[Any]":
        """The future to wait for."""
        raise NotImplementedError

    def done(self) -> bool:
        """Called where it is waited for otherwise than by being yielded."""
        raise BadYieldError(
            f"{type(self).__name__} cannot stand in a list or dict: yield it alone, "
            "or use gen.WaitAll to wait for several keys"
        )


convert_yielded.register(YieldPoint, lambda yielded: yielded)


class _Keys:
    """The callbacks of a coroutine that have not been waited for."""

    def __init__(self) -> None:
        self.futures: dict[Hashable, Future[Any]] = {}

    @classmethod
    def of(cls, runner: Runner) -> "_Keys":
        if runner.at_end is None:
            runner.at_end = cls().check
        return runner.at_end.__self__  # type: ignore[attr-defined,no-any-return]

    def check(self) -> None:
        if self.futures:
            raise LeakedCallbackError(
                f"finished without waiting for callbacks {list(self.futures)!r}: "
                "yield gen.Wait(key) for each of them"
            )

    def take(self, key: Hashable) -> "Future[Any]":
        try:
            return self.futures.pop(key)
        except KeyError:
            raise UnknownKeyError(f"key {key!r}: yield gen.Callback({key!r}) first") from None


class Callback(YieldPoint):
    """Yielded, gives a function to pass as a callback; `Wait` gives its argument. Deprecated.

    .. code-block:: python

        fetch(url, callback=(yield gen.Callback("response")))
        ...
        response = yield gen.Wait("response")

    The coroutine must wait for every key, or fails with `LeakedCallbackError`; a key that has not
    been waited for cannot be used again (`KeyReuseError`). Use a future instead.
    """

    def __init__(self, key: Hashable) -> None:
        _warn("Callback", "use a Future, its set_result as the callback, and yield or await it")
        self.key = key

    def start(self, runner: Runner) -> "Future[Any]":
        """A future of the function to pass."""
        futures = _Keys.of(runner).futures
        if self.key in futures:
            raise KeyReuseError(f"key {self.key!r} is already pending")
        waited: Future[Any] = Future()
        futures[self.key] = waited
        function: Future[Any] = Future()
        function.set_result(_callback(waited))
        return function


class Wait(YieldPoint):
    """Yielded, gives the argument that the `Callback` of the same key gets. Deprecated.

    Raises `UnknownKeyError` in the coroutine if there is none.
    """

    def __init__(self, key: Hashable) -> None:
        _warn("Wait", "yield or await a Future")
        self.key = key

    def start(self, runner: Runner) -> "Future[Any]":
        """The future of the argument."""
        return _Keys.of(runner).take(self.key)


class WaitAll(YieldPoint):
    """Yielded, gives the list of what `Wait` gives for each of the keys. Deprecated."""

    def __init__(self, keys: Sequence[Hashable]) -> None:
        _warn("WaitAll", "yield a list of futures, or await asyncio.gather")
        self.keys = keys

    def start(self, runner: Runner) -> "Future[Any]":
        """The future of the list."""
        keys = _Keys.of(runner)
        return multi_future([keys.take(key) for key in self.keys])
