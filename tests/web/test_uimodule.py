"""UI modules and UI methods: what they show, and what they put into the page."""

from __future__ import annotations

import gc
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support import Server, without_collector
from typhoon import web
from typhoon.template import DictLoader
from typhoon.web import Application, RequestHandler, TemplateModule, UIModule

PAGE = "<html><head><title>x</title></head><body>%s</body></html>"


class PageHandler(RequestHandler):
    def get(self, name: str = "") -> None:
        self.render(name or "page.html", rows=[1, 2, 3])


@pytest.fixture
def page(serve: Callable[..., Server]) -> Callable[..., str]:
    """`page(templates, **settings)`: the text that a client gets of "page.html"."""

    def get(templates: dict[str, str], **settings: Any) -> str:
        loader = DictLoader(templates)
        application = Application([("/", PageHandler)], template_loader=loader, **settings)
        answer = serve(application).get("/")
        assert answer.status == 200, answer.text
        return answer.text

    return get


class Row(UIModule):
    def render(self, row: int, bold: bool = False) -> str:
        return f"<b>{row}</b>" if bold else f"<i>{row}</i>"


class Styled(Row):
    def embedded_css(self) -> str:
        return "i { color: red }"

    def css_files(self) -> list[str]:
        return ["/base.css", "https://cdn.example/x.css?a=1&b=2"]

    def html_head(self) -> bytes:
        return b"<meta>"

    def embedded_javascript(self) -> bytes:
        return b"run()"

    def javascript_files(self) -> str:
        return "/base.js"

    def html_body(self) -> str:
        return "<footer></footer>"


HEAD = (
    '<link href="/base.css" type="text/css" rel="stylesheet"/>'
    '<link href="https://cdn.example/x.css?a=1&amp;b=2" type="text/css" rel="stylesheet"/>\n'
    '<style type="text/css">\ni { color: red }\n</style>\n'
    "<meta>\n"
)
END = (
    '<script src="/base.js" type="text/javascript"></script>\n'
    '<script type="text/javascript">\n//<![CDATA[\nrun()\n//]]>\n</script>\n'
    "<footer></footer>\n"
)


def test_a_module_is_html(page: Callable[..., str]) -> None:
    template = "{% for row in rows %}{% module Row(row, bold=row == 2) %}{% end %}"
    assert page({"page.html": template}, ui_modules={"Row": Row}) == "<i>1</i><b>2</b><i>3</i>"


def test_resources_are_on_the_page_once(page: Callable[..., str]) -> None:
    template = PAGE % "{% for row in rows %}{% module Styled(row) %}{% end %}"
    text = page({"page.html": template}, ui_modules={"Styled": Styled})
    rows = "<i>1</i><i>2</i><i>3</i>"
    expected = f"<html><head><title>x</title>{HEAD}</head><body>{rows}{END}</body></html>"
    assert text == expected


def test_resources_come_in_the_order_of_first_use(page: Callable[..., str]) -> None:
    def making(name: str) -> type[UIModule]:
        class Made(UIModule):
            def render(self) -> str:
                return ""

            def css_files(self) -> list[str]:
                return ["/common.css", f"/{name}.css"]

        return Made

    template = PAGE % "{% module b() %}{% module a() %}{% module c() %}{% module b() %}"
    text = page({"page.html": template}, ui_modules={name: making(name) for name in "abc"})
    assert [part.split(".css")[0] for part in text.split('<link href="/')[1:]] == [
        *("common", "b", "a", "c")
    ]


def test_a_module_is_made_once_for_a_request(serve: Callable[..., Server]) -> None:
    made: list[UIModule] = []

    class Counter(UIModule):
        def __init__(self, handler: RequestHandler) -> None:
            super().__init__(handler)
            made.append(self)
            self.count = 0

        def render(self) -> str:
            self.count += 1
            return str(self.count)

    class Parts(RequestHandler):
        def get(self) -> None:
            self.write(self.render_string("part.html"))
            self.render("part.html")

    loader = DictLoader({"part.html": "{% module Counter() %}{% module Counter() %} "})
    settings = {"template_loader": loader, "ui_modules": {"Counter": Counter}}
    server = serve(Application([("/", Parts)], **settings))
    for _ in range(2):
        assert server.get("/").text == "1 2 3 4".replace(" ", "")[:2] + " 34 "
    assert len(made) == 2


def test_resources_of_a_part_are_on_the_page(serve: Callable[..., Server]) -> None:
    class Parts(RequestHandler):
        def get(self) -> None:
            part = self.render_string("part.html")
            self.render("page.html", part=part)

    loader = DictLoader(
        {"part.html": "{% module Styled(1) %}", "page.html": PAGE % "{% raw part %}"}
    )
    settings = {"template_loader": loader, "ui_modules": {"Styled": Styled}}
    text = serve(Application([("/", Parts)], **settings)).get("/").text
    assert f"{HEAD}</head><body><i>1</i>{END}</body>" in text


