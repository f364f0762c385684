"""The page that every template engine renders: its data, and a renderer for each engine."""

import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
ROWS = 50


@dataclass(frozen=True, slots=True)
class Link:
    path: str
    title: str


@dataclass(frozen=True, slots=True)
class Row:
    id: int
    name: str
    email: str
    comment: str


def _row(number: int) -> Row:
    """Every fifth row has something to escape in its name and its comment."""
    special = number % 5 == 0
    return Row(
        number,
        f"O'Neill & Söhne {number}" if special else f"Customer number {number}",
        f"customer{number}@example.org",
        f'"<b>Bold</b>" & more, for {number}' if special else "Paid by card; delivered on Monday.",
    )


DATA: dict[str, Any] = {
    "title": "Customers & orders",
    "path": "/customers",
    "user": "Ada Lovelace <ada@example.org>",
    "links": [
        Link(f"/{name.lower()}", name) for name in ("Home", "Customers", "Orders", "Stock", "Help")
    ],
    "rows": [_row(number) for number in range(1, ROWS + 1)],
}
"""What the templates are given."""


def expected() -> str:
    """The page as it has to be, but for what `normal` takes out."""
    esc = html.escape
    active = ' class="active"'
    links = "".join(
        f"<li{active if link.path == DATA['path'] else ''}>"
        f'<a href="{esc(link.path)}">{esc(link.title)}</a></li>'
        for link in DATA["links"]
    )
    rows = "".join(
        f'<tr id="row-{row.id}"><td>{esc(row.name)}</td>'
        f'<td><a href="mailto:{esc(row.email)}">write</a></td><td>{esc(row.comment)}</td></tr>'
        for row in DATA["rows"]
    )
    heads = "".join(f"<th>{head}</th>" for head in ("Number", "Name", "Address", "Comment"))
    title, user = esc(DATA["title"]), esc(DATA["user"])
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<link rel="stylesheet" href="/static/style.css"></head>'
        f"<body><nav><ul>{links}</ul></nav><main><h1>{title}</h1>"
        f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></main>"
        f'<footer><p>Signed in as {user}. <a href="/imprint">Imprint</a></p></footer></body></html>'
    )


def normal(page: str | bytes) -> str:
    """A page without what engines may differ in: white space and the forms of references."""
    text = page if isinstance(page, str) else page.decode()
    text = re.sub(r"\s*(<[^>]*>)\s*", r"\1", text.strip())
    return re.sub(r"&[^;\s]+;", lambda found: html.escape(html.unescape(found[0])), text)


def renderer(engine: str) -> Callable[[], str | bytes]:
    """A function that renders the page with an engine, as its documentation recommends."""
    return _RENDERERS[engine]()


TORNADO = str(FOLDER / "tornado")
"""The templates in Tornado's language, which is Typhoon's too."""


def _typhoon() -> Callable[[], bytes]:
    from typhoon.template import Loader

    loader = Loader(TORNADO)
    return lambda: loader.load("page.html").generate(**DATA)


def _tornado() -> Callable[[], bytes]:
    from tornado.template import Loader

    loader = Loader(TORNADO)
    return lambda: loader.load("page.html").generate(**DATA)


def _jinja2() -> Callable[[], str]:
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(
        loader=FileSystemLoader(FOLDER / "jinja"), autoescape=True, auto_reload=False
    )
    return lambda: environment.get_template("page.html").render(**DATA)


def _mako() -> Callable[[], str]:
    from mako.lookup import TemplateLookup

    lookup = TemplateLookup([str(FOLDER / "mako")], default_filters=["h"], filesystem_checks=False)
    return lambda: str(lookup.get_template("page.html").render(**DATA))


def _minijinja() -> Callable[[], str]:
    from minijinja import Environment

    environment = Environment(loader=lambda name: (FOLDER / "jinja" / name).read_text("utf-8"))
    return lambda: environment.render_template("page.html", **DATA)


_RENDERERS: dict[str, Callable[[], Callable[[], str | bytes]]] = {
    "typhoon": _typhoon,
    "tornado": _tornado,
    "jinja2": _jinja2,
    "mako": _mako,
    "minijinja": _minijinja,
}
