import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from typhoon.template import DictLoader, Template, filter_whitespace

MODES = ["all", "single", "oneline"]


@pytest.mark.parametrize(
    ("text", "single", "oneline"),
    [
        ("", "", ""),
        ("a", "a", "a"),
        (" \t a", " a", " a"),
        ("a \n\n\t b", "a\nb", "a b"),
        ("a \r\n b", "a\nb", "a b"),
        ("\n", "\n", " "),
        ("a\u00a0 \u3000b", "a\u00a0 \u3000b", "a\u00a0 \u3000b"),
        ("a\x0b\x0c b", "a\x0b\x0c b", "a b"),
    ],
)
def test_filter_whitespace(text: str, single: str, oneline: str) -> None:
    assert filter_whitespace("all", text) == text
    assert filter_whitespace("single", text) == single
    assert filter_whitespace("oneline", text) == oneline


def test_an_unknown_mode() -> None:
    with pytest.raises(ValueError, match="invalid whitespace mode 'some': use one of all, single"):
        filter_whitespace("some", "")


@settings(deadline=None)
@given(st.text(st.characters() | st.sampled_from(" \t\r\n")))
def test_only_white_space_is_lost(text: str) -> None:
    for mode in MODES:
        filtered = filter_whitespace(mode, text)
        assert re.sub(r"\s", "", filtered) == re.sub(r"\s", "", text)
        assert filter_whitespace(mode, filtered) == filtered
        assert len(filtered) <= len(text)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("t.html", b"a b\nc"), ("t.js", b"a b\nc"), ("t.txt", b"a  b \n c"), ("t", b"a  b \n c")],
)
def test_the_name_decides(name: str, expected: bytes) -> None:
    assert Template("a  b \n c", name=name).generate() == expected
    assert Template("a  b \n c", name=name, whitespace="oneline").generate() == b"a b c"
    assert Template("a  b \n c", name=name, whitespace="all").generate() == b"a  b \n c"


def test_each_file_has_its_own() -> None:
    loader = DictLoader(
        {"a.html": "a  {% include b.txt %}  a", "b.txt": "b  {% include c.html %}", "c.html": "  c"}
    )
    assert loader.load("a.html").generate() == b"a b   c a"


def test_the_directive_holds_from_there() -> None:
    text = "a  {% whitespace single %}b \n c{% whitespace oneline %}\n{% whitespace all %}  d"
    assert Template(text).generate() == b"a  b\nc   d"


@pytest.mark.parametrize(
    "text",
    [
        "<pre>a\n  b</pre>",
        "<PRE class='x'>a\n  b</PRE>",
        "<textarea rows=2>a\n  b</textarea>",
        "<pre>{{ x }}\n  b</pre>",
        "<pre>\n{% if x %}\n  b\n{% end %}\n  </pre>",
    ],
)
def test_preformatted_text_is_kept(text: str) -> None:
    kept = Template(text, name="t.txt").generate(x=1)
    assert Template(text, name="t.html").generate(x=1) == kept
    # What follows is no part of it.
    assert Template(text + "{{ x }}\n  c", name="t.html").generate(x=1) == kept + b"1\nc"
    assert Template("<present>  {{ x }}", name="t.html").generate(x=1) == b"<present> 1"


def test_compress_whitespace_is_deprecated() -> None:
    for value, mode, expected in [(True, "single", b" "), (False, "all", b"  ")]:
        with pytest.warns(DeprecationWarning, match=f"write whitespace='{mode}'"):
            template = Template("  ", compress_whitespace=value)
        assert template.generate() == expected
