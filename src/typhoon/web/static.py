"""Serving files from a directory."""

import asyncio
import datetime
import email.utils
import functools
import hashlib
import mimetypes
import os
import time
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from typing import Any

from typhoon import _core, httputil
from typhoon._core import DONE
from typhoon.httpserver import HTTP1ServerConnection
from typhoon.iostream import StreamClosedError
from typhoon.log import gen_log
from typhoon.web.errors import HTTPError
from typhoon.web.handler import RequestHandler
from typhoon.web.openfile import (
    CHUNK_SIZE,
    MISSING,
    ForbiddenFileError,
    OpenFile,
    Stamp,
    absolute,
    as_directories,
    is_below,
    open_inside,
    stamp_of,
)
from typhoon.web.smallfiles import SmallFile, SmallFiles, directories_between
from typhoon.web.versions import VersionCache

WHOLE_SIZE = 64 * 1024
"""Bytes up to which a body is read at once and sent together with its head."""

HASH_SIZE = 1024 * 1024
"""Bytes up to which a file is hashed in the event loop (about 2 ms), not in a thread."""

SETTLED = 2.0
"""Seconds for which a file has not changed before it is kept: times of files are coarse."""

_CONDITIONS = ("Range", "If-None-Match", "If-Modified-Since")
_FILE_HEADERS = ("Accept-Ranges", "Etag", "Last-Modified", "Content-Type")

_small_files = SmallFiles()


