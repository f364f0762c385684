"""What becomes of exceptions: error pages, logs, connections."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from typhoon.web import Application, Finish, HTTPError, MissingArgumentError, RequestHandler


class Handler(RequestHandler):
    """Does in GET what the test says, with and without a coroutine."""

    def initialize(self, action: Any) -> None:
        self.action = action

    def get(self, how: str) -> Any:
        if how == "sync":
            return self.action(self)

        async def later() -> None:
            await asyncio.sleep(0)
            self.action(self)

        return later()

    def prepare(self) -> Any:
        if self.request.path == "/prepare":
            self.action(self)


def serve_action(serve, action, **settings):
    return serve(Application([(r"/(\w+)", Handler, {"action": action})], **settings))


def throw(make: Callable[[], BaseException]) -> Any:
    def action(handler: RequestHandler) -> None:
        handler.set_header("X-Lost", "1")
        handler.set_status(201)
        handler.write("lost")
        raise make()

    return action


@pytest.fixture(params=["sync", "async", "prepare"])
def where(request):
    return request.param


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (lambda: HTTPError(), 500, "Internal Server Error"),
        (lambda: HTTPError(404), 404, "Not Found"),
        (lambda: HTTPError(403, "log %s", "it"), 403, "Forbidden"),
        (lambda: HTTPError(450, reason="Own Reason"), 450, "Own Reason"),
        (lambda: HTTPError(599), 599, "Unknown"),
        (lambda: MissingArgumentError("a"), 400, "Bad Request"),
        (lambda: ValueError("secret"), 500, "Internal Server Error"),
        (lambda: ZeroDivisionError(), 500, "Internal Server Error"),
    ],
)
def test_exceptions_become_error_pages(serve, where, error, status, reason):
    client = serve_action(serve, throw(error)).connect()
    for _ in range(2):
        answer = client.get(f"/{where}")
        assert (answer.status, answer.reason) == (status, reason)
        page = f"<html><title>{status}: {reason}</title><body>{status}: {reason}</body></html>"
        assert answer.text == page
        assert answer.header("Content-Type") == "text/html; charset=UTF-8"
        assert answer.header("X-Lost") is None


@pytest.mark.parametrize("setting", ["debug", "serve_traceback"])
def test_stack_traces_are_shown_only_if_that_is_set(serve, where, setting):
    def error() -> ValueError:
        return ValueError("secret \u20ac")

    answer = serve_action(serve, throw(error), **{setting: True}).get(f"/{where}")
    assert answer.header("Content-Type") == "text/plain"
    assert "Traceback" in answer.text
    assert "ValueError: secret \u20ac" in answer.text
    assert "secret" not in serve_action(serve, throw(error)).get(f"/{where}").text


@pytest.mark.parametrize(
    ("error", "logger", "level", "message"),
    [
        (lambda: HTTPError(404), None, None, None),
        (
            lambda: HTTPError(403, "user %s, %d %%", "x", 5),
            "typhoon.general",
            logging.WARNING,
            "403 GET /sync (127.0.0.1): user x, 5 %",
        ),
        (
            lambda: HTTPError(400, "100% %s"),
            "typhoon.general",
            logging.WARNING,
            "400 GET /sync (127.0.0.1): 100% %s",
        ),
        (
            lambda: MissingArgumentError("na%sme"),
            "typhoon.general",
            logging.WARNING,
            "400 GET /sync (127.0.0.1): Missing argument na%sme",
        ),
        (
            lambda: KeyError("k"),
            "typhoon.application",
            logging.ERROR,
            "Uncaught exception GET /sync",
        ),
    ],
)
def test_what_is_logged(serve, caplog, error, logger, level, message):
    server = serve_action(serve, throw(error))
    server.get("/sync")
    server.call()
    records = [record for record in caplog.records if record.name != "typhoon.access"]
    if logger is None:
        assert records == []
        return
    (record,) = records
    assert (record.name, record.levelno) == (logger, level)
    assert record.getMessage().startswith(message)
    assert bool(record.exc_info) == (level == logging.ERROR)


def test_a_cancellation_that_nobody_asked_for_is_an_error(serve, caplog):
    """As it comes out of a future that somebody else has cancelled."""
    client = serve_action(serve, throw(asyncio.CancelledError)).connect()
    assert [client.get("/async").status for _ in range(2)] == [500, 500]
    assert "Uncaught exception GET" in caplog.text


def test_the_text_of_errors():
    assert str(HTTPError(404)) == "HTTP 404: Not Found"
    assert str(HTTPError(404, "%s is gone", "x")) == "HTTP 404: Not Found (x is gone)"
    assert str(HTTPError(499, reason="Own")) == "HTTP 499: Own"
    assert str(HTTPError(499)) == "HTTP 499: Unknown"
    assert str(HTTPError(400, "100%")) == "HTTP 400: Bad Request (100%)"
    assert HTTPError(400, "%d%%", 5).get_message() == "5%"
    assert HTTPError(400).get_message() == ""
    assert MissingArgumentError("name").arg_name == "name"
    assert issubclass(MissingArgumentError, HTTPError)
    assert HTTPError(418, "a", 1).args == (1,)


@pytest.mark.parametrize("chunk", [None, "tail", b"tail", {"a": 1}])
def test_finish_ends_a_request_as_it_is(serve, where, chunk, caplog):
    def action(handler: RequestHandler) -> None:
        handler.set_status(402)
        handler.set_header("X-Kept", "1")
        raise Finish() if chunk is None else Finish(chunk)

    answer = serve_action(serve, action).get(f"/{where}")
    expected = {None: b"", "tail": b"tail", b"tail": b"tail"}
    body = b'{"a": 1}' if isinstance(chunk, dict) else expected[chunk]
    assert (answer.status, answer.header("X-Kept"), answer.body) == (402, "1", body)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


CHROMIUM = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
AXIOS = "application/json, text/plain, */*"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, "line"),
        ("*/*", "line"),
        ("", "line"),
        ("image/png", "line"),
        ("text/html;q=0", "line"),
        (CHROMIUM, "page"),
        ("TEXT/HTML", "page"),
        ("text/html;q=0.9, application/json;q=0.8", "page"),
        ("text/html, application/json", "page"),
        (AXIOS, "problem"),
        ("application/problem+json", "problem"),
        ("application/json; q=0.9, text/html; level=1; q=0.1", "problem"),
        ("application/json, text/html", "problem"),
        ("," * 10_000 + "text/html", "line"),
    ],
)
def test_who_gets_which_error(serve, where, accept, kind):
    server = serve_action(serve, throw(lambda: HTTPError(404, "secret")))
    answer = server.get(f"/{where}", {} if accept is None else {"Accept": accept})
    assert (answer.status, answer.reason) == (404, "Not Found")
    assert answer.header("Vary") == "Accept"
    assert "secret" not in answer.text
    if kind == "problem":
        assert answer.header("Content-Type") == "application/problem+json"
        assert json.loads(answer.text) == {"status": 404, "title": "Not Found"}
        return
    assert answer.header("Content-Type") == "text/html; charset=UTF-8"
    assert "<title>404: Not Found</title>" in answer.text
    assert ("<!DOCTYPE html>" in answer.text) == (kind == "page")


@pytest.mark.parametrize("accept", [CHROMIUM, AXIOS, "*/*"])
@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_a_body_have_none(serve, where, accept, status):
    client = serve_action(serve, throw(lambda: HTTPError(status))).connect()
    for _ in range(2):
        answer = client.get(f"/{where}", {"Accept": accept})
        assert (answer.status, answer.body) == (status, b"")
        assert answer.header("Content-Length") is None


@pytest.mark.parametrize("finishes", [True, False])
@pytest.mark.parametrize("status", [204, 304])
def test_a_page_for_an_answer_without_a_body_is_dropped(serve, where, status, finishes, caplog):
    class Own(Handler):
        def write_error(self, status_code: int, **kwargs: Any) -> None:
            self.write("page")
            if finishes:
                self.finish()

    app = Application([(r"/(\w+)", Own, {"action": throw(lambda: HTTPError(status))})])
    client = serve(app).connect()
    assert [client.get(f"/{where}").status for _ in range(2)] == [status, status]


@pytest.mark.parametrize("accept", [CHROMIUM, AXIOS, "*/*"])
def test_a_reason_from_the_client_stays_harmless(serve, where, accept):
    for reason in ("<script>alert(1)</script>", "OK\r\nX-Injected: 1"):
        server = serve_action(serve, throw(lambda: HTTPError(400, reason=reason)))  # noqa: B023
        answer = server.get(f"/{where}", {"Accept": accept})
        assert (answer.status, answer.reason) == (400, "Unknown")
        assert answer.header("X-Injected") is None
        assert "script" not in answer.text
    server = serve_action(serve, throw(lambda: HTTPError(400, reason='a & "b"')))
    assert server.get(f"/{where}", {"Accept": CHROMIUM}).text.count("a &amp; &quot;b&quot;") == 2


@pytest.mark.parametrize("accept", [CHROMIUM, AXIOS])
def test_the_type_of_the_page_is_its_own(serve, accept):
    class Own(Handler):
        def set_default_headers(self) -> None:
            self.set_header("Content-Type", "application/pdf")

    app = Application([(r"/(\w+)", Own, {"action": throw(lambda: HTTPError(404))})])
    answer = serve(app).get("/sync", {"Accept": accept})
    assert answer.header("Content-Type") in (
        "text/html; charset=UTF-8",
        "application/problem+json",
    )


def test_head_is_answered_without_the_page(serve):
    class Head(RequestHandler):
        def head(self) -> None:
            raise ValueError

    client = serve(Application([("/", Head)], serve_traceback=True)).connect()
    for accept in (CHROMIUM, AXIOS, "*/*"):
        assert client.request("HEAD", "/", {"Accept": accept}).status == 500


def test_vary_of_the_application_is_kept(serve):
    class Own(Handler):
        def set_default_headers(self) -> None:
            self.set_header("Vary", "Cookie, accept")

    app = Application([(r"/(\w+)", Own, {"action": throw(lambda: HTTPError(404))})])
    assert serve(app).get("/sync").header("Vary") == "Cookie, accept"


def test_finish_behind_finish_and_behind_flush(serve):
    def finished(handler: RequestHandler) -> None:
        handler.finish("all")
        raise Finish

    def flushed(handler: RequestHandler) -> None:
        handler.write("one ")
        handler.flush()
        handler.write("two")
        raise Finish

    assert serve_action(serve, finished).get("/sync").text == "all"
    assert serve_action(serve, flushed).get("/async").text == "one two"


def test_send_error_replaces_what_was_written(serve, where):
    def action(handler: RequestHandler) -> None:
        handler.write("lost")
        handler.set_header("X-Lost", "1")
        handler.send_error(409, reason="Own <Reason>" if where == "none" else "Own")

    answer = serve_action(serve, action).get(f"/{where}")
    assert (answer.status, answer.reason) == (409, "Own")
    assert b"lost" not in answer.body
    assert answer.header("X-Lost") is None


def test_write_error_makes_the_page(serve, where):
    seen = []

    class Own(Handler):
        def write_error(self, status_code: int, **kwargs: Any) -> None:
            seen.append(kwargs)
            self.set_header("X-Error", str(status_code))
            self.write(f"sorry: {self._reason}")

    app = Application([(r"/(\w+)", Own, {"action": throw(lambda: HTTPError(404, "why"))})])
    answer = serve(app).get(f"/{where}")
    assert (answer.status, answer.text) == (404, "sorry: Not Found")
    assert answer.header("X-Error") == "404"
    (keywords,) = seen
    typ, value, trace = keywords["exc_info"]
    assert typ is HTTPError
    assert value.log_message == "why"
    assert trace is not None


def test_keywords_of_send_error_reach_write_error(serve):
    class Own(Handler):
        def write_error(self, status_code: int, **kwargs: Any) -> None:
            assert "exc_info" not in kwargs
            self.finish(kwargs["message"])

    app = Application(
        [(r"/(\w+)", Own, {"action": lambda handler: handler.send_error(400, message="m")})]
    )
    assert serve(app).get("/sync").text == "m"


def test_a_failing_write_error_still_ends_the_request(serve, where, caplog):
    class Own(Handler):
        def write_error(self, status_code: int, **kwargs: Any) -> None:
            raise RuntimeError("in write_error")

    server = serve(Application([(r"/(\w+)", Own, {"action": throw(lambda: HTTPError(403))})]))
    client = server.connect()
    assert [client.get(f"/{where}").status for _ in range(2)] == [403, 403]
    assert "Uncaught exception in write_error" in caplog.text


def test_a_write_error_that_nobody_awaits_is_an_error(serve, where, caplog):
    class Page(Handler):
        async def write_error(self, status_code: int, **kwargs: Any) -> None:
            self.write("lost")

    action = throw(RuntimeError)
    server = serve(Application([(r"/(\w+)", Page, {"action": action})]))
    answer = server.get(f"/{where}")
    assert (answer.status, answer.body) == (500, b"")
    assert "Page.write_error() has to be awaited" in caplog.text


def test_an_error_that_cannot_be_answered_is_in_the_log(serve, where, caplog):
    class Page(Handler):
        def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
            raise RuntimeError("in send_error")

    server = serve(Application([(r"/(\w+)", Page, {"action": throw(RuntimeError)})]))
    client = server.connect()
    client.send(f"GET /{where} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    assert client.read_all()[:12] in (b"HTTP/1.1 500", b"")
    server.call()
    assert "in send_error" in caplog.text
    assert {record.name for record in caplog.records} == {"typhoon.application"}


def test_a_failing_log_exception_still_ends_the_request(serve, where, caplog):
    class Own(Handler):
        def log_exception(self, *exc_info: Any) -> None:
            raise RuntimeError("in log_exception")

    server = serve(Application([(r"/(\w+)", Own, {"action": throw(lambda: HTTPError(403))})]))
    assert server.get(f"/{where}").status == 403
    assert "Error in exception logger" in caplog.text


def test_a_failing_on_finish_is_logged_only(serve, where, caplog):
    class Own(Handler):
        def on_finish(self) -> None:
            raise RuntimeError("in on_finish")

    server = serve(Application([(r"/(\w+)", Own, {"action": lambda h: h.finish("ok")})]))
    client = server.connect()
    assert [client.get(f"/{where}").text for _ in range(2)] == ["ok", "ok"]
    server.call()
    assert "in on_finish" in caplog.text


def test_a_failing_log_function_does_not_spoil_the_connection(serve, where, caplog):
    def log_function(handler: RequestHandler) -> None:
        raise RuntimeError("in log_function")

    server = serve_action(serve, lambda h: h.finish("ok"), log_function=log_function)
    client = server.connect()
    assert [client.get(f"/{where}").text for _ in range(2)] == ["ok", "ok"]
    server.call()
    assert "in log_function" in caplog.text


@pytest.mark.parametrize("method", ["initialize", "__init__", "set_default_headers"])
def test_a_handler_that_cannot_be_made_is_a_500(serve, caplog, method):
    class Broken(RequestHandler):
        def get(self) -> None:
            pass

    def fail(self: Any, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError("cannot be made")

    setattr(Broken, method, fail)

    class Good(RequestHandler):
        def get(self) -> None:
            self.write("good")

    server = serve(Application([("/", Broken), ("/good", Good)]))
    other = server.connect()
    assert other.get("/good").text == "good"
    assert server.get("/").status == 500
    assert "cannot be made" in caplog.text
    assert other.get("/good").text == "good"


def test_a_handler_without_super_init_does_not_crash_the_server(serve):
    class Broken(RequestHandler):
        def __init__(self, application: Application, request: Any, **kwargs: Any) -> None:
            pass

        def get(self) -> None:
            self.write("x")

    class Good(RequestHandler):
        def get(self) -> None:
            self.write("good")

    server = serve(Application([("/", Broken), ("/good", Good)]))
    other = server.connect()
    assert server.get("/").status == 500
    assert other.get("/good").text == "good"


def test_errors_behind_a_flush_show_the_client_that_something_is_missing(serve, where, caplog):
    def action(handler: RequestHandler) -> None:
        handler.write("first part")
        handler.flush()
        raise ValueError("too late")

    finished = []

    class Own(Handler):
        def on_finish(self) -> None:
            finished.append(self.get_status())

    server = serve(Application([(r"/(\w+)", Own, {"action": action})]))
    client = server.connect()
    with pytest.raises((EOFError, ConnectionResetError)):
        client.get(f"/{where}")
    server.call()
    assert "Cannot send error response after headers written" in caplog.text
    assert finished == [200]


def test_a_body_that_is_not_as_long_as_its_content_length(serve, where, caplog):
    def action(handler: RequestHandler) -> None:
        handler.set_header("Content-Length", "3")
        handler.write("12345")

    server = serve_action(serve, action)
    client = server.connect()
    try:
        answer = client.get(f"/{where}")
    except (EOFError, ConnectionResetError):
        pass
    else:
        assert answer.status == 500
    server.call()
    assert [record for record in caplog.records if record.levelno == logging.ERROR]


def test_a_malformed_form_is_a_400(serve, caplog):
    class Form(RequestHandler):
        def post(self) -> None:
            self.get_body_argument("a", None)

    server = serve(Application([("/", Form)]))
    headers = {"Content-Type": "multipart/form-data"}
    client = server.connect()
    answers = [client.post("/", b"nonsense", headers) for _ in range(2)]
    assert [answer.status for answer in answers] == [400, 400]
    server.call()
    levels = {record.levelno for record in caplog.records}
    assert levels == {logging.WARNING}


def test_system_exit_is_not_an_error_of_the_request():
    """It stops the program, as it does anywhere else."""
    code = """
import asyncio, sys, urllib.request, threading
from typhoon.web import Application, RequestHandler
class Quit(RequestHandler):
    def get(self):
        sys.exit(7)
async def main():
    server = Application([("/", Quit)]).listen(0, "127.0.0.1")
    (sock,) = server._sockets.values()
    import socket
    client = socket.create_connection(sock.getsockname())
    client.sendall(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
    await asyncio.sleep(20)
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=30)
    assert done.returncode == 7, done.stderr.decode()
