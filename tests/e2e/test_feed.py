"""The feed in real browsers: two people, live messages, a picture, a phone, reconnecting."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

import browsers
from cutting_proxy import running_cutting_proxy
from example_programs import EXAMPLES, ExampleProcess
from proxy import needs_nginx, running_nginx, wrapped

pytestmark = browsers.marks


class Browser:
    """A Chromium with a profile of its own."""

    def __init__(self, profile: Path, url: str) -> None:
        self.driver = browsers.start(profile)
        self.url = url
        self.driver.get(url)

    def be_a_phone(self) -> None:
        size = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def be_dark(self) -> None:
        dark = {"name": "prefers-color-scheme", "value": "dark"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [dark]})

    def script(self, body: str) -> object:
        return self.driver.execute_script(body)

    def until(self, body: str) -> None:
        """Wait until this piece of JavaScript gives something true."""
        browsers.until(self.driver, body)

    def until_live(self) -> None:
        self.until("document.getElementById('state').textContent === 'Live'")

    def until_live_by(self, way: str) -> None:
        self.until_live()
        self.until(f"document.getElementById('state').dataset.by === {way!r}")

    def until_shown(self, text: str) -> None:
        self.until(f"document.getElementById('messages').innerText.includes({text!r})")

    def texts(self) -> list[str]:
        """All messages on the page, from top to bottom."""
        found = "[...document.querySelectorAll('.message .text')].map((text) => text.textContent)"
        texts: list[str] = self.driver.execute_script(f"return {found}")
        return texts

    def sign_in(self, nickname: str) -> None:
        self.driver.find_element(By.NAME, "nickname").send_keys(nickname, Keys.ENTER)
        self.until("document.getElementById('composer') !== null")
        self.until_live()
        self.script("window.notReloaded = true")

    def post(self, text: str, picture: Path | None = None) -> None:
        if picture is not None:
            self.driver.find_element(By.NAME, "picture").send_keys(str(picture))
            self.until("document.querySelector('#preview img').naturalWidth > 0")
        self.driver.find_element(By.NAME, "text").send_keys(text)
        self.driver.find_element(By.CSS_SELECTOR, "#composer .primary").click()
        self.until("document.querySelector('#composer textarea').value === ''")

    def errors(self) -> list[str]:
        """What the console shows."""
        return [entry["message"] for entry in self.driver.get_log("browser")]


@pytest.fixture
def feed(tmp_path: Path) -> Iterator[ExampleProcess]:
    process = ExampleProcess("feed/feed.py", f"--data={tmp_path / 'data'}")
    yield process
    assert process.stop() == "\nGoodbye.\n"


@pytest.fixture
def browse(feed: ExampleProcess, tmp_path: Path) -> Iterator[Callable[..., Browser]]:
    """`browse()` opens the feed in another browser; `browse(port)` does through a proxy there."""
    opened: list[Browser] = []

    def start(port: int | None = None) -> Browser:
        url = feed.url if port is None else f"http://localhost:{port}/"
        opened.append(Browser(tmp_path / f"profile{len(opened)}", url))
        return opened[-1]

    yield start
    for browser in opened:
        browser.driver.quit()


def picture(path: Path, width: int = 120, height: int = 80) -> Path:
    """Write a PNG in one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = (b"\0" + b"\x0b\x72\x85" * width) * height
    chunks = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    return path


def test_two_people_see_each_other_s_messages_and_pictures_live(
    browse: Callable[[], Browser], tmp_path: Path
) -> None:
    ada, grace = browse(), browse()
    ada.sign_in("Ada Lovelace")
    grace.sign_in("grace")

    ada.post("The <b>kettle</b> is on.")
    for browser in (ada, grace):
        browser.until_shown("The <b>kettle</b> is on.")

    grace.post("Look at this sea.", picture(tmp_path / "sea.png"))
    for browser in (grace, ada):
        browser.until_shown("Look at this sea.")
        browser.until("document.querySelector('a.picture img')?.naturalWidth === 120")

    ada.driver.find_element(By.CSS_SELECTOR, "a.picture").click()
    ada.until("document.querySelector('#lightbox[open] img').naturalWidth === 120")

    for browser in (ada, grace):
        assert browser.script("return window.notReloaded"), "a message came by a reload"
        assert browser.script("return document.querySelectorAll('.message').length") == 2
        assert browser.errors() == []


