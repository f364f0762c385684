"""Bodies of forms as the native core reads them."""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typhoon._core import parse_multipart, parse_urlencoded

MAX_PARTS = 100
MAX_HEADER = 10 * 1024
DISPOSITION = b'Content-Disposition: form-data; name="a"'


def multipart(*parts: bytes, boundary: bytes = b"1234") -> bytes:
    """A body of these parts, each with its header fields."""
    delimiter = b"--" + boundary
    return b"".join(delimiter + b"\r\n" + part + b"\r\n" for part in parts) + delimiter + b"--\r\n"


def parse(
    body: bytes, boundary: bytes = b"1234"
) -> list[tuple[str, str | None, str | None, bytes]]:
    return parse_multipart(boundary, body, MAX_PARTS, MAX_HEADER)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", {}),
        (b"a=1&b=2&a=3", {"a": [b"1", b"3"], "b": [b"2"]}),
        (b"a=%41+%2B&&c&d=", {"a": [b"A +"], "c": [b""], "d": [b""]}),
        ("a=1", {"a": [b"1"]}),
        (bytearray(b"a=1"), {"a": [b"1"]}),
        (b"%E9=%E9", {"é": [b"\xe9"]}),
        ("é=é", {"é": [b"\xe9"]}),
        (b"a=100%&b=%zz", {"a": [b"100%"], "b": [b"%zz"]}),
    ],
)
def test_urlencoded(data: bytes | bytearray | str, expected: dict[str, list[bytes]]) -> None:
    assert parse_urlencoded(data, 1000) == expected


def test_urlencoded_can_leave_out_blank_values() -> None:
    assert parse_urlencoded(b"a=1&b&c=", None, keep_blank_values=False) == {"a": [b"1"]}


@pytest.mark.parametrize("data", [b"a=1&&b=2", b"a=1&b", b"a"])
def test_urlencoded_strict(data: bytes) -> None:
    with pytest.raises(ValueError, match="bad query field"):
        parse_urlencoded(data, None, strict_parsing=True)


def test_urlencoded_bounds_the_number_of_fields() -> None:
    assert len(parse_urlencoded(b"&".join([b"a=b"] * 1000), 1000)["a"]) == 1000
    for data in [b"&".join([b"a=b"] * 1001), b"&" * 1000]:
        with pytest.raises(ValueError, match="Max number of fields exceeded"):
            parse_urlencoded(data, 1000)
    assert len(parse_urlencoded(b"&".join([b"a=b"] * 5000), None)["a"]) == 5000


