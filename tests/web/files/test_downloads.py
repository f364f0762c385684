"""Files as responses of ordinary handlers."""

from __future__ import annotations

import contextlib
import os
import ssl
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import trustme

from support import Client
from typhoon.web import Application, RequestHandler
from typhoon.web.files.downloads import content_disposition
from typhoon.web.files.openfile import WHOLE_SIZE

MODIFIED = 1_600_000_000
DATE = formatdate(MODIFIED, usegmt=True)
TEXT = b"0123456789"


class Download(RequestHandler):
    """Sends what it is told, with the arguments of `send_file` that it is told."""

    def initialize(self, path: Path, **options: Any) -> None:
        self.target, self.options = path, options

    async def get(self) -> None:
        await self.send_file(self.target, **self.options)

    head = post = get


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "report.txt"
    path.write_bytes(TEXT)
    os.utime(path, (MODIFIED, MODIFIED))
    return path


@pytest.fixture
def connect(serve: Any, path: Path, loop_kind: str) -> Any:
    """`connect(**arguments of send_file)`"""

    def connect(handler: Any = Download, **options: Any) -> Client:
        rule = ("/", handler, {"path": path, **options})
        return serve(Application([rule]), loop_kind=loop_kind).connect()

    return connect


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_file(connect: Any, method: str) -> None:
    client = connect()
    response = client.request(method, "/")
    assert response.status == 200
    assert response.body == (TEXT if method == "GET" else b"")
    assert response.header("Content-Length") == "10"
    assert response.header("Content-Type") == "text/plain"
    assert response.header("Content-Disposition") == 'attachment; filename="report.txt"'
    assert response.header("Last-Modified") == DATE
    assert response.header("Accept-Ranges") == "bytes"
    tag = response.header("Etag")
    assert tag
    assert client.request(method, "/", {"If-None-Match": tag}).status == 304
    assert client.request(method, "/", {"If-Modified-Since": DATE}).status == 304
    assert client.get("/").body == TEXT


@pytest.mark.parametrize("size", [0, 1, WHOLE_SIZE, WHOLE_SIZE + 1, 40 * WHOLE_SIZE + 3])
def test_sizes(connect: Any, path: Path, size: int) -> None:
    data = os.urandom(size)
    path.write_bytes(data)
    client = connect()
    for _ in range(2):
        response = client.get("/")
        assert (response.status, response.body) == (200, data)
        assert response.header("Content-Length") == str(size)
        assert response.header_list("Transfer-Encoding") == []


def test_over_tls(serve: Any, path: Path) -> None:
    data = os.urandom(40 * WHOLE_SIZE)
    path.write_bytes(data)
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    application = Application([("/", Download, {"path": path})])
    with serve(application, ssl_options=context).connect(trusting) as client:
        assert client.get("/").body == data
        headers = {"Range": "bytes=0-99999,200000-300000"}
        assert data[200_000:300_001] in client.get("/", headers).body


def test_ranges(connect: Any, path: Path) -> None:
    data = os.urandom(10 * WHOLE_SIZE)
    path.write_bytes(data)
    client = connect()
    tag = client.request("HEAD", "/").header("Etag")
    response = client.get("/", {"Range": "bytes=100000-", "If-Range": tag})
    assert (response.status, response.body) == (206, data[100_000:])
    response = client.get("/", {"Range": "bytes=100000-", "If-Range": '"other"'})
    assert (response.status, response.body) == (200, data)
    response = client.get("/", {"Range": "bytes=999999999-"})
    assert (response.status, response.header("Content-Range")) == (416, f"bytes */{len(data)}")
    assert client.get("/").body == data


def test_the_tag_follows_the_file(connect: Any, path: Path) -> None:
    client = connect()
    tag = client.get("/").header("Etag")
    os.utime(path, (MODIFIED, MODIFIED + 1))
    assert client.get("/").header("Etag") != tag
    assert client.get("/", {"If-Match": tag}).status == 412


