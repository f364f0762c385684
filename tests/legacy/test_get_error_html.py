"""`get_error_html`: error pages as strings."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import pytest

from typhoon.web import Application, HTTPError, RequestHandler

pytestmark = pytest.mark.filterwarnings("ignore:.*get_error_html:DeprecationWarning")


class Old(RequestHandler):
    def get(self, what: str) -> None:
        if what == "missing":
            raise HTTPError(404, "why")
        if what == "sent":
            self.send_error(403, reason="Own", word="kept")
            return
        raise ValueError(what)

    def get_error_html(self, status_code: int, **kwargs: Any) -> str:
        assert "exc_info" not in kwargs
        error = kwargs.pop("exception", None)
        assert sys.exc_info()[1] is error
        return f"<p>{status_code} {type(error).__name__} {error} {kwargs}</p>"


@pytest.mark.parametrize(
    ("what", "status", "page"),
    [
        ("missing", 404, "<p>404 HTTPError HTTP 404: Not Found (why) {}</p>"),
        ("sent", 403, "<p>403 NoneType None {'reason': 'Own', 'word': 'kept'}</p>"),
        ("broken", 500, "<p>500 ValueError broken {}</p>"),
    ],
)
@pytest.mark.parametrize("settings", [{}, {"serve_traceback": True}])
@pytest.mark.parametrize("accept", ["text/html", "*/*", "application/json"])
def test_the_page_is_what_get_error_html_returns(serve, what, status, page, settings, accept):
    server = serve(Application([(r"/(\w+)", Old)], **settings))
    answer = server.get(f"/{what}", {"Accept": accept})
    assert (answer.status, answer.text) == (status, page)
    assert answer.header("Content-Type") == "text/html; charset=UTF-8"


def test_it_is_deprecated(serve):
    server = serve(Application([(r"/(\w+)", Old)]))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        server.get("/missing")
        server.call()
    (warning,) = caught
    assert "Old.get_error_html is deprecated: override write_error" in str(warning.message)
    assert warning.filename == __file__


def test_the_traceback_in_the_log_is_that_of_the_error(serve, caplog):
    server = serve(Application([(r"/(\w+)", Old)]))
    server.get("/broken")
    server.call()
    assert ", in get_error_html" not in caplog.text
    assert caplog.text.count("Traceback") == 1


def test_a_failing_page_still_ends_the_request(serve, caplog):
    class Broken(Old):
        def get_error_html(self, status_code: int, **kwargs: Any) -> str:
            raise RuntimeError("in get_error_html")

    client = serve(Application([(r"/(\w+)", Broken)])).connect()
    assert [client.get("/broken").status for _ in range(2)] == [500, 500]
    assert "in get_error_html" in caplog.text
