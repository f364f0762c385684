"""Requests as WSGI describes them (PEP 3333)."""

import io
import sys
from typing import Any
from urllib.parse import unquote_to_bytes

from typhoon._core import __version__
from typhoon.httputil import HTTPServerRequest, split_host_and_port

_OF_THE_CONNECTION = frozenset(("Connection", "Keep-Alive", "Transfer-Encoding", "Content-Length"))
"""Headers that do not describe what the application is given: it gets a whole, decoded body."""


def to_wsgi_str(s: bytes) -> str:
    """Bytes as the str that WSGI wants for them: each character stands for one byte."""
    return s.decode("latin-1")


def make_environ(request: HTTPServerRequest, multithread: bool) -> dict[str, Any]:
    """The environment of a request whose body has come."""
    body = request.body
    name, port = split_host_and_port(request.host.lower())
    path = request.path
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        # `OPTIONS *` has no path.
        "PATH_INFO": to_wsgi_str(unquote_to_bytes(path)) if path.startswith("/") else "",
        "QUERY_STRING": request.query,
        "REMOTE_ADDR": request.remote_ip,
        "SERVER_NAME": name,
        "SERVER_PORT": str(port or (443 if request.protocol == "https" else 80)),
        "SERVER_PROTOCOL": request.version,
        "SERVER_SOFTWARE": f"Typhoon/{__version__}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": request.protocol,
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": multithread,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    headers = request.headers
    if body or "Content-Length" in headers:
        environ["CONTENT_LENGTH"] = str(len(body))
    for header in headers:
        if header == "Content-Type":
            environ["CONTENT_TYPE"] = headers[header]
        elif header == "Cookie":
            # RFC 9113 §8.2.3: more than one are parts of one.
            environ["HTTP_COOKIE"] = "; ".join(headers.get_list(header))
        elif "_" not in header and header not in _OF_THE_CONNECTION:
            # X_Forwarded_For would pass for X-Forwarded-For, behind a proxy that sets only that.
            environ[f"HTTP_{header.replace('-', '_').upper()}"] = headers[header]
    return environ
