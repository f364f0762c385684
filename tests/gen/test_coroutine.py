"""Coroutines that are generators."""

import asyncio
import contextvars
import functools
import gc
import inspect
import weakref
from collections.abc import Callable, Generator
from concurrent import futures
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import without_collector
from typhoon import gen
from typhoon.concurrent import Future

Run = Callable[[Callable[[], Any]], Any]


def soon(result: Any = None) -> "Future[Any]":
    """A future that is done in the next turn of the loop."""
    future: Future[Any] = Future()
    future.get_loop().call_soon(future.set_result, result)
    return future


def done(result: Any = None) -> "Future[Any]":
    future: Future[Any] = Future()
    future.set_result(result)
    return future


def failed(error: BaseException) -> "Future[Any]":
    future: Future[Any] = Future()
    future.set_exception(error)
    return future


# The function that the decorator returns


@gen.coroutine
def documented(first: int, *, second: int = 2) -> Generator[Any, Any, int]:
    """What it does."""
    yield
    return first + second


def test_it_looks_like_the_function() -> None:
    assert documented.__name__ == "documented"
    assert documented.__doc__ == "What it does."
    assert list(inspect.signature(documented).parameters) == ["first", "second"]
    assert inspect.isfunction(documented)
    assert gen.is_coroutine_function(documented)
    assert not gen.is_coroutine_function(documented.__wrapped__)  # type: ignore[attr-defined]
    assert not gen.is_coroutine_function(len)


def test_it_takes_arguments_and_returns_a_future(run: Run) -> None:
    async def main() -> None:
        future = documented(1, second=5)
        assert type(future) is asyncio.Future
        assert not future.done()
        assert await future == 6

    run(main)


def test_it_can_be_a_method(run: Run) -> None:
    class Thing:
        value = 3

        @gen.coroutine
        def add(self, other: int) -> Generator[Any, Any, int]:
            yield
            return self.value + other

    async def main() -> None:
        assert await Thing().add(4) == 7

    run(main)


@pytest.mark.parametrize("result", [None, 1, True, "text", b"bytes", [1], {1: 2}, (1,), 1.5, Run])
def test_a_function_without_yield_is_a_coroutine_as_well(run: Run, result: Any) -> None:
    @gen.coroutine
    def function() -> Any:
        return result

    async def main() -> None:
        future = function()
        assert future.done()
        assert await future is result

    run(main)


@pytest.mark.parametrize("wait", [False, True])
@pytest.mark.parametrize("value", [None, 42, (1, 2)])
def test_return_raised_ends_it_with_a_value(run: Run, wait: bool, value: Any) -> None:
    @gen.coroutine
    def function() -> Generator[Any, Any, Any]:
        if wait:
            yield soon()
        raise gen.Return(value)

    async def main() -> None:
        assert await function() == value

    run(main)


def test_return_raised_after_an_exception_was_thrown_in(run: Run) -> None:
    @gen.coroutine
    def function() -> Generator[Any, Any, Any]:
        try:
            yield failed(KeyError())
        except KeyError:
            raise gen.Return("caught") from None

    @gen.coroutine
    def returning() -> Generator[Any, Any, Any]:
        try:
            yield failed(KeyError())
        except KeyError:
            return "returned"

    async def main() -> None:
        assert await function() == "caught"
        assert await returning() == "returned"

    run(main)


def test_a_generator_of_another_class(run: Run) -> None:
    class Countdown(Generator[Any, Any, str]):
        left = 3

        def send(self, value: Any) -> Any:
            if not self.left:
                raise StopIteration("gone")
            self.left -= 1
            return soon()

        def throw(self, *error: Any) -> Any:
            raise error[0]

    @gen.coroutine
    def function() -> Generator[Any, Any, str]:
        return Countdown()

    async def main() -> None:
        assert await function() == "gone"

    run(main)


# What is yielded


def test_yield_gives_what_the_future_has(run: Run) -> None:
    async def native(value: int) -> int:
        await asyncio.sleep(0)
        return value

    class Sub(asyncio.Future):  # type: ignore[type-arg]
        pass

    @gen.coroutine
    def function(pool: futures.Executor) -> Generator[Any, Any, list[Any]]:
        subclass = Sub()
        subclass.get_loop().call_soon(subclass.set_result, 6)
        finished = pool.submit(int, 7)
        finished.result(20)
        return [
            (yield done(1)),
            (yield soon(2)),
            (yield native(3)),
            (yield asyncio.ensure_future(native(4))),
            (yield documented(2, second=3)),
            (yield subclass),
            (yield finished),
            (yield pool.submit(int, 8)),
            (yield [native(9), done(10)]),
            (yield {"key": soon(11)}),
            (yield),
            (yield gen.moment),
        ]

    async def main() -> None:
        with futures.ThreadPoolExecutor(1) as pool:
            result = await function(pool)
        assert result == [1, 2, 3, 4, 5, 6, 7, 8, [9, 10], {"key": 11}, None, None]

    run(main)


