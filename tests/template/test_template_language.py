"""What the directives of the language do."""

import datetime
import textwrap
import weakref
from itertools import pairwise
from typing import Any

import pytest

import typhoon.template
from support import without_collector
from typhoon.escape import xhtml_escape
from typhoon.template import DictLoader, Template


def render(text: str | bytes, **names: Any) -> str:
    return Template(text).generate(**names).decode()


class Unnamed:
    def __str__(self) -> str:
        return "<unnamed>"


class Shouting(str):
    def __str__(self) -> str:
        return "not this"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("<&>\"'", "&lt;&amp;&gt;&quot;&#x27;"),
        ("é<测>😀", "é&lt;测&gt;😀"),
        (b"<\xc3\xa9>", "&lt;é&gt;"),
        ("", ""),
        (b"", ""),
        ("x" * 100 + "<", "x" * 100 + "&lt;"),
        (0, "0"),
        (-(2**63), "-9223372036854775808"),
        (2**63, "9223372036854775808"),
        (10**30, "1" + "0" * 30),
        (True, "True"),
        (None, "None"),
        (1.5, "1.5"),
        (["<"], "[&#x27;&lt;&#x27;]"),
        (Unnamed(), "&lt;unnamed&gt;"),
        (Shouting("<a>"), "&lt;a&gt;"),
    ],
)
def test_an_expression_is_escaped(value: object, expected: str) -> None:
    assert render("[{{ value }}]", value=value) == f"[{expected}]"
    text = value.decode() if isinstance(value, bytes) else value
    shown = str.__str__(text) if isinstance(text, str) else str(text)
    assert render("[{% raw value %}]", value=value) == f"[{shown}]"
    assert render("[{% raw value %}]", value=value) == render(
        "{% autoescape None %}[{{ value }}]", value=value
    )
    # The way through a function of the application's own gives the same.
    assert render("[{{ value }}]", value=value, xhtml_escape=lambda v: xhtml_escape(v)) == (
        f"[{expected}]"
    )


def test_raw_bytes_are_not_decoded() -> None:
    assert Template("{% raw value %}").generate(value=b"\xff<") == b"\xff<"


def test_bytes_to_be_escaped_are_utf8() -> None:
    with pytest.raises(UnicodeDecodeError):
        Template("{{ value }}").generate(value=b"\xff")


