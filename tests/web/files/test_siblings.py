"""Precompressed files beside those that are served."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from static_files import DATE, ETAG, MODIFIED, TEXT, Start
from support import Response
from typhoon.web import Application, StaticFileHandler
from typhoon.web.files.staticfiles import HASH_SIZE

CONTENT = {"br": b"as brotli", "zst": b"as zstandard", "gz": b"as gzip, longer"}
CODING = {"br": "br", "zstd": "zst", "gzip": "gz"}


@pytest.fixture(params=["new", "kept"])
def settled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are too new to be kept, or old enough."""
    if request.param == "kept":
        for module in ("static", "siblings"):
            monkeypatch.setattr(f"typhoon.web.files.{module}.SETTLED", -1e9)


@pytest.fixture(autouse=True)
def siblings(settled: None, root: Path) -> None:
    for suffix, content in CONTENT.items():
        add(root / f"robots.txt.{suffix}", content)


def add(path: Path, content: bytes, modified: int = MODIFIED) -> None:
    path.write_bytes(content)
    os.utime(path, (modified, modified))


def check(response: Response, coding: str | None) -> None:
    """This is robots.txt with this coding, whole and well described."""
    content = CONTENT[CODING[coding]] if coding else TEXT
    assert response.status == 200
    assert response.body == content
    assert response.header("Content-Length") == str(len(content))
    assert response.header("Content-Encoding") == coding
    assert response.header("Content-Type") == "text/plain"
    assert response.header("Etag") == f'"{hashlib.sha512(content).hexdigest()}"'
    assert response.header("Last-Modified") == DATE
    assert response.header("Vary") == "Accept-Encoding"


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        (None, None),
        ("", None),
        ("identity", None),
        ("deflate", None),
        ("gzip, deflate, br, zstd", "br"),
        ("gzip, zstd", "zstd"),
        ("gzip", "gzip"),
        ("br;q=0.1, gzip", "gzip"),
        ("br;q=0, *", "zstd"),
        ("gzip;q=0.5, identity", None),
        ("*", "br"),
    ],
)
def test_what_the_client_likes_best(start: Start, accepted: str | None, coding: str | None) -> None:
    headers = {} if accepted is None else {"Accept-Encoding": accepted}
    with start().connect() as client:
        for _ in range(3):
            check(client.get("/s/robots.txt", headers), coding)
            check(client.get("/s/robots.txt"), None)


def test_clients_of_all_kinds_in_turn(start: Start) -> None:
    with start().connect() as client:
        for coding in [*CODING, *reversed(CODING), *CODING]:
            check(client.get("/s/robots.txt", {"Accept-Encoding": coding}), coding)


def test_head_conditions_and_ranges_are_about_the_encoded_content(start: Start) -> None:
    accepted = {"Accept-Encoding": "gzip"}
    content = CONTENT["gz"]
    with start().connect() as client:
        for _ in range(2):
            response = client.get("/s/robots.txt", accepted)
            check(response, "gzip")
            tag = response.header("Etag") or ""
            head = client.request("HEAD", "/s/robots.txt", accepted)
            assert head.header("Content-Length") == str(len(content))
            assert head.header("Content-Encoding") == "gzip"
            response = client.get("/s/robots.txt", {**accepted, "If-None-Match": tag})
            assert (response.status, response.header("Vary")) == (304, "Accept-Encoding")
            assert response.header("Etag") == tag
            assert client.get("/s/robots.txt", {**accepted, "If-None-Match": ETAG}).status == 200
            response = client.get("/s/robots.txt", {**accepted, "Range": "bytes=3-6"})
            assert (response.status, response.body) == (206, content[3:7])
            assert response.header("Content-Range") == f"bytes 3-6/{len(content)}"
            assert response.header("Content-Encoding") == "gzip"
            resumed = {**accepted, "Range": "bytes=3-6", "If-Range": ETAG}
            check(client.get("/s/robots.txt", resumed), "gzip")
            response = client.get("/s/robots.txt", {**accepted, "Range": "bytes=99-"})
            assert (response.status, response.header("Content-Encoding")) == (416, None)
            assert response.header("Content-Range") == f"bytes */{len(content)}"


