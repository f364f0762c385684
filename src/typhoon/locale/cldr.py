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

_TO_WIDEN = re.compile(r"'[^']*'|E+|c+|MMM|LLL")


class Language:
    """The rules of one language."""

    def __init__(self, locale: "babel.Locale") -> None:
        # Loaded here, once, so that nothing is imported while a page is made.
        from babel import dates, lists, numbers

        self.locale = locale
        self._dates = dates
        self._lists = lists
        self._numbers = numbers
        self.months: list[str] = [locale.months["format"]["wide"][n] for n in range(1, 13)]
        self.weekdays: list[str] = [locale.days["stand-alone"]["wide"][n] for n in range(7)]
        self._day_formats = {
            False: self._pattern("MMMMd", "MMMd"),
            True: self._pattern("MMMMEEEEd", "MMMEd"),
        }
        self._joined = str(dates.get_datetime_format("long", locale)).replace("'", "")

    def _pattern(self, wanted: str, abbreviated: str) -> str:
        skeletons = self.locale.datetime_skeletons
        if wanted in skeletons:
            return str(skeletons[wanted].pattern)
        # Widening the fields of a similar pattern is what UTS #35 asks for.
        return _TO_WIDEN.sub(_widened, str(skeletons[abbreviated].pattern))

    def ago(self, count: int, unit: Unit) -> str:
        """«2 часа назад»."""
        return self._dates.format_timedelta(
            -datetime.timedelta(**{f"{unit}s": count}),
            granularity=unit,
            threshold=math.inf,  # stay with this unit
            add_direction=True,
            locale=self.locale,
        )

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
