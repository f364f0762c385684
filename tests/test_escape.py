from __future__ import annotations

import html
import json
import urllib.parse
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typhoon import escape
from typhoon.escape import linkify, xhtml_escape

any_text = st.text(st.characters() | st.sampled_from("&<>\"'%+/ "))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<>&\"'", "&lt;&gt;&amp;&quot;&#x27;"),
        ("&amp;", "&amp;amp;"),
        (b"<\xc3\xa9>", "&lt;é&gt;"),
        (b"plain", "plain"),
        ("\ud800<", "\ud800&lt;"),
    ],
)
def test_xhtml_escape(text: str | bytes, expected: str) -> None:
    assert xhtml_escape(text) == expected


@given(any_text)
def test_xhtml_escape_is_that_of_the_standard_library(text: str) -> None:
    assert xhtml_escape(text) == html.escape(text)
    assert escape.xhtml_unescape(xhtml_escape(text)) == html.unescape(html.escape(text))


def test_xhtml_escape_returns_what_needs_no_escape() -> None:
    for text in ["", "plain text", "é测试" * 100]:
        assert xhtml_escape(text) is text

    class Text(str):
        pass

    assert type(xhtml_escape(Text("plain"))) is str


@pytest.mark.parametrize("value", [None, 1, bytearray(b"x")])
def test_xhtml_escape_wants_text(value: Any) -> None:
    with pytest.raises(TypeError):
        xhtml_escape(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("&lt;foo&gt;&#39;", "<foo>'"),
        (b"&lt;\xc3\xa9", "<é"),
        ("foo&#x20;bar&#xyz;", "foo bar&#xyz;"),
    ],
)
def test_xhtml_unescape(text: str | bytes, expected: str) -> None:
    assert escape.xhtml_unescape(text) == expected


@pytest.mark.parametrize(
    ("value", "plus", "expected"),
    [
        ("+ #%/", True, "%2B+%23%25%2F"),
        ("+ #%/", False, "%2B%20%23%25/"),
        ("é", True, "%C3%A9"),
        (b"\xe9", True, "%E9"),
    ],
)
def test_url_escape(value: str | bytes, plus: bool, expected: str) -> None:
    assert escape.url_escape(value, plus) == expected


@pytest.mark.parametrize(
    ("value", "encoding", "plus", "expected"),
    [
        ("%C3%A9", "utf-8", True, "é"),
        ("%C3%A9", "latin1", True, "Ã©"),
        ("%C3%A9", None, True, b"\xc3\xa9"),
        ("a+b%2B", "utf-8", True, "a b+"),
        ("a+b%2B", "utf-8", False, "a+b+"),
        ("a+b%2B", None, True, b"a b+"),
        ("a+b%2B", None, False, b"a+b+"),
        ("%E9", "utf-8", True, "\ufffd"),
        ("%zz%4", None, True, b"%zz%4"),
        ("é", None, True, b"\xc3\xa9"),
    ],
)
def test_url_unescape(value: str, encoding: str | None, plus: bool, expected: str | bytes) -> None:
    assert escape.url_unescape(value, encoding, plus) == expected
    assert escape.url_unescape(value.encode(), encoding, plus) == expected


@given(st.binary(), st.booleans())
def test_url_round_trip(data: bytes, plus: bool) -> None:
    assert escape.url_unescape(escape.url_escape(data, plus), None, plus) == data


@given(st.binary() | st.text("%+aF0 g").map(str.encode))
def test_unquoting_is_that_of_the_standard_library(data: bytes) -> None:
    assert escape.url_unescape(data, None, False) == urllib.parse.unquote_to_bytes(data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
    max_leaves=10,
)


@given(json_values)
def test_json_round_trip(value: Any) -> None:
    text = escape.json_encode(value)
    assert text == json.dumps(value).replace("</", "<\\/")
    assert escape.json_decode(text) == value
    assert escape.json_decode(text.encode()) == value


def test_json_in_a_script_element() -> None:
    assert escape.json_encode({"a": "</script>"}) == r'{"a": "<\/script>"}'


def test_json_refuses() -> None:
    with pytest.raises(TypeError):
        escape.json_encode(b"bytes")
    with pytest.raises(ValueError, match="Expecting"):
        escape.json_decode("{")


def test_squeeze() -> None:
    assert escape.squeeze(" a  \n\t b\x00c ") == "a b c"


