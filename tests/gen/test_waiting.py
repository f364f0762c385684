"""Waiting for a time, for futures as they come, and no longer than until a deadline."""

import asyncio
import datetime
import gc
import time
from collections.abc import Callable, Generator
from typing import Any

import pytest

from typhoon import gen
from typhoon.concurrent import Future
from typhoon.gen.deadlines import expire_at, seconds_until

Run = Callable[[Callable[[], Any]], Any]

SHORT = datetime.timedelta(milliseconds=1)
LONG = datetime.timedelta(hours=1)


# Deadlines


def test_seconds_until() -> None:
    assert seconds_until(datetime.timedelta(minutes=2)) == 120
    assert seconds_until(datetime.timedelta(seconds=-1)) == 0
    assert seconds_until(0) == 0
    assert 9 < seconds_until(time.time() + 10) <= 10
    for bad in ("soon", None):
        with pytest.raises(TypeError, match=r"Unsupported deadline .* pass a datetime\.timedelta"):
            seconds_until(bad)  # type: ignore[arg-type]


def test_expire_at(run: Run) -> None:
    async def main() -> None:
        future: Future[int] = Future()
        expire_at(future, SHORT, "text")
        with pytest.raises(TimeoutError, match="text"):
            await future
        future = Future()
        expire_at(future, LONG)
        future.set_result(3)
        assert await future == 3

    run(main)


# sleep, maybe_future


def test_sleep(run: Run) -> None:
    async def main() -> None:
        start = time.monotonic()
        await gen.sleep(0.01)
        assert time.monotonic() - start >= 0.009
        cancelled = gen.sleep(0.001)
        cancelled.cancel()
        await gen.sleep(0.002)

    run(main)


def test_maybe_future(run: Run) -> None:
    async def main() -> None:
        future: Future[None] = Future()
        assert gen.maybe_future(future) is future
        assert gen.maybe_future(3).result() == 3

    run(main)


# with_timeout


def test_the_time_is_over(run: Run) -> None:
    async def main() -> None:
        waited: Future[None] = Future()
        for deadline in (SHORT, datetime.timedelta(0), time.time(), 0):
            with pytest.raises(TimeoutError, match=r"^Timeout$"):
                await gen.with_timeout(deadline, waited)
        with pytest.raises(TimeoutError, match=r"^mine$"):
            await gen.with_timeout(SHORT, waited, message="mine")
        with pytest.raises(TimeoutError, match=r"^made$"):
            await gen.with_timeout(SHORT, waited, message=lambda: "made")
        assert not waited.done()
        with pytest.raises(TypeError, match="Unsupported deadline"):
            gen.with_timeout("soon", waited)  # type: ignore[arg-type]

    run(main)


def test_the_outcome_comes_in_time(run: Run) -> None:
    async def fails() -> None:
        raise KeyError("key")

    async def main() -> None:
        assert await gen.with_timeout(LONG, asyncio.sleep(0, 5)) == 5
        assert await gen.with_timeout(LONG, [asyncio.sleep(0, 5)]) == [5]
        assert await gen.with_timeout(LONG, None) is None
        assert gen.with_timeout(0, gen.maybe_future(6)).result() == 6
        with pytest.raises(KeyError):
            await gen.with_timeout(LONG, fails())
        waited: Future[None] = Future()
        waiting = gen.with_timeout(LONG, waited)
        waited.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert waiting.cancelled()

    run(main)


@pytest.mark.parametrize(("quiet", "logged"), [((), 1), (KeyError, 0)])
def test_an_exception_that_comes_late_is_logged(
    run: Run, caplog: pytest.LogCaptureFixture, quiet: Any, logged: int
) -> None:
    async def main() -> None:
        waited: Future[None] = Future()
        with pytest.raises(TimeoutError):
            await gen.with_timeout(SHORT, waited, quiet_exceptions=quiet)
        waited.set_exception(KeyError("late"))
        await asyncio.sleep(0)

    run(main)
    assert len(caplog.records) == logged
    for record in caplog.records:
        assert record.name == "typhoon.application"
        assert "after timeout" in record.getMessage()


def test_what_comes_late_without_exception_is_forgotten(run: Run) -> None:
    async def main() -> None:
        for finish in (lambda waited: waited.set_result(1), lambda waited: waited.cancel()):
            waited: Future[int] = Future()
            with pytest.raises(TimeoutError):
                await gen.with_timeout(SHORT, waited)
            finish(waited)
            await asyncio.sleep(0)

    run(main)


# WaitIterator


def test_futures_are_given_as_they_come(run: Run) -> None:
    async def main() -> None:
        children = [Future[int]() for _ in range(3)]
        iterator = gen.WaitIterator(*children)
        assert iterator.current_index is None
        seen = []
        loop = asyncio.get_running_loop()
        loop.call_soon(children[2].set_result, 30)
        loop.call_later(0.001, children[0].set_exception, KeyError("key"))
        loop.call_later(0.002, children[1].set_result, 20)
        while not iterator.done():
            try:
                result: Any = await iterator.next()
            except KeyError:
                result = "error"
            assert iterator.current_future is children[iterator.current_index]  # type: ignore[index]
            seen.append((iterator.current_index, result))
        assert seen == [(2, 30), (0, "error"), (1, 20)]
        assert iterator.current_index is iterator.current_future is None
        with pytest.raises(RuntimeError, match="all results have been given"):
            iterator.next()

    run(main)


def test_async_for_over_named_futures(run: Run) -> None:
    async def main() -> None:
        done = gen.maybe_future(1)
        iterator = gen.WaitIterator(first=done, second=asyncio.sleep(0, 2), third=done, fourth=None)
        seen = [(iterator.current_index, result) async for result in iterator]
        assert seen == [("first", 1), ("third", 1), ("fourth", None), ("second", 2)]

    run(main)


def test_wait_iterator_of_nothing_and_of_both(run: Run) -> None:
    async def main() -> None:
        assert gen.WaitIterator().done()
        with pytest.raises(ValueError, match="by position or by name"):
            gen.WaitIterator(Future(), name=Future())

    run(main)


def test_no_cycles_are_left(run: Run) -> None:
    @gen.coroutine
    def everything() -> Generator[Any, Any, None]:
        yield gen.with_timeout(LONG, gen.sleep(0.001))
        yield [gen.sleep(0), {"key": gen.sleep(0.001)}]
        iterator = gen.WaitIterator(gen.sleep(0), gen.sleep(0.001))
        while not iterator.done():
            yield iterator.next()
        try:
            yield gen.with_timeout(SHORT, Future())
        except TimeoutError:
            pass
        try:
            yield 42
        except gen.BadYieldError:
            pass

    async def main() -> None:
        await everything()
        await asyncio.sleep(0)
        gc.collect()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            await everything()
            await asyncio.sleep(0)
            gc.collect()
            garbage = [item for item in gc.garbage if type(item).__name__ != "ReferenceType"]
            assert garbage == []
        finally:
            gc.garbage.clear()
            gc.set_debug(0)
            gc.enable()

    run(main)
