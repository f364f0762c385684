"""Compressed responses: `compress_response`, and `GZipContentEncoding`."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, ClassVar

from typhoon.httputil import HTTPHeaders, HTTPServerRequest
from typhoon.web.codings import GZIP, MAKERS, Coding, Encoder
from typhoon.web.negotiation import add_vary, best_encoding, weights
from typhoon.web.transforms import OutputTransform

OPTIONS = ("encodings", "level", "min_length", "content_types")
"""What `compress_response` may say."""


class GZipContentEncoding(OutputTransform):
    """Compresses responses with gzip, if the client accepts that.

    The setting `compress_response` is the usual way to compression, and knows newer codings, too.
    This class is for lists of transforms, and its attributes are the defaults of that setting:

        Application(handlers, transforms=[GZipContentEncoding])

    Left as they are: content that is short or of another type, or encoded already; parts of
    content (206); responses without a body; those with `Cache-Control: no-transform`.
    """

    CONTENT_TYPES: ClassVar[AbstractSet[str]] = {
        "application/atom+xml",
        "application/javascript",
        "application/json",
        "application/ld+json",
        "application/manifest+json",
        "application/problem+json",
        "application/rss+xml",
        "application/wasm",
        "application/x-javascript",
        "application/xhtml+xml",
        "application/xml",
        "image/svg+xml",
    }
    """Types of content that get smaller, beside all that begin with `text/`."""
    GZIP_LEVEL: ClassVar[int] = GZIP.default_level
    """From 1 (fast) to 9 (small)."""
    MIN_LENGTH: ClassVar[int] = 1024
    """Bytes from which on a body is compressed: a shorter one fits into one packet anyway.

    What is flushed in pieces, and static files, are compressed whatever their length.
    """

    _codings: ClassVar[Mapping[str, Coding]] = {"gzip": GZIP}
    _levels: ClassVar[Mapping[str, int]] = {}
    _encoder: Encoder | None = None

    def __init__(self, request: HTTPServerRequest) -> None:
        self._request = request

    @property
    def passes_on(self) -> bool:
        return self._encoder is None

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        """Decide whether and how to compress, and say so in the headers."""
        request_headers = self._request.headers
        if status_code == 304:
            # Whether the whole response would be compressed is not known any more.
            add_vary(headers, "Accept-Encoding")
            _use_weak_tag_of(request_headers.get("If-None-Match", ""), headers)
            return status_code, headers, chunk
        if not self._is_compressible(status_code, headers):
            return status_code, headers, chunk
        add_vary(headers, "Accept-Encoding")
        if status_code == 206:
            return status_code, headers, chunk
        accepted = request_headers.get("Accept-Encoding")
        name = best_encoding(accepted, tuple(self._codings))
        if name is None:
            return status_code, headers, chunk
        is_head = self._request.method == "HEAD"
        length = headers.get("Content-Length")
        if length == "0" or (finishing and not chunk and not is_head):
            return status_code, headers, chunk  # there is nothing to compress
        if finishing:
            if length is not None and not is_head and length != str(len(chunk)):
                # A mistake that the connection finds.
                return status_code, headers, chunk
            size = int(length) if length is not None and length.isdecimal() else len(chunk)
            # Files are compressed whatever their length, as Tornado does, which streams them.
            is_short = size < self.MIN_LENGTH and "Accept-Ranges" not in headers
            if is_short and not _refuses_identity(accepted or ""):
                return status_code, headers, chunk
        if is_head and not chunk and self._request.version == "HTTP/1.0":
            # No header could leave open how long the body would be.
            return status_code, headers, chunk
        coding = self._codings[name]
        level = self._level(coding)
        if length is not None:
            del headers["Content-Length"]
        if is_head and not chunk:
            headers["Transfer-Encoding"] = "chunked"
        elif finishing:
            chunk = coding.encode(chunk, level)
            if length is not None:
                headers["Content-Length"] = str(len(chunk))
        elif not is_head:
            self._encoder = coding.stream(level)
            chunk = self.transform_chunk(chunk, finishing)
        headers["Content-Encoding"] = name
        _describe_encoded(headers)
        return status_code, headers, chunk

    def transform_chunk(self, chunk: bytes, finishing: bool) -> bytes:
        """Compress another piece so that the client can read it at once."""
        encoder = self._encoder
        if encoder is None:
            return chunk
        if finishing:
            self._encoder = None
            return encoder.finish(chunk)
        return encoder.flush(chunk) if chunk else b""

    def _level(self, coding: Coding) -> int:
        level = self._levels.get(coding.name)
        if level is not None:
            return level
        return self.GZIP_LEVEL if coding is GZIP else coding.default_level

    def _is_compressible(self, status_code: int, headers: HTTPHeaders) -> bool:
        """Whether this response could be compressed for some client or other."""
        if status_code < 200 or status_code == 204 or "Content-Encoding" in headers:
            return False
        content_type, _, _ = headers.get("Content-Type", "").partition(";")
        content_type = content_type.strip().lower()
        if not content_type.startswith("text/") and content_type not in self.CONTENT_TYPES:
            return False
        directives = headers.get("Cache-Control")
        return directives is None or "no-transform" not in directives.lower()


def _refuses_identity(accepted: str) -> bool:
    """Whether the client does not want the content as it is (RFC 9110 §12.5.3)."""
    liked = dict(weights(accepted))
    return liked.get("identity", liked.get("*")) == 0.0


def _describe_encoded(headers: HTTPHeaders) -> None:
    """Change what said something about the bytes of the content as it was."""
    # RFC 9110 §8.8.1: codings may share a weak tag, but not a strong one. If-None-Match compares
    # weakly, so that 304 goes on to work; If-Range does not, so that ranges are never mixed up.
    tag = headers.get("Etag")
    if tag is not None and not tag.startswith("W/"):
        headers["Etag"] = f"W/{tag}"
    for name in ("Accept-Ranges", "Content-MD5"):
        if name in headers:
            del headers[name]


def _use_weak_tag_of(condition: str, headers: HTTPHeaders) -> None:
    """Confirm the tag in the form in which the client has it (RFC 9111 §4.3.4)."""
    tag = headers.get("Etag")
    if tag is not None and not tag.startswith("W/") and f"W/{tag}" in condition:
        headers["Etag"] = f"W/{tag}"


def compression(setting: object) -> type[GZipContentEncoding]:
    """The transform for a value of the setting `compress_response`: True, or options.

    `ValueError` or `TypeError` with what to write instead if it makes no sense.
    """
    if setting is True:
        options: Mapping[str, Any] = {}
    elif isinstance(setting, Mapping):
        options = setting
    else:
        raise TypeError(
            f"compress_response={setting!r}: write True, or a dict such as "
            '{"encodings": ("br", "gzip"), "level": {"gzip": 4}, "min_length": 2048}'
        )
    for name in options:
        if name not in OPTIONS:
            raise ValueError(
                f"compress_response has no option {name!r}; there are {', '.join(OPTIONS)}"
            )
    codings = _codings_of(options.get("encodings"))
    attributes: dict[str, Any] = {
        "__doc__": "Compresses the responses of one application.",
        "_codings": codings,
        "_levels": _levels_of(options.get("level"), codings),
    }
    if (min_length := options.get("min_length")) is not None:
        if not isinstance(min_length, int) or min_length < 0:
            raise ValueError(
                f"compress_response: min_length={min_length!r} is no number of bytes, such as 1024"
            )
        attributes["MIN_LENGTH"] = min_length
    if (content_types := options.get("content_types")) is not None:
        if isinstance(content_types, str) or not all(isinstance(t, str) for t in content_types):
            raise TypeError(
                "compress_response: content_types is a collection of types, "
                'such as {"application/json"}; those that begin with text/ need not be named'
            )
        attributes["CONTENT_TYPES"] = frozenset(map(str.lower, content_types))
    return type("ContentEncoding", (GZipContentEncoding,), attributes)


def _codings_of(names: Sequence[str] | None) -> dict[str, Coding]:
    if names is None:
        made = {name: make() for name, make in MAKERS.items()}
        return {name: coding for name, coding in made.items() if coding is not None}
    if isinstance(names, str) or not names:
        raise TypeError(
            f"compress_response: encodings={names!r} is no list of names, "
            'such as ("zstd", "br", "gzip")'
        )
    codings = {}
    for name in names:
        if name not in MAKERS:
            raise ValueError(
                f"compress_response: unknown encoding {name!r}; there are {', '.join(MAKERS)}"
            )
        coding = MAKERS[name]()
        if coding is None:
            raise ValueError(
                f"compress_response: the encoding {name!r} is not installed; "
                "run pip install typhoon[compress]"
            )
        codings[name] = coding
    return codings


def _levels_of(level: object, codings: Mapping[str, Coding]) -> dict[str, int]:
    if level is None:
        return {}
    levels = level if isinstance(level, Mapping) else dict.fromkeys(codings, level)
    for name, value in levels.items():
        if name not in codings:
            raise ValueError(
                f"compress_response: a level for {name!r}, which is not among the encodings "
                f"{', '.join(codings)}"
            )
        known = codings[name].levels
        if type(value) is not int or value not in known:
            raise ValueError(
                f"compress_response: the level of {name} is {value!r}; it has to be from "
                f"{known.start} to {known.stop - 1}"
            )
    return dict(levels)