@pytest.mark.parametrize("wait", [False, True])
def test_an_exception_is_thrown_in(run: Run, wait: bool) -> None:
    @gen.coroutine
    def function() -> Generator[Any, Any, str]:
        future = Future[None]()
        future.get_loop().call_soon(future.set_exception, KeyError("key"))
        if not wait:
            future = failed(KeyError("key"))
        with pytest.raises(KeyError) as raised:
            yield future
        assert raised.value.__context__ is None
        yield soon()
        return f"caught {raised.value}"

    async def main() -> None:
        assert await function() == "caught 'key'"

    run(main)


@pytest.mark.parametrize("wait", [False, True])
def test_an_exception_comes_from_the_future(run: Run, wait: bool) -> None:
    @gen.coroutine
    def function() -> Generator[Any, Any, None]:
        if wait:
            yield soon()
        raise ZeroDivisionError

    async def main() -> None:
        future = function()
        with pytest.raises(ZeroDivisionError):
            await future

    run(main)


def test_a_bad_yield_is_raised_where_it_was_yielded(run: Run) -> None:
    @gen.coroutine
    def function() -> Generator[Any, Any, None]:
        with pytest.raises(gen.BadYieldError, match="yielded unknown object 42"):
            yield 42
        yield soon()
        yield (1, 2)

    async def main() -> None:
        with pytest.raises(gen.BadYieldError, match=r"\(1, 2\)"):
            await function()

    run(main)


def test_other_types_can_be_registered(run: Run) -> None:
    class Deferred:
        pass

    gen.convert_yielded.register(Deferred, lambda _: soon("deferred"))

    @gen.coroutine
    def function() -> Generator[Any, Any, Any]:
        return (yield Deferred())

    async def main() -> None:
        assert await function() == "deferred"

    run(main)


def test_futures_that_are_done_are_not_waited_for_and_moments_are(run: Run) -> None:
    order: list[str] = []

    @gen.coroutine
    def function(name: str, yielded: Any) -> Generator[Any, Any, None]:
        for _ in range(3):
            order.append(name)
            yield yielded

    async def main() -> None:
        await gen.multi([function("a", done()), function("b", done())])
        assert "".join(order) == "aaabbb"
        order.clear()
        await gen.multi([function("a", gen.moment), function("b", None)])
        assert "".join(order) == "ababab"

    run(main)


def test_asyncio_may_wait_for_the_same_future(run: Run) -> None:
    """Asking whether a future is done must not leave the mark of a task on it."""

    @gen.coroutine
    def function(future: "Future[int]") -> Generator[Any, Any, int]:
        return (yield future)

    async def main() -> None:
        future: Future[int] = Future()
        coroutines = [function(future) for _ in range(3)]
        waiter = asyncio.ensure_future(asyncio.wait_for(future, 20))
        await asyncio.sleep(0)
        future.set_result(5)
        assert await asyncio.gather(*coroutines, waiter) == [5] * 4

    run(main)


@given(st.recursive(st.sampled_from(["done", "soon", "moment", "fail"]), st.lists))
def test_any_order_of_waiting_gives_each_yield_its_own(plan: Any) -> None:
    @gen.coroutine
    def follow(plan: Any) -> Generator[Any, Any, Any]:
        if isinstance(plan, list):
            results = []
            for step in plan:
                try:
                    results.append((yield follow(step)))
                except LookupError as error:
                    results.append(error.args[0])
            return results
        match plan:
            case "done":
                return (yield done("done"))
            case "soon":
                return (yield soon("soon"))
            case "moment":
                yield
                return "moment"
            case _:
                return (yield failed(LookupError("fail")))

    async def main() -> None:
        assert await follow([plan]) == [plan]

    asyncio.run(main())


# Cancellation


@pytest.mark.parametrize("wait", [False, True])
def test_a_cancelled_error_cancels_the_result(run: Run, wait: bool) -> None:
    @gen.coroutine
    def function() -> Generator[Any, Any, None]:
        if wait:
            yield soon()
        raise asyncio.CancelledError

    @gen.coroutine
    def outer() -> Generator[Any, Any, str]:
        try:
            yield function()
        except asyncio.CancelledError:
            return "caught"
        return ""

    async def main() -> None:
        future = function()
        with pytest.raises(asyncio.CancelledError):
            await future
        assert future.cancelled()
        assert await outer() == "caught"

    run(main)


