"""Status, headers and redirects of a handler's response."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from typing import Any

import pytest

from typhoon import __version__
from typhoon.web import Application, RequestHandler


def application(action: Callable[[Any], Any], **settings: Any) -> Application:
    """One handler whose GET does this."""

    class Handler(RequestHandler):
        def get(self) -> Any:
            return action(self)

        post = get

    return Application([("/.*", Handler, {}, "all")], **settings)


def test_the_headers_that_every_response_has(serve):
    answer = serve(application(lambda handler: None)).get("/")
    names = {name for name, _ in answer.headers}
    assert names == {"Server", "Content-Type", "Date", "Etag", "Content-Length"}
    assert answer.header("Server") == f"TyphoonServer/{__version__}"
    date = datetime.datetime.strptime(answer.header("Date") or "", "%a, %d %b %Y %H:%M:%S GMT")
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    assert abs(now - date) < datetime.timedelta(minutes=1)


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        ((200,), 200, "OK"),
        ((404,), 404, "Not Found"),
        ((418,), 418, "I'm a Teapot"),
        ((299,), 299, "Unknown"),
        ((200, "Very Fine"), 200, "Very Fine"),
        ((200, ""), 200, ""),
        ((999, "Own"), 999, "Own"),
    ],
)
def test_status_and_reason(serve, arguments, status, reason):
    def act(handler: RequestHandler) -> None:
        handler.set_status(*arguments)
        assert handler.get_status() == status

    answer = serve(application(act)).get("/")
    assert (answer.status, answer.reason) == (status, reason)


@pytest.mark.parametrize("reason", ["a\r\nX: y", "a\nb", "nul\0", "<script>", "\x7f"])
def test_a_reason_cannot_break_out(serve, reason):
    answer = serve(application(lambda handler: handler.set_status(200, reason))).get("/")
    assert (answer.status, answer.reason, answer.header("X")) == (200, "Unknown", None)
    assert answer.header("X") is None


@pytest.mark.parametrize("status", [0, 99, 1000, 70000, -1])
def test_a_status_that_is_none_is_an_error_of_the_application(serve, status):
    client = serve(application(lambda handler: handler.set_status(status))).connect()
    assert client.get("/").status == 500


@pytest.mark.parametrize("status", [204, 304])
def test_a_response_that_has_no_body(serve, status):
    def act(handler: RequestHandler) -> None:
        handler.set_status(status)

    client = serve(application(act)).connect()
    for _ in range(2):
        answer = client.get("/")
        assert answer.status == status
        assert answer.header("Content-Type") is None
        assert answer.header("Content-Length") is None


@pytest.mark.parametrize("status", [204, 304])
def test_a_body_where_none_may_be_is_an_error(serve, status):
    def act(handler: RequestHandler) -> None:
        handler.set_status(status)
        handler.write("body")

    assert serve(application(act)).get("/").status == 500


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("text", "text"),
        ("caf\xe9", "caf\xe9"),
        (b"bytes", "bytes"),
        (5, "5"),
        (True, "True"),
        ("", ""),
        (datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC), "Thu, 29 Feb 2024 12:00:00 GMT"),
    ],
)
@pytest.mark.parametrize("by", ["set_header", "add_header"])
def test_values_of_headers(serve, value, text, by):
    answer = serve(application(lambda handler: getattr(handler, by)("X-Value", value))).get("/")
    assert answer.header("X-Value") == text


def test_set_add_and_clear_header(serve):
    def act(handler: RequestHandler) -> None:
        handler.set_header("X-Set", "1")
        handler.set_header("x-set", "2")
        handler.add_header("X-Add", "1")
        handler.add_header("x-add", 2)
        handler.set_header("X-Clear", "1")
        handler.clear_header("X-CLEAR")
        handler.clear_header("X-Never")
        handler.clear_header("Server")

    answer = serve(application(act)).get("/")
    assert answer.header_list("X-Set") == ["2"]
    assert answer.header_list("X-Add") == ["1", "2"]
    assert answer.header("X-Clear") is None
    assert answer.header("Server") is None


BREAKING_OUT = ["a\r\nX-Injected: 1", "a\nX-Injected: 1", "a\rb", "a\0b", b"a\r\nX-Injected: 1"]


@pytest.mark.parametrize("value", BREAKING_OUT)
@pytest.mark.parametrize("by", ["set_header", "add_header", "_headers"])
def test_a_header_cannot_break_out(serve, value, by):
    raised = []

    def act(handler: RequestHandler) -> None:
        try:
            if by == "_headers":
                handler._headers["X-Value"] = value if isinstance(value, str) else value.decode()
            else:
                getattr(handler, by)("X-Value", value)
        except ValueError as error:
            raised.append(error)
            raise

    answer = serve(application(act)).get("/")
    assert answer.status in (400, 500) if by == "_headers" else answer.status == 500
    assert len(raised) == 1
    assert answer.header("X-Injected") is None
    assert b"Injected" not in answer.body


@pytest.mark.parametrize("name", ["a\r\nX-Injected", "a b", "a:b", "", "\xe9", "a\0"])
def test_the_name_of_a_header_cannot_break_out(serve, name):
    answer = serve(application(lambda handler: handler.set_header(name, "1"))).get("/")
    assert answer.status == 500
    assert answer.header("X-Injected") is None


@pytest.mark.parametrize("value", ["\u20ac", "\U0001f600"])
def test_a_header_outside_of_latin_1_is_an_error(serve, value):
    assert serve(application(lambda handler: handler.set_header("X", value))).get("/").status == 500


def test_default_headers_are_on_errors_too(serve):
    class Handler(RequestHandler):
        def set_default_headers(self) -> None:
            self.set_header("Server", "Mine")
            self.set_header("X-Default", "1")

        def get(self) -> None:
            self.set_header("X-Own", "1")
            if self.get_argument("fail", None):
                raise ValueError

    server = serve(Application([("/", Handler)]))
    good, bad = server.get("/"), server.get("/?fail=1")
    assert (good.status, bad.status) == (200, 500)
    for answer in (good, bad):
        assert (answer.header("Server"), answer.header("X-Default")) == ("Mine", "1")
    assert (good.header("X-Own"), bad.header("X-Own")) == ("1", None)


def test_clear_forgets_everything(serve):
    def act(handler: RequestHandler) -> None:
        handler.set_status(404)
        handler.set_header("X-A", "1")
        handler.write("lost")
        handler.clear()
        handler.write("kept")

    answer = serve(application(act)).get("/")
    assert (answer.status, answer.reason, answer.text) == (200, "OK", "kept")
    assert answer.header("X-A") is None


@pytest.mark.parametrize(
    ("keywords", "status"),
    [({}, 302), ({"permanent": True}, 301), ({"status": 303}, 303), ({"status": 307}, 307)],
)
@pytest.mark.parametrize("url", ["/path?a=1#f", "relative", "//host/x", "https://example.com/é"])
def test_redirect(serve, url, keywords, status):
    answer = serve(application(lambda handler: handler.redirect(url, **keywords))).get("/here")
    assert (answer.status, answer.body) == (status, b"")
    assert (answer.header("Location") or "").encode("latin-1") == url.encode()


@pytest.mark.parametrize("status", [200, 299, 400, 500])
def test_redirect_with_another_status_is_an_error(serve, status):
    assert (
        serve(application(lambda handler: handler.redirect("/", status=status))).get("/").status
        == 500
    )


def test_redirect_cannot_break_out(serve):
    answer = serve(application(lambda h: h.redirect("/\r\nX-Injected: 1"))).get("/")
    assert answer.status == 500
    assert answer.header("X-Injected") is None
    assert answer.header("Location") is None


def test_redirect_behind_a_flush_is_an_error(serve):
    raised = []

    def act(handler: RequestHandler) -> None:
        handler.flush()
        with pytest.raises(RuntimeError, match="headers have been written") as error:
            handler.redirect("/")
        raised.append(error)

    assert serve(application(act)).get("/").status == 200
    assert raised


def test_require_setting(serve):
    def act(handler: RequestHandler) -> None:
        handler.require_setting("there")
        handler.require_setting("absent", "this page")

    answer = serve(application(act, there=1, serve_traceback=True)).get("/")
    assert answer.status == 500
    assert "define the 'absent' setting in your application to use this page" in answer.text


def test_static_url(serve, tmp_path):
    (tmp_path / "a b.txt").write_text("content")

    def act(handler: RequestHandler) -> None:
        handler.write(
            {
                "plain": handler.static_url("a b.txt"),
                "host": handler.static_url("a b.txt", include_host=True),
                "bare": handler.static_url("a b.txt", include_version=False),
            }
        )

    server = serve(application(act, static_path=str(tmp_path)))
    urls = json.loads(server.get("/urls").body)
    assert urls["plain"].startswith("/static/a%20b.txt?v=") or "?v=" in urls["plain"]
    assert urls["host"] == "http://localhost" + urls["plain"]
    assert "?v=" not in urls["bare"]
    assert server.get(urls["plain"].replace(" ", "%20")).text == "content"
    # The attribute is the default, for all URLs of a handler.
    server = serve(
        application(lambda h: (setattr(h, "include_host", True), h.write(h.static_url("x"))))
    )
    assert server.get("/").status == 500  # no static_path


def test_reverse_url(serve):
    class Handler(RequestHandler):
        def get(self, *args: str) -> None:
            self.write(self.reverse_url("story", "a b", 5))

    server = serve(Application([("/", Handler), (r"/story/(.*)/([0-9]+)", Handler, {}, "story")]))
    assert server.get("/").text == "/story/a%20b/5"


def test_settings_are_those_of_the_application(serve):
    def act(handler: RequestHandler) -> None:
        assert handler.settings is handler.application.settings
        handler.write(handler.settings["mark"])

    assert serve(application(act, mark="x")).get("/").text == "x"