@pytest.mark.parametrize("data", ["\u4f60=1", "a=\ud800"])
def test_urlencoded_refuses_characters_that_are_no_bytes(data: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (the message differs with the reason)
        parse_urlencoded(data, None)


def test_urlencoded_refuses_other_types() -> None:
    with pytest.raises(TypeError):
        parse_urlencoded(1, None)  # type: ignore[arg-type]


@given(st.lists(st.tuples(st.text(st.characters(max_codepoint=255)), st.binary())))
def test_urlencoded_round_trip(fields: list[tuple[str, bytes]]) -> None:
    expected: dict[str, list[bytes]] = {}
    for name, value in fields:
        expected.setdefault(name, []).append(value)
    body = urlencode([(name.encode("latin-1"), value) for name, value in fields])
    assert parse_urlencoded(body.encode(), None) == expected


@given(st.text("ab=&%+4Z1é"), st.booleans())
def test_urlencoded_agrees_with_the_standard_library(query: str, keep: bool) -> None:
    expected = parse_qs(query, keep_blank_values=keep, encoding="latin-1")
    fields = parse_urlencoded(query, None, keep)
    assert {n: [v.decode("latin-1") for v in vs] for n, vs in fields.items()} == expected


def test_multipart() -> None:
    body = multipart(
        DISPOSITION + b"\r\n\r\n1",
        b'content-disposition: form-data; name=f; filename="a\\"b.txt"\r\n'
        b"Content-Type: text/plain\r\nX-Other: 1\r\n\r\nline\r\n\r\n--12",
        b'Content-Disposition: form-data; name=g; filename=""\r\n\r\n',
        b"Content-Disposition: form-data; name=h; filename=a; filename*=UTF-8''%C3%A1b\r\n\r\n",
        'Content-Disposition: form-data; name="é"; filename="测试.txt"\r\n\r\n'.encode(),
    )
    assert parse(b"preamble\r\n" + body + b"epilogue") == [
        ("a", None, None, b"1"),
        ("f", 'a"b.txt', "text/plain", b"line\r\n\r\n--12"),
        ("g", "", None, b""),
        ("h", "áb", None, b""),
        ("é", "测试.txt", None, b""),
    ]


@pytest.mark.parametrize(
    ("parameter", "filename"),
    [
        (b"filename*=UTF-8''%E2%9C%93%20a.txt", "✓ a.txt"),
        (b"filename*=iso-8859-1'en'%A3", "£"),
        (b"filename*=UTF-8''a%2Fb", "a/b"),
        # RFC 8187 §3.2.1: what cannot be decoded is left out.
        (b"filename*=UTF-8''%", "plain"),
        (b"filename*=UTF-8''%4g", "plain"),
        (b"filename*=UTF-8''%ff", "plain"),
        (b"filename*=UTF-8''", "plain"),
        (b"filename*=UTF-16''a", "plain"),
        # Control characters, which a header field cannot have.
        (b"filename*=UTF-8''a%0d%0ab", "plain"),
        (b"filename*=UTF-8''a%00.png", "plain"),
        (b"filename*=UTF-8''%7f", "plain"),
        (b"filename*=UTF-8''%C2%85", "plain"),
    ],
)
def test_extended_file_names(parameter: bytes, filename: str) -> None:
    for both in (b"filename=plain; " + parameter, parameter + b'; filename="plain"'):
        body = multipart(DISPOSITION + b"; " + both + b"\r\n\r\n1")
        assert parse(body) == [("a", filename, None, b"1")]


@pytest.mark.parametrize("body", [b"--1234--", b"--1234--\r\n", b"--1234--\r\n--1234\r\n"])
def test_multipart_without_parts(body: bytes) -> None:
    assert parse(body) == []
    assert parse(bytearray(body)) == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "no final boundary"),
        (b"--1234\r\n" + DISPOSITION + b"\r\n\r\nFoo--1234--", "no final boundary"),
        (multipart(DISPOSITION + b"\r\n\r\n1")[:-4], "no final boundary"),
        (b"--1234x\r\n", "malformed boundary"),
        (multipart(b"\r\nFoo"), "missing headers"),
        (multipart(b"Foo"), "missing headers"),
        (multipart(b"Foo\r\n\r\n"), "Invalid header name"),
        (multipart(DISPOSITION + b"\r\n x\r\n\r\n"), "Invalid header name"),
        (multipart(DISPOSITION + b"\rx\r\n\r\n"), "Invalid header value"),
        (multipart(DISPOSITION + b"\0\r\n\r\n"), "Invalid header value"),
        (multipart(DISPOSITION + b"; x=\xe9\r\n\r\n"), "Invalid header value"),
        (multipart(b"Content-Type: a/b\r\n\r\n"), "bad Content-Disposition"),
        (multipart(b"Content-Disposition: x; name=a\r\n\r\n"), "bad Content-Disposition"),
        (multipart(DISPOSITION + b"; name=b\r\n\r\n"), "bad Content-Disposition"),
        (multipart(b"Content-Disposition: form-data; filename=a\r\n\r\n"), "missing name"),
    ],
)
def test_malformed_multipart(body: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(body)


def test_multipart_bounds_the_number_of_parts() -> None:
    part = DISPOSITION + b"\r\n\r\n1"
    assert len(parse_multipart(b"1234", multipart(part, part), 2, MAX_HEADER)) == 2
    with pytest.raises(ValueError, match="too many parts"):
        parse_multipart(b"1234", multipart(part, part, part), 2, MAX_HEADER)


def test_multipart_bounds_the_size_of_header_fields() -> None:
    body = multipart(DISPOSITION + b"\r\n\r\n1")
    assert len(parse_multipart(b"1234", body, MAX_PARTS, len(DISPOSITION))) == 1
    with pytest.raises(ValueError, match="header too large"):
        parse_multipart(b"1234", body, MAX_PARTS, len(DISPOSITION) - 1)


names = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1)
contents = st.one_of(st.binary(), st.text("\r\n-1").map(str.encode))


@given(st.lists(st.tuples(names, st.none() | names, contents), max_size=10))
def test_multipart_round_trip(parts: list[tuple[str, str | None, bytes]]) -> None:
    def quoted(text: str) -> bytes:
        return text.replace("\\", "\\\\").replace('"', '\\"').encode()

    body = multipart(
        *(
            b'Content-Disposition: form-data; name="%s"' % quoted(name)
            + (b"" if filename is None else b'; filename="%s"' % quoted(filename))
            + b"\r\nContent-Type: x/y\r\n\r\n"
            + content
            for name, filename, content in parts
        ),
        boundary=b"a boundary",
    )
    expected = [(name, filename, "x/y", content) for name, filename, content in parts]
    assert parse(body, b"a boundary") == expected
    assert parse(body, b'"a boundary"') == expected


@given(st.binary(max_size=3), st.binary())
def test_arbitrary_bytes_are_read_or_refused(boundary: bytes, body: bytes) -> None:
    try:
        parts = parse(body, boundary)
    except ValueError:
        return
    assert sum(len(content) for *_, content in parts) <= len(body)
