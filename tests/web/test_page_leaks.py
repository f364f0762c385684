"""What pages leave behind: no reference cycles, also when they fail or nobody waits for them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from test_leaks import no_cycles, settle
from typhoon.httpserver import HTTPServer
from typhoon.iostream import StreamClosedError
from typhoon.tcpclient import TCPClient
from typhoon.template import DictLoader
from typhoon.testing import bind_unused_port
from typhoon.web import Application, RequestHandler, UIModule, authenticated

LARGE = 8 * 1024 * 1024
TEMPLATES = {
    "base.html": "<head></head><body>{% block body %}{% end %}</body>",
    "page.html": '{% extends "base.html" %}{% block body %}{% module Part(1) %}{{ _("x") }}'
    '{{ current_user }}{% module Template("inner.html", a=1) %}{{ locale.code }}{% end %}',
    "inner.html": '{{ set_resources(embedded_css="a {}") }}{{ a }}{{ handler.request.path }}',
    "failing.html": "{% for a in [1] %}{{ 1 / 0 }}{% end %}",
    "module.html": "{% module Failing() %}",
    "wrong.html": "{% if %}",
}


class Part(UIModule):
    def render(self, number: int) -> bytes:
        return self.render_string("inner.html", a=number, set_resources=lambda **_: "")

    def embedded_css(self) -> str:
        return "b {}"

    def html_body(self) -> str:
        return self.handler.request.path


class Failing(UIModule):
    def render(self) -> str:
        return str(1 / 0)


class Page(RequestHandler):
    def get_current_user(self) -> str | None:
        user = self.get_signed_cookie("user")
        return user.decode() if user else self.get_argument("user", None)

    def get(self, name: str) -> Any:
        if name == "user":
            return self.private()
        if name == "file":
            return self.send_file(__file__)
        self.set_signed_cookie("user", "ada")
        self.set_cookie("plain", "1")
        self.xsrf_token  # sets a cookie, too
        return self.render(name + ".html")

    @authenticated
    def private(self) -> None:
        raise ZeroDivisionError

    def post(self, name: str) -> None:
        raise AssertionError


class OldPage(RequestHandler):
    def get(self) -> None:
        raise ZeroDivisionError

    def get_error_html(self, status_code: int, **kwargs: Any) -> str:
        return f"{status_code} {kwargs['exception']!r}"


class Large(RequestHandler):
    async def get(self, how: str) -> None:
        if how == "file":
            await self.send_file(self.settings["large"])
            return
        for _ in range(LARGE // 65536):
            self.write(b"x" * 65536)
            await self.flush()


@contextlib.contextmanager
def serving(tmp_path: Any, **settings: Any) -> Iterator[int]:
    large = tmp_path / "large.bin"
    with large.open("wb") as file:
        file.truncate(LARGE)
    (tmp_path / "small.txt").write_text("small" * 1000)
    application = Application(
        [
            (r"/page/(\w+)", Page),
            (r"/old", OldPage),
            (r"/large/(\w+)", Large),
        ],
        template_loader=DictLoader(TEMPLATES),
        ui_modules=[{"Part": Part, "Failing": Failing}],
        cookie_secret="s",
        login_url="/login",
        xsrf_cookies=True,
        static_path=str(tmp_path),
        large=str(large),
        **settings,
    )
    server = HTTPServer(application)
    sock, port = bind_unused_port()
    server.add_socket(sock)
    try:
        yield port
    finally:
        server.stop()


async def visit(port: int, request: str, most: int | None = None) -> bytes:
    """What is answered; the client goes when it has got `most` bytes."""
    client = await TCPClient().connect("127.0.0.1", port)
    head = "Host: a\r\nConnection: close\r\nAccept: text/html\r\nAccept-Encoding: gzip\r\n"
    await client.write(f"{request} HTTP/1.1\r\n{head}\r\n".encode())
    try:
        if most is None:
            return await client.read_until_close()
        return await client.read_bytes(most)
    except StreamClosedError:
        return b""
    finally:
        client.close()


@pytest.mark.filterwarnings("ignore:.*get_error_html:DeprecationWarning")
@pytest.mark.parametrize("settings", [{}, {"serve_traceback": True}, {"compress_response": True}])
@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET /page/page", 200),
        ("GET /page/failing", 500),
        ("GET /page/module", 500),
        ("GET /page/wrong", 500),
        ("GET /page/missing", 500),
        ("GET /page/user", 302),
        ("GET /page/user?user=a", 500),
        ("GET /page/user?user=%ff", 400),
        ("GET /page/file", 200),
        ("POST /page/page", 403),
        ("GET /nowhere", 404),
        ("GET /old", 500),
        ("GET /static/small.txt", 200),
        ("GET /static/large.bin", 200),
        ("GET /static/../x", 403),
    ],
)
def test_pages_make_no_cycles(
    run: Callable[[Any], None],
    tmp_path: Any,
    request_line: str,
    status: int,
    settings: dict[str, Any],
) -> None:
    async def main() -> None:
        with serving(tmp_path, **settings) as port:
            answer = await visit(port, request_line)
            assert int(answer.split()[1]) == status
            await settle()
            with no_cycles():
                await visit(port, request_line)
                await settle()

    run(main)


@pytest.mark.parametrize("target", ["/static/large.bin", "/large/file", "/large/pieces"])
@pytest.mark.parametrize("settings", [{}, {"compress_response": True}])
def test_clients_that_go_in_the_middle_leave_no_cycles(
    run: Callable[[Any], None],
    tmp_path: Any,
    target: str,
    settings: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        with serving(tmp_path, **settings) as port:
            await visit(port, f"GET {target}", 100)
            await settle()
            with no_cycles():
                await visit(port, f"GET {target}", 100)
                await settle()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        assert not [task for task in tasks if "handler" in repr(task)]

    run(main)
    assert [record for record in caplog.records if record.name != "asyncio"] == []
