"""Values of variables as short text, whatever they are, and without secrets."""

import asyncio
import collections
import dataclasses
import re
from http.cookies import BaseCookie, Morsel
from itertools import islice
from typing import Any

from typhoon.httputil import HTTPHeaders

LENGTH = 600
"""Characters of one value that are shown."""

ITEMS = 20
DEPTH = 4
HIDDEN = "••••••"

_HIDDEN_NAMES = (
    r"passw|passphrase|pwd|secret|token|api_?-?key|private_?-?key|credential|cookie|"
    r"session_?-?(?:id|key)|sessid|authori[sz]ation|(?<![a-z])auth(?![a-z])|xsrf|csrf|signature"
)
_SECRET_NAME = re.compile(_HIDDEN_NAMES, re.IGNORECASE)
# Names have an end, so that each character is looked at a bounded number of times.
_SECRET_PAIR = re.compile(
    rf"""((?:{_HIDDEN_NAMES})[\w.-]{{0,40}}['"]?\s?[=:]\s?)"""
    r"""(?:b?'[^']*'?|b?"[^"]*"?|[^\s&,;)}\]'"]+)""",
    re.IGNORECASE,
)
_CREDENTIALS = re.compile(
    r"""(://[^\s/:@'"]{0,100}:)[^\s/@'"]{1,1000}(?=@)|((?:^|(?<=['"]))(?:Bearer|Basic)\s)[^\s'"]+""",
    re.IGNORECASE,
)
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def is_secret(name: object) -> bool:
    """Whether what is stored under this name should not be shown."""
    if isinstance(name, bytes):
        name = name[:200].decode("latin-1")
    return isinstance(name, str) and _SECRET_NAME.search(name[:200]) is not None


def without_secrets(text: str) -> str:
    """The text with the values in `password='…'`, `"token": "…"` and `?api_key=…` hidden.

    And what is in `https://user:…@host` and `Bearer …`.
    """
    return _CREDENTIALS.sub(rf"\1\2{HIDDEN}", _SECRET_PAIR.sub(rf"\1{HIDDEN}", text))


def visible(text: str) -> str:
    """The text with escapes for characters that cannot be seen, turn others round or are none."""

    def escape(found: re.Match[str]) -> str:
        code = ord(found[0])
        return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"

    return _SURROGATE.sub(escape, _UNSEEN.sub(escape, text))


def shortened(text: str, length: int) -> str:
    """The text, or its beginning and how much is missing."""
    return text if len(text) <= length else f"{text[:length]}… ({len(text) - length:,} more)"


def describe(value: object) -> str:
    """One line or few that show the value, at most `LENGTH` characters and a remark.

    Takes time for what is shown only, however large the value; `repr()` is asked of classes that
    are not known here, and may fail.
    """
    description = _Description(LENGTH)
    description.add_value(value, DEPTH)
    return visible(description.text)


class _Description:
    """Text that grows until there is no room."""

    def __init__(self, room: int) -> None:
        self._pieces: list[str] = []
        self._room = room

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def add(self, text: str) -> None:
        if self._room <= 0:
            return
        self._pieces.append(text if len(text) <= self._room else text[: self._room] + "…")
        self._room -= len(text)

    def add_value(self, value: object, depth: int) -> None:
        try:
            self._add_value(value, depth)
        except (Exception, SystemExit, GeneratorExit, asyncio.CancelledError) as error:
            self.add(f"<{type(value).__name__}: its repr() raised {type(error).__name__}>")

    def _add_value(self, value: Any, depth: int) -> None:
        kind = type(value)
        own: object = kind.__repr__
        if own in (str.__repr__, bytes.__repr__, bytearray.__repr__):
            self._add_string(value)
        elif isinstance(value, int) and value.bit_length() > 2000:
            self.add(f"<{kind.__name__} of {value.bit_length():,} bits>")
        elif isinstance(value, BaseCookie | Morsel):
            self.add(f"<{kind.__name__} {HIDDEN}>")
        elif isinstance(value, HTTPHeaders):
            pairs = list(value.get_all())
            self._add_pairs(pairs, len(pairs), "HTTPHeaders({", "})", depth)
        elif own in _MAPPINGS:
            name = "" if kind is dict else kind.__name__
            start, end = (f"{name}({{", "})") if name else ("{", "}")
            self._add_pairs(value.items(), len(value), start, end, depth)
        elif isinstance(value, tuple) and hasattr(kind, "_fields"):
            self._add_fields(kind, zip(kind._fields, value, strict=False), depth)
        elif own in _SEQUENCES:
            self._add_items(value, depth)
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = [field.name for field in dataclasses.fields(value) if field.repr]
            self._add_fields(kind, ((name, getattr(value, name)) for name in fields), depth)
        else:
            self.add(without_secrets(shortened(repr(value), 2 * LENGTH)))

    def _add_string(self, value: Any) -> None:
        part = value[: self._room + 1] if self._room > 0 else value[:0]
        self.add(without_secrets(repr(part)))
        if len(part) < len(value):
            unit = "characters" if isinstance(value, str) else "bytes"
            self._pieces.append(f" ({len(value):,} {unit})")
            self._room = 0

    def _add_items(self, value: Any, depth: int) -> None:
        start, end = _SEQUENCES[type(value).__repr__]
        if type(value) not in (list, tuple, set, frozenset, collections.deque):
            start = type(value).__name__ + "(" + start
            end += ")"
        if not depth:
            self.add(f"{start}…{end}")
            return
        self.add(start)
        is_secret_pair = len(value) == 2 and isinstance(value, tuple | list) and is_secret(value[0])
        for index, item in enumerate(islice(value, ITEMS)):
            if self._room <= 0:
                return
            if index:
                self.add(", ")
            if index and is_secret_pair:
                self.add(HIDDEN)
            else:
                self.add_value(item, depth - 1)
        if len(value) > ITEMS:
            self.add(f", … {len(value) - ITEMS:,} more")
        elif isinstance(value, tuple) and len(value) == 1:
            self.add(",")
        self.add(end)

    def _add_pairs(self, pairs: Any, count: int, start: str, end: str, depth: int) -> None:
        if not depth:
            self.add(f"{start}…{end}")
            return
        self.add(start)
        for index, (key, item) in enumerate(islice(pairs, ITEMS)):
            if self._room <= 0:
                return
            if index:
                self.add(", ")
            self.add_value(key, 0)
            self.add(": ")
            if is_secret(key):
                self.add(HIDDEN)
            else:
                self.add_value(item, depth - 1)
        if count > ITEMS:
            self.add(f", … {count - ITEMS:,} more")
        self.add(end)

    def _add_fields(self, kind: type, fields: Any, depth: int) -> None:
        self.add(f"{kind.__name__}(")
        for index, (name, item) in enumerate(fields):
            if self._room <= 0:
                return
            self.add(f"{', ' if index else ''}{name}=")
            if is_secret(name):
                self.add(HIDDEN)
            elif depth:
                self.add_value(item, depth - 1)
            else:
                self.add("…")
        self.add(")")


_MAPPINGS: tuple[object, ...] = (
    dict.__repr__,
    collections.OrderedDict.__repr__,
    collections.defaultdict.__repr__,
)
_SEQUENCES: dict[object, tuple[str, str]] = {
    list.__repr__: ("[", "]"),
    tuple.__repr__: ("(", ")"),
    set.__repr__: ("{", "}"),
    frozenset.__repr__: ("frozenset({", "})"),
    collections.deque.__repr__: ("deque([", "])"),
}