def test_a_tag_of_ones_own(connect: Any) -> None:
    class Handler(Download):
        def prepare(self) -> None:
            self.set_header("Etag", '"mine"')
            self.set_header("Cache-Control", "private")

    client = connect(Handler)
    response = client.get("/")
    assert response.header("Etag") == '"mine"'
    assert response.header("Cache-Control") == "private"
    assert client.get("/", {"If-None-Match": '"mine"'}).status == 304


def test_conditions_and_ranges_are_for_retrieval(connect: Any) -> None:
    headers = {"Range": "bytes=1-2", "If-None-Match": "*"}
    response = connect().request("POST", "/", headers, b"")
    assert (response.status, response.body) == (200, TEXT)
    assert response.header("Content-Disposition") == 'attachment; filename="report.txt"'
    assert response.header("Accept-Ranges") is None


def test_another_status(connect: Any) -> None:
    class Handler(Download):
        def prepare(self) -> None:
            self.set_status(203)

    response = connect(Handler).get("/", {"Range": "bytes=1-2"})
    assert (response.status, response.body) == (203, TEXT)


@pytest.mark.parametrize(
    ("options", "disposition", "content_type"),
    [
        ({}, 'attachment; filename="report.txt"', "text/plain"),
        ({"filename": "a.pdf"}, 'attachment; filename="a.pdf"', "application/pdf"),
        ({"filename": "a.pdf", "attachment": False}, 'inline; filename="a.pdf"', "application/pdf"),
        ({"filename": "Report"}, 'attachment; filename="Report"', "text/plain"),
        ({"content_type": "text/x-log"}, 'attachment; filename="report.txt"', "text/x-log"),
        (
            {"filename": 'ü"\r\nX: y.txt'},
            "attachment; filename=\"u___X: y.txt\"; filename*=UTF-8''%C3%BC%22__X%3A%20y.txt",
            "text/plain",
        ),
    ],
)
def test_names_and_types(
    connect: Any, options: dict[str, Any], disposition: str, content_type: str
) -> None:
    response = connect(**options).get("/")
    assert response.header("Content-Disposition") == disposition
    assert response.header("Content-Type") == content_type
    assert response.header("X") is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a b.txt", 'filename="a b.txt"'),
        ("/etc/passwd", 'filename="passwd"'),
        ("C:\\Temp\\a.txt", 'filename="a.txt"'),
        ("", 'filename="download"'),
        ("dir/", 'filename="download"'),
        ("..", 'filename="download"'),
        ("naïve.txt", "filename=\"naive.txt\"; filename*=UTF-8''na%C3%AFve.txt"),
        (
            "отчёт.pdf",
            "filename=\"_____.pdf\"; filename*=UTF-8''%D0%BE%D1%82%D1%87%D1%91%D1%82.pdf",
        ),
        ("100%.txt", "filename=\"100_.txt\"; filename*=UTF-8''100%25.txt"),
        ("a\u202egpj.exe", 'filename="a_gpj.exe"'),
        ("a\udcff.txt", 'filename="a_.txt"'),
        ("a\x00\x7f;b.txt", 'filename="a__;b.txt"'),
    ],
)
def test_content_disposition(name: str, expected: str) -> None:
    assert content_disposition(name) == f"attachment; {expected}"
    assert content_disposition(name, attachment=False) == f"inline; {expected}"


# --- what cannot be sent -------------------------------------------------------------------------


def test_a_missing_file_can_be_answered_differently(connect: Any, path: Path) -> None:
    class Handler(Download):
        async def get(self) -> None:
            try:
                await super().get()
            except FileNotFoundError:
                self.write("gone")

    path.unlink()
    assert connect(Handler).get("/").text == "gone"


