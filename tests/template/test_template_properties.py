"""What holds for every text."""

import html
import re
from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from typhoon.template import ParseError, Template
from typhoon.template.scanner import Scanner

texts = st.text(st.characters(codec="utf-8") | st.sampled_from("&<>\"'{}%#!\n\r\\ "))
pieces = st.sampled_from(
    [
        "{{",
        "}}",
        "{%",
        "%}",
        "{#",
        "#}",
        "!",
        "{",
        "}",
        "'",
        '"',
        '"""',
        "\\",
        "\n",
        "\r",
        "#",
        "(",
        ")",
        "[",
        "]",
        " ",
        "x",
        "if",
        "for x in y",
        "end",
        "else",
        "block b",
        "set x = 1",
        "raw x",
        "try",
        "except",
        "apply f",
        "autoescape None",
        "whitespace all",
        "break",
        "super",
        "é",
        "\x00",
        "r'",
        "f'",
        "comment",
        "extends x",
        "include x",
        "module X()",
        "while x",
        "elif",
        "%",
    ]
)
sources = st.lists(pieces, max_size=40).map("".join)


@settings(deadline=None)
@given(texts)
def test_a_value_is_escaped_as_the_standard_library_does(text: str) -> None:
    template = Template("<{{ value }}|{% raw value %}>")
    expected = f"<{html.escape(text)}|{text}>".encode()
    assert template.generate(value=text) == expected
    assert template.generate(value=text.encode()) == expected


@settings(deadline=None)
@given(texts)
def test_text_without_tags_is_kept(text: str) -> None:
    quoted = re.sub(r"\{[{%#]", lambda tag: tag[0] + "!", text.replace("{{{", "{ { {"))
    plain = text.replace("{{{", "{ { {")
    assert Template(quoted).generate() == plain.encode()


@settings(deadline=None)
@given(st.lists(texts), texts)
def test_values_and_constants_keep_their_order(values: list[str], between: str) -> None:
    between = between.replace("{", "")
    text = between.join(f"{{{{ values[{index}] }}}}" for index in range(len(values)))
    expected = between.join(html.escape(value) for value in values)
    assert Template(text).generate(values=values) == expected.encode()


@settings(max_examples=300, deadline=None)
@given(sources)
@example("{{" + "'" * 50)
@example("{%" * 50)
def test_any_text_is_compiled_or_refused_with_a_line(text: str) -> None:
    try:
        error, code = None, Template(text, name="t").code
    except ParseError as caught:
        error, code = caught, ""
    if error is None:
        assert code.startswith("def _tt_execute(")
    else:
        assert error.filename == "t"
        assert 1 <= error.lineno <= text.count("\n") + 1
        assert str(error).endswith(f" at t:{error.lineno}")


@pytest.mark.parametrize(
    "piece",
    [
        "{{",
        "{{{",
        "{{!",
        "{{'",
        "{{#}}",
        "{{x#}}",
        "{#",
        "{##}",
        "{{(",
        "{{ x }}",
        "{%",
        "'",
        "\\",
        "{% raw x # %}",
        "{{ 'x' }}",
        "{{ '''",
        "{{ r'\\",
        "{% comment %}",
        "{",
        "}",
        "\n",
        "<pre>",
        " \t",
        "{% set x = 1 %}",
        "{{ x[''' ''' }}",
        "{{ rbu",
        "{% if",
        "\r",
        "{{%",
        "{{ %",
    ],
)
def test_scanning_does_the_same_work_for_each_character(piece: str) -> None:
    """Large texts are scanned in one pass, whatever they are: else this takes minutes."""
    many = piece * (20_000 if len(piece) > 3 else 100_000)
    for text in ("{{ x" + many, many):
        count = 0
        with suppress(ParseError):
            for _ in Scanner(text, "t").tokens():
                count += 1
        assert count <= len(text)


def test_a_large_template() -> None:
    text = "{% if x %}<b>{{ x }}</b>\n{% end %}" * 5000
    assert Template(text).generate(x=1) == b"<b>1</b>\n" * 5000


def test_a_large_text() -> None:
    text = " \n" * 500_000 + "x" * 500_000
    assert Template(text, name="t.html").generate() == b"\n" + b"x" * 500_000
    value = "<" * 1_000_000
    assert Template("{{ x }}").generate(x=value) == b"&lt;" * 1_000_000
