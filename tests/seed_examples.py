"""Applications around the examples of the seed documents, which often give only a handler."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from typhoon.web import Application

URLENCODED = {"Content-Type": "application/x-www-form-urlencoded"}

MakeApplication = Callable[[dict[str, Any]], Application]


def application_of(pattern: str, name: str, **settings: Any) -> MakeApplication:
    """Makes the application that an example leaves out: one handler of it at a pattern."""
    return application_with({pattern: name}, **settings)


def application_with(rules: Mapping[str, str], **settings: Any) -> MakeApplication:
    """The same with several handlers: their names, by their patterns."""
    return lambda names: Application(
        [(pattern, names[name]) for pattern, name in rules.items()], **settings
    )


def renamed(source: str) -> str:
    """The example with `typhoon` where it imports or names the package `tornado`."""
    return re.sub(r"\btornado(?=\.[a-z]|\s+import\b)", "typhoon", source)
