"""Small static files that are asked for again and again."""

import os
from collections import OrderedDict
from dataclasses import dataclass

from typhoon.httputil import HTTPHeaders

MAX_FILES = 1024
MAX_BYTES = 16 * 1024 * 1024

Key = tuple[str, str]
"""The root, and the path below it as the URL has it."""


@dataclass(frozen=True, slots=True)
class SmallFile:
    """A file as it was served: valid as long as the path leads to the very same file."""

    path: str
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
        try:
            if file.handler_version == handler_version and _is_same(os.stat(file.path), file.stat):
                return file
        except OSError:
            pass  # It is gone.
        self._forget(key)
        return None

    def put(self, key: Key, file: SmallFile) -> None:
        """Keep a file, and forget those that have been kept longest if there are too many."""
        self._forget(key)
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


def _is_same(now: os.stat_result, then: os.stat_result) -> bool:
    """Whether a path leads to the same file, and that has not changed."""
    return (
        now.st_mtime_ns == then.st_mtime_ns
        and now.st_ctime_ns == then.st_ctime_ns
        and now.st_ino == then.st_ino
        and now.st_dev == then.st_dev
        and now.st_size == then.st_size
    )
