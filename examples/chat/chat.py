"""A chat room by long polling: `python examples/chat/chat.py`, then http://localhost:8888.

Each page holds one request open, which says the number of the last message that the page has. It is
answered as soon as there is a newer one; then the page asks again. What comes between two requests
is newer than the number that the next one says, so nothing is lost.

The same chat over WebSockets is next door, in chat_websocket.
"""

import argparse
import asyncio
import signal
import time
from collections import deque
from pathlib import Path
from typing import Any

from typhoon.web import Application, HTTPError, RequestHandler, StaticFileHandler

HERE = Path(__file__).resolve().parent
KEPT = 200  # messages
NAME_MAX = 20  # characters
TEXT_MAX = 1000
WAIT_SECONDS = 25  # less than the time in which proxies give up, mostly 60 s


class Room:
    """The last messages, and who waits for the next one."""

    def __init__(self) -> None:
        self.number = 0
        self.messages: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self.waiting: set[asyncio.Future[None]] = set()

    def add(self, name: str, text: str) -> None:
        now = time.time()
        # By the clock, numbers grow across restarts too: after one, pages know lower ones only.
        self.number = max(self.number + 1, int(now * 1000))
        self.messages.append({"number": self.number, "name": name, "text": text, "time": now})
        for waiter in self.waiting:
            if not waiter.done():
                waiter.set_result(None)

    def after(self, number: int) -> list[dict[str, Any]]:
        """The messages with higher numbers."""
        return [message for message in self.messages if message["number"] > number]

    def news_after(self, number: int) -> "asyncio.Future[None]":
        """A future that is done once there is a message with a higher number.

        Cancel it when nobody waits for it any more.
        """
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.after(number):
            waiter.set_result(None)
        else:
            self.waiting.add(waiter)
            waiter.add_done_callback(self.waiting.discard)
        return waiter


class PageHandler(RequestHandler):
    def get(self) -> None:
        self.render("room.html", name_max=NAME_MAX, text_max=TEXT_MAX)


class MessagesHandler(RequestHandler):
    def initialize(self, room: Room) -> None:
        self.room = room

    def post(self) -> None:
        name, text = self.get_body_argument("name"), self.get_body_argument("text")
        if not (name and text and len(name) <= NAME_MAX and len(text) <= TEXT_MAX):
            raise HTTPError(400, "a name or a text is empty or too long")
        self.room.add(name, text)
        self.set_status(204)


class NewsHandler(RequestHandler):
    """Answers when there is something newer; with `wait=no`, or after a while, in any case."""

    def initialize(self, room: Room) -> None:
        self.room = room
        self.news: asyncio.Future[None] | None = None

    async def get(self, number: str) -> None:
        self.set_header("Cache-Control", "no-store")
        if self.get_query_argument("wait", "yes") == "yes":
            self.news = self.room.news_after(int(number))
            await asyncio.wait([self.news], timeout=WAIT_SECONDS)
            self.news.cancel()
        self.write({"messages": self.room.after(int(number))})

    def on_connection_close(self) -> None:
        """The page was closed while its request waited."""
        if self.news is not None:
            self.news.cancel()


def make_app(room: Room) -> Application:
    return Application(
        [
            (r"/", PageHandler),
            (r"/messages", MessagesHandler, {"room": room}),
            (r"/messages/after/([0-9]{1,15})", NewsHandler, {"room": room}),
            (r"/(chat\.css|page\.js|chat\.js)", StaticFileHandler, {"path": str(HERE / "static")}),
        ],
        cross_origin_protection=True,
        template_path=str(HERE),
        static_path=str(HERE.parent / "feed" / "static"),
    )


async def main() -> None:
    parser = argparse.ArgumentParser(description="A chat room by long polling, on Typhoon.")
    parser.add_argument("--port", type=int, default=8888, help="TCP port (default: 8888)")
    parser.add_argument("--address", default="", help="IP address (default: all of them)")
    parser.add_argument(
        "--behind-proxy", action="store_true", help="believe X-Real-IP and X-Forwarded-For"
    )
    options = parser.parse_args()

    app = make_app(Room())
    server = app.listen(options.port, options.address, xheaders=options.behind_proxy)
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    print(f"The chat is on http://localhost:{options.port}", flush=True)
    await stopped.wait()
    server.stop()
    await server.close_all_connections()


if __name__ == "__main__":
    asyncio.run(main())
