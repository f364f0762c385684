"""Dates, numbers and lists, in English, in other languages, and without Babel."""

from __future__ import annotations

import datetime
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from typhoon import locale
from typhoon.locale import cldr, wording

NOW = datetime.datetime(2026, 11, 21, 12, 0, tzinfo=datetime.UTC)
"""A Saturday."""

Load = Callable[..., None]


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wording, "_now", lambda: NOW)


def ago(**age: float) -> datetime.datetime:
    return NOW - datetime.timedelta(**age)


ENGLISH: list[tuple[datetime.datetime, dict[str, Any], str]] = [
    (ago(), {}, "0 seconds ago"),
    (ago(seconds=1), {}, "1 second ago"),
    (ago(seconds=49), {}, "49 seconds ago"),
    (ago(seconds=50), {}, "1 minute ago"),
    (ago(seconds=100), {}, "2 minutes ago"),
    (ago(minutes=49, seconds=59), {}, "50 minutes ago"),
    (ago(minutes=50), {}, "1 hour ago"),
    (ago(hours=23, minutes=40), {}, "24 hours ago"),
    (ago(hours=2), {"relative": False}, "10:00 am"),
    (ago(hours=24), {}, "yesterday at 12:00 pm"),
    (ago(hours=24), {"shorter": True}, "yesterday"),
    (ago(hours=36), {}, "yesterday at 12:00 am"),
    (ago(hours=36, seconds=1), {}, "Thursday at 11:59 pm"),
    (ago(hours=24), {"relative": False}, "Friday at 12:00 pm"),
    (ago(days=4), {}, "Tuesday at 12:00 pm"),
    (ago(days=4), {"shorter": True}, "Tuesday"),
    (ago(days=5), {}, "November 16 at 12:00 pm"),
    (ago(days=5), {"shorter": True}, "November 16"),
    (ago(days=333), {"shorter": True}, "December 23"),
    (ago(days=334), {"shorter": True}, "December 22, 2025"),
    (ago(days=400), {}, "October 17, 2025 at 12:00 pm"),
    (ago(seconds=5), {"full_format": True}, "November 21, 2026 at 11:59 am"),
    (ago(seconds=5), {"full_format": True, "shorter": True}, "November 21, 2026"),
    (ago(seconds=-59), {}, "0 seconds ago"),
    (ago(seconds=-59), {"relative": False}, "November 21, 2026 at 12:00 pm"),
    (ago(seconds=-60), {}, "November 21, 2026 at 12:01 pm"),
    (ago(days=-1), {"shorter": True}, "November 22, 2026"),
    (ago(days=5), {"gmt_offset": 480}, "November 16 at 4:00 am"),
    (ago(days=5), {"gmt_offset": -840}, "November 17 at 2:00 am"),
    (ago(hours=30), {"gmt_offset": 480}, "Thursday at 10:00 pm"),
]


@pytest.mark.parametrize(("date", "options", "text"), ENGLISH)
@pytest.mark.usefixtures("_both")
def test_dates_in_english(date: datetime.datetime, options: dict[str, Any], text: str) -> None:
    english = locale.get("en_US")
    assert english.format_date(date, **options) == text
    assert english.format_date(date.replace(tzinfo=None), **options) == text
    assert english.format_date(date.timestamp(), **options) == text
    elsewhere = datetime.timezone(datetime.timedelta(hours=9))
    assert english.format_date(date.astimezone(elsewhere), **options) == text


@pytest.mark.usefixtures("_both")
def test_days_numbers_and_lists_in_english() -> None:
    english = locale.get("en_US")
    assert english.format_day(NOW) == "Saturday, November 21"
    assert english.format_day(NOW, dow=False) == "November 21"
    assert english.format_day(NOW, gmt_offset=-780) == "Sunday, November 22"
    assert english.friendly_number(1234567) == "1,234,567"
    assert english.friendly_number(-1234567) == "-1,234,567"
    assert english.friendly_number(999) == "999"
    lists = [english.list(parts) for parts in ([], ["A"], ("A", "B"), iter("ABC"))]
    assert lists == ["", "A", "A and B", "A, B and C"]


AGES = [ago(seconds=1), ago(minutes=3), ago(hours=2), ago(days=1), ago(days=3), ago(days=30)]