def test_cancelling_the_result_leaves_the_coroutine_running(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    steps: list[str] = []

    @gen.coroutine
    def function(error: Exception | None) -> Generator[Any, Any, None]:
        yield soon()
        steps.append("went on")
        if error:
            raise error

    async def main() -> None:
        for error in (None, KeyError("late")):
            function(error).cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    run(main)
    assert steps == ["went on", "went on"]
    (record,) = caplog.records
    assert record.getMessage() == "Exception after Future was cancelled"
    assert record.name == "typhoon.application"


def test_an_exception_that_nobody_sees_is_logged(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    @gen.coroutine
    def function() -> Generator[Any, Any, None]:
        yield soon()
        raise KeyError("unseen")

    async def main() -> None:
        await asyncio.wait([function()])

    run(main)
    assert [record.name for record in caplog.records] == ["asyncio"]
    assert "Future exception was never retrieved" in caplog.text


def test_an_exit_ends_the_program(run: Run) -> None:
    @gen.coroutine
    def at_once() -> None:
        raise SystemExit(3)

    @gen.coroutine
    def later() -> Generator[Any, Any, None]:
        yield soon()
        raise SystemExit(4)

    async def main(function: Callable[[], Any]) -> None:
        await function()

    for function, code in ((at_once, 3), (later, 4)):
        with pytest.raises(SystemExit) as raised:
            run(functools.partial(main, function))
        assert raised.value.code == code


# Context variables

variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)


def test_a_coroutine_has_a_context_of_its_own(run: Run) -> None:
    async def native() -> int:
        return variable.get()

    @gen.coroutine
    def function(value: int) -> Generator[Any, Any, list[int]]:
        assert variable.get() == 100
        token = variable.set(value)
        seen = [(yield native())]
        yield soon()
        seen.append(variable.get())
        yield
        seen.append(variable.get())
        variable.reset(token)
        return [*seen, variable.get()]

    @gen.coroutine
    def plain() -> None:
        variable.set(5)

    async def main() -> None:
        variable.set(100)
        results = await asyncio.gather(*[function(value) for value in (1, 2, 3)])
        assert results == [[value] * 3 + [100] for value in (1, 2, 3)]
        await plain()
        assert variable.get() == 100

    run(main)


# Memory


class Witness:
    """Something to see being freed."""


def test_all_is_freed_without_the_garbage_collector(run: Run) -> None:
    witnesses: list[weakref.ref[Witness]] = []

    @gen.coroutine
    def inner(wait: bool, error: bool) -> Generator[Any, Any, Witness]:
        local = Witness()
        witnesses.append(weakref.ref(local))
        if wait:
            yield soon()
        yield done()
        if error:
            raise ValueError
        return local

    @gen.coroutine
    def outer(wait: bool, error: bool) -> Generator[Any, Any, None]:
        try:
            yield inner(wait, error)
        except ValueError:
            pass

    async def main() -> None:
        with without_collector():
            for wait in (False, True):
                for error in (False, True):
                    await outer(wait, error)
                    assert witnesses.pop()() is None

    run(main)


def test_whoever_waits_for_the_result_keeps_the_coroutine(run: Run) -> None:
    waited: list[weakref.ref[Any]] = []

    @gen.coroutine
    def function() -> Generator[Any, Any, int]:
        future: Future[int] = Future()
        waited.append(weakref.ref(future))
        return (yield future)

    async def main() -> None:
        result = function()
        gc.collect()
        future = waited[0]()
        assert future is not None
        future.set_result(3)
        del future
        assert await result == 3

    run(main)


def test_a_coroutine_that_nobody_can_wake_is_collected(run: Run) -> None:
    ended: list[str] = []

    @gen.coroutine
    def function() -> Generator[Any, Any, None]:
        mine: Future[None] = Future()
        try:
            yield soon()
            yield mine
        finally:
            ended.append("ended")

    async def main() -> None:
        for _ in range(3):  # also those that take the memory of others
            result = function()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert not result.done()
            del result
            gc.collect()
        assert ended == ["ended"] * 3

    run(main)


def test_debug_mode_says_where_it_was_called(run: Run) -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_debug(True)
        future = documented(1)
        code = main.__code__
        assert f"created at {__file__}:{code.co_firstlineno + 2}" in repr(future)
        await future

    run(main)


# Runner, which programs seldom make themselves


def test_a_runner_made_by_hand(run: Run) -> None:
    def generator() -> Generator[Any, Any, str]:
        first = yield
        second = yield soon(2)
        return f"{first} {second}"

    async def main() -> None:
        result: Future[str] = Future()
        generated = generator()
        next(generated)
        context = contextvars.copy_context()
        runner = gen.Runner(context.run, generated, result, done(1))
        assert not runner.finished
        assert runner.gen is generated
        assert runner.result_future is result
        assert isinstance(runner.future, asyncio.Future)
        assert runner.ctx_run == context.run
        assert repr(generated) in repr(runner)
        runner.run()  # it waits still
        assert await result == "1 2"
        assert runner.finished
        assert not runner.running
        runner.run()
        assert not runner.handle_yield(done())
        assert repr(runner) == "<Runner finished>"
        with pytest.raises(TypeError, match="ctx_run is the run method"):
            gen.Runner(print, generated, result, None)

    run(main)


def test_a_runner_is_given_an_exception(run: Run) -> None:
    @gen.coroutine
    def function() -> Generator[Any, Any, str]:
        try:
            yield Future()
        except KeyError:
            return "caught"
        return ""

    async def main() -> None:
        result = function()
        runner = result._runner  # type: ignore[attr-defined]
        error = KeyError("given")
        assert runner.handle_exception(KeyError, error, None)
        assert await result == "caught"
        assert not runner.handle_exception(KeyError, error, None)

    run(main)
