"""Both chats in real browsers: two people, a phone, a server that goes away and comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import browsers
from example_programs import ExampleProcess

pytestmark = browsers.marks

LIVE = "document.getElementById('state').textContent === 'Live'"


@pytest.fixture(params=["chat/chat.py", "chat_websocket/chat.py"])
def chat(request: pytest.FixtureRequest) -> Iterator[ExampleProcess]:
    process = ExampleProcess(request.param)
    yield process
    process.stop()


@pytest.fixture
def browse(chat: ExampleProcess, tmp_path: Path) -> Iterator[Callable[[], webdriver.Chrome]]:
    """`browse()` opens the chat in another browser."""
    opened: list[webdriver.Chrome] = []

    def start() -> webdriver.Chrome:
        opened.append(browsers.start(tmp_path / f"profile{len(opened)}"))
        opened[-1].get(chat.url)
        browsers.until(opened[-1], LIVE)
        return opened[-1]

    yield start
    for driver in opened:
        driver.quit()


def say(driver: webdriver.Chrome, text: str, name: str = "") -> None:
    if name:
        driver.find_element(By.NAME, "name").send_keys(name)
    driver.find_element(By.NAME, "text").send_keys(text, Keys.ENTER)


def until_texts(driver: webdriver.Chrome, expected: list[str]) -> None:
    browsers.until(driver, f"document.querySelectorAll('#messages li').length >= {len(expected)}")
    texts = "[...document.querySelectorAll('#messages .text')].map((text) => text.textContent)"
    assert driver.execute_script(f"return {texts}") == expected


def errors(driver: webdriver.Chrome) -> list[str]:
    return [entry["message"] for entry in driver.get_log("browser")]


def test_two_people_chat(browse: Callable[[], webdriver.Chrome]) -> None:
    ada, grace = browse(), browse()
    say(ada, "The <b>kettle</b> is on.", "Ada")
    until_texts(grace, ["The <b>kettle</b> is on."])
    say(grace, "Coming!", "Grace")
    for text in ("one", "two", "three"):
        say(ada, text)
    everything = ["The <b>kettle</b> is on.", "Coming!", "one", "two", "three"]
    for driver in (ada, grace):
        until_texts(driver, everything)
        assert errors(driver) == []
    mine = "[...document.querySelectorAll('.mine .text')].map((text) => text.textContent)"
    assert browsers.until(grace, mine) == ["Coming!"]
    late = browse()
    until_texts(late, everything)
    assert late.execute_script("return document.querySelector('.bubble b').textContent") == "Ada"


def test_a_phone_shows_everything_without_scrolling_sideways(
    browse: Callable[[], webdriver.Chrome],
) -> None:
    phone = browse()
    size = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    phone.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    say(phone, "w" * 300, "x" * 20)
    say(phone, "https://example.org/" + "path/" * 30)
    until_texts(phone, ["w" * 300, "https://example.org/" + "path/" * 30])
    assert phone.execute_script("return document.documentElement.scrollWidth") <= 360
    bottom = "Math.round(document.getElementById('composer').getBoundingClientRect().bottom)"
    assert phone.execute_script(f"return {bottom}") <= 740
    end = "document.querySelector('.bubble:last-child').getBoundingClientRect().bottom"
    assert browsers.until(phone, f"{end} < {bottom}"), "the last message is in sight"


def test_the_page_reconnects_when_the_server_comes_back(
    chat: ExampleProcess, browse: Callable[[], webdriver.Chrome]
) -> None:
    ada, grace = browse(), browse()
    say(ada, "before", "Ada")
    until_texts(grace, ["before"])
    chat.stop()
    for driver in (ada, grace):
        browsers.until(driver, "document.getElementById('state').dataset.state === 'waiting'")
    chat.start()
    browsers.until(grace, LIVE)
    say(grace, "after", "Grace")
    until_texts(grace, ["before", "after"])
    until_texts(ada, ["before", "after"])


def test_what_is_written_while_the_server_is_away_is_not_lost(
    chat: ExampleProcess, browse: Callable[[], webdriver.Chrome]
) -> None:
    """Over a WebSocket it is sent later; otherwise it stays in the form."""
    ada = browse()
    chat.stop()
    browsers.until(ada, "document.getElementById('state').dataset.state === 'waiting'")
    say(ada, "Is anybody there?", "Ada")
    over_websocket = "websocket" in chat.command[1]
    kept = "getElementById('unsent').textContent" if over_websocket else "forms[0].text.value"
    browsers.until(ada, f"document.{kept}.includes('Is anybody there?')")
    chat.start()
    browsers.until(ada, LIVE)
    if not over_websocket:
        say(ada, "")
    until_texts(ada, ["Is anybody there?"])
    browsers.until(ada, "document.getElementById('unsent').children.length === 0")
