"""The debug page: what it shows, what it hides, and that nothing breaks out of it or it down."""

from __future__ import annotations

import asyncio
import base64
import collections
import hashlib
import http.cookies
import json
import logging
import re
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import pytest

from typhoon.httputil import HTTPHeaders
from typhoon.template import DictLoader
from typhoon.web import Application, HTTPError, RequestHandler
from typhoon.web.errorpage.values import HIDDEN, LENGTH, describe, without_secrets

HTML = {"Accept": "text/html"}
HOSTILE = "</code></pre><script>alert(1)</script><img src=x onerror=alert(2)>\"'&"


class Page(HTMLParser):
    """The page as a browser takes it apart."""

    VOID = ("meta",)

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.marked: list[str] = []
        self.current: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)
        if dict(attrs).get("class") == "line current":
            self.current.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.words.append(data)
        if "mark" in self.open:
            self.marked.append(data)
        if "pre" in self.open and self.current and self.open[-1] != "code":
            self.current[-1] += data

    @property
    def text(self) -> str:
        return "".join(self.words)


class Handler(RequestHandler):
    def initialize(self, action: Any) -> None:
        self.action = action

    def get(self) -> None:
        self.action()

    post = get

    def log_exception(self, *exc_info: Any) -> None:
        """Nothing: what the tests raise is large, or no text at all."""


@pytest.fixture
def show(serve):
    """`show(function)` is the page about the exception that the function raises."""

    def page(action: Any, target: str = "/", headers: dict[str, str] | None = None) -> Page:
        app = Application([("/", Handler, {"action": action})], serve_traceback=True)
        answer = serve(app).get(target, {**HTML, **(headers or {})})
        assert answer.status == 500
        assert answer.header("Content-Type") == "text/html; charset=UTF-8"
        assert "The debug page failed" not in answer.text
        return Page(answer.text)

    return page


def divide(first: int, second: int) -> float:
    quotient = first / second
    return quotient


def test_the_exception_the_line_and_what_failed_in_it(show):
    page = show(lambda: divide(7, 0))
    assert "ZeroDivisionError" in page.text
    assert "division by zero" in page.text
    assert "tests/web/test_errorpage.py" in page.text
    assert "".join(page.marked).startswith("first / second")
    assert "quotient = first / second" in page.text
    assert "def divide(first: int, second: int) -> float:" in page.text
    assert "Traceback (most recent call last):" in page.text


def test_local_variables(show):
    page = show(lambda: divide(7654, 0))
    assert re.search(r"2 local variables\s+first\s*7654\s+second\s*0\s", page.text)


def test_columns_of_lines_that_are_not_ascii(show):
    def action() -> None:
        чай, 咖啡 = {}, "é"
        чай["ключ"] + 咖啡

    page = show(action)
    assert page.marked[:3] == ["чай[", '"ключ"', "]"]


def test_what_failed_over_several_lines(show):
    def action() -> None:
        value = divide(
            1,
            0,
        )
        print(value)

    marked = "".join(show(action).marked)
    assert "divide(1,0,)" in re.sub(r"\s+", "", marked)


def test_frames_of_the_application_are_open_and_those_of_libraries_folded(show):
    page = show(lambda: json.loads("{"))
    frames = [a for tag, a in page.tags if tag == "details" and "frame" in (a.get("class") or "")]
    own = [frame for frame in frames if "own" in (frame.get("class") or "")]
    assert own
    assert all("open" in frame for frame in own)
    libraries = [frame for frame in frames if "library" in (frame.get("class") or "")]
    assert libraries
    assert not any("open" in frame for frame in libraries)
    assert "calls in json" in page.text


def test_causes_contexts_and_notes(show):
    def action() -> None:
        try:
            try:
                divide(1, 0)
            except ZeroDivisionError as error:
                error.add_note("a note " + "on it")
                {}["lost key"]
        except KeyError as error:
            raise RuntimeError("the last") from error

    text = show(action).text
    places = [
        text.index(word)
        for word in ("the last", "Caused by", "lost key", "Raised while", "a note on it")
    ]
    assert places[0] == min(places)
    assert text.index("Caused by") < text.index("KeyError", text.index("Caused by"))
    assert text.index("Raised while") < text.index("a note on it")


