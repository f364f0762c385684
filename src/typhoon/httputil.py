"""What HTTP clients and servers share: requests, headers, forms, cookies, ranges, dates.

`HTTPHeaders` and `HTTPServerRequest` are made by the native core. The delegate classes are the
seam between the code that reads and writes messages and the code that works on them.
"""

import calendar
import datetime
import email.message
import email.utils
import http.client
import http.cookies
import re
import sys
import time
import unicodedata
from collections.abc import Awaitable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from typhoon import _core
from typhoon._core import (
    HTTPHeaders,
    HTTPInputError,
    HTTPOutputError,
    HTTPServerRequest,
)
from typhoon.escape import parse_qs_bytes, utf8
from typhoon.util import ObjectDict

if TYPE_CHECKING:
    import unittest

__all__ = [
    "HTTPConnection",
    "HTTPFile",
    "HTTPHeaders",
    "HTTPInputError",
    "HTTPMessageDelegate",
    "HTTPOutputError",
    "HTTPServerConnectionDelegate",
    "HTTPServerRequest",
    "ParseBodyConfig",
    "ParseMultipartConfig",
    "ParseUrlEncodedConfig",
    "RequestStartLine",
    "ResponseStartLine",
    "doctests",
    "encode_username_password",
    "format_timestamp",
    "parse_body_arguments",
    "parse_cookie",
    "parse_multipart_form_data",
    "parse_request_start_line",
    "parse_response_start_line",
    "qs_to_qsl",
    "responses",
    "set_parse_body_config",
    "split_host_and_port",
    "url_concat",
]

HTTP_WHITESPACE = " \t"
"""What may stand around the value of a header (RFC 9110 §5.6.3)."""

responses = http.client.responses
"""The usual phrase for each status code."""

MutableMapping.register(HTTPHeaders)


class RequestStartLine(NamedTuple):
    """The first line of a request (RFC 9112 §3)."""

    method: str
    path: str
    version: str


class ResponseStartLine(NamedTuple):
    """The first line of a response (RFC 9112 §4)."""

    version: str
    code: int
    reason: str


_REQUEST_LINE = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e]+) (HTTP/1\.[0-9])")
_RESPONSE_LINE = re.compile(r"(HTTP/1\.[0-9]) ([0-9]{3}) ([\x09\x20-\x7e\x80-\xff]*)")


def parse_request_start_line(line: str) -> RequestStartLine:
    """The parts of a request line. `HTTPInputError` if it is malformed.

    >>> parse_request_start_line("GET /foo HTTP/1.1")
    RequestStartLine(method='GET', path='/foo', version='HTTP/1.1')
    """
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise HTTPInputError("Malformed HTTP request line")
    return RequestStartLine(*match.groups())


def parse_response_start_line(line: str) -> ResponseStartLine:
    """The parts of a status line. `HTTPInputError` if it is malformed.

    >>> parse_response_start_line("HTTP/1.1 200 OK")
    ResponseStartLine(version='HTTP/1.1', code=200, reason='OK')
    """
    match = _RESPONSE_LINE.fullmatch(line)
    if match is None:
        raise HTTPInputError("Error parsing response start line")
    return ResponseStartLine(match[1], int(match[2]), match[3])


class HTTPServerConnectionDelegate:
    """Works on the requests of a server: `HTTPServer` is given one, or makes it."""

    def start_request(
        self, server_conn: object, request_conn: "HTTPConnection"
    ) -> "HTTPMessageDelegate":
        """A request begins; the delegate that is returned is told of its parts as they come.

        `server_conn` stands for the connection and lives as long as it, `request_conn` takes the
        response to this request.
        """
        raise NotImplementedError

    def on_close(self, server_conn: object) -> None:
        """The connection is gone."""


class HTTPMessageDelegate:
    """Works on one message, told of its parts as they come."""

    def headers_received(
        self,
        start_line: RequestStartLine | ResponseStartLine,
        headers: HTTPHeaders,
    ) -> Awaitable[None] | None:
        """The head has come. An awaitable makes the body wait for it."""

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """A piece of the body has come. An awaitable makes the next one wait for it."""

    def finish(self) -> None:
        """All of the message has come."""

    def on_connection_close(self) -> None:
        """The connection is gone before the message, or the response to it, was complete.

        Called instead of `finish`, or after it.
        """


