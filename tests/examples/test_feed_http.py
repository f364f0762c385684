"""The feed as a client without JavaScript sees it, and the addresses that its script uses."""

from __future__ import annotations

import importlib
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlencode

import pytest

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
        self.server = start(self.app, max_body_size=module("rules").BODY_BYTES)

    def sign_in(self, nickname: str) -> Person:
        return Person(self.server.connect(), form(self.server.connect(), nickname))

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that happens in the server's event loop."""
        deadline = time.monotonic() + TIMEOUT
        while not self.server.call(condition):
            assert time.monotonic() < deadline

    def close(self) -> None:
        """End the polls that still wait, then close the storage."""
        for client in self.server.clients:
            client.close()
        self.until(lambda: not self.live.waiting)
        self.storage.close()


class Person:
    """Somebody who is signed in, on a connection of their own."""

    def __init__(self, client: Client, signed_in: Response) -> None:
        assert signed_in.status == 303, signed_in.text
        self.client = client
        self.headers = {"Cookie": (signed_in.header("Set-Cookie") or "").partition(";")[0]}

    def get(self, target: str) -> Response:
        return self.client.get(target, self.headers)

    def post(
        self, text: str, picture: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Response:
        kind, body = multipart(text, picture)
        return self.client.post(
            "/messages", body, {**self.headers, "Content-Type": kind, **(headers or {})}
        )

    def post_form(self, target: str) -> Response:
        return self.client.post(target, b"", self.headers)


def form(client: Client, nickname: str, headers: dict[str, str] | None = None) -> Response:
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    body = urlencode({"nickname": nickname}).encode()
    return client.post("/signin", body, {**kind, **(headers or {})})


def multipart(text: str, picture: bytes | None) -> tuple[str, bytes]:
    """What a browser sends for the composer, whose file part is empty if none was chosen."""
    name = b"" if picture is None else b"holiday.png"
    body = b'--edge\r\nContent-Disposition: form-data; name="text"\r\n\r\n%s\r\n' % text.encode()
    body += b'--edge\r\nContent-Disposition: form-data; name="picture"; filename="%s"\r\n' % name
    body += b"Content-Type: image/png\r\n\r\n%s\r\n--edge--\r\n" % (picture or b"")
    return "multipart/form-data; boundary=edge", body


def parsed(answer: Response) -> Any:
    return json.loads(answer.body)


@pytest.fixture
def feed(serve: Callable[..., Server], tmp_path: Path) -> Iterator[Feed]:
    running = Feed(serve, tmp_path)
    yield running
    running.close()


# ---- Signing in and out


def test_a_visitor_is_asked_to_sign_in(feed: Feed) -> None:
    page = feed.server.get("/")
    assert page.status == 200
    assert 'action="/signin"' in page.text
    assert 'action="/messages"' not in page.text


def test_pages_carry_security_headers(feed: Feed) -> None:
    page = feed.server.get("/")
    assert "default-src 'none'" in (page.header("Content-Security-Policy") or "")
    assert page.header("X-Content-Type-Options") == "nosniff"


def test_signing_in_sets_a_cookie_that_scripts_and_other_sites_cannot_use(feed: Feed) -> None:
    answer = form(feed.server.connect(), "ada")
    assert (answer.status, answer.header("Location")) == (303, "/")
    cookie = (answer.header("Set-Cookie") or "").lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert len(re.findall(r"feed_session=([\w-]{43});", cookie)) == 1


def test_who_is_signed_in_sees_their_name_and_the_composer(feed: Feed) -> None:
    page = feed.sign_in("Ada O'Hara").get("/")
    assert "Ada O&#x27;Hara" in page.text
    assert 'action="/messages"' in page.text


@pytest.mark.parametrize("nickname", ["ab", "x" * 20, "Ada L. O'Hara-2_3", "Иван", "नमस्ते", "李白"])
def test_good_nicknames(feed: Feed, nickname: str) -> None:
    assert nickname.replace("'", "&#x27;") in feed.sign_in(nickname).get("/").text


@pytest.mark.parametrize(
    ("nickname", "sentence"),
    [
        ("", "A nickname has 2 to 20 characters."),
        ("a", "A nickname has 2 to 20 characters."),
        ("x" * 21, "A nickname has 2 to 20 characters."),
        ("<b>ada</b>", "A nickname cannot contain “&lt;”"),
        ("a\u202eda", "A nickname cannot contain"),
        ("-ada", "A nickname starts with a letter or a digit."),
    ],
)
def test_bad_nicknames_are_explained(feed: Feed, nickname: str, sentence: str) -> None:
    page = form(feed.server.connect(), nickname)
    assert page.status == 400
    assert sentence in page.text
    assert page.header("Set-Cookie") is None
    assert "<b>ada" not in page.text


def test_a_nickname_is_one_person_s_until_they_sign_out(feed: Feed) -> None:
    ada = feed.sign_in("Ada")
    refused = form(feed.server.connect(), "ADA")
    assert refused.status == 409
    assert "“ADA” is signed in already" in refused.text
    assert ada.post_form("/signout").status == 303
    assert 'action="/signin"' in ada.get("/").text, "the old cookie is worth nothing"
    feed.sign_in("ada")


def test_signing_in_again_ends_the_session_before(feed: Feed) -> None:
    ada = feed.sign_in("ada")
    assert form(feed.server.connect(), "countess", ada.headers).status == 303
    assert 'action="/signin"' in ada.get("/").text


def test_a_session_ends_by_itself(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = feed.sign_in("ada")
    monkeypatch.setattr(module("storage"), "SESSION_SECONDS", -1)
    assert 'action="/signin"' in ada.get("/").text
    feed.sign_in("ada")


# ---- Posting


def test_a_posted_message_is_there_for_everybody(feed: Feed) -> None:
    answer = feed.sign_in("ada").post("The kettle is on.\r\n\r\n\r\n\r\nTea?")
    assert (answer.status, answer.header("Location")) == (303, "/")
    assert "The kettle is on.\n\nTea?" in feed.server.get("/").text


def test_what_people_type_is_escaped(feed: Feed) -> None:
    attack = "<script>alert('x')</script> <img src=x onerror=\"alert(1)\"> &amp;"
    answer = feed.sign_in("ada").post(attack, headers=JSON)
    for html in (parsed(answer)["messages"][0]["html"], feed.server.get("/").text):
        assert "<script>alert" not in html
        assert "<img src=x" not in html
        assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;" in html
        assert "&amp;amp;" in html


def test_addresses_become_links(feed: Feed) -> None:
    feed.sign_in("ada").post("See https://example.org/?a=1&b='2'\"onclick=. (http://b.example/x).")
    page = feed.server.get("/").text
    assert '<a href="https://example.org/?a=1&amp;b=&#x27;2" rel=' in page
    assert '<a href="http://b.example/x" rel=' in page
    assert '"onclick' not in page


def test_the_longest_message(feed: Feed) -> None:
    assert feed.sign_in("ada").post("é" * 1000).status == 303


def test_a_longer_message_is_refused_and_kept_in_the_form(feed: Feed) -> None:
    page = feed.sign_in("ada").post("<" * 1001)
    assert page.status == 400
    assert "That message has 1,001 characters; 1,000 is the most." in page.text
    assert "&lt;" * 1001 + "</textarea>" in page.text


@pytest.mark.parametrize("text", ["", "  \r\n "])
def test_an_empty_message_is_refused(feed: Feed, text: str) -> None:
    page = feed.sign_in("ada").post(text)
    assert page.status == 400
    assert "Write something, or choose a picture." in page.text


def test_posting_needs_a_session(feed: Feed) -> None:
    kind, body = multipart("hello", None)
    page = feed.server.post("/messages", body, {"Content-Type": kind})
    assert page.status == 401
    assert "You are signed out. Sign in to post." in page.text
    assert feed.live.latest == 0


def test_the_script_gets_json(feed: Feed) -> None:
    ada = feed.sign_in("ada")
    posted = ada.post("hello", headers=JSON)
    assert posted.status == 201
    assert parsed(posted)["messages"][0]["id"] == 1
    assert "hello" in parsed(posted)["messages"][0]["html"]
    refused = ada.post("", headers=JSON)
    assert refused.status == 400
    assert parsed(refused) == {"error": "Write something, or choose a picture."}


# ---- Pictures


@pytest.mark.parametrize("kind", PICTURES)
def test_a_picture_is_served_as_what_it_is(feed: Feed, kind: str) -> None:
    assert feed.sign_in("ada").post("", PICTURES[kind]).status == 303
    (address,) = re.findall(r'<img src="(/pictures/\w+\.\w+)"', feed.server.get("/").text)
    picture = feed.server.get(address)
    assert picture.body == PICTURES[kind]
    assert picture.header("Content-Type") == f"image/{kind}"
    assert picture.header("X-Content-Type-Options") == "nosniff"
    assert "sandbox" in (picture.header("Content-Security-Policy") or "")


@pytest.mark.parametrize(
    "content", [b"<script>alert(1)</script>", b"<svg/>", b"RIFF1234WAVE", b"x"]
)
def test_what_is_no_picture_is_refused_whatever_its_name(feed: Feed, content: bytes) -> None:
    page = feed.sign_in("ada").post("look", content)
    assert page.status == 415
    assert "use PNG, JPEG, GIF or WebP" in page.text
    assert "look</textarea>" in page.text
    assert not list(feed.storage.pictures.iterdir())


def test_the_largest_picture(feed: Feed) -> None:
    picture = PICTURES["png"].ljust(8 * 1024 * 1024, b"\0")
    assert feed.sign_in("ada").post("", picture).status == 303


def test_a_larger_picture_is_refused_with_a_sentence(feed: Feed) -> None:
    page = feed.sign_in("ada").post("", PICTURES["png"].ljust(8 * 1024 * 1024 + 1, b"\0"))
    assert page.status == 413
    assert "That picture is 8.0 MB; 8 MB is the most." in page.text


def test_a_body_over_the_server_s_limit_is_not_read(feed: Feed) -> None:
    client = feed.server.connect()
    length = 32 * 1024 * 1024 + 1
    client.send(b"POST /messages HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % length)
    assert client.response().status == 413


@pytest.mark.parametrize("name", ["../feed.sqlite3", "%2e%2e/feed.sqlite3", "none.png", ""])
def test_nothing_but_pictures_is_served(feed: Feed, name: str) -> None:
    assert feed.server.get("/pictures/" + name).status in (403, 404)


# ---- Forms from other sites


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
    ],
)
def test_a_form_from_another_site_is_refused(feed: Feed, headers: dict[str, str]) -> None:
    page = feed.sign_in("ada").post("spam", headers=headers)
    assert page.status == 403
    assert "This form was sent from another site, so nothing was done." in page.text
    assert feed.live.latest == 0
    assert form(feed.server.connect(), "eve", headers).status == 403


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://localhost"}, {"Sec-Fetch-Site": "same-origin"}]
)
def test_a_form_from_the_feed_is_welcome(feed: Feed, headers: dict[str, str]) -> None:
    assert feed.sign_in("ada").post("hello", headers=headers).status == 303