def test_a_suppressed_context_is_not_shown(show):
    def action() -> None:
        try:
            divide(1, 0)
        except ZeroDivisionError:
            raise RuntimeError("alone") from None

    text = show(action).text
    assert "division by zero" not in text
    assert "Raised while" not in text


def test_circles_of_causes_end(show):
    def action() -> None:
        first, second = ValueError("first"), ValueError("second")
        first.__cause__, second.__cause__ = second, first
        raise first

    assert "second" in show(action).text


def test_groups(show):
    def action() -> None:
        inner = ExceptionGroup("inner", [KeyError("k"), OSError("disk")])
        raise ExceptionGroup("outer", [ValueError("bad value"), inner])

    text = show(action).text
    for word in ("outer", "bad value", "inner", "disk", "1 of 2 in the group"):
        assert word in text


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python 3.11 prints none from traceback")
def test_names_that_are_nearly_right(show):
    def action() -> None:
        quantity = 1
        print(quantty + quantity)  # type: ignore[name-defined]  # noqa: F821

    assert "Did you mean: 'quantity'?" in show(action).text


def test_errors_of_syntax_show_their_place(show, tmp_path):
    file = tmp_path / "broken.py"
    file.write_text("first = 1\ndef f(:\n    pass\n")
    page = show(lambda: compile(file.read_text(), str(file), "exec"))
    assert any("def f(:" in line for line in page.current)
    assert "first = 1" in page.text


# ---- Templates


TEMPLATES = {
    "base.html": "<html>\n{% block body %}{% end %}\n</html>",
    "order.html": """{% extends "base.html" %}
{% block body %}
{% for row in rows %}
{% set label = "label of " + row %}
<li class="row">{{ label }} {{ row.price }}</li>
{% end %}
{% include "foot.html" %}
{% end %}""",
    "foot.html": "first line\n<footer>{{ 1 / zero }}</footer>",
    "open.html": "one\n{% for row in rows %}\nthree",
    "wrong.html": "one\ntwo {{ 1 + * 2 }}\nthree",
    "feeds.html": "one\x0c\u2028\x85\x0b\r\ntwo {{ 1 / zero }}\r\nthree",
    "open-feeds.html": "one\x0c\u2028\ntwo {% if zero %}\nthree",
}


@pytest.fixture
def show_template(serve):
    """`show_template(name, **names)` is the page about rendering that template."""

    def page(template: str, **names: Any) -> Page:
        class Renders(Handler):
            def get(self) -> None:
                self.render(template, **names)

        settings = {"template_loader": DictLoader(TEMPLATES), "serve_traceback": True}
        app = Application([("/", Renders, {"action": None})], **settings)
        answer = serve(app).get("/", HTML)
        assert answer.status == 500
        return Page(answer.text)

    return page


def test_the_line_of_a_template(show_template):
    page = show_template("order.html", rows=["first row"], unused=1)
    assert '<li class="row">{{ label }} {{ row.price }}</li>' in page.current[0]
    assert '{% set label = "label of " + row %}' in page.text
    assert "order.html:5" in page.text
    assert "'label of first row'" in page.text
    assert "['first row']" in page.text
    assert "_tt_" not in page.text.partition("Plain text")[2].partition("Traceback")[0]


def test_the_line_of_a_template_that_is_included(show_template):
    page = show_template("order.html", rows=[], zero=0)
    assert "<footer>{{ 1 / zero }}</footer>" in page.current[0]
    assert "foot.html:2" in page.text
    assert "division by zero" in page.text


def test_only_line_feeds_end_the_lines_of_a_template(show_template):
    page = show_template("feeds.html", zero=0)
    assert page.current[0].startswith("2two {{ 1 / zero }}")
    assert "feeds.html:2" in page.text


@pytest.mark.parametrize(
    ("name", "line", "current"),
    [
        ("open.html", 2, "{% for row in rows %}"),
        ("wrong.html", 2, "two {{ 1 + * 2 }}"),
        ("open-feeds.html", 2, "two {% if zero %}"),
    ],
)
def test_a_template_that_cannot_be_parsed(show_template, name, line, current):
    page = show_template(name)
    assert "ParseError" in page.text
    assert page.current[0].startswith(f"{line}{current}")
    assert f"{name}:{line}" in page.text


# ---- The request


