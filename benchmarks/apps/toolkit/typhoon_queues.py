"""Numbers that go through a queue, in one task or from one to another."""

import asyncio

import meter

from typhoon.queues import Queue

ITEMS = 1000


async def put(queue: Queue) -> None:
    for number in range(ITEMS):
        await queue.put(number)


async def get(queue: Queue) -> list[int]:
    return [await queue.get() for _ in range(ITEMS)]


async def two_tasks(maxsize: int) -> list[int]:
    queue = Queue(maxsize=maxsize)
    _, numbers = await asyncio.gather(put(queue), get(queue))
    return numbers


async def one_task() -> list[int]:
    queue = Queue()
    numbers = []
    for number in range(ITEMS):
        queue.put_nowait(number)
        numbers.append(await queue.get())
    return numbers


async def batch() -> int:
    match meter.job():
        case "nowait":
            numbers = await one_task()
        case "full":
            numbers = await two_tasks(1)
        case _:
            numbers = await two_tasks(0)
    if numbers != list(range(ITEMS)):
        raise ValueError("The queue gave something else, or in another order.")
    return ITEMS


if __name__ == "__main__":
    meter.run(meter.repeat(batch))
