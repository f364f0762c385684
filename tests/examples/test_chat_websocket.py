"""The chat over WebSockets, as its page uses it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from example_programs import load
from support import TIMEOUT, Server

CHAT = load("chat_websocket/chat.py")


class Chat:
    """A running chat and what the tests do with it."""

    def __init__(self, serve: Callable[..., Server], stack: ExitStack) -> None:
        self.room = CHAT.Room()
        self.server = serve(CHAT.make_app(self.room))
        self.stack = stack

    def join(self, number: int, **options: Any) -> ClientConnection:
        url = f"ws://127.0.0.1:{self.server.port}/chat/after/{number}"
        return self.stack.enter_context(connect(url, open_timeout=TIMEOUT, **options))

    def until_people(self, count: int) -> None:
        deadline = time.monotonic() + TIMEOUT
        while self.server.call(lambda: len(self.room.people)) != count:
            assert time.monotonic() < deadline


@pytest.fixture
def chat(serve: Callable[..., Server]) -> Iterator[Chat]:
    with ExitStack() as stack:
        yield Chat(serve, stack)


def say(person: ClientConnection, text: str, name: str = "ada", key: str = "") -> None:
    person.send(json.dumps({"name": name, "text": text, "key": key or text}))


def heard(person: ClientConnection) -> list[str]:
    """The texts of the next message."""
    return [message["text"] for message in json.loads(person.recv(TIMEOUT))["messages"]]


def test_the_page_and_all_that_it_names_are_there(chat: Chat) -> None:
    assert 'maxlength="20"' in chat.server.get("/").text
    assert "new WebSocket" in chat.server.get("/chat.js").text
    for name in ("/page.js", "/chat.css"):
        assert chat.server.get(name).status == 200, name
    assert chat.server.get("/chat.py").status == 404


def test_everybody_gets_what_is_written(chat: Chat) -> None:
    people = [chat.join(0) for _ in range(3)]
    assert [heard(person) for person in people] == [[], [], []]
    say(people[0], "<b>hello</b> ✓")
    for person in people:
        (message,) = json.loads(person.recv(TIMEOUT))["messages"]
        assert (message["name"], message["text"]) == ("ada", "<b>hello</b> ✓")
        assert message["number"] > 10**12


def test_nothing_is_lost_between_two_connections(chat: Chat) -> None:
    ada, bob = chat.join(0), chat.join(0)
    assert heard(ada) == heard(bob) == []
    say(ada, "one")
    (first,) = json.loads(bob.recv(TIMEOUT))["messages"]
    bob.close()
    chat.until_people(1)
    for text in ("two", "three"):
        say(ada, text)
    assert [heard(ada) for _ in range(3)] == [["one"], ["two"], ["three"]]
    assert heard(chat.join(first["number"])) == ["two", "three"]


def test_what_is_sent_twice_comes_once(chat: Chat) -> None:
    """A page sends again what it has not seen come back before the connection broke."""
    ada = chat.join(0)
    for key in ("a", "a", "b"):
        say(ada, "hello", key=key)
    say(ada, "end")
    assert [heard(ada) for _ in range(4)] == [[], ["hello"], ["hello"], ["end"]]


def test_somebody_who_vanishes_disturbs_nobody(chat: Chat) -> None:
    ada, bob = chat.join(0), chat.join(0)
    assert heard(ada) == heard(bob) == []
    bob.socket.close()
    say(ada, "hello")
    assert heard(ada) == ["hello"]
    chat.until_people(1)


@pytest.mark.parametrize(
    "message",
    [
        '{"name": "", "text": "x", "key": "1"}',
        '{"name": "x", "text": "", "key": "1"}',
        '{"name": "%s", "text": "x", "key": "1"}' % ("x" * 21),
        '{"name": "x", "text": "%s", "key": "1"}' % ("x" * 1001),
        '{"name": "x", "text": "x", "key": "%s"}' % ("x" * 61),
        '{"name": "x", "text": 1, "key": "1"}',
        "[]",
        "no JSON",
    ],
)
def test_what_the_page_would_not_send_ends_the_connection(chat: Chat, message: str) -> None:
    eve = chat.join(0)
    assert heard(eve) == []
    eve.send(message)
    with pytest.raises(ConnectionClosed) as closed:
        eve.recv(TIMEOUT)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008
    assert not chat.room.messages
    chat.until_people(0)


def test_the_longest_message(chat: Chat) -> None:
    ada = chat.join(0)
    say(ada, "✓" * 1000, name="x" * 20, key="k")
    assert [heard(ada) for _ in range(2)] == [[], ["✓" * 1000]]


def test_another_site_cannot_listen(chat: Chat) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        chat.join(0, origin="https://evil.example")
    assert not chat.room.people
