"""Hashing large files, which the event loop does not wait for."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from static_files import ETAG, TEXT, Start
from support import TIMEOUT, Server
from typhoon.web import Application, RequestHandler, StaticFileHandler
from typhoon.web.files.openfile import OpenFile
from typhoon.web.files.staticfiles import HASH_SIZE, _hashing

DATA = bytes(range(256)) * (2 * HASH_SIZE // 256)
VERSION = hashlib.sha512(DATA).hexdigest()


class Gate:
    """Lets hashing begin, and go on when it is told to."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.open = threading.Event()
        self.paths: list[str] = []

    def pass_through(self, file: OpenFile) -> None:
        self.paths.append(os.path.basename(file.path))
        self.begun.set()
        assert self.open.wait(TIMEOUT)


@pytest.fixture
def gate(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Stands before the hashing of the file `large`."""
    (root / "large").write_bytes(DATA)
    gate = Gate()
    digest = OpenFile.digest

    def wait_and_digest(file: OpenFile) -> str:
        if file.stat.st_size > HASH_SIZE:
            gate.pass_through(file)
        return digest(file)

    monkeypatch.setattr(OpenFile, "digest", wait_and_digest)
    yield gate
    gate.open.set()


def wait_for_hashing(server: Server) -> None:
    async def wait() -> None:
        await asyncio.gather(*(future for future in _hashing._running.values()))

    server.call(wait)


def test_others_are_served_meanwhile(start: Start, gate: Gate, loop_kind: str) -> None:
    server = start(settings={"loop_kind": loop_kind})
    with server.connect() as waiting, server.connect() as other:
        waiting.send(b"GET /s/large HTTP/1.1\r\nHost: a\r\n\r\n")
        assert gate.begun.wait(TIMEOUT)
        assert other.get("/s/robots.txt").body == TEXT
        gate.open.set()
        response = waiting.response()
        assert response.body == DATA
        assert response.header("Etag") == f'"{VERSION}"'


def test_many_at_once_hash_once(start: Start, gate: Gate) -> None:
    server = start()
    clients = [server.connect() for _ in range(10)]
    for client in clients:
        client.send(b"GET /s/large HTTP/1.1\r\nHost: a\r\n\r\n")
    assert gate.begun.wait(TIMEOUT)
    server.call()
    gate.open.set()
    assert [client.response().body == DATA for client in clients] == [True] * 10
    assert gate.paths == ["large"]
    assert _hashing._running == {}


def test_one_of_many_goes_away(start: Start, gate: Gate) -> None:
    class Handler(StaticFileHandler):
        cancel_on_disconnect = True
        cancelled = threading.Event()

        def on_connection_close(self) -> None:
            self.cancelled.set()

    server = start(Handler)
    first, second = server.connect(), server.connect()
    first.send(b"GET /s/large HTTP/1.1\r\nHost: a\r\n\r\n")
    assert gate.begun.wait(TIMEOUT)
    second.send(b"GET /s/large HTTP/1.1\r\nHost: a\r\n\r\n")
    first.close()
    assert Handler.cancelled.wait(TIMEOUT)
    gate.open.set()
    assert second.response().body == DATA
    assert server.get("/s/large").header("Etag") == f'"{VERSION}"'


@pytest.fixture
def pages(serve: Any, root: Path) -> Server:
    class Page(RequestHandler):
        def get(self, path: str) -> None:
            self.write(self.static_url(path))

    return serve(Application([("/url/(.*)", Page)], static_path=root))


def test_the_first_url_of_a_large_file_has_no_version(pages: Server, gate: Gate) -> None:
    for _ in range(3):
        assert pages.get("/url/large").text == "/static/large"
        assert pages.get("/url/robots.txt").text == f"/static/robots.txt?v={ETAG[1:-1]}"
    gate.open.set()
    wait_for_hashing(pages)
    assert pages.get("/url/large").text == f"/static/large?v={VERSION}"
    assert gate.paths == ["large"]


def test_without_a_loop_urls_have_their_versions_at_once(root: Path, gate: Gate) -> None:
    gate.open.set()
    url = StaticFileHandler.make_static_url({"static_path": root}, "large")
    assert url == f"/static/large?v={VERSION}"


def test_a_file_that_cannot_be_hashed(
    start: Start, gate: Gate, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(file: OpenFile) -> str:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(OpenFile, "digest", fail)
    response = start().get("/s/large")
    assert response.body == DATA
    assert response.header("Etag") is None
    assert "Could not open static file" in caplog.text


@pytest.mark.parametrize(("kept", "count"), [(True, 1), (False, 3)])
def test_the_setting_static_hash_cache(root: Path, kept: bool, count: int) -> None:
    reads: list[str] = []

    class Handler(StaticFileHandler):
        @classmethod
        def get_content(cls, abspath: str, start: int | None = None, end: int | None = None) -> Any:
            reads.append(abspath)
            return b"%d" % len(reads)

    settings = {"static_path": root, "static_hash_cache": kept}
    versions = {Handler.get_version(settings, "made-up") for _ in range(3)}
    assert len(reads) == len(versions) == count
