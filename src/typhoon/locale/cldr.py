"""Dates, numbers, lists and plurals as each language has them (CLDR), through Babel."""

import datetime
import functools
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from typhoon.locale.names import language_of

if TYPE_CHECKING:
    import babel

Unit = Literal["second", "minute", "hour", "day"]

_TO_WIDEN = re.compile(r"'[^']*'|E+|c+|M{3,}|L{3,}")

YESTERDAY = {
    "ar": "أمس",
    "bg": "вчера",
    "ca": "ahir",
    "cs": "včera",
    "da": "i går",
    "de": "gestern",
    "el": "χθες",
    "en": "yesterday",
    "es": "ayer",
    "et": "eile",
    "fa": "دیروز",
    "fi": "eilen",
    "fr": "hier",
    "he": "אתמול",
    "hr": "jučer",
    "hu": "tegnap",
    "id": "kemarin",
    "it": "ieri",
    "ja": "昨日",
    "ko": "어제",
    "lt": "vakar",
    "lv": "vakar",
    "nb": "i går",
    "nl": "gisteren",
    "pl": "wczoraj",
    "pt": "ontem",
    "ro": "ieri",
    "ru": "вчера",
    "sk": "včera",
    "sl": "včeraj",
    "sr": "јуче",
    "sv": "i går",
    "tr": "dün",
    "uk": "вчора",
    "vi": "hôm qua",
    "zh": "昨天",
}
"""By language. CLDR has these words, but Babel does not hand them on."""


class Language:
    """The rules of one language."""

    def __init__(self, locale: "babel.Locale") -> None:
        from babel import dates, lists, numbers

        self.locale = locale
        self._dates = dates
        self._lists = lists
        self._numbers = numbers
        self.months: list[str] = [locale.months["format"]["wide"][n] for n in range(1, 13)]
        self.weekdays: list[str] = [locale.days["stand-alone"]["wide"][n] for n in range(7)]
        self._day_formats = {
            False: str(locale.datetime_skeletons["MMMMd"].pattern),
            True: self._weekday_pattern(),
        }
        self._joined = str(dates.get_datetime_format("long", locale)).replace("'", "")

    def _weekday_pattern(self) -> str:
        """The pattern of a day with the whole names of weekday and month.

        CLDR mostly has it abbreviated. UTS #35 asks for its fields to be widened then.
        """
        skeletons = self.locale.datetime_skeletons
        if "MMMMEEEEd" in skeletons:
            return str(skeletons["MMMMEEEEd"].pattern)
        # Whole months may take another form around them: in Spanish "22 oct", "22 de octubre".
        pattern = str(skeletons["MMMEd"].pattern)
        day, whole_day = str(skeletons["MMMd"].pattern), str(skeletons["MMMMd"].pattern)
        return _TO_WIDEN.sub(_widened, pattern.replace(day, whole_day))

    def ago(self, count: int, unit: Unit) -> str:
        """«2 часа назад»."""
        return self._dates.format_timedelta(
            -datetime.timedelta(**{f"{unit}s": count}),
            granularity=unit,
            threshold=math.inf,  # stay with this unit
            add_direction=True,
            locale=self.locale,
        )

    def yesterday(self) -> str:
        """«вчера»."""
        return YESTERDAY.get(self.locale.language) or self.ago(1, "day")

    def time(self, when: datetime.datetime) -> str:
        """«18:35»."""
        return self._dates.format_time(when.time(), "short", locale=self.locale)

    def day(self, when: datetime.datetime, weekday: bool = False) -> str:
        """«28 апреля», or «воскресенье, 28 апреля»."""
        return self._dates.format_date(when, self._day_formats[weekday], locale=self.locale)

    def date(self, when: datetime.datetime) -> str:
        """«28 avril 2013»."""
        return self._dates.format_date(when, "long", locale=self.locale)

    def at(self, date: str, time: str) -> str:
        """«28 апреля, 18:35»."""
        return self._joined.replace("{0}", time).replace("{1}", date)

    def number(self, value: int) -> str:
        """«1 234 567»."""
        return self._numbers.format_decimal(value, locale=self.locale)

    def list(self, parts: Sequence[str]) -> str:
        """«A, B и C»."""
        return self._lists.format_list(parts, locale=self.locale)

    def plural_category(self, count: float) -> str:
        """The plural category for a number: `few` for 2 in Russian."""
        return self.locale.plural_form(count)


def _widened(match: re.Match[str]) -> str:
    field = match[0]
    return field if field[0] == "'" else field[0] * 4


@functools.cache
def language(code: str) -> Language | None:
    """The rules for a locale; None without Babel, and for languages that it does not know.

    Cached for good: codes are those of the locales that have been loaded.
    """
    try:
        import babel
    except ImportError:
        return None
    for candidate in (code, language_of(code)):
        try:
            return Language(babel.Locale.parse(candidate))
        except (ValueError, babel.UnknownLocaleError):
            continue
    return None