def test_the_request_is_shown(serve):
    def action() -> None:
        raise ValueError

    app = Application([("/", Handler, {"action": action})], serve_traceback=True)
    body = b"colour=green&password=b0dy-secret"
    headers = {
        **HTML,
        "Cookie": "session=c00kie-secret; theme=d4rk-secret",
        "Authorization": "Bearer auth-secret",
        "X-XSRFToken": "xsrf-secret",
        "X-Colour": "blue",
        "Referer": "http://example.org/?access_token=ref-secret&page=5",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    answer = serve(app).post("/?colour=red&token=query-secret&x=%3Cb%3E", body, headers)
    page = Page(answer.text)
    for shown in ("POST", "'red'", "'green'", "blue", "'<b>'", "theme", "page=5", "Handler"):
        assert shown in page.text
    assert "secret" not in page.text


def test_secrets_in_variables_are_hidden(show):
    @dataclass
    class Account:
        name: str
        password: str
        hidden: str = field(default="s3cret", repr=False)

    class Plain:
        def __repr__(self) -> str:
            return "<Plain api_key='s3cret' secret=\"s3cret\" pwd: s3cret>"

    Pair = collections.namedtuple("Pair", "user passphrase")

    def action() -> None:
        api_token = "s3" + "cret"
        account = Account("ada", api_token)
        mapping = {"name": "ada", "deep": {"db_password": api_token}, "cookie": api_token}
        url = "https://example.org/?signature=" + api_token + "&page=1"
        plain, pair = Plain(), Pair("ada", api_token)
        headers = HTTPHeaders({"Cookie": api_token, "X-A": "shown"})
        cookies = http.cookies.SimpleCookie({"session": api_token})
        morsel = cookies["session"]
        raise ValueError(len([account, mapping, url, plain, pair, headers, cookies, morsel]))

    text = show(action).text
    assert "s3cret" not in text.replace('s3cret>"', "").replace(
        "<Plain api_key='s3cret' secret=", ""
    )
    assert "'shown'" in text
    assert f"Account(name='ada', password={HIDDEN})" in text


def test_nothing_breaks_out_of_the_page(serve):
    class Evil:
        __qualname__ = HOSTILE

        def __repr__(self) -> str:
            return HOSTILE

    Evil.__name__ = HOSTILE
    EvilError = type(HOSTILE, (Exception,), {"__module__": HOSTILE, "__qualname__": HOSTILE})

    def action() -> None:
        local, strings = Evil(), {HOSTILE: [HOSTILE, HOSTILE.encode()]}
        error = EvilError(HOSTILE)
        error.add_note(HOSTILE)
        namespace = {"local": local, "error": error, "strings": strings}
        exec(compile("def f():\n raise error\nf()", HOSTILE, "exec"), namespace)

    app = Application([("/", Handler, {"action": action})], serve_traceback=True)
    headers = {**HTML, "X-Evil": HOSTILE, "Cookie": f"a{HOSTILE}=b", HOSTILE[2:6]: "x"}
    answer = serve(app).get("/?%3Cscript%3E=%3Cscript%3E", headers)
    page = Page(answer.text)
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "img", "iframe", "link", "a:x"}
    assert not [name for _, attributes in page.tags for name in attributes if name[:2] == "on"]
    assert HOSTILE in page.text


def test_a_strict_policy_lets_the_style_through_and_nothing_else(serve):
    class Strict(Handler):
        def set_default_headers(self) -> None:
            self.set_header("Content-Security-Policy", "default-src 'self'")

    app = Application([("/", Strict, {"action": lambda: divide(1, 0)})], serve_traceback=True)
    answer = serve(app).get("/", HTML)
    policy = answer.header("Content-Security-Policy") or ""
    assert "default-src 'none'" in policy
    (style,) = re.findall(r"<style>(.*?)</style>", answer.text, re.S)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert answer.header("Cache-Control") == "no-store"
    page = Page(answer.text)
    assert not [a for _, a in page.tags if "src" in a or (a.get("href") or "#")[0] != "#"]
    assert not [a for _, a in page.tags if "style" in a]
    assert "url(" not in style
    assert "@import" not in style


class BrokenRepr:
    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def __repr__(self) -> str:
        raise self.error("no repr")


@pytest.mark.parametrize(
    "error", [ValueError, RecursionError, SystemExit, GeneratorExit, asyncio.CancelledError]
)
def test_a_failing_repr(show, error):
    def action() -> None:
        before, broken, after = 11111, [BrokenRepr(error)], 22222
        raise ValueError(before, after, len(broken))

    text = show(action).text
    assert f"[<BrokenRepr: its repr() raised {error.__name__}>]" in text
    assert "22222" in text


