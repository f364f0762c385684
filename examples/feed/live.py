"""Who waits for news, and how they are told: the heart of the live feed.

Each page that is open says which message it has got last, and holds a connection: a WebSocket, over
which messages are sent as they come; or, where none gets through, a request that waits here until
somebody posts. Either is an entry in a set, so the number of connections bounds them.
"""

import asyncio
from typing import TYPE_CHECKING

from storage import Message

from typhoon.websocket import broadcast

if TYPE_CHECKING:
    from handlers import LiveHandler


class LiveFeed:
    """Knows the newest message's id and tells of newer ones."""

    def __init__(self, latest: int) -> None:
        self.latest = latest
        self.waiting: set[asyncio.Future[None]] = set()
        self.pages: dict[str, set[LiveHandler]] = {}  # with a WebSocket, by language

    def newer_than(self, message_id: int) -> asyncio.Future[None]:
        """A future that is done as soon as there is a message newer than this one.

        Cancel it when nobody waits for it any more.
        """
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if message_id < self.latest:
            waiter.set_result(None)
        else:
            self.waiting.add(waiter)
            waiter.add_done_callback(self.waiting.discard)
        return waiter

    def join(self, page: "LiveHandler") -> None:
        """Send what is posted from now on over this WebSocket."""
        self.pages.setdefault(page.locale.code, set()).add(page)

    def leave(self, page: "LiveHandler") -> None:
        self.pages.get(page.locale.code, set()).discard(page)

    def announce(self, message: Message) -> None:
        """This message can be read from the storage now: tell everybody."""
        self.latest = max(self.latest, message.id)
        for waiter in self.waiting:
            if not waiter.done():
                waiter.set_result(None)
        for pages in filter(None, self.pages.values()):
            broadcast(pages, next(iter(pages)).for_script([message]))
