"""Headers, requests made by hand, start lines, forms, cookies, URLs, dates."""

from __future__ import annotations

import copy
import datetime
import doctest
import pickle
import time
from collections.abc import MutableMapping
from typing import Any

import pytest

from typhoon import httputil
from typhoon.httputil import (
    HTTPConnection,
    HTTPFile,
    HTTPHeaders,
    HTTPInputError,
    HTTPServerRequest,
    ParseBodyConfig,
    ParseMultipartConfig,
    ParseUrlEncodedConfig,
    RequestStartLine,
    ResponseStartLine,
    format_timestamp,
    parse_body_arguments,
    parse_cookie,
    parse_multipart_form_data,
    parse_request_start_line,
    parse_response_start_line,
    qs_to_qsl,
    split_host_and_port,
    url_concat,
)


def test_the_examples_of_the_module():
    results = doctest.testmod(httputil)
    assert results.attempted >= 8
    assert results.failed == 0


# HTTPHeaders


def headers() -> HTTPHeaders:
    made = HTTPHeaders({"content-type": "text/html"})
    made.add("Set-Cookie", "A=B")
    made.add("set-cookie", "C=D")
    return made


def test_headers_are_a_mutable_mapping():
    assert isinstance(headers(), MutableMapping)
    assert issubclass(HTTPHeaders, MutableMapping)
    for name in dir(MutableMapping):
        if not name.startswith("_"):
            assert callable(getattr(HTTPHeaders, name))


def test_reading_headers():
    made = headers()
    assert made["CONTENT-TYPE"] == "text/html"
    assert made["set-cookie"] == "A=B,C=D"
    assert made.get("Set-Cookie") == "A=B,C=D"
    assert made.get("absent") is None
    assert made.get("absent", "x") == "x"
    assert made.get_list("SET-COOKIE") == ["A=B", "C=D"]
    assert made.get_list("absent") == []
    assert list(made.get_all()) == [
        ("Content-Type", "text/html"),
        ("Set-Cookie", "A=B"),
        ("Set-Cookie", "C=D"),
    ]
    assert len(made) == 2
    assert list(made) == list(made.keys()) == ["Content-Type", "Set-Cookie"]
    assert list(made.values()) == ["text/html", "A=B,C=D"]
    assert list(made.items()) == [("Content-Type", "text/html"), ("Set-Cookie", "A=B,C=D")]
    assert "content-type" in made
    assert "absent" not in made
    assert 5 not in made
    assert str(made) == "Content-Type: text/html\nSet-Cookie: A=B\nSet-Cookie: C=D\n"
    assert dict(made) == {"Content-Type": "text/html", "Set-Cookie": "A=B,C=D"}
    with pytest.raises(KeyError):
        made["absent"]
    assert not HTTPHeaders()
    assert made


def test_writing_headers():
    made = headers()
    made["SET-COOKIE"] = "E=F"
    assert made.get_list("Set-Cookie") == ["E=F"]
    del made["content-type"]
    assert "Content-Type" not in made
    with pytest.raises(KeyError):
        del made["content-type"]
    assert made.setdefault("X-A", "1") == "1"
    assert made.setdefault("x-a", "2") == "1"
    assert made.pop("x-A") == "1"
    assert made.pop("x-A", None) is None
    with pytest.raises(KeyError):
        made.pop("x-A")
    made.update({"B": "1"}, c="2")
    made.update([("d", "3")])
    made.update(HTTPHeaders(E="4"))
    assert made["B"] + made["C"] + made["D"] + made["E"] == "1234"
    name, value = made.popitem()
    assert name not in made
    assert value
    made.clear()
    assert len(made) == 0
    with pytest.raises(KeyError):
        made.popitem()


def test_updating_from_headers_keeps_all_their_values():
    source = headers()
    target = HTTPHeaders({"Set-Cookie": "old", "X-A": "1"})
    target.update(source)
    assert target.get_list("Set-Cookie") == ["A=B", "C=D"]
    assert target["X-A"] == "1"


