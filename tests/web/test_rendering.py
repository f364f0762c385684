"""Pages from templates: where the templates are, and what they see."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support import Server
from typhoon.template import DictLoader, Loader
from typhoon.web import Application, RequestHandler

Serve = Callable[..., Server]


class PageHandler(RequestHandler):
    def get(self) -> None:
        self.render("page.html", name="<Ben>")


def application(templates: dict[str, str], handler: type[RequestHandler] = PageHandler, **s: Any):
    return Application([("/", handler, {}, "home")], template_loader=DictLoader(templates), **s)


def test_a_page(serve: Serve) -> None:
    answer = serve(application({"page.html": "<p>{{ name }}</p>"})).get("/")
    assert (answer.status, answer.text) == (200, "<p>&lt;Ben&gt;</p>")
    assert answer.header("Content-Type") == "text/html; charset=UTF-8"
    assert answer.header("Etag") is not None


def test_templates_below_the_template_path(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "base.html").write_text("[{% block body %}{% end %}]")
    (tmp_path / "page.html").write_text(
        "{% extends base.html %}{% block body %}{% include parts/é.html %}{% end %}"
    )
    (tmp_path / "parts" / "é.html").write_text("é {{ name }}", "utf-8")
    server = serve(Application([("/", PageHandler)], template_path=str(tmp_path)))
    assert server.get("/").text == "[é &lt;Ben&gt;]"


def test_a_handler_may_have_its_own_path(serve: Serve, tmp_path: Path) -> None:
    class Themed(PageHandler):
        def get_template_path(self) -> str:
            return str(tmp_path / self.get_argument("theme"))

    for theme in ("light", "dark"):
        (tmp_path / theme).mkdir()
        (tmp_path / theme / "page.html").write_text(f"{theme} {{{{ name }}}}")
    server = serve(Application([("/", Themed)]))
    assert server.get("/?theme=light").text == "light &lt;Ben&gt;"
    assert server.get("/?theme=dark").text == "dark &lt;Ben&gt;"


HANDLERS = """
import typhoon.web

class Main(typhoon.web.RequestHandler):
    def get(self):
        self.render("page.html", name="Ben")

class Entry(typhoon.web.UIModule):
    def render(self):
        return self.render_string("module.html")
