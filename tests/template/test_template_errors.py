"""What is said about templates that cannot be compiled, and where failing ones fail."""

import gc
import linecache
import pickle
import sys
import traceback
from types import TracebackType
from typing import Any

import pytest

from typhoon.template import (
    DictLoader,
    ParseError,
    Template,
    TemplatePosition,
    template_position,
)


@pytest.mark.parametrize(
    ("text", "message", "lineno"),
    [
        ("\n{{ x", "Missing end expression }}", 2),
        ("\n{{ f(x", "Missing end expression }}: '(' is not closed", 2),
        ("{{ f(\n[x }}", "Missing end expression }}: '[' is not closed", 2),
        ("{{ f(x] }}", "Missing end expression }}: '(' is not closed", 1),
        ("\n{{ it's }}", "Missing end expression }}: the string that ' opens has no end", 2),
        ('{{\n"""x }}', 'Missing end expression }}: the string that """ opens has no end', 2),
        ("{{ x) }}", "Unmatched ')' in the tag", 1),
        ("{{ } }}", "Unmatched '}' in the tag", 1),
        ("{{ \0 }}", "NUL character in the tag", 1),
        ("{% if f(x %}", "Missing end block %}: '(' is not closed", 1),
        ("\n{% if", "Missing end block %}", 2),
        ("\n{% end", "Missing end block %}", 2),
        ("\n{#", "Missing end comment #}", 2),
        ("\n{{ }}", "Empty expression {{ }}: write what is to be shown in it", 2),
        ("{{ # x }}", "Empty expression {{ }}: write what is to be shown in it", 1),
        ("{% %}", "Empty directive {% %}: write what to do in it", 1),
        ("{% = x %}", "Unknown directive '=' in {% %}", 1),
        ("\n{% iff x %}", "Unknown directive 'iff' in {% %}", 2),
        ("{% if x %}{% endif %}", "Unknown directive 'endif': blocks are closed by {% end %}", 1),
        ("\n{% end %}", "Extra {% end %}: no block is open here", 2),
        (
            "\n{% if x %}\n\n",
            "Missing {% end %} for the if block that is opened in line 2",
            2,
        ),
        (
            "{% for x in y %}\n{% block 'b' %}\n{% end %}",
            "Missing {% end %} for the for block that is opened in line 1",
            1,
        ),
        ("{% block b %}", "Missing {% end %} for the block 'b' block that is opened in line 1", 1),
        ("{% apply f %}", "Missing {% end %} for the apply block that is opened in line 1", 1),
        ("{% else %}", "{% else %} stands outside of a block: if or for or while or try", 1),
        (
            "{% for x in y %}\n{% elif x %}{% end %}",
            "{% elif %} does not belong to the for block that is opened in line 1",
            2,
        ),
        (
            "{% apply f %}{% else %}{% end %}",
            "{% else %} does not belong to the apply block that is opened in line 1",
            1,
        ),
        (
            "{% block b %}{% except %}{% end %}",
            "{% except %} does not belong to the block 'b' block that is opened in line 1",
            1,
        ),
        (
            "{% if x %}{% else if y %}{% end %}",
            "{% else %} takes nothing after it; got 'if y': write {% elif %}",
            1,
        ),
        ("{% try x %}", "{% try %} takes nothing after it; got 'x'", 1),
        (
            "{% if x %}{% else %}{% elif y %}{% end %}",
            "{% elif %} follows {% else %}; it has to precede",
            1,
        ),
        (
            "{% try %}{% finally %}{% except %}{% end %}",
            "{% except %} follows {% finally %}; it has to precede",
            1,
        ),
        (
            "{% try %}{% else %}{% end %}",
            "{% else %} in a try block follows an {% except %}",
            1,
        ),
        (
            "{% try %}\n{% end %}",
            "The try block that is opened in line 1 has neither {% except %} nor {% finally %}",
            2,
        ),
        ("{% if %}", "{% if %} is incomplete: the condition is missing", 1),
        ("{% for %}", "{% for %} is incomplete: what to go through is missing", 1),
        ("{% set %}", "{% set %} is incomplete: the statement is missing", 1),
        ("{% raw %}", "{% raw %} is incomplete: the expression is missing", 1),
        ("{% module X %}", "{% module X %} does not call it: write X()", 1),
        (
            "{% module %}",
            "{% module %} is incomplete: the name of the UI module and its arguments is missing",
            1,
        ),
        ("{% include '' %}", "{% include %} is incomplete: the name of the template is missing", 1),
        ("{% block %}", "{% block %} is incomplete: the name of the block is missing", 1),
        ("{% apply %}", "{% apply %} is incomplete: the name of the function is missing", 1),
        (
            "{% autoescape %}",
            "{% autoescape %} is incomplete: the name of the function, or None, is missing",
            1,
        ),
        (
            "{% whitespace none %}",
            "Unknown whitespace mode 'none': use one of all, single, oneline",
            1,
        ),
        ("{% extends a %}\n{% extends b %}", "A template extends one other; see line 1", 2),
        ("{% break %}", "{% break %} stands outside of a for or while block", 1),
        ("{% if x %}{% continue %}", "{% continue %} stands outside of a for or while block", 1),
        (
            "{% for x in y %}\n{% apply f %}{% break %}{% end %}{% end %}",
            "{% break %} cannot leave the apply block that is opened in line 2",
            2,
        ),
        ("{% super %}", "{% super %} stands within a block", 1),
        ("{{ super() }}", "To show the block that is replaced, write {% super %}", 1),
        (
            "{% block b %}\n{% super %}{% end %}",
            "{% super %}: no template that is extended has a block 'b'",
            2,
        ),
        ("\n\n{{ yield x }}", "yield has no meaning in a template in '{{ yield x }}'", 3),
        (
            "{% apply f %}{{ (yield) }}{% end %}",
            "yield has no meaning in a template in '{% apply f %}{{ (yield) }}{% end %}'",
            1,
        ),
        ("{% if x %}" * 91, "Blocks are nested more than 90 deep", 1),
        ("\n" + "{% for x in y %}" * 60 + "{% end %}" * 60, "too many statically nested", 2),
        ("é\n{{ " + "(" * 300 + ")" * 300 + " }}", "too many nested parentheses", 2),
        ("\n{{ " + "-" * 100_000 + "1 }}", "Too complex for Python's compiler", 2),
    ],
)
def test_parse_errors(text: str, message: str, lineno: int) -> None:
    with pytest.raises(ParseError) as caught:
        Template(text, name="t.html")
    error = caught.value
    assert error.message.startswith(message)
    assert (error.filename, error.lineno) == ("t.html", lineno)
    assert str(error) == f"{error.message} at t.html:{lineno}"


