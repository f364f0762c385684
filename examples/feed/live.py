"""Who waits for news, and how they are told: the heart of the live feed.

Each page that is open holds one request, whose answer is a stream of events that never ends. When
there is nothing newer than the last message on the page, the request waits here until somebody
posts. One waiting request is one future and one connection, so the number of connections bounds
the number of futures.
"""

import asyncio


class LiveFeed:
    """Knows the newest message's id and wakes those who wait for a newer one."""

    def __init__(self, latest: int) -> None:
        self.latest = latest
        self.waiting: set[asyncio.Future[None]] = set()

    def newer_than(self, message_id: int) -> asyncio.Future[None]:
        """A future that is done as soon as there is a message newer than this one.

        Cancel it, or the task that awaits it, when nobody waits for it any more.
        """
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if message_id < self.latest:
            waiter.set_result(None)
        else:
            self.waiting.add(waiter)
            waiter.add_done_callback(self.waiting.discard)
        return waiter

    def announce(self, message_id: int) -> None:
        """This message can be read from the storage now."""
        self.latest = max(self.latest, message_id)
        for waiter in self.waiting:
            if not waiter.done():
                waiter.set_result(None)