@pytest.mark.parametrize(
    "made",
    [
        HTTPHeaders({"A": "1", "B": "2"}),
        HTTPHeaders([("A", "1"), ("B", "2")]),
        HTTPHeaders(A="1", B="2"),
        HTTPHeaders(HTTPHeaders(a="1"), b="2"),
        HTTPHeaders(iter([("a", "1"), ("b", "2")])),
    ],
)
def test_making_headers(made):
    assert made == HTTPHeaders(A="1", B="2")
    assert made == {"A": "1", "B": "2"}
    assert made != HTTPHeaders(A="1")
    assert made != {"A": "1"}
    assert made != 5


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy, HTTPHeaders.copy, HTTPHeaders])
def test_copies_are_independent(make):
    source = headers()
    made = make(source)
    assert type(made) is HTTPHeaders
    assert list(made.get_all()) == list(source.get_all())
    made.add("Set-Cookie", "E=F")
    made["X"] = "1"
    assert source.get_list("Set-Cookie") == ["A=B", "C=D"]
    assert "X" not in source


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_headers_can_be_pickled(protocol):
    source = headers()
    source.add("X-Latin", "caf\xe9")
    source.add("X-Empty", "")
    made = pickle.loads(pickle.dumps(source, protocol))
    assert list(made.get_all()) == list(source.get_all())


class OwnHeaders(HTTPHeaders):
    pass


def test_subclasses_of_headers():
    made = OwnHeaders({"A": "1"})
    made.extra = 1
    assert type(made.copy()) is OwnHeaders
    assert type(OwnHeaders.parse("A: 1")) is OwnHeaders
    assert type(pickle.loads(pickle.dumps(made))) is OwnHeaders


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("A: 1\r\nB: 2\r\n", [("A", "1"), ("B", "2")]),
        ("A: 1\nB:2", [("A", "1"), ("B", "2")]),
        ("a-b-C:  x y \t\r\n", [("A-B-C", "x y")]),
        ("A:\r\n", [("A", "")]),
        ("A: x: y\r\n", [("A", "x: y")]),
        ("A: 1\r\nA: 2\r\n", [("A", "1"), ("A", "2")]),
        ("", []),
        ("\r\n", []),
    ],
)
def test_parse(text, fields):
    assert list(HTTPHeaders.parse(text).get_all()) == fields


@pytest.mark.parametrize(
    "line",
    [" folded", "no colon", ": no name", "a b: 1", "a : 1", "a: x\ry", "a: \0", "é: 1", "a\n: 1"],
)
def test_what_is_no_header_line(line):
    with pytest.raises(HTTPInputError):
        HTTPHeaders().parse_line(line)


@pytest.mark.parametrize("line", ["  more", "\tmore", " ", "\t: 1"])
def test_a_line_does_not_continue_the_one_before_it(line):
    with pytest.raises(HTTPInputError, match="whitespace"):
        HTTPHeaders.parse(f"A: 1\r\n{line}\r\n")


def test_a_list_gives_many_values():
    made = HTTPHeaders({"a": ["1", "2"], "B": "3"})
    assert list(made.get_all()) == [("A", "1"), ("A", "2"), ("B", "3")]
    with pytest.raises(TypeError):
        HTTPHeaders({"a": [1]})


@pytest.mark.parametrize("value", ["a\r\nb", "a\nb", "a\rb", "\0", "a\n"])
@pytest.mark.parametrize(
    "change",
    [
        lambda made, value: made.add("A", value),
        lambda made, value: made.__setitem__("A", value),
        lambda made, value: HTTPHeaders({"A": value}),
        lambda made, value: made.update(A=value),
        lambda made, value: made.setdefault("A", value),
    ],
    ids=["add", "set", "init", "update", "setdefault"],
)
def test_values_cannot_break_out(change, value):
    made = HTTPHeaders()
    with pytest.raises(HTTPInputError):
        change(made, value)
    assert len(made) == 0


@pytest.mark.parametrize("value", [5, None, bytearray(b"bytes")])
def test_values_are_text_or_bytes(value):
    with pytest.raises(TypeError, match="the value of a header is a str or bytes, not "):
        HTTPHeaders()["A"] = value


def test_values_that_are_bytes_are_those_of_the_wire():
    made = HTTPHeaders({"A": b"1"}, C=[b"2", "\xe9"])
    made["B"] = "é".encode()
    made.add("A", b"\xff")
    assert made.setdefault("D", b" 3 ") == "3"
    assert list(made.get_all()) == [
        ("A", "1"),
        ("C", "2"),
        ("C", "\xe9"),
        ("B", "\xc3\xa9"),
        ("A", "\xff"),
        ("D", "3"),
    ]
    with pytest.raises(HTTPInputError):
        made["E"] = b"1\r\nF: 2"


