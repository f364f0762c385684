"""What is not to be served."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import pytest

from static_files import TEXT, Start
from typhoon.web.files.openfile import ForbiddenFileError, is_below, open_inside

# --- what is not to be served --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("missing", 404),
        ("dir/missing", 404),
        ("robots.txt/x", 404),
        ("a" * 5000, 404),
        ("%00", 404),
        ("robots.txt%00.png", 404),
        ("dir", 403),
        ("dir/", 403),
        ("", 403),
        ("../outside/secret", 403),
        ("../root2/secret", 403),
        ("../root2", 403),
        ("..", 403),
        ("dir/../../outside/secret", 403),
        ("%2e%2e/outside/secret", 403),
        ("..%2foutside%2fsecret", 403),
        ("..%5coutside%5csecret", 404 if os.sep == "/" else 403),
        ("..%252foutside%252fsecret", 404),
        ("%C0%AE%C0%AE/outside/secret", 400),
        ("robots.txt%ED%B3%BF", 400),
        ("../root/robots.txt", 200),
        ("dir/../robots.txt", 200),
        ("./robots.txt", 200),
        ("//etc/passwd", 403),
        ("/etc/passwd", 403),
        ("%2fetc%2fpasswd", 403),
    ],
)
def test_paths(start: Start, path: str, status: int) -> None:
    response = start().get("/s/" + path)
    assert response.status == status
    assert b"secret" not in response.body
    if status == 200:
        assert response.body == TEXT


def test_a_refusal_is_one_warning(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    start().get("/s/../outside/secret")
    (record,) = (r for r in caplog.records if r.name == "typhoon.general")
    assert record.levelno == logging.WARNING
    assert "../outside/secret is not in root static directory" in record.getMessage()


def test_the_root_of_the_file_system(start: Start, root: Path) -> None:
    assert start(path="/").get(f"/s{root}/robots.txt").body == TEXT


def test_a_file_without_permission(start: Start, root: Path, monkeypatch: Any) -> None:
    real_open = os.open

    def refuse(path: Any, *args: Any, **kwargs: Any) -> int:
        if str(path).endswith("robots.txt"):
            raise PermissionError(13, "Permission denied", path)
        return real_open(path, *args, **kwargs)

    server = start()
    monkeypatch.setattr(os, "open", refuse)
    assert server.get("/s/robots.txt").status == 403


def test_what_is_no_file(start: Start, root: Path) -> None:
    os.mkfifo(root / "fifo")
    os.symlink("/dev/zero", root / "zero")
    server = start()
    assert server.get("/s/fifo").status == 403
    assert server.get("/s/zero").status == 403


# --- symbolic links ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("inside", 200),
        ("inside-dir/index.html", 200),
        ("relative", 200),
        ("file", 403),
        ("link-dir/secret", 403),
        ("link-dir/missing", 403),
        ("link-dir", 403),
        ("sibling", 403),
        ("dangling", 403),
        ("loop", 404),
    ],
)
def test_links(start: Start, links: Path, path: str, status: int) -> None:
    response = start().get("/s/" + path)
    assert response.status == status
    assert b"secret" not in response.body


def test_allowed_links(start: Start, links: Path) -> None:
    server = start(allowed_symlink_directory=str(links.parent))
    assert server.get("/s/file").text == "secret"
    assert server.get("/s/link-dir/secret").text == "secret"
    assert server.get("/s/sibling").text == "secret"
    assert server.get("/s/robots.txt").body == TEXT


def test_a_list_of_allowed_directories(start: Start, links: Path) -> None:
    server = start(allowed_symlink_directory=[links, links.parent / "outside"])
    assert server.get("/s/file").text == "secret"
    assert server.get("/s/robots.txt").body == TEXT
    assert server.get("/s/sibling").status == 403


def test_allowed_directories_take_the_place_of_the_root(start: Start, links: Path) -> None:
    server = start(allowed_symlink_directory=links.parent / "outside")
    assert server.get("/s/file").text == "secret"
    assert server.get("/s/robots.txt").status == 403


def test_the_root_is_a_link_that_is_changed(start: Start, root: Path) -> None:
    current = root.parent / "current"
    current.symlink_to(root)
    server = start(path=str(current))
    assert server.get("/s/robots.txt").body == TEXT
    release = root.parent / "release"
    release.mkdir()
    (release / "robots.txt").write_text("new")
    (release / "old").symlink_to(root / "dir" / "index.html")
    current.unlink()
    current.symlink_to(release)
    assert server.get("/s/robots.txt").text == "new"
    assert server.get("/s/old").status == 403


def test_without_proc(start: Start, links: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Any, *args: Any, **kwargs: Any) -> str:
        if str(path).startswith("/proc/self/fd/"):
            raise FileNotFoundError(path)
        return real(path, *args, **kwargs)

    real = os.readlink
    monkeypatch.setattr(os, "readlink", fail)
    server = start()
    assert server.get("/s/robots.txt").body == TEXT
    assert server.get("/s/inside").body == TEXT
    assert server.get("/s/file").status == 403


def test_alternate_data_streams(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(os, "name", "nt")
        for path in ("robots.txt:secret", "robots.txt::$DATA", "robots.txt:secret:$DATA"):
            with pytest.raises(ForbiddenFileError):
                open_inside(f"{root}/{path}", [str(root)])


@pytest.mark.parametrize(
    ("path", "directory", "below"),
    [
        ("/a/b", "/a", True),
        ("/a", "/a", True),
        ("/ab", "/a", False),
        ("/", "/a", False),
        ("/b", "/", True),
        ("/", "/", True),
    ],
)
def test_below(path: str, directory: str, below: bool) -> None:
    assert is_below(path, directory) is below