# ---- Long polling


def start_poll(feed: Feed, after: int) -> Client:
    """Send a poll and read the head of its answer, which comes before the wait."""
    client = feed.server.connect()
    client.send(b"GET /messages/live?after=%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % after)
    return client


def test_a_poll_returns_when_somebody_posts(feed: Feed) -> None:
    polls = [start_poll(feed, 0), start_poll(feed, 0)]
    feed.until(lambda: len(feed.live.waiting) == 2)
    feed.sign_in("ada").post("news")
    for poll in polls:
        answer = poll.response()
        assert answer.status == 200
        (message,) = parsed(answer)["messages"]
        assert "news" in message["html"]
    assert not feed.live.waiting


def test_a_poll_shows_that_it_is_connected_before_there_is_news(feed: Feed) -> None:
    head = start_poll(feed, 0).read_until(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"application/json" in head


def test_a_poll_that_is_behind_returns_at_once_with_the_oldest_first(feed: Feed) -> None:
    ada = feed.sign_in("ada")
    for text in ("one", "two", "three"):
        ada.post(text)
    answer = start_poll(feed, 1).response()
    assert [message["id"] for message in parsed(answer)["messages"]] == [2, 3]


def test_a_poll_ends_empty_handed_after_a_while(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module("handlers"), "POLL_SECONDS", 0.01)
    assert parsed(start_poll(feed, 0).response()) == {"messages": []}
    assert not feed.live.waiting


@pytest.mark.parametrize("loop_kind", ["asyncio", "uvloop"])
def test_a_client_that_vanishes_waits_no_more(
    serve: Callable[..., Server], tmp_path: Path, loop_kind: str
) -> None:
    feed = Feed(lambda app, **options: serve(app, loop_kind=loop_kind, **options), tmp_path)
    poll = start_poll(feed, 0)
    feed.until(lambda: len(feed.live.waiting) == 1)
    poll.close()
    feed.until(lambda: not feed.live.waiting)
    assert feed.sign_in("ada").post("still here").status == 303
    feed.close()


@pytest.mark.parametrize("value", ["", "x", "-1", "1.5", "%D9%A3", "9" * 20])
@pytest.mark.parametrize("target", ["/messages/live?after=", "/messages/older?before="])
def test_a_message_s_id_is_a_number(feed: Feed, target: str, value: str) -> None:
    answer = feed.server.get(target + value, JSON)
    assert answer.status == 400
    assert parsed(answer)["error"] == "That did not work: Bad Request."


def test_the_largest_id_finds_nothing_newer(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module("handlers"), "POLL_SECONDS", 0.01)
    assert parsed(feed.server.get("/messages/live?after=" + "9" * 19)) == {"messages": []}


# ---- Pages of messages


def ids(page: str) -> list[int]:
    return [int(number) for number in re.findall(r'id="message-(\d+)"', page)]


def test_older_messages_are_a_page_away(feed: Feed) -> None:
    ada = feed.sign_in("ada")
    for number in range(1, 32):
        ada.post(f"message {number}")
    newest = feed.server.get("/").text
    assert ids(newest) == list(range(31, 1, -1))
    assert 'href="/?before=2"' in newest
    older = feed.server.get("/?before=2").text
    assert ids(older) == [1]
    assert 'href="/?before=' not in older
    assert "Back to the newest" in older
    answer = parsed(feed.server.get("/messages/older?before=31", JSON))
    assert [message["id"] for message in answer["messages"]] == list(range(30, 0, -1))
    assert answer["older"] is False


def test_an_unknown_address_leads_back(feed: Feed) -> None:
    page = feed.server.get("/nowhere")
    assert page.status == 404
    assert "There is nothing at this address." in page.text
    assert 'href="/"' in page.text


def test_the_feed_remembers_after_a_restart(tmp_path: Path, serve: Callable[..., Server]) -> None:
    before = Feed(serve, tmp_path)
    ada = before.sign_in("ada")
    ada.post("remember me")
    before.close()
    after = Feed(serve, tmp_path)
    page = after.server.get("/", ada.headers)
    assert after.live.latest == 1
    assert "remember me" in page.text
    assert 'action="/messages"' in page.text
    after.close()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "just now"),
        (30, "just now"),
        (50, "1 min ago"),
        (1810, "30 min ago"),
        (2 * 3600 + 5, "2 h ago"),
        (3 * 86400 + 5, "3 d ago"),
    ],
)
def test_times_are_relative(seconds: float, words: str) -> None:
    assert module("pages").ago(time.time() - seconds) == words


def test_old_times_are_dates() -> None:
    assert module("pages").ago(86400 * 365.25 * 30) == "01 Jan 2000"


@pytest.mark.parametrize(
    ("nickname", "initials"),
    [("ada", "AD"), ("Ada Lovelace", "AL"), ("иван-да", "ИД"), ("x_", "X")],
)
def test_avatars_show_initials(nickname: str, initials: str) -> None:
    assert f">{initials}</span>" in module("pages").avatar(nickname)