@pytest.mark.parametrize("target", ["missing", ".", "fifo", "nul\0"])
def test_a_mistake_of_the_application(
    connect: Any, path: Path, caplog: pytest.LogCaptureFixture, target: str
) -> None:
    os.mkfifo(path.parent / "fifo")
    response = connect(path=str(path.parent / target)).get("/")
    assert response.status == 500
    assert response.header("Content-Disposition") is None
    (record,) = (r for r in caplog.records if r.name == "typhoon.application")
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], OSError)


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("report.txt", 200),
        ("dir/../report.txt", 200),
        ("missing", 404),
        ("nul\0", 404),
        ("dir", 403),
        ("", 403),
        ("../secret", 403),
        ("/etc/passwd", 403),
        ("link", 403),
        ("dir/link-out/secret", 403),
    ],
)
def test_a_path_from_the_client(
    serve: Any, path: Path, tmp_path_factory: Any, target: str, status: int
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret").write_text("secret")
    root = path.parent
    (root / "dir").mkdir()
    (root / "link").symlink_to(outside / "secret")
    (root / "dir" / "link-out").symlink_to(outside)
    response = serve(Application([("/", Download, {"path": target, "root": root})])).get("/")
    assert response.status == status
    assert b"secret" not in response.body
    if status != 200:
        assert response.header("Content-Disposition") is None


def test_nothing_may_be_written_before(connect: Any, caplog: pytest.LogCaptureFixture) -> None:
    class Handler(Download):
        def prepare(self) -> None:
            self.write("before")

    assert connect(Handler).get("/").status == 500
    assert "do not call write() or flush() before it" in caplog.text


def test_no_descriptor_stays_open(connect: Any, path: Path) -> None:
    path.write_bytes(bytes(100 * WHOLE_SIZE))
    client = connect()
    # The last response but one has been sent, and the last one comes when its file is closed.
    for headers in ({}, {"Range": "bytes=-10"}, {"If-Match": '"a"'}, {"If-None-Match": "*"}):
        client.get("/", headers)
        client.request("HEAD", "/", headers)
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # one that is closed just now
            assert os.readlink(f"/proc/self/fd/{name}") != str(path)


def test_a_client_that_goes_away(connect: Any, serve: Any, path: Path) -> None:
    path.write_bytes(bytes(500 * WHOLE_SIZE))
    server = serve(Application([("/", Download, {"path": path})]))
    with server.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        client.read_until(b"\r\n\r\n")
    assert server.get("/", {"Range": "bytes=0-9"}).body == bytes(10)


# --- transforms, bytes ---------------------------------------------------------------------------


def test_compressed_on_the_way(serve: Any, path: Path) -> None:
    import gzip

    data = b"compress me " * 100_000
    path.write_bytes(data)
    server = serve(Application([("/", Download, {"path": path})], compress_response=True))
    with server.connect() as client:
        response = client.get("/", {"Accept-Encoding": "gzip"})
        assert response.header("Content-Encoding") == "gzip"
        assert gzip.decompress(response.body) == data
        assert client.get("/").body == data
        headers = {"Accept-Encoding": "gzip", "Range": "bytes=5-9"}
        response = client.get("/", headers)
        assert (response.status, response.body) == (206, data[5:10])
        assert response.header("Content-Encoding") is None


def test_bytes(serve: Any) -> None:
    class Handler(RequestHandler):
        def get(self) -> None:
            self.send_bytes(
                b"a,b\r\n", "Übersicht.csv", attachment=not self.get_argument("show", "")
            )

        head = get

    client = serve(Application([("/", Handler)])).connect()
    response = client.get("/")
    assert response.body == b"a,b\r\n"
    assert response.header("Content-Type") == "text/csv"
    disposition = response.header("Content-Disposition")
    assert (
        disposition == "attachment; filename=\"Ubersicht.csv\"; filename*=UTF-8''%C3%9Cbersicht.csv"
    )
    assert client.get("/", {"If-None-Match": response.header("Etag") or ""}).status == 304
    shown = client.get("/?show=1").header("Content-Disposition")
    assert shown is not None
    assert shown.startswith("inline; ")
    assert client.request("HEAD", "/").header("Content-Length") == "5"