@pytest.mark.parametrize(
    ("text", "shown", "lineno"),
    [
        ("\n{{ 1 + }} x", "{{ 1 + }} x", 2),
        ("\n\n{{ x y }}", "{{ x y }}", 3),
        ("{{ x = 1 }}", "{{ x = 1 }}", 1),
        ("\n{% if x: %}{% end %}", "{% if x: %}{% end %}", 2),
        ("\n{% for x %}{% end %}", "{% for x %}{% end %}", 2),
        ("\n{% set 1 = x %}", "{% set 1 = x %}", 2),
        ("\n{% import %}{% import 1 %}", "", 2),
        ("{{ a }}\n{{ b }}\n{{ ok(\n x y) }}", "x y) }}", 4),
        ("{{ import x }}", "{{ import x }}", 1),
        ("a\n{{ b }}\n\n{{ f'{1 +}' }}", "{{ f'{1 +}' }}", 4),
    ],
)
def test_broken_python_is_shown_with_its_line(text: str, shown: str, lineno: int) -> None:
    with pytest.raises(ParseError) as caught:
        Template(text, name="t.html")
    assert (caught.value.filename, caught.value.lineno) == ("t.html", lineno)
    if shown:
        assert caught.value.message.endswith(f" in {shown!r}")
        assert isinstance(caught.value.__cause__, SyntaxError)