def test_headers_cannot_be_hashed():
    with pytest.raises(TypeError):
        hash(HTTPHeaders())


# HTTPServerRequest


class Context:
    remote_ip = "192.0.2.1"
    protocol = "https"


class Connection(HTTPConnection):
    context = Context()


def test_a_request_made_by_hand():
    request = HTTPServerRequest(method="GET", uri="/path%20x?a=1&a=2&b=%C3%A9#f")
    assert (request.method, request.version) == ("GET", "HTTP/1.0")
    assert (request.path, request.query) == ("/path%20x", "a=1&a=2&b=%C3%A9#f")
    assert request.arguments["a"] == [b"1", b"2"]
    assert request.query_arguments == request.arguments
    assert request.body_arguments == {}
    assert request.files == {}
    assert request.body == b""
    assert isinstance(request.headers, HTTPHeaders)
    assert request.host == request.host_name == "127.0.0.1"
    assert request.protocol == "http"
    assert request.remote_ip is None
    assert request.cookies == {}
    assert request.full_url() == "http://127.0.0.1/path%20x?a=1&a=2&b=%C3%A9#f"
    assert 0 <= request.request_time() < 60
    assert abs(request._start_time - time.time()) < 60
    assert request.get_ssl_certificate() is None
    assert repr(request) == (
        "HTTPServerRequest(protocol='http', host='127.0.0.1', method='GET', "
        "uri='/path%20x?a=1&a=2&b=%C3%A9#f', version='HTTP/1.0', remote_ip=None)"
    )


def test_a_request_made_of_its_parts():
    files: dict[str, Any] = {"f": [HTTPFile(filename="a", body=b"b", content_type="c/d")]}
    connection = Connection()
    server_connection = object()
    request = HTTPServerRequest(
        start_line=RequestStartLine("POST", "/p", "HTTP/1.1"),
        headers=HTTPHeaders({"Host": "Example.COM:8080", "Cookie": "a=1"}),
        body=b"raw",
        files=files,
        connection=connection,
        server_connection=server_connection,
    )
    assert (request.method, request.uri, request.version) == ("POST", "/p", "HTTP/1.1")
    assert (request.host, request.host_name) == ("Example.COM:8080", "example.com")
    assert (request.remote_ip, request.protocol) == ("192.0.2.1", "https")
    assert request.full_url() == "https://Example.COM:8080/p"
    assert request.body == b"raw"
    assert request.files is files
    assert request.cookies["a"].value == "1"
    assert request.connection is connection
    assert request.server_connection is server_connection
    assert HTTPServerRequest(uri="/", host="own").host == "own"


def test_attributes_of_a_request_can_be_set():
    request = HTTPServerRequest(method="GET", uri="/")
    for name in (
        *("method", "uri", "path", "query", "version", "headers", "body", "host", "host_name"),
        *("remote_ip", "protocol", "arguments", "query_arguments", "body_arguments", "files"),
        *("cookies", "connection", "server_connection", "own"),
    ):
        value = object()
        setattr(request, name, value)
        assert getattr(request, name) is value, name
    request._start_time = 5.0
    assert request._start_time == 5.0


def test_requests_can_be_subclassed():
    class Own(HTTPServerRequest):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.extra = 1

    request = Own("GET", "/x")
    assert (request.path, request.extra) == ("/x", 1)
    assert repr(request).startswith("Own(")


