"""The locale of a request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from support import Server
from typhoon import locale
from typhoon.web import Application, RequestHandler
from typhoon.web.localization import MAX_LANGUAGES, accepted_languages

Serve = Callable[..., Server]


@pytest.fixture(autouse=True)
def _translations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locale.Locale, "_cache", {})
    monkeypatch.setattr(locale, "_use_gettext", False)
    monkeypatch.setattr(locale, "_default_locale", "en_US")
    translations = {
        "zh_CN": {"unknown": {"Hello": "你好"}},
        "ru": {"unknown": {"Hello": "Привет"}},
        "fr_FR": {"unknown": {"Hello": "Bonjour"}},
    }
    monkeypatch.setattr(locale, "_translations", translations)
    monkeypatch.setattr(locale, "_supported_locales", frozenset([*translations, "en_US"]))


class Hello(RequestHandler):
    def get(self) -> None:
        self.set_header("Content-Language", self.locale.code)
        self.write(self.locale.translate("Hello"))


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("fr-FR;q=0.9", "fr_FR"),
        ("fr-FR; q=0.9", "fr_FR"),
        ("fr-FR ;Q=0.9", "fr_FR"),
        ("FR-fr", "fr_FR"),
        ("fr", "fr_FR"),
        ("ru-RU,ru;q=0.9,en-US;q=0.8,en;q=0.7", "ru"),
        ("zh-CN,zh;q=0.9", "zh_CN"),
        ("zh-Hans-CN", "zh_CN"),
        ("en-GB,en;q=0.9,ru;q=0.8", "en_US"),
        ("de, fr-FR;q=0.5", "fr_FR"),
        ("ru;q=0.2, fr-FR;q=0.5, zh-CN;q=0.1", "fr_FR"),
        ("ru;q=0.5, fr-FR;q=0.5", "ru"),
        ("ru;q=0, fr-FR;q=0.001", "fr_FR"),
        ("ru;q=0", "en_US"),
        ("ru;q=0.000", "en_US"),
        ("ru;q=-1", "en_US"),
        ("ru;q=2", "en_US"),
        ("ru;q=1.5", "en_US"),
        ("ru;q=nan", "en_US"),
        ("ru;q=", "en_US"),
        ("ru;level=1", "en_US"),
        ("ru;q=x, fr-FR;q=0.1", "fr_FR"),
        ("*", "en_US"),
        ("*, ru;q=0.1", "ru"),
        (",,;;, ru", "ru"),
        ("", "en_US"),
        ("xx", "en_US"),
    ],
)
def test_accept_language(serve: Serve, header: str, code: str) -> None:
    server = serve(Application([("/", Hello)]))
    assert server.get("/", {"Accept-Language": header}).header("Content-Language") == code


def test_without_accept_language(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    class French(RequestHandler):
        def get(self) -> None:
            self.write(self.get_browser_locale("fr").code)

    server = serve(Application([("/", Hello), ("/fr", French)]))
    assert server.get("/").text == "Hello"
    assert server.get("/fr").text == "fr_FR"
    assert server.get("/fr", {"Accept-Language": "ru"}).text == "ru"


def test_how_much_of_the_header_counts() -> None:
    many = ",".join(["xx"] * MAX_LANGUAGES)
    assert accepted_languages(f"ru,{many}")[0] == "ru"
    assert "ru" not in accepted_languages(f"{many},ru")
    assert len(accepted_languages(many)) == MAX_LANGUAGES
    assert accepted_languages("," * 60_000) == []
    assert accepted_languages("*;q=0.5, pt-BR;q=0.7, ru;q=0, de") == ["de", "pt-br"]
    assert accepted_languages("a" + " " * 60_000 + "b;q=" + "1" * 60_000) == []


@pytest.mark.parametrize("known", [locale.Locale.get, str])
def test_the_locale_of_a_user(serve: Serve, known: Callable[[str], Any]) -> None:
    class Personal(Hello):
        def get_user_locale(self) -> Any:
            preference = self.get_argument("locale", None)
            return known(preference) if preference else None

    server = serve(Application([("/", Personal)]))
    assert server.get("/?locale=ru", {"Accept-Language": "fr-FR"}).text == "Привет"
    assert server.get("/", {"Accept-Language": "fr-FR"}).text == "Bonjour"


def test_the_locale_is_determined_once_and_can_be_set(serve: Serve) -> None:
    calls: list[str] = []

    class Counting(Hello):
        def prepare(self) -> None:
            if self.request.path == "/set":
                self.locale = locale.get("zh_CN")

        def get_user_locale(self) -> None:
            calls.append("asked")

    server = serve(Application([("/.*", Counting)]))
    assert server.get("/").text == "Hello"
    assert calls == ["asked"]
    assert server.get("/set").text == "你好"
    assert calls == ["asked"]