def test_as_many_blocks_as_may_be() -> None:
    text = "{% if x %}" * 90 + "{{ x }}" + "{% end %}" * 90
    assert Template(text).generate(x=1) == b"1"
    loops = "{% for x in y %}" * 19 + "{{ x }}" + "{% end %}" * 19
    assert Template(loops).generate(y=[1]) == b"1"


def test_a_long_line_is_shortened() -> None:
    with pytest.raises(ParseError) as caught:
        Template("{{ 1 + }}" + "x" * 1000)
    assert len(str(caught.value)) < 200


def test_await_says_what_to_do() -> None:
    with pytest.raises(ParseError, match="await in the handler, and pass the result"):
        Template("{{ await x }}")


def test_broken_python_of_an_included_template_is_its_own() -> None:
    loader = DictLoader({"a": "\n{% include b %}", "b": "\n\n{{ 1 + }}"})
    with pytest.raises(ParseError, match=r"at b:3$"):
        loader.load("a")


@pytest.mark.parametrize("text", [b"a\nb\xff", "a\nb\ud800"])
def test_a_template_has_to_be_utf8(text: str | bytes) -> None:
    with pytest.raises(ParseError, match=r"The template is not in UTF-8 \(.*\) at t:2"):
        Template(text, name="t")


def test_parse_error_without_a_place_and_pickled() -> None:
    assert str(ParseError("it")) == "it at None:0"
    error = pickle.loads(pickle.dumps(ParseError("it", "t", 2)))
    assert (str(error), error.message, error.filename, error.lineno) == ("it at t:2", "it", "t", 2)


def test_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="invalid whitespace mode 'x'"):
        Template("", whitespace="x")
    with pytest.raises(ValueError, match="whitespace alone"):
        Template("", whitespace="all", compress_whitespace=True)


def failure(template: Template, **names: Any) -> BaseException:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - any at all
        template.generate(**names)
    return caught.value


def positions(error: BaseException) -> list[tuple[str, int, str]]:
    """Name, line and source line of each entry of the traceback that is in a template."""
    entry: TracebackType | None = error.__traceback__
    found = []
    while entry is not None:
        if position := template_position(entry):
            found.append((position.name, position.lineno, position.source))
        entry = entry.tb_next
    return found


class Broken:
    def __str__(self) -> str:
        raise ValueError("broken")


@pytest.mark.parametrize(
    ("text", "lineno"),
    [
        ("\n{{ a }}{{ 1 / 0 }}", 2),
        ("{{ a }}\n<b>{{ a }}</b>\n{{ b }}\n{{ a }}", 3),
        ("{{ a }}\n{{ Broken() }}\n{{ a }}", 2),
        ("{{ a }}\n{% raw Broken() %}\n{{ a }}", 2),
        ("{{ f(a,\n  1 / 0,\n a) }}", 2),
        ("{{ f(a,\n a) }}{{ Broken() }}", 2),
        ("{{ a }}{{ f(\n1 / 0) }}", 2),
        ("{{ '''\n\n''' + f(\n 1 / 0) }}", 4),
        ("{{ r'''\n\n''' }}\n{{ 1 / 0 }}", 4),
        ("{{\n\n 1 / 0 }}", 3),
        ("{{ a }}\r\n{{ 1 / 0 }}\r\n", 2),
        ("\n{% if 1 / 0 %}{% end %}", 2),
        ("{% if 0 %}\n{% elif 1 / 0 %}{% end %}", 2),
        ("\n{% for x in 1 %}{% end %}", 2),
        ("\n{% set x = 1 / 0 %}", 2),
        ("\n{% import no_such_module %}", 2),
        ("\n{% module X() %}", 2),
        ("{% apply f %}\n{{ 1 / 0 }}\n{% end %}", 2),
        ("\n{% apply g %}\n\n{% end %}", 2),
        ("{% autoescape g %}\n{{ a }}\n", 2),
        ("{{ [\n  1 / n for n in (1, 0)] }}", 2),
        ("{{ (lambda:\n  1 / 0)() }}", 2),
        ("{% try %}\n{{ a }}\n{{ 1 / 0 }}\n{% finally %}{% end %}", 3),
    ],
)
def test_the_line_that_fails(text: str, lineno: int) -> None:
    template = Template(text, name="t.html")
    error = failure(template, a=1, f=lambda *a: "", g=lambda: 0, Broken=Broken)
    found = positions(error)
    assert found[-1] == ("t.html", lineno, text.split("\n")[lineno - 1].rstrip("\r"))
    last = [entry for entry in traceback.extract_tb(error.__traceback__) if "[comp" in entry[0]]
    assert last[-1].line is not None
    assert f"# t.html:{lineno}" in "".join(traceback.format_exception(error))