def test_a_lone_surrogate_has_no_utf8() -> None:
    with pytest.raises(UnicodeEncodeError):
        Template("{{ value }}").generate(value="\ud800")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ 1, 2 }}", "(1, 2)"),
        ("{{ {'a': {'b': 1}}['a']['b'] }}", "1"),
        ("{{ '}}' }}", "}}"),
        ('{{ "a" "b" }}', "ab"),
        ("{{ 'it\\'s' }}", "it&#x27;s"),
        ("{{ f'{1 + 1}' }}", "2"),
        ("{{ 1 # one }} two", "1 two"),
        ("{{ (1, # one\n 2)[1] }}", "2"),
        ("{{ 1 +\n 2 }}", "3"),
        ("{{ 1 + \\\n 2 }}", "3"),
        ("{{ '''a\nb''' }}", "a\nb"),
        ("{{ '''a\r\nb\\\nc''' }}", "a\nbc"),
        ("{{ r'''a\n\\b''' }}", "a\n\\b"),
        ("{{ [n for n in range(3) if n] }}", "[1, 2]"),
        ("{{ (lambda n: n + 1)(1) }}", "2"),
        ("{{ (n := 4) }}{{ n }}", "44"),
        ("{{ 7 % 4 }}", "3"),
        ("{{ '%d%%' % 4 }}", "4%"),
        ("{% raw '%}' %}", "%}"),
        ("{% raw {'a': 1}['a'] %}", "1"),
        ("{% raw '%s' % 1 %}", "1"),
        ("{{i\n}}", "7"),
        ("{{\n\ni}}", "7"),
        ("{{ i }}{{ i }}{{ i }}", "777"),
        ("{{i}}" * 200, "7" * 200),
    ],
)
def test_expressions_are_python(text: str, expected: str) -> None:
    assert render(text, i=7) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{!", "{{"),
        ("{%!", "{%"),
        ("{#!", "{#"),
        ("{{!x}} {{ 'y' }}", "{{x}} y"),
        ("{ { % } }} %} #}", "{ { % } }} %} #}"),
        ("{{{ i }}}", "{7}"),
        ("{{{{ i }}}}", "{{7}}"),
        ("{{{!i}}", "{{{i}}"),
        ("\\section{{{ i }}}", "\\section{7}"),
        ("{", "{"),
        ("a{", "a{"),
        ("\x00\x01\\'\"", "\x00\x01\\'\""),
    ],
)
def test_braces_that_are_no_tags(text: str, expected: str) -> None:
    assert render(text, i=7) == expected


def test_comments() -> None:
    assert render("a{# {{ b }} {% if %} #}c") == "ac"
    assert render("a{% comment it's {{ %}c") == "ac"
    assert render("{# one #}{# two\n #}") == ""


def test_if() -> None:
    text = "{% if x > 4 %}a{% elif x > 2 %}b{% elif x == 1 %}{% else %}c{% end %}"
    assert [render(text, x=x) for x in (5, 3, 1, 0)] == ["a", "b", "", "c"]
    assert render("{% if(1) %}yes{% end if %}") == "yes"
    assert render("{% if (1 and\n 1) %}yes{%end%}") == "yes"


def test_for() -> None:
    text = "{% for a, b in x %}{{ a }}={{ b }};{% else %}none{% end %}"
    assert render(text, x={"k": 1}.items()) == "k=1;none"
    assert render("{% for i in () %}{% end %}") == ""


def test_while_break_continue_and_else() -> None:
    text = (
        "{% set i = 0 %}{% while i < 9 %}{% set i += 1 %}{% if i == 2 %}{% continue %}{% end %}"
        "{% if i == stop %}{% break %}{% end %}{{ i }}{% else %}done{% end %}"
    )
    assert render(text, stop=4) == "13"
    assert render(text, stop=0) == "13456789done"


def test_try() -> None:
    text = (
        "{% try %}a{{ 1 // x }}b{% except ZeroDivisionError as e %}{{ e }}"
        "{% except %}other{% else %}-else{% finally %}-finally{% end %}"
    )
    assert render(text, x=1) == "a1b-else-finally"
    # What stands before the expression that fails is shown.
    assert render(text, x=0) == "ainteger division or modulo by zero-finally"
    assert render(text, x="") == "aother-finally"
    assert render("{% try %}{{ i }}{{ j }}{% except NameError %}!{% end %}", i=1) == "1!"
    assert render("{% try %}{% finally %}x{% end %}") == "x"


def test_output_of_a_try_in_a_loop_and_in_apply() -> None:
    text = (
        "{% for x in (1, 0) %}{% try %}{% apply f %}<{{ 1 // x }}{% end %}{% except %}!{% end %}"
        "{% end %}"
    )
    assert render(text, f=bytes.upper) == "<1!"


def test_set_import_from() -> None:
    assert render("{% set x = 1; y = 2 %}{{ x + y }}") == "3"
    assert render("{% set a, b = 'xy' %}{{ b }}{{ a }}") == "yx"
    assert render("{% import posixpath %}{{ posixpath.sep }}") == "/"
    assert render("{% from posixpath import sep as s %}{{ s }}") == "/"


def test_apply() -> None:
    assert render("{% apply f %}a{{ x }}{% end %}", f=bytes.upper, x="<b") == "A&LT;B"
    assert render("{% apply f %}é{% end %}", f=lambda b: b.decode().upper()) == "É"
    nested = "{% apply f %}a{% apply g %}b{% end %}c{% end %}"
    assert render(nested, f=bytes.upper, g=lambda b: b + b) == "ABBC"
    assert render("{% apply f %}{% end %}", f=lambda b: b"<" + b) == "<"
    assert render("{% apply lambda b: b * n %}x{% end %}", n=3) == "xxx"
    # Its output is one of its own, and so are the names that are set within it.
    text = "{% set x = 1 %}{% apply f %}{% set x = 2 %}{{ x }}{% end %}{{ x }}"
    assert render(text, f=lambda b: b) == "21"


def test_apply_needs_text() -> None:
    with pytest.raises(TypeError, match=r"Expected bytes or str from the function; got .*NoneType"):
        render("{% apply f %}x{% end %}", f=lambda b: None)


def test_apply_keeps_the_policy_of_escaping() -> None:
    text = "{% autoescape None %}{% apply f %}{{ x }}{% end %}"
    assert render(text, f=bytes.upper, x="<b>") == "<B>"


def test_autoescape_with_a_function_of_its_own() -> None:
    seen: list[bytes] = []

    def quote(value: bytes) -> str:
        seen.append(value)
        return f"'{value.decode()}'"

    text = "{% autoescape quote %}{{ a }}{{ b }}{{ c }}{% raw a %}"
    assert render(text, quote=quote, a="<é>", b=b"x", c=1) == "'<é>''x''1'<é>"
    assert seen == ["<é>".encode(), b"x", b"1"]
    dotted = "{% autoescape html.quote %}{{ a,\n b }}"
    assert render(dotted, html=type("html", (), {"quote": quote}), a=1, b=2) == "'(1, 2)'"


def test_autoescape_holds_for_the_whole_file() -> None:
    assert render("{{ x }}{% autoescape None %}", x="<") == "<"


def test_xhtml_escape_can_be_replaced() -> None:
    def replaced(value: bytes) -> bytes:
        assert type(value) is bytes
        return value.upper()

    text = "{{ x }}{% apply f %}{{ x }}{% end %}"
    assert render(text, x="<a", xhtml_escape=replaced, f=lambda b: b) == "<A<A"
    loader = DictLoader({"t": "{{ 1.5 }}{{ x }}"}, namespace={"xhtml_escape": lambda v: b"-"})
    assert loader.load("t").generate(x="a") == b"--"
    assert render("{% set xhtml_escape = f %}{{ x }}", x="<", f=replaced) == "<"
    assert render("{% for xhtml_escape in (f,) %}{{ x }}{% end %}", x="<", f=replaced) == "<"
    with pytest.raises(TypeError, match="Expected bytes or str from the function that escapes"):
        render("{{ x }}", x="", xhtml_escape=lambda v: None)


def test_module() -> None:
    class Modules:
        def Entry(self, text: str, *, upper: bool = False) -> str:
            return f"<{text.upper() if upper else text}>"

    text = "{% module Entry(x) %}{% module Entry(x,\n upper=True) %}"
    assert render(text, _tt_modules=Modules(), x="a&b") == "<a&b><A&B>"


def test_module_without_a_handler() -> None:
    with pytest.raises(AttributeError, match=r"Entry\(\.\.\.\).*RequestHandler\.render"):
        render("{% module Entry(1) %}")


def test_names_that_every_template_has() -> None:
    assert render("{{ escape('<') }}") == "&amp;lt;"
    assert render("{% raw xhtml_escape('<') %}") == "&lt;"
    assert render("{{ url_escape('a b') }}") == "a+b"
    assert render("{% raw json_encode({'a': 1}) %}") == '{"a": 1}'
    assert render("{{ squeeze('a  b') }}") == "a b"
    assert render("{% raw linkify('http://a.b') %}") == '<a href="http://a.b">http://a.b</a>'
    assert render("{{ datetime.date(2000, 1, 1) }}") == str(datetime.date(2000, 1, 1))
    assert render("{{ len(escape) }}", escape="abc") == "3"


def test_names_come_from_the_arguments_before_the_loader() -> None:
    loader = DictLoader({"t": "{{ a }}{{ b }}{{ c }}"}, namespace={"a": 1, "b": 1})
    template = loader.load("t")
    assert template.generate(b=2, c=2) == b"122"
    loader.namespace["a"] = 3
    assert template.generate(b=2, c=2) == b"322"
    # One rendering leaves nothing behind for the next.
    with pytest.raises(NameError):
        template.generate(b=2)


def test_attributes() -> None:
    loader = DictLoader({"t": "{% autoescape None %}{{ a }}"}, namespace={"a": "<"})
    template = loader.load("t")
    assert template.name == "t"
    assert template.loader is loader
    assert template.namespace is loader.namespace
    assert template.autoescape is None
    assert template.file.text == "{% autoescape None %}{{ a }}"
    assert "# t:1" in template.code
    assert template.compiled.co_filename.startswith("t [compiled template")


def test_the_names_that_a_template_uses() -> None:
    template = Template(
        "{% set own = 1 %}{{ own + a.b }}{{ [c(x) for x in d] }}{% module M(lambda: g) %}"
        "{% apply e %}{{ f }}{{ own }}{% end %}{% autoescape h %}"
    )
    names = {name for name in template.global_names if not name.startswith("_tt_")}
    assert names == {"a", "c", "d", "e", "f", "g", "h", "xhtml_escape"}
    assert "_tt_modules" in template.global_names
    assert "_tt_modules" not in Template("{{ a }}").global_names


def test_bytes_and_str_are_the_same() -> None:
    assert render("é{{ 'é' }}") == render("é{{ 'é' }}".encode()) == "éé"
    assert render("") == ""


def test_a_rendering_is_freed_by_reference_counting() -> None:
    class Value:
        def __str__(self) -> str:
            return "v"

    text = "{% for v in vs %}{{ v }}{{ [v for w in vs] }}{% apply f %}{{ v }}{% end %}{% end %}"
    template = Template(text)
    value = Value()
    gone = weakref.ref(value)
    with without_collector():
        template.generate(vs=[value, value], f=lambda b: b)
        del value
        assert gone() is None


def test_the_example_of_the_documentation() -> None:
    text = typhoon.template.__doc__ or ""
    starts = [text.index(part) for part in ("    {# base", "    {# page", "``{{ expression }}``")]
    base, page = (textwrap.dedent(text[start:end]) for start, end in pairwise(starts))
    template = DictLoader({"base.html": base, "page.html": page}).load("page.html")
    shown = template.generate(user="Ben", items=["<a>"])
    assert b"<title>Ben: News</title>" in shown
    assert b"<p>&lt;a&gt;</p>" in shown
    assert b"Nothing new" not in shown
    assert b"Nothing new" in template.generate(user="Ben", items=[])
