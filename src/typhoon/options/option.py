"""One option: its type, its value, and how a string becomes a value."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final


class Error(Exception):
    """An option is unknown, defined twice, or given a value that it cannot have."""


class Option:
    """A defined option and its value.

    Args:
        name: The name as defined, dashes or underscores.
        type: What a value (with `multiple`, each of a list) is an instance of.
        group: The heading in ``--help``.
        place: The file that defines it.
    """

    def __init__(
        self,
        name: str,
        default: Any,
        type: Callable[[str], Any],
        help: str | None,
        metavar: str | None,
        multiple: bool,
        group: str,
        place: str,
        callback: Callable[[Any], None] | None,
    ) -> None:
        self.name = name
        self.default = [] if multiple and default is None else default
        self.type = type
        self.help = help
        self.metavar = metavar
        self.multiple = multiple
        self.group = group
        self.place = place
        self.callback = callback
        self._value: Any = None
        self._is_set = False

    def value(self) -> Any:
        """What it was set to, else its default."""
        return self._value if self._is_set else self.default

    def parse(self, text: str) -> None:
        """Set the value that a string stands for, or raise `Error`."""
        try:
            if not self.multiple:
                value = self._parse_one(text)
            elif self.type is int:
                value = [number for part in _parts(text) for number in _parse_range(part)]
            else:
                value = [self._parse_one(part) for part in _parts(text)]
        except Error:
            raise
        except Exception as error:
            reason = f" ({error})" if str(error) else ""
            raise Error(
                f"option {self.name!r}: {text!r} is no {self._expected()}{reason}"
            ) from error
        self._assign(value)

    def _parse_one(self, text: str) -> Any:
        return _PARSERS.get(self.type, self.type)(text)

    def set(self, value: Any) -> None:
        """Set a value of the right type, or None; raise `Error` if it is of another type."""
        if self.multiple:
            if not isinstance(value, list):
                raise Error(
                    f"option {self.name!r} takes a list of {self._type_name()}, not {value!r}"
                )
            value = [self._checked(item) for item in value]
        else:
            value = self._checked(value)
        self._assign(value)

    def _checked(self, value: Any) -> Any:
        if self.type is float and isinstance(value, int):
            return float(value)
        # A function can stand for a type as well: then anything goes.
        if value is None or not isinstance(self.type, type) or isinstance(value, self.type):
            return value
        raise Error(
            f"option {self.name!r} takes {self._type_name()}, not {value!r}, "
            f"which is {type(value).__name__}"
        )

    def set_or_parse(self, value: Any) -> None:
        """Set a value; where the type is another, a string is parsed."""
        if isinstance(value, str) and (self.multiple or self.type is not str):
            self.parse(value)
        else:
            self.set(value)

    def _assign(self, value: Any) -> None:
        self._value = value
        self._is_set = True
        if self.callback is not None:
            self.callback(value)

    def _type_name(self) -> str:
        return getattr(self.type, "__name__", repr(self.type))

    def _expected(self) -> str:
        known = _EXPECTED.get(self.type, self._type_name())
        return f"comma-separated list of {known}" if self.multiple else known

    def flag(self) -> str:
        """How it is written on the command line, such as ``--port=INT``."""
        flag = "--" + normalized(self.name)
        if self.metavar:
            return f"{flag}={self.metavar}"
        if self.type is bool:
            return flag
        return f"{flag}={self._type_name().upper()}"


def normalized(name: str) -> str:
    """The name that an option is known by, whichever way it is spelt."""
    return name.replace("_", "-")


def _parts(text: str) -> list[str]:
    return text.split(",") if text else []


_MAX_RANGE: Final = 1_000_000
"""The most numbers that a range may have: a typing error should not fill the memory."""


def _parse_range(text: str) -> range:
    """``5`` or ``5:7``, both ends included."""
    first, colon, last = text.partition(":")
    low = int(first)
    high = int(last) if colon else low
    if high < low:
        raise ValueError(f"the range {text} ends before it begins")
    if high - low >= _MAX_RANGE:
        raise ValueError(f"the range {text} has more than {_MAX_RANGE} numbers")
    return range(low, high + 1)


_BOOLEANS: Final = {
    **dict.fromkeys(("true", "t", "yes", "y", "on", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "off", "0"), False),
}


def _parse_bool(text: str) -> bool:
    try:
        return _BOOLEANS[text.lower()]
    except KeyError:
        raise ValueError from None


def _parse_datetime(text: str) -> datetime:
    """ISO 8601, a time of day alone, or what `time.ctime` prints."""
    text = text.strip()
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    for pattern in ("%H:%M", "%H:%M:%S", "%a %b %d %H:%M:%S %Y"):
        try:
            return datetime.strptime(text, pattern)
        except ValueError:
            pass
    raise ValueError


_UNITS: Final[dict[str, timedelta]] = {
    **dict.fromkeys(("us", "microsecond", "microseconds"), timedelta(microseconds=1)),
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), timedelta(milliseconds=1)),
    **dict.fromkeys(("", "s", "sec", "secs", "second", "seconds"), timedelta(seconds=1)),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), timedelta(minutes=1)),
    **dict.fromkeys(("h", "hour", "hours"), timedelta(hours=1)),
    **dict.fromkeys(("d", "day", "days"), timedelta(days=1)),
    **dict.fromkeys(("w", "week", "weeks"), timedelta(weeks=1)),
}

_AMOUNT: Final = re.compile(r"\s*([-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)\s*([a-zA-Z]*)\s*")


def _parse_timedelta(text: str) -> timedelta:
    """Amounts with units, such as ``1h 30m``; seconds where there is no unit."""
    total = timedelta()
    position = 0
    while position < len(text) or not text:
        match = _AMOUNT.match(text, position)
        unit = match and _UNITS.get(match[2].lower())
        if match is None or unit is None:
            raise ValueError
        total += float(match[1]) * unit
        position = match.end()
    return total


_PARSERS: Final[dict[Any, Callable[[str], Any]]] = {
    bool: _parse_bool,
    datetime: _parse_datetime,
    timedelta: _parse_timedelta,
}

_EXPECTED: Final[dict[Any, str]] = {
    bool: "boolean: write true or false",
    datetime: 'date and time: write "2013-04-28 05:16" or another form of ISO 8601',
    timedelta: 'length of time: write "45s" or "1h 30m"',
    int: "integer",
    float: "number",
}
