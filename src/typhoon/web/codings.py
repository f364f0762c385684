"""Content codings (RFC 9110 §8.4.1): gzip, and Brotli and Zstandard where they are installed.

| coding | made by | window of a stream | its memory |
| --- | --- | --- | --- |
| gzip (RFC 1952) | `zlib` | 32 KiB | 0.3 MiB |
| br (RFC 7932) | the package `brotli` | 256 KiB | 0.4 MiB |
| zstd (RFC 8878) | `compression.zstd` (Python 3.14), else `zstandard` | 128 KiB | 0.4 MiB |

A stream may last for hours, as one of events does, and there may be thousands: so their windows
are small.
"""

import importlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

GZIP_WBITS = 16 + zlib.MAX_WBITS
BROTLI_STREAM_WINDOW = 18
ZSTD_STREAM_WINDOW = 17


class Encoder(Protocol):
    """Encodes one body piece by piece."""

    def flush(self, data: bytes) -> bytes:
        """Encode this, so that the client can decode all there was so far."""

    def finish(self, data: bytes) -> bytes:
        """Encode the last piece."""


@dataclass(frozen=True, slots=True)
class Coding:
    """A content coding: how to encode at a level, and which levels there are."""

    name: str
    default_level: int
    levels: range
    encode: Callable[[bytes, int], bytes]
    stream: Callable[[int], Encoder]


class _Stream:
    """An encoder out of the three functions that it consists of in every library."""

    __slots__ = ("_add", "_finish", "_flush")

    def __init__(
        self,
        add: Callable[[bytes], bytes],
        flush: Callable[[], bytes],
        finish: Callable[[], bytes],
    ) -> None:
        self._add, self._flush, self._finish = add, flush, finish

    def flush(self, data: bytes) -> bytes:
        return self._add(data) + self._flush()

    def finish(self, data: bytes) -> bytes:
        return self._add(data) + self._finish()


def _gzip() -> Coding:
    def encode(data: bytes, level: int) -> bytes:
        return zlib.compress(data, level, GZIP_WBITS)

    def stream(level: int) -> Encoder:
        encoder = zlib.compressobj(level, zlib.DEFLATED, GZIP_WBITS)
        return _Stream(
            encoder.compress, lambda: encoder.flush(zlib.Z_SYNC_FLUSH), lambda: encoder.flush()
        )

    return Coding("gzip", 6, range(1, 10), encode, stream)


def _brotli() -> Coding | None:
    brotli = _module("brotli")
    if brotli is None:
        return None

    def encode(data: bytes, level: int) -> bytes:
        encoded: bytes = brotli.compress(data, quality=level)
        return encoded

    def stream(level: int) -> Encoder:
        encoder = brotli.Compressor(quality=level, lgwin=BROTLI_STREAM_WINDOW)
        return _Stream(encoder.process, encoder.flush, encoder.finish)

    return Coding("br", 4, range(12), encode, stream)


def _zstd() -> Coding | None:
    # Above level 19 the window is larger than the 8 MiB of RFC 9659.
    levels = range(1, 20)
    if (zstd := _module("compression.zstd")) is not None:
        parameter, compressor = zstd.CompressionParameter, zstd.ZstdCompressor

        def encode(data: bytes, level: int) -> bytes:
            encoded: bytes = zstd.compress(data, level)
            return encoded

        def stream(level: int) -> Encoder:
            options = {
                parameter.compression_level: level,
                parameter.window_log: ZSTD_STREAM_WINDOW,
                parameter.hash_log: ZSTD_STREAM_WINDOW - 1,
                parameter.chain_log: ZSTD_STREAM_WINDOW - 1,
            }
            encoder = compressor(options=options)
            return _Stream(
                encoder.compress,
                lambda: encoder.flush(compressor.FLUSH_BLOCK),
                lambda: encoder.flush(),
            )

    elif (zstandard := _module("zstandard")) is not None:

        def encode(data: bytes, level: int) -> bytes:
            encoded: bytes = zstandard.ZstdCompressor(level=level).compress(data)
            return encoded

        def stream(level: int) -> Encoder:
            parameters = zstandard.ZstdCompressionParameters.from_level(
                level, source_size=1 << ZSTD_STREAM_WINDOW
            )
            encoder = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
            return _Stream(
                encoder.compress,
                lambda: encoder.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK),
                lambda: encoder.flush(),
            )

    else:
        return None
    return Coding("zstd", 3, levels, encode, stream)


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


GZIP = _gzip()

MAKERS: dict[str, Callable[[], Coding | None]] = {
    "zstd": _zstd,
    "br": _brotli,
    "gzip": lambda: GZIP,
}
"""How to get each coding, the best first: the time that it takes for pages decides, since they
differ little in size. What is not installed is None."""