"""


def test_templates_are_beside_the_file_that_renders_them(serve: Serve, tmp_path: Path) -> None:
    namespaces = []
    for folder in ("handlers", "modules"):
        (tmp_path / folder).mkdir()
        file = tmp_path / folder / "code.py"
        namespaces.append({"__name__": folder, "__file__": str(file)})
        exec(compile(HANDLERS, str(file), "exec"), namespaces[-1])
    handlers, modules = namespaces
    (tmp_path / "handlers" / "page.html").write_text(
        '{{ name }} {% module Entry() %} {% module Template("part.html") %}'
    )
    (tmp_path / "handlers" / "part.html").write_text("of the handlers")
    (tmp_path / "modules" / "module.html").write_text(
        'of the modules {% module Template("part.html") %}'
    )
    (tmp_path / "modules" / "part.html").write_text("too")
    settings = {"ui_modules": {"Entry": modules["Entry"]}}
    server = serve(Application([("/", handlers["Main"])], **settings))
    assert server.get("/").text == "Ben of the modules too of the handlers"


NAMES = """
{{ escape("<") }} {{ xhtml_escape("<") }} {{ url_escape("a b") }} {% raw json_encode([1]) %}
{{ squeeze(" a  b ") }} {% raw linkify("http://a.example") %} {{ datetime.date(2026, 1, 2) }}
{{ handler.request is request }} {{ request.path }} {{ current_user }}
{{ locale.code }} {{ _("Sign in") }} {{ pgettext("law", "right") }}
{{ reverse_url("home") }} {{ static_url("a.txt") }} {% raw xsrf_form_html() %}
{{ twice("x") }}
"""


class Known(PageHandler):
    def get_current_user(self) -> str:
        return "bret"


def test_the_names_that_every_template_sees(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    settings = {
        "static_path": str(tmp_path),
        "ui_methods": {"twice": lambda handler, text: text * 2},
    }
    lines = serve(application({"page.html": NAMES}, Known, **settings)).get("/").text.split("\n")
    assert lines[1:4] == [
        "&lt; &lt; a+b [1]".replace("&lt;", "&amp;lt;"),
        'a b <a href="http://a.example">http://a.example</a> 2026-01-02',
        "True / bret",
    ]
    assert lines[4] == "en_US Sign in right"
    assert lines[5].startswith("/ /static/a.txt?v=")
    assert '<input type="hidden" name="_xsrf" value="' in lines[5]
    assert lines[6] == "xx"


def test_all_names_are_in_the_namespace(serve: Serve) -> None:
    class Listing(RequestHandler):
        def get(self) -> None:
            self.write(" ".join(sorted(self.get_template_namespace())))

    settings = {"ui_methods": {"twice": lambda handler, text: text * 2}}
    names = set(serve(application({}, Listing, **settings)).get("/").text.split())
    assert names >= {
        *("handler", "request", "current_user", "locale", "_", "pgettext", "static_url"),
        *("xsrf_form_html", "reverse_url", "twice"),
    }


@pytest.mark.parametrize("template", ["{{ eval('current_user') }}", "{{ globals()['request'] }}"])
def test_names_that_the_template_looks_up_itself(serve: Serve, template: str) -> None:
    assert serve(application({"page.html": template}, Known)).get("/").status == 200


def test_a_keyword_comes_before_other_names(serve: Serve) -> None:
    class Own(RequestHandler):
        def get(self) -> None:
            self.render("page.html", handler=1, request=2, twice=3, escape=4, locale=5)

    template = "{{ handler }}{{ request }}{{ twice }}{{ escape }}{{ locale }}"
    settings = {"ui_methods": {"twice": lambda handler, text: text * 2}}
    assert serve(application({"page.html": template}, Own, **settings)).get("/").text == "12345"


class Costly(RequestHandler):
    asked: list[str] = []

    def get_current_user(self) -> str:
        self.asked.append("user")
        return "bret"

    def get_user_locale(self) -> None:
        self.asked.append("locale")

    def get(self) -> None:
        self.asked.clear()
        page = self.render_string(self.get_argument("page"))
        self.write(page + b" " + " ".join(self.asked).encode())


@pytest.mark.parametrize(
    ("template", "asked"),
    [
        ("{{ request.path }}", "/ "),
        ("{{ current_user }}", "bret user"),
        ("{% for x in [1] %}{{ [current_user for y in [1]] }}{% end %}", "['bret'] user"),
        ('{{ _("x") }}', "x locale"),
        ("{{ locale.code }}", "en_US locale"),
        ("{% if request is None %}{{ current_user }}{% end %}", " user"),
        ("{% try %}{{ request.locale }}{% except AttributeError %}none{% end %}", "none "),
        ("{% block a %}{{ current_user }}{% end %}", "bret user"),
        ("{% include part.html %}", "bret user"),
        ("{% apply (lambda text: current_user) %}x{% end %}", "bret user"),
    ],
)
def test_only_what_a_template_uses_is_evaluated(serve: Serve, template: str, asked: str) -> None:
    templates = {"a.html": "{% autoescape None %}" + template, "part.html": "{{ current_user }}"}
    text = serve(application(templates, Costly)).get("/?page=a.html").text
    assert text == asked


def test_a_namespace_of_ones_own(serve: Serve) -> None:
    class Own(PageHandler):
        def get_template_namespace(self) -> dict[str, Any]:
            namespace = super().get_template_namespace()
            namespace["site"] = "FriendFeed"
            namespace["name"] = "hidden by the keyword"
            return namespace

    template = "{{ site }} {{ name }} {{ request.path }}"
    answer = serve(application({"page.html": template}, Own)).get("/")
    assert answer.text == "FriendFeed &lt;Ben&gt; /"


def test_render_returns_what_finish_returns(serve: Serve) -> None:
    class Awaiting(RequestHandler):
        async def get(self) -> None:
            sent = self.render("page.html")
            assert isinstance(sent, asyncio.Future)
            await sent

    assert serve(application({"page.html": "page"}, Awaiting)).get("/").text == "page"


def test_nothing_is_rendered_after_the_end(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    class Twice(RequestHandler):
        def get(self) -> None:
            self.finish("first")
            with pytest.raises(RuntimeError, match=r"Cannot render\(\) after finish\(\)"):
                self.render("page.html")

    server = serve(application({}, Twice))
    assert server.get("/").text == "first"
    server.call()
    assert not caplog.records


def test_an_error_in_a_template(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    server = serve(application({"page.html": "{{ absent }}"}))
    assert server.get("/").status == 500
    assert "NameError: name 'absent' is not defined" in caplog.text


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ({}, "&lt;Ben&gt; &lt;Ben&gt;"),
        ({"autoescape": None}, "<Ben> &lt;Ben&gt;"),
        ({"autoescape": "url_escape"}, "%3CBen%3E %26lt%3BBen%26gt%3B"),
        ({"autoescape": "shout"}, "<BEN> &LT;BEN&GT;"),
    ],
)
def test_autoescape(serve: Serve, tmp_path: Path, setting: dict[str, Any], expected: str) -> None:
    (tmp_path / "page.html").write_text(
        "{{ name }} {{ xhtml_escape(name) }}"
        if setting
        else "{{ name }} {% raw xhtml_escape(name) %}"
    )
    settings = {**setting, "ui_methods": {"shout": lambda handler, text: text.upper()}}
    rules = [("/", PageHandler)]
    server = serve(Application(rules, template_path=str(tmp_path), **settings))
    assert server.get("/").text == expected


@pytest.mark.parametrize(
    ("setting", "expected"),
    [({}, "a b\nc"), ({"template_whitespace": "oneline"}, "a b c")],
)
def test_whitespace(serve: Serve, tmp_path: Path, setting: dict[str, Any], expected: str) -> None:
    (tmp_path / "page.html").write_text("a   b\n\n c")
    rules = [("/", PageHandler)]
    assert (
        serve(Application(rules, template_path=str(tmp_path), **setting)).get("/").text == expected
    )


def test_applications_do_not_share_their_loaders(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("{{ name }}")
    rules = [("/", PageHandler)]
    path = str(tmp_path)
    escaped = serve(Application(rules, template_path=path))
    raw = serve(Application(rules, template_path=path, autoescape=None))
    given = serve(
        Application(rules, template_path=path, template_loader=DictLoader({"page.html": "x"}))
    )
    assert [s.get("/").text for s in (escaped, raw, given)] == ["&lt;Ben&gt;", "<Ben>", "x"]


def test_a_loader_is_made_once(serve: Serve) -> None:
    made: list[str] = []

    class Own(PageHandler):
        def create_template_loader(self, template_path: str) -> Any:
            made.append(template_path)
            return DictLoader({"page.html": "of " + template_path})

    server = serve(Application([("/", Own)], template_path="a"))
    assert [server.get("/").text for _ in range(3)] == ["of a"] * 3
    assert made == ["a"]


def test_the_number_of_loaders_is_bounded(serve: Serve) -> None:
    class Own(RequestHandler):
        def get_template_path(self) -> str:
            return self.get_argument("path")

        def create_template_loader(self, template_path: str) -> Any:
            return DictLoader({"page.html": template_path})

        def get(self) -> None:
            self.render("page.html")

    server = serve(Application([("/", Own)]))
    with server.connect() as client:
        for number in range(300):
            assert client.get(f"/?path=p{number}").text == f"p{number}"
    assert len(RequestHandler._template_loaders) <= 256


def test_threads_make_one_loader(serve: Serve) -> None:
    made: list[str] = []
    barrier = threading.Barrier(4)

    class Own(RequestHandler):
        def create_template_loader(self, template_path: str) -> Any:
            made.append(template_path)
            return DictLoader({"page.html": "page"})

        def in_a_thread(self) -> bytes:
            barrier.wait(10)
            return self.render_string("page.html")

        async def get(self) -> None:
            parts = [asyncio.to_thread(self.in_a_thread) for _ in range(4)]
            self.write(b"".join(await asyncio.gather(*parts)))

    server = serve(Application([("/", Own)], template_path="x"))
    assert server.get("/").text == "page" * 4
    assert made == ["x"]


def test_another_template_language(serve: Serve) -> None:
    """What loaders have to have: `load`, and `generate` of what that gives."""

    class Formatted:
        def __init__(self, text: str) -> None:
            self.text = text

        def generate(self, **names: Any) -> bytes:
            return self.text.format(**names).encode()

    class Formats:
        def load(self, name: str) -> Formatted:
            return Formatted("{name} {request.path} {handler.request.method} {static_url}")

        def reset(self) -> None:
            pass

    server = serve(Application([("/", PageHandler)], template_loader=Formats(), debug=False))
    assert server.get("/").text.startswith("<Ben> / GET <bound method")


@pytest.mark.parametrize("setting", [{"compiled_template_cache": False}, {}])
def test_the_cache_of_templates(serve: Serve, tmp_path: Path, setting: dict[str, Any]) -> None:
    (tmp_path / "page.html").write_text('{% include a.html %}{% module Template("b.html") %}')
    rules = [("/", PageHandler)]
    server = serve(Application(rules, template_path=str(tmp_path), **setting))
    for text in ("one", "another"):
        (tmp_path / "a.html").write_text(text)
        (tmp_path / "b.html").write_text(text)
        assert server.get("/").text == ("one" if setting == {} else text) * 2


def test_without_the_cache_a_page_compiles_each_template_once(serve: Serve) -> None:
    loaded: list[str] = []

    class Counting(DictLoader):
        def _create_template(self, name: str) -> Any:
            loaded.append(name)
            return super()._create_template(name)

    templates = {
        "page.html": '{% for x in range(5) %}{% module Template("part.html") %}{% end %}',
        "part.html": "x",
    }
    loader = Counting(templates)
    settings = {"template_loader": loader, "compiled_template_cache": False}
    server = serve(Application([("/", PageHandler)], **settings))
    assert server.get("/").text == "xxxxx"
    assert loaded == ["page.html", "part.html"]


def test_loaders_of_the_settings(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("{{ name }}")
    loader = Loader(str(tmp_path), autoescape=None)
    assert serve(Application([("/", PageHandler)], template_loader=loader)).get("/").text == "<Ben>"