@pytest.mark.parametrize(
    ("code", "dates", "full", "day", "number", "listed"),
    [
        (
            "ru_RU",
            [
                "1 секунду назад",
                "3 минуты назад",
                "2 часа назад",
                "вчера, 12:00",
                "среда, 12:00",
                "22 октября, 12:00",
            ],
            "17 октября 2025 г., 12:00",  # noqa: RUF001
            "суббота, 21 ноября",
            "1 234 567",
            "A, B и C",
        ),
        (
            "zh_CN",
            ["1秒钟前", "3分钟前", "2小时前", "昨天 12:00", "星期三 12:00", "10月22日 12:00"],
            "2025年10月17日 12:00",
            "11月21日星期六",
            "1,234,567",
            "A、B和C",
        ),
        (
            "ar_AR",
            [
                "قبل ثانية واحدة",
                "قبل 3 دقائق",
                "قبل ساعتين",
                "أمس، 12:00 م",
                "الأربعاء، 12:00 م",
                "22 أكتوبر، 12:00 م",
            ],
            "17 أكتوبر 2025، 12:00 م",
            "السبت، 21 نوفمبر",
            "1,234,567",
            "A وB وC",
        ),
        (
            "es_LA",
            [
                "hace 1 segundo",
                "hace 3 minutos",
                "hace 2 horas",
                "ayer, 12:00",
                "miércoles, 12:00",
                "22 de octubre, 12:00",
            ],
            "17 de octubre de 2025, 12:00",
            "sábado, 21 de noviembre",
            "1.234.567",
            "A, B y C",
        ),
        (
            "de",
            [
                "vor 1 Sekunde",
                "vor 3 Minuten",
                "vor 2 Stunden",
                "gestern, 12:00",
                "Mittwoch, 12:00",
                "22. Oktober, 12:00",
            ],
            "17. Oktober 2025, 12:00",
            "Samstag, 21. November",
            "1.234.567",
            "A, B und C",
        ),
    ],
)
def test_other_languages(
    load: Load, code: str, dates: list[str], full: str, day: str, number: str, listed: str
) -> None:
    load(**{code: ""})
    found = locale.get(code)

    def plain(text: str) -> str:
        # Releases of CLDR differ in which kind of space, and in marks that nobody sees.
        return text.replace("\u202f", " ").replace("\xa0", " ").replace("\u200f", "")

    assert [plain(found.format_date(date)) for date in AGES] == dates
    assert plain(found.format_date(ago(days=400))) == full
    assert plain(found.format_day(NOW)) == day
    assert plain(found.friendly_number(1234567)) == number
    assert plain(found.list(["A", "B", "C"])) == listed
    assert found.list(["A"]) == "A"


def test_a_language_without_its_word_for_yesterday(load: Load) -> None:
    load(is_IS="")
    assert locale.get("is_IS").format_date(ago(days=1), shorter=True) == "fyrir 1 degi"


def test_english_elsewhere(load: Load) -> None:
    load(en_GB="")
    british = locale.get("en_GB")
    assert british.format_date(ago(days=1), shorter=True) == "yesterday"
    assert british.format_date(ago(days=400), shorter=True) == "17 October 2025"


def test_a_language_that_nobody_knows(load: Load) -> None:
    load(xx_YY='"1 minute ago","1 xx"')
    unknown = locale.get("xx_YY")
    assert unknown.format_date(ago(minutes=1)) == "1 xx"
    assert unknown.format_date(ago(minutes=2)) == "2 minutes ago"
    assert unknown.friendly_number(1234567) == "1234567"
    assert unknown.list("AB") == "A and B"


FRENCH = """\
"January","janvier"
"October","octobre"
"November","novembre"
"Saturday","samedi"
"1 hour ago","il y a une heure","singular"
"%(hours)d hours ago","il y a %(hours)d heures","plural"
"yesterday","hier même"
"yesterday at %(time)s","hier à %(time)s"
"%(month_name)s %(day)s","le %(day)s %(month_name)s"
"%(weekday)s, %(month_name)s %(day)s","%(weekday)s le %(day)s %(month_name)s"
"%(commas)s and %(last)s","%(commas)s ainsi que %(last)s"
"""


@pytest.mark.usefixtures("_both")
def test_the_programs_own_words_come_first(load: Load) -> None:
    load(fr=FRENCH)
    fr = locale.get("fr")
    assert fr.format_date(ago(hours=1)) == "il y a une heure"
    assert fr.format_date(ago(hours=2)) == "il y a 2 heures"
    assert fr.format_date(ago(days=1), shorter=True) == "hier même"
    assert fr.format_date(ago(days=1)) == "hier à 12:00"
    assert fr.format_date(ago(days=30), shorter=True) == "le 22 octobre"
    assert fr.format_day(NOW) == "samedi le 21 novembre"
    assert fr.list(["A", "B", "C"]) == "A, B ainsi que C"


def test_babel_fills_the_gaps(load: Load) -> None:
    load(fr=FRENCH)
    fr = locale.get("fr")
    assert fr.format_date(ago(minutes=2)) == "il y a 2 minutes"
    assert fr.format_date(NOW - datetime.timedelta(days=10), shorter=True) == "le 11 novembre"
    assert fr.format_date(ago(days=80), shorter=True) == "le 2 septembre"
    assert fr.format_date(ago(days=3), shorter=True) == "mercredi"


@pytest.mark.usefixtures("without_babel")
def test_without_babel(load: Load) -> None:
    load(ru="", zh_CN="", fa="")
    ru, zh, fa = (locale.get(code) for code in ("ru", "zh_CN", "fa"))
    assert ru.format_date(ago(hours=2)) == "2 hours ago"
    assert ru.format_date(ago(days=30)) == "October 22 at 12:00"
    assert zh.format_date(ago(days=30, hours=-3)) == "October 22 at 下午3:00"
    assert zh.format_date(ago(days=30, hours=3)) == "October 22 at 上午9:00"
    assert ru.friendly_number(1234567) == "1234567"
    assert fa.list(["A", "B", "C"]) == "A \u0648 B and C"


@pytest.mark.parametrize("code", locale.LOCALE_NAMES)
def test_every_locale_with_a_name_has_all_that_is_needed(code: str) -> None:
    language = cldr.language(code)
    assert language is not None
    assert "21" in language.day(NOW, weekday=True)
    assert language.time(NOW) in language.at(language.date(NOW), language.time(NOW))
    assert language.yesterday()


def test_babel_is_imported_when_it_is_needed() -> None:
    program = """
import sys, typhoon.web, typhoon.locale
assert "babel" not in sys.modules
typhoon.locale.get("en_US").format_date(0)
assert "babel" not in sys.modules
typhoon.locale.set_default_locale("ru")
assert typhoon.locale.get("ru").list("AB") == "A \\u0438 B"
assert "babel" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
