"""Content codings undone (RFC 9110 §8.4), piece by piece and up to a limit.

| coding | undone by | a step gives at most | window |
| --- | --- | --- | --- |
| gzip, x-gzip (RFC 1952), deflate (RFC 1950, or 1951 alone) | `zlib` | what is asked for | 32 KiB |
| br (RFC 7932) | the package `brotli`, from 1.2 on | about 100 KiB | 16 MiB |
| zstd (RFC 8878) | `compression.zstd` (Python 3.14) | what is asked for | 8 MiB |
| zstd | else the package `zstandard` | 4 MiB | 8 MiB (RFC 9659) |

The work is linear in what goes in and what comes out, the memory is bounded by a step and a window.
"""

import functools
import importlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from typhoon.httputil import HTTPHeaders, HTTPInputError

REQUEST_CODINGS: Final = frozenset(("gzip", "x-gzip", "deflate"))
"""What servers undo: whether a request is understood must not depend on what is installed."""

MOST_CODINGS: Final = 4
"""How many codings of one body are undone; more serve no purpose (curl: 5)."""

PIECE: Final = 64 * 1024
"""Bytes that are decompressed at a time at most."""

_SLICE: Final = 16 * 1024
"""Bytes that go into a library at once: zlib copies what is left of them at every step."""

_ZSTD_SLICE: Final = 128
"""Bytes that go into `zstandard` at once. It knows no limit, and a block of 128 KiB can be four
bytes long: so this gives 4 MiB at most. (At eight times that size it is a tenth faster.)"""

_ZSTD_WINDOW_LOG: Final = 23
"""RFC 9659: in HTTP a window has 8 MiB at most."""

FREE_MEMBERS: Final = 1000
"""Members that a body may have whatever their size; more need a kibibyte each on average."""


class CompressedBodyError(HTTPInputError):
    """A body cannot be decompressed, or not any further; `status` says which to its sender."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class _Stage:
    """One coding of one body, undone.

    A body consists of members (RFC 1952 §2.2, RFC 8878 §3.1), unless the coding does not know them.
    """

    def __init__(self, name: str, limit: Callable[[], int]) -> None:
        self._name = name
        self._limit = limit
        self._size = 0
        self._members = 0
        self._at_end = True

    def pieces(self, data: bytes, most: int) -> Iterator[bytes]:
        for start in range(0, len(data), _SLICE):
            try:
                for step in self._steps(data[start : start + _SLICE], most):
                    self._size += len(step)
                    if self._size > self._limit():
                        raise CompressedBodyError("decompressed body too large", 413)
                    if len(step) <= most:
                        yield step
                    else:
                        for at in range(0, len(step), most):
                            yield step[at : at + most]
            except self._error() as error:
                raise self._invalid(error) from error

    def finish(self) -> None:
        if not self._at_end:
            raise self._invalid("it is truncated")

    def _invalid(self, reason: object) -> CompressedBodyError:
        return CompressedBodyError(f"invalid {self._name} data: {reason}")

    def _begin_member(self) -> None:
        self._members += 1
        if self._members > FREE_MEMBERS + self._size // 1024:
            raise self._invalid("too many members")

    def _steps(self, data: bytes, most: int) -> Iterator[bytes]:
        """What comes of `data`; nothing is kept back."""
        raise NotImplementedError

    def _error(self) -> type[Exception]:
        """What the library raises."""
        raise NotImplementedError


class _Gzip(_Stage):
    _object: "zlib._Decompress"

    def _steps(self, data: bytes, most: int) -> Iterator[bytes]:
        while data:
            if self._at_end:
                self._begin_member()
                self._object = zlib.decompressobj(16 + zlib.MAX_WBITS)
                self._at_end = False
            step = self._object.decompress(data, most)
            self._at_end = self._object.eof
            data = self._object.unused_data if self._at_end else self._object.unconsumed_tail
            if step:
                yield step

    def _error(self) -> type[Exception]:
        return zlib.error


class _Deflate(_Stage):
    _object: "zlib._Decompress | None" = None
    _start = b""

    def _steps(self, data: bytes, most: int) -> Iterator[bytes]:
        if self._object is None:
            self._at_end = False
            data = self._start + data
            if len(data) < 2:
                self._start = data
                return
            # What a zlib header is (RFC 1950 §2.2). Some send none (RFC 9110 §8.4.1.2).
            has_header = data[0] & 15 == 8 and int.from_bytes(data[:2], "big") % 31 == 0
            self._object = zlib.decompressobj(zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS)
        step = b""
        # A full step may have left something within zlib.
        while data or len(step) == most:
            if self._at_end:
                raise self._invalid("something follows its end")
            step = self._object.decompress(data, most)
            self._at_end = self._object.eof
            data = self._object.unused_data if self._at_end else self._object.unconsumed_tail
            if step:
                yield step
            if self._at_end and not data:
                return

    def _error(self) -> type[Exception]:
        return zlib.error


class _Brotli(_Stage):
    _object: Any = None

    def _steps(self, data: bytes, most: int) -> Iterator[bytes]:
        if self._object is None:
            self._object = _library("brotli").Decompressor()
        step = self._object.process(data, output_buffer_limit=most)
        while step or not self._object.can_accept_more_data():
            yield step
            step = self._object.process(b"", output_buffer_limit=most)
        self._at_end = self._object.is_finished()

    def _error(self) -> type[Exception]:
        error: type[Exception] = _library("brotli").error
        return error


class _Zstd(_Stage):
    """With Python's own module."""

    _object: Any = None

    def _steps(self, data: bytes, most: int) -> Iterator[bytes]:
        zstd = _library("compression.zstd")
        while data:
            if self._at_end:
                self._begin_member()
                self._object = zstd.ZstdDecompressor(
                    options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG}
                )
                self._at_end = False
            if step := self._object.decompress(data, most):
                yield step
            while not self._object.eof and not self._object.needs_input:
                if step := self._object.decompress(b"", most):
                    yield step
            self._at_end = self._object.eof
            data = self._object.unused_data if self._at_end else b""

    def _error(self) -> type[Exception]:
        error: type[Exception] = _library("compression.zstd").ZstdError
        return error


