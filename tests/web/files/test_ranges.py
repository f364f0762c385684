"""Ranges of static files."""

from __future__ import annotations

import os
import ssl
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import trustme

from static_files import DATE, ETAG, MODIFIED, TEXT, Start
from support import Response, StreamServer
from typhoon.web import Application, StaticFileHandler
from typhoon.web.files.openfile import WHOLE_SIZE
from typhoon.web.files.ranges import MAX_RANGES
from typhoon.web.files.staticfiles import HASH_SIZE


@pytest.mark.parametrize(
    ("field", "first", "last"),
    [
        ("bytes=0-9", 0, 9),
        ("bytes=0-0", 0, 0),
        ("bytes=1-10000000", 1, 25),
        ("bytes=22-", 22, 25),
        ("bytes=25-25", 25, 25),
        ("bytes=-4", 22, 25),
        ("bytes=-25", 1, 25),
        ("bytes=1-99999999999999999999999", 1, 25),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_range(start: Start, method: str, field: str, first: int, last: int) -> None:
    with start().connect() as client:
        response = client.request(method, "/s/robots.txt", {"Range": field})
        assert response.status == 206
        assert response.body == (TEXT[first : last + 1] if method == "GET" else b"")
        assert response.header("Content-Length") == str(last + 1 - first)
        assert response.header("Content-Range") == f"bytes {first}-{last}/26"
        assert response.header("Etag") == ETAG
        assert client.get("/s/robots.txt").body == TEXT


@pytest.mark.parametrize(
    "field",
    [
        *("bytes=0-", "bytes=0-25", "bytes=0-10000000", "bytes=-26", "bytes=-1000000"),
        *("asdf", "bytes", "bytes=", "bytes=a-b", "lines=1-2", "bytes=0-1,3-4", "bytes=1-2-3", ""),
    ],
)
def test_ranges_that_give_everything(start: Start, field: str) -> None:
    response = start().get("/s/robots.txt", {"Range": field})
    assert response.status == 200
    assert response.body == TEXT
    assert response.header("Content-Range") is None


@pytest.mark.parametrize("field", ["bytes=26-", "bytes=26-30", "bytes=10-3", "bytes=-0"])
def test_ranges_that_cannot_be_satisfied(start: Start, field: str) -> None:
    with start().connect() as client:
        response = client.get("/s/robots.txt", {"Range": field})
        assert response.status == 416
        assert response.header("Content-Range") == "bytes */26"
        assert response.body == b""
        assert client.get("/s/robots.txt").body == TEXT


@pytest.mark.parametrize("field", ["bytes=0-", "bytes=0-0", "bytes=-1"])
def test_ranges_of_an_empty_file(start: Start, field: str) -> None:
    response = start().get("/s/empty", {"Range": field})
    assert response.status == 416
    assert response.header("Content-Range") == "bytes */0"


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        (ETAG, 206),
        (DATE, 206),
        ('"other"', 200),
        ("W/" + ETAG, 200),
        (formatdate(MODIFIED + 1, usegmt=True), 200),
        (formatdate(MODIFIED - 1, usegmt=True), 200),
        ("", 200),
    ],
)
def test_if_range(start: Start, condition: str, status: int) -> None:
    headers = {"Range": "bytes=1-4", "If-Range": condition}
    response = start().get("/s/robots.txt", headers)
    assert response.status == status
    assert response.body == (TEXT[1:5] if status == 206 else TEXT)


def test_a_large_range(start: Start, root: Path) -> None:
    data = os.urandom(4 * HASH_SIZE)
    (root / "data").write_bytes(data)
    with start().connect() as client:
        response = client.get("/s/data", {"Range": f"bytes=1000-{3 * HASH_SIZE}"})
        assert response.status == 206
        assert response.body == data[1000 : 3 * HASH_SIZE + 1]
        response = client.get("/s/data", {"Range": "bytes=-70000"})
        assert response.body == data[-70000:]


# --- several ranges ------------------------------------------------------------------------------

SIZE = 5 * WHOLE_SIZE + 7


@pytest.fixture
def data(root: Path) -> bytes:
    """What is in the file `data`."""
    data = os.urandom(SIZE)
    (root / "data").write_bytes(data)
    return data


