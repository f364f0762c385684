"""Queues between coroutines."""

import asyncio
import collections
import datetime
import gc
import weakref
from collections.abc import Callable, Generator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typhoon import gen, queues

Run = Callable[[Callable[[], Any]], Any]

SHORT = datetime.timedelta(milliseconds=1)
LONG = datetime.timedelta(hours=1)

KINDS: list[Any] = [queues.Queue, queues.PriorityQueue, queues.LifoQueue]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (queues.Queue, [2, 3, 1]),
        (queues.PriorityQueue, [1, 2, 3]),
        (queues.LifoQueue, [1, 3, 2]),
    ],
)
def test_order(run: Run, kind: Any, expected: list[int]) -> None:
    async def main() -> None:
        queue = kind()
        for item in (2, 3, 1):
            queue.put_nowait(item)
        assert queue.qsize() == 3
        assert [await queue.get(), queue.get_nowait(), await queue.get(LONG)] == expected
        assert queue.empty()

    run(main)


def test_a_bounded_queue(run: Run) -> None:
    async def main() -> None:
        queue: queues.Queue[int] = queues.Queue(maxsize=2)
        assert queue.maxsize == 2
        puts = [queue.put(item) for item in range(4)]
        assert [put.done() for put in puts] == [True, True, False, False]
        assert queue.full()
        with pytest.raises(queues.QueueFull):
            queue.put_nowait(9)
        puts[2].cancel()
        assert queue.get_nowait() == 0
        assert puts[3].done()  # the one before had been cancelled
        assert [await queue.get() for _ in range(2)] == [1, 3]
        with pytest.raises(queues.QueueEmpty):
            queue.get_nowait()
        assert [await put for put in puts[:2]] == [None, None]

    run(main)


@pytest.mark.parametrize("kind", KINDS)
def test_getters_are_served_in_order(run: Run, kind: Any) -> None:
    async def main() -> None:
        queue = kind()
        gets = [queue.get() for _ in range(3)]
        gets[0].cancel()
        queue.put_nowait(1)
        await queue.put(2)
        assert [await get for get in gets[1:]] == [1, 2]
        assert queue.empty()

    run(main)


def test_timeouts(run: Run) -> None:
    async def main() -> None:
        queue: queues.Queue[int] = queues.Queue(1)
        for timeout in (SHORT, datetime.timedelta(0), 0):
            with pytest.raises(TimeoutError):
                await queue.get(timeout=timeout)
        in_time = queue.get(LONG)
        queue.put_nowait(1)
        assert await in_time == 1
        await queue.put(2, timeout=SHORT)
        for timeout in (SHORT, 0):
            with pytest.raises(TimeoutError):
                await queue.put(3, timeout)
        waiting = queue.put(4, LONG)
        assert [await queue.get(), await queue.get()] == [2, 4]
        await waiting
        with pytest.raises(TimeoutError, match=r"^$"):
            await queue.join(SHORT)
        with pytest.raises(TypeError, match="Unsupported deadline"):
            queue.get(timeout="soon")  # type: ignore[arg-type]
        assert "getters" not in repr(queue)

    run(main)


def test_polling_leaves_nothing_behind(run: Run) -> None:
    async def main() -> None:
        queue: queues.Queue[int] = queues.Queue(1)
        first = queue.get()
        for _ in range(10):
            with pytest.raises(TimeoutError):
                await queue.get(0)
        assert "getters[1]" in repr(queue)
        queue.put_nowait(1)
        await first
        queue.put_nowait(2)
        for _ in range(10):
            with pytest.raises(TimeoutError):
                await queue.put(3, 0)
        assert "putters" not in repr(queue)

    run(main)


def test_join_waits_for_the_work(run: Run) -> None:
    async def main() -> None:
        queue: queues.Queue[int] = queues.Queue()
        assert queue.join().done()
        queue.put_nowait(1)
        await queue.put(2)
        joins = [queue.join(), queue.join(LONG)]
        await queue.get()
        await queue.get()
        queue.task_done()
        assert not any(join.done() for join in joins)
        joins.append(queue.join())
        joins[0].cancel()
        queue.task_done()
        assert all(join.done() for join in joins)
        with pytest.raises(ValueError, match="too many times"):
            queue.task_done()

    run(main)


def test_async_for(run: Run) -> None:
    async def main() -> None:
        queue: queues.Queue[int] = queues.Queue()
        for item in range(3):
            queue.put_nowait(item)
        seen = []
        async for item in queue:
            seen.append(item)
            if item == 2:
                break
        assert seen == [0, 1, 2]

    run(main)


def test_repr_and_maxsize(run: Run) -> None:
    async def main() -> None:
        queue: queues.Queue[Any] = queues.Queue(1)
        assert str(queue) == "<Queue maxsize=1>"
        assert repr(queue) == f"<Queue at {id(queue):#x} maxsize=1>"
        queue.get()
        assert str(queue) == "<Queue maxsize=1 getters[1]>"
        for item in "abc":
            queue.put(item)
        assert str(queue) == "<Queue maxsize=1 queue=['b'] putters[1] tasks=2>"
        assert str(queues.Queue[int](3)) == "<Queue maxsize=3>"
        with pytest.raises(TypeError, match="maxsize can't be None"):
            queues.Queue(None)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="maxsize can't be negative"):
            queues.Queue(-1)
        fraction = queues.Queue[int](1.5)  # type: ignore[arg-type]
        fraction.put_nowait(1)
        assert not fraction.full()
        fraction.put_nowait(2)
        assert fraction.full()

    run(main)


