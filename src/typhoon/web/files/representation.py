"""Answering with content that lies ready: preconditions, ranges, and how the body is sent.

What `StaticFileHandler` and `RequestHandler.send_file` have in common. The handler has to have
set `Etag`, `Last-Modified` and `Content-Type` before, where there are such.
"""

import datetime
import email.utils
import functools
import mimetypes
import re
import time
from collections.abc import Awaitable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from typhoon import httputil
from typhoon.httpserver import HTTP1ServerConnection
from typhoon.iostream import StreamClosedError
from typhoon.web.errors import HTTPError
from typhoon.web.files import ranges
from typhoon.web.files.openfile import (
    MISSING,
    WHOLE_SIZE,
    ForbiddenFileError,
    OpenFile,
    is_below,
    open_inside,
)
from typhoon.web.files.ranges import Range

if TYPE_CHECKING:
    from typhoon.web.handler import RequestHandler


_TAG = re.compile(r'(?:W/)?"[^"]*"')


class Content(Protocol):
    """What can be sent, whole or in parts."""

    def get(self, start: int, count: int) -> bytes | Iterable[bytes]:
        """`count` bytes from `start` on: at once if they are few, else in pieces."""


def open_for_client(path: str, root: str, directories: Sequence[str], name: str) -> OpenFile:
    """Open what a client asks for: a path below the root that is really inside the directories.

    `HTTPError` 403 if it lies elsewhere, is neither file nor directory or cannot be read, 404 if
    nothing is there. `name` is what the log calls it.
    """
    if not is_below(path, root):
        raise HTTPError(403, "%s is not in root static directory", name)
    try:
        return open_inside(path, directories)
    except ForbiddenFileError as error:
        raise HTTPError(403, f"%s {error}", name) from None
    except PermissionError:
        raise HTTPError(403, "%s cannot be read", name) from None
    except OSError as error:
        if error.errno in MISSING:
            raise HTTPError(404) from None
        raise


@functools.lru_cache(maxsize=1024)
def http_date(time: datetime.datetime) -> str:
    return httputil.format_timestamp(time)


def http_date_in(seconds: int) -> str:
    """The date so many seconds from now."""
    return _http_date_at(int(time.time()) + seconds)


_http_date_at = functools.lru_cache(maxsize=16)(httputil.format_timestamp)


def content_type_of(path: str) -> str:
    """The `Content-Type`, told from the name of a file."""
    media_type, encoding = mimetypes.guess_type(path)
    if encoding == "gzip":  # The file is served as it is, not as encoded content.
        return "application/gzip"
    if encoding is not None or media_type is None:
        return "application/octet-stream"
    return media_type


def is_not_modified(handler: "RequestHandler", modified: datetime.datetime | None) -> bool:
    """Whether the client has this content already (RFC 9110 §13.2.2).

    `If-Modified-Since` counts only without `If-None-Match`.
    """
    headers = handler.request.headers
    if headers.get("If-None-Match"):
        return handler.check_etag_header()
    since = headers.get("If-Modified-Since")
    if since is None or modified is None:
        return False
    if since == handler._headers.get("Last-Modified"):
        return True
    date = _date(since)
    return date is not None and date >= _aware(modified)


def is_another(handler: "RequestHandler", modified: datetime.datetime | None) -> bool:
    """Whether the client asks for this content only if it is another one than it is: 412.

    `If-Unmodified-Since` counts only without `If-Match` (RFC 9110 §13.2.2).
    """
    headers = handler.request.headers
    wanted = headers.get("If-Match")
    if wanted:
        etag = handler._headers.get("Etag", "")
        # The strong comparison (§8.8.3.2): a weak tag matches nothing.
        matches = etag.startswith('"') and etag in _TAG.findall(wanted)
        return not matches and wanted.strip() != "*"
    since = headers.get("If-Unmodified-Since")
    date = _date(since) if since is not None and modified is not None else None
    return date is not None and modified is not None and _aware(modified) > date


