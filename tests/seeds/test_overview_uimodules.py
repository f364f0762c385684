"""The examples of «Overview»: UI modules."""

import re
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from seed_examples import renamed
from support import Server
from typhoon import web

ENTRY = """
class Entry(tornado.web.UIModule):
    def render(self, entry, show_comments=False):
        return self.render_string(
            "module-entry.html", entry=entry, show_comments=show_comments)
"""

APPLICATION = """
class HomeHandler(tornado.web.RequestHandler):
    def get(self):
        entries = self.db.query("SELECT * FROM entries ORDER BY date DESC")
        self.render("home.html", entries=entries)

class EntryHandler(tornado.web.RequestHandler):
    def get(self, entry_id):
        entry = self.db.get("SELECT * FROM entries WHERE id = %s", entry_id)
        if not entry: raise tornado.web.HTTPError(404)
        self.render("entry.html", entry=entry)

settings = {
    "ui_modules": uimodules,
}
application = tornado.web.Application([
    (r"/", HomeHandler),
    (r"/entry/([0-9]+)", EntryHandler),
], **settings)
"""

HOME = """\
{% for entry in entries %}
  {% module Entry(entry) %}
{% end %}
"""

SINGLE = """\
{% module Entry(entry, show_comments=True) %}
"""

MODULE = """\
<div class="entry">{{ entry["title"] }}\
{% if show_comments %}: {{ entry["comments"] }}{% end %}</div>
"""

# The example's module-entry.html makes do without the entry.
MODULE_WITHOUT_ENTRY = """\
<div class="entry">{% if show_comments %}comments{% else %}short{% end %}</div>
"""

EMBEDDED_CSS = """
class Entry(tornado.web.UIModule):
    def embedded_css(self):
        return ".entry { margin-bottom: 1em; }"

    def render(self, entry, show_comments=False):
        return self.render_string(
            "module-entry.html", show_comments=show_comments)
"""

SET_RESOURCES = """\
{{ set_resources(embedded_css=".entry { margin-bottom: 1em; }") }}
<!-- more template html... -->
"""

TEMPLATE_MODULE = """\
{% module Template("module-entry.html", show_comments=True) %}
"""

ENTRIES = [
    {"id": "2", "title": "Second <entry>", "comments": "none yet"},
    {"id": "1", "title": "First", "comments": "hi"},
]


class Database:
    """Answers the example's two queries."""

    def query(self, sql: str) -> list[dict[str, str]]:
        assert sql == "SELECT * FROM entries ORDER BY date DESC"
        return ENTRIES

    def get(self, sql: str, entry_id: str) -> dict[str, str] | None:
        assert sql == "SELECT * FROM entries WHERE id = %s"
        return next((entry for entry in ENTRIES if entry["id"] == entry_id), None)


@pytest.fixture
def blog(
    example: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Server]:
    """`blog(uimodules, file=text…)`: the application, its templates beside its Python files."""

    def start(source: str, templates: dict[str, str]) -> Server:
        monkeypatch.setattr(web.RequestHandler, "db", Database(), raising=False)
        file = tmp_path / "uimodules.py"
        uimodules = types.ModuleType("uimodules")
        exec("import typhoon.web", vars(uimodules))
        exec(compile(renamed(source), str(file), "exec"), vars(uimodules))
        for name, text in templates.items():
            (tmp_path / name).write_text(text)
        return example(APPLICATION, uimodules=uimodules)

    return start


def test_an_entry_on_two_pages(blog: Callable[..., Server]) -> None:
    templates = {"home.html": HOME, "entry.html": SINGLE, "module-entry.html": MODULE}
    server = blog(ENTRY, templates)
    entries = re.findall("<div.*</div>", server.get("/").text)
    assert entries == [
        '<div class="entry">Second &lt;entry&gt;</div>',
        '<div class="entry">First</div>',
    ]
    assert server.get("/entry/1").text.strip() == '<div class="entry">First: hi</div>'
    assert server.get("/entry/3").status == 404


def page(body: str) -> str:
    return f"<html><head><title>Blog</title></head><body>{body}</body></html>"


STYLE = '<style type="text/css">\n.entry { margin-bottom: 1em; }\n</style>\n</head>'


def test_embedded_css_is_in_the_head_once(blog: Callable[..., Server]) -> None:
    templates = {"home.html": page(HOME), "module-entry.html": MODULE_WITHOUT_ENTRY}
    text = blog(EMBEDDED_CSS, templates).get("/").text
    assert text.count("<style") == 1
    assert STYLE in text
    assert text.count('<div class="entry">short</div>') == 2


@pytest.mark.parametrize("uses", [1, 2])
def test_a_template_as_a_module(blog: Callable[..., Server], uses: int) -> None:
    templates = {"home.html": page(TEMPLATE_MODULE * uses), "module-entry.html": SET_RESOURCES}
    text = blog("", templates).get("/").text
    assert text.count("<style") == 1
    assert STYLE in text
    assert text.count("<!-- more template html... -->") == uses
    assert "set_resources" not in text


def test_a_template_module_sees_the_global_names_and_its_own(blog: Callable[..., Server]) -> None:
    shown = "{{ handler.request.path }} {{ show_comments }} {{ globals().get('entries') }}"
    templates = {"home.html": TEMPLATE_MODULE, "module-entry.html": shown}
    assert blog("", templates).get("/").text.strip() == "/ True None"
    assert blog("", {"home.html": "{{ set_resources() }}"}).get("/").status == 500


OTHER_RESOURCES = """
class Entry(tornado.web.UIModule):
    def embedded_javascript(self):
        return "entry()"

    def javascript_files(self):
        return ["/entry.js"]

    def css_files(self):
        return "/entry.css"

    def render(self, entry):
        return entry["title"] + ";"
"""


def test_css_in_the_head_and_scripts_before_the_end_of_the_body(
    blog: Callable[..., Server],
) -> None:
    text = blog(OTHER_RESOURCES, {"home.html": page(HOME)}).get("/").text
    head, _, body = text.partition("</head>")
    assert head.endswith('<link href="/entry.css" type="text/css" rel="stylesheet"/>\n')
    entries, _, scripts = body.partition("<script")
    assert entries.split() == ["<body>", "Second", "<entry>;", "First;"]
    expected = (
        ' src="/entry.js" type="text/javascript"></script>\n<script type="text/javascript">\n'
        "//<![CDATA[\nentry()\n//]]>\n</script>\n</body></html>"
    )
    assert scripts == expected
