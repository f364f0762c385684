"""Translations, and dates, numbers and lists in the language of the user.

    import typhoon.locale

    typhoon.locale.load_translations("translations")
    locale = typhoon.locale.get("es_GT", "en")
    print(locale.translate("Sign out"))

Programs load their translations once, before they serve; handlers have the locale of their user as
`self.locale`, templates as `locale`, with `_` for `locale.translate`.

Without translations, everything is in the default locale, `en_US`: the language that messages in
the source are written in. `set_default_locale` says if that is another one.

With Babel (``pip install typhoon[babel]``) dates, numbers, lists and plural forms follow the rules
of the locale's language (CLDR); without it they are as in English, with the words that the
program's own translations give. A translation of these messages comes first in either case:

    "1 second ago"  "%(seconds)d seconds ago"       (also minute, hour)
    "yesterday"  "%(weekday)s"  "%(month_name)s %(day)s"  "%(month_name)s %(day)s, %(year)s"
    (each also with " at %(time)s" behind it)
    "%(weekday)s, %(month_name)s %(day)s"  "January"…  "Monday"…  "%(commas)s and %(last)s"

In `en` and `en_US` they read the same with and without Babel.
"""

import datetime
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from typhoon.locale import wording
from typhoon.locale.catalogs import (
    CATEGORIES,
    CSVTranslations,
    read_csv_files,
    read_gettext_files,
)
from typhoon.locale.cldr import Language, language
from typhoon.locale.names import (
    LOCALE_NAMES,
    closest_code,
    is_right_to_left,
    language_of,
    name_of,
)
from typhoon.log import gen_log

if TYPE_CHECKING:
    import gettext

__all__ = [
    "CONTEXT_SEPARATOR",
    "LOCALE_NAMES",
    "CSVLocale",
    "GettextLocale",
    "Locale",
    "get",
    "get_supported_locales",
    "load_gettext_translations",
    "load_translations",
    "set_default_locale",
]

CONTEXT_SEPARATOR = "\x04"
"""What stands between a context and a message in gettext's files."""

# What is loaded. Each is replaced whole, never changed, so that readers need no lock. Programs
# that have their translations elsewhere assign to these.
_default_locale = "en_US"
_translations: "dict[str, Any]" = {}
_supported_locales: frozenset[str] = frozenset([_default_locale])
_use_gettext = False


def get(*locale_codes: str) -> "Locale":
    """The locale that is closest to one of these codes, the first of them first.

    See `Locale.get_closest`.
    """
    return Locale.get_closest(*locale_codes)


def set_default_locale(code: str) -> None:
    """Set the locale that messages in the source are written in, and that `get` falls back on.

    It needs no translations.
    """
    global _default_locale, _supported_locales
    _default_locale = code
    _supported_locales = frozenset([*_translations, code])


def load_translations(directory: str, encoding: str | None = None) -> None:
    """Load translations from CSV files, one for each locale and named after it: `es.csv`.

    The rows are a message, its translation, and for messages with plural forms which form it is:

        "I love you","Te amo"
        "%(name)s liked this","A %(name)s le gustó esto","singular"
        "%(name)s liked this","A %(name)s les gustó esto","plural"

    `singular` is for a count of 1, `plural` for all others. Languages with other forms say which by
    the names that CLDR has for them, `zero`, `one`, `two`, `few`, `many` and `other`; the message
    is either of those that `translate` is given:

        "%(num)d person","%(num)d человек","one"
        "%(num)d people","%(num)d человека","few"
        "%(num)d people","%(num)d человек","many"

    Babel knows which number takes which form. Without it, 1 takes `one`, and every other number
    the first that there is of `other`, `plural`, `many` and `few`.

    Files are CSV as Excel writes it, without spaces behind the commas. `encoding` is theirs; if it
    is None, they are UTF-16 or UTF-8, with or without a byte order mark.

    A row or a file name that makes no sense is logged and left out. Raises `ValueError` for a file
    that is not in its encoding or not CSV, and `OSError` for one that cannot be read.
    """
    _replace(read_csv_files(directory, encoding), use_gettext=False)


