"""Subclasses of StaticFileHandler."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from static_files import ETAG, TEXT, Start
from typhoon.web import Application, HTTPError, RequestHandler, StaticFileHandler
from typhoon.web.files.staticfiles import HASH_SIZE


class Memory(StaticFileHandler):
    """Serves from a dict."""

    contents = {"a.txt": b"content", "b.txt": b"0123456789"}

    @classmethod
    def get_absolute_path(cls, root: str, path: str) -> str:
        return "memory:" + path

    def validate_absolute_path(self, root: str, absolute_path: str) -> str | None:
        if absolute_path.removeprefix("memory:") not in self.contents:
            raise HTTPError(404)
        return absolute_path

    @classmethod
    def get_content(cls, abspath: str, start: int | None = None, end: int | None = None) -> Any:
        content = cls.contents[abspath.removeprefix("memory:")][start:end]
        return content if abspath.endswith("a.txt") else (bytes([byte]) for byte in content)

    def get_content_size(self) -> int:
        return len(self.contents[self.absolute_path.removeprefix("memory:")])

    def get_modified_time(self) -> None:
        return None


def test_content_from_elsewhere(start: Start) -> None:
    with start(Memory).connect() as client:
        for name, content in Memory.contents.items():
            response = client.get(f"/s/{name}")
            assert (response.status, response.body) == (200, content)
            assert response.header("Etag") == f'"{hashlib.sha512(content).hexdigest()}"'
            assert response.header("Last-Modified") is None
            assert response.header("Content-Type") == "text/plain"
            response = client.get(f"/s/{name}", {"Range": "bytes=2-4"})
            assert (response.status, response.body) == (206, content[2:5])
            assert client.request("HEAD", f"/s/{name}").header("Content-Length") == str(
                len(content)
            )
        assert client.get("/s/c.txt").status == 404


def test_another_content_of_files(start: Start) -> None:
    class Shouting(StaticFileHandler):
        @classmethod
        def get_content(cls, abspath: str, start: int | None = None, end: int | None = None) -> Any:
            for chunk in super().get_content(abspath, start, end):
                yield chunk.upper()

    response = start(Shouting).get("/s/robots.txt")
    assert response.body == TEXT.upper()
    assert response.header("Etag") == f'"{hashlib.sha512(TEXT.upper()).hexdigest()}"'
    assert start(Shouting).get("/s/../outside/secret").status == 403


@pytest.mark.parametrize("path", ["robots.txt", "large", "dir", "missing"])
def test_get_and_head_can_be_awaited(start: Start, root: Path, path: str) -> None:
    class Handler(StaticFileHandler):
        async def get(self, path: str, include_body: bool = True) -> None:
            await super().get(path, include_body)

        async def head(self, path: str) -> None:
            await super().head(path)

    (root / "large").write_bytes(bytes(2 * HASH_SIZE))
    with start().connect() as plain, start(Handler).connect() as client:
        for method in ("GET", "HEAD"):
            expected = plain.request(method, f"/s/{path}")
            response = client.request(method, f"/s/{path}")
            assert (response.status, response.body) == (expected.status, expected.body)
            assert response.header("Content-Length") == expected.header("Content-Length")


def test_several_roots(start: Start, root: Path) -> None:
    class Search(StaticFileHandler):
        def initialize(self, path: Any) -> None:  # without super(), and with another kind of root
            self.root = tuple(path)  # type: ignore[assignment]

        @classmethod
        def get_absolute_path(cls, roots: Any, path: str) -> str:
            candidates = [os.path.abspath(os.path.join(root, path)) for root in roots]
            return next(filter(os.path.exists, candidates), candidates[0])

        def validate_absolute_path(self, root: Any, absolute_path: str) -> str | None:
            (mine, *_) = [r for r in self.root if absolute_path.startswith(str(r) + os.sep)]
            return super().validate_absolute_path(str(mine), absolute_path)

    (root / "escape").symlink_to(root.parent / "root2" / "secret")
    server = start(Search, path=[root, root.parent / "root2"])
    assert server.get("/s/robots.txt").body == TEXT
    assert server.get("/s/secret").text == "secret"
    assert server.get("/s/escape").status == 403


def test_urls_of_another_form(serve: Any, root: Path) -> None:
    class Handler(StaticFileHandler):
        @classmethod
        def make_static_url(cls, settings: Any, path: str, include_version: bool = True) -> str:
            return f"/static/{cls.get_version(settings, path)[:8]}/{path}"

        def parse_url_path(self, url_path: str) -> str:
            return url_path.partition("/")[2]

    class Page(RequestHandler):
        def get(self) -> None:
            self.write(self.static_url("robots.txt"))

    server = serve(Application([("/", Page)], static_path=str(root), static_handler_class=Handler))
    url = server.get("/").text
    assert url == f"/static/{ETAG[1:9]}/robots.txt"
    assert server.get(url).body == TEXT


def test_no_descriptor_stays_open(start: Start, links: Path) -> None:
    if not os.path.exists("/proc/self/fd"):
        pytest.skip("there is no /proc to count descriptors in")
    (links / "large").write_bytes(bytes(2 * HASH_SIZE))
    server = start(default_filename="index.html")
    with server.connect() as client:
        client.get("/s/robots.txt")
        before = len(os.listdir("/proc/self/fd"))
        for path in ("robots.txt", "large", "dir", "dir/", "file", "missing", "..", "loop"):
            client.get("/s/" + path)
            client.request("HEAD", "/s/" + path)
            client.get("/s/" + path, {"If-None-Match": "*"})
            client.get("/s/" + path, {"Range": "bytes=99999999-"})
        assert len(os.listdir("/proc/self/fd")) == before
