"""Server-Sent Events as a browser's `EventSource` receives them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver

import browsers
from support import Server
from typhoon.web import Application, RequestHandler, ServerSentEvent

pytestmark = browsers.marks

PAGE = """<!doctype html><link rel="icon" href="data:,">
<script>
seen = []; opened = 0
source = new EventSource('/events')
source.onopen = () => opened++
source.onmessage = event => seen.push(['message', event.data, event.lastEventId])
source.addEventListener('tick', event => seen.push(['tick', event.data, event.lastEventId]))
</script>
"""


class Page(RequestHandler):
    def get(self) -> None:
        self.write(PAGE)


class Events(RequestHandler):
    """A first connection that breaks, a second one that goes on, and then no more."""

    asked: list[str | None] = []
    ended: list[str] = []
    gone = threading.Event()

    async def get(self) -> None:
        self.asked.append(self.last_event_id)
        match len(self.asked):
            case 1:
                await self.send_events(self.begin(), retry=50, keepalive=0.01)
            case 2:
                await self.send_events(self.go_on())
                self.request.connection.close()
            case 3:
                await self.send_events(self.stay())
                self.gone.set()

    async def begin(self) -> Any:
        yield "first\nof two lines"
        yield ServerSentEvent({"n": 2}, event="tick", id="größer ✓")
        await asyncio.sleep(0.05)  # comments come meanwhile

    async def go_on(self) -> Any:
        yield ServerSentEvent("third", id="3")
        yield ServerSentEvent(id="4")

    async def stay(self) -> Any:
        try:
            yield ServerSentEvent("last")
            await asyncio.Event().wait()
        finally:
            self.ended.append("closed")


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    driver = browsers.start(tmp_path / "profile")
    yield driver
    driver.quit()


@pytest.mark.parametrize("compress", [False, True])
def test_events_and_reconnecting(
    browser: webdriver.Chrome, serve: Callable[..., Server], compress: bool
) -> None:
    Events.asked, Events.ended, Events.gone = [], [], threading.Event()
    app = Application([("/", Page), ("/events", Events)], compress_response=compress)
    server = serve(app)
    browser.get(server.url("/"))
    seen = browsers.until(browser, "seen.length === 4 && seen")
    assert seen == [
        ["message", "first\nof two lines", ""],
        ["tick", '{"n": 2}', "größer ✓"],
        ["message", "third", "3"],
        ["message", "last", "4"],
    ]
    assert Events.asked == [None, "größer ✓", "4"]
    assert browser.execute_script("return opened") == 3
    browser.execute_script("source.close()")
    assert Events.gone.wait(browsers.TIMEOUT), "the server hears of a client that goes"
    assert Events.ended == ["closed"]


def test_204_ends_it(browser: webdriver.Chrome, serve: Callable[..., Server]) -> None:
    class Over(RequestHandler):
        def get(self) -> None:
            self.set_status(204)

    browser.get(serve(Application([("/", Page), ("/events", Over)])).url("/"))
    browsers.until(browser, "source.readyState === EventSource.CLOSED")
