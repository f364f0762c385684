"""The promises of «Overview» about debug mode; restarting is tested with `autoreload`."""

from collections.abc import Callable
from pathlib import Path

import pytest

from seed_examples import application_of
from support import Server

PAGE = """
class MainHandler(tornado.web.RequestHandler):
    def get(self):
        self.render("page.html", numbers=[1, 2])
"""

DEBUG = {"debug": True, "autoreload": False}


@pytest.fixture
def server(example: Callable[..., Server], tmp_path: Path) -> Server:
    static = {"static_path": str(tmp_path / "static")}
    (tmp_path / "static").mkdir()
    return example(PAGE, application=application_of("/", "MainHandler", **static, **DEBUG))


def test_templates_are_not_cached(server: Server, tmp_path: Path) -> None:
    for text in ("first", "second"):
        (tmp_path / "page.html").write_text(text + ' {% include "part.html" %}')
        (tmp_path / "part.html").write_text(text)
        assert server.get("/").text == f"{text} {text}"


def test_static_file_hashes_are_not_cached(server: Server, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text('{{ static_url("a.css") }}')
    seen = set()
    for text in ("first", "second"):
        (tmp_path / "static" / "a.css").write_text(text)
        seen.add(server.get("/").text)
        assert server.get(seen.copy().pop()).status == 200
    assert len(seen) == 2


def test_the_error_page_has_a_stack_trace(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "page.html").write_text("<p>\n{{ numbers[5] }}\n</p>")
    answer = server.get("/", {"Accept": "text/html"})
    assert answer.status == 500
    assert "IndexError: list index out of range" in answer.text
    assert "page.html" in answer.text
    assert "numbers[5]" in answer.text, "the line of the template"
    assert "self.render(" in answer.text, "the line of the handler"
