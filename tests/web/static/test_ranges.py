"""Ranges of static files."""

from __future__ import annotations

import os
from email.utils import formatdate
from pathlib import Path

import pytest

from static_files import DATE, ETAG, MODIFIED, TEXT, Start
from typhoon.web.staticfiles import HASH_SIZE


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