def test_a_refusal_is_shown_and_the_message_kept(
    browse: Callable[[], Browser], tmp_path: Path
) -> None:
    ada = browse()
    ada.sign_in("ada")
    (tmp_path / "song.png").write_bytes(b"no picture")
    ada.driver.find_element(By.NAME, "picture").send_keys(str(tmp_path / "song.png"))
    ada.driver.find_element(By.NAME, "text").send_keys("My song")
    ada.driver.find_element(By.CSS_SELECTOR, "#composer .primary").click()
    ada.until("document.getElementById('notice').innerText.includes('not a picture')")
    assert ada.script("return document.querySelector('#composer textarea').value") == "My song"
    ada.driver.find_element(By.CSS_SELECTOR, "#preview button").click()
    ada.driver.find_element(By.CSS_SELECTOR, "#composer .primary").click()
    ada.until_shown("My song")


def test_a_phone_in_the_dark_shows_everything_without_scrolling_sideways(
    browse: Callable[[], Browser], tmp_path: Path
) -> None:
    phone = browse()
    phone.be_a_phone()
    phone.be_dark()
    fits = "return document.documentElement.scrollWidth <= 360"
    assert phone.script(fits)
    phone.sign_in("x" * 20)
    phone.post("w" * 300)
    phone.post("https://example.org/" + "path/" * 30, picture(tmp_path / "wide.png", 2000, 300))
    phone.until("document.querySelector('a.picture img').naturalWidth === 2000")
    assert phone.script(fits)
    (red, green, blue) = phone.script(
        "return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    )
    assert red + green + blue < 120, "the ground is dark"
    assert phone.errors() == []


def test_news_come_over_a_websocket(browse: Callable[[], Browser]) -> None:
    ada, grace = browse(), browse()
    ada.sign_in("ada")
    grace.until_live_by("websocket")
    ada.post("Good morning.")
    grace.until_shown("Good morning.")
    asked = "performance.getEntriesByType('resource').map((entry) => entry.name)"
    assert not [url for url in grace.script(f"return {asked}") if "/messages/" in url]


def test_the_page_goes_on_by_long_polling_where_websockets_are_cut_off_and_comes_back(
    feed: ExampleProcess, browse: Callable[..., Browser]
) -> None:
    ada = browse()
    ada.sign_in("ada")
    with running_cutting_proxy(feed.port) as proxy:
        grace = browse(proxy.port)
        grace.until_live_by("websocket")
        ada.post("one")
        grace.until_shown("one")
        proxy.cut()
        grace.until_live_by("polling")
        for text in ("two", "three"):
            ada.post(text)
            grace.until_shown(text)
        late = browse(proxy.port)  # has never had a WebSocket
        late.until_live_by("polling")
        ada.post("four")
        for browser in (grace, late):
            browser.until_shown("four")
        proxy.mend()
        for browser in (grace, late):
            browser.script("dispatchEvent(new Event('online'))")  # rather than wait a minute
            browser.until_live_by("websocket")
        ada.post("five")
        for browser in (grace, late):
            browser.until_shown("five")
            assert browser.texts() == ["five", "four", "three", "two", "one"]
        assert proxy.refused >= 2


WITHOUT_UPGRADE = """
upstream feed { server 127.0.0.1:8001; keepalive 16; }
server {
    listen 80;
    location / {
        proxy_pass http://feed;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
    }
}
"""
"""As many write it: without the two lines that let WebSockets through."""


@needs_nginx
@pytest.mark.parametrize(
    ("configuration", "way"),
    [
        (WITHOUT_UPGRADE, "polling"),
        ((EXAMPLES / "nginx.conf").read_text("utf-8"), "websocket"),
    ],
    ids=["without WebSockets", "examples/nginx.conf"],
)
def test_behind_nginx(
    feed: ExampleProcess,
    browse: Callable[..., Browser],
    tmp_path: Path,
    configuration: str,
    way: str,
) -> None:
    ports = {8001: feed.port, 8002: feed.port}
    with running_nginx(wrapped(configuration), tmp_path / "nginx", ports) as connect:
        _, port = connect().socket.getpeername()
        ada, grace = browse(port), browse(port)
        ada.sign_in("ada")
        grace.until_live_by(way)
        for text in ("one", "two"):
            ada.post(text)
            grace.until_shown(text)
        assert grace.texts() == ["two", "one"]


def test_after_a_restart_nothing_is_lost_and_nothing_comes_twice(
    feed: ExampleProcess, browse: Callable[..., Browser]
) -> None:
    with running_cutting_proxy(feed.port) as proxy:
        ada, grace = browse(), browse()
        ada.sign_in("ada")
        grace.until_live_by("websocket")
        proxy.cut()
        poll = browse(proxy.port)
        poll.until_live_by("polling")
        ada.post("before")
        for browser in (grace, poll):
            browser.until_shown("before")
        feed.stop()
        for browser in (ada, grace, poll):
            browser.until("document.getElementById('state').dataset.state === 'waiting'")
        feed.start()
        ada.post("while they were away, or just back")
        for browser in (ada, grace, poll):
            browser.until_live()
        ada.post("after")
        for browser in (ada, grace, poll):
            browser.until_shown("after")
            expected = ["after", "while they were away, or just back", "before"]
            assert browser.texts() == expected
        assert ada.script("return window.notReloaded")


def test_older_messages_come_without_a_reload(browse: Callable[[], Browser]) -> None:
    ada = browse()
    ada.sign_in("ada")
    for number in range(1, 33):
        body = "const form = new FormData(document.getElementById('composer'));"
        body += f"form.set('text', 'message {number}.');"
        ada.script(body + "return fetch('/messages', {method: 'POST', body: form}).then(() => 0)")
    ada.until_shown("message 32.")
    ada.driver.refresh()
    ada.until_live()
    assert ada.script("return document.querySelectorAll('.message').length") == 30
    ada.script("document.getElementById('older').click()")
    ada.until_shown("message 1.")
    assert ada.script("return document.getElementById('older').hidden")
    assert ada.errors() == []


def test_without_javascript_the_feed_is_forms_and_links(browse: Callable[[], Browser]) -> None:
    ada = browse()
    ada.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    ada.driver.get(ada.url)
    ada.driver.find_element(By.NAME, "nickname").send_keys("ada", Keys.ENTER)
    wait = WebDriverWait(ada.driver, browsers.TIMEOUT)
    (composer,) = wait.until(lambda driver: driver.find_elements(By.NAME, "text"))
    composer.send_keys("Plain and simple.")
    ada.driver.find_element(By.CSS_SELECTOR, "#composer .primary").click()
    wait.until(lambda driver: driver.find_elements(By.CLASS_NAME, "message"))
    assert "Plain and simple." in ada.driver.find_element(By.CLASS_NAME, "message").text


def test_choosing_a_language_changes_the_page_and_the_script_s_words(
    browse: Callable[[], Browser],
) -> None:
    ada = browse()
    ada.sign_in("ada")
    ada.post("Good morning.")
    ada.driver.find_element(By.CSS_SELECTOR, "#languages summary").click()
    ada.driver.find_element(By.CSS_SELECTOR, "#languages [value=ru]").click()
    ada.until("document.documentElement.lang === 'ru'")
    ada.until("document.getElementById('state').textContent === 'В эфире'")  # noqa: RUF001
    ada.until("document.querySelector('time').textContent.match(/назад|сейчас/)")
    ada.driver.refresh()
    ada.until("document.documentElement.lang === 'ru'")
    assert ada.errors() == []
