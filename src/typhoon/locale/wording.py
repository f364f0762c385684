"""How dates are put into words."""

import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typhoon.locale import Locale
    from typhoon.locale.cldr import Unit

MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_AGO: "dict[Unit, tuple[str, str]]" = {
    "second": ("1 second ago", "%(seconds)d seconds ago"),
    "minute": ("1 minute ago", "%(minutes)d minutes ago"),
    "hour": ("1 hour ago", "%(hours)d hours ago"),
}

CLOCK_SKEW = datetime.timedelta(seconds=60)
"""A date that is no further in the future than this is taken for now: clocks differ."""


def format_date(
    locale: "Locale",
    date: float | datetime.datetime,
    gmt_offset: int,
    relative: bool,
    shorter: bool,
    full_format: bool,
) -> str:
    """See `Locale.format_date`."""
    date = _in_utc(date)
    now = _now()
    if date > now:
        if relative and date - now < CLOCK_SKEW:
            date = now
        else:
            full_format = True
    offset = datetime.timedelta(minutes=gmt_offset)
    local = date - offset
    age = now - date
    if full_format or age.days >= 334:
        return _date_and_time(locale, local, shorter, "%(month_name)s %(day)s, %(year)s")
    if relative and age.days == 0:
        return _ago(locale, age.seconds)
    if age.days == 0:
        return _time(locale, local)
    yesterday = (now - offset).date() - datetime.timedelta(days=1)
    if relative and age.days == 1 and local.date() == yesterday:
        return _date_and_time(locale, local, shorter, "yesterday")
    if age.days < 5:
        return _date_and_time(locale, local, shorter, "%(weekday)s")
    return _date_and_time(locale, local, shorter, "%(month_name)s %(day)s")


def format_day(
    locale: "Locale", date: float | datetime.datetime, gmt_offset: int, dow: bool
) -> str:
    """See `Locale.format_day`."""
    local = _in_utc(date) - datetime.timedelta(minutes=gmt_offset)
    message = "%(weekday)s, %(month_name)s %(day)s" if dow else "%(month_name)s %(day)s"
    return _date(locale, local, message)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _in_utc(date: float | datetime.datetime) -> datetime.datetime:
    if not isinstance(date, datetime.datetime):
        return datetime.datetime.fromtimestamp(date, datetime.UTC)
    if date.tzinfo is None:
        return date.replace(tzinfo=datetime.UTC)
    return date.astimezone(datetime.UTC)


def _ago(locale: "Locale", seconds: int) -> str:
    unit: Unit
    if seconds < 50:
        unit, count = "second", seconds
    elif seconds < 50 * 60:
        unit, count = "minute", round(seconds / 60)
    else:
        unit, count = "hour", round(seconds / 3600)
    one, many = _AGO[unit]
    message = locale.translate(one, many, count)
    if message in (one, many) and locale._language is not None:
        return locale._language.ago(count, unit)
    return message % {f"{unit}s": count}


def _date_and_time(locale: "Locale", local: datetime.datetime, shorter: bool, message: str) -> str:
    if shorter:
        return _date(locale, local, message)
    with_time = f"{message} at %(time)s"
    translated = locale.translate(with_time)
    if translated == with_time and locale._language is not None:
        return locale._language.at(_date(locale, local, message), _time(locale, local))
    return translated % _values(locale, local)


def _date(locale: "Locale", local: datetime.datetime, message: str) -> str:
    translated = locale.translate(message)
    language = locale._language
    if translated != message or language is None:
        return translated % _values(locale, local)
    match message:
        case "yesterday":
            return language.yesterday()
        case "%(weekday)s":
            return locale._weekdays[local.weekday()]
        case "%(month_name)s %(day)s":
            return language.day(local)
        case "%(weekday)s, %(month_name)s %(day)s":
            return language.day(local, weekday=True)
    return language.date(local)


def _values(locale: "Locale", local: datetime.datetime) -> dict[str, str]:
    return {
        "month_name": locale._months[local.month - 1],
        "weekday": locale._weekdays[local.weekday()],
        "day": str(local.day),
        "year": str(local.year),
        "time": _time(locale, local),
    }


def _time(locale: "Locale", local: datetime.datetime) -> str:
    if locale._language is not None:
        return locale._language.time(local)
    half = local.hour % 12 or 12
    if locale.code in ("en", "en_US"):
        return f"{half}:{local.minute:02} {'am' if local.hour < 12 else 'pm'}"
    if locale.code == "zh_CN":
        return f"{'上午' if local.hour < 12 else '下午'}{half}:{local.minute:02}"
    return f"{local.hour}:{local.minute:02}"
