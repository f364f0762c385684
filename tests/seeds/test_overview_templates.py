"""The examples of «Overview»: templates."""

from collections.abc import Callable
from pathlib import Path

import pytest

from seed_examples import application_of
from support import Server
from typhoon import web
from typhoon.template import DictLoader, Template

TEMPLATE = """\
<html>
   <head>
      <title>{{ title }}</title>
   </head>
   <body>
     <ul>
       {% for item in items %}
         <li>{{ escape(item) }}</li>
       {% end %}
     </ul>
   </body>
 </html>
"""

RENDER = """
class MainHandler(tornado.web.RequestHandler):
    def get(self):
        items = ["Item 1", "Item 2", "Item 3"]
        self.render("template.html", title="My title", items=items)
"""


def test_a_template_beside_the_python_file(example: Callable[..., Server], tmp_path: Path) -> None:
    (tmp_path / "template.html").write_text(TEMPLATE)
    answer = example(RENDER, application=application_of("/", "MainHandler")).get("/")
    assert answer.header("Content-Type") == "text/html; charset=UTF-8"
    assert "<title>My title</title>" in answer.text
    items = [line.strip() for line in answer.text.splitlines() if "<li>" in line]
    assert items == ["<li>Item 1</li>", "<li>Item 2</li>", "<li>Item 3</li>"]


def test_a_template_path(example: Callable[..., Server], tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "template.html").write_text("{{ len(items) }} in {{ title }}")
    settings = {"template_path": str(tmp_path / "pages")}
    server = example(RENDER, application=application_of("/", "MainHandler", **settings))
    assert server.get("/").text == "3 in My title"


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{% if len(items) > 2 %}many{% end %}", "many"),
        ("{{ items[0] }}", "Item 1"),
        ("{% while items %}{{ items.pop(0)[-1] }}{% end %}", "123"),
        ("{% try %}{{ items[9] }}{% except IndexError %}none{% end %}", "none"),
        ('{% extends "base.html" %}{% block body %}{{ title }}{% end %}', "<body>My title</body>"),
        ("{{ '<' }}{% raw '<' %}", "&lt;<"),
        ("{% autoescape None %}{{ '<' }}", "<"),
        ("{% autoescape url_escape %}{{ 'a b' }}", "a+b"),
    ],
)
def test_the_language(
    example: Callable[..., Server], tmp_path: Path, template: str, text: str
) -> None:
    (tmp_path / "template.html").write_text(template)
    (tmp_path / "base.html").write_text("<body>{% block body %}{% end %}</body>")
    server = example(RENDER, application=application_of("/", "MainHandler"))
    assert server.get("/").text == text


def test_autoescape_of_the_application_and_of_a_loader(example: Callable[..., Server]) -> None:
    for settings in (
        {"template_loader": DictLoader({"template.html": "{{ title }}"}, autoescape=None)},
        {"template_loader": DictLoader({"template.html": "{{ title }}"}), "autoescape": None},
    ):
        source = RENDER.replace("My title", "<b>")
        server = example(source, application=application_of("/", "MainHandler", **settings))
        expected = "&lt;b&gt;" if "autoescape" in settings else "<b>"
        assert server.get("/").text == expected, "a loader that is given has its own"


def test_autoescape_for_the_whole_application(
    example: Callable[..., Server], tmp_path: Path
) -> None:
    (tmp_path / "template.html").write_text("{{ title }}")
    source = RENDER.replace("My title", "<b>")
    settings = {"autoescape": None}
    server = example(source, application=application_of("/", "MainHandler", **settings))
    assert server.get("/").text == "<b>"


NAMES = {
    "escape": '{{ escape("<") == "&lt;" }}',
    "xhtml_escape": '{{ xhtml_escape("<") == "&lt;" }}',
    "url_escape": '{{ url_escape("a b") == "a+b" }}',
    "json_encode": '{{ json_encode(["a"]) == \'["a"]\' }}',
    "squeeze": '{{ squeeze("a   b") == "a b" }}',
    "linkify": '{{ linkify("http://a.b").startswith("<a href=") }}',
    "datetime": "{{ datetime.timedelta(days=1).days == 1 }}",
    "handler": '{{ handler.get_argument("x") == "1" }}',
    "request": "{{ request is handler.request }}",
    "current_user": "{{ current_user is handler.current_user }}",
    "locale": "{{ locale is handler.locale }}",
    "_": "{{ _ == handler.locale.translate }}",
    "static_url": "{{ static_url == handler.static_url }}",
    "xsrf_form_html": "{{ xsrf_form_html == handler.xsrf_form_html }}",
    "reverse_url": '{{ reverse_url("main", 3) == "/main/3" }}',
    "ui_methods": '{{ method(2) == "/main/1 2" }}',
    "ui_modules": '{{ Module(2) == "module 2" }}',
    "keyword": '{{ keyword == "argument" }}',
}


@pytest.mark.parametrize("name", NAMES)
def test_the_names_in_templates(serve: Callable[..., Server], name: str) -> None:
    class MainHandler(web.RequestHandler):
        def get(self, number: str) -> None:
            self.write(self.render_string("names.html", keyword="argument"))

    class Module(web.UIModule):
        def render(self, number: int) -> str:
            return f"module {number}"

    application = web.Application(
        [web.url("/main/([0-9]+)", MainHandler, name="main")],
        template_loader=DictLoader({"names.html": NAMES[name]}),
        ui_methods={"method": lambda handler, number: f"{handler.request.path} {number}"},
        ui_modules={"Module": Module},
    )
    assert serve(application).get("/main/1?x=1").text == "True"


def test_random_stuff_gives_random_python_errors() -> None:
    with pytest.raises(ZeroDivisionError):
        Template("{{ 1 / 0 }}").generate()
