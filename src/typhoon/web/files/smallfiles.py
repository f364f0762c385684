"""Small static files that are asked for again and again."""

import os
import stat
from collections import OrderedDict
from dataclasses import dataclass, field

from typhoon.httputil import HTTPHeaders
from typhoon.web.files.openfile import Stamp, stamp_of
from typhoon.web.files.siblings import Stamp as DirectoryStamp
from typhoon.web.files.siblings import stamp_of as directory_stamp_of

MAX_FILES = 1024
MAX_BYTES = 16 * 1024 * 1024

Key = tuple[str, str]
"""The root, and the path below it as the URL has it."""


@dataclass(frozen=True, slots=True)
class Variant:
    """What was served: the file itself, or a precompressed one beside it."""

    path: str
    stamp: Stamp
    headers: HTTPHeaders
    etag: str | None
    body: bytes


@dataclass(frozen=True, slots=True)
class SmallFile:
    """A file that was served: valid as long as the path leads to the very same file.

    No link may be on the way from the root on: a directory that has moved out of it, with a link
    in its place, still holds the same file.
    """

    path: str
    directories: tuple[str, ...]
    """Those between the root and the file, its own first."""
    stamp: Stamp
    handler_version: int
    siblings: tuple[str, ...] | None
    """The codings in which there are files beside it; None if nobody has looked."""
    directory: str
    """The one that the file is in."""
    directory_stamp: DirectoryStamp | None
    """That of the directory when somebody looked; None if it cannot tell of changes."""
    variants: dict[str | None, Variant] = field(default_factory=dict, compare=False)
    """What was served, by its coding."""

    def is_same(self, encoded: bool = False) -> bool:
        """Whether the path leads to the file, without links, and that has not changed.

        And if it may be served `encoded`, whether there are certainly the same files beside it.
        """
        try:
            if stamp_of(os.lstat(self.path)) != self.stamp:
                return False
            own: os.stat_result | None = None
            for directory in self.directories:
                result = os.lstat(directory)
                if not stat.S_ISDIR(result.st_mode):
                    return False
                own = own or result
            if self.siblings is None or not (encoded or self.siblings):
                return True
            return directory_stamp_of(own or os.stat(self.directory)) == self.directory_stamp
        except OSError:  # It is gone.
            return False

    def variant(self, coding: str | None) -> Variant | None:
        """What was served with this coding, if that has not changed."""
        found = self.variants.get(coding)
        if found is not None and coding is not None and _stamp_at(found.path) != found.stamp:
            return None
        return found


class SmallFiles:
    """The small files served last, up to `MAX_FILES` and `MAX_BYTES`. Every operation is O(1)."""

    def __init__(self) -> None:
        self._files: OrderedDict[Key, SmallFile] = OrderedDict()
        self._bytes = 0

    def get(self, key: Key, handler_version: int, encoded: bool) -> SmallFile | None:
        """The file, if it is known and has not changed, and neither has the handler's class.

        If it may be served `encoded`, the files beside it have not changed either.
        """
        file = self._files.get(key)
        if file is None:
            return None
        if file.handler_version == handler_version and file.is_same(encoded):
            return file
        self._forget(key)
        return None

    def put(self, key: Key, file: SmallFile, coding: str | None, variant: Variant) -> None:
        """Keep what was served of a file, unless there is a link on the way to it.

        Those that have been kept longest are forgotten if there are too many.
        """
        known = self._files.get(key)
        if known != file:
            self._forget(key)
            if not file.is_same():
                return
            self._files[key] = known = file
        if _stamp_at(variant.path) != variant.stamp:
            return
        replaced = known.variants.pop(coding, None)
        self._bytes += len(variant.body) - (len(replaced.body) if replaced else 0)
        known.variants[coding] = variant
        while len(self._files) > MAX_FILES or self._bytes > MAX_BYTES:
            self._forget(next(iter(self._files)))

    def _forget(self, key: Key) -> None:
        file = self._files.pop(key, None)
        if file is not None:
            self._bytes -= sum(len(variant.body) for variant in file.variants.values())

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


def _stamp_at(path: str) -> Stamp | None:
    """The stamp of what is at this path, be it a link; None if nothing is there."""
    try:
        return stamp_of(os.lstat(path))
    except OSError:
        return None
