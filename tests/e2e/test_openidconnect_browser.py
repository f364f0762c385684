"""The example of signing in, in a real browser, with a real identity provider."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import browsers
import identity_provider
from identity_provider import USER, IdentityProvider, running_identity_provider

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "signin" / "signin.py"

pytestmark = [*browsers.marks, identity_provider.mark]


class Site:
    """The example as a newcomer starts it, for this provider."""

    def __init__(self, url: str, provider: IdentityProvider) -> None:
        port = url.rstrip("/").rpartition(":")[2]
        command = [sys.executable, str(EXAMPLE), f"--port={port}", f"--issuer={provider.issuer}"]
        self.process = subprocess.Popen(
            [*command, f"--client-id={provider.client_id}"],
            env={**os.environ, "OIDC_CLIENT_SECRET": provider.client_secret},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == f"Sign in on {url[:-1]}\n"

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=browsers.TIMEOUT)
        assert self.process.returncode == 0


class Person:
    """Somebody with a browser."""

    def __init__(self, profile: Path, site: str, provider: IdentityProvider) -> None:
        self.driver = browsers.start(profile)
        self.site = site
        self.provider = provider

    def go(self, url: str) -> None:
        self.driver.get(url)

    def click(self, selector: str) -> None:
        self.driver.find_element(By.CSS_SELECTOR, selector).click()

    def until_at(self, start: str, selector: str) -> str:
        """Wait for a page whose address begins so, and for this part of it: its text."""
        browsers.until(
            self.driver,
            f"location.href.startsWith({start!r}) && document.querySelector({selector!r})",
        )
        return self.driver.find_element(By.CSS_SELECTOR, selector).text

    def type(self, name: str, text: str) -> None:
        field = self.driver.find_element(By.NAME, name)
        field.clear()
        field.send_keys(text, Keys.ENTER)

    def give_name_and_password(self, password: str) -> None:
        issuer = self.provider.issuer
        self.until_at(issuer, "[name=login]")
        self.type("login", USER["user_name"])
        self.until_at(issuer, "[name=password]")
        self.type("password", password)


@pytest.fixture
def site_url() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://localhost:{free.getsockname()[1]}/"


@pytest.fixture
def provider(site_url: str, tmp_path: Path) -> Iterator[IdentityProvider]:
    log = tmp_path / "provider.log"
    with running_identity_provider(site_url + "login", site_url, log) as provider:
        yield provider


@pytest.fixture
def person(site_url: str, provider: IdentityProvider, tmp_path: Path) -> Iterator[Person]:
    site = Site(site_url, provider)
    person = Person(tmp_path / "profile", site_url, provider)
    try:
        yield person
    finally:
        person.driver.quit()
        site.stop()


def test_signing_in_and_out(person: Person) -> None:
    site, issuer = person.site, person.provider.issuer
    person.go(site)
    assert person.until_at(site, "h1") == "Who are you?"

    # A wrong password leads nowhere.
    person.click("#signin")
    person.give_name_and_password("a wrong password")
    person.until_at(issuer, ".error.message, .ui.error")

    # The right one leads to the question whether the site may know the name: no.
    person.until_at(issuer, "[name=password]")
    person.type("password", USER["password"])
    person.until_at(issuer, "#deny")
    person.click("#deny")
    assert person.until_at(site, "#notice") == "You have not signed in."
    person.driver.refresh()
    assert "sign in again" in person.until_at(site, "#notice")

    # The provider still knows who it is, and asks again: yes.
    person.click("#signin")
    person.until_at(issuer, "#accept")
    person.click("#accept")
    assert person.until_at(site, "#name") == USER["formatted_name"]
    assert person.until_at(site, "#email") == USER["emails"][0]
    assert not person.driver.execute_script("return document.cookie")
    names = {cookie["name"] for cookie in person.driver.get_cookies()}
    assert not [name for name in names if name.startswith("openid-")]

    # Going back and forth does not sign in twice.
    person.go(site + "login?state=" + "a" * 43 + "&code=a")
    assert "sign in again" in person.until_at(site, "#notice")

    # Signing out here is signing out there.
    person.go(site)
    person.click("form.account button")
    person.until_at(site, "#signin")
    person.click("#signin")
    person.until_at(issuer, "[name=login]")
