"""The feed as a client without JavaScript sees it, and the addresses that its script uses."""

# ruff: noqa: RUF001 (Russian and Chinese have letters of their own)

from __future__ import annotations

import csv
import gzip
import html
import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from running_feed import FEED, JSON, PICTURES, Feed, Visitor, module, parsed

from support import Server

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
    visitor = Visitor(feed.server.connect())
    answer = visitor.sign_in("ada")
    assert (answer.status, answer.header("Location")) == (303, "/")
    cookie = (answer.header("Set-Cookie") or "").lower()
    assert cookie.startswith("feed_session=")
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    signed = visitor.cookies["feed_session"]
    visitor.cookies["feed_session"] = signed[:-2] + ('1"' if signed[-2] == "0" else '0"')
    assert 'action="/signin"' in visitor.get("/").text, "a forged cookie is none"


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
    page = Visitor(feed.server.connect()).sign_in(nickname)
    assert page.status == 400
    assert sentence in page.text
    assert page.header("Set-Cookie") is None
    assert "<b>ada" not in page.text


def test_a_nickname_is_one_person_s_until_they_sign_out(feed: Feed) -> None:
    ada = feed.sign_in("Ada")
    refused = Visitor(feed.server.connect()).sign_in("ADA")
    assert refused.status == 409
    assert "“ADA” is signed in already" in refused.text
    assert ada.post_form("/signout").status == 303
    assert 'action="/signin"' in ada.get("/").text, "the old cookie is worth nothing"
    feed.sign_in("ada")


def test_signing_in_again_ends_the_session_before(feed: Feed) -> None:
    ada = feed.sign_in("ada")
    before = dict(ada.cookies)
    assert ada.sign_in("countess").status == 303
    assert "countess" in ada.get("/").text
    ada.cookies = before
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
    for page in (parsed(answer)["messages"][0]["html"], feed.server.get("/").text):
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;" in page
        assert "&amp;amp;" in page


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
    page = Visitor(feed.server.connect()).post("hello")
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
    assert "This form was sent from another site, or is too old: nothing was done." in page.text
    assert feed.live.latest == 0
    assert Visitor(feed.server.connect()).sign_in("eve", headers).status == 403


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://localhost"}, {"Sec-Fetch-Site": "same-origin"}]
)
def test_a_form_from_the_feed_is_welcome(feed: Feed, headers: dict[str, str]) -> None:
    assert feed.sign_in("ada").post("hello", headers=headers).status == 303


@pytest.mark.parametrize("token", ["", "2|aaaaaaaa|bbbb|1"])
@pytest.mark.parametrize("target", ["/signin", "/signout", "/messages", "/language"])
def test_a_form_without_the_token_of_our_page_is_refused(
    feed: Feed, target: str, token: str
) -> None:
    ada = feed.sign_in("ada")
    ada.token = token
    page = ada.post_form(target, nickname="eve", text="spam", code="ru")
    assert page.status == 403
    assert "or is too old: nothing was done." in page.text
    answer = ada.post_form(target, JSON, nickname="eve", text="spam", code="ru")
    assert "or is too old" in parsed(answer)["error"]
    assert feed.live.latest == 0
    assert 'action="/messages"' in ada.get("/").text, "ada is signed in as before"


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
    page = after.server.get("/", ada.sent(None))
    assert after.live.latest == 1
    assert "remember me" in page.text
    assert 'action="/messages"' in page.text
    after.close()


@pytest.mark.parametrize(
    ("seconds", "language", "words"),
    [
        (-2, "en", "0 seconds ago"),
        (600, "en", "10 minutes ago"),
        (2 * 3600 + 5, "en", "2 hours ago"),
        (120, "ru", "2 минуты назад"),
        (300, "ru", "5 минут назад"),
        (3600 * 3, "zh-CN", "3小时前"),
        (None, "en", "January 1, 1970"),
        (None, "ru", "1 января 1970"),
        (None, "zh-CN", "1970年1月1日"),
    ],
)
def test_times_are_in_the_words_of_the_language(
    feed: Feed, seconds: float | None, language: str, words: str
) -> None:
    message = feed.server.call(feed.storage.add_message, "ada", "hello")
    feed.server.call(feed.live.announce, message)
    database = feed.storage._database
    posted = 0.0 if seconds is None else time.time() - seconds
    change = ["UPDATE messages SET posted = ?", [posted]]
    feed.server.call(feed.storage._run, database.execute, *change)
    page = feed.server.get("/", {"Accept-Language": language}).text
    (shown,) = re.findall(r"<time [^>]*>([^<]*)</time>", page)
    assert words in shown


@pytest.mark.parametrize(
    ("nickname", "initials"),
    [("ada", "AD"), ("Ada Lovelace", "AL"), ("иван-да", "ИД"), ("x_", "X")],
)
def test_avatars_show_initials(feed: Feed, nickname: str, initials: str) -> None:
    assert f">{initials}</span>" in feed.sign_in(nickname).get("/").text


# ---- Languages


