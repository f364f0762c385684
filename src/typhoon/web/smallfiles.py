"""Small static files that are asked for again and again."""

import os
import stat
from collections import OrderedDict
from dataclasses import dataclass

from typhoon.httputil import HTTPHeaders

MAX_FILES = 1024
MAX_BYTES = 16 * 1024 * 1024

Key = tuple[str, str]
"""The root, and the path below it as the URL has it."""


@dataclass(frozen=True, slots=True)
class SmallFile:
    """A file as it was served: valid as long as the path leads to the very same file.

    No link may be on the way from the root on: a directory that has moved out of it, with a link
    in its place, still holds the same file.
    """

    path: str
    directories: tuple[str, ...]
    """Those between the root and the file."""
    stat: os.stat_result
    handler_version: int
    headers: HTTPHeaders
    etag: str | None
    body: bytes


class SmallFiles:
    """The small files served last, up to `MAX_FILES` and `MAX_BYTES`. Every operation is O(1)."""

    def __init__(self) -> None:
        self._files: OrderedDict[Key, SmallFile] = OrderedDict()
        self._bytes = 0

    def get(self, key: Key, handler_version: int) -> SmallFile | None:
        """The file, if it is known and has not changed, and neither has the handler's class."""
        file = self._files.get(key)
        if file is None:
            return None
        if file.handler_version == handler_version and _leads_to(file):
            return file
        self._forget(key)
        return None

    def put(self, key: Key, file: SmallFile) -> None:
        """Keep a file, unless there is a link on the way to it.

        Those that have been kept longest are forgotten if there are too many.
        """
        self._forget(key)
        if not _leads_to(file):
            return
        self._files[key] = file
        self._bytes += len(file.body)
        while len(self._files) > MAX_FILES or self._bytes > MAX_BYTES:
            self._forget(next(iter(self._files)))

    def _forget(self, key: Key) -> None:
        file = self._files.pop(key, None)
        if file is not None:
            self._bytes -= len(file.body)

    def clear(self) -> None:
        self._files.clear()
        self._bytes = 0


def directories_between(root: str, path: str) -> tuple[str, ...]:
    """The directories that are below the root and hold the path, by its text."""
    found: list[str] = []
    directory = os.path.dirname(path)
    while len(directory) > len(root):
        found.append(directory)
        directory = os.path.dirname(directory)
    return tuple(found)


def _leads_to(file: SmallFile) -> bool:
    """Whether the path leads to the file, without links, and that has not changed."""
    then = file.stat
    try:
        now = os.lstat(file.path)
        return (
            now.st_mtime_ns == then.st_mtime_ns
            and now.st_ctime_ns == then.st_ctime_ns
            and now.st_ino == then.st_ino
            and now.st_dev == then.st_dev
            and now.st_size == then.st_size
            and all(stat.S_ISDIR(os.lstat(directory).st_mode) for directory in file.directories)
        )
    except OSError:  # It is gone.
        return False
