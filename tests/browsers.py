"""A real browser for tests: headless Chromium."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM = shutil.which("chromium")
CHROMEDRIVER = shutil.which("chromedriver")
TIMEOUT = 30.0  # seconds; for what a browser does on a busy machine
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-sync",
)

marks = [
    pytest.mark.skipif(
        CHROMIUM is None or CHROMEDRIVER is None,
        reason="Chromium is missing: apt-get install chromium chromium-driver",
    ),
    pytest.mark.timeout(240),
]
"""For `pytestmark` of modules that need a browser."""


def start(profile: Path) -> webdriver.Chrome:
    """A Chromium with a profile of its own, in a folder that need not exist. `quit` it."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for flag in FLAGS:
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={profile}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options, Service(CHROMEDRIVER))


def until(driver: webdriver.Chrome, body: str) -> object:
    """Wait until this piece of JavaScript gives something true, and give that."""
    wait = WebDriverWait(driver, TIMEOUT, poll_frequency=0.05)
    return wait.until(lambda driver: driver.execute_script(f"return {body}"), body)