def test_an_exception_whose_str_fails(show):
    class BadError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no str")

    def action() -> None:
        raise BadError

    assert "BadError" in show(action).text


def test_notes_that_are_no_text(show):
    def action() -> None:
        error = ValueError()
        error.__notes__ = [5, BrokenRepr(ValueError)]
        raise error

    assert "its repr() raised ValueError" in show(action).text


def test_text_that_cannot_be_encoded_or_seen(show):
    def action() -> None:
        local = "\ud800"
        raise ValueError("lone \ud800, bell \a, right to left \u202e", local[:0])

    text = show(action).text
    for escaped in (r"\ud800", r"\x07", r"\u202e"):
        assert escaped in text


def test_a_recursion_leaves_out_its_middle(show):
    def dig(depth: int) -> None:
        dig(depth + 1)

    page = show(lambda: dig(0))
    assert "RecursionError" in page.text
    left_out = re.search(r"(\d+) calls are not shown", page.text)
    assert left_out
    assert int(left_out[1]) > 500
    assert page.text.count("local variable") < 80


def test_the_size_of_the_page_has_a_bound(serve):
    class Wide:
        def __repr__(self) -> str:
            return "<p>&" * 100_000

    def deep(depth: int) -> None:
        values = {f"name{number}": [Wide()] * 1000 for number in range(1000)}
        text, data, number = "<&>" * 1_000_000, b"\0" * 1_000_000, 1 << 100_000
        nested: Any = []
        for _ in range(1000):
            nested = [nested] * 100
        if depth:
            return deep(depth - 1)
        error = ValueError("<" * 1_000_000)
        for _ in range(100):
            error.add_note("&" * 100_000)
        raise ExceptionGroup(
            "&" * 100_000,
            [error, *[ValueError(len(values), len(text), len(data), number.bit_length())] * 99],
        )

    app = Application([("/", Handler, {"action": lambda: deep(50)})], serve_traceback=True)
    target = "/?" + "&".join(f"a{number}={'%3C' * 5}" for number in range(500))
    answer = serve(app).get(target, HTML)
    assert answer.status == 500
    assert "more are not shown" in answer.text
    assert len(answer.body) < 6_000_000
    Page(answer.text)


def test_the_plain_traceback_for_clients_that_do_not_ask_for_html(serve):
    app = Application([("/", Handler, {"action": lambda: divide(1, 0)})], serve_traceback=True)
    client = serve(app).connect()
    for headers in ({}, {"Accept": "*/*"}, {"Accept": "image/png"}):
        answer = client.get("/", headers)
        assert answer.header("Content-Type") == "text/plain"
        assert answer.text.startswith("Traceback (most recent call last):")
        assert answer.text.endswith("ZeroDivisionError: division by zero\n")
    answer = client.get("/", {"Accept": "application/json"})
    assert answer.header("Content-Type") == "application/problem+json"
    problem = json.loads(answer.text)
    assert (problem["status"], problem["title"]) == (500, "Internal Server Error")
    assert "ZeroDivisionError: division by zero" in problem["traceback"]


def test_the_plain_traceback_with_text_that_cannot_be_encoded(serve):
    def action() -> None:
        raise ValueError("lone \ud800")

    app = Application([("/", Handler, {"action": action})], serve_traceback=True)
    assert r"lone \ud800" in serve(app).get("/").text


def test_a_page_that_fails_leaves_the_plain_traceback(serve, monkeypatch, caplog):
    def broken(*arguments: Any) -> bytes:
        raise RuntimeError("page is broken")

    monkeypatch.setattr("typhoon.web.errorpage.page.debug_page", broken)
    app = Application([("/", Handler, {"action": lambda: divide(1, 0)})], serve_traceback=True)
    answer = serve(app).get("/", HTML)
    assert (answer.status, answer.header("Content-Type")) == (500, "text/plain")
    assert "ZeroDivisionError: division by zero" in answer.text
    assert answer.header("Content-Security-Policy") is None
    assert "page is broken" in caplog.text


