"""A chat room over WebSockets: `python examples/chat_websocket/chat.py`, then http://localhost:8888.

Each page holds a WebSocket open, on which it sends what is written and gets what everybody writes.
When it opens one it says the number of the last message that it has, so that nothing is lost while
it had none.

Page and style are those of the chat by long polling next door; what differs is in this folder.
"""

import argparse
import asyncio
import json
import signal
import time
from collections import deque
from pathlib import Path
from typing import Any

from typhoon.web import Application, RequestHandler, StaticFileHandler
from typhoon.websocket import WebSocketHandler, broadcast

HERE = Path(__file__).resolve().parent
CHAT = HERE.parent / "chat"
KEPT = 200  # messages
NAME_MAX = 20  # characters
TEXT_MAX = 1000
KEY_MAX = 60


class Room:
    """The last messages, and everybody who is there."""

    def __init__(self) -> None:
        self.number = 0
        self.messages: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self.people: set[ChatHandler] = set()

    def add(self, name: str, text: str, key: str) -> None:
        """Tell everybody. The key tells messages apart: one that is here already came twice."""
        if any(message["key"] == key for message in self.messages):
            return
        now = time.time()
        # By the clock, numbers grow across restarts too: after one, pages know lower ones only.
        self.number = max(self.number + 1, int(now * 1000))
        message = {"number": self.number, "name": name, "text": text, "key": key, "time": now}
        self.messages.append(message)
        broadcast(self.people, {"messages": [message]})

    def after(self, number: int) -> list[dict[str, Any]]:
        """The messages with higher numbers."""
        return [message for message in self.messages if message["number"] > number]


class PageHandler(RequestHandler):
    def get(self) -> None:
        self.render("room.html", name_max=NAME_MAX, text_max=TEXT_MAX)


class ChatHandler(WebSocketHandler):
    def initialize(self, room: Room) -> None:
        self.room = room

    def open(self, number: str) -> None:
        self.write_message({"messages": self.room.after(int(number))})
        self.room.people.add(self)

    def on_message(self, message: str | bytes) -> None:
        try:
            sent = json.loads(message)
        except ValueError:
            sent = None
        match sent:
            case {"name": str(name), "text": str(text), "key": str(key)} if (
                0 < len(name) <= NAME_MAX and 0 < len(text) <= TEXT_MAX and len(key) <= KEY_MAX
            ):
                self.room.add(name, text, key)
            case _:  # the page does not send such things
                self.close(1008, "a name or a text is empty or too long")

    def on_close(self) -> None:
        self.room.people.discard(self)


def make_app(room: Room, ping_interval: float = 20) -> Application:
    return Application(
        [
            (r"/", PageHandler),
            (r"/chat/after/([0-9]{1,15})", ChatHandler, {"room": room}),
            (r"/(chat\.js)", StaticFileHandler, {"path": str(HERE)}),
            (r"/(chat\.css|page\.js)", StaticFileHandler, {"path": str(CHAT / "static")}),
        ],
        # Pings keep proxies from closing connections on which nobody says anything.
        websocket_ping_interval=ping_interval,
        websocket_max_message_size=16 * 1024,
        template_path=str(CHAT),
        static_path=str(HERE.parent / "feed" / "static"),
    )


async def main() -> None:
    parser = argparse.ArgumentParser(description="A chat room over WebSockets, on Typhoon.")
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