@pytest.mark.parametrize(
    ("accept", "lang", "words"),
    [
        ("", "en-US", "Join the feed"),
        ("de, fr;q=0.5", "en-US", "Join the feed"),
        ("ru", "ru", "Присоединиться"),
        ("ru-RU, ru;q=0.9, en;q=0.8", "ru", "Присоединиться"),
        ("en;q=0.5, zh-CN;q=0.9", "zh-CN", "有什么新鲜事？"),
        ("zh-Hans-CN", "zh-CN", "有什么新鲜事？"),
    ],
)
def test_the_browser_s_language(feed: Feed, accept: str, lang: str, words: str) -> None:
    page = feed.server.get("/", {"Accept-Language": accept} if accept else None)
    assert f'<html lang="{lang}"' in page.text
    assert words in page.text


def test_the_language_that_was_chosen_is_remembered(feed: Feed) -> None:
    visitor = Visitor(feed.server.connect(), **{"Accept-Language": "zh-CN"})
    answer = visitor.post_form("/language", code="ru", next="/signin?next=%2Ffeed.json")
    assert (answer.status, answer.header("Location")) == (303, "/signin?next=%2Ffeed.json")
    assert "Присоединиться" in visitor.get("/").text
    assert "По этому адресу ничего нет." in visitor.get("/nowhere").text
    refused = visitor.sign_in("x")
    assert "В псевдониме от 2 до 20 символов." in refused.text
    visitor.cookies["feed_language"] = "tlh"
    assert "加入" in visitor.get("/").text, "a language that there is not counts for nothing"


@pytest.mark.parametrize("code", ["", "de", "../ru"])
def test_a_language_that_there_is_not_is_refused(feed: Feed, code: str) -> None:
    assert Visitor(feed.server.connect()).post_form("/language", code=code).status == 400


def test_choosing_a_language_leads_to_no_other_site(feed: Feed) -> None:
    visitor = Visitor(feed.server.connect())
    answer = visitor.post_form("/language", code="ru", next="//evil.example/")
    assert answer.header("Location") == "/"


@pytest.mark.parametrize(
    ("count", "russian", "english", "chinese"),
    [
        (1, "1 сообщение<", "1 message<", "1 条消息<"),
        (2, "2 сообщения<", "2 messages<", "2 条消息<"),
        (5, "5 сообщений<", "5 messages<", "5 条消息<"),
        (21, "21 сообщение<", "21 messages<", "21 条消息<"),
    ],
)
def test_plural_forms(feed: Feed, count: int, russian: str, english: str, chinese: str) -> None:
    for _ in range(count):
        feed.server.call(feed.storage.add_message, "ada", "hello")
    for language, words in (("ru", russian), ("en", english), ("zh", chinese)):
        assert words in feed.server.get("/", {"Accept-Language": language}).text


def test_the_script_gets_each_plural_form_of_the_language(feed: Feed) -> None:
    page = feed.server.get("/", {"Accept-Language": "ru"}).text
    (attribute,) = re.findall(r'id="messages"[^>]*\sdata-words="([^"]*)"', page)
    words = json.loads(html.unescape(attribute))
    assert words["news"]["one"] == "%(count)s новое сообщение"
    assert words["news"]["few"] == "%(count)s новых сообщения"
    assert words["news"]["many"] == "%(count)s новых сообщений"


@pytest.mark.parametrize("language", ["ru", "zh_CN"])
def test_every_sentence_is_translated(language: str) -> None:
    """Whatever the templates and the handlers say is in the file of each language."""
    sources = [*FEED.glob("*.py"), *FEED.glob("templates/**/*.html")]
    said = {
        sentence
        for source in sources
        for pattern in (r'_\(\s*"([^"]+)"', r'_\("[^"]+", "([^"]+)"', r'Refused\(\s*"([^"]+)"')
        for sentence in re.findall(pattern, source.read_text("utf-8"))
    }
    assert len(said) > 30
    with open(FEED / "translations" / f"{language}.csv", encoding="utf-8") as file:
        translated = {row[0] for row in csv.reader(file)}
    assert said <= translated


# ---- The download


def test_the_feed_can_be_downloaded_by_who_is_signed_in(feed: Feed) -> None:
    visitor = Visitor(feed.server.connect())
    answer = visitor.get("/feed.json")
    assert (answer.status, answer.header("Location")) == (302, "/signin?next=%2Ffeed.json")
    page = visitor.get("/signin?next=%2Ffeed.json").text
    assert '<input type="hidden" name="next" value="/feed.json">' in page
    answer = visitor.sign_in("ada", next="/feed.json")
    assert answer.header("Location") == "/feed.json"
    visitor.post("<b>first</b>", PICTURES["png"])
    visitor.post("second")
    answer = visitor.get("/feed.json")
    assert answer.header("Content-Disposition") == 'attachment; filename="feed.json"'
    second, first = parsed(answer)
    assert (first["nickname"], first["text"]) == ("ada", "<b>first</b>")
    assert first["picture"].startswith("/pictures/")
    assert (second["text"], second["picture"]) == ("second", None)


def test_pages_are_compressed(feed: Feed) -> None:
    page = feed.server.get("/", {"Accept-Encoding": "gzip"})
    assert page.header("Content-Encoding") == "gzip"
    assert b"Join the feed" in gzip.decompress(page.body)