def test_what_a_module_knows(page: Callable[..., str]) -> None:
    class About(UIModule):
        def render(self) -> str:
            assert self.request is self.handler.request
            assert isinstance(self.handler, PageHandler)
            assert self.ui.shout("a") == "A!"
            return f"{self.request.path} {self.current_user}"

    class KnownHandler(PageHandler):
        current_user = "bret"

    def shout(handler: RequestHandler, text: str) -> str:
        return text.upper() + "!"

    settings = {"ui_modules": {"About": About}, "ui_methods": {"shout": shout}}
    assert page({"page.html": "{% module About() %}"}, **settings).startswith("/ ")


def test_a_module_made_by_hand_holds_its_handler(serve: Callable[..., Server]) -> None:
    class ByHand(RequestHandler):
        def get(self) -> None:
            handler = RequestHandler(self.application, self.request)
            module = Row(handler)
            del handler
            gc.collect()
            assert module.handler.request is self.request
            self.write(module.render(1))

    assert serve(Application([("/", ByHand)])).get("/").text == "<i>1</i>"


def test_a_module_does_not_keep_the_handler(serve: Callable[..., Server]) -> None:
    """Handlers go when their request is over, without the garbage collector."""
    alive: list[int] = [0]
    kept: list[UIModule] = []

    class Keeping(RequestHandler):
        def get(self) -> None:
            alive[0] += 1
            self.write(self.render_string("part.html"))

        def __del__(self) -> None:
            alive[0] -= 1

    class Kept(Row):
        def __init__(self, handler: RequestHandler) -> None:
            super().__init__(handler)
            kept.append(self)

    loader = DictLoader({"part.html": "{% module Kept(1) %}{{ hello() }}"})
    settings = {"ui_modules": {"Kept": Kept}, "ui_methods": {"hello": lambda handler: "hello"}}
    server = serve(Application([("/", Keeping)], template_loader=loader, **settings))
    with without_collector():
        assert server.get("/").text == "<i>1</i>hello"
        server.call()
        assert alive == [0]
    with pytest.raises(ReferenceError, match="request of Kept is over"):
        _ = kept[0].handler


def test_template_modules(page: Callable[..., str]) -> None:
    templates = {
        "page.html": PAGE
        % '{% for row in rows %}{% module Template("row.html", row=row, kind="i") %}{% end %}'
        '{% module Template("other.html") %}',
        "row.html": '{{ set_resources(embedded_css="i {}", css_files=["/a.css", "/b.css"], '
        'html_head="<meta>", embedded_javascript="run()", javascript_files="/a.js", '
        'html_body="<p>") }}'
        "<{{ kind }}>{{ row }}</{{ kind }}>",
        "other.html": '{{ set_resources(css_files="/c.css", embedded_css="b {}") }}',
    }
    text = page(templates)
    head, body = text.split("</head>")
    assert head.count("i {}\nb {}") == head.count("i {}") == 1
    assert [line.split('"')[0] for line in head.split('<link href="')[1:]] == [
        *("/a.css", "/b.css", "/c.css")
    ]
    assert "<body><i>1</i><i>2</i><i>3</i><script" in body
    assert body.count("run()") == body.count("/a.js") == body.count("<p>\n") == 1


def test_a_template_module_sees_its_own_arguments_only(page: Callable[..., str]) -> None:
    templates = {
        "page.html": '{% set secret = 1 %}{% module Template("part.html") %}',
        "part.html": "{% try %}{{ rows }}{% except NameError %}no rows{% end %}"
        "{% try %}{{ secret }}{% except NameError %}, no secret{% end %}, {{ request.path }}",
    }
    assert page(templates) == "no rows, no secret, /"


def test_set_resources_is_for_template_modules(
    serve: Callable[..., Server], caplog: pytest.LogCaptureFixture
) -> None:
    loader = DictLoader({"page.html": "{{ set_resources(css_files='/a.css') }}"})
    assert serve(Application([("/", PageHandler)], template_loader=loader)).get("/").status == 500
    assert "set_resources" in caplog.text


def test_linkify_and_the_xsrf_field_are_modules(page: Callable[..., str]) -> None:
    class Field(RequestHandler):
        def xsrf_form_html(self) -> str:
            return "<field>"

    template = '{% module linkify("http://example.com") %}'
    assert page({"page.html": template}) == '<a href="http://example.com">http://example.com</a>'


@pytest.fixture
def uimodules() -> Iterator[types.ModuleType]:
    module = types.ModuleType("uimodules")
    vars(module).update(Row=Row, UIModule=UIModule, other=3)
    return module


def test_modules_of_a_python_module(page: Callable[..., str], uimodules: Any) -> None:
    assert page({"page.html": "{% module Row(1) %}"}, ui_modules=uimodules) == "<i>1</i>"


def test_modules_of_a_list(page: Callable[..., str], uimodules: Any) -> None:
    template = "{% module Row(1) %}{% module Again(2) %}"
    text = page({"page.html": template}, ui_modules=[uimodules, {"Again": Row}])
    assert text == "<i>1</i><i>2</i>"


