"""StaticFileHandler, as a client sees it."""

from __future__ import annotations

import gzip
import hashlib
import os
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from static_files import DATE, ETAG, TEXT, Start
from typhoon.web import Application, StaticFileHandler
from typhoon.web.files.openfile import WHOLE_SIZE
from typhoon.web.files.staticfiles import HASH_SIZE

# --- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_file(start: Start, method: str) -> None:
    response = start().connect().request(method, "/s/robots.txt")
    assert response.status == 200
    assert response.body == (TEXT if method == "GET" else b"")
    assert response.header("Content-Type") == "text/plain"
    assert response.header("Content-Length") == "26"
    assert response.header("Last-Modified") == DATE
    assert response.header("Etag") == ETAG
    assert response.header("Accept-Ranges") == "bytes"
    assert response.header("Cache-Control") is None
    assert response.header("Expires") is None


SIZES = [0, 1, WHOLE_SIZE, WHOLE_SIZE + 1, HASH_SIZE, HASH_SIZE + 1, 5 * HASH_SIZE + 3]


@pytest.mark.parametrize("size", SIZES)
def test_sizes(start: Start, root: Path, loop_kind: str, size: int) -> None:
    data = (os.urandom(1021) * (size // 1021 + 1))[:size]
    (root / "data").write_bytes(data)
    server = start(settings={"loop_kind": loop_kind})
    with server.connect() as client:
        for _ in range(2):  # on the same connection: the framing is right
            response = client.get("/s/data")
            assert response.status == 200
            assert response.header("Content-Length") == str(size)
            assert response.body == data
            assert response.header("Etag") == f'"{hashlib.sha512(data).hexdigest()}"'
        assert client.request("HEAD", "/s/data").header("Content-Length") == str(size)
        assert client.get("/s/robots.txt").body == TEXT


def test_a_large_file_over_tls_and_a_unix_socket(serve: Any, root: Path, tmp_path: Path) -> None:
    data = os.urandom(3 * HASH_SIZE)
    (root / "data").write_bytes(data)
    application = Application([("/s/(.*)", StaticFileHandler, {"path": str(root)})])
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with serve(application, ssl_options=context).connect(trusting) as client:
        assert client.get("/s/data").body == data
        assert client.get("/s/robots.txt").body == TEXT
    with serve(application, unix_path=str(tmp_path / "socket")).connect() as client:
        assert client.get("/s/data").body == data
        assert client.get("/s/robots.txt").body == TEXT


def test_a_large_file_through_a_transform(serve: Any, root: Path) -> None:
    from typhoon.web import OutputTransform

    class Upper(OutputTransform):
        def transform_first_chunk(self, status_code, headers, chunk, finishing):
            return status_code, headers, chunk.upper()

        def transform_chunk(self, chunk, finishing):
            return chunk.upper()

    (root / "data").write_bytes(b"a" * (WHOLE_SIZE * 3))
    application = Application(
        [("/s/(.*)", StaticFileHandler, {"path": str(root)})], transforms=[Upper]
    )
    assert serve(application).get("/s/data").body == b"A" * (WHOLE_SIZE * 3)


@pytest.mark.parametrize("settled", [2.0, -1e9])
def test_small_files_are_compressed_too(
    serve: Any, root: Path, monkeypatch: pytest.MonkeyPatch, settled: float
) -> None:
    monkeypatch.setattr("typhoon.web.files.static.SETTLED", settled)
    monkeypatch.setattr("typhoon.web.files.siblings.SETTLED", settled)
    rule = ("/s/(.*)", StaticFileHandler, {"path": str(root)})
    with serve(Application([rule], compress_response=True)).connect() as client:
        for _ in range(2):
            headers = {"Accept-Encoding": "gzip"}
            response = client.get("/s/robots.txt", headers)
            assert gzip.decompress(response.body) == TEXT
            assert response.header("Content-Encoding") == "gzip"
            assert response.header("Etag") == "W/" + ETAG
            head = client.request("HEAD", "/s/robots.txt", headers)
            assert head.header("Content-Encoding") == "gzip"
            plain = client.get("/s/robots.txt")
            assert (plain.body, plain.header("Etag")) == (TEXT, ETAG)
            assert plain.header("Vary") == "Accept-Encoding"


def test_a_client_that_goes_away_during_a_large_file(start: Start, root: Path) -> None:
    (root / "data").write_bytes(bytes(30 * HASH_SIZE))
    server = start()
    with server.connect() as client:
        client.send(b"GET /s/data HTTP/1.1\r\nHost: a\r\n\r\n")
        client.read_until(b"\r\n\r\n")
    assert server.get("/s/robots.txt").body == TEXT


def test_a_file_that_shrinks_while_it_is_sent_ends_the_connection(
    start: Start, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = root / "data"
    path.write_bytes(bytes(30 * HASH_SIZE))
    with start().connect() as client:
        client.send(b"GET /s/data HTTP/1.1\r\nHost: a\r\n\r\n")
        head = client.read_until(b"\r\n\r\n")
        assert b"Content-Length: 31457280\r\n" in head
        os.truncate(path, HASH_SIZE)
        with pytest.raises((EOFError, ConnectionResetError)):
            client.read_exactly(30 * HASH_SIZE)


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.css", "text/css"),
        ("a.html", "text/html"),
        ("a.tar.gz", "application/gzip"),
        ("a.xml.bz2", "application/octet-stream"),
        ("a.unknown", "application/octet-stream"),
        ("a", "application/octet-stream"),
    ],
)
def test_content_type(start: Start, root: Path, name: str, media_type: str) -> None:
    (root / name).write_text("x")
    assert start().get(f"/s/{name}").header("Content-Type") == media_type


def test_names_with_special_characters(start: Start, root: Path) -> None:
    (root / "ä b%.txt").write_text("x")
    assert start().get("/s/%C3%A4%20b%25.txt").text == "x"


def test_a_relative_root(start: Start, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root.parent)
    assert start(path="root").get("/s/robots.txt").body == TEXT


def test_the_static_path_setting(serve: Any, root: Path) -> None:
    (root / "favicon.ico").write_bytes(b"icon")
    server = serve(Application([], static_path=str(root), static_url_prefix="/files/"))
    assert server.get("/files/robots.txt").body == TEXT
    assert server.get("/robots.txt").body == TEXT
    assert server.get("/favicon.ico").body == b"icon"
    assert server.get("/dir/index.html").status == 404


# --- directories ---------------------------------------------------------------------------------


def test_a_default_file(start: Start, root: Path) -> None:
    server = start(default_filename="index.html")
    assert server.get("/s/dir/").text == "index"
    assert server.get("/s/dir/").header("Content-Type") == "text/html"
    assert server.get("/s/").status == 404
    response = server.get("/s/dir")
    assert (response.status, response.header("Location")) == (301, "/s/dir/")


def test_a_default_file_that_leads_out(start: Start, root: Path) -> None:
    (root / "index.html").symlink_to(root.parent / "outside" / "secret")
    server = start(default_filename="index.html")
    assert server.get("/s/").status == 403


def test_links_out_tell_nothing_about_what_is_there(start: Start, links: Path) -> None:
    server = start(default_filename="index.html")
    assert server.get("/s/link-dir").status == server.get("/s/dangling").status == 403


@pytest.mark.parametrize(
    "target",
    [
        *("//evil.example/../{root}/dir", "/\\evil.example/../dir"),
        *("/%2fevil.example/../{root}/dir", "/%5Cevil.example/../dir"),
    ],
)
def test_no_redirect_to_another_host(serve: Any, root: Path, target: str) -> None:
    arguments = {"path": str(root), "default_filename": "index.html"}
    server = serve(Application([("/(.*)", StaticFileHandler, arguments)]))
    response = server.get(target.format(root=root))
    assert response.status == 403
    assert response.header("Location") is None