def test_a_version_is_that_of_the_original(start: Start) -> None:
    response = start().get(f"/s/robots.txt?v={ETAG[1:-1]}", {"Accept-Encoding": "br"})
    check(response, "br")
    assert response.header("Cache-Control") == "max-age=315360000"


def test_large_files(start: Start, root: Path, loop_kind: str) -> None:
    original, encoded = os.urandom(3 * HASH_SIZE), os.urandom(2 * HASH_SIZE)
    add(root / "large.js", original)
    add(root / "large.js.zst", encoded)
    with start(settings={"loop_kind": loop_kind}).connect() as client:
        version = hashlib.sha512(original).hexdigest()
        response = client.get(f"/s/large.js?v={version}", {"Accept-Encoding": "zstd"})
        assert response.header("Content-Encoding") == "zstd"
        assert response.header("Content-Type") in ("text/javascript", "application/javascript")
        assert response.header("Cache-Control") == "max-age=315360000"
        assert response.body == encoded
        assert client.get("/s/large.js").body == original


def test_a_default_file(start: Start, root: Path) -> None:
    add(root / "dir" / "index.html.gz", b"encoded", MODIFIED + 10**9)
    response = start(default_filename="index.html").get("/s/dir/", {"Accept-Encoding": "gzip"})
    assert (response.body, response.header("Content-Type")) == (b"encoded", "text/html")


def test_an_encoded_file_by_its_own_name(start: Start) -> None:
    response = start().get("/s/robots.txt.gz", {"Accept-Encoding": "gzip"})
    assert response.body == CONTENT["gz"]
    assert response.header("Content-Encoding") is None
    assert response.header("Content-Type") == "application/gzip"
    assert response.header("Vary") is None


def test_without_siblings_nothing_varies(start: Start) -> None:
    with start().connect() as client:
        for _ in range(2):
            response = client.get("/s/dir/index.html", {"Accept-Encoding": "br, gzip"})
            assert (response.text, response.header("Vary")) == ("index", None)