def test_methods_of_a_module_and_of_a_dict(page: Callable[..., str]) -> None:
    module = types.ModuleType("uimethods")
    vars(module).update(
        path=lambda handler, end: handler.request.path + end,
        _hidden=lambda handler: "hidden",
        Row=Row,
        number=3,
    )
    application = Application(ui_methods=[module, {"double": lambda handler, x: x * 2}])
    assert set(application.ui_methods) == {"path", "double"}
    template = '{{ path("?") }}{{ double("<") }}'
    settings = {"ui_methods": [module, {"double": lambda handler, x: x * 2}]}
    assert page({"page.html": template}, **settings) == "/?&lt;&lt;"


def test_methods_come_before_other_names(page: Callable[..., str]) -> None:
    settings = {"ui_methods": {"static_url": lambda handler, path: "cdn/" + path}}
    assert page({"page.html": '{{ static_url("x") }}'}, **settings) == "cdn/x"


def test_modules_are_names_of_templates_too(page: Callable[..., str]) -> None:
    template = "{% raw Row(1) %} {% raw ''.join(map(Row, rows)) %} {{ Row(1) }}"
    expected = "<i>1</i> <i>1</i><i>2</i><i>3</i> &lt;i&gt;1&lt;/i&gt;"
    assert page({"page.html": template}, ui_modules={"Row": Row}) == expected


@pytest.mark.parametrize("setting", ["ui_modules", "ui_methods"])
@pytest.mark.parametrize("value", ["uimodules", Row, 3, [{}, "uimodules"]])
def test_a_setting_that_is_neither_fails_at_start(setting: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f"[Tt]he setting {setting} .* not "):
        Application(**{setting: value})


def test_a_module_that_templates_would_have_to_await_fails_at_start() -> None:
    class Late(UIModule):
        async def render(self) -> str:  # type: ignore[override]
            return ""

    with pytest.raises(TypeError, match=r"Late.render\(\) cannot be async"):
        Application(ui_modules={"Late": Late})


def test_an_unknown_module_is_named(
    serve: Callable[..., Server], caplog: pytest.LogCaptureFixture
) -> None:
    loader = DictLoader({"page.html": "{% module Rwo(1) %}"})
    settings = {"template_loader": loader, "ui_modules": {"Row": Row}}
    assert serve(Application([("/", PageHandler)], **settings)).get("/").status == 500
    assert "no UI module 'Rwo'" in caplog.text
    assert "Row, Template, linkify, xsrf_form_html" in caplog.text


def test_relative_files_have_versions(page: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "entry.css").write_text("i {}")

    class Files(Row):
        def css_files(self) -> str:
            return "entry.css"

        def javascript_files(self) -> list[str]:
            return ["//cdn.example/x.js", "entry.css"]

    settings = {"static_path": str(tmp_path), "ui_modules": {"Files": Files}}
    text = page({"page.html": PAGE % "{% module Files(1) %}"}, **settings)
    assert '<link href="/static/entry.css?v=' in text
    assert '<script src="//cdn.example/x.js"' in text
    assert '<script src="/static/entry.css?v=' in text


def test_the_html_around_resources_can_be_changed(serve: Callable[..., Server]) -> None:
    class Own(RequestHandler):
        def get(self) -> None:
            self.render("page.html")

        def render_linked_js(self, js_files: Any) -> str:
            return f"linked js {list(js_files)}"

        def render_embed_js(self, js_embed: Any) -> bytes:
            return b"embedded js " + b" ".join(js_embed)

        def render_linked_css(self, css_files: Any) -> str:
            return f"linked css {list(css_files)}"

        def render_embed_css(self, css_embed: Any) -> bytes:
            return b"embedded css " + b" ".join(css_embed)

    loader = DictLoader({"page.html": "</head>{% module Styled(1) %}</body>"})
    settings = {"template_loader": loader, "ui_modules": {"Styled": Styled}}
    assert serve(Application([("/", Own)], **settings)).get("/").text == (
        "linked css ['/base.css', 'https://cdn.example/x.css?a=1&b=2']\n"
        "embedded css i { color: red }\n<meta>\n</head><i>1</i>"
        "linked js ['/base.js']\nembedded js run()\n<footer></footer>\n</body>"
    )


def test_the_public_names() -> None:
    assert issubclass(TemplateModule, UIModule)
    assert set(Application().ui_modules) == {"Template", "linkify", "xsrf_form_html"}
    with pytest.raises(NotImplementedError, match="UIModule has to define render"):
        UIModule(None).render()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        *(("/a.js", True), ("//cdn.example/a.js", True), ("https://a.example/a.js", True)),
        *(("data:text/css,", True), ("a.js", False), ("js/a:b.js", False), ("", False)),
    ],
)
def test_is_absolute(url: str, expected: bool) -> None:
    assert web.is_absolute(url) is expected