def test_parse_qs_bytes() -> None:
    query = b"a=1&b=%41+%2B&a=2&&c&d="
    assert escape.parse_qs_bytes(query) == {"a": [b"1", b"2"], "b": [b"A +"]}
    assert escape.parse_qs_bytes(query.decode(), keep_blank_values=True)["d"] == [b""]
    assert escape.parse_qs_bytes("%E9=%E9") == {"é": [b"\xe9"]}
    with pytest.raises(ValueError, match="bad query field"):
        escape.parse_qs_bytes(b"a=1&&b=2", strict_parsing=True)
    with pytest.raises(ValueError, match="Max number of fields"):
        escape.parse_qs_bytes(b"a=1&b=2", max_num_fields=1)
    assert escape.parse_qs_bytes(b"a=1&b=2", max_num_fields=2) == {"a": [b"1"], "b": [b"2"]}


def test_bytes_and_str() -> None:
    assert escape.utf8("é") == escape.utf8(b"\xc3\xa9") == b"\xc3\xa9"
    assert escape.to_unicode(b"\xc3\xa9") == escape.to_unicode("é") == "é"
    assert escape.utf8(None) is None
    assert escape.to_unicode(None) is None
    assert escape.native_str is escape.to_basestring is escape._unicode is escape.to_unicode
    for convert in (escape.utf8, escape.to_unicode):
        with pytest.raises(TypeError, match="Expected bytes, unicode, or None"):
            convert(1)  # type: ignore[call-overload]
    with pytest.raises(UnicodeDecodeError):
        escape.to_unicode(b"\xe9")


def test_recursive_unicode() -> None:
    nested = {b"a": [b"b", (b"c", 1)], "d": None}
    assert escape.recursive_unicode(nested) == {"a": ["b", ("c", 1)], "d": None}


def link(url: str, text: str | None = None, attributes: str = "") -> str:
    return f'<a href="{url}"{attributes}>{text or url}</a>'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("no <link>", "no &lt;link&gt;"),
        ("hello http://world.com/!", f"hello {link('http://world.com/')}!"),
        (b"see www.a.org.", f"see {link('http://www.a.org', 'www.a.org')}."),
        ("http://a.com/?b=1&c=2", link("http://a.com/?b=1&amp;c=2")),
        ("'http://a.com/b'", f"&#x27;{link('http://a.com/b')}&#x27;"),
        ('"http://a.com/b"', f"&quot;{link('http://a.com/b')}&quot;"),
        ("<http://a.com/b>", f"&lt;{link('http://a.com/b')}&gt;"),
        ("(http://a.com/b_(c))", f"({link('http://a.com/b_(c)')})"),
        ("http://a.com/b(((((c", f"{link('http://a.com/b')}(((((c"),
        ("http://a.com/b.....", f"{link('http://a.com/b')}....."),
        ("http://u:p@a.com:80/é", link("http://u:p@a.com:80/é")),
        ("http:// and www. and www", "http:// and www. and www"),
        ("ftp://a.com javascript:/a", "ftp://a.com javascript:/a"),
        ("a-www.b.org", "a-www.b.org"),
        ("http://a http://b", f"{link('http://a')} {link('http://b')}"),
    ],
)
def test_linkify(text: str | bytes, expected: str) -> None:
    assert linkify(text) == expected


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://a.com/short", "http://a.com/short"),
        ("http://a.com/first/second/third/fourth", "http://a.com/first..."),
        ("http://a.com/a?b=123456789012345678901234567890", "http://a.com/a..."),
        ("http://reallylongdomainnamethatwillbetoolong.com/a", "http://reallylongdomainnametha..."),
        ("http://reallylongdomainname.com/", "http://reallylongdomainname.com/"),
    ],
)
def test_linkify_shortens(url: str, shown: str) -> None:
    title = f' title="{url}"' if shown != url else ""
    assert linkify(url, shorten=True) == link(url, shown, title)


@pytest.mark.parametrize("params", ['rel="nofollow"', lambda href: f' rel="nofollow"{href[:0]} '])
def test_linkify_extra_params(params: str | Callable[[str], str]) -> None:
    assert linkify("http://a.com", extra_params=params) == link(
        "http://a.com", attributes=' rel="nofollow"'
    )


def test_linkify_protocols() -> None:
    text = "www.a.com rdar:/1 http://b.com"
    assert linkify(text, require_protocol=True, permitted_protocols=["rdar"]) == (
        f"www.a.com {link('rdar:/1')} http://b.com"
    )


@given(st.lists(st.sampled_from(["http://", "www.", "(", ")", "<", '"', "'", "&", "a-", ". "])))
def test_linkify_escapes_everything(pieces: list[str]) -> None:
    text = "".join(pieces)
    without_links = linkify(text, require_protocol=True, permitted_protocols=[])
    assert without_links == html.escape(text)
    for markup in linkify(text).split("<")[1:]:
        assert markup.startswith(('a href="http://', "/a>"))
