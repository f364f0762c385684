"""What UI modules put into the head and at the end of a page."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from typhoon.escape import utf8

Text = str | bytes | None
"""One piece of code or HTML, or none."""
Files = str | Iterable[str] | None
"""One URL, or several, or none. Relative ones are below the setting `static_path`."""


@dataclass(slots=True)
class PageResources:
    """What goes into a page once, each in the order of first use: dicts as ordered sets."""

    css_files: dict[str, None] = field(default_factory=dict)
    embedded_css: dict[bytes, None] = field(default_factory=dict)
    html_head: dict[bytes, None] = field(default_factory=dict)
    javascript_files: dict[str, None] = field(default_factory=dict)
    embedded_javascript: dict[bytes, None] = field(default_factory=dict)
    html_body: dict[bytes, None] = field(default_factory=dict)

    def add(
        self,
        *,
        embedded_javascript: Text = None,
        javascript_files: Files = None,
        embedded_css: Text = None,
        css_files: Files = None,
        html_head: Text = None,
        html_body: Text = None,
    ) -> None:
        """Add what is not yet there."""
        for given, known in (
            (embedded_javascript, self.embedded_javascript),
            (embedded_css, self.embedded_css),
            (html_head, self.html_head),
            (html_body, self.html_body),
        ):
            if given:
                known[utf8(given)] = None
        for files, known_files in (
            (javascript_files, self.javascript_files),
            (css_files, self.css_files),
        ):
            if files:
                several = (files,) if isinstance(files, str) else files
                known_files.update(dict.fromkeys(several))


def lines(parts: Iterable[bytes]) -> bytes | None:
    """The parts, each on lines of its own; None if there are none."""
    return b"\n".join(parts) or None


# A tag in a comment, in a script or in text like a title's is none (HTML, §13.2.5). What is
# never closed goes on to the end of the page, so each byte is looked at once.
_TAGS = re.compile(
    rb"""<(?: !--(?: -?> | .*?(?: --!?> | \Z ) )
            | (script|style|title|textarea)(?=[\s/>]) .*? (?: </\1(?=[\s/>]) | \Z )
            | (?P<head> /head(?=[\s/>]) | body(?=[\s/>]) )
            | (?P<body> /body(?=[\s/>]) )
        )""",
    re.DOTALL | re.IGNORECASE | re.VERBOSE,
)

_START = re.compile(
    rb"(?:\s*(?:<!doctype\b[^>]*>|<html\b[^>]*>|<head\b[^>]*>|<!--.*?-->))*",
    re.DOTALL | re.IGNORECASE,
)
"""What comes before the first element of the head."""

_END = re.compile(rb"</html\s*>\s*\Z", re.IGNORECASE)

# Behind a `</body>`, these tell that it may have stood in a comment, in a script or in text.
_ENDS_OF_TEXT = re.compile(rb"-->|</(?:script|style|title|textarea)", re.IGNORECASE)


def insert(page: bytes, head: bytes, body: bytes) -> bytes:
    """The page with `head` at the end of its head, and `body` at the end of its body.

    Pages need not have the tags `</head>` and `</body>` (HTML, §13.1.2.4).
    """
    at_head = _end_of_head(page) if head else 0
    at_body = max(at_head, _end_of_body(page) if body else len(page))
    return b"".join((page[:at_head], head, page[at_head:at_body], body, page[at_body:]))


def _end_of_head(page: bytes) -> int:
    for tag in _TAGS.finditer(page):
        if tag["head"]:
            return tag.start()
    start = _START.match(page)
    return start.end() if start else 0


def _end_of_body(page: bytes) -> int:
    last = page.rfind(b"</body>")
    if last >= 0 and not _ENDS_OF_TEXT.search(page, last):
        return last
    last = -1
    for tag in _TAGS.finditer(page):
        if tag["body"]:
            last = tag.start()
    if last >= 0:
        return last
    end = _END.search(page)
    return end.start() if end else len(page)