def _date(text: str) -> datetime.datetime | None:
    try:
        return _aware(email.utils.parsedate_to_datetime(text))
    except (ValueError, OverflowError):
        return None


def _aware(date: datetime.datetime) -> datetime.datetime:
    return date if date.tzinfo is not None else date.replace(tzinfo=datetime.UTC)


def answer(
    handler: "RequestHandler", content: Content, size: int, include_body: bool
) -> Awaitable[None] | None:
    """Answer with the content, or the parts of it that are asked for: status, headers, body.

    A small body has been written when this returns; otherwise what is returned sends it, and ends
    without an error if the client goes away meanwhile.
    """
    field = handler.request.headers.get("Range")
    parts = ranges.select(field, size) if field and _if_range(handler) else None
    if parts is None:
        return whole(handler, content, size, include_body)
    if not parts:
        handler.set_status(416)
        handler.clear_header("Content-Encoding")
        handler.set_header("Content-Type", "text/plain")
        handler.set_header("Content-Range", f"bytes */{size}")
        return None
    handler.set_status(206)
    if len(parts) > 1:
        kind = handler._headers.get("Content-Type")
        kind, length, pieces = ranges.multipart(parts, size, kind)
        handler.set_header("Content-Type", kind)
        handler.set_header("Content-Length", length)
        return _send(handler, content, pieces) if include_body else None
    ((start, end),) = parts
    handler.set_header("Content-Range", httputil._get_content_range(start, end, size))
    handler.set_header("Content-Length", end - start)
    return _send(handler, content, [(start, end)]) if include_body else None


def whole(
    handler: "RequestHandler", content: Content, size: int, include_body: bool
) -> Awaitable[None] | None:
    """Answer with all of the content; see `answer`."""
    handler.set_header("Content-Length", size)
    return _send(handler, content, [(0, size)]) if include_body else None


def _if_range(handler: "RequestHandler") -> bool:
    """Whether the ranges still belong to what is there (RFC 9110 §13.1.5)."""
    condition = handler.request.headers.get("If-Range")
    if condition is None:
        return True
    condition = condition.strip()
    if condition.startswith('"'):
        return condition == handler._headers.get("Etag")
    if condition != handler._headers.get("Last-Modified"):
        return False
    # In the second of its last change, content may have changed again (§8.8.2.2).
    date = _date(condition)
    return date is not None and time.time() - date.timestamp() >= 1


def _send(
    handler: "RequestHandler", content: Content, pieces: Sequence[bytes | Range]
) -> Awaitable[None] | None:
    if len(pieces) == 1:
        ((start, end),) = pieces
        if not isinstance(content, OpenFile) or end - start <= WHOLE_SIZE:
            body = content.get(start, end - start)
            if isinstance(body, bytes):
                handler.write(body)
                return None
            return _send_chunks(handler, body)
    return _send_pieces(handler, content, pieces)


async def _send_chunks(handler: "RequestHandler", chunks: Iterable[bytes]) -> None:
    try:
        for chunk in chunks:
            handler.write(chunk)
            await handler.flush()
    except StreamClosedError:
        pass  # the client is gone


async def _send_pieces(
    handler: "RequestHandler", content: Content, pieces: Sequence[bytes | Range]
) -> None:
    connection: Any = handler.request.connection
    in_kernel = isinstance(connection, HTTP1ServerConnection)
    try:
        if handler._transforms:
            await handler.flush()  # with the head, transforms decide whether they change the rest
            in_kernel &= all(getattr(each, "passes_on", False) for each in handler._transforms)
        for piece in pieces:
            if isinstance(piece, bytes):
                handler.write(piece)
                continue
            start, end = piece
            if in_kernel and isinstance(content, OpenFile) and end - start > WHOLE_SIZE:
                await handler.flush()
                await connection.send_file(content.fd, start, end - start)
                continue
            body = content.get(start, end - start)
            for chunk in [body] if isinstance(body, bytes) else body:
                handler.write(chunk)
                await handler.flush()
    except StreamClosedError:
        pass  # the client is gone