def load_gettext_translations(directory: str, domain: str) -> None:
    """Load translations from gettext's files: `{directory}/{locale}/LC_MESSAGES/{domain}.mo`.

    To make them, collect the messages of the source with `xgettext` or `pybabel extract`, translate
    them, and compile the result with `msgfmt`. Plural forms are as the files define them.

    A locale without a file that can be read is logged and left out. Raises `OSError` for a
    directory that cannot be read.
    """
    _replace(read_gettext_files(directory, domain), use_gettext=True)


def _replace(translations: dict[str, Any], use_gettext: bool) -> None:
    global _translations, _supported_locales, _use_gettext
    _translations = translations
    _supported_locales = frozenset([*translations, _default_locale])
    _use_gettext = use_gettext
    Locale._cache = {}
    gen_log.debug("Supported locales: %s", sorted(_supported_locales))


def get_supported_locales() -> Iterable[str]:
    """The codes of the locales that there are translations for, and of the default one."""
    return _supported_locales


class Locale:
    """What is different from language to language. `get` gives the one for a code.

    Attributes:
        code: such as `pt_BR`.
        name: what its speakers call it.
        rtl: whether it is written from right to left.
    """

    _cache: "dict[str, Locale]" = {}

    @classmethod
    def get_closest(cls, *locale_codes: str) -> "Locale":
        """The locale that is closest to one of these codes, the first of them first.

        `fr_CA` gives that locale, or else `fr`; `fr` alone also gives the French of some country,
        and `zh_Hans_CN` also `zh_CN`. Dashes are as good as underscores, and case does not matter.
        If nothing fits, the default locale.
        """
        for code in locale_codes:
            if code:
                closest = closest_code(code, _supported_locales, _default_locale)
                if closest is not None:
                    return cls.get(closest)
        return cls.get(_default_locale)

    @classmethod
    def get(cls, code: str) -> "Locale":
        """The locale with just this code. `LookupError` if there is none."""
        cache = Locale._cache  # before the translations: they are replaced first
        locale = cache.get(code)
        if locale is None:
            if code not in _supported_locales:
                raise LookupError(
                    f"no locale {code!r}: load its translations first "
                    f"(there are {', '.join(sorted(_supported_locales))})"
                )
            locale = cache[code] = _make(code)
        return locale

    def __init__(self, code: str) -> None:
        self.code = code
        self.name = name_of(code)
        self.rtl = is_right_to_left(code)

    @cached_property
    def _language(self) -> Language | None:
        """The rules of CLDR. None in English, which is written down here, and without Babel."""
        return None if self.code in ("en", "en_US") else language(self.code)

    @cached_property
    def _months(self) -> list[str]:
        names = self._language.months if self._language else wording.MONTHS
        return [_or(self, *pair) for pair in zip(wording.MONTHS, names, strict=True)]

    @cached_property
    def _weekdays(self) -> list[str]:
        names = self._language.weekdays if self._language else wording.WEEKDAYS
        return [_or(self, *pair) for pair in zip(wording.WEEKDAYS, names, strict=True)]

    def translate(
        self, message: str, plural_message: str | None = None, count: int | None = None
    ) -> str:
        """The translation of a message; the message itself if there is none.

        With `plural_message`, a `count` is needed: the message is then the one for 1, the other
        one for any other number, and the translation is the form for that number.

            _("A person liked this", "%(num)d people liked this", len(people)) % {
                "num": len(people)
            }
        """
        raise NotImplementedError

    def pgettext(
        self,
        context: str,
        message: str,
        plural_message: str | None = None,
        count: int | None = None,
    ) -> str:
        """`translate` for a message that means different things in different places.

            pgettext("law", "right")
            pgettext("good", "right")

        The context is for gettext; CSV files have none, and it makes no difference there.
        """
        raise NotImplementedError

    def format_date(
        self,
        date: float | datetime.datetime,
        gmt_offset: int = 0,
        relative: bool = True,
        shorter: bool = False,
        full_format: bool = False,
    ) -> str:
        """A date in words: "2 minutes ago", "yesterday at 6:35 pm", "April 28 at 6:35 pm".

        Args:
            date: A `datetime` (in UTC if it has no time zone), or seconds since the epoch.
            gmt_offset: How many minutes the user's clock is behind UTC, as in JavaScript's
                `getTimezoneOffset`.
            relative: Whether it may be "2 minutes ago" or "yesterday".
            shorter: Leave the time of day out.
            full_format: Always with the year: "July 10, 1980 at 6:35 pm".

        Dates in the future are in full, but for the next minute, which counts as now.
        """
        return wording.format_date(self, date, gmt_offset, relative, shorter, full_format)

    def format_day(
        self, date: float | datetime.datetime, gmt_offset: int = 0, dow: bool = True
    ) -> str:
        """A date as a day: "Monday, January 22", or "January 22" without `dow`."""
        return wording.format_day(self, date, gmt_offset, dow)

    def list(self, parts: Any) -> str:
        """The parts in one sentence: "A, B and C", "A and B", or just "A"."""
        parts = [*parts]
        if len(parts) < 2:
            return parts[0] if parts else ""
        message = "%(commas)s and %(last)s"
        translated = self.translate(message)
        if translated == message and self._language is not None:
            return self._language.list(parts)
        comma = " \u0648 " if language_of(self.code) == "fa" else ", "
        return translated % {"commas": comma.join(parts[:-1]), "last": parts[-1]}

    def friendly_number(self, value: int) -> str:
        """A whole number with its digits grouped: "1,000,000". Digits alone where nobody knows."""
        if self._language is not None:
            return self._language.number(value)
        return f"{value:,}" if self.code in ("en", "en_US") else str(value)