def parts_of(response: Response) -> list[tuple[str, str, bytes]]:
    """Content-Range, Content-Type and content of each part (RFC 2046 §5.1.1), read by the book."""
    kind, _, boundary = (response.header("Content-Type") or "").partition("; boundary=")
    assert kind == "multipart/byteranges"
    assert response.header("Content-Range") is None
    assert response.header("Content-Length") == str(len(response.body))
    before, *parts, end = response.body.split(b"\r\n--" + boundary.encode())
    assert (before, end) == (b"", b"--\r\n")
    found = []
    for part in parts:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        fields = dict(line.split(": ") for line in head.decode().split("\r\n"))
        assert fields.keys() == {"Content-Range", "Content-Type"}
        found.append((fields["Content-Range"], fields["Content-Type"], content))
    return found


@pytest.mark.parametrize(
    ("field", "bounds"),
    [
        ("bytes=0-9,100-199", [(0, 9), (100, 199)]),
        ("bytes=100-199,0-9", [(100, 199), (0, 9)]),
        ("bytes=0-0 , -1", [(0, 0), (SIZE - 1, SIZE - 1)]),
        ("bytes=0-99999,200000-299999", [(0, 99_999), (200_000, 299_999)]),
        ("bytes=,0-9,,300000-,", [(0, 9), (300_000, SIZE - 1)]),
        ("bytes=0-9,999999-,500-600", [(0, 9), (500, 600)]),
        ("bytes=0-9,5-14,15-19,100-199", [(0, 19), (100, 199)]),
        ("bytes=500-599,0-9,550-700", [(500, 700), (0, 9)]),
        ("bytes=0-9,100-99999999999999999999999999", None),
        ("bytes=0-9,-" + "9" * 5000, None),
    ],
)
@pytest.mark.parametrize("encrypted", [False, True])
def test_several_ranges(
    serve: Any,
    root: Path,
    data: bytes,
    loop_kind: str,
    encrypted: bool,
    field: str,
    bounds: list[tuple[int, int]] | None,
) -> None:
    application = Application([("/s/(.*)", StaticFileHandler, {"path": str(root)})])
    options: dict[str, Any] = {"loop_kind": loop_kind}
    trusting = None
    if encrypted:
        authority = trustme.CA()
        options["ssl_options"] = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("localhost").configure_cert(options["ssl_options"])
        trusting = ssl.create_default_context()
        authority.configure_trust(trusting)
    with serve(application, **options).connect(trusting) as client:
        response = client.get("/s/data", {"Range": field})
        if bounds is None:
            assert (response.status, response.body) == (200, data)
        else:
            assert response.status == 206
            assert parts_of(response) == [
                (f"bytes {a}-{b}/{SIZE}", "application/octet-stream", data[a : b + 1])
                for a, b in bounds
            ]
            head = client.request("HEAD", "/s/data", {"Range": field})
            assert head.status == 206
            assert head.header("Content-Length") == response.header("Content-Length")
        assert client.get("/s/robots.txt").body == TEXT


@pytest.mark.parametrize(
    ("field", "first", "last"),
    [
        ("bytes=0-9,10-19", 0, 19),
        ("bytes=10-19,5-14", 5, 19),
        ("bytes=5-9,999999-", 5, 9),
        ("bytes=5-9,", 5, 9),
    ],
)
def test_ranges_that_become_one(
    start: Start, data: bytes, field: str, first: int, last: int
) -> None:
    response = start().get("/s/data", {"Range": field})
    assert (response.status, response.body) == (206, data[first : last + 1])
    assert response.header("Content-Range") == f"bytes {first}-{last}/{SIZE}"
    assert response.header("Content-Type") == "application/octet-stream"


@pytest.mark.parametrize(
    "field",
    [
        "bytes=0-,5-9",
        "bytes=0-150000,100000-",
        "bytes=0-163840,163842-",
        "bytes=,",
        "bytes=5-9,9-5",
        "bytes=5-9,a",
        "bytes=5-9,-",
        "bytes=5-9,1 - 2",
        "bytes=5-9,+1-2",
        "lines=1-2,4-5",
        "bytes=" + ",".join(f"{i * 200}-{i * 200}" for i in range(MAX_RANGES + 1)),
        "bytes=" + "0-1," * 15_000,
    ],
)
def test_several_ranges_that_give_everything(start: Start, data: bytes, field: str) -> None:
    response = start().get("/s/data", {"Range": field})
    assert (response.status, response.body) == (200, data)


