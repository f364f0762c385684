"""A WebSocket between a page in a real browser and a handler."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver

import browsers
from support import Server
from typhoon.web import Application, RequestHandler
from typhoon.websocket import WebSocketHandler

pytestmark = browsers.marks

CONVERSATION = """
const done = arguments[arguments.length - 1];
const seen = {messages: []};
const ws = new WebSocket("ws://" + location.host + "/ws", ["other", "feed.v1"]);
ws.binaryType = "arraybuffer";
ws.onopen = () => {
    seen.protocol = ws.protocol;
    seen.extensions = ws.extensions;
    ws.send("grün €");
    ws.send("x".repeat(1000000));
    ws.send(new Uint8Array([0, 255, 254]));
    ws.send("close");
};
ws.onmessage = (event) => {
    const data = event.data;
    seen.messages.push(data instanceof ArrayBuffer ? [...new Uint8Array(data)]
        : data.length > 100 ? data.length : data);
};
ws.onclose = (event) => {
    seen.close = [event.code, event.reason, event.wasClean];
    done(JSON.stringify(seen));
};
"""

FROM_ELSEWHERE = """
const done = arguments[arguments.length - 1];
const ws = new WebSocket(arguments[0]);
ws.onopen = () => done("open");
ws.onerror = () => done("refused");
"""


class Page(RequestHandler):
    def get(self) -> None:
        self.write("<title>A page</title><link rel=icon href=data:>")


class Talking(WebSocketHandler):
    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        return "feed.v1" if "feed.v1" in subprotocols else None

    def get_compression_options(self) -> dict[str, Any]:
        return {}

    async def on_message(self, message: str | bytes) -> None:
        if message == "close":
            self.close(4001, "bis später")
        else:
            await self.write_message(message, isinstance(message, bytes))


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    driver = browsers.start(tmp_path / "profile")
    driver.set_script_timeout(30)
    yield driver
    driver.quit()


def test_a_conversation(serve, browser):
    server: Server = serve(Application([("/", Page), ("/ws", Talking)]))
    browser.get(server.url("/"))
    seen = json.loads(browser.execute_async_script(CONVERSATION))
    assert seen == {
        "protocol": "feed.v1",
        "extensions": "permessage-deflate",
        "messages": ["grün €", 1_000_000, [0, 255, 254]],
        "close": [4001, "bis später", True],
    }
    # The same address under another name is another site: its pages are kept out.
    url = f"ws://localhost:{server.port}/ws"
    assert browser.execute_async_script(FROM_ELSEWHERE, url) == "refused"
    own = f"ws://127.0.0.1:{server.port}/ws"
    assert browser.execute_async_script(FROM_ELSEWHERE, own) == "open"
