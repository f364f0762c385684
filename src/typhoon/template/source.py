"""Which line of which template a line of compiled code comes from."""

import linecache
import re
import weakref
from bisect import bisect_right
from importlib.machinery import ModuleSpec
from inspect import CO_GENERATOR
from itertools import count
from types import CodeType, FrameType, TracebackType
from typing import NamedTuple

from typhoon.template.errors import ParseError
from typhoon.template.nodes import File

_SHOWN = 100
"""Characters of a line that an error message shows."""


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


def compile_code(source: CompiledSource, name: str) -> CodeType:
    """Compile the code of the template of this name.

    :raises ParseError: naming the line of the template that Python does not accept.
    """
    try:
        code = compile(source.code, source.filename, "exec", dont_inherit=True)
    except SyntaxError as error:
        message = error.msg
        if "await" in message:
            message += " (await in the handler, and pass the result to the template)"
        raise _parse_error(source, name, message, error.lineno or 1) from error
    except (RecursionError, MemoryError):
        lines = source.code.split("\n")
        # The first one is not the template's.
        longest = max(range(1, len(lines)), key=lambda index: len(lines[index]))
        message = "Too complex for Python's compiler"
        raise _parse_error(source, name, message, longest + 1) from None
    if any(_yields(constant) for constant in code.co_consts):
        lineno = source.code[: _find_yield(source.code)].count("\n") + 1
        raise _parse_error(source, name, "yield has no meaning in a template", lineno)
    return code


def _yields(code: object) -> bool:
    """Whether a function that the compiler wrote became a generator."""
    if not isinstance(code, CodeType) or not code.co_name.startswith("_tt_"):
        return False
    return bool(code.co_flags & CO_GENERATOR) or any(map(_yields, code.co_consts))


def _find_yield(code: str) -> int:
    found = re.search(r"\byield\b", code)
    return found.start() if found else 0


def _parse_error(source: CompiledSource, name: str, message: str, lineno: int) -> ParseError:
    position = source.position(lineno)
    if position is None:
        return ParseError(message, name)
    line = position.source.strip()
    shown = line if len(line) <= _SHOWN else line[:_SHOWN] + "..."
    error = ParseError(f"{message} in {shown!r}", position.name, position.lineno)
    error.text = position.text
    return error


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