class StaticFileHandler(RequestHandler):
    """Serves the files of a directory, with ranges, conditional requests and versioned URLs.

    Set up by the `static_path` setting of an `Application`, or as a route of its own whose
    pattern has one group, the path of the file:

        (r"/files/(.*)", StaticFileHandler, {"path": "/var/www"})

    `default_filename` is served for a directory, such as `"index.html"`. Symbolic links are
    followed only where they lead into the directory that is served, or, if given, into
    `allowed_symlink_directory` (a path or a list of paths, *instead of* `path`).

    A URL with a version (`?v=`, made by `make_static_url` and `RequestHandler.static_url`) lets
    the browser keep the file for good: it changes with the content.

    To serve something else than files, override the class methods `get_content` and
    `get_content_version`, the methods `get_content_size` and `get_modified_time`, and
    `get_absolute_path` and `validate_absolute_path`. To change URLs, override `make_static_url`
    and `parse_url_path`. Class methods cannot look at the request, since URLs are made outside.
    """

    CACHE_MAX_AGE = 86400 * 365 * 10
    """Seconds for which a versioned URL may be cached."""
    MAX_CACHED_VERSIONS = 10_000
    """Files whose versions are kept; the ones used longest ago are forgotten."""
    MAX_VERSION_CONTENT_SIZE = 100 * 1024 * 1024
    """Bytes above which a file's content is not hashed.

    Its URLs get no version then, and its entity tag tells its time and size only.
    """

    root: str
    path: str
    absolute_path: str
    modified: datetime.datetime | None
    default_filename: str | None = None
    allowed_symlink_directory: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = (
        None
    )

    _static_hashes = VersionCache()
    _file: OpenFile | None = None
    _etag: tuple[str | None] | None = None

    def initialize(
        self,
        path: str,
        default_filename: str | None = None,
        allowed_symlink_directory: str
        | os.PathLike[str]
        | Sequence[str | os.PathLike[str]]
        | None = None,
    ) -> None:
        self.root = path
        self.default_filename = default_filename
        self.allowed_symlink_directory = allowed_symlink_directory

    @classmethod
    def reset(cls) -> None:
        """Forget the versions of all files, and the small ones that are kept."""
        cls._static_hashes.clear()
        _small_files.clear()

    # --- the request ------------------------------------------------------------------------

    def head(self, path: str) -> Awaitable[None]:
        return self.get(path, include_body=False)

    def get(self, path: str, include_body: bool = True) -> Awaitable[None]:
        """Serve the file; small ones at once, so that what is returned need not be waited for."""
        if include_body and self._serve_known(path):
            return DONE
        self.path = self.parse_url_path(path)
        if "\0" in self.path:
            raise HTTPError(404)
        waiting = False
        try:
            absolute_path = self.get_absolute_path(self.root, self.path)
            validated = self.validate_absolute_path(self.root, absolute_path)
            if validated is None:
                return DONE
            self.absolute_path = validated
            if self._file is not None and (self._file.path != validated or not self._reads_files()):
                self._close_file()
            if self._file is not None and self._is_slow_to_hash(self._file):
                waiting = True
                return self._hash_and_serve(self._file, include_body)
            body = self._serve(include_body)
            waiting = body is not None
            return body or DONE
        finally:
            if not waiting:
                self._close_file()

    def _serve_known(self, path: str) -> bool:
        """Serve a small file that has been served like this before."""
        request = self.request
        if (
            type(self) is not StaticFileHandler
            or request.query
            or self.default_filename is not None
            or self.allowed_symlink_directory is not None
        ):
            return False
        file = _small_files.get((self.root, path), _core.class_version(type(self)))
        if file is None or any(request._header(name) for name in _CONDITIONS):
            return False
        self._etag = (file.etag,)
        self._headers.update(file.headers)
        self.write(file.body)
        return True

    def _keep(self, file: OpenFile, body: bytes) -> None:
        """Remember how this file is served, if there is nothing that could change it meanwhile."""
        changed = max(file.stat.st_mtime, file.stat.st_ctime)
        if (
            type(self) is StaticFileHandler
            and self._status_code == 200
            and not self.request.query
            and self.default_filename is None
            and self.allowed_symlink_directory is None
            and time.time() - changed > SETTLED
        ):
            headers = httputil.HTTPHeaders(
                {name: self._headers[name] for name in _FILE_HEADERS if name in self._headers}
            )
            version = _core.class_version(type(self))
            between = directories_between(absolute(self.root), file.path)
            etag = self.compute_etag()
            known = SmallFile(file.path, between, file.stat, version, headers, etag, body)
            _small_files.put((self.root, self.path), known)

    async def _hash_and_serve(self, file: OpenFile, include_body: bool) -> None:
        try:
            try:
                await asyncio.get_running_loop().run_in_executor(
                    None, self._get_cached_version, file.path, file
                )
            except BaseException:
                self._file = None  # The thread may still read it, and closes it at its end.
                raise
            body = self._serve(include_body)
            if body is not None:
                await body
        finally:
            self._close_file()

    def _serve(self, include_body: bool) -> Awaitable[None] | None:
        """Answer, but for a body that has to be sent in pieces: what is returned sends that."""
        self.modified = self.get_modified_time()
        self.set_headers()
        if self.should_return_304():
            self.set_status(304)
            return None
        size = self.get_content_size()
        selected = self._select_range(size)
        if selected is None:
            return None
        start, end = selected
        first, count = start or 0, (size if end is None else end) - (start or 0)
        self.set_header("Content-Length", count)
        if not include_body:
            return None
        if self._file is not None:
            if count > WHOLE_SIZE:
                return self._send_file(self._file, first, count)
            body = self._file.read(first, count)
            self._keep(self._file, body)
            self.write(body)
            return None
        content = self.get_content(self.absolute_path, start, end)
        if isinstance(content, bytes):
            self.write(content)
            return None
        return self._send_chunks(content)

    def _select_range(self, size: int) -> tuple[int | None, int | None] | None:
        """The part of the content that is asked for, with status and headers set accordingly.

        (None, None) is all of it; None says that there is no such part (416).
        RFC 9110 §14: one range; a request for several is answered with everything.
        """
        field = self.request.headers.get("Range")
        wanted = httputil._parse_request_range(field) if field else None
        if wanted is None or not self._if_range():
            return None, None
        start, end = wanted
        if start is not None and start < 0:
            start = max(start + size, 0)
        if end == 0 or (start is not None and (start >= size or (end or size) <= start)):
            self.set_status(416)
            self.set_header("Content-Type", "text/plain")
            self.set_header("Content-Range", f"bytes */{size}")
            return None
        end = None if end is None else min(end, size)
        if not start and (end is None or end == size):
            # Everything: some browsers do not play media that comes as 206 then.
            return None, None
        self.set_status(206)
        self.set_header("Content-Range", httputil._get_content_range(start, end, size))
        return start, end

    def _if_range(self) -> bool:
        """Whether the range still belongs to what is there (RFC 9110 §13.1.5)."""
        condition = self.request.headers.get("If-Range")
        if condition is None:
            return True
        condition = condition.strip()
        if condition.startswith('"'):
            return condition == self._headers.get("Etag")
        return condition == self._headers.get("Last-Modified")

    async def _send_file(self, file: OpenFile, start: int, count: int) -> None:
        connection: Any = self.request.connection
        try:
            if self._transforms or not isinstance(connection, HTTP1ServerConnection):
                await self._send_chunks(file.chunks(start, count))
                return
            await self.flush()
            await connection.send_file(file.fd, start, count)
        except StreamClosedError:
            pass  # the client is gone
        finally:
            self._close_file()

    async def _send_chunks(self, chunks: Iterable[bytes]) -> None:
        try:
            for chunk in chunks:
                self.write(chunk)
                await self.flush()
        except StreamClosedError:
            pass  # the client is gone

    def compute_etag(self) -> str | None:
        """The entity tag: the version of the content, or the file's time and size if it is huge."""
        if self._etag is None:
            file = self._file
            if file is not None and self._is_huge(file):
                version: str | None = f"{file.stat.st_mtime_ns:x}-{file.stat.st_size:x}"
            else:
                version = self._get_cached_version(self.absolute_path, file)
            self._etag = (f'"{version}"' if version else None,)
        return self._etag[0]

    def set_headers(self) -> None:
        """Set what tells about the content and how long it may be cached."""
        self.set_header("Accept-Ranges", "bytes")
        self.set_etag_header()
        if self.modified is not None:
            self.set_header("Last-Modified", _http_date(self.modified))
        content_type = self.get_content_type()
        if content_type:
            self.set_header("Content-Type", content_type)
        cache_time = self.get_cache_time(self.path, self.modified, content_type)
        if cache_time > 0:
            now = datetime.datetime.now(datetime.UTC)
            self.set_header("Expires", now + datetime.timedelta(seconds=cache_time))
            self.set_header("Cache-Control", f"max-age={cache_time}")
        self.set_extra_headers(self.path)

    def should_return_304(self) -> bool:
        """Whether the client has this content already (RFC 9110 §13.2.2).

        `If-Modified-Since` counts only without `If-None-Match`.
        """
        if self.request.headers.get("If-None-Match"):
            return self.check_etag_header()
        since = self.request.headers.get("If-Modified-Since")
        if since is None or self.modified is None:
            return False
        if since == self._headers.get("Last-Modified"):
            return True
        try:
            date = email.utils.parsedate_to_datetime(since)
        except (ValueError, OverflowError):
            return False
        if date.tzinfo is None:
            date = date.replace(tzinfo=datetime.UTC)
        modified = self.modified
        if modified.tzinfo is None:
            modified = modified.replace(tzinfo=datetime.UTC)
        return date >= modified

    # --- what is served ---------------------------------------------------------------------

    @classmethod
    def get_absolute_path(cls, root: str, path: str) -> str:
        """Where the file for `path` (relative, from the URL) is; for `validate_absolute_path`."""
        return os.path.abspath(os.path.join(root, path))

    def validate_absolute_path(self, root: str, absolute_path: str) -> str | None:
        """Check that the path may be served, and give the one to serve.

        `HTTPError` 403 if it may not, 404 if nothing is there. None if the request has been
        answered: a directory with a default file is redirected to its name with a slash.
        """
        root = absolute(root)
        if not is_below(absolute_path, root):
            raise HTTPError(403, "%s is not in root static directory", self.path)
        file = self._open(root, absolute_path)
        if file.is_directory and self.default_filename is not None:
            url_path = self.request.path
            if not url_path.endswith("/"):
                # Browsers take //host and /\host for another site.
                if url_path[:2] in ("//", "/\\"):
                    raise HTTPError(403, "cannot redirect path with two initial slashes")
                self.redirect(url_path + "/", permanent=True)
                return None
            absolute_path = os.path.join(absolute_path, self.default_filename)
            file = self._open(root, absolute_path)
        if file.is_directory:
            raise HTTPError(403, "%s is not a file", self.path)
        self._file = file
        return absolute_path

    def _open(self, root: str, absolute_path: str) -> OpenFile:
        try:
            allowed = as_directories(self.allowed_symlink_directory, root)
            return open_inside(absolute_path, allowed)
        except ForbiddenFileError as error:
            raise HTTPError(403, f"%s {error}", self.path) from None
        except PermissionError:
            raise HTTPError(403, "%s cannot be read", self.path) from None
        except OSError as error:
            if error.errno in MISSING:
                raise HTTPError(404) from None
            raise

    @classmethod
    def get_content(
        cls, abspath: str, start: int | None = None, end: int | None = None
    ) -> bytes | Iterable[bytes]:
        """The bytes from `start` up to, but not with, `end`: as bytes or as an iterator of such."""
        return cls._read(abspath, start or 0, end)

    @staticmethod
    def _read(abspath: str, start: int, end: int | None) -> Iterator[bytes]:
        with open(abspath, "rb") as file:
            file.seek(start)
            while chunk := file.read(CHUNK_SIZE if end is None else min(CHUNK_SIZE, end - start)):
                start += len(chunk)
                yield chunk

    @classmethod
    def get_content_version(cls, abspath: str) -> str:
        """What changes whenever the content does: by default the SHA-512 of `get_content`."""
        content = cls.get_content(abspath)
        digest = hashlib.sha512()
        for chunk in [content] if isinstance(content, bytes) else content:
            digest.update(chunk)
        return digest.hexdigest()

    def _stat(self) -> os.stat_result:
        return self._file.stat if self._file is not None else os.stat(self.absolute_path)

    def get_content_size(self) -> int:
        """The size of the whole content in bytes."""
        return self._stat().st_size

    def get_modified_time(self) -> datetime.datetime | None:
        """When the content was last changed, to the second; None if that is not known."""
        return datetime.datetime.fromtimestamp(int(self._stat().st_mtime), datetime.UTC)

    def get_content_type(self) -> str:
        """The `Content-Type`, told from the name of the file."""
        media_type, encoding = mimetypes.guess_type(self.absolute_path)
        if encoding == "gzip":  # The file is served as it is, not as encoded content.
            return "application/gzip"
        if encoding is not None or media_type is None:
            return "application/octet-stream"
        return media_type

    def set_extra_headers(self, path: str) -> None:
        """Override to add headers to those of `set_headers`."""

    def get_cache_time(self, path: str, modified: datetime.datetime | None, mime_type: str) -> int:
        """For how many seconds the content may be cached; 0 sets no such header.

        By default `CACHE_MAX_AGE` for a URL with a version, else 0.
        """
        # Most requests have no query: then nothing has to be parsed.
        return self.CACHE_MAX_AGE if self.request.query and "v" in self.request.arguments else 0

    # --- URLs and versions ------------------------------------------------------------------

    @classmethod
    def make_static_url(
        cls, settings: dict[str, Any], path: str, include_version: bool = True
    ) -> str:
        """The URL of the file at `path` below the `static_path` of these application settings."""
        url = settings.get("static_url_prefix", "/static/") + path
        version = cls.get_version(settings, path) if include_version else None
        return f"{url}?v={version}" if version else url

    def parse_url_path(self, url_path: str) -> str:
        """The relative path of the file from that of the URL (after the prefix)."""
        return url_path if os.path.sep == "/" else url_path.replace("/", os.path.sep)

    @classmethod
    def get_version(cls, settings: dict[str, Any], path: str) -> str | None:
        """The version for the URL of a file, or None (with an error in the log) if it has none.

        `HTTPError` 403 for a path outside of the `static_path`.
        """
        root = settings["static_path"]
        abspath = cls.get_absolute_path(root, path)
        if not cls._reads_files():
            return cls._get_cached_version(abspath)
        if not is_below(abspath, absolute(root)):
            raise HTTPError(403, "%s is not in root static directory", path)
        try:
            stamp = stamp_of(os.stat(abspath))
            known = cls._static_hashes.get((cls, abspath), stamp)
            if known is not None:
                return known
            options = settings.get("static_handler_args") or {}
            allowed = as_directories(options.get("allowed_symlink_directory"), root)
            file = open_inside(abspath, allowed)
        except (OSError, ValueError):
            gen_log.error("Could not open static file %r", abspath)
            return None
        except ForbiddenFileError as error:
            gen_log.error("Could not open static file %r: it %s", abspath, error)
            return None
        try:
            if file.is_directory:
                gen_log.error("Could not open static file %r: it is not a file", abspath)
                return None
            if cls._is_huge(file):
                gen_log.error(
                    "Could not open static file %r: it is larger than %d bytes",
                    abspath,
                    cls.MAX_VERSION_CONTENT_SIZE,
                )
                return None
            return cls._get_cached_version(abspath, file)
        finally:
            file.close()

    @classmethod
    def _get_cached_version(cls, abspath: str, file: OpenFile | None = None) -> str | None:
        stamp: Stamp | None
        try:
            stamp = stamp_of(file.stat if file is not None else os.stat(abspath))
        except (OSError, ValueError):
            stamp = None  # The content comes from elsewhere, and is not seen to change.
        known = cls._static_hashes.get((cls, abspath), stamp)
        if known is not None:
            return known
        try:
            if file is not None and cls._has_default("get_content_version"):
                version = file.digest()
            else:
                version = cls.get_content_version(abspath)
        except OSError:
            gen_log.error("Could not open static file %r", abspath)
            return None
        cls._static_hashes.put((cls, abspath), stamp, version, cls.MAX_CACHED_VERSIONS)
        return version

    @classmethod
    def _has_default(cls, name: str) -> bool:
        """Whether this class method is not overridden."""
        function: Any = getattr(cls, name)
        default: Any = getattr(StaticFileHandler, name)
        return getattr(function, "__func__", None) is default.__func__

    @classmethod
    def _reads_files(cls) -> bool:
        return cls._has_default("get_content")

    @classmethod
    def _is_huge(cls, file: OpenFile) -> bool:
        return file.stat.st_size > cls.MAX_VERSION_CONTENT_SIZE

    @classmethod
    def _is_slow_to_hash(cls, file: OpenFile) -> bool:
        return (
            HASH_SIZE < file.stat.st_size <= cls.MAX_VERSION_CONTENT_SIZE
            and cls._static_hashes.get((cls, file.path), stamp_of(file.stat)) is None
        )

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


@functools.lru_cache(maxsize=1024)
def _http_date(time: datetime.datetime) -> str:
    return httputil.format_timestamp(time)
