"""What a handler answers: status, headers, body."""

import datetime
from typing import TYPE_CHECKING

from typhoon import _core
from typhoon._core import __version__
from typhoon.escape import json_encode
from typhoon.httputil import (
    HTTPInputError,
    ResponseStartLine,
    format_timestamp,
    responses,
)

if TYPE_CHECKING:
    from asyncio import Future


HeaderValue = str | bytes | int | datetime.datetime

_core.set_default_headers(
    [
        ("Server", f"TyphoonServer/{__version__}"),
        ("Content-Type", "text/html; charset=UTF-8"),
    ]
)


class ResponseMixin(_core.Responder):
    """How a handler makes its response.

    What is written is held back until `flush` or `finish`, so that headers and status can still
    be changed, and so that a small response goes out whole.
    """

    def set_default_headers(self) -> None:
        """Override to set headers on every response, those of errors too."""

    def set_status(self, status_code: int, reason: str | None = None) -> None:
        """Set the status code, and the phrase behind it if it is not the usual one.

        A phrase that could break out of the status line, or of an error page, becomes "Unknown":
        it often comes from the client, and nothing hangs on it (RFC 9112 §4).
        """
        self._status_code = status_code
        if reason is None:
            self._reason = responses.get(status_code, "Unknown")
        else:
            self._reason = reason if reason.isprintable() and "<" not in reason else "Unknown"

    def get_status(self) -> int:
        """The status code of the response."""
        return self._status_code

    def set_header(self, name: str, value: HeaderValue) -> None:
        """Set a header; a `datetime` is written as HTTP writes dates.

        `ValueError` for characters that could break out of it.
        """
        try:
            self._headers[name] = value if type(value) is str else self._header_text(value)
        except HTTPInputError as error:
            raise ValueError(f"Unsafe header value {value!r}: {error}") from None

    def add_header(self, name: str, value: HeaderValue) -> None:
        """Add another value for a header that may come several times."""
        try:
            self._headers.add(name, self._header_text(value))
        except HTTPInputError as error:
            raise ValueError(f"Unsafe header value {value!r}: {error}") from None

    def clear_header(self, name: str) -> None:
        """Take a header back. Cookies are no headers yet: see `clear_cookie`."""
        if name in self._headers:
            del self._headers[name]

    @staticmethod
    def _header_text(value: HeaderValue) -> str:
        match value:
            case str():
                return value
            case bytes():
                return value.decode("latin-1")
            case datetime.datetime():
                return format_timestamp(value)
            case int():
                return str(value)
        raise TypeError(f"Unsupported header value {value!r}")

    def _bytes_of(self, chunk: object) -> bytes:
        """What `write` adds for anything but str and bytes."""
        if isinstance(chunk, dict):
            self.set_header("Content-Type", "application/json; charset=UTF-8")
            return json_encode(chunk).encode()
        if isinstance(chunk, bytes | bytearray | memoryview):
            return bytes(chunk)
        message = "write() only accepts bytes, unicode, and dict objects"
        if isinstance(chunk, list):
            message += ". Lists not accepted for security reasons; see the documentation of "
            message += "typhoon.web.RequestHandler.write"
        raise TypeError(message)

    def flush(self, include_footers: bool = False) -> "Future[None]":
        """Send what has been written so far. Await it for backpressure.

        Raises `StreamClosedError`, when it is awaited, if the client has gone. With
        `include_footers` the transforms are told that this is the last of the body.
        """
        connection = self.request.connection
        if self._finished:
            drained: Future[None] = connection.drained()
            return drained
        chunk = b"".join(self._write_buffer)
        self._write_buffer = []
        head = self.request.method == "HEAD"
        if chunk and not head and (self._status_code in (204, 304) or self._status_code < 200):
            raise RuntimeError(f"Cannot send body with {self._status_code}")
        if self._headers_written:
            for transform in self._transforms:
                chunk = transform.transform_chunk(chunk, include_footers)
            more: Future[None] = connection.write(b"" if head else chunk)
            return more
        for transform in self._transforms:
            self._status_code, self._headers, chunk = transform.transform_first_chunk(
                self._status_code, self._headers, chunk, include_footers
            )
        self._add_cookies()
        start_line = ResponseStartLine("", self._status_code, self._reason)
        written: Future[None] = connection.write_headers(
            start_line, self._headers, b"" if head else chunk
        )
        self._headers_written = True
        return written

    def _add_cookies(self) -> None:
        for cookie in (self._new_cookies or {}).values():
            self._headers.add("Set-Cookie", cookie)

    def _transform_whole(self) -> None:
        chunk = b"".join(self._write_buffer)
        for transform in self._transforms:
            self._status_code, self._headers, chunk = transform.transform_first_chunk(
                self._status_code, self._headers, chunk, True
            )
        self._write_buffer = [chunk]

    def _clear_representation_headers(self) -> None:
        # RFC 9110 §15.4.5: a 304 is about what the client has, and need not describe it again.
        for name in ("Content-Encoding", "Content-Language", "Content-Type"):
            self.clear_header(name)
