"""The chat by long polling, as its page uses it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from example_programs import load
from seed_examples import URLENCODED
from support import TIMEOUT, Client, Server

CHAT = load("chat/chat.py")


class Chat:
    """A running chat and what the tests do with it."""

    def __init__(self, serve: Callable[..., Server]) -> None:
        self.room = CHAT.Room()
        self.server = serve(CHAT.make_app(self.room))

    def post(self, name: str, text: str, **headers: str) -> int:
        body = urlencode({"name": name, "text": text}).encode()
        return self.server.post("/messages", body, {**URLENCODED, **headers}).status

    def poll(self, number: int) -> Client:
        """Ask for what is newer, and do not wait for the answer."""
        client = self.server.connect()
        client.send(f"GET /messages/after/{number} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return client

    def until_waiting(self, count: int) -> None:
        deadline = time.monotonic() + TIMEOUT
        while self.server.call(lambda: len(self.room.waiting)) != count:
            assert time.monotonic() < deadline


@pytest.fixture
def chat(serve: Callable[..., Server]) -> Chat:
    return Chat(serve)


def messages(client: Client) -> list[dict[str, Any]]:
    answer = client.response()
    assert answer.status == 200
    assert answer.header("Cache-Control") == "no-store"
    found: list[dict[str, Any]] = json.loads(answer.body)["messages"]
    return found


def texts(client: Client) -> list[str]:
    return [message["text"] for message in messages(client)]


def test_the_page_and_all_that_it_names_are_there(chat: Chat) -> None:
    page = chat.server.get("/")
    assert 'maxlength="20"' in page.text
    for name in ("/chat.js", "/page.js", "/chat.css"):
        assert chat.server.get(name).status == 200, name
    assert chat.server.get("/chat.py").status == 404


def test_everybody_who_waits_gets_what_is_written(chat: Chat) -> None:
    readers = [chat.poll(0) for _ in range(3)]
    chat.until_waiting(3)
    assert chat.post("ada", "<b>hello</b> ✓") == 204
    for reader in readers:
        (message,) = messages(reader)
        assert (message["name"], message["text"]) == ("ada", "<b>hello</b> ✓")
        assert message["number"] > 10**12
    chat.until_waiting(0)


def test_nothing_is_lost_between_two_requests(chat: Chat) -> None:
    reader = chat.poll(0)
    chat.until_waiting(1)
    chat.post("ada", "one")
    (first,) = messages(reader)
    chat.post("ada", "two")
    chat.post("bob", "three")
    assert texts(chat.poll(first["number"])) == ["two", "three"]
    assert texts(chat.poll(0)) == ["one", "two", "three"], "a lost answer comes again"


def test_who_goes_waits_no_more(chat: Chat, caplog: pytest.LogCaptureFixture) -> None:
    reader, other = chat.poll(0), chat.poll(0)
    chat.until_waiting(2)
    reader.close()
    chat.until_waiting(1)
    chat.post("ada", "still here")
    assert texts(other) == ["still here"]
    chat.server.call()
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_request_is_answered_before_proxies_give_up(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert texts_of_get(chat, "?wait=no") == []
    monkeypatch.setattr(CHAT, "WAIT_SECONDS", 0.01)
    assert texts_of_get(chat, "") == []
    chat.until_waiting(0)


def texts_of_get(chat: Chat, query: str) -> list[str]:
    answer = chat.server.get(f"/messages/after/0{query}")
    return [message["text"] for message in json.loads(answer.body)["messages"]]


def test_numbers_go_on_after_a_restart(chat: Chat, serve: Callable[..., Server]) -> None:
    """A page that knows a number from before the restart gets what is written after it."""
    chat.post("ada", "before")
    again = Chat(serve)
    reader = again.poll(chat.room.messages[-1]["number"])
    again.until_waiting(1)
    again.post("ada", "after")
    assert texts(reader) == ["after"]


@pytest.mark.parametrize(
    ("name", "text", "status"),
    [
        ("x" * 20, "y" * 1000, 204),
        ("x" * 21, "y", 400),
        ("x", "y" * 1001, 400),
        ("", "y", 400),
        ("x", " ", 400),
    ],
)
def test_limits(chat: Chat, name: str, text: str, status: int) -> None:
    assert chat.post(name, text) == status
    assert len(chat.room.messages) == (status == 204)


def test_the_room_forgets_the_oldest(chat: Chat) -> None:
    for number in range(CHAT.KEPT + 1):
        chat.server.call(chat.room.add, "ada", str(number))
    assert texts(chat.poll(0))[0] == "1"


def test_another_site_cannot_write(chat: Chat) -> None:
    assert chat.post("eve", "spam", Origin="https://evil.example") == 403
    assert chat.post("eve", "spam", **{"Sec-Fetch-Site": "cross-site"}) == 403
    assert not chat.room.messages


def test_it_stops_while_requests_wait(serve: Callable[..., Server]) -> None:
    chat = Chat(serve)
    reader = chat.poll(0)
    chat.until_waiting(1)
    chat.server.call(chat.server.http_server.stop)
    chat.server.call(chat.server.http_server.close_all_connections)
    assert reader.is_closed()
    chat.until_waiting(0)
