"""Precompressed files beside those that are served: `app.js.br` beside `app.js`."""

import os
import time

from typhoon.web.openfile import SETTLED, ForbiddenFileError, OpenFile, open_inside
from typhoon.web.versions import StampedCache

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


def settled_stamp(directory: str) -> Stamp | None:
    """The stamp of a directory; None if that is too new to change with the directory."""
    try:
        result = os.stat(directory)
    except OSError:
        return None
    return None if time.time() - result.st_mtime < SETTLED else stamp_of(result)


def codings_beside(path: str, stamp: Stamp | None) -> tuple[str, ...]:
    """The codings in which there is a file beside this one, by its name alone.

    `stamp` is that of the directory. As long as it stays the same, nothing is looked up again.
    """
    known = _known.get(path, stamp) if stamp is not None else None
    if known is None:
        known = tuple(
            coding for coding, suffix in SUFFIXES.items() if os.path.lexists(path + suffix)
        )
        if stamp is not None:
            _known.put(path, stamp, known, MAX_KNOWN)
    return known


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