class _ZstandardPackage(_Stage):
    """With the package `zstandard`."""

    _object: Any = None

    def _steps(self, data: bytes, most: int) -> Iterator[bytes]:
        library = _library("zstandard")
        for start in range(0, len(data), _ZSTD_SLICE):
            rest = data[start : start + _ZSTD_SLICE]
            while rest:
                if self._at_end:
                    self._begin_member()
                    frames = library.ZstdDecompressor(max_window_size=1 << _ZSTD_WINDOW_LOG)
                    self._object = frames.decompressobj()
                if step := self._object.decompress(rest):
                    yield step
                self._at_end = self._object.eof
                rest = self._object.unused_data if self._at_end else b""

    def _error(self) -> type[Exception]:
        error: type[Exception] = _library("zstandard").ZstdError
        return error


@functools.cache
def _library(name: str) -> Any:
    """A module, or None if it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


@functools.cache
def _stages() -> dict[str, type[_Stage]]:
    """What can be undone here, the best last."""
    stages: dict[str, type[_Stage]] = {"gzip": _Gzip, "x-gzip": _Gzip, "deflate": _Deflate}
    # Before 1.2, brotli knows no limit to what comes out of a few bytes.
    if hasattr(getattr(_library("brotli"), "Decompressor", None), "can_accept_more_data"):
        stages["br"] = _Brotli
    if _library("compression.zstd") is not None:
        stages["zstd"] = _Zstd
    elif _library("zstandard") is not None:
        stages["zstd"] = _ZstandardPackage
    return stages


@functools.cache
def accept_encoding() -> str:
    """The value of Accept-Encoding that says what can be undone here, such as `gzip, deflate`."""
    return ", ".join(name for name in _stages() if name != "x-gzip")


def consume_codings(headers: HTTPHeaders, only: frozenset[str] | None = None) -> tuple[str, ...]:
    """The codings to undo, in the order in which they were applied; noted in the headers then.

    Empty if the body is not encoded, or in a way that is not known (or not among `only`): then the
    headers stay as they are, for the application. RFC 9110 §8.4.
    """
    value = headers.get("Content-Encoding")
    if not value:
        return ()
    value = value.lower()
    codings = tuple(filter(None, (name.strip(" \t") for name in value.split(","))))
    known = _stages().keys() if only is None else only
    if not codings or len(codings) > MOST_CODINGS or not known >= set(codings):
        return ()
    headers.add("X-Consumed-Content-Encoding", value)
    del headers["Content-Encoding"]
    return codings


class BodyDecoder:
    """Undoes the codings of one body.

        decoder = BodyDecoder(codings, lambda: max_body_size)
        for chunk in body:
            for piece in decoder.pieces(chunk, PIECE):
                ...
        decoder.finish()

    All of its methods raise `CompressedBodyError` for a body that is damaged, or too large: then
    the `status` is 413.

    Args:
        codings: From `consume_codings`.
        limit: Returns how many bytes of content there may be. What comes between two codings is
            bound by it as well.
    """

    __slots__ = ("_stages",)

    def __init__(self, codings: Sequence[str], limit: Callable[[], int]) -> None:
        stages = _stages()
        self._stages = [stages[name](name, limit) for name in reversed(codings)]

    def pieces(self, data: bytes, most: int) -> Iterator[bytes]:
        """What comes of `data`, up to `most` bytes at a time. Iterate to the end."""
        if len(self._stages) == 1:
            return self._stages[0].pieces(data, most)
        return _through(self._stages, data, most)

    def finish(self) -> None:
        """That was all of the body. Nothing at all is an empty body, whatever its coding."""
        for stage in self._stages:
            stage.finish()


def _through(stages: Sequence[_Stage], data: bytes, most: int) -> Iterator[bytes]:
    first, *others = stages
    for piece in first.pieces(data, most):
        if others:
            yield from _through(others, piece, most)
        else:
            yield piece


def decoded(codings: Sequence[str], data: bytes, limit: int) -> bytes:
    """The content of a body that is there as a whole; of `limit` bytes at most.

    Raises:
        CompressedBodyError: It is damaged, or too large; as with `BodyDecoder`.
    """
    decoder = BodyDecoder(codings, lambda: limit)
    content = b"".join(decoder.pieces(data, PIECE))
    decoder.finish()
    return content
