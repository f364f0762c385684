"""Small files that are kept as they were served."""

from __future__ import annotations

import os
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from static_files import DATE, ETAG, MODIFIED, TEXT, Start, expires_in
from support import Server
from typhoon.web import Application, StaticFileHandler
from typhoon.web.files.staticfiles import small_files

FOR_GOOD = "max-age=315360000"


@pytest.fixture
def kept(start: Start, root: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server that has served robots.txt and dir/index.html already, and kept them."""
    monkeypatch.setattr("typhoon.web.files.static.SETTLED", -1e9)  # however new they are
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
    assert response.header("Etag") != ETAG
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
    monkeypatch.setattr("typhoon.web.files.static.SETTLED", -1e9)
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


# Versioned URLs

VERSION = ETAG[1:-1]


def not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on nothing but what is kept can be served."""

    def refuse(path: str, *_: object) -> None:
        raise AssertionError(f"{path} was opened")

    monkeypatch.setattr("typhoon.web.files.representation.open_for_client", refuse)


@pytest.mark.parametrize("version", [VERSION, VERSION[:5]])
@pytest.mark.parametrize("first", ["", "?v=" + VERSION])
def test_a_kept_file_by_its_version(
    kept: Server, monkeypatch: pytest.MonkeyPatch, first: str, version: str
) -> None:
    url = f"/s/robots.txt?v={version}"
    opened = kept.get(url)
    StaticFileHandler.reset()
    assert kept.get("/s/robots.txt" + first).body == TEXT
    not_opened(monkeypatch)
    response = kept.get(url)
    varying = ("Date", "Expires")
    assert sorted(header for header in response.headers if header[0] not in varying) == sorted(
        header for header in opened.headers if header[0] not in varying
    )
    assert (response.body, response.header("Cache-Control")) == (TEXT, FOR_GOOD)
    assert abs(expires_in(response) - StaticFileHandler.CACHE_MAX_AGE) < 60
    response = kept.get(url, {"If-None-Match": ETAG})
    assert (response.status, response.header("Cache-Control")) == (304, FOR_GOOD)
    assert kept.get("/s/robots.txt").header("Cache-Control") is None


@pytest.mark.parametrize(
    ("query", "cache"),
    [
        ("v=" + VERSION[:4], "no-cache"),
        (f"v={VERSION}0", "no-cache"),
        (f"v=%{ord(VERSION[0]):x}{VERSION[1:]}", FOR_GOOD),
        (f"v=0&v={VERSION}", FOR_GOOD),
        (f"v={VERSION}&v=0", "no-cache"),
        (f"v={VERSION}&lang=de", FOR_GOOD),
        ("w=" + VERSION, None),
        ("v", "no-cache"),
    ],
)
def test_a_kept_file_and_other_queries(kept: Server, query: str, cache: str | None) -> None:
    response = kept.get("/s/robots.txt?" + query)
    assert (response.body, response.header("Cache-Control")) == (TEXT, cache)


def test_the_version_of_a_kept_file_that_changes(kept: Server, root: Path) -> None:
    url = f"/s/robots.txt?v={VERSION}"
    assert kept.get(url).header("Cache-Control") == FOR_GOOD
    path = root / "robots.txt"
    path.write_bytes(TEXT[::-1])
    os.utime(path, (MODIFIED, MODIFIED))
    response = kept.get(url)
    assert (response.body, response.header("Cache-Control")) == (TEXT[::-1], "no-cache")


def test_versions_that_may_not_be_cached(kept: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StaticFileHandler, "CACHE_MAX_AGE", 0)
    for _ in range(2):
        response = kept.get(f"/s/robots.txt?v={VERSION}")
        assert response.header("Cache-Control") == "no-cache"


@pytest.mark.parametrize("folder", ["", "dir/"])
def test_a_kept_file_with_files_beside_it(
    kept: Server, root: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.setattr("typhoon.web.files.siblings.SETTLED", -1e9)
    page = root / folder / "page.js"
    page.write_bytes(TEXT)
    (root / folder / "page.js.gz").write_bytes(b"smaller")
    url = f"/s/{folder}page.js?v={VERSION}"
    gzip, nothing = {"Accept-Encoding": "gzip"}, {"Accept-Encoding": "identity"}
    for _ in range(2):
        response = kept.get(url, gzip)
        assert (response.body, response.header("Content-Encoding")) == (b"smaller", "gzip")
        assert response.header("Cache-Control") == FOR_GOOD
        assert kept.get(url, nothing).body == kept.get(url).body == TEXT
        not_opened(monkeypatch)
    monkeypatch.undo()
    (root / folder / "page.js.gz").unlink()
    response = kept.get(url, gzip)
    assert (response.body, response.header("Content-Encoding")) == (TEXT, None)
