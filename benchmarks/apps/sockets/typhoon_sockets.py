"""WebSockets on Typhoon, written with Tornado's API. Tornado runs this file with changed imports.

The argument says on how many addresses to listen, from 127.0.0.1 on. `/latency` tells how late the
loop has been each time since it was asked last.
"""

import asyncio
import os
import sys
import time

import uvloop

from typhoon.ioloop import IOLoop
from typhoon.web import Application, RequestHandler
from typhoon.websocket import WebSocketHandler

try:
    from typhoon.websocket import broadcast
except ImportError:  # Tornado has none

    def broadcast(subscribers: set[WebSocketHandler], message: str) -> None:
        for subscriber in subscribers:
            subscriber.write_message(message)


PROBE_SECONDS = 0.005
subscribers: set[WebSocketHandler] = set()


class Echo(WebSocketHandler):
    def on_message(self, message: str | bytes) -> None:
        self.write_message(message, isinstance(message, bytes))


class Subscribe(Echo):
    def open(self) -> None:
        subscribers.add(self)

    def on_close(self) -> None:
        subscribers.discard(self)


class Publish(WebSocketHandler):
    def on_message(self, message: str | bytes) -> None:
        broadcast(subscribers, message)


class Latency(RequestHandler):
    late: list[float] = []
    probe: asyncio.Task[None] | None = None

    def get(self) -> None:
        self.write({"seconds": Latency.late})
        Latency.late = []
        if Latency.probe is None:
            Latency.probe = asyncio.get_running_loop().create_task(self.watch())

    @staticmethod
    async def watch() -> None:
        while True:
            due = time.monotonic() + PROBE_SECONDS
            await asyncio.sleep(PROBE_SECONDS)
            Latency.late.append(max(0.0, time.monotonic() - due))


if __name__ == "__main__":
    asyncio.set_event_loop(uvloop.new_event_loop())
    app = Application(
        [
            (r"/echo", Echo),
            (r"/subscribe", Subscribe),
            (r"/publish", Publish),
            (r"/latency", Latency),
        ],
        log_function=lambda handler: None,
    )
    for number in range(1, int(sys.argv[1]) + 1):
        app.listen(int(os.environ["PORT"]), address=f"127.0.0.{number}")
    IOLoop.current().start()
