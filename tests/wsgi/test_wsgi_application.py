"""Request handlers as a WSGI application, with the standard library as the server."""

from __future__ import annotations

import io
import logging
import wsgiref.handlers
from collections.abc import Callable
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from support import Server
from typhoon import gen
from typhoon.escape import json_decode
from typhoon.web import HTTPError, RedirectHandler, RequestHandler, stream_request_body
from typhoon.wsgi import WSGIApplication, WSGIContainer


def make(rules: Any, **settings: Any) -> WSGIApplication:
    with pytest.warns(DeprecationWarning, match=r"serve an Application with its listen\(\)"):
        return WSGIApplication(rules, **settings)


def call(
    application: Any, path: str = "/", body: bytes = b"", **environ: Any
) -> tuple[str, list[tuple[str, str]], bytes]:
    """Status, headers and body of the response, as a strict server has them."""
    full = {
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "wsgi.input": io.BytesIO(body),
        "QUERY_STRING": "",
        **environ,
    }
    if body:
        full.setdefault("CONTENT_LENGTH", str(len(body)))
    setup_testing_defaults(full)
    begun: list[Any] = []

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        begun[:] = [status, headers]
        return begun.append

    pieces = validator(application)(full, start_response)
    try:
        content = b"".join(pieces)
    finally:
        pieces.close()
    return begun[0], begun[1], content


class Main(RequestHandler):
    def get(self) -> None:
        self.write("Hello, world")

    def post(self) -> None:
        self.set_cookie("seen", "1")
        self.set_status(201)
        self.write({"a": self.get_body_argument("a"), "q": self.get_query_argument("q")})

    head = get


def test_a_page() -> None:
    status, headers, content = call(make([("/", Main)]))
    assert (status, content) == ("200 OK", b"Hello, world")
    fields = dict(headers)
    assert fields["Content-Length"] == "12"
    assert fields["Content-Type"] == "text/html; charset=UTF-8"
    status, _, content = call(make([("/", Main)]), HTTP_IF_NONE_MATCH=fields["Etag"])
    assert (status, content) == ("304 Not Modified", b"")


def test_head_has_no_body() -> None:
    status, headers, content = call(make([("/", Main)]), REQUEST_METHOD="HEAD")
    assert (status, content) == ("200 OK", b"")
    assert dict(headers)["Content-Length"] == "12"


def test_a_form() -> None:
    status, headers, content = call(
        make([("/", Main)]),
        body=b"a=%C3%A9",
        REQUEST_METHOD="POST",
        QUERY_STRING="q=1",
        CONTENT_TYPE="application/x-www-form-urlencoded",
    )
    assert (status, content) == ("201 Created", b'{"a": "\\u00e9", "q": "1"}')
    assert ("Set-Cookie", "seen=1; Path=/") in headers


class Request(RequestHandler):
    def get(self, part: str) -> None:
        request = self.request
        self.write(
            {
                "part": part,
                "path": request.path,
                "remote_ip": request.remote_ip,
                "url": request.full_url(),
                "version": request.version,
                "header": request.headers["X-Name"],
            }
        )


def test_the_request() -> None:
    _, _, content = call(
        make([("/app/(.*)", Request)]),
        "/caf\u00c3\u00a9 %",
        SCRIPT_NAME="/app",
        QUERY_STRING="b=c",
        REMOTE_ADDR="1.2.3.4",
        HTTP_HOST="example.com",
        HTTP_X_NAME="value",
        SERVER_PROTOCOL="HTTP/1.1",
        **{"wsgi.url_scheme": "https"},
    )
    assert json_decode(content) == {
        "part": "café %",
        "path": "/app/caf%C3%A9%20%25",
        "remote_ip": "1.2.3.4",
        "url": "https://example.com/app/caf%C3%A9%20%25?b=c",
        "version": "HTTP/1.1",
        "header": "value",
    }


def test_flushes_are_collected() -> None:
    class Flushing(RequestHandler):
        def get(self) -> None:
            self.write("one ")
            self.flush()
            self.write("two")
            self.flush()
            self.finish(" three")

    status, _, content = call(make([("/", Flushing)]))
    assert (status, content) == ("200 OK", b"one two three")


