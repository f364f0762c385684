"""Translations for each test, forgotten behind it."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from typhoon import locale
from typhoon.locale import cldr


@pytest.fixture(autouse=True)
def _nothing_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locale, "_default_locale", "en_US")
    monkeypatch.setattr(locale, "_translations", {})
    monkeypatch.setattr(locale, "_supported_locales", frozenset(["en_US"]))
    monkeypatch.setattr(locale, "_use_gettext", False)
    monkeypatch.setattr(locale.Locale, "_cache", {})


@pytest.fixture
def without_babel(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "babel", None)
    cldr.language.cache_clear()
    yield
    cldr.language.cache_clear()


@pytest.fixture(params=["with Babel", "without"])
def _both(request: pytest.FixtureRequest) -> None:
    if request.param == "without":
        request.getfixturevalue("without_babel")


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., None]:
    """`load(fr_FR=…)` loads translations from CSV files with these contents."""

    def load(**files: str | bytes) -> None:
        for code, content in files.items():
            data = content if isinstance(content, bytes) else content.encode()
            (tmp_path / f"{code}.csv").write_bytes(data)
        locale.load_translations(str(tmp_path))

    return load


def compiled(messages: dict[str, str]) -> bytes:
    """What `msgfmt` makes of messages: the file format of GNU gettext, little-endian."""
    pairs = sorted((key.encode(), value.encode()) for key, value in messages.items())
    start = 28 + 16 * len(pairs)
    data = b""
    tables: tuple[list[int], list[int]] = ([], [])
    for which, table in enumerate(tables):
        for pair in pairs:
            table += [len(pair[which]), start + len(data)]
            data += pair[which] + b"\0"
    header = (0x950412DE, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, 28 + 16 * len(pairs))
    return struct.pack(f"<{7 + 4 * len(pairs)}I", *header, *tables[0], *tables[1]) + data


@pytest.fixture
def load_gettext(tmp_path: Path) -> Callable[..., None]:
    """`load_gettext(ru={…})` loads translations from compiled files."""

    def load(**catalogs: dict[str, str]) -> None:
        for code, messages in catalogs.items():
            directory = tmp_path / code / "LC_MESSAGES"
            directory.mkdir(parents=True)
            (directory / "app.mo").write_bytes(compiled(messages))
        locale.load_gettext_translations(str(tmp_path), "app")

    return load
