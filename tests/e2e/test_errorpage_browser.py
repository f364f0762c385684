"""The debug page in a real browser: styled under its own policy, dark, on a phone, unfoldable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

import browsers
from support import Server
from typhoon.web import Application, RequestHandler

pytestmark = browsers.marks


class Fails(RequestHandler):
    def get(self) -> None:
        wide = "<script>document.title = 'broken out'</script>" * 20
        raise ValueError(wide)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    driver = browsers.start(tmp_path / "profile")
    yield driver
    driver.quit()


def test_the_page_in_a_browser(browser: webdriver.Chrome, serve: Callable[..., Server]) -> None:
    server = serve(Application([("/", Fails)], serve_traceback=True))
    size = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    dark = {"name": "prefers-color-scheme", "value": "dark"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [dark]})
    browser.get(server.url("/"))

    assert browser.title.startswith("ValueError: <script>")
    assert browser.find_element(By.TAG_NAME, "h1").text == "ValueError"
    current = browser.find_element(By.CSS_SELECTOR, ".current")
    assert "raise ValueError(wide)" in current.text
    # The style is in force, though the policy lets nothing else through.
    ground = "return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    assert sum(browser.execute_script(ground)) < 120, "the ground is dark"
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390

    headers = browser.find_element(By.XPATH, "//details[summary[starts-with(., 'Headers')]]")
    assert not headers.find_element(By.TAG_NAME, "table").is_displayed()
    headers.find_element(By.TAG_NAME, "summary").click()
    assert headers.find_element(By.TAG_NAME, "table").is_displayed()

    # One click selects the plain text, and nothing else.
    browser.find_element(By.CSS_SELECTOR, ".plain").click()
    selected = browser.execute_script("return getSelection().toString()")
    assert selected.startswith("Traceback (most recent call last):")
    assert selected.rstrip().endswith("</script>")
    # A browser of its own asks for an icon; nothing else may be in the console but that 404.
    errors = [entry["message"] for entry in browser.get_log("browser")]
    assert not [error for error in errors if "500" not in error and "favicon" not in error]


def test_the_small_page_in_a_browser(
    browser: webdriver.Chrome, serve: Callable[..., Server]
) -> None:
    browser.get(serve(Application([("/", Fails)])).url("/nowhere"))
    assert browser.title == "404: Not Found"
    assert browser.find_element(By.TAG_NAME, "h1").text == "Not Found"
    assert "There is nothing at this address." in browser.find_element(By.TAG_NAME, "main").text
