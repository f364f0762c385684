"""Serving files from a directory."""

import asyncio
import datetime
import os
import time
from collections.abc import Awaitable
from urllib.parse import unquote

from typhoon import _core, httputil
from typhoon._core import DONE
from typhoon.web.errors import HTTPError
from typhoon.web.files import representation, siblings
from typhoon.web.files.openfile import (
    SETTLED,
    WHOLE_SIZE,
    Directories,
    OpenFile,
    absolute,
    as_directories,
    stamp_of,
)
from typhoon.web.files.smallfiles import SmallFile, Variant, directories_between
from typhoon.web.files.staticfiles import ClassContent, StaticFiles, small_files
from typhoon.web.handler import RequestHandler
from typhoon.web.negotiation import add_vary, best_encoding

_FILE_HEADERS = (
    *("Accept-Ranges", "Etag", "Last-Modified", "Content-Type", "Content-Encoding", "Vary"),
)

MIN_VERSION_LENGTH = 5
"""Characters that a URL has to have of a version to be one for good: some show a part of it."""


class StaticFileHandler(StaticFiles, RequestHandler):
    """Serves the files of a directory, with ranges, conditional requests and versioned URLs.

    Set up by the `static_path` setting of an `Application`, or as a route of its own whose
    pattern has one group, the path of the file:

        (r"/files/(.*)", StaticFileHandler, {"path": "/var/www"})

    `default_filename` is served for a directory, such as `"index.html"`. Symbolic links are
    followed only where they lead into the directory that is served, or, if given, into
    `allowed_symlink_directory` (a path or a list of paths, *instead of* `path`).

    A URL with a version (`?v=`, made by `make_static_url` and `RequestHandler.static_url`) lets
    the browser keep the file for good: it changes with the content. With a version that is not
    that of the content, as while a new release is rolled out, the browser has to ask again.

    Where there is `app.js.br`, `app.js.zst` or `app.js.gz` beside `app.js`, clients that accept
    it get that instead, unless it is older: see `precompressed`.

    To serve something else than files, override the class methods `get_content` and
    `get_content_version`, the methods `get_content_size` and `get_modified_time`, and
    `get_absolute_path` and `validate_absolute_path`. To change URLs, override `make_static_url`
    and `parse_url_path`. Class methods cannot look at the request, since URLs are made outside.
    """

    CACHE_MAX_AGE = 86400 * 365 * 10
    """Seconds for which a versioned URL may be cached."""

    precompressed: bool = True
    """Whether precompressed files are served in place of those that they are beside.

    The setting `static_precompressed` of the application turns it off as well. It is off where
    `get_content`, `get_content_version`, `get_content_size` or `compute_etag` is overridden.
    """

    root: str
    path: str
    absolute_path: str
    modified: datetime.datetime | None
    default_filename: str | None = None
    allowed_symlink_directory: Directories | None = None

    _file: OpenFile | None = None
    _original: OpenFile | None = None
    """What was asked for, if `_file` is a precompressed one in its place."""
    _coding: str | None = None
    _siblings: tuple[str, ...] | None = None
    _stamp: siblings.Stamp | None = None
    _allowed: list[str]
    _etag: tuple[str | None] | None = None

    def initialize(
        self,
        path: str,
        default_filename: str | None = None,
        allowed_symlink_directory: Directories | None = None,
    ) -> None:
        self.root = path
        self.default_filename = default_filename
        self.allowed_symlink_directory = allowed_symlink_directory

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
                self._close_files()
            if self._file is not None and self._serves_siblings():
                self._choose_sibling(self._file)
            serve = self._hash_and_serve if self._unhashed() else self._serve
            body = serve(include_body)
            if body is None:
                return DONE
            waiting = True
            return self._close_behind(body)
        finally:
            if not waiting:
                self._close_files()

    def _serve_known(self, path: str) -> bool:
        """Serve a small file that has been served like this before."""
        if type(self) is not StaticFileHandler or self.allowed_symlink_directory is not None:
            return False
        request = self.request
        header = request._header
        accepted = header("Accept-Encoding")
        version = _core.class_version(type(self))
        file = small_files.get((self.root, path), version, encoded=bool(accepted))
        if file is None:
            return False
        query = request.query
        if query and not self._is_version_of(file, query):
            return False
        if header("Range") or header("If-Match") or header("If-Unmodified-Since"):
            return False
        condition = header("If-None-Match")
        if not condition and header("If-Modified-Since"):
            return False
        coding = None
        # Where there are no siblings, it does not matter whether they are wanted.
        if file.siblings or (accepted and file.siblings is None):
            if self._wants_siblings() != (file.siblings is not None):
                return False
            coding = best_encoding(accepted, file.siblings or ())
        served = file.variant(coding)
        if served is None:
            return False
        self._etag = (served.etag,)
        self._headers.update(served.headers)
        if query:
            self._set_expiry(self.CACHE_MAX_AGE)
        if condition and self.check_etag_header():
            self.set_status(304)
            return True
        self.write(served.body)
        self._flush_through_transforms()
        return True

    def _is_version_of(self, file: SmallFile, query: str) -> bool:
        """Whether a query is nothing but the right version, as `make_static_url` writes it."""
        version = self._static_hashes.get((type(self), file.path), file.stamp)
        return (
            version is not None
            and query.startswith("v=")
            and len(query) >= len("v=") + MIN_VERSION_LENGTH
            and version.startswith(query[2:])
            and self.CACHE_MAX_AGE > 0
        )

    def _keep(self, file: OpenFile) -> None:
        """Remember what is served of this file, if nothing could change it meanwhile."""
        original = self._original or file
        changed = max(file.stat.st_mtime, file.stat.st_ctime, original.stat.st_ctime)
        if (
            type(self) is StaticFileHandler
            and self._status_code == 200
            and len(self._write_buffer) == 1
            # A default file is not kept: other routes may have another one.
            and original.path == self.get_absolute_path(self.root, self.path)
            and self.allowed_symlink_directory is None
            and time.time() - changed > SETTLED
        ):
            headers = httputil.HTTPHeaders(
                {name: self._headers[name] for name in _FILE_HEADERS if name in self._headers}
            )
            known = SmallFile(
                original.path,
                directories_between(absolute(self.root), original.path),
                stamp_of(original.stat),
                _core.class_version(type(self)),
                self._siblings,
                os.path.dirname(original.path),
                self._stamp,
            )
            body = self._write_buffer[0]
            variant = Variant(file.path, stamp_of(file.stat), headers, self.compute_etag(), body)
            small_files.put((self.root, self.path), known, self._coding, variant)

    def _unhashed(self) -> list[OpenFile]:
        """The files whose versions are needed and take a while to find out."""
        found = []
        if self._file is not None and self._is_slow_to_hash(self._file):
            found.append(self._file)
        if (
            self._original is not None
            and self._is_slow_to_hash(self._original)
            and self._has_version()
        ):
            found.append(self._original)
        return found

    async def _hash_and_serve(self, include_body: bool) -> None:
        try:
            for file in self._unhashed():
                await asyncio.shield(self._hash_in_thread(file))
        except BaseException:
            # A thread may still read them, and closes them at its end.
            self._file = self._original = None
            raise
        body = self._serve(include_body)
        if body is not None:
            await body

    async def _close_behind(self, body: Awaitable[None]) -> None:
        try:
            await body
        finally:
            self._close_files()

    def _serve(self, include_body: bool) -> Awaitable[None] | None:
        """Answer, but for a body that has to be sent in pieces: what is returned sends that."""
        self.modified = self.get_modified_time()
        self.set_headers()
        if self._siblings:
            add_vary(self._headers, "Accept-Encoding")
        if self._coding is not None:
            self.set_header("Content-Encoding", self._coding)
        if representation.is_another(self, self.modified):
            raise HTTPError(412)
        if self.should_return_304():
            self.set_status(304)
            return None
        size = self.get_content_size()
        content = self._file or ClassContent(type(self), self.absolute_path, size)
        body = representation.answer(self, content, size, include_body)
        if body is None and include_body and self._file is not None and size <= WHOLE_SIZE:
            self._keep(self._file)
        if body is None and self._status_code == 200:
            self._flush_through_transforms()
        return body

    def _flush_through_transforms(self) -> None:
        # Files of any length look like streams to them, and are compressed alike.
        if self._transforms:
            self.flush()

    def compute_etag(self) -> str | None:
        """The entity tag: the version of the content, or the file's time and size if it is huge."""
        if self._etag is None:
            file = self._file
            if file is not None and self._is_huge(file):
                version: str | None = file.stamp_tag()
            else:
                path = self.absolute_path if file is None else file.path
                version = self._get_cached_version(path, file, fresh=self._is_fresh())
            self._etag = (f'"{version}"' if version else None,)
        return self._etag[0]

    def _is_fresh(self) -> bool:
        return not self.settings.get("static_hash_cache", True)

    def set_headers(self) -> None:
        """Set what tells about the content and how long it may be cached."""
        self.set_header("Accept-Ranges", "bytes")
        self.set_etag_header()
        if self.modified is not None:
            self.set_header("Last-Modified", representation.http_date(self.modified))
        content_type = self.get_content_type()
        if content_type:
            self.set_header("Content-Type", content_type)
        cache_time = self.get_cache_time(self.path, self.modified, content_type)
        if cache_time > 0:
            self._set_expiry(cache_time)
        elif self.request.query and self._has_version() and self._has_default("get_cache_time"):
            # Another version than this one: keep it, but ask each time (RFC 9111 §5.2.2.4).
            self._set_expiry(0)
        self.set_extra_headers(self.path)

    def _set_expiry(self, seconds: int) -> None:
        self.set_header("Expires", representation.http_date_in(seconds))
        self.set_header("Cache-Control", f"max-age={seconds}" if seconds > 0 else "no-cache")

    def should_return_304(self) -> bool:
        """Whether the client has this content already (RFC 9110 §13.2.2).

        `If-Modified-Since` counts only without `If-None-Match`.
        """
        return representation.is_not_modified(self, self.modified)

    # --- what is served ---------------------------------------------------------------------

    def validate_absolute_path(self, root: str, absolute_path: str) -> str | None:
        """Check that the path may be served, and give the one to serve.

        `HTTPError` 403 if it may not, 404 if nothing is there. None if the request has been
        answered: a directory with a default file is redirected to its name with a slash.
        """
        root = absolute(root)
        links = self.allowed_symlink_directory
        self._allowed = [root] if links is None else as_directories(links, root)
        file = representation.open_for_client(absolute_path, root, self._allowed, self.path)
        if file.is_directory and self.default_filename is not None:
            url_path = self.request.path
            if not url_path.endswith("/"):
                # Browsers take //host and /\host for another site; a proxy may decode what it sees.
                if unquote(url_path[:6])[:2] in ("//", "/\\"):
                    raise HTTPError(403, "cannot redirect path with two initial slashes")
                self.redirect(url_path + "/", permanent=True)
                return None
            absolute_path = os.path.join(absolute_path, self.default_filename)
            file = representation.open_for_client(absolute_path, root, self._allowed, self.path)
        if file.is_directory:
            raise HTTPError(403, "%s is not a file", self.path)
        self._file = file
        return absolute_path

    def _wants_siblings(self) -> bool:
        return self.precompressed and bool(self.settings.get("static_precompressed", True))

    def _serves_siblings(self) -> bool:
        return self._wants_siblings() and self._has_default(
            "get_content", "get_content_version", "get_content_size", "compute_etag"
        )

    def _choose_sibling(self, file: OpenFile) -> None:
        """Take the precompressed file in place of this one, if the client likes that better."""
        self._siblings, self._stamp = siblings.codings_beside(file.path)
        if not self._siblings:
            return
        accepted = self.request.headers.get("Accept-Encoding")
        offered = list(self._siblings)
        while (coding := best_encoding(accepted, offered)) is not None:
            sibling = siblings.open_sibling(file, coding, self._allowed)
            if sibling is not None:
                self._coding, self._file, self._original = coding, sibling, file
                return
            offered.remove(coding)

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
        return representation.content_type_of(self.absolute_path)

    def set_extra_headers(self, path: str) -> None:
        """Override to add headers to those of `set_headers`."""

    def get_cache_time(self, path: str, modified: datetime.datetime | None, mime_type: str) -> int:
        """For how many seconds the content may be cached; 0 sets no such header.

        By default `CACHE_MAX_AGE` for a URL with the version of the content (its first five
        characters do), else 0. Where `get_version` or `make_static_url` is overridden, any version
        is taken for the right one.
        """
        if not self._has_version():
            return 0
        if not self._has_default("get_version", "make_static_url"):
            return self.CACHE_MAX_AGE
        wanted = self.request.query_arguments["v"][-1]
        version = (self._version() or "").encode()
        is_right = len(wanted) >= MIN_VERSION_LENGTH and version.startswith(wanted)
        return self.CACHE_MAX_AGE if is_right else 0

    def parse_url_path(self, url_path: str) -> str:
        """The relative path of the file from that of the URL (after the prefix)."""
        return url_path if os.path.sep == "/" else url_path.replace("/", os.path.sep)

    def _has_version(self) -> bool:
        """Whether the URL has a version."""
        # Most requests have no query: then nothing has to be parsed.
        return bool(self.request.query) and "v" in self.request.query_arguments

    def _version(self) -> str | None:
        """The version that URLs of what was asked for have."""
        file = self._original or self._file
        if file is not None and self._is_huge(file):
            return None
        path = self.absolute_path if file is None else file.path
        return self._get_cached_version(path, file)

    def _close_files(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._original is not None:
            self._original.close()
            self._original = None
