"""Precompressed files beside those that are served: `app.js.br` beside `app.js`."""

import os
import time

from typhoon.web.files.openfile import SETTLED, ForbiddenFileError, OpenFile, open_inside
from typhoon.web.files.versions import StampedCache

SUFFIXES = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}
"""Content codings and the endings of their files, what is usually smallest first."""

MAX_KNOWN = 10_000
"""Files of which is known what lies beside them."""

Stamp = tuple[int, int, int]
"""What changes when a file is added to a directory or leaves it: device, inode, time (ns)."""

_known: StampedCache[tuple[str, ...]] = StampedCache()


def clear() -> None:
    """Forget what lies beside files."""
    _known.clear()


def stamp_of(result: os.stat_result) -> Stamp:
    return result.st_dev, result.st_ino, result.st_mtime_ns


def codings_beside(path: str) -> tuple[tuple[str, ...], Stamp | None]:
    """The codings in which there is a file beside this one, by its name alone.

    And the stamp of the directory, as long as which stays the same, nothing is looked up again;
    None if the directory is too new for its stamp to tell of changes.
    """
    directory = path.rpartition(os.path.sep)[0]
    try:
        result = os.stat(directory or os.path.sep)
    except OSError:
        return (), None
    stamp = stamp_of(result)
    known = _known.get(path, stamp)
    if known is not None:
        return known, stamp
    found = tuple(coding for coding, suffix in SUFFIXES.items() if os.path.lexists(path + suffix))
    if time.time() - result.st_mtime < SETTLED:
        return found, None
    _known.put(path, stamp, found, MAX_KNOWN)
    return found, stamp


def open_sibling(file: OpenFile, coding: str, directories: list[str]) -> OpenFile | None:
    """The file with this coding beside an open one, if it can stand for it.

    It has to be a regular file that may be served as the other may, and not older, to the second:
    many tools keep no more of a file's time.
    """
    try:
        sibling = open_inside(file.path + SUFFIXES[coding], directories)
    except (ForbiddenFileError, OSError):
        return None
    if sibling.is_directory or int(sibling.stat.st_mtime) < int(file.stat.st_mtime):
        sibling.close()
        return None
    return sibling
