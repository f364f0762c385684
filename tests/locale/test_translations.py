"""Loading translations, and translating."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from typhoon import locale

SPANISH = """\
"I love you","Te amo"
"Sign ""in"" now","Iniciar sesión, ¿no?"

"%(name)s liked this","A %(name)s le gustó esto","singular"
"%(name)s liked this","A %(name)s les gustó esto","plural"
"One","Uno","unknown"
"""

Load = Callable[..., None]


def test_messages_and_plurals_from_csv(load: Load) -> None:
    load(es=SPANISH)
    es = locale.get("es")
    assert isinstance(es, locale.CSVLocale)
    assert es.translate("I love you") == "Te amo"
    assert es.translate('Sign "in" now') == "Iniciar sesión, ¿no?"
    assert es.translate("One") == "Uno"
    assert es.translate("nothing of the kind") == "nothing of the kind"
    liked = "%(name)s liked this"
    assert es.translate(liked, liked, 1) == "A %(name)s le gustó esto"
    assert es.translate(liked, liked, 2) == "A %(name)s les gustó esto"
    assert es.translate(liked, liked, 0) == "A %(name)s les gustó esto"
    assert es.translations["unknown"]["I love you"] == "Te amo"
    assert es.pgettext("in a letter", "I love you") == "Te amo"
    assert es.pgettext("friends", liked, liked, 2) == "A %(name)s les gustó esto"


def test_the_default_locale_needs_no_translations() -> None:
    english = locale.get()
    assert (english.code, english.name, english.rtl) == ("en_US", "English (US)", False)
    assert english.translate("page", "pages", 1) == "page"
    assert english.translate("page", "pages", 2) == "pages"
    assert english.translate("page") == "page"


def test_a_plural_needs_its_count() -> None:
    with pytest.raises(TypeError, match=r"takes a count: translate\(one, many, count\)"):
        locale.get().translate("page", "pages")


PEOPLE = ("%(num)d person", "%(num)d people")
RUSSIAN = """\
"%(num)d person","%(num)d человек","one"
"%(num)d people","%(num)d человека","few"
"%(num)d people","%(num)d человек","many"
"%(num)d person","%(num)d человека","other"
"page","страница","singular"
"pages","страниц","plural"
"""


@pytest.mark.parametrize(
    ("count", "people"),
    [
        *((count, "человек") for count in (0, 1, 5, 11, 12, 21)),
        *((count, "человека") for count in (2, 4, 22, 1.5)),
    ],
)
def test_plural_categories_of_the_language(load: Load, count: Any, people: str) -> None:
    load(ru_RU=RUSSIAN)
    ru = locale.get("ru_RU")
    assert ru.translate(*PEOPLE, count) == f"%(num)d {people}"
    assert ru.translate("page", "pages", count) == ("страница" if count == 1 else "страниц")


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        ('"a","ein","one"\n"b","viele","many"\n"b","andere","other"', "andere"),
        ('"a","ein","one"\n"b","viele","many"\n"b","mehr","plural"', "mehr"),
        ('"a","ein","one"\n"b","viele","many"\n"b","wenige","few"', "viele"),
        ('"a","ein","one"\n"b","wenige","few"', "wenige"),
        ('"a","ein","one"', "b"),
        ('"b","mehr"\n"a","ein","one"', "mehr"),
    ],
)
@pytest.mark.usefixtures("without_babel")
def test_plural_categories_without_babel(load: Load, rows: str, wanted: str) -> None:
    load(de=rows)
    de = locale.get("de")
    assert de.translate("a", "b", 1) == "ein"
    assert de.translate("a", "b", 5) == wanted


def test_one_form_for_all_numbers(load: Load) -> None:
    load(ja='"%d file","%d 個","other"')
    assert {locale.get("ja").translate("%d file", "%d files", n) for n in (0, 1, 2)} == {"%d 個"}


TEXT = '"school","école"\n"cat","chat"\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_encodings_are_detected(load: Load, encoding: str) -> None:
    load(fr_FR=TEXT.encode(encoding))
    assert locale.get("fr_FR").translate("school") == "école"
    assert locale.get("fr_FR").translate("cat") == "chat"


def test_lines_end_as_in_csv(load: Load) -> None:
    load(fr_FR='a,b\u2028c\x85d\x0be\r\nf,"g\r\nh"\rj,k\nl,m')
    french = locale.get("fr_FR")
    texts = [french.translate(message) for message in "afjl"]
    assert texts == ["b\u2028c\x85d\x0be", "g\r\nh", "k", "m"]


def test_an_utf16_mark_of_the_other_order(load: Load) -> None:
    load(fr_FR=b"\xfe\xff" + TEXT.encode("utf-16-be"))
    assert locale.get("fr_FR").translate("school") == "école"


def test_an_encoding_that_is_given(tmp_path: Path) -> None:
    (tmp_path / "fr_FR.csv").write_bytes(TEXT.encode("latin-1"))
    locale.load_translations(str(tmp_path), encoding="latin-1")
    assert locale.get("fr_FR").translate("school") == "école"


def test_another_encoding_says_file_and_line(load: Load) -> None:
    with pytest.raises(ValueError, match=r"fr_FR\.csv, line 2: not utf-8 .*encoding="):
        load(fr_FR='"cat","chat"\n"school","école"\n'.encode("latin-1"))


@pytest.mark.parametrize(
    ("rows", "level", "message"),
    [
        ('"a","b"\n"alone"', "WARNING", "Row in {path} line 2 without message and translation"),
        ('"a","b"\n,"nothing"', "WARNING", "Row in {path} line 2 without message"),
        ('"a","b","many of them"', "ERROR", "Unrecognized plural indicator 'many of them' in {path}"
         " line 1: write singular, plural, zero, one, two, few, many, other or nothing"),
        ('"a\nb","c"\n"a\nb","d"', "WARNING", "Message 'a\\nb' translated again in {path} line 4"),
    ],
)  # fmt: skip
def test_bad_rows_are_logged(
    load: Load, tmp_path: Path, rows: str, level: str, message: str, caplog: Any
) -> None:
    load(fr=f"{rows}\n")
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("typhoon.general", level)
    assert record.getMessage().startswith(message.format(path=tmp_path / "fr.csv"))


def test_rows_that_are_all_right_are_not(load: Load, caplog: Any) -> None:
    rows = '"a","b"\n\n"a","c","one"\n"a","d","other"\n"e",""\n"f","g","h",\n'.replace('"h"', '""')
    load(fr=rows)
    assert not caplog.records
    assert locale.get("fr").translate("e") == ""


def test_csv_that_cannot_be_read_says_file_and_line(load: Load) -> None:
    with pytest.raises(ValueError, match=r"fr\.csv, line 2: "):
        load(fr='"a","b"\n"c","' + "d" * 200_000 + '"\n')


def test_names_of_files(tmp_path: Path, caplog: Any) -> None:
    for name in ("es.csv", "pt_BR.csv", "zh_Hant_TW.csv", "es_419.csv", "README", "french!.csv"):
        (tmp_path / name).write_text('"a","b"\n')
    with caplog.at_level(logging.DEBUG, "typhoon.general"):
        locale.load_translations(str(tmp_path))
    error, debug = caplog.records
    assert error.levelname == "ERROR"
    assert error.getMessage().startswith(
        f"Unrecognized locale 'french!' (path: {tmp_path / 'french!.csv'})"
    )
    codes = ["en_US", "es", "es_419", "pt_BR", "zh_Hant_TW"]
    assert debug.getMessage() == f"Supported locales: {codes}"
    assert sorted(locale.get_supported_locales()) == codes


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        locale.load_translations(str(tmp_path / "nowhere"))


# Gettext.

CATALOG = {
    "": "Content-Type: text/plain; charset=UTF-8\n"
    "Plural-Forms: nplurals=3; plural=n%10==1 && n%100!=11 ? 0 : "
    "n%10>=2 && n%10<=4 && (n%100<10 || n%100>=20) ? 1 : 2;\n",
    "school": "школа",
    "right": "правый",
    "law\x04right": "право",
    "file\0files": "файл\0файла\0файлов",  # noqa: RUF001
    "tools\x04file\0files": "напильник\0напильника\0напильников",  # noqa: RUF001
}


@pytest.mark.usefixtures("_both")
def test_gettext(load_gettext: Load) -> None:
    load_gettext(ru=CATALOG)
    ru = locale.get("ru")
    assert isinstance(ru, locale.GettextLocale)
    assert ru.translate("school") == ru.gettext("school") == "школа"
    assert ru.translate("nothing") == "nothing"
    assert [ru.translate("file", "files", n) for n in (1, 3, 11, 21)] == [
        *("файл", "файла", "файлов", "файл"),
    ]
    assert ru.ngettext("dog", "dogs", 2) == "dogs"
    with pytest.raises(TypeError, match="takes a count"):
        ru.translate("file", "files")


def test_gettext_in_context(load_gettext: Load) -> None:
    load_gettext(ru=CATALOG)
    ru = locale.get("ru")
    assert ru.pgettext("law", "right") == "право"
    assert ru.pgettext("place", "right") == "правый"
    assert ru.pgettext("law", "unknown") == "unknown"
    assert ru.pgettext("tools", "file", "files", 5) == "напильников"
    assert ru.pgettext("office", "file", "files", 5) == "файлов"
    assert ru.pgettext("office", "dog", "dogs", 1) == "dog"
    assert ru.pgettext("office", "dog", "dogs", 5) == "dogs"
    with pytest.raises(TypeError, match="takes a count"):
        ru.pgettext("tools", "file", "files")


def test_the_default_locale_with_gettext(load_gettext: Load) -> None:
    load_gettext(ru=CATALOG)
    english = locale.get("en_US")
    assert isinstance(english, locale.GettextLocale)
    assert english.translate("file", "files", 2) == "files"
    assert english.pgettext("law", "right") == "right"


def test_gettext_files_that_cannot_be_read(load_gettext: Load, tmp_path: Path, caplog: Any) -> None:
    for code, name in (("de", "app.mo"), ("fr", "app.po"), ("it", "other.mo")):
        (tmp_path / code / "LC_MESSAGES").mkdir(parents=True)
        (tmp_path / code / "LC_MESSAGES" / name).write_bytes(b"not a catalog")
    (tmp_path / ".git").mkdir()
    (tmp_path / "app.pot").write_text("")
    load_gettext(ru=CATALOG)
    assert sorted(locale.get_supported_locales()) == ["en_US", "ru"]
    damaged, to_compile, missing = [record.getMessage() for record in caplog.records]
    assert re.match(r"Cannot load translation for 'de' from .*app\.mo: ", damaged)
    assert to_compile.endswith("app.mo: make it with msgfmt")
    assert missing.endswith("app.mo")


def test_a_gettext_folder_that_no_code_leads_to(load_gettext: Load, caplog: Any) -> None:
    load_gettext(**{"pt-BR": CATALOG})
    (record,) = caplog.records
    assert record.getMessage().startswith("Unrecognized locale 'pt-BR' (path: ")


# Which locale.


@pytest.mark.parametrize(
    ("codes", "closest"),
    [
        (["es_GT"], "es"),
        (["es-gt"], "es"),
        (["ES"], "es"),
        (["pt_BR"], "pt_BR"),
        (["pt-br"], "pt_BR"),
        (["pt_PT"], "en_US"),
        (["pt"], "pt_BR"),
        (["en"], "en_US"),
        (["en_GB"], "en_US"),
        (["en", "es"], "en_US"),
        (["xx", "", None, "es"], "es"),
        (["de_DE", "pt_BR", "es"], "pt_BR"),
        (["zh_Hans_CN"], "zh_CN"),
        (["zh-Hans"], "zh_CN"),
        (["zh-hant-tw"], "en_US"),
        (["sr_Latn_RS"], "sr_Latn"),
        (["sr"], "sr_Latn"),
        (["es-419-x-private"], "es"),
        (["de", "fr"], "en_US"),
        ([], "en_US"),
        (["_", "-", "e" * 10000, "es" + "-es" * 10000], "es"),
    ],
)
def test_the_closest_locale(load: Load, codes: list[Any], closest: str) -> None:
    load(es="", pt_BR="", zh_CN="", sr_Latn="")
    assert locale.get(*codes).code == closest
    assert locale.Locale.get_closest(*codes) is locale.get(closest)


def test_another_default_locale(load: Load) -> None:
    locale.set_default_locale("de_DE")
    assert locale.get("fr").code == "de_DE"
    assert set(locale.get_supported_locales()) == {"de_DE"}
    load(en_US="", de_AT="")
    assert set(locale.get_supported_locales()) == {"de_DE", "de_AT", "en_US"}
    assert locale.get("de").code == "de_DE"
    assert locale.get("en").code == "en_US"
    locale.set_default_locale("fr")
    assert set(locale.get_supported_locales()) == {"fr", "de_AT", "en_US"}


def test_one_locale_exactly(load: Load) -> None:
    load(es="")
    assert locale.Locale.get("es") is locale.get("es_MX")
    with pytest.raises(LookupError, match=r"no locale 'fr': .*\(there are en_US, es\)"):
        locale.Locale.get("fr")


def test_loading_again_replaces_everything(load: Load, tmp_path: Path) -> None:
    load(es='"a","b"', fr='"a","c"')
    old = locale.get("es")
    (tmp_path / "fr.csv").unlink()
    load(es='"a","d"')
    assert (old.translate("a"), locale.get("es").translate("a")) == ("b", "d")
    assert locale.get("fr").code == "en_US"


@pytest.mark.parametrize(
    ("code", "name", "rtl"),
    [
        ("ru_RU", "Русский", False),
        ("ru", "Русский", False),
        ("es_LA", "Español", False),
        ("pt", "Português", False),
        ("pt_BR", "Português (Brasil)", False),
        ("zh_CN", "中文(简体)", False),
        ("ar", "العربية", True),
        ("he_IL", "עברית", True),
        ("fa_IR", "فارسی", True),
        ("ur_PK", "Unknown", True),
        ("xx", "Unknown", False),
    ],
)
def test_names_and_directions(load: Load, code: str, name: str, rtl: bool) -> None:
    load(**{code: ""})
    found = locale.get(code)
    assert (found.code, found.name, found.rtl) == (code, name, rtl)


def test_locale_names() -> None:
    assert locale.LOCALE_NAMES["de_DE"] == {"name_en": "German", "name": "Deutsch"}
    assert all(names.keys() == {"name_en", "name"} for names in locale.LOCALE_NAMES.values())
