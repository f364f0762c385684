"""What is known of static files without a request: their content, their versions, their URLs."""

import asyncio
import functools
import hashlib
import os
from collections.abc import Iterable, Iterator
from typing import Any

from typhoon import _core
from typhoon.ioloop.registry import is_loop_running
from typhoon.log import gen_log
from typhoon.web.errors import HTTPError
from typhoon.web.files import siblings
from typhoon.web.files.openfile import (
    CHUNK_SIZE,
    ForbiddenFileError,
    OpenFile,
    Stamp,
    absolute,
    as_directories,
    is_below,
    open_inside,
    stamp_of,
)
from typhoon.web.files.smallfiles import SmallFiles
from typhoon.web.files.versions import Jobs, StampedCache

HASH_SIZE = 1024 * 1024
"""Bytes up to which a file is hashed in the event loop (about 2 ms), not in a thread."""

small_files = SmallFiles()
_hashing = Jobs()


class StaticFiles:
    """The class methods of `StaticFileHandler`. They cannot look at a request."""

    MAX_CACHED_VERSIONS = 10_000
    """Files whose versions are kept; the ones used longest ago are forgotten."""
    MAX_VERSION_CONTENT_SIZE = 100 * 1024 * 1024
    """Bytes above which a file's content is not hashed.

    Its URLs get no version then, and its entity tag tells its time and size only.
    """

    _static_hashes: StampedCache[str] = StampedCache()

    @classmethod
    def reset(cls) -> None:
        """Forget the versions of all files, and the small ones that are kept."""
        cls._static_hashes.clear()
        small_files.clear()
        siblings.clear()

    @classmethod
    def get_absolute_path(cls, root: str, path: str) -> str:
        """Where the file for `path` (relative, from the URL) is; for `validate_absolute_path`."""
        return os.path.abspath(os.path.join(root, path))

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

    @classmethod
    def make_static_url(
        cls, settings: dict[str, Any], path: str, include_version: bool = True
    ) -> str:
        """The URL of the file at `path` below the `static_path` of these application settings."""
        url = settings.get("static_url_prefix", "/static/") + path
        version = cls.get_version(settings, path) if include_version else None
        return f"{url}?v={version}" if version else url

    @classmethod
    def get_version(cls, settings: dict[str, Any], path: str) -> str | None:
        """The version for the URL of a file: a hash of its content.

        None, with an error in the log, if it has none. A file of more than 1 MiB is hashed in a
        thread if the event loop is running: its first URLs have no version then. To have it
        from the beginning, call this before the loop runs.

        `HTTPError` 403 for a path outside of the `static_path`.
        """
        root = settings["static_path"]
        abspath = cls.get_absolute_path(root, path)
        fresh = not settings.get("static_hash_cache", True)
        if not cls._reads_files():
            return cls._get_cached_version(abspath, fresh=fresh)
        if not is_below(abspath, absolute(root)):
            raise HTTPError(403, "%s is not in root static directory", path)
        try:
            stamp = stamp_of(os.stat(abspath))
            known = cls._static_hashes.get((cls, abspath), stamp)
            if known is not None and not fresh:
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
        return cls._version_of(file, fresh)

    @classmethod
    def _version_of(cls, file: OpenFile, fresh: bool) -> str | None:
        if file.is_directory:
            gen_log.error("Could not open static file %r: it is not a file", file.path)
            return None
        if cls._is_huge(file):
            gen_log.error(
                "Could not open static file %r: it is larger than %d bytes",
                file.path,
                cls.MAX_VERSION_CONTENT_SIZE,
            )
            return None
        if cls._is_slow_to_hash(file) and is_loop_running():
            cls._hash_in_thread(file)
            return None
        return cls._get_cached_version(file.path, file, fresh=fresh)

    @classmethod
    def _get_cached_version(
        cls, abspath: str, file: OpenFile | None = None, *, fresh: bool = False
    ) -> str | None:
        """The version, which is found out anew if the file has changed or it has to be `fresh`."""
        stamp: Stamp | None
        try:
            stamp = stamp_of(file.stat if file is not None else os.stat(abspath))
        except (OSError, ValueError):
            stamp = None  # The content comes from elsewhere, and is not seen to change.
        known = cls._static_hashes.get((cls, abspath), stamp)
        # Large files are not read again and again, even if the application is being worked on.
        if known is not None and not (fresh and (file is None or file.stat.st_size <= HASH_SIZE)):
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
    def _has_default(cls, *names: str) -> bool:
        """Whether no subclass overrides any of these methods."""
        version = _core.class_version(cls)
        # Without a version, nobody says when the class changes.
        this: Any = cls
        overridden = _known_overridden(this, version) if version else _overridden(this)
        return overridden.isdisjoint(names)

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

    @classmethod
    def _hash_in_thread(cls, file: OpenFile) -> "asyncio.Future[None]":
        """Find out the version of a large file, which must not be closed meanwhile."""
        key = cls, file.path, stamp_of(file.stat)
        return _hashing.start(key, lambda: cls._get_cached_version(file.path, file))


def _overridden(handler_class: type[StaticFiles]) -> frozenset[str]:
    """The names that subclasses of the handler class which is built on `StaticFiles` define."""
    found: set[str] = set()
    for base in handler_class.__mro__:
        if StaticFiles in base.__bases__:
            break
        found.update(vars(base))
    return frozenset(found)


@functools.lru_cache(maxsize=256)
def _known_overridden(handler_class: Any, _version: int) -> frozenset[str]:
    return _overridden(handler_class)


class ClassContent:
    """What the `get_content` of a class gives, where that is not the content of an open file."""

    def __init__(self, handler_class: type[StaticFiles], path: str, size: int) -> None:
        self.handler_class = handler_class
        self.path = path
        self.size = size

    def get(self, start: int, count: int) -> bytes | Iterable[bytes]:
        if count == self.size:
            return self.handler_class.get_content(self.path)
        return self.handler_class.get_content(self.path, start, start + count)
