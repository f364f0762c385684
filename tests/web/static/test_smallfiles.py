"""Small files that are kept as they were served."""

from __future__ import annotations

import os
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from static_files import DATE, ETAG, MODIFIED, TEXT, Start
from support import Server
from typhoon.web import Application, StaticFileHandler
from typhoon.web.staticfiles import small_files

FOR_GOOD = "max-age=315360000"


@pytest.fixture
def kept(start: Start, root: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server that has served robots.txt and dir/index.html already, and kept them."""
    monkeypatch.setattr("typhoon.web.static.SETTLED", -1e9)  # however new they are
    server = start()
    for path in ("robots.txt", "dir/index.html"):
        assert server.get(f"/s/{path}").status == 200
    assert len(small_files._files) == 2
    return server


def test_a_kept_file_is_served_as_before(kept: Server) -> None:
    first = kept.get("/s/robots.txt")
    StaticFileHandler.reset()
    again = kept.get("/s/robots.txt")
    without_date = [
        sorted(header for header in response.headers if header[0] != "Date")
        for response in (first, again)
    ]
    assert without_date[0] == without_date[1]
    assert first.body == again.body == TEXT


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("HEAD", {}, 200),
        ("GET", {"If-None-Match": ETAG}, 304),
        ("GET", {"If-None-Match": '"a", W/' + ETAG}, 304),
        ("GET", {"If-None-Match": '"other"'}, 200),
        ("GET", {"If-None-Match": '"other"', "If-Modified-Since": DATE}, 200),
        ("GET", {"If-Modified-Since": DATE}, 304),
        ("GET", {"Range": "bytes=1-4"}, 206),
        ("GET", {"Range": "bytes=1-4", "If-Range": '"other"'}, 200),
        ("GET", {"Range": "bytes=99-"}, 416),
        ("GET", {"If-Match": '"other"'}, 412),
        ("GET", {"If-Unmodified-Since": formatdate(1, usegmt=True)}, 412),
    ],
)
def test_conditions_on_a_kept_file(
    kept: Server, method: str, headers: dict[str, str], status: int
) -> None:
    with kept.connect() as client:
        for _ in range(2):
            response = client.request(method, "/s/robots.txt", headers)
            assert response.status == status
            if status == 304:
                assert response.header("Etag") == ETAG
                assert response.header("Last-Modified") == DATE
                assert response.header("Content-Type") is None
                assert response.header("Content-Length") is None
        response = client.get("/s/robots.txt")
        assert (response.status, response.body) == (200, TEXT)
        assert client.get(f"/s/robots.txt?v={ETAG[1:9]}").header("Cache-Control") == FOR_GOOD
        assert client.get("/s/robots.txt").header("Cache-Control") is None


def test_a_kept_file_that_changes(kept: Server, root: Path) -> None:
    path = root / "robots.txt"
    path.write_bytes(TEXT[::-1])
    os.utime(path, (MODIFIED, MODIFIED))
    response = kept.get("/s/robots.txt")
    assert response.body == TEXT[::-1]
    path.unlink()
    assert kept.get("/s/robots.txt").status == 404
    path.symlink_to(root.parent / "outside" / "secret")
    assert kept.get("/s/robots.txt").status == 403


def test_a_kept_file_whose_directory_moves_out(kept: Server, root: Path) -> None:
    moved = root.parent / "outside" / "dir"
    (root / "dir").rename(moved)
    (root / "dir").symlink_to(moved)
    assert kept.get("/s/dir/index.html").status == 403


def test_a_file_behind_a_link_is_not_kept(kept: Server, links: Path) -> None:
    for path in ("inside", "inside-dir/index.html"):
        assert kept.get(f"/s/{path}").status == 200
    assert len(small_files._files) == 2
    moved = links.parent / "outside" / "dir"
    (links / "dir").rename(moved)
    (links / "inside-dir").unlink()
    (links / "inside-dir").symlink_to(moved)
    assert kept.get("/s/inside-dir/index.html").status == 403


def test_a_kept_file_and_a_handler_that_changes(
    kept: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def set_extra_headers(self: StaticFileHandler, path: str) -> None:
        self.set_header("X-Extra", "yes")

    monkeypatch.setattr(StaticFileHandler, "set_extra_headers", set_extra_headers)
    assert kept.get("/s/robots.txt").header("X-Extra") == "yes"


def test_routes_with_another_default_file(
    serve: Any, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("typhoon.web.static.SETTLED", -1e9)
    (root / "dir" / "other.html").write_text("other")
    rules = [
        (f"/{name}/(.*)", StaticFileHandler, {"path": str(root), "default_filename": name})
        for name in ("index.html", "other.html")
    ]
    server = serve(Application([*rules, ("/none/(.*)", StaticFileHandler, {"path": str(root)})]))
    for _ in range(2):
        assert server.get("/index.html/dir/").text == "index"
        assert server.get("/other.html/dir/").text == "other"
        assert server.get("/none/dir/").status == 403
        assert server.get("/other.html/robots.txt").body == TEXT
    assert len(small_files._files) == 1
