"""The example of «Overview»: WSGI and Google AppEngine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from seed_examples import renamed
from support import TIMEOUT

APPENGINE = """
import tornado.web
import tornado.wsgi
import wsgiref.handlers

class MainHandler(tornado.web.RequestHandler):
    def get(self):
        self.write("Hello, world")

if __name__ == "__main__":
    application = tornado.wsgi.WSGIApplication([
        (r"/", MainHandler),
    ])
    wsgiref.handlers.CGIHandler().run(application)
"""


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [("/", "200 OK", "Hello, world"), ("/absent", "404 Not Found", "404: Not Found")],
)
def test_a_program_for_cgi(tmp_path: Path, path: str, status: str, text: str) -> None:
    """A web server starts it for each request (RFC 3875)."""
    script = tmp_path / "program.py"
    script.write_text(renamed(APPENGINE))
    request = {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "REMOTE_ADDR": "127.0.0.1",
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
    }
    process = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, **request},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    head, _, body = process.stdout.partition("\n\n")
    assert head.split("\n")[0] == f"Status: {status}", process.stderr
    assert "Content-Type: text/html; charset=UTF-8" in head
    assert text in body
