"""Content codings, undone in pieces of any size and up to a limit."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from typhoon.http1connection.decoding import (
    BodyDecoder,
    CompressedBodyError,
    accept_encoding,
    consume_codings,
    decoded,
)
from typhoon.httputil import HTTPHeaders


def raw_deflate(data: bytes) -> bytes:
    encoder = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return encoder.compress(data) + encoder.flush()


ENCODERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("x-gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
    "br": ("br", lambda data: brotli.compress(data, quality=4)),
    "zstd": ("zstd", zstandard.ZstdCompressor(write_checksum=True).compress),
}
HAS_MEMBERS = ("gzip", "x-gzip", "zstd")


@pytest.fixture(params=ENCODERS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


def pieces_of(coding: str, chunks: list[bytes], most: int, limit: int = 1 << 30) -> list[bytes]:
    decoder = BodyDecoder([coding], lambda: limit)
    pieces = [piece for chunk in chunks for piece in decoder.pieces(chunk, most)]
    decoder.finish()
    return pieces


def test_what_is_installed_is_accepted() -> None:
    assert accept_encoding() == "gzip, deflate, br, zstd"


@given(
    kind=st.sampled_from(list(ENCODERS)),
    content=st.one_of(
        st.binary(max_size=300),
        st.builds(lambda unit, count: unit * count, st.binary(max_size=9), st.integers(0, 20_000)),
    ),
    size=st.sampled_from([1, 2, 7, 100, 100_000]),
    most=st.integers(60, 70_000),
)
def test_pieces_of_any_size(kind: str, content: bytes, size: int, most: int) -> None:
    coding, encode = ENCODERS[kind]
    data = encode(content)
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    pieces = pieces_of(coding, chunks, most)
    assert b"".join(pieces) == content
    assert all(0 < len(piece) <= most for piece in pieces)


@pytest.mark.parametrize("size", [1, 1 << 20])
def test_every_truncation_is_an_error(kind: str, size: int) -> None:
    coding, encode = ENCODERS[kind]
    data = encode(b"content " * 20)
    for length in range(1, len(data)):
        chunks = [data[at : min(at + size, length)] for at in range(0, length, size)]
        with pytest.raises(CompressedBodyError, match=f"invalid {coding} data: it is truncated"):
            pieces_of(coding, chunks, 50)


@pytest.mark.parametrize("garbage", [b"\0", b"garbage", b"\0" * 100])
def test_trailing_garbage_is_an_error(kind: str, garbage: bytes) -> None:
    coding, encode = ENCODERS[kind]
    data = encode(b"content" * 100)
    for chunks in ([data + garbage], [data, garbage], [data[:-1], data[-1:] + garbage]):
        with pytest.raises(CompressedBodyError, match=f"invalid {coding} data"):
            pieces_of(coding, chunks, 1000)


def test_damage_is_an_error(kind: str) -> None:
    coding, _ = ENCODERS[kind]
    with pytest.raises(CompressedBodyError, match=f"invalid {coding} data") as caught:
        decoded([coding], b"\xff\xff no such data", 1000)
    assert caught.value.status == 400


def test_members(kind: str) -> None:
    coding, encode = ENCODERS[kind]
    data = encode(b"one") + encode(b"") + encode(b"two")
    if kind in HAS_MEMBERS:
        assert decoded([coding], data, 6) == b"onetwo"
    else:
        with pytest.raises(CompressedBodyError):
            decoded([coding], data, 6)


@pytest.mark.parametrize("kind", HAS_MEMBERS)
def test_members_without_end_are_an_error(kind: str) -> None:
    coding, encode = ENCODERS[kind]
    assert decoded([coding], encode(b"") * 1000, 0) == b""
    with pytest.raises(CompressedBodyError, match="too many members"):
        decoded([coding], encode(b"") * 1001, 0)
    assert len(decoded([coding], encode(b"x" * 1024) * 3000, 1 << 30)) == 3000 * 1024


def test_frames_to_skip() -> None:
    skipped = b"\x50\x2a\x4d\x18\x03\0\0\0abc"
    frame = zstandard.ZstdCompressor().compress(b"x")
    assert decoded(["zstd"], skipped + frame + skipped, 1) == b"x"


def test_windows_are_bounded() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=24)
    encoder = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    data = encoder.compress(b"x") + encoder.flush()
    with pytest.raises(CompressedBodyError, match="invalid zstd data"):
        decoded(["zstd"], data, 1 << 30)


def test_nothing_at_all_is_an_empty_body(kind: str) -> None:
    assert decoded([ENCODERS[kind][0]], b"", 0) == b""


def test_the_limit(kind: str) -> None:
    coding, encode = ENCODERS[kind]
    data = encode(b"x" * 1000)
    assert decoded([coding], data, 1000) == b"x" * 1000
    with pytest.raises(CompressedBodyError, match="decompressed body too large") as caught:
        decoded([coding], data, 999)
    assert caught.value.status == 413


BOMBS = {
    **{
        kind: lambda encode=encode: encode(bytes(1 << 28)) for kind, (_, encode) in ENCODERS.items()
    },
    "br": lambda: brotli.compress(bytes(1 << 28), quality=9),
}


def test_bombs_are_stopped_early(kind: str) -> None:
    coding, bomb = ENCODERS[kind][0], BOMBS[kind]()
    tracemalloc.start()
    try:
        with pytest.raises(CompressedBodyError, match="too large"):
            for _ in BodyDecoder([coding], lambda: 100_000_000).pieces(bomb, 1 << 16):
                pass
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()


def test_several_codings() -> None:
    content = b"content" * 10_000
    data = brotli.compress(gzip.compress(content), quality=1)
    assert decoded(["gzip", "br"], data, len(content)) == content
    for wrong in (data[:-1], data + b"\0", brotli.compress(gzip.compress(content)[:-1])):
        with pytest.raises(CompressedBodyError):
            decoded(["gzip", "br"], wrong, len(content))


def test_a_bomb_between_two_codings() -> None:
    nothing = b"\0\0\0\xff\xff" * 1_000_000  # blocks of deflate that are empty
    data = gzip.compress(nothing + b"\3\0")
    with pytest.raises(CompressedBodyError, match="too large"):
        decoded(["deflate", "gzip"], data, 1_000_000)
    assert decoded(["deflate", "gzip"], data, len(nothing) + 2) == b""


@pytest.mark.parametrize(
    ("value", "codings"),
    [
        ("gzip", ("gzip",)),
        ("GZip", ("gzip",)),
        (" deflate ,, BR", ("deflate", "br")),
        ("gzip, gzip, gzip, gzip", ("gzip",) * 4),
        ("gzip, gzip, gzip, gzip, gzip", ()),
        ("gzip, compress", ()),
        ("identity", ()),
        (",", ()),
        ("", ()),
        (None, ()),
    ],
)
def test_the_header(value: str | None, codings: tuple[str, ...]) -> None:
    headers = HTTPHeaders() if value is None else HTTPHeaders({"Content-Encoding": value})
    assert consume_codings(headers) == codings
    left, consumed = headers.get("Content-Encoding"), headers.get("X-Consumed-Content-Encoding")
    assert (left, consumed) == (
        (None, value and value.lower().strip()) if codings else (value, None)
    )


def test_the_header_in_several_fields() -> None:
    headers = HTTPHeaders()
    headers.add("Content-Encoding", "gzip")
    headers.add("Content-Encoding", "br")
    assert consume_codings(headers) == ("gzip", "br")
    assert list(headers) == ["X-Consumed-Content-Encoding"]


def test_what_a_server_undoes_does_not_depend_on_what_is_installed() -> None:
    headers = HTTPHeaders({"Content-Encoding": "br"})
    assert consume_codings(headers, frozenset({"gzip"})) == ()
    assert headers["Content-Encoding"] == "br"