class CSVLocale(Locale):
    """A locale whose translations are from CSV files (see `load_translations`)."""

    def __init__(self, code: str, translations: CSVTranslations) -> None:
        self.translations = translations
        super().__init__(code)

    def translate(
        self, message: str, plural_message: str | None = None, count: int | None = None
    ) -> str:
        if plural_message is None:
            return self.translations.get("unknown", {}).get(message, message)
        count = _needed(count)
        original = message if count == 1 else plural_message
        keys = (original, message, plural_message)
        for form in self._forms(count):
            of_form = self.translations.get(form, {})
            for key in keys:
                if key in of_form:
                    return of_form[key]
        return self.translations.get("unknown", {}).get(original, original)

    def _forms(self, count: float) -> Iterator[str]:
        """The plural forms that do for a number, the right one first."""
        if self._language is not None and not self.translations.keys().isdisjoint(CATEGORIES):
            yield self._language.plural_category(count)
        yield from (
            ("singular", "one", "other") if count == 1 else ("other", "plural", "many", "few")
        )

    def pgettext(
        self,
        context: str,
        message: str,
        plural_message: str | None = None,
        count: int | None = None,
    ) -> str:
        return self.translate(message, plural_message, count)


class GettextLocale(Locale):
    """A locale whose translations are gettext's (see `load_gettext_translations`)."""

    def __init__(self, code: str, translations: "gettext.NullTranslations") -> None:
        self.translations = translations
        self.gettext = translations.gettext
        self.ngettext = translations.ngettext
        super().__init__(code)

    def translate(
        self, message: str, plural_message: str | None = None, count: int | None = None
    ) -> str:
        if plural_message is None:
            return self.gettext(message)
        return self.ngettext(message, plural_message, _needed(count))

    def pgettext(
        self,
        context: str,
        message: str,
        plural_message: str | None = None,
        count: int | None = None,
    ) -> str:
        prefix = context + CONTEXT_SEPARATOR
        in_context = prefix + message
        if plural_message is None:
            found = self.gettext(in_context)
        else:
            found = self.ngettext(in_context, prefix + plural_message, _needed(count))
        # Where there is no translation, gettext gives back what it was given.
        if found.startswith(prefix):
            return self.translate(message, plural_message, count)
        return found


def _needed(count: int | None) -> int:
    if count is None:
        raise TypeError("a plural_message takes a count: translate(one, many, count)")
    return count


def _or(locale: Locale, message: str, name: str) -> str:
    """The translation of a message, or else the name."""
    translated = locale.translate(message)
    return name if translated == message else translated


def _make(code: str) -> Locale:
    translations = _translations.get(code)
    if _use_gettext:
        from gettext import NullTranslations

        return GettextLocale(code, translations or NullTranslations())
    return CSVLocale(code, translations or {})
