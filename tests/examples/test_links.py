"""The example that checks links finds those that are broken."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from support import Server
from typhoon.web import Application, RequestHandler

LINKS = Path(__file__).resolve().parents[2] / "examples" / "links.py"
PAGES = {
    "/": """<a href="a">1</a> <a href=/b#part>2</a> <a href="mailto:me@example.com">3</a>
            <a href="http://127.0.0.1:9/">4</a> <img src="/missing.png"> <a href="/moved">5</a>
            <a href="{elsewhere}/there">6</a> <a href="{elsewhere}/gone">7</a>""",
    "/a": "<a href=/>back</a> <a href='ftp://example.com/'>ftp</a>",
    "/b": "<a href=/c>on</a>",
}


class Page(RequestHandler):
    def get(self) -> None:
        if self.request.path == "/moved":
            self.redirect("/b")
        elif text := PAGES.get(self.request.path):
            self.write(text.replace("{elsewhere}", self.settings["elsewhere"]))
        else:
            self.send_error(404)


class Elsewhere(RequestHandler):
    """Knows no HEAD, and the page must not be read."""

    def head(self) -> None:
        self.send_error(405 if self.request.path == "/there" else 404)


def check(*arguments: str) -> tuple[int, list[str], str]:
    command = [sys.executable, str(LINKS), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout.splitlines(), done.stderr


def test_links(serve: Callable[..., Server]) -> None:
    elsewhere = serve(Application([(".*", Elsewhere)])).url("")
    site = serve(Application([(".*", Page)], elsewhere=elsewhere)).url("")
    code, lines, errors = check(site, "--at-once=3")
    assert (code, errors) == (1, "")
    *broken, summary = lines
    assert summary == "9 links, 4 broken"
    assert sorted(line.partition(": ")[2].split(": ")[0] for line in broken) == sorted(
        [f"{site}/c", f"{site}/missing.png", f"{elsewhere}/gone", "http://127.0.0.1:9/"]
    )
    assert f"{site}/: {site}/missing.png: HTTP 404: Not Found" in broken


class Fine(RequestHandler):
    def get(self) -> None:
        self.write("<a href=again>here</a>")


def test_a_site_in_order(serve: Callable[..., Server]) -> None:
    site = serve(Application([("/(?:again)?", Fine)])).url("/")
    assert check(site) == (0, ["2 links, 0 broken"], "")