def test_via_names_the_way_to_a_line() -> None:
    loader = DictLoader(
        {
            "base": "\n{% block x %}{% end %}",
            "t": "{% extends base %}\n\n{% block x %}{% include s %}{% end %}",
            "s": "{% include u %}",
            "u": "\n{{ 1 / 0 }}",
        }
    )
    error = failure(loader.load("t"))
    assert "# u:2 (via s:1, t:3, base:2)" in "".join(traceback.format_exception(error))
    assert positions(error) == [("u", 2, "{{ 1 / 0 }}")]


def test_the_traceback_shows_the_code() -> None:
    error = failure(Template("<b>{{ 1 / zero }}</b>", name="a b.html"), zero=0)
    shown = "".join(traceback.format_exception(error))
    assert "_tt_emit('<b>', (1 / zero), '</b>')  # a b.html:1" in shown


@pytest.mark.parametrize("name", ["two\nlines", "\x0c\x85\u2028", "nul\0", "x # y", "<t>"])
def test_names_that_could_break_the_code(name: str) -> None:
    error = failure(Template("\n{{ 1 / 0 }}", name=name))
    assert positions(error) == [(name, 2, "{{ 1 / 0 }}")]
    "".join(traceback.format_exception(error))


def test_blocks_of_very_many_clauses() -> None:
    Template("{% try %}" + "{% except A %}" * 20_000 + "{% end %}")
    with pytest.raises(ParseError, match="Too complex for Python's compiler") as caught:
        Template("{% if a %}" + "\n{% elif b %}" * 20_000 + "{% end %}")
    assert caught.value.lineno > 0


def test_templates_of_one_name_do_not_show_each_others_lines() -> None:
    first = Template("\n{{ 1 / first }}", name="same")
    second = Template("{{ 1 / second }}", name="same")
    shown = "".join(traceback.format_exception(failure(first, first=0)))
    assert "1 / first" in shown
    shown = "".join(traceback.format_exception(failure(second, second=0)))
    assert "1 / second" in shown


def test_a_template_takes_its_lines_with_it() -> None:
    template = Template("{{ 1 / 0 }}", name="gone")
    filename = template.compiled.co_filename
    "".join(traceback.format_exception(failure(template)))
    assert filename in linecache.cache
    del template
    gc.collect()
    assert filename not in linecache.cache


def test_position_of_a_frame_and_of_other_code() -> None:
    found: list[TemplatePosition | None] = []

    def look() -> str:
        frame = sys._getframe()
        assert frame.f_back is not None
        found.extend([template_position(frame), template_position(frame.f_back)])
        return ""

    Template("\n{{ look() }}", name="t").generate(look=look)
    assert found == [None, TemplatePosition("t", 2, "{{ look() }}", "\n{{ look() }}")]


def test_a_failure_leaves_nothing_behind() -> None:
    template = Template("{% for x in xs %}a{{ 1 // x }}{% end %}")
    for _ in range(3):
        failure(template, xs=[1, 1, 0])
        assert template.generate(xs=[1, 2]) == b"a1a0"


def test_output_belongs_to_one_rendering() -> None:
    """A template may render itself again while it is rendered."""
    template = Template("<{{ again() }}{{ again() }}>")
    depth = iter(range(2))

    def again() -> bytes:
        return template.generate(again=again) if next(depth, None) is not None else b"."

    assert template.generate(again=again).count(b".") == 4
