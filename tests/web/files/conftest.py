"""A directory to serve, and a server for it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from static_files import MODIFIED, TEXT, Start
from support import Server
from typhoon.web import Application, StaticFileHandler


@pytest.fixture(autouse=True)
def fresh_versions() -> None:
    StaticFileHandler.reset()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory to serve, `root`, among others that are not to be served."""
    root = tmp_path / "root"
    (root / "dir").mkdir(parents=True)
    (root / "robots.txt").write_bytes(TEXT)
    os.utime(root / "robots.txt", (MODIFIED, MODIFIED))
    (root / "dir" / "index.html").write_text("index")
    (root / "empty").write_bytes(b"")
    (tmp_path / "root2").mkdir()
    (tmp_path / "root2" / "secret").write_text("secret")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    return root


@pytest.fixture
def start(serve: Any, root: Path) -> Start:
    """`start(**arguments of the handler)` serves the directory below /s/."""

    def start(handler: Any = StaticFileHandler, settings: Any = None, **arguments: Any) -> Server:
        arguments = {"path": str(root), **arguments}
        return serve(Application([("/s/(.*)", handler, arguments)], **(settings or {})))

    return start


@pytest.fixture
def links(root: Path) -> Path:
    """A directory with links that stay inside, and links that lead out of it."""
    outside = root.parent / "outside"
    for name, target in {
        "inside": root / "robots.txt",
        "inside-dir": root / "dir",
        "relative": Path("dir/../robots.txt"),
        "file": outside / "secret",
        "link-dir": outside,
        "sibling": root.parent / "root2" / "secret",
        "dangling": outside / "missing",
        "loop": root / "loop",
    }.items():
        os.symlink(target, root / name)
    return root
