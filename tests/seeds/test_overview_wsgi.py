"""The long overview: request handlers as a WSGI application, under CGI and in Typhoon's server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support import Server
from typhoon import web
from typhoon.wsgi import WSGIContainer

PROGRAM = """
import typhoon.web
import typhoon.wsgi
import wsgiref.handlers

class MainHandler(typhoon.web.RequestHandler):
    def get(self):
        self.write("Hello, world")

if __name__ == "__main__":
    application = typhoon.wsgi.WSGIApplication([
        (r"/", MainHandler),
    ])
    wsgiref.handlers.CGIHandler().run(application)
"""


def test_a_program_under_cgi(tmp_path: Path) -> None:
    script = tmp_path / "main.py"
    script.write_text(PROGRAM)
    environ = {
        "PYTHONPATH": ":".join(filter(None, sys.path)),
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "GATEWAY_INTERFACE": "CGI/1.1",
    }
    done = subprocess.run(
        [sys.executable, str(script)],
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    assert head.startswith(b"Status: 200 OK\r\n")
    assert body == b"Hello, world"
    assert b"wsgi.WSGIApplication is deprecated" in done.stderr


DOWNLOAD = """
application = typhoon.wsgi.WSGIApplication([
    (r"/([a-z]*)", ContentHandler),
    (r"/static/tornado-0.2.tar.gz", typhoon.web.RedirectHandler,
     dict(url="https://github.com/downloads/facebook/tornado/tornado-0.2.tar.gz")),
], **settings)
"""

FOO = """
application = typhoon.wsgi.WSGIApplication([
    (r"/foo", typhoon.web.RedirectHandler, {"url":"/bar", "permanent":False}),
], **settings)
"""


class ContentHandler(web.RequestHandler):
    def get(self, page: str) -> None:
        self.write(f"content of {page}")


def defined(source: str) -> Any:
    namespace: dict[str, Any] = {"ContentHandler": ContentHandler, "settings": {}}
    exec("import typhoon.web, typhoon.wsgi", namespace)
    with pytest.warns(DeprecationWarning, match="WSGIApplication is deprecated"):
        exec(source, namespace)
    return namespace["application"]


def test_redirect_handlers(serve: Callable[..., Server]) -> None:
    server = serve(WSGIContainer(defined(DOWNLOAD)))
    answer = server.get("/static/tornado-0.2.tar.gz")
    assert answer.status == 301
    target = "https://github.com/downloads/facebook/tornado/tornado-0.2.tar.gz"
    assert answer.header("Location") == target
    assert server.get("/about").text == "content of about"
    answer = serve(WSGIContainer(defined(FOO))).get("/foo")
    assert (answer.status, answer.reason) == (302, "Found")
    assert answer.header("Location") == "/bar"
