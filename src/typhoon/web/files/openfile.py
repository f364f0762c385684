"""Opens files for serving: only regular ones, and only inside the directories allowed.

A file is opened first and asked afterwards where it really lies, so that no symbolic link can be
exchanged between the check and the use. On Linux that takes three system calls.
"""

import errno
import functools
import hashlib
import os
import stat
import sys
from collections.abc import Iterator, Sequence

from typhoon.httpserver.sendfile import read_at

CHUNK_SIZE = 64 * 1024
"""Bytes that are read at a time."""

WHOLE_SIZE = 64 * 1024
"""Bytes up to which a body is read at once and sent together with its head."""

SETTLED = 2.0
"""Seconds without a change before what is known of a file is kept: times of files are coarse."""

# Opening a FIFO without a writer must not wait, and a terminal must not become ours.
_FLAGS = os.O_RDONLY
for _name in ("O_CLOEXEC", "O_NONBLOCK", "O_NOCTTY", "O_BINARY", "O_NOINHERIT"):
    _FLAGS |= getattr(os, _name, 0)

MISSING = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}
"""What `OSError` says when there is no such file."""

Directories = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""One directory, or several of them."""

Stamp = tuple[int, int, int, int, int]
"""What changes when a file does, on purpose or not: device, inode, times (ns) and size.

The time of modification can be set back; the other one, that of the last change, cannot.
"""


class ForbiddenFileError(Exception):
    """The path leads to something that is not to be served; the argument completes "{path} ..."."""


def stamp_of(result: os.stat_result) -> Stamp:
    return (
        result.st_dev,
        result.st_ino,
        result.st_mtime_ns,
        result.st_ctime_ns,
        result.st_size,
    )


class OpenFile:
    """A regular file or a directory, open for reading; closed at the latest when it is dropped."""

    __slots__ = ("fd", "path", "stat")

    def __init__(self, path: str, fd: int) -> None:
        self.path = path
        self.fd = fd
        self.stat = os.fstat(fd)

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.stat.st_mode)

    def read(self, start: int, count: int) -> bytes:
        """`count` bytes from `start` on, or fewer at the end of the file."""
        data = read_at(self.fd, count, start)
        while len(data) < count and (
            more := read_at(self.fd, count - len(data), start + len(data))
        ):
            data += more
        return data

    def get(self, start: int, count: int) -> bytes | Iterator[bytes]:
        """`count` bytes from `start` on: at once if they are few, else in pieces."""
        return self.read(start, count) if count <= WHOLE_SIZE else self.chunks(start, count)

    def chunks(self, start: int, count: int) -> Iterator[bytes]:
        while count > 0 and (chunk := read_at(self.fd, min(count, CHUNK_SIZE), start)):
            yield chunk
            start += len(chunk)
            count -= len(chunk)

    def digest(self) -> str:
        """The SHA-512 of the content in hexadecimal."""
        digest = hashlib.sha512()
        for chunk in self.chunks(0, self.stat.st_size):
            digest.update(chunk)
        return digest.hexdigest()

    def stamp_tag(self) -> str:
        """What changes when the file does, where reading all of it would take too long."""
        return f"{self.stat.st_mtime_ns:x}-{self.stat.st_size:x}"

    def close(self) -> None:
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        self.close()


def open_inside(path: str, directories: Sequence[str]) -> OpenFile:
    """Open what lies at `path` if that is really inside one of the directories.

    `ForbiddenFileError` if it lies elsewhere, whether it exists or not, or is neither a regular
    file nor a directory; `OSError` if it is not there or cannot be read.
    """
    if os.name == "nt" and ":" in os.path.splitdrive(path)[1]:
        raise ForbiddenFileError("is not a file")  # but an NTFS alternate data stream
    try:
        file = _open(path)
    except OSError as error:
        if (
            "\0" not in path
            and error.errno in {*MISSING, errno.EACCES}
            and not _is_inside(os.path.realpath(path), path, directories)
        ):
            raise ForbiddenFileError("is not in root static directory") from None
        raise
    if not stat.S_ISREG(file.stat.st_mode) and not file.is_directory:
        raise ForbiddenFileError("is not a file")
    if not _is_inside(_real_path(file), path, directories):
        raise ForbiddenFileError("is not in root static directory")
    return file


def open_file(path: str) -> OpenFile:
    """Open a regular file, wherever it lies. `OSError` if that is not possible."""
    file = _open(path)
    if file.is_directory:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(file.stat.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", path)
    return file


def _open(path: str) -> OpenFile:
    try:
        if "\0" in path:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        fd = os.open(path, _FLAGS)
    except UnicodeEncodeError:  # a lone surrogate: no file has such a name
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from None
    try:
        return OpenFile(path, fd)
    except OSError:
        os.close(fd)
        raise


def _real_path(file: OpenFile) -> str:
    if sys.platform == "linux":
        try:
            return os.readlink(f"/proc/self/fd/{file.fd}")
        except OSError:  # /proc is not mounted
            pass
    return os.path.realpath(file.path)


def _is_inside(real: str, path: str, directories: Sequence[str]) -> bool:
    """Whether `real`, which is where `path` leads to, is in one of the directories or is it."""
    for directory in directories:
        # No link on the way from the directory on: then what is known about it need not be fresh.
        if (
            path.startswith(directory)
            and real == _known_real_path(directory) + path[len(directory) :]
        ):
            return True
    # A directory may be a link itself, and changed to another release of what it holds.
    _known_real_path.cache_clear()
    for directory in directories:
        inside = _known_real_path(directory)
        if real == inside or real.startswith(os.path.join(inside, "")):
            return True
    return False


@functools.lru_cache(maxsize=256)
def _known_real_path(directory: str) -> str:
    return os.path.realpath(directory)


def absolute(path: str) -> str:
    """`os.path.abspath`."""
    return _normal(path) if os.path.isabs(path) else os.path.abspath(path)


@functools.lru_cache(maxsize=256)
def _normal(path: str) -> str:
    """`os.path.abspath` of an absolute path, which does not depend on the working directory."""
    return os.path.abspath(path)


def is_below(path: str, directory: str) -> bool:
    """Whether a path is this directory or below it, by its text."""
    if not path.startswith(directory):
        return False
    # The root of a file system ends with a separator itself.
    end = len(directory)
    return len(path) == end or path[end] == os.path.sep or directory.endswith(os.path.sep)


def as_directories(allowed: Directories | None, root: str) -> list[str]:
    """The directories that files may really be in: those allowed, or else the root."""
    if allowed is None:
        return [absolute(root)]
    if isinstance(allowed, str | os.PathLike):
        allowed = [allowed]
    return [os.path.abspath(directory) for directory in allowed]