def test_as_many_ranges_as_there_may_be(start: Start, data: bytes) -> None:
    starts = range(0, 200 * MAX_RANGES, 200)
    field = ",".join(f"{first}-{first + 9}" for first in starts)
    parts = parts_of(start().get("/s/data", {"Range": f"bytes={field}"}))
    assert [content for _, _, content in parts] == [data[first : first + 10] for first in starts]


@pytest.mark.parametrize("field", ["bytes=999999-,9999999-", "bytes=-0,-00"])
def test_several_ranges_that_cannot_be_satisfied(start: Start, data: bytes, field: str) -> None:
    response = start().get("/s/data", {"Range": field})
    assert response.status == 416
    assert response.header("Content-Range") == f"bytes */{SIZE}"


def test_several_ranges_of_an_empty_file(start: Start) -> None:
    assert start().get("/s/empty", {"Range": "bytes=0-1,3-4"}).status == 416


def test_several_ranges_if_nothing_has_changed(start: Start, data: bytes) -> None:
    server = start()
    tag = server.get("/s/data").header("Etag") or ""
    headers = {"Range": "bytes=0-9,100-199", "If-Range": tag}
    assert len(parts_of(server.get("/s/data", headers))) == 2
    response = server.get("/s/data", {**headers, "If-Range": '"other"'})
    assert (response.status, response.body) == (200, data)


def test_several_ranges_of_what_a_subclass_gives(start: Start, data: bytes) -> None:
    class Inverted(StaticFileHandler):
        @classmethod
        def get_content(cls, abspath: str, start: int | None = None, end: int | None = None) -> Any:
            for chunk in super().get_content(abspath, start, end):
                yield chunk[::-1] if len(chunk) < 100 else chunk

    parts = parts_of(start(Inverted).get("/s/data", {"Range": "bytes=0-9,100-119"}))
    assert [content for *_, content in parts] == [data[9::-1], data[119:99:-1]]


def test_several_ranges_through_a_transform(serve: Any, root: Path, data: bytes) -> None:
    rule = ("/s/(.*)", StaticFileHandler, {"path": str(root)})
    server = serve(Application([rule], compress_response=True))
    headers = {"Range": "bytes=0-99999,200000-299999", "Accept-Encoding": "gzip"}
    parts = parts_of(server.get("/s/data", headers))
    assert [len(content) for *_, content in parts] == [100_000, 100_000]


def test_several_ranges_over_streams(serve: Any, root: Path, data: bytes) -> None:
    rule = ("/s/(.*)", StaticFileHandler, {"path": str(root)})
    with serve(Application([rule]), server_class=StreamServer).connect() as client:
        field = "bytes=200000-299999,0-99999"
        parts = parts_of(client.get("/s/data", {"Range": field}))
        assert [content for *_, content in parts] == [data[200_000:300_000], data[:100_000]]
        assert client.get("/s/data").body == data


def test_a_client_that_goes_away_between_ranges(start: Start, root: Path) -> None:
    (root / "data").write_bytes(bytes(40 * HASH_SIZE))
    server = start()
    with server.connect() as client:
        field = "bytes=0-15000000,20000000-35000000"
        client.send(f"GET /s/data HTTP/1.1\r\nHost: a\r\nRange: {field}\r\n\r\n".encode())
        client.read_until(b"\r\n\r\n")
    assert server.get("/s/robots.txt").body == TEXT


# --- what a range depends on ---------------------------------------------------------------------


def test_a_date_that_is_not_past_does_not_tell_enough(start: Start, root: Path) -> None:
    soon = time.time() + 3600
    os.utime(root / "robots.txt", (soon, soon))
    server = start()
    date = server.get("/s/robots.txt").header("Last-Modified") or ""
    headers = {"Range": "bytes=1-4", "If-Range": date}
    assert server.get("/s/robots.txt", headers).status == 200


def test_a_range_of_very_many_spaces(start: Start) -> None:
    response = start().get("/s/robots.txt", {"Range": "bytes=" + " \t" * 25_000 + "x"})
    assert response.status == 200


@pytest.mark.parametrize("digits", ["9" * 5000, "0" * 5000])
def test_a_range_of_very_many_digits(start: Start, digits: str) -> None:
    response = start().get("/s/robots.txt", {"Range": f"bytes=1-{digits}"})
    assert response.status == (206 if digits[0] == "9" else 416)
