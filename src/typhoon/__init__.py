"""Typhoon: an asynchronous web framework, a production HTTP server and a networking toolkit.

Its modules need not be imported one by one: `typhoon.web` is imported when it is first used.
"""

import importlib
from types import ModuleType

from typhoon._core import __version__

version = __version__
version_info = (*(int(part) for part in version.split(".")[:3]), 0)

__all__ = [
    "auth",
    "autoreload",
    "concurrent",
    "curl_httpclient",
    "escape",
    "gen",
    "http1connection",
    "httpclient",
    "httpserver",
    "httputil",
    "ioloop",
    "iostream",
    "locale",
    "locks",
    "log",
    "netutil",
    "options",
    "platform",
    "process",
    "queues",
    "routing",
    "simple_httpclient",
    "tcpclient",
    "tcpserver",
    "template",
    "testing",
    "util",
    "web",
    "websocket",
    "wsgi",
]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"typhoon.{name}")
    raise AttributeError(f"module 'typhoon' has no attribute {name!r}")