def test_a_future_that_is_kept_is_not_given_again(run: Run) -> None:
    async def main() -> None:
        queue: queues.Queue[int] = queues.Queue()
        kept = [queue.put(item) for item in range(3)]
        assert len(set(kept)) == 3
        for item in range(3):
            await queue.put(item)
        done, pending = await asyncio.wait([queue.put(item) for item in range(3)])
        assert (len(done), len(pending)) == (3, 0)

    run(main)


def test_a_queue_serves_one_loop_after_the_other() -> None:
    queue: queues.Queue[int] = queues.Queue()
    called: list[Any] = []

    async def main() -> None:
        for _ in range(2):
            await queue.put(1)
            assert await queue.get() == 1
        put = queue.put(1)
        assert put.get_loop() is asyncio.get_running_loop()
        put.add_done_callback(called.append)
        await asyncio.sleep(0)
        assert queue.get_nowait() == 1

    for _ in range(2):
        asyncio.run(main())
    assert len(called) == 2


class UniqueQueue(queues.Queue[int]):
    """A queue that keeps its items in another way."""

    def _init(self) -> None:
        self._queue = collections.OrderedDict()

    def _put(self, item: int) -> None:
        self._queue[item] = None

    def _get(self) -> int:
        item: int = self._queue.popitem(last=False)[0]
        return item


class LoudQueue(queues.Queue[str]):
    """A queue that changes what is put in."""

    def _put(self, item: str) -> None:
        super()._put(item.upper())


def test_subclasses_may_keep_the_items_in_another_way(run: Run) -> None:
    async def main() -> None:
        unique = UniqueQueue()
        for item in (1, 2, 1, 2):
            await unique.put(item)
        assert unique.qsize() == 2
        assert [await unique.get(), unique.get_nowait()] == [1, 2]
        assert unique.empty()
        loud = LoudQueue(1)
        get = loud.get()
        await loud.put("a")
        waiting = [loud.put("b"), loud.put("c")]
        assert [await get, await loud.get(), await loud.get()] == ["A", "B", "C"]
        await gen.multi(waiting)

    run(main)


def test_an_exception_of_a_subclass_comes_from_put(run: Run) -> None:
    async def main() -> None:
        queue: queues.PriorityQueue[Any] = queues.PriorityQueue()
        await queue.put(1)
        with pytest.raises(TypeError):
            queue.put("text")
        assert "tasks=1" in repr(queue)

    run(main)


def test_producer_and_consumer(run: Run) -> None:
    queue: queues.Queue[int] = queues.Queue(maxsize=3)
    seen: list[int] = []

    @gen.coroutine
    def consumer() -> Generator[Any, Any, None]:
        while len(seen) < 20:
            seen.append((yield queue.get()))
            yield
            queue.task_done()

    @gen.coroutine
    def producer() -> Generator[Any, Any, None]:
        for item in range(20):
            yield queue.put(item)

    async def main() -> None:
        await gen.multi([consumer(), producer()])
        await queue.join(LONG)
        assert seen == list(range(20))

    run(main)


@given(
    st.integers(0, 3),
    st.lists(st.sampled_from(["put", "get", "cancel put", "cancel get", "done"]), max_size=40),
)
def test_it_behaves_as_a_list_of_items_and_lines(maxsize: int, steps: list[str]) -> None:
    """Every item comes out once, in order, whatever was cancelled in between."""

    async def main() -> None:
        queue: queues.Queue[int] = queues.Queue(maxsize)
        items: list[int] = []
        putters: list[tuple[int, Any]] = []
        getters: list[Any] = []
        for number, step in enumerate(steps):
            match step:
                case "put":
                    put = queue.put(number)
                    if getters:
                        assert getters.pop(0).result() == number
                    elif maxsize and len(items) == maxsize:
                        assert not put.done()
                        putters.append((number, put))
                    else:
                        items.append(number)
                case "get":
                    get = queue.get()
                    if not items:
                        assert not get.done()
                        getters.append(get)
                        continue
                    assert get.result() == items.pop(0)
                    if putters:
                        item, put = putters.pop(0)
                        assert put.done()
                        items.append(item)
                case "cancel put":
                    if putters:
                        putters.pop()[1].cancel()
                case "cancel get":
                    if getters:
                        getters.pop(0).cancel()
            assert queue.qsize() == len(items)
            assert queue.full() == bool(maxsize and len(items) >= maxsize)

    asyncio.run(main())


def test_a_queue_in_a_cycle_is_collected(run: Run) -> None:
    class Item:
        queue: Any = None

    async def main() -> None:
        item = Item()
        item.queue = queues.Queue(1)
        await item.queue.put(item)
        waiting = item.queue.put(item)
        freed = weakref.ref(item)
        del item, waiting
        gc.collect()
        assert freed() is None

    run(main)
