"""Content codings that are wrong, or too much: errors that say so."""

import gzip
import itertools
import os
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import brotli
import pytest
import zstandard
from hostile import (
    LIMIT,
    OK,
    answer,
    answer_forever,
    check,
    fails,
    hostile,
    little_memory,
    still_works,
)

from typhoon.httpclient import Stage
from typhoon.simple_httpclient import (
    HTTPBodyTooLargeError,
    HTTPContentCodingError,
    HTTPIncompleteResponseError,
    SimpleAsyncHTTPClient,
)

pytestmark = [pytest.mark.gen_test, pytest.mark.usefixtures("quiet")]
"""Coroutines run on a loop of Typhoon's plugin."""

PLAIN = os.urandom(1000)
CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
}


def damages(coding: str) -> dict[str, bytes]:
    whole = CODINGS[coding](PLAIN)
    cases = {
        "nothing like it": b"\xff no such thing at all",
        "cut off in the middle": whole[:-200],
        "the last byte is missing": whole[:-1],
        "garbage behind it": whole + b"garbage",
    }
    if coding in ("gzip", "deflate"):  # the others have checksums only if they are told to
        cases["damaged"] = whole[:500] + bytes(20) + whole[520:]
    if coding == "gzip":
        cases["without its checksum"] = whole[:-8]
        cases["a wrong length"] = whole[:-4] + bytes(4)
    return cases


DAMAGES = [
    pytest.param(coding, body, id=f"{coding}-{name}")
    for coding in CODINGS
    for name, body in damages(coding).items()
]


@pytest.mark.parametrize(("coding", "body"), DAMAGES)
async def test_a_coding_that_is_wrong(
    limited: SimpleAsyncHTTPClient, coding: str, body: bytes
) -> None:
    begin = OK + f"Content-Encoding: {coding}\r\n".encode()
    for framing in (
        b"Content-Length: %d\r\n\r\n%b" % (len(body), body),
        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body),
        b"\r\n" + body,
    ):
        url = ""
        async with hostile(*[answer(begin + framing)] * 2) as server:
            url = server.url("/bad")
            for options in ({}, {"streaming_callback": lambda piece: None}):
                with pytest.raises(HTTPContentCodingError) as caught:
                    await limited.fetch(url, **options)
                check(caught.value, url, Stage.DECOMPRESSING)
            await still_works(limited, server)


@pytest.mark.parametrize("coding", CODINGS)
async def test_a_coding_in_a_body_that_is_cut_off(
    limited: SimpleAsyncHTTPClient, coding: str
) -> None:
    body = CODINGS[coding](PLAIN)
    head = OK + f"Content-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    async with hostile(answer(head, body[:-20])) as server:
        await fails(limited, server, HTTPIncompleteResponseError, Stage.BODY)


ZEROS = bytes(1 << 20)


def zeros(coding: str) -> Iterator[bytes]:
    """Endless zeros, compressed at least a thousandfold."""
    match coding:
        case "br":
            compressor = brotli.Compressor(quality=5)
            while True:
                yield compressor.process(ZEROS) + compressor.flush()
        case "zstd":
            stream = zstandard.ZstdCompressor().compressobj()
            while True:
                yield stream.compress(ZEROS) + stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
        case _:
            deflater = zlib.compressobj(9, zlib.DEFLATED, 31 if coding == "gzip" else 15)
            while True:
                yield deflater.compress(ZEROS)


@pytest.mark.parametrize("streamed", [False, True], ids=["collected", "streamed"])
@pytest.mark.parametrize("coding", CODINGS)
async def test_a_decompression_bomb(
    limited: SimpleAsyncHTTPClient, coding: str, streamed: bool
) -> None:
    received: list[int] = []
    options: dict[str, Any] = {}
    if streamed:
        options["streaming_callback"] = lambda piece: received.append(len(piece))
    bomb = b"".join(itertools.islice(zeros(coding), 16))
    begin = OK + f"Content-Encoding: {coding}\r\n".encode()
    whole = answer(begin + b"Content-Length: %d\r\n\r\n" % len(bomb), bomb)
    endless = answer_forever(begin + b"\r\n", zeros(coding))
    # What is collected is decompressed at its end: an endless one is any body without end.
    for script in (whole, endless) if streamed else (whole,):
        async with hostile(script) as server:
            stages = {Stage.BODY, Stage.DECOMPRESSING}
            with little_memory():
                await fails(limited, server, HTTPBodyTooLargeError, stages, **options)
            assert sum(received) <= LIMIT
            received.clear()


async def test_a_zstd_frame_that_wants_a_large_window(limited: SimpleAsyncHTTPClient) -> None:
    """RFC 9659: 8 MiB at most; a frame can ask for gigabytes."""
    parameters = zstandard.ZstdCompressionParameters(window_log=27)
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    body = stream.compress(PLAIN) + stream.flush()
    response = OK + b"Content-Encoding: zstd\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with hostile(answer(response, body)) as server:
        await fails(limited, server, HTTPContentCodingError, Stage.DECOMPRESSING)


async def test_codings_in_several_layers(limited: SimpleAsyncHTTPClient) -> None:
    body = PLAIN
    for layers in range(1, 12):
        body = gzip.compress(body)
        begin = OK + b"Content-Encoding: %b\r\n" % b", ".join([b"gzip"] * layers)
        async with hostile(answer(begin + b"\r\n", body)) as server:
            url = server.url("/")
            try:
                response = await limited.fetch(url)
            except HTTPContentCodingError as error:
                check(error, url, Stage.DECOMPRESSING)
            else:
                # Undone, or left as it is with the header that says so.
                coded = bool(response.headers.get("Content-Encoding"))
                assert response.body == (body if coded else PLAIN)
