"""The demo, running, and people who visit it without JavaScript."""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlencode

from support import TIMEOUT, Client, Response, Server

FEED = Path(__file__).resolve().parents[2] / "examples" / "feed"
PICTURES = {
    "png": b"\x89PNG\r\n\x1a\n" + b"p" * 20,
    "jpeg": b"\xff\xd8\xff\xe0" + b"j" * 20,
    "gif": b"GIF89a" + b"g" * 20,
    "webp": b"RIFF\x14\0\0\0WEBPVP8 " + b"w" * 20,
}
JSON = {"Accept": "application/json"}


def module(name: str) -> ModuleType:
    """A module of the demo, imported as `python examples/feed/feed.py` does."""
    if str(FEED) not in sys.path:
        sys.path.append(str(FEED))
    return importlib.import_module(name)


class Feed:
    """A running feed and what the tests do with it."""

    def __init__(self, start: Callable[..., Server], folder: Path) -> None:
        self.storage = module("storage").Storage(folder)
        self.live = module("live").LiveFeed(self.storage.latest_id())
        self.app = module("feed").make_app(self.storage, self.live)
        self.sockets = ExitStack()
        self.server = start(self.app, max_body_size=module("rules").BODY_BYTES)

    def sign_in(self, nickname: str) -> Visitor:
        visitor = Visitor(self.server.connect())
        answer = visitor.sign_in(nickname)
        assert answer.status == 303, answer.text
        return visitor

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that happens in the server's event loop."""
        deadline = time.monotonic() + TIMEOUT
        while not self.server.call(condition):
            assert time.monotonic() < deadline

    def close(self) -> None:
        """End the requests and WebSockets that still wait, then close the storage."""
        for client in self.server.clients:
            client.close()
        self.sockets.close()
        self.until(lambda: not self.live.waiting and not any(self.live.pages.values()))
        self.storage.close()


class Visitor:
    """Somebody with a browser that keeps cookies, on a connection of their own."""

    def __init__(self, client: Client, **headers: str) -> None:
        self.client = client
        self.cookies: dict[str, str] = {}
        self.headers = headers
        self.token = self.get("/").text.partition('name="_xsrf" value="')[2].partition('"')[0]

    def keep(self, answer: Response) -> Response:
        for line in answer.header_list("Set-Cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer

    def sent(self, headers: dict[str, str] | None) -> dict[str, str]:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {**self.headers, **({"Cookie": cookie} if cookie else {}), **(headers or {})}

    def get(self, target: str, headers: dict[str, str] | None = None) -> Response:
        return self.keep(self.client.get(target, self.sent(headers)))

    def sign_in(
        self, nickname: str, headers: dict[str, str] | None = None, **more: str
    ) -> Response:
        return self.post_form("/signin", headers, nickname=nickname, **more)

    def post_form(
        self, target: str, headers: dict[str, str] | None = None, **fields: str
    ) -> Response:
        kind = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        body = urlencode({"_xsrf": self.token, **fields}).encode()
        return self.keep(self.client.post(target, body, self.sent(kind)))

    def post(
        self, text: str, picture: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Response:
        kind, body = multipart(text, picture)
        kinds = {"Content-Type": kind, "X-XSRFToken": self.token, **(headers or {})}
        return self.client.post("/messages", body, self.sent(kinds))


def multipart(text: str, picture: bytes | None) -> tuple[str, bytes]:
    """What a browser sends for the composer, whose file part is empty if none was chosen."""
    name = b"" if picture is None else b"holiday.png"
    body = b'--edge\r\nContent-Disposition: form-data; name="text"\r\n\r\n%s\r\n' % text.encode()
    body += b'--edge\r\nContent-Disposition: form-data; name="picture"; filename="%s"\r\n' % name
    body += b"Content-Type: image/png\r\n\r\n%s\r\n--edge--\r\n" % (picture or b"")
    return "multipart/form-data; boundary=edge", body


def parsed(answer: Response) -> Any:
    return json.loads(answer.body)
