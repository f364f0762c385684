"""The guide and the README do what they say: every block of code in them is run.

A page is run from top to bottom in a folder and a namespace of its own:

- A `python` block is executed; what looks like a session (`>>>`) is a doctest; and what ends by
  running an event loop is a program, which is started.
- A block below `<!-- file: NAME -->` is written to that file in the folder.
- A comment that starts with a line `<!-- test` is Python that is run in its place, which mostly
  asks what the code above it answers. It has, besides all names of the page:
  `serve(rules_or_application, **settings)`, a server; and `program`, a connection to the last
  program.
"""

from __future__ import annotations

import contextlib
import doctest
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from programs import running_program
from support import Server
from typhoon import locale
from typhoon.httpclient import AsyncHTTPClient
from typhoon.template.parser import _SIMPLE
from typhoon.web import Application

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "docs" / "guide"
PAGES = [ROOT / "README.md", *sorted(GUIDE.glob("*.md"))]

PIECE = re.compile(
    r"^<!-- test\n(?P<test>.*?)^-->$"
    r"|^(?:<!-- file: (?P<file>\S+) -->\n)?^```(?P<language>\w*)\n(?P<code>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
GUARD = '\nif __name__ == "__main__":\n'
PROGRAM_ENDS = ("asyncio.run(", "IOLoop.current().start()")
LINK = re.compile(r"\]\(([^)#:]+)?(?:#([^)]+))?\)")
SETTING = re.compile(r'settings(?:\.get\(|\.setdefault\(|\[)"(\w+)"')


class Piece(NamedTuple):
    kind: str
    """"test", or the language of the block."""
    file: str | None
    code: str
    line: int
    """Lines of the page above the code."""


def pieces(text: str) -> Iterator[Piece]:
    for match in PIECE.finditer(text):
        group = "code" if match["test"] is None else "test"
        line = text.count("\n", 0, match.start(group))
        yield Piece(match["language"] or group, match["file"], match[group], line)


def names_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture
def clean_locale() -> Iterator[None]:
    saved = locale._translations, locale._supported_locales, locale._use_gettext
    yield
    locale._translations, locale._supported_locales, locale._use_gettext = saved
    locale.Locale._cache = {}


@pytest.fixture
def usual_client() -> Iterator[None]:
    saved = AsyncHTTPClient._save_configuration()
    yield
    AsyncHTTPClient._restore_configuration(saved)


@pytest.fixture
def clean_log() -> Iterator[None]:
    logger = logging.getLogger("typhoon")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.mark.usefixtures("clean_locale", "usual_client", "clean_log")
@pytest.mark.parametrize("page", PAGES, ids=names_of)
def test_code(
    page: Path, serve: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def serve_page(target: Any, **settings: Any) -> Server:
        return serve(target if not isinstance(target, list) else Application(target, **settings))

    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    names: dict[str, Any] = {"__name__": "page", "serve": serve_page}
    with contextlib.ExitStack() as stack:
        for kind, file, code, line in pieces(page.read_text("utf-8")):
            if file is not None:
                Path(file).parent.mkdir(parents=True, exist_ok=True)
                Path(file).write_text(code, "utf-8")
            if kind not in ("python", "test"):
                continue
            if kind == "python" and code.splitlines()[-1].lstrip().startswith(PROGRAM_ENDS):
                names["program"] = stack.enter_context(running_program(code, tmp_path))
                if GUARD not in code:
                    continue  # it would run here
            if code.startswith(">>> "):
                check_session(code, names, page, line)
            else:
                # Tracebacks show the lines of the page.
                exec(compile("\n" * line + code, str(page), "exec"), names)


def check_session(code: str, names: dict[str, Any], page: Path, line: int) -> None:
    test = doctest.DocTestParser().get_doctest(code, names, page.name, str(page), line)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    report: list[str] = []
    runner.run(test, out=report.append, clear_globs=False)
    names.update(test.globs)
    assert not runner.failures, "".join(report)


def slug(title: str) -> str:
    """The anchor that a heading gets."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", [*PAGES, *sorted((ROOT / "docs").glob("*.md"))], ids=names_of)
def test_links(page: Path) -> None:
    for target, anchor in LINK.findall(PIECE.sub("", page.read_text("utf-8"))):
        file = page.parent / target if target else page
        assert file.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.*)$", file.read_text("utf-8"), re.MULTILINE)
            assert anchor in map(slug, titles), f"{target}#{anchor}"


def test_the_index_names_every_page() -> None:
    named = {target for target, _ in LINK.findall((GUIDE / "index.md").read_text("utf-8"))}
    assert {page.name for page in GUIDE.glob("*.md")} - {"index.md"} <= named


def test_the_table_of_tags_is_complete() -> None:
    in_table = set(re.findall(r"\{% (\w+)", (GUIDE / "templates.md").read_text("utf-8")))
    assert in_table >= _SIMPLE.keys()


def test_the_table_of_settings_is_complete() -> None:
    table = (GUIDE / "debugging.md").read_text("utf-8").partition("## All settings")[2]
    described = set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE))
    read = {
        name
        for file in (ROOT / "src" / "typhoon").rglob("*.py")
        for name in SETTING.findall(file.read_text("utf-8"))
    }
    assert described == read - {"gzip"}  # deprecated
    docstring = set(re.findall(r"`(\w+)[`(]", Application.__doc__ or ""))
    assert described <= docstring
