"""The examples of «Overview»: error handling and redirection."""

import logging
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from seed_examples import application_of
from support import Server
from typhoon import web

ERRORS = """
class ErrorHandler(tornado.web.RequestHandler):
    def get(self, way):
        self.write("unflushed")
        if way == "status":
            self.clear()
            self.set_status(410)
            self.write("gone for good")
        elif way == "send":
            self.send_error(418)
        elif way == "http":
            raise tornado.web.HTTPError(404)
        else:
            raise KeyError("secret")
"""


def errors(**settings: Any) -> Callable[[dict[str, Any]], Any]:
    return application_of("/(.*)", "ErrorHandler", **settings)


@pytest.mark.parametrize(
    ("way", "status", "text"),
    [
        ("status", 410, "gone for good"),
        ("send", 418, "418: "),
        ("http", 404, "404: Not Found"),
        ("raise", 500, "500: Internal Server Error"),
    ],
)
def test_the_ways_to_return_an_error(
    example: Callable[..., Server],
    caplog: pytest.LogCaptureFixture,
    way: str,
    status: int,
    text: str,
) -> None:
    answer = example(ERRORS, application=errors()).get("/" + way)
    assert answer.status == status
    assert text in answer.text
    assert "unflushed" not in answer.text
    assert "secret" not in answer.text
    logged = [record for record in caplog.records if record.name == "typhoon.application"]
    assert [record.levelno for record in logged] == ([logging.ERROR] if status == 500 else [])


def test_the_stack_trace_in_debug_mode(
    example: Callable[..., Server], caplog: pytest.LogCaptureFixture
) -> None:
    answer = example(ERRORS, application=errors(serve_traceback=True)).get("/raise")
    assert answer.status == 500
    assert answer.text.startswith("Traceback (most recent call last):")
    assert answer.text.rstrip().endswith("KeyError: 'secret'")


WRITE_ERROR = (
    ERRORS
    + """
    def write_error(self, status_code, exc_info=None, **kwargs):
        self.write("%d sorry" % status_code)
        if exc_info is not None:
            last_line = traceback.format_exception(*exc_info)[-1].strip()
            self.write(": %s %s" % (exc_info[0].__name__, last_line.partition(": ")[2]))
"""
)


@pytest.mark.parametrize(
    ("way", "text"),
    [
        ("send", "418 sorry"),
        ("http", "404 sorry: HTTPError HTTP 404: Not Found"),
        ("raise", "500 sorry: KeyError 'secret'"),
    ],
)
def test_write_error(example: Callable[..., Server], way: str, text: str) -> None:
    server = example(WRITE_ERROR, application=errors(), traceback=traceback)
    answer = server.get("/" + way)
    assert (answer.status, answer.text) == (int(text[:3]), text)


ERROR_HTML = (
    ERRORS
    + """
    def get_error_html(self, status_code, exception=None, **kwargs):
        reason = type(exception).__name__ if exception is not None else "no exception"
        return "<html><body>%d sorry: %s</body></html>" % (status_code, reason)
"""
)


@pytest.mark.parametrize(
    ("way", "text"),
    [
        ("send", "418 sorry: no exception"),
        ("http", "404 sorry: HTTPError"),
        ("raise", "500 sorry: KeyError"),
    ],
)
def test_get_error_html(example: Callable[..., Server], way: str, text: str) -> None:
    """What Tornado 2.0 and earlier called for error pages."""
    server = example(ERROR_HTML, application=errors())
    with pytest.warns(DeprecationWarning, match="override write_error"):
        answer = server.get("/" + way)
    assert (answer.status, answer.text) == (int(text[:3]), f"<html><body>{text}</body></html>")


REDIRECT = """
class MainHandler(tornado.web.RequestHandler):
    def get(self):
        self.redirect('/some-canonical-page', permanent=True)

    def post(self):
        self.redirect('/done')
"""


def test_redirect(example: Callable[..., Server]) -> None:
    server = example(REDIRECT, application=application_of("/", "MainHandler"))
    permanent = server.get("/")
    assert (permanent.status, permanent.reason) == (301, "Moved Permanently")
    assert permanent.header("Location") == "/some-canonical-page"
    found = server.post("/", b"")
    assert (found.status, found.header("Location")) == (302, "/done")


IMPORT = "import typhoon.wsgi\n"

DOWNLOAD = """
application = tornado.wsgi.WSGIApplication([
    (r"/([a-z]*)", ContentHandler),
    (r"/static/tornado-0.2.tar.gz", tornado.web.RedirectHandler,
     dict(url="https://github.com/downloads/facebook/tornado/tornado-0.2.tar.gz")),
], **settings)
"""

FOO = """
application = tornado.wsgi.WSGIApplication([
    (r"/foo", tornado.web.RedirectHandler, {"url":"/bar", "permanent":False}),
], **settings)
"""


class ContentHandler(web.RequestHandler):
    def get(self, page: str) -> None:
        self.write(f"content of {page}")


def test_redirect_handler(example: Callable[..., Server]) -> None:
    with pytest.warns(DeprecationWarning, match="serve an Application"):
        server = example(IMPORT + DOWNLOAD, ContentHandler=ContentHandler, settings={})
    answer = server.get("/static/tornado-0.2.tar.gz")
    assert answer.status == 301
    target = "https://github.com/downloads/facebook/tornado/tornado-0.2.tar.gz"
    assert answer.header("Location") == target
    assert server.get("/about").text == "content of about"


def test_redirect_handler_that_is_not_permanent(example: Callable[..., Server]) -> None:
    with pytest.warns(DeprecationWarning, match="serve an Application"):
        answer = example(IMPORT + FOO, settings={}).get("/foo")
    assert (answer.status, answer.reason) == (302, "Found")
    assert answer.header("Location") == "/bar"