def test_errors_and_redirects(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(RequestHandler):
        def get(self) -> None:
            raise HTTPError(403)

        def delete(self) -> None:
            raise KeyError("mine")

    application = make([("/", Failing), ("/old", RedirectHandler, {"url": "/new"})])
    assert call(application)[0] == "403 Forbidden"
    status, headers, _ = call(application, "/old")
    assert status == "301 Moved Permanently"
    assert ("Location", "/new") in headers
    assert call(application, "/nowhere")[0] == "404 Not Found"
    assert call(application, REQUEST_METHOD="PUT")[0] == "405 Method Not Allowed"
    status, _, content = call(application, REQUEST_METHOD="DELETE")
    assert (status, b"500" in content) == ("500 Internal Server Error", True)
    assert "Uncaught exception DELETE / (0.0.0.0)" in caplog.text


def test_hop_by_hop_headers_are_left_to_the_server() -> None:
    class Closing(RequestHandler):
        def get(self) -> None:
            self.set_header("Connection", "close")

    assert "Connection" not in dict(call(make([("/", Closing)]))[1])


async def coroutine(self: RequestHandler) -> None:
    raise AssertionError("never started")


@gen.coroutine
def generator(self: RequestHandler) -> Any:
    raise AssertionError("never started")


async def replaced(self: RequestHandler, *args: Any, **kwargs: Any) -> None:
    raise AssertionError("never started")


LATER = r"the handler waits for something .* or serve it with Application\.listen"


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"get": coroutine}, r"Handler\.get is a coroutine, which cannot run under WSGI"),
        ({"get": generator}, r"Handler\.get is a coroutine"),
        ({"get": print, "prepare": coroutine}, r"Handler\.prepare is a coroutine"),
        ({"get": lambda self: None, "_auto_finish": False}, LATER),
        ({"get": lambda self: coroutine(self)}, LATER),
        ({"get": print, "_execute": replaced}, LATER),
    ],
)
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
def test_what_waits_is_refused(members: dict[str, Any], message: str) -> None:
    application = make([("/", type("Handler", (RequestHandler,), members))])
    with pytest.raises(RuntimeError, match=message):
        call(application)


def test_streamed_bodies_are_refused() -> None:
    @stream_request_body
    class Upload(RequestHandler):
        pass

    with pytest.raises(RuntimeError, match=r"Upload streams the body of its requests"):
        call(make([("/", Upload)]), REQUEST_METHOD="POST")


def test_headers_that_cannot_be_read() -> None:
    """Some servers hand on folded headers as they came."""
    status, _, body = call(make([("/", Main)]), PATH_INFO="/", HTTP_X_FOLDED="a\r\n b")
    assert (status, body) == ("400 Bad Request", b"")


@pytest.mark.parametrize(
    ("length", "status"),
    [("x", "400"), ("-1", "400"), ("5", "400"), ("104857601", "413"), ("9" * 5000, "413")],
)
def test_bodies_that_cannot_be_read(length: str, status: str) -> None:
    application = make([("/", Main)])
    environ: dict[str, Any] = {"PATH_INFO": "/", "CONTENT_LENGTH": length}
    setup_testing_defaults(environ)
    environ["wsgi.input"] = io.BytesIO(b"four")
    begun: list[str] = []
    assert application(environ, lambda status, headers: begun.append(status)) == []
    assert begun[0].startswith(status)


def test_the_access_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "typhoon.access"):
        call(make([("/", Main)]), REMOTE_ADDR="1.2.3.4")
    assert "200 GET / (1.2.3.4)" in caplog.text


def test_both_ways_at_once(serve: Callable[..., Server]) -> None:
    server = serve(WSGIContainer(make([("/", Main)])))
    answer = server.get("/")
    assert (answer.status, answer.text) == (200, "Hello, world")
    assert answer.header("Content-Length") == "12"


def test_under_a_handler_of_the_standard_library() -> None:
    out = io.BytesIO()
    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    handler = wsgiref.handlers.SimpleHandler(io.BytesIO(), out, io.StringIO(), environ)
    handler.run(make([("/", Main)]))
    assert out.getvalue().endswith(b"\r\n\r\nHello, world")
