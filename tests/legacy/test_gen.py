"""`gen.engine`, `gen.Task`, `gen.Callback` and `gen.Wait`."""

import asyncio
from collections.abc import Callable, Generator
from typing import Any

import pytest

from typhoon import gen
from typhoon.concurrent import Future, ReturnValueIgnoredError
from typhoon.legacy.stack_context import ExceptionStackContext

Run = Callable[[Callable[[], Any]], Any]

pytestmark = pytest.mark.filterwarnings("ignore:gen:DeprecationWarning")


def later(callback: Callable[..., None], *args: Any, **kwargs: Any) -> None:
    asyncio.get_running_loop().call_soon(lambda: callback(*args, **kwargs))


def fetch(url: str, callback: Callable[[str], None]) -> None:
    """A function in the old style."""
    later(callback, f"response of {url}")


def test_names_that_there_are_not() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Tusk'"):
        gen.Tusk  # type: ignore[attr-defined]


def test_they_say_what_to_write(run: Run) -> None:
    async def main() -> None:
        for use, instead in (
            (lambda: gen.engine(print), "use gen.coroutine or an async def function"),
            (lambda: gen.Task(fetch, "a"), "have the function return a future"),
            (lambda: gen.Callback("key"), "use a Future"),
            (lambda: gen.Wait("key"), "yield or await a Future"),
            (lambda: gen.WaitAll(["key"]), "yield a list of futures"),
        ):
            with pytest.warns(DeprecationWarning, match=instead) as caught:
                use()
            assert caught[0].filename == __file__

    run(main)


def test_task(run: Run) -> None:
    def calls(*given: Any, callback: Callable[..., None], **named: Any) -> None:
        later(callback, *given, **named)

    def fails(callback: Callable[..., None]) -> None:
        raise KeyError("at once")

    def calls_twice(callback: Callable[[int], None]) -> None:
        callback(1)
        callback(2)

    @gen.coroutine
    def function() -> Generator[Any, Any, list[Any]]:
        with pytest.raises(KeyError):
            yield gen.Task(fails)
        return [
            (yield gen.Task(fetch, "a")),
            (yield gen.Task(calls)),
            (yield gen.Task(calls, 1, 2, three=3)),
            (yield [gen.Task(fetch, "b"), gen.Task(fetch, "c")]),
            (yield gen.Task(calls_twice)),
        ]

    async def main() -> None:
        assert await function() == [
            "response of a",
            None,
            gen.Arguments((1, 2), {"three": 3}),
            ["response of b", "response of c"],
            1,
        ]

    run(main)


def test_callback_and_wait(run: Run) -> None:
    @gen.coroutine
    def function() -> Generator[Any, Any, list[Any]]:
        fetch("a", callback=(yield gen.Callback("a")))
        fetch("b", callback=(yield gen.Callback("b")))
        (yield gen.Callback("c"))("at once")
        first = yield gen.Wait("b")
        yield
        rest = yield gen.WaitAll(["c", "a"])
        fetch("again", callback=(yield gen.Callback("a")))
        return [first, *rest, (yield gen.Wait("a"))]

    async def main() -> None:
        assert await function() == [
            "response of b",
            "at once",
            "response of a",
            "response of again",
        ]

    run(main)


def test_keys_belong_to_their_coroutine(run: Run) -> None:
    @gen.coroutine
    def inner() -> Generator[Any, Any, str]:
        fetch("inner", callback=(yield gen.Callback("key")))
        result: str = yield gen.Wait("key")
        return result

    @gen.coroutine
    def outer() -> Generator[Any, Any, list[str]]:
        fetch("outer", callback=(yield gen.Callback("key")))
        return [(yield inner()), (yield gen.Wait("key"))]

    async def main() -> None:
        assert await outer() == ["response of inner", "response of outer"]

    run(main)


def test_mistakes_with_keys(run: Run) -> None:
    @gen.coroutine
    def leaks() -> Generator[Any, Any, None]:
        yield gen.Callback("leaked")

    @gen.coroutine
    def fails() -> Generator[Any, Any, None]:
        yield gen.Callback("leaked")
        raise ZeroDivisionError

    @gen.coroutine
    def function() -> Generator[Any, Any, None]:
        with pytest.raises(gen.UnknownKeyError, match="'key'"):
            yield gen.Wait("key")
        yield gen.Callback("key")
        with pytest.raises(gen.KeyReuseError, match="'key' is already pending"):
            yield gen.Callback("key")
        with pytest.raises(gen.BadYieldError, match=r"use gen\.WaitAll"):
            yield [gen.Wait("key")]
        with pytest.raises(NotImplementedError):
            yield gen.YieldPoint()
        (yield gen.Callback("other"))()
        yield gen.Wait("other")
        with pytest.raises(gen.LeakedCallbackError, match=r"\['leaked'\]"):
            yield leaks()
        with pytest.raises(ZeroDivisionError):
            yield fails()

    async def main() -> None:
        with pytest.raises(gen.LeakedCallbackError, match=r"\['key'\]"):
            await function()

    run(main)


def test_engine_returns_nothing(run: Run) -> None:
    @gen.engine
    def function(seen: "Future[str]") -> Generator[Any, Any, None]:
        seen.set_result((yield gen.Task(fetch, "a")))

    async def main() -> None:
        seen: Future[str] = Future()
        assert function(seen) is None  # type: ignore[func-returns-value]
        assert await seen == "response of a"

    run(main)


def test_engine_has_no_result(run: Run) -> None:
    @gen.engine
    def function() -> Generator[Any, Any, int]:
        if not function:
            yield
        return 3

    async def main() -> None:
        with pytest.raises(ReturnValueIgnoredError, match="returned 3, which nobody can get"):
            function()

    run(main)


def test_exceptions_of_an_engine(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    handled: list[BaseException] = []

    @gen.engine
    def function(turns: int) -> Generator[Any, Any, None]:
        for _ in range(turns):
            yield
        raise KeyError(turns)

    def handler(typ: Any, value: BaseException, tb: Any) -> bool:
        handled.append(value)
        return True

    async def main() -> None:
        with pytest.raises(KeyError):
            function(0)
        with ExceptionStackContext(handler):
            function(1)
        function(2)
        for _ in range(6):
            await asyncio.sleep(0)

    run(main)
    assert [error.args for error in handled] == [(1,)]
    (record,) = caplog.records
    assert record.getMessage().startswith("Exception in gen.engine function <function")
