"""Contexts that follow a callback."""

import asyncio
import contextlib
import importlib
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

from typhoon import gen
from typhoon.ioloop import IOLoop
from typhoon.legacy.stack_context import (
    ExceptionStackContext,
    NullContext,
    StackContext,
    StackContextInconsistentError,
    run_with_stack_context,
    wrap,
)

active: list[str] = []


def named(name: str) -> Callable[[], contextlib.AbstractContextManager[None]]:
    @contextlib.contextmanager
    def context() -> Iterator[None]:
        active.append(name)
        try:
            yield
        finally:
            assert active.pop() == name

    return context


def now() -> list[str]:
    return list(active)


def test_the_public_module_warns() -> None:
    with pytest.warns(DeprecationWarning, match="use contextvars") as caught:
        module = importlib.import_module("typhoon.stack_context")
    assert module.StackContext is StackContext
    assert module.wrap is wrap
    assert len(caught) == 1


def test_nothing_else_imports_it() -> None:
    program = (
        "import sys, typhoon.web, typhoon.gen, typhoon.ioloop\n"
        "assert 'typhoon.stack_context' not in sys.modules\n"
        "assert 'typhoon.legacy.gen' not in sys.modules"
    )
    subprocess.run([sys.executable, "-Werror", "-c", program], check=True, timeout=30)


def test_a_wrapped_function_runs_in_the_contexts_of_its_place() -> None:
    with StackContext(named("a")):
        with StackContext(named("b")):
            inner = wrap(now)
            with NullContext():
                outside = wrap(now)
        outer = wrap(now)
        assert now() == ["a"]
    assert now() == []
    assert inner() == ["a", "b"]
    assert outer() == ["a"]
    assert outside() == []
    assert wrap(inner) is inner
    assert wrap(None) is None  # type: ignore[arg-type]
    assert inner.__name__ == "now"
    with StackContext(named("c")):
        assert outside() == ["c"]  # of which it knows nothing, but which is active


def test_a_context_can_be_ended() -> None:
    with StackContext(named("a")) as end:
        function = wrap(now)
    assert function() == ["a"]
    end()
    assert function() == []


def test_exceptions_go_to_the_innermost_handler_first() -> None:
    seen: list[str] = []

    def handler(name: str, result: bool) -> Callable[..., bool]:
        def handle(typ: type[BaseException], value: BaseException, tb: Any) -> bool:
            assert typ is type(value)
            seen.append(name)
            return result

        return handle

    def fails() -> None:
        raise KeyError

    with ExceptionStackContext(handler("outer", True)):
        with ExceptionStackContext(handler("inner", False)) as end:
            function = wrap(fails)
        fails()
    assert seen == ["outer"]
    function()
    assert seen == ["outer", "inner", "outer"]
    end()
    function()
    assert seen[3:] == ["outer"]
    with pytest.raises(KeyError), ExceptionStackContext(handler("not done", False)):
        fails()


def test_callbacks_of_the_loop_give_their_exceptions(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[BaseException] = []

    def handle(typ: type[BaseException], value: BaseException, tb: Any) -> bool:
        seen.append(value)
        return isinstance(value, KeyError)

    def fails(error: Exception) -> None:
        raise error

    loop = IOLoop(make_current=False)
    try:
        with ExceptionStackContext(handle):
            loop.add_callback(fails, KeyError())
            loop.call_later(0, fails, ValueError())
        loop.add_callback(fails, IndexError())
        loop.call_later(0.01, loop.stop)
        loop.start()
    finally:
        loop.close()
    assert [type(error) for error in seen] == [KeyError, ValueError]
    assert sorted(type(record.exc_info[1]).__name__ for record in caplog.records) == [  # type: ignore[index]
        "IndexError",
        "ValueError",
    ]


def test_run_with_stack_context() -> None:
    @gen.coroutine
    def inner() -> Generator[Any, Any, Any]:
        function = wrap(now)
        yield
        return function()

    @gen.coroutine
    def outer() -> Generator[Any, Any, Any]:
        return (yield run_with_stack_context(StackContext(named("a")), inner))

    async def main() -> None:
        assert await outer() == ["a"]

    asyncio.run(main())


def test_left_elsewhere_than_entered() -> None:
    entered: list[Any] = []

    @gen.coroutine
    def enters() -> None:
        context = StackContext(named("a"))
        context.__enter__()
        entered.append(context)

    async def main() -> None:
        await enters()
        with pytest.raises(StackContextInconsistentError, match="left elsewhere"):
            entered[0].__exit__(None, None, None)

    asyncio.run(main())
    assert now() == []