class HTTPConnection:
    """Takes the response to a request."""

    __slots__ = ()

    def write_headers(
        self,
        start_line: RequestStartLine | ResponseStartLine,
        headers: HTTPHeaders,
        chunk: bytes | None = None,
    ) -> Awaitable[None]:
        """Send the head, and the first piece of the body with it. Await it for backpressure."""
        raise NotImplementedError

    def write(self, chunk: bytes) -> Awaitable[None]:
        """Send a piece of the body. Await it for backpressure."""
        raise NotImplementedError

    def finish(self) -> None:
        """Everything has been sent."""
        raise NotImplementedError

    def respond(self, status: int, reason: str, headers: HTTPHeaders, chunks: list[bytes]) -> None:
        """Send a whole response. It gets a Content-Length if it has none and can have one."""
        framed = "Content-Length" in headers or "Transfer-Encoding" in headers
        if not framed and status not in (204, 304) and status >= 200:
            headers["Content-Length"] = str(sum(map(len, chunks)))
        self.write_headers(ResponseStartLine("", status, reason), headers, b"".join(chunks))
        self.finish()


class HTTPFile(ObjectDict):
    """An uploaded file: `filename` and `content_type`, both str, and `body`, bytes."""

    filename: str
    body: bytes
    content_type: str


@dataclass(frozen=True)
class ParseMultipartConfig:
    """How `multipart/form-data` bodies are read."""

    enabled: bool = True
    """Whether they are read at all; if not, one is an error."""
    max_parts: int = 100
    """How many fields and files there may be."""
    max_part_header_size: int = 10 * 1024
    """Bytes of headers that a part may have."""


@dataclass(frozen=True)
class ParseUrlEncodedConfig:
    """How `application/x-www-form-urlencoded` bodies are read."""

    max_arguments: int = 1000
    """How many arguments there may be."""


@dataclass(frozen=True)
class ParseBodyConfig:
    """How form bodies are read."""

    multipart: ParseMultipartConfig = field(default_factory=ParseMultipartConfig)
    urlencoded: ParseUrlEncodedConfig = field(default_factory=ParseUrlEncodedConfig)


_body_config = ParseBodyConfig()


def set_parse_body_config(config: ParseBodyConfig) -> None:
    """Set how form bodies are read in this process from now on."""
    global _body_config
    _body_config = config


def parse_body_arguments(
    content_type: str,
    body: bytes | HTTPServerRequest,
    arguments: dict[str, list[bytes]],
    files: dict[str, list[HTTPFile]],
    headers: HTTPHeaders | None = None,
    *,
    config: ParseBodyConfig | None = None,
) -> None:
    """Add what is in a form body to `arguments` and `files`. Other content types add nothing.

    `body` may be the request that has it; a multipart body is not copied then.
    `HTTPInputError` if the body is not what its content type says, or has a Content-Encoding.
    """
    kind, _, parameters = content_type.partition(";")
    kind = kind.strip().lower()
    if kind not in ("application/x-www-form-urlencoded", "multipart/form-data"):
        return
    if headers is not None and "Content-Encoding" in headers:
        raise HTTPInputError(
            f"Unsupported Content-Encoding: {headers['Content-Encoding']}; "
            "set decompress_request=True to accept compressed requests"
        )
    if kind == "application/x-www-form-urlencoded":
        limit = (config or _body_config).urlencoded.max_arguments
        if isinstance(body, HTTPServerRequest):
            body = body.body
        try:
            found = parse_qs_bytes(body, keep_blank_values=True, max_num_fields=limit)
        except ValueError as error:
            raise HTTPInputError(f"Invalid x-www-form-urlencoded body: {error}") from error
        for name, values in found.items():
            arguments.setdefault(name, []).extend(values)
        return
    boundary = _parse_header(f";{parameters}")[1].get("boundary")
    if not boundary:
        raise HTTPInputError("Invalid multipart/form-data: missing boundary")
    multipart = (config or _body_config).multipart
    parse_multipart_form_data(utf8(boundary), body, arguments, files, config=multipart)


