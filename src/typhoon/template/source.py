"""Which line of which template a line of compiled code comes from."""

import linecache
import weakref
from bisect import bisect_right
from importlib.machinery import ModuleSpec
from itertools import count
from types import FrameType, TracebackType
from typing import NamedTuple

from typhoon.template.nodes import File


class TemplatePosition(NamedTuple):
    """A line of a template.

    :ivar name: the template's name, as its loader knows it.
    :ivar lineno: the line, from 1.
    :ivar source: the text of that line.
    :ivar text: the text of the whole template.
    """

    name: str
    lineno: int
    source: str
    text: str


class CompiledSource:
    """The Python code of one template, which tracebacks show.

    It is the ``__loader__`` of the code (PEP 302), from which `linecache` takes source lines.

    :ivar filename: what stands for a file in tracebacks; no other template has the same.
    :ivar code: the Python code.
    """

    def __init__(self, filename: str, code: str, positions: list[tuple[int, File, int]]) -> None:
        """`positions` are (the first line of code, template, line of it), in ascending order."""
        self.filename = filename
        self.code = code
        self._positions = positions
        self.spec = ModuleSpec(filename, None)
        self.spec.loader = self  # type: ignore[assignment]

    def get_source(self, fullname: str) -> str:
        """The code (PEP 302)."""
        return self.code

    def position(self, lineno: int) -> TemplatePosition | None:
        """The line of a template that a line of code comes from; None if it comes from none."""
        index = bisect_right(self._positions, lineno, key=lambda position: position[0])
        if not index:
            return None
        _, file, line = self._positions[index - 1]
        return TemplatePosition(file.name, line, _line_of(file.text, line), file.text)


def template_position(where: FrameType | TracebackType) -> TemplatePosition | None:
    """The line of a template that a frame is at, or an entry of a traceback.

    For pages and logs that show errors:

        traceback = error.__traceback__
        while traceback is not None:
            if position := template_position(traceback):
                print(f"{position.name}:{position.lineno}: {position.source}")
            traceback = traceback.tb_next

    :param where: an entry of a traceback stands for the line at which the exception passed it.
    :returns: None if the code is not that of a template.
    """
    frame, lineno = (
        (where, where.f_lineno)
        if isinstance(where, FrameType)
        else (where.tb_frame, where.tb_lineno)
    )
    source = frame.f_globals.get("__loader__")
    if not isinstance(source, CompiledSource) or frame.f_code.co_filename != source.filename:
        return None
    return source.position(lineno)


def _line_of(text: str, lineno: int) -> str:
    lines = text.split("\n", lineno)
    return lines[lineno - 1].rstrip("\r") if lineno <= len(lines) else ""


_owners: weakref.WeakValueDictionary[str, object] = weakref.WeakValueDictionary()
_numbers = count(2)


def claim_filename(name: str, owner: object) -> str:
    """A file name for the code of a template, which is its own as long as `owner` lives."""
    filename = f"{printable(name)} [compiled template]"
    if filename in _owners:
        filename = f"{printable(name)} [compiled template {next(_numbers)}]"
    _owners[filename] = owner
    # Another template of this name will have other lines.
    weakref.finalize(owner, linecache.cache.pop, filename, None).atexit = False
    return filename


def printable(name: str) -> str:
    """The name of a template as it can stand in a comment."""
    return name if name.isprintable() else name.encode("unicode_escape").decode("ascii")