def test_small_ones_are_kept(start: Start, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("static", "siblings"):
        monkeypatch.setattr(f"typhoon.web.files.{module}.SETTLED", -1e9)
    kinds = [{}, *({"Accept-Encoding": coding} for coding in CODING)]
    with start().connect() as client:
        first = [client.get("/s/robots.txt", headers) for headers in kinds]
        plain = client.get("/s/dir/index.html", {"Accept-Encoding": "br"})
        monkeypatch.delattr("typhoon.web.files.openfile.os.open")
        for headers, before in zip(kinds, first, strict=True):
            again = client.get("/s/robots.txt", headers)
            check(again, headers.get("Accept-Encoding"))
            assert dict(again.headers).keys() == dict(before.headers).keys()
        assert client.get("/s/dir/index.html", {"Accept-Encoding": "br"}).body == plain.body
        assert client.get("/s/dir/index.html").body == plain.body


# --- what is not taken ---------------------------------------------------------------------------


def test_an_older_one_is_passed_over(start: Start, root: Path) -> None:
    os.utime(root / "robots.txt.br", (MODIFIED, MODIFIED - 1))
    accepted = {"Accept-Encoding": "br, gzip;q=0.5"}
    with start().connect() as client:
        for _ in range(2):
            check(client.get("/s/robots.txt", accepted), "gzip")
            check(client.get("/s/robots.txt", {"Accept-Encoding": "br"}), None)


def test_a_fraction_of_a_second_is_not_older(start: Start, root: Path) -> None:
    os.utime(root / "robots.txt", ns=(0, MODIFIED * 10**9 + 999))
    check(start().get("/s/robots.txt", {"Accept-Encoding": "br"}), "br")


def test_links_and_what_is_no_file(start: Start, root: Path) -> None:
    add(root.parent / "outside" / "encoded", b"secret")
    for name in ("robots.txt.br", "robots.txt.zst"):
        (root / name).unlink()
    (root / "robots.txt.br").symlink_to(root.parent / "outside" / "encoded")
    (root / "robots.txt.zst").mkdir()
    with start().connect() as client:
        for _ in range(2):
            check(client.get("/s/robots.txt", {"Accept-Encoding": "br, zstd"}), None)
            check(client.get("/s/robots.txt", {"Accept-Encoding": "br, zstd, gzip;q=0.1"}), "gzip")
    server = start(allowed_symlink_directory=str(root.parent))
    assert server.get("/s/robots.txt", {"Accept-Encoding": "br"}).body == b"secret"


def test_changes(start: Start, root: Path) -> None:
    accepted = {"Accept-Encoding": "br"}

    def changed() -> None:
        """The directory has another time now, even if all of this takes less than a tick."""
        os.utime(root, ns=(0, root.stat().st_mtime_ns + 10**7))

    with start().connect() as client:
        check(client.get("/s/robots.txt", accepted), "br")
        (root / "robots.txt.br").unlink()
        changed()
        check(client.get("/s/robots.txt", accepted), None)
        check(client.get("/s/robots.txt"), None)
        add(root / "robots.txt.br", b"new")
        changed()
        assert client.get("/s/robots.txt", accepted).body == b"new"
        add(root / "robots.txt.br", b"changed in place", MODIFIED + 1)
        assert client.get("/s/robots.txt", accepted).body == b"changed in place"
        add(root / "robots.txt", b"newer", MODIFIED + 2)
        response = client.get("/s/robots.txt", accepted)
        assert (response.body, response.header("Content-Encoding")) == (b"newer", None)
        (root / "robots.txt").unlink()
        assert client.get("/s/robots.txt", accepted).status == 404


# --- who does not want it ------------------------------------------------------------------------


class Off(StaticFileHandler):
    precompressed = False


class OtherContent(StaticFileHandler):
    @classmethod
    def get_content(cls, abspath: str, start: int | None = None, end: int | None = None) -> Any:
        return b"".join(super().get_content(abspath, start, end))  # type: ignore[arg-type]


class OtherTag(StaticFileHandler):
    def compute_etag(self) -> str:
        return '"mine"'


@pytest.mark.parametrize("handler", [Off, OtherContent, OtherTag])
def test_a_class_without_siblings(start: Start, handler: type[StaticFileHandler]) -> None:
    response = start(handler).get("/s/robots.txt", {"Accept-Encoding": "br"})
    assert (response.body, response.header("Vary")) == (TEXT, None)


def test_the_setting(serve: Any, root: Path) -> None:
    off = serve(Application([], static_path=root, static_precompressed=False))
    on = serve(Application([], static_path=root))
    accepted = {"Accept-Encoding": "br"}
    for _ in range(2):
        response = off.get("/static/robots.txt", accepted)
        assert (response.body, response.header("Vary")) == (TEXT, None)
        check(on.get("/static/robots.txt", accepted), "br")
        check(on.get("/robots.txt"), None)


def test_a_class_with_extra_headers(start: Start) -> None:
    class Handler(StaticFileHandler):
        def set_extra_headers(self, path: str) -> None:
            self.set_header("Vary", "Origin")

    response = start(Handler).get("/s/robots.txt", {"Accept-Encoding": "br"})
    assert response.body == CONTENT["br"]
    assert response.header("Vary") == "Origin, Accept-Encoding"


def test_together_with_compression(serve: Any, root: Path) -> None:
    rule = ("/s/(.*)", StaticFileHandler, {"path": root})
    server = serve(Application([rule], compress_response=True))
    check(server.get("/s/robots.txt", {"Accept-Encoding": "br"}), "br")