def parse_multipart_form_data(
    boundary: bytes,
    data: bytes | HTTPServerRequest,
    arguments: dict[str, list[bytes]],
    files: dict[str, list[HTTPFile]],
    *,
    config: ParseMultipartConfig | None = None,
) -> None:
    """Add the parts of a `multipart/form-data` body (RFC 7578) to `arguments` and `files`.

    `HTTPInputError` if it is malformed or over a limit of `config`.
    """
    config = config or _body_config.multipart
    if not config.enabled:
        raise HTTPInputError("multipart/form-data parsing is disabled")
    if boundary.startswith(b'"') and boundary.endswith(b'"'):
        boundary = boundary[1:-1]
    try:
        parts = _core.parse_multipart(boundary, data, config.max_parts, config.max_part_header_size)
    except ValueError as error:
        raise HTTPInputError(f"Invalid multipart/form-data: {error}") from error
    for name, filename, content_type, body in parts:
        if not filename:
            # Browsers send an empty name where no file has been chosen.
            arguments.setdefault(name, []).append(body)
        else:
            media_type = content_type or "application/unknown"
            upload = HTTPFile(filename=filename, body=body, content_type=media_type)
            files.setdefault(name, []).append(upload)


def _parse_request_query(query: str) -> dict[str, list[bytes]]:
    limit = _body_config.urlencoded.max_arguments
    try:
        return parse_qs_bytes(query, keep_blank_values=True, max_num_fields=limit)
    except ValueError as error:
        raise HTTPInputError(f"Invalid query: {error}") from error


def _parse_request_body(
    request: HTTPServerRequest,
) -> tuple[dict[str, list[bytes]], dict[str, list[HTTPFile]]]:
    arguments: dict[str, list[bytes]] = {}
    files: dict[str, list[HTTPFile]] = {}
    content_type = request.headers.get("Content-Type", "")
    if content_type and request._has_body:
        parse_body_arguments(content_type, request, arguments, files, request.headers)
    return arguments, files


def _parse_request_cookies(headers: HTTPHeaders) -> "http.cookies.SimpleCookie":
    cookies: http.cookies.SimpleCookie = http.cookies.SimpleCookie()
    # RFC 9113 §8.2.3: more than one header are parts of one.
    for name, value in parse_cookie("; ".join(headers.get_list("Cookie"))).items():
        try:
            cookies[name] = value
        except http.cookies.CookieError:
            # A name that cannot be one, from elsewhere on the domain: not ours to complain about.
            continue
    return cookies


_core.set_request_parsers(_parse_request_query, _parse_request_body, _parse_request_cookies)


def parse_cookie(cookie: str) -> dict[str, str]:
    """The names and values of a Cookie header, read as leniently as browsers do.

    >>> parse_cookie("a=1; b=2")
    {'a': '1', 'b': '2'}
    """
    cookies = {}
    for pair in cookie.split(";"):
        name, equals, value = pair.partition("=")
        if not equals:
            name, value = "", name
        name, value = name.strip(), value.strip()
        if name or value:
            cookies[name] = _unquote_cookie(value)
    return cookies


_QUOTED_PAIR = re.compile(r"\\(?:([0-3][0-7][0-7])|(.))")


def _unquote_cookie(value: str) -> str:
    """Undo the quoting that `http.cookies` applies to unusual values, in linear time."""
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    return _QUOTED_PAIR.sub(
        lambda match: chr(int(match[1], 8)) if match[1] else match[2], value[1:-1]
    )


def format_timestamp(
    ts: float | tuple[int, ...] | time.struct_time | datetime.datetime,
) -> str:
    """A point in time as HTTP writes it (RFC 9110 §5.6.7).

    Seconds since the epoch, a time tuple or a `datetime`, all in UTC unless the `datetime` says
    otherwise.

    >>> format_timestamp(1359312200)
    'Sun, 27 Jan 2013 18:43:20 GMT'
    """
    if isinstance(ts, int | float):
        seconds: float = ts
    elif isinstance(ts, tuple | time.struct_time):
        seconds = calendar.timegm(ts)
    elif isinstance(ts, datetime.datetime):
        seconds = calendar.timegm(ts.utctimetuple())
    else:
        raise TypeError(f"unknown timestamp type: {ts!r}")
    return email.utils.formatdate(seconds, usegmt=True)


