"""The smallest example says what it promises."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path

from support import Server
from typhoon.web import Application

HELLO = Path(__file__).resolve().parents[2] / "examples" / "hello.py"


def test_hello(serve: Callable[..., Server]) -> None:
    handler = runpy.run_path(str(HELLO))["MainHandler"]
    assert serve(Application([(r"/", handler)])).get("/").text == "Hello, world"
