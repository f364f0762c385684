"""Waiting for many at a time."""

import asyncio
from collections.abc import Callable
from concurrent import futures
from typing import Any

import pytest

from typhoon import gen
from typhoon.concurrent import Future

Run = Callable[[Callable[[], Any]], Any]


async def value(result: Any, turns: int = 1) -> Any:
    for _ in range(turns):
        await asyncio.sleep(0)
    if isinstance(result, Exception):
        raise result
    return result


def test_convert_yielded(run: Run) -> None:
    async def main() -> None:
        future: Future[None] = Future()
        assert gen.convert_yielded(future) is future
        assert gen.convert_yielded(None) is gen.moment is gen.convert_yielded(gen.moment)
        assert gen.moment.done()
        assert repr(gen.moment) == "typhoon.gen.moment"
        assert await gen.convert_yielded(value(1)) == 1
        assert await gen.convert_yielded([]) == []
        for bad in (42, "text", (1,), object()):
            with pytest.raises(gen.BadYieldError, match="yielded unknown object"):
                gen.convert_yielded(bad)

    run(main)


def test_results_have_the_order_and_the_keys_of_the_children(run: Run) -> None:
    async def main() -> None:
        with futures.ThreadPoolExecutor(1) as pool:
            assert await gen.multi([value(1, 3), value(2), None, pool.submit(int, 3)]) == [
                1,
                2,
                None,
                3,
            ]
            assert await gen.Multi({"a": value(1, 3), "b": value(2)}) == {"a": 1, "b": 2}
            assert await gen.multi_future((value(1), [value(2)])) == [1, [2]]
        assert gen.multi({}).result() == {}
        twice = asyncio.ensure_future(value(5))
        assert await gen.multi([twice, value(6), twice]) == [5, 6, 5]

    run(main)


@pytest.mark.parametrize(("quiet", "logged"), [((), 1), (KeyError, 0), ((KeyError,), 0)])
def test_the_first_exception_is_raised_and_the_others_are_logged(
    run: Run, caplog: pytest.LogCaptureFixture, quiet: Any, logged: int
) -> None:
    async def main() -> None:
        children = [value(1), value(ValueError("first"), 3), value(KeyError("second")), value(2, 9)]
        with pytest.raises(ValueError, match="first"):
            await gen.multi(children, quiet_exceptions=quiet)

    run(main)
    messages = [record.getMessage() for record in caplog.records]
    assert messages == ["Multiple exceptions in yield list"] * logged


def test_a_cancelled_child_does_not_cancel_it(run: Run) -> None:
    async def main() -> None:
        child: Future[None] = Future()
        together = gen.multi([child, value(1)])
        child.cancel()
        with pytest.raises(asyncio.CancelledError):
            await together
        assert not together.cancelled()

    run(main)


def test_it_may_be_cancelled_itself(run: Run) -> None:
    async def main() -> None:
        together = gen.multi([value(1)])
        together.cancel()
        await value(None, 4)
        assert together.cancelled()

    run(main)