def url_concat(
    url: str,
    args: dict[str, Any] | Sequence[tuple[str, Any]] | None,
) -> str:
    """The URL with more query arguments behind those that it has.

    >>> url_concat("http://example.com/foo?a=b", [("c", "d"), ("c", "d2")])
    'http://example.com/foo?a=b&c=d&c=d2'
    """
    if args is None:
        return url
    pairs: Sequence[tuple[str, Any]]
    if isinstance(args, dict):
        pairs = list(args.items())
    elif isinstance(args, list | tuple):
        pairs = args
    else:
        raise TypeError(f"'args' parameter should be dict, list or tuple. Not {type(args)}")
    parts = urlsplit(url)
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *pairs])
    return urlunsplit(parts._replace(query=query))


_HOST_AND_PORT = re.compile(r"(.+):([0-9]+)")


def split_host_and_port(netloc: str) -> tuple[str, int | None]:
    """Host and port of `host[:port]`; None where there is no port."""
    match = _HOST_AND_PORT.fullmatch(netloc)
    return (match[1], int(match[2])) if match else (netloc, None)


def qs_to_qsl(qs: Mapping[str, Sequence[Any]]) -> Any:
    """The (name, value) pairs of what `urllib.parse.parse_qs` gives."""
    return ((name, value) for name, values in qs.items() for value in values)


def encode_username_password(username: str | bytes, password: str | bytes) -> bytes:
    """What follows `Basic ` in an Authorization header, before base64 (RFC 7617)."""

    def normal(text: str | bytes) -> bytes:
        return utf8(unicodedata.normalize("NFC", text) if isinstance(text, str) else text)

    return normal(username) + b":" + normal(password)


def _parse_header(line: str) -> tuple[str, dict[str, str]]:
    """A value and its parameters: `form-data; name="a"` (RFC 9110 §5.6.6), RFC 2231 decoded."""
    message = email.message.Message()
    message["Content-Type"] = line.replace("\r", "").replace("\n", "")
    key, _, _ = line.partition(";")
    parameters = {}
    for name, value in message.get_params([], header="Content-Type")[1:]:
        parameters[name.lower()] = email.utils.collapse_rfc2231_value(value).strip()
    return key.strip(), parameters


_RANGE = re.compile(r"bytes\s*+=\s*+([0-9]*+)\s*+(?:-\s*+([0-9]*+)\s*+)?")


def _parse_request_range(range_header: str) -> tuple[int | None, int | None] | None:
    """The bounds of a Range header of one range, as a slice has them (RFC 9110 §14.1.2).

    None for what is not one range of bytes, and shall be ignored. A first byte without a dash
    stands for all from there on, as Tornado has it.

    >>> _parse_request_range("bytes=1-2")
    (1, 3)
    >>> _parse_request_range("bytes=-6")
    (-6, None)
    """
    match = _RANGE.fullmatch(range_header)
    if match is None:
        return None
    first, last = (_parse_position(digits) if digits else None for digits in match.groups())
    if last is None:
        return first, None
    if first is not None:
        return first, last + 1
    return (-last, None) if last else (None, 0)


def _parse_position(digits: str) -> int:
    """A position in a representation. One of very many digits is just beyond every end."""
    significant = digits.lstrip("0")
    return int(significant or 0) if len(significant) < 19 else sys.maxsize


def _get_content_range(start: int | None, end: int | None, total: int) -> str:
    """A Content-Range header for a slice (RFC 9110 §14.4)."""
    return f"bytes {start or 0}-{(end or total) - 1}/{total}"


def doctests() -> "unittest.TestSuite":
    """The examples in this module's docstrings as a test suite."""
    import doctest

    return doctest.DocTestSuite(sys.modules[__name__])
