"""Generators as coroutines: each ``yield`` waits for what it is given, and is its result."""

import asyncio
import contextvars
import functools
from collections.abc import Callable, Generator
from typing import Any, ParamSpec, TypeVar

from typhoon.concurrent import (
    Future,
    chain_future,
    future_set_exception_unless_cancelled,
    future_set_result_unless_cancelled,
)
from typhoon.gen.yielding import convert_yielded, moment

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


class Runner:
    def __init__(self, ctx_run, gen, result_future, first_yielded):
        self.ctx_run = ctx_run
        self.gen = gen
        self.result_future = result_future
        self.future = None
        self.running = False
        self.finished = False
        if self.handle_yield(first_yielded):
            self.run()

    def handle_yield(self, yielded):
        try:
            future = self.ctx_run(convert_yielded, yielded)
        except Exception as error:
            self.future = Future()
            self.future.set_exception(error)
            return True
        if future is moment:
            self.future = moment
            self.result_future.get_loop().call_soon(self.run)
            return False
        if not isinstance(future, asyncio.Future) and not asyncio.isfuture(future):
            future = asyncio.wrap_future(future)
        self.future = future
        if future.done():
            return True
        future.add_done_callback(lambda _: self.run())
        return False

    def run(self):
        while True:
            future, self.future = self.future, None
            try:
                try:
                    value = future.result()
                except BaseException as error:
                    yielded = self.ctx_run(self.gen.throw, error)
                else:
                    yielded = self.ctx_run(self.gen.send, value)
            except (StopIteration, Return) as stop:
                future_set_result_unless_cancelled(self.result_future, stop.value)
                return
            except asyncio.CancelledError:
                self.result_future.cancel()
                return
            except Exception as error:
                future_set_exception_unless_cancelled(self.result_future, error)
                return
            if not self.handle_yield(yielded):
                return


def coroutine(func: Callable[_P, Any]) -> "Callable[_P, Future[Any]]":
    @functools.wraps(func)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> "Future[Any]":
        future: Future[Any] = Future()
        ctx_run = contextvars.copy_context().run
        try:
            result = ctx_run(func, *args, **kwargs)
            if isinstance(result, Generator):
                yielded = ctx_run(next, result)
                runner = Runner(ctx_run, result, future, yielded)
                future.add_done_callback(lambda _: runner)
                return future
        except (Return, StopIteration) as stop:
            result = stop.value
        except asyncio.CancelledError:
            future.cancel()
            return future
        except Exception as error:
            future.set_exception(error)
            return future
        future.set_result(result)
        return future

    wrapper.__typhoon_coroutine__ = True
    return wrapper


def is_coroutine_function(func: Any) -> bool:
    """Whether `func` is a function decorated with `coroutine`."""
    return getattr(func, "__typhoon_coroutine__", False)