@pytest.mark.parametrize("settings", [{}, {"serve_traceback": False}, {"debug": False}])
def test_never_without_the_setting(serve, settings):
    app = Application([("/", Handler, {"action": lambda: divide(1, 0)})], **settings)
    text = serve(app).get("/", HTML).text
    assert "500: Internal Server Error" in text
    for word in ("divide", "ZeroDivision", "Traceback", "test_errorpage", "Python"):
        assert word not in text


def test_an_address_without_a_rule_shows_the_rules(serve):
    app = Application(
        [("/known/([0-9]+)", Handler, {"action": None})], serve_traceback=True, autoreload=False
    )
    app.add_handlers("example.org", [("/there", Handler, {"action": None})])
    answer = serve(app).get("/unknown", HTML)
    assert answer.status == 404
    text = Page(answer.text).text
    assert "No rule is for this path" in text
    assert "/known/([0-9]+)" in text
    assert "/there" in text
    assert (
        "The application has no rules at all"
        in Page(serve(Application(serve_traceback=True)).get("/", HTML).text).text
    )


def test_an_error_page_of_the_application_s_own_knows_nothing_of_it(serve):
    def action() -> None:
        raise HTTPError(410)

    app = Application([("/", Handler, {"action": action})], serve_traceback=True)
    answer = serve(app).get("/", HTML)
    assert answer.status == 410
    assert "HTTP 410: Gone" in Page(answer.text).text
    assert "No rule is for this path" not in answer.text


def test_malformed_arguments_do_not_hide_the_error(serve, caplog):
    class Form(RequestHandler):
        def post(self) -> None:
            self.get_body_argument("a")

    caplog.set_level(logging.CRITICAL)
    app = Application([("/", Form)], serve_traceback=True)
    headers = {**HTML, "Content-Type": "multipart/form-data"}
    answer = serve(app).post("/", b"nonsense", headers)
    assert answer.status == 400
    assert "These cannot be read" in Page(answer.text).text


def test_the_modules_of_the_page_are_loaded_when_it_is_needed():
    import subprocess

    code = "import sys, typhoon.web; print([m for m in sys.modules if 'errorpage' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n"


# ---- Values


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        (5, "5"),
        ("a'b", '"a\'b"'),
        (b"\0", r"b'\x00'"),
        ([1, (2,), {3}], "[1, (2,), {3}]"),
        ((), "()"),
        ({}, "{}"),
        ({"a": 1, 2: None}, "{'a': 1, 2: None}"),
        (frozenset([1]), "frozenset({1})"),
        (collections.deque([1, 2]), "deque([1, 2])"),
        (collections.OrderedDict(a=1), "OrderedDict({'a': 1})"),
        (collections.defaultdict(list, a=[]), "defaultdict({'a': []})"),
        ({"password": "x", "a": "y"}, f"{{'password': {HIDDEN}, 'a': 'y'}}"),
        ({b"cookie": b"x"}, f"{{b'cookie': {HIDDEN}}}"),
        (
            [("Authorization", "x"), [b"cookie", b"y"]],
            f"[('Authorization', {HIDDEN}), [b'cookie', {HIDDEN}]]",
        ),
        ("postgres://ada:s3cret@db/feed", f"'postgres://ada:{HIDDEN}@db/feed'"),
        ({"sent": "Bearer s3cret"}, f"{{'sent': 'Bearer {HIDDEN}'}}"),
        ({"auth": "x", "author": "y"}, f"{{'auth': {HIDDEN}, 'author': 'y'}}"),
        ([0] * 25, "[" + "0, " * 20 + "… 5 more]".replace("… ", "… ")),
        ([[[[[1]]]]], "[[[[[…]]]]]"),
        (1 << 5000, "<int of 5,001 bits>"),
        (print, "<built-in function print>"),
    ],
)
def test_values(value, text):
    assert describe(value).replace(", , …", ", …") == text


def test_looking_for_secrets_is_linear():
    for text in ("passw" * 10**5, "a://b:" * 10**5, "Bearer " * 10**5, "token=" * 10**5):
        without_secrets(text)  # would take minutes


def test_values_that_contain_themselves():
    circle: list[Any] = []
    circle.append(circle)
    assert describe(circle) == "[[[[[…]]]]]"


@pytest.mark.parametrize("value", ["x" * 10**6, b"x" * 10**6, ["y" * 1000] * 1000, {1: "z" * 999}])
def test_long_values_are_cut(value):
    assert len(describe(value)) <= LENGTH + 60
