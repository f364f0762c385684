"""Test methods that are coroutines."""

import asyncio
import functools
import inspect
import os
from collections.abc import Awaitable, Callable, Generator
from typing import Any, overload

from typhoon import gen
from typhoon.ioloop import IOLoop

DEFAULT_TIMEOUT = 5.0
"""Seconds that a test may wait unless the environment says otherwise."""


def get_async_test_timeout() -> float:
    """The seconds that a test may wait: ASYNC_TEST_TIMEOUT in the environment, or else 5.

    Raises:
        ValueError: The variable is not a number.
    """
    return _environment_timeout() or DEFAULT_TIMEOUT


def _environment_timeout() -> float | None:
    text = os.environ.get("ASYNC_TEST_TIMEOUT")
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise ValueError(
            f"ASYNC_TEST_TIMEOUT is {text!r} in the environment: write seconds, such as 30"
        ) from None


@overload
def gen_test(func: Callable[..., Any], timeout: None = None) -> Callable[..., None]: ...
@overload
def gen_test(
    func: None = None, timeout: float | None = None
) -> Callable[[Callable[..., Any]], Callable[..., None]]: ...
def gen_test(func: Callable[..., Any] | None = None, timeout: float | None = None) -> Any:
    """Decorator for a test method of `AsyncTestCase` that is a coroutine: runs it in the loop.

    .. code-block:: python

        class FetchTest(AsyncHTTPTestCase):
            @gen_test(timeout=10)
            async def test_fetch(self):
                response = await self.http_client.fetch(self.get_url("/"))

    The method may be an ``async def``, a generator function as for `.gen.coroutine`, or a plain
    function.

    Args:
        func: The method, where the decorator is used without parentheses.
        timeout: Seconds after which the test fails; `get_async_test_timeout` by default. A longer
            time in ASYNC_TEST_TIMEOUT, as it is set on slow machines, has precedence.

    Raises:
        TimeoutError: By the decorated method; the traceback shows where it waits.
    """

    def decorate(method: Callable[..., Any]) -> Callable[..., None]:
        @functools.wraps(method)
        def wrapper(self: Any, *args: Any, **kwargs: Any) -> None:
            run_test(self.io_loop, functools.partial(method, self, *args, **kwargs), timeout)

        # What runs the test must not take the wrapper for a coroutine function.
        del wrapper.__wrapped__
        return wrapper

    return decorate if func is None else decorate(func)


def run_test(io_loop: IOLoop, test: Callable[[], Any], timeout: float | None) -> None:
    """Call `test` and let what it returns, if anything, run in the loop to its end.

    Args:
        io_loop: The loop.
        test: A function or coroutine function without parameters.
        timeout: As for `gen_test`.

    Raises:
        TimeoutError: The time has passed.
    """
    seconds = max(timeout or 0, _environment_timeout() or 0) or DEFAULT_TIMEOUT
    generator: Generator[Any, Any, Any] | None = None

    def start() -> Awaitable[None] | None:
        nonlocal generator
        result = test()
        if result is None:
            return None
        if inspect.isgenerator(result):
            generator = result
            result = _follow(result)
        return _run_for(result, seconds)

    try:
        io_loop.run_sync(start)
    except TimeoutError as error:
        if generator is None or inspect.getgeneratorstate(generator) != inspect.GEN_SUSPENDED:
            raise
        # Raised where the test waits, it has that line in its traceback, and the test cleans up.
        generator.throw(error)
        raise


async def _run_for(result: Any, seconds: float) -> None:
    """Wait so long for what a test has returned; the traceback says what it waits for then."""
    deadline = asyncio.timeout(seconds)
    try:
        async with deadline:
            # Awaited as it is, a coroutine has begun before the deadline can cancel it.
            await (result if inspect.isawaitable(result) else gen.convert_yielded(result))
    except TimeoutError as error:
        if not deadline.expired():
            raise
        message = f"Operation timed out after {seconds} seconds"
        raise TimeoutError(message) from error.__cause__


@gen.coroutine
def _follow(generator: Generator[Any, Any, Any]) -> Generator[Any, Any, None]:
    yield from generator
