"""How long static files may be kept, and what clients have already."""

from __future__ import annotations

import hashlib
import os
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from static_files import DATE, ETAG, MODIFIED, TEXT, Start, expires_in
from typhoon.web import Application, RequestHandler, StaticFileHandler

FOR_GOOD = "max-age=315360000"


@pytest.mark.parametrize("version", [ETAG[1:-1], ETAG[1:6]])
def test_a_url_with_the_right_version_may_be_kept(start: Start, version: str) -> None:
    response = start().get(f"/s/robots.txt?v={version}")
    assert response.header("Cache-Control") == FOR_GOOD
    assert abs(expires_in(response) - StaticFileHandler.CACHE_MAX_AGE) < 60


@pytest.mark.parametrize("query", ["v=1", "v=" + ETAG[1:5], "v=", f"v={ETAG[1:-1]}0", "v=%ff"])
def test_a_url_with_another_version_is_asked_for_again(start: Start, query: str) -> None:
    response = start().get("/s/robots.txt?" + query)
    assert (response.status, response.body) == (200, TEXT)
    assert response.header("Cache-Control") == "no-cache"
    assert expires_in(response) <= 0
    assert response.header("Etag") == ETAG


def test_other_arguments_are_no_versions(start: Start) -> None:
    response = start().get("/s/robots.txt?version=1")
    assert response.header("Cache-Control") is None


def test_versions_of_another_making_are_believed(start: Start) -> None:
    class Handler(StaticFileHandler):
        @classmethod
        def get_version(cls, settings: Any, path: str) -> str:
            return "release-7"

    assert start(Handler).get("/s/robots.txt?v=release-7").header("Cache-Control") == FOR_GOOD


def test_a_huge_file_has_no_version(start: Start) -> None:
    class Handler(StaticFileHandler):
        MAX_VERSION_CONTENT_SIZE = 1

    response = start(Handler).get(f"/s/robots.txt?v={ETAG[1:-1]}")
    assert (response.status, response.header("Cache-Control")) == (200, "no-cache")


def test_the_url_of_a_page_may_be_kept(serve: Any, root: Path) -> None:
    class Page(RequestHandler):
        def get(self) -> None:
            self.write(self.static_url("robots.txt"))

    server = serve(Application([("/", Page)], static_path=str(root)))
    url = server.get("/").text
    assert url == f"/static/robots.txt?v={ETAG[1:-1]}"
    assert server.get(url).header("Cache-Control") == FOR_GOOD


def test_cache_time_and_extra_headers(start: Start) -> None:
    class Handler(StaticFileHandler):
        def get_cache_time(self, path, modified, mime_type):
            assert modified is not None
            assert modified.timestamp() == MODIFIED
            return 60 if (path, mime_type) == ("robots.txt", "text/plain") else 0

        def set_extra_headers(self, path):
            self.set_header("X-Path", path)

    response = start(Handler).get("/s/robots.txt")
    assert response.header("Cache-Control") == "max-age=60"
    assert response.header("X-Path") == "robots.txt"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-None-Match": ETAG}, 304),
        ({"If-None-Match": "W/" + ETAG}, 304),
        ({"If-None-Match": '"a", ' + ETAG}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"a"'}, 200),
        ({"If-None-Match": '"a"', "If-Modified-Since": DATE}, 200),
        ({"If-None-Match": ETAG, "Range": "bytes=1-4"}, 304),
        ({"If-Modified-Since": DATE}, 304),
        ({"If-Modified-Since": formatdate(MODIFIED + 1, usegmt=True)}, 304),
        ({"If-Modified-Since": formatdate(MODIFIED - 1, usegmt=True)}, 200),
        ({"If-Modified-Since": "Sunday, 13-Sep-20 12:26:40 GMT"}, 304),
        ({"If-Modified-Since": "Sun Sep 13 12:26:40 2020"}, 304),
        ({"If-Modified-Since": "Fri, 01 Jan 1960 00:00:00 GMT"}, 200),
        ({"If-Modified-Since": "!nv@l!d"}, 200),
        ({"If-Modified-Since": "Sun, 13 Sep 99999 12:26:40 GMT"}, 200),
        ({"If-Modified-Since": "Sun, 13 Sep 2020 12:26:40 +99999999999"}, 200),
        ({"If-Modified-Since": ""}, 200),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_conditions(start: Start, headers: dict[str, str], status: int, method: str) -> None:
    with start().connect() as client:
        response = client.request(method, "/s/robots.txt", headers)
        assert response.status == status
        assert response.header("Etag") == ETAG
        assert response.header("Last-Modified") == DATE
        if status == 304:
            assert response.header("Content-Length") is None
            assert response.header("Content-Type") is None
        assert client.get("/s/robots.txt").body == TEXT


def test_the_entity_tag_follows_the_content(start: Start, root: Path) -> None:
    server = start()
    path = root / "robots.txt"
    assert server.get("/s/robots.txt").header("Etag") == ETAG
    path.write_bytes(TEXT[::-1])  # of the same size
    os.utime(path, (MODIFIED, MODIFIED + 1))
    expected = f'"{hashlib.sha512(TEXT[::-1]).hexdigest()}"'
    assert server.get("/s/robots.txt").header("Etag") == expected
    replacement = root / "new"
    replacement.write_bytes(TEXT)
    os.utime(replacement, (MODIFIED, MODIFIED + 1))
    os.replace(replacement, path)
    assert server.get("/s/robots.txt").header("Etag") == ETAG


@pytest.mark.parametrize(("limit", "hashed"), [(len(TEXT), True), (len(TEXT) - 1, False)])
def test_a_huge_file_is_not_hashed(start: Start, limit: int, hashed: bool) -> None:
    class Handler(StaticFileHandler):
        MAX_VERSION_CONTENT_SIZE = limit

    server = start(Handler)
    etag = server.get("/s/robots.txt").header("Etag")
    assert etag is not None
    assert (etag == ETAG) is hashed
    assert server.get("/s/robots.txt", {"If-None-Match": etag}).status == 304


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-Match": ETAG}, 200),
        ({"If-Match": "*"}, 200),
        ({"If-Match": '"a,b", W/"c" ,' + ETAG}, 200),
        ({"If-Match": '"a"'}, 412),
        ({"If-Match": "W/" + ETAG}, 412),
        ({"If-Match": ETAG[:-1]}, 412),
        ({"If-Match": ""}, 200),
        ({"If-Match": '"a"', "If-None-Match": ETAG}, 412),
        ({"If-Match": ETAG, "If-None-Match": ETAG}, 304),
        ({"If-Match": ETAG, "If-Unmodified-Since": formatdate(1, usegmt=True)}, 200),
        ({"If-Match": ETAG, "Range": "bytes=1-4"}, 206),
        ({"If-Unmodified-Since": DATE}, 200),
        ({"If-Unmodified-Since": formatdate(MODIFIED - 1, usegmt=True)}, 412),
        ({"If-Unmodified-Since": "!nv@l!d"}, 200),
    ],
)
def test_preconditions(start: Start, headers: dict[str, str], status: int) -> None:
    with start().connect() as client:
        response = client.get("/s/robots.txt", headers)
        assert response.status == status
        assert (response.body == TEXT) is (status == 200)
        assert client.get("/s/robots.txt").body == TEXT
