"""A generator coroutine that yields ten times; the job says what it yields."""

import asyncio
from collections.abc import Callable, Generator
from typing import Any

import meter

from typhoon import gen
from typhoon.concurrent import Future

YIELDS = 10
BATCH = 100


@gen.coroutine
def chain(make: Callable[[int], Any]) -> Generator[Any, Any, int]:
    total = 0
    for number in range(YIELDS):
        total += yield make(number)
    return total


@gen.coroutine
def at_once(number: int) -> Generator[Any, Any, int]:
    return number
    yield  # a generator all the same


async def main() -> None:
    loop = asyncio.get_running_loop()
    done = [Future() for _ in range(YIELDS)]
    for number, future in enumerate(done):
        future.set_result(number)

    def next_turn(number: int) -> Any:
        future = Future()
        loop.call_soon(future.set_result, number)
        return future

    make = {"coroutines": at_once, "done": done.__getitem__, "turns": next_turn}[meter.job()]

    async def batch() -> int:
        for _ in range(BATCH):
            if await chain(make) != sum(range(YIELDS)):
                raise ValueError("The coroutine returned something else.")
        return BATCH

    await meter.repeat(batch)


if __name__ == "__main__":
    meter.run(main())