@pytest.mark.parametrize(
    ("host", "name"),
    [("a", "a"), ("A:80", "a"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]"), ("a:b", "a:b")],
)
def test_host_name(host, name):
    assert HTTPServerRequest(uri="/", host=host).host_name == name


def test_a_form_body_set_by_hand():
    request = HTTPServerRequest(
        method="POST",
        uri="/?a=0",
        headers=HTTPHeaders({"Content-Type": "application/x-www-form-urlencoded"}),
        body=b"a=1",
    )
    request._parse_body()
    assert request.body_arguments == {"a": [b"1"]}
    assert request.arguments == {"a": [b"0", b"1"]}
    assert request.query_arguments == {"a": [b"0"]}


class Written(HTTPConnection):
    """The least that a connection has to be."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def write_headers(self, start_line: Any, headers: Any, chunk: Any = None) -> Any:
        self.calls.append((start_line.code, dict(headers).get("Content-Length"), chunk))

    def write(self, chunk: bytes) -> Any:
        self.calls.append(chunk)

    def finish(self) -> None:
        self.calls.append("finish")


def test_a_handler_answers_through_any_connection():
    from typhoon.web import Application, RequestHandler

    class Handler(RequestHandler):
        def get(self) -> None:
            self.write("a")
            if self.get_argument("flush", None):
                self.flush()
                self.write("b")

    app = Application([("/", Handler)])
    plain, flushed = Written(), Written()
    app(HTTPServerRequest("GET", "/", connection=plain))
    app(HTTPServerRequest("GET", "/?flush=1", connection=flushed))
    assert plain.calls == [(200, "1", b"a"), "finish"]
    assert flushed.calls == [(200, None, b"a"), b"b", "finish"]


# Start lines


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("GET /foo HTTP/1.1", ("GET", "/foo", "HTTP/1.1")),
        ("M-SEARCH * HTTP/1.0", ("M-SEARCH", "*", "HTTP/1.0")),
        ("GET http://a/b?c HTTP/1.1", ("GET", "http://a/b?c", "HTTP/1.1")),
    ],
)
def test_request_lines(line, parts):
    assert parse_request_start_line(line) == parts


@pytest.mark.parametrize(
    "line",
    [
        "",
        "GET",
        "GET /",
        "GET  / HTTP/1.1",
        "GET / HTTP/2.0",
        "GET / HTTP/1.1\n",
        "G\0T / HTTP/1.1",
    ],
)
def test_malformed_request_lines(line):
    with pytest.raises(HTTPInputError):
        parse_request_start_line(line)


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("HTTP/1.1 200 OK", ("HTTP/1.1", 200, "OK")),
        ("HTTP/1.0 404 Not Found", ("HTTP/1.0", 404, "Not Found")),
        ("HTTP/1.1 200 ", ("HTTP/1.1", 200, "")),
    ],
)
def test_status_lines(line, parts):
    parsed = parse_response_start_line(line)
    assert parsed == parts
    assert isinstance(parsed, ResponseStartLine)


@pytest.mark.parametrize("line", ["", "HTTP/1.1 20 OK", "HTTP/2 200 OK", "HTTP/1.1 200 a\nb"])
def test_malformed_status_lines(line):
    with pytest.raises(HTTPInputError):
        parse_response_start_line(line)


# Forms

URLENCODED = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(("count", "accepted"), [(3, True), (4, False)])
def test_the_limit_of_arguments(count, accepted):
    config = ParseBodyConfig(urlencoded=ParseUrlEncodedConfig(max_arguments=3))
    arguments: dict[str, Any] = {}
    body = b"&".join([b"a=1"] * count)
    if accepted:
        parse_body_arguments(URLENCODED, body, arguments, {}, config=config)
        assert arguments == {"a": [b"1"] * 3}
    else:
        with pytest.raises(HTTPInputError, match="urlencoded"):
            parse_body_arguments(URLENCODED, body, arguments, {}, config=config)


@pytest.mark.parametrize(("count", "accepted"), [(1000, True), (1001, False)])
def test_the_usual_limit_of_arguments(count, accepted):
    body = b"&".join([b"a=1"] * count)
    if accepted:
        parse_body_arguments(URLENCODED, body, {}, {})
    else:
        with pytest.raises(HTTPInputError):
            parse_body_arguments(URLENCODED, body, {}, {})


PART = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'


@pytest.mark.parametrize(
    ("config", "accepted"),
    [
        (ParseMultipartConfig(), True),
        (ParseMultipartConfig(max_parts=2), True),
        (ParseMultipartConfig(max_parts=1), False),
        (ParseMultipartConfig(enabled=False), False),
        (ParseMultipartConfig(max_part_header_size=10), False),
    ],
)
def test_the_limits_of_multipart(config, accepted):
    arguments: dict[str, Any] = {}
    if accepted:
        parse_multipart_form_data(b"b", PART * 2 + b"--b--\r\n", arguments, {}, config=config)
        assert arguments == {"a": [b"1", b"1"]}
    else:
        with pytest.raises(HTTPInputError):
            parse_multipart_form_data(b"b", PART * 2 + b"--b--\r\n", arguments, {}, config=config)


def test_set_parse_body_config():
    config = ParseBodyConfig(multipart=ParseMultipartConfig(enabled=False))
    httputil.set_parse_body_config(config)
    try:
        with pytest.raises(HTTPInputError, match="disabled"):
            parse_body_arguments("multipart/form-data; boundary=b", PART + b"--b--", {}, {})
    finally:
        httputil.set_parse_body_config(ParseBodyConfig())


def test_a_compressed_form_is_refused():
    compressed = HTTPHeaders({"Content-Encoding": "gzip"})
    with pytest.raises(HTTPInputError, match="decompress_request"):
        parse_body_arguments(URLENCODED, b"a=1", {}, {}, compressed)


# The rest


@pytest.mark.parametrize(
    ("header", "cookies"),
    [
        ("a=b; c=d", {"a": "b", "c": "d"}),
        ("a=b;;  c = d ", {"a": "b", "c": "d"}),
        ('a="b\\"c\\073"', {"a": 'b"c;'}),
        ("=b", {"": "b"}),
        ("novalue", {"": "novalue"}),
        ("a=b=c", {"a": "b=c"}),
        ("", {}),
        ("   ;", {}),
    ],
)
def test_parse_cookie(header, cookies):
    assert parse_cookie(header) == cookies


@pytest.mark.parametrize(
    "when",
    [
        1359312200,
        1359312200.0,
        (2013, 1, 27, 18, 43, 20, 0, 0, 0),
        time.gmtime(1359312200),
        datetime.datetime(2013, 1, 27, 18, 43, 20),
        datetime.datetime(2013, 1, 27, 18, 43, 20, tzinfo=datetime.UTC),
        datetime.datetime(
            2013, 1, 27, 13, 43, 20, tzinfo=datetime.timezone(datetime.timedelta(hours=-5))
        ),
    ],
)
def test_format_timestamp(when):
    assert format_timestamp(when) == "Sun, 27 Jan 2013 18:43:20 GMT"


@pytest.mark.parametrize("when", ["text", None])
def test_what_is_no_timestamp(when):
    with pytest.raises(TypeError):
        format_timestamp(when)


@pytest.mark.parametrize(
    ("url", "arguments", "result"),
    [
        ("https://a/b", {"c": "d"}, "https://a/b?c=d"),
        ("https://a/b?x=1", [("y", "é"), ("y", "&")], "https://a/b?x=1&y=%C3%A9&y=%26"),
        ("https://a/b?x=1&x=", (("y", "2"),), "https://a/b?x=1&x=&y=2"),
        ("https://a/b#f", {"c": "d"}, "https://a/b?c=d#f"),
        ("https://a/b?", {}, "https://a/b"),
        ("/b?x=1", None, "/b?x=1"),
    ],
)
def test_url_concat(url, arguments, result):
    assert url_concat(url, arguments) == result


def test_url_concat_takes_no_text():
    with pytest.raises(TypeError):
        url_concat("/", "a=1")  # type: ignore[arg-type]


def test_split_host_and_port():
    assert split_host_and_port("a:80") == ("a", 80)
    assert split_host_and_port("a") == ("a", None)
    assert split_host_and_port("[::1]:80") == ("[::1]", 80)
    assert split_host_and_port("[::1]") == ("[::1]", None)


def test_qs_to_qsl():
    assert list(qs_to_qsl({"a": ["1", "2"], "b": ["3"]})) == [("a", "1"), ("a", "2"), ("b", "3")]


def test_encode_username_password():
    assert httputil.encode_username_password("us\u0065\u0301r", b"p:w") == "us\u00e9r:p:w".encode()


@pytest.mark.parametrize(
    ("header", "bounds"),
    [
        ("bytes=1-2", (1, 3)),
        ("bytes=6-", (6, None)),
        ("bytes=-6", (-6, None)),
        ("bytes=-0", (None, 0)),
        ("bytes=0-0", (0, 1)),
        ("bytes=-", (None, None)),
        ("bytes=1-2,3-4", None),
        ("items=1-2", None),
        ("bytes=a-b", None),
        ("bytes=+1-2", None),
    ],
)
def test_ranges(header, bounds):
    assert httputil._parse_request_range(header) == bounds


@pytest.mark.parametrize("name", ["remote_ip", "host", "arguments", "cookies", "query"])
def test_an_attribute_of_a_request_can_be_set_to_none(name: str) -> None:
    request = HTTPServerRequest("GET", "/?a=b")
    setattr(request, name, None)
    assert getattr(request, name) is None
