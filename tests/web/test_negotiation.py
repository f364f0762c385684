"""What clients accept."""

from __future__ import annotations

import pytest

from typhoon.httputil import HTTPHeaders
from typhoon.web.negotiation import add_vary, best_encoding, weights

OFFERED = ["br", "zstd", "gzip"]


@pytest.mark.parametrize(
    ("header", "best"),
    [
        (None, None),
        ("", None),
        ("identity", None),
        ("deflate", None),
        ("gzip", "gzip"),
        ("GZip", "gzip"),
        ("x-gzip", "gzip"),
        ("gzip, deflate, br, zstd", "br"),
        ("gzip, br;q=0.9, zstd", "zstd"),
        ("gzip;q=1.0, br;q=0.001", "gzip"),
        ("br;q=0, gzip;q=0.1", "gzip"),
        ("br ; q=0.5 , gzip ; Q=0.6", "gzip"),
        ("br;q=0", None),
        ("*", "br"),
        ("*;q=0.1", "br"),
        ("*;q=0", None),
        ("br;q=0, *", "zstd"),
        ("gzip;q=0.5, *;q=0.1", "gzip"),
        ("identity, gzip;q=0.5", None),
        ("identity;q=0.5, gzip;q=0.5", "gzip"),
        ("identity;q=0, deflate", None),
        ("identity;q=0, gzip;q=0.001", "gzip"),
        ("gzip;q=2", None),
        ("gzip;q=-1", None),
        ("gzip;q=, br;q=x, zstd;q=1.5, *;q", None),
        ("gzip;q=0.5;x=1, zstd", "zstd"),
        ("gzip br", None),
        (", ,gzip,", "gzip"),
        ("gzip" + ",a" * 20_000, "gzip"),
    ],
)
def test_the_best_encoding(header: str | None, best: str | None) -> None:
    assert best_encoding(header, OFFERED) == best


def test_nothing_offered() -> None:
    assert best_encoding("gzip", []) is None


def test_weights() -> None:
    assert weights("de-CH, en;q=0.8,*;q=0.") == [("de-ch", 1.0), ("en", 0.8), ("*", 0.0)]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "Accept-Encoding"),
        ("Cookie", "Cookie, Accept-Encoding"),
        ("Cookie,accept-encoding", "Cookie,accept-encoding"),
        ("*", "*, Accept-Encoding"),
    ],
)
def test_vary(before: str | None, after: str) -> None:
    headers = HTTPHeaders({"Vary": before} if before else {})
    add_vary(headers, "Accept-Encoding")
    assert headers.get_list("Vary") == [after]
