"""Locks between coroutines."""

import asyncio
import datetime
from collections.abc import Callable, Generator
from typing import Any

import pytest

from typhoon import gen, locks

Run = Callable[[Callable[[], Any]], Any]

SHORT = datetime.timedelta(milliseconds=1)
LONG = datetime.timedelta(hours=1)


# Condition


def test_notify_wakes_the_longest_waiting(run: Run) -> None:
    async def main() -> None:
        condition = locks.Condition()
        assert repr(condition) == "<Condition>"
        waits = [condition.wait() for _ in range(5)]
        assert repr(condition) == "<Condition waiters[5]>"
        waits[0].cancel()
        condition.notify(2)
        assert [wait.done() for wait in waits] == [True, True, True, False, False]
        condition.notify()
        condition.notify_all()
        condition.notify()  # nobody
        assert [await wait for wait in waits[1:]] == [True] * 4

    run(main)


def test_a_condition_that_times_out_says_so(run: Run) -> None:
    async def main() -> None:
        condition = locks.Condition()
        wait = condition.wait(SHORT)
        in_time = condition.wait(timeout=LONG)
        assert not await wait
        condition.notify()
        assert await in_time

    run(main)


def test_polling_leaves_nothing_behind(run: Run) -> None:
    async def main() -> None:
        condition, semaphore = locks.Condition(), locks.Semaphore(0)
        first = condition.wait()
        acquired = semaphore.acquire()
        for _ in range(10):
            assert not await condition.wait(0)
            with pytest.raises(TimeoutError):
                await semaphore.acquire(0)
            condition.wait().cancel()
        assert repr(condition) in ("<Condition waiters[2]>", "<Condition waiters[3]>")
        assert "waiters:2" in repr(semaphore)
        condition.notify()
        semaphore.release()
        assert await first
        with await acquired:
            pass

    run(main)


def test_those_in_the_middle_that_gave_up_are_dropped_in_the_end(run: Run) -> None:
    async def main() -> None:
        condition = locks.Condition()
        given_up = [condition.wait(SHORT) for _ in range(200)]
        last = condition.wait()
        assert await gen.multi(given_up) == [False] * 200
        assert len(condition._waiters) < 105
        condition.notify()
        assert await last

    run(main)


# Event


def test_event(run: Run) -> None:
    async def main() -> None:
        event = locks.Event()
        assert repr(event) == "<Event clear>"
        waits = [event.wait(), event.wait(LONG)]
        given_up = event.wait()
        given_up.cancel()
        with pytest.raises(TimeoutError, match="Timeout"):
            await event.wait(SHORT)
        assert not event.is_set()
        event.set()
        event.set()
        assert event.is_set()
        assert repr(event) == "<Event set>"
        assert event.wait().done()
        event.clear()
        assert await gen.multi(waits) == [None, None]
        assert not event.wait().done()

    run(main)


# Semaphore


def test_semaphore_counts(run: Run) -> None:
    async def main() -> None:
        semaphore = locks.Semaphore(2)
        assert "[unlocked,value:2]" in repr(semaphore)
        waits = [semaphore.acquire() for _ in range(4)]
        assert [wait.done() for wait in waits] == [True, True, False, False]
        assert "[locked,waiters:2]" in repr(semaphore)
        waits[2].cancel()
        semaphore.release()
        assert waits[3].done()
        with await waits[0]:
            pass
        assert "[unlocked,value:1]" in repr(semaphore)
        with pytest.raises(ValueError, match="must be >= 0"):
            locks.Semaphore(-1)

    run(main)


def test_with_yield_acquire(run: Run) -> None:
    semaphore: Any = None
    order: list[str] = []

    @gen.coroutine
    def worker(name: str) -> Generator[Any, Any, None]:
        with (yield semaphore.acquire(LONG)) as nothing:
            assert nothing is None
            order.append(f"{name} in")
            yield
            order.append(f"{name} out")
            if name == "b":
                raise KeyError(name)

    async def main() -> None:
        nonlocal semaphore
        for semaphore in (locks.Semaphore(), locks.Lock(), locks.BoundedSemaphore()):
            order.clear()
            with pytest.raises(KeyError):
                await gen.multi([worker(name) for name in "abc"])
            assert order == ["a in", "a out", "b in", "b out", "c in", "c out"]
            assert semaphore.acquire().done()

    run(main)


def test_async_with(run: Run) -> None:
    async def worker(lock: Any, order: list[int], number: int) -> None:
        async with lock as nothing:
            assert nothing is None
            order.append(number)
            await asyncio.sleep(0)
            order.append(number)

    async def main() -> None:
        for lock in (locks.Semaphore(), locks.Lock()):
            order: list[int] = []
            await asyncio.gather(*[worker(lock, order, number) for number in range(3)])
            assert order == [0, 0, 1, 1, 2, 2]

    run(main)


def test_a_task_cancelled_just_as_it_gets_the_lock_gives_it_back(run: Run) -> None:
    async def worker(lock: Any) -> None:
        async with lock:
            pytest.fail("it was cancelled")

    async def main() -> None:
        for lock in (locks.Semaphore(), locks.Lock()):
            await lock.acquire()
            task = asyncio.ensure_future(worker(lock))
            await asyncio.sleep(0)
            lock.release()  # which hands it to the task
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert lock.acquire().done()

    run(main)


def test_misuse(run: Run) -> None:
    @gen.coroutine
    def yields(lock: Any) -> Generator[Any, Any, None]:
        yield lock

    async def main() -> None:
        for lock in (locks.Semaphore(), locks.Lock(), locks.BoundedSemaphore()):
            with pytest.raises(RuntimeError, match="async with"), lock:  # type: ignore[attr-defined]
                pass
            with pytest.raises(gen.BadYieldError):
                await yields(lock)
        with pytest.raises(ValueError, match="released too many times"):
            locks.BoundedSemaphore(3).release()
        lock = locks.Lock()
        assert repr(lock).startswith("<Lock ")
        with pytest.raises(RuntimeError, match="release unlocked lock"):
            lock.release()
        await lock.acquire()
        with pytest.raises(TimeoutError):
            await lock.acquire(SHORT)
        lock.release()

    run(main)
