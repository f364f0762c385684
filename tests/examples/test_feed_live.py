"""News of the feed as they come, over WebSockets and by long polling."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from running_feed import JSON, PICTURES, Feed, module, parsed
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from support import TIMEOUT, Client, Server


def live(feed: Feed, after: int, **headers: str) -> ClientConnection:
    """A WebSocket of a page that has this message last."""
    url = f"ws://127.0.0.1:{feed.server.port}/messages/live?after={after}"
    opening = connect(url, open_timeout=TIMEOUT, additional_headers=headers)
    return feed.sockets.enter_context(opening)


def pages(feed: Feed) -> int:
    return sum(map(len, feed.live.pages.values()))


def heard(connection: ClientConnection) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(connection.recv(TIMEOUT))["messages"]
    return found


def ask(feed: Feed, after: int, more: str = "") -> Client:
    """A long poll, whose answer is not waited for."""
    client = feed.server.connect()
    target = f"/messages/newer?after={after}{more}"
    client.send(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return client


def answered(client: Client) -> list[int]:
    return [message["id"] for message in parsed(client.response())["messages"]]


def test_news_come_when_somebody_posts(feed: Feed) -> None:
    connections = [live(feed, 0), live(feed, 0)]
    poll = ask(feed, 0)
    feed.until(lambda: pages(feed) == 2 and len(feed.live.waiting) == 1)
    ada = feed.sign_in("ada")
    for number, text in enumerate(("news", "more news"), 1):
        ada.post(text)
        for connection in connections:
            (message,) = heard(connection)
            assert message["id"] == number
            assert text in message["html"]
    assert answered(poll) == [1]
    assert answered(ask(feed, 1)) == [2], "what came between two requests"


def test_a_page_that_is_behind_gets_the_oldest_first(feed: Feed) -> None:
    ada = feed.sign_in("ada")
    for number in range(40):
        ada.post(f"message {number}")
    connection = live(feed, 5)
    ids = [message["id"] for _ in range(2) for message in heard(connection)]
    assert ids == list(range(6, 41))
    assert answered(ask(feed, 5)) == list(range(6, 36))
    feed.until(lambda: pages(feed) == 1)
    ada.post("news")
    assert [message["id"] for message in heard(connection)] == [41]


def test_nothing_is_missed_between_catching_up_and_listening(feed: Feed) -> None:
    """Somebody posts while others come: everybody gets each message once, in order."""
    ada = feed.sign_in("ada")
    connections = []
    for number in range(1, 21):
        connections.append(live(feed, 0))
        ada.post(f"message {number}")
    for connection in connections:
        ids: list[int] = []
        while ids[-1:] != [20]:
            ids += [message["id"] for message in heard(connection)]
        assert ids == list(range(1, 21))


@pytest.mark.parametrize("loop_kind", ["asyncio", "uvloop"])
def test_a_client_that_vanishes_waits_no_more(
    serve: Callable[..., Server], tmp_path: Path, loop_kind: str
) -> None:
    feed = Feed(lambda app, **options: serve(app, loop_kind=loop_kind, **options), tmp_path)
    poll, connection = ask(feed, 0), live(feed, 0)
    feed.until(lambda: len(feed.live.waiting) == pages(feed) == 1)
    poll.close()
    feed.until(lambda: not feed.live.waiting)
    connection.socket.shutdown(socket.SHUT_RDWR)
    feed.until(lambda: not pages(feed))
    assert feed.sign_in("ada").post("still here").status == 303
    feed.close()


def test_a_poll_is_answered_before_proxies_give_up(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert answered(ask(feed, 0, "&wait=no")) == []
    monkeypatch.setattr(module("handlers"), "WAIT_SECONDS", 0.01)
    assert answered(ask(feed, 0)) == []
    feed.until(lambda: not feed.live.waiting)


def test_a_websocket_from_another_site_is_refused(feed: Feed) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        live(feed, 0, Origin="https://evil.example")


def test_a_page_that_speaks_is_none_of_ours(feed: Feed) -> None:
    connection = live(feed, 0)
    connection.send("hello")
    with pytest.raises(ConnectionClosed, match="nothing is expected here"):
        connection.recv(TIMEOUT)


@pytest.mark.parametrize("value", ["", "x", "-1", "1.5", "%D9%A3", "9" * 20])
@pytest.mark.parametrize(
    "target", ["/messages/live?after=", "/messages/newer?after=", "/messages/older?before="]
)
def test_a_message_s_id_is_a_number(feed: Feed, target: str, value: str) -> None:
    answer = feed.server.get(target + value, JSON)
    assert answer.status == 400
    assert parsed(answer)["error"] == "That did not work: Bad Request."


def test_the_largest_id_finds_nothing_newer(feed: Feed) -> None:
    ask(feed, 9 * 10**18)
    feed.until(lambda: len(feed.live.waiting) == 1)


def test_the_language_of_news_is_that_of_the_page(feed: Feed) -> None:
    languages = {"ru": "Картинка от ada", "en": "Picture by ada", "zh-CN": "ada 发的图片"}
    connections = [live(feed, 0, **{"Accept-Language": language}) for language in languages]
    feed.until(lambda: pages(feed) == len(languages))
    feed.sign_in("ada").post("hello", PICTURES["png"])
    for connection, words in zip(connections, languages.values(), strict=True):
        (message,) = heard(connection)
        assert words in message["html"]
