"""An exception as data: what the debug page shows, without a word of HTML."""

import itertools
import os
import sysconfig
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType, TracebackType

from typhoon.template.errors import ParseError
from typhoon.template.source import template_position
from typhoon.web.errorpage.source import Line, marked_lines, source_lines
from typhoon.web.errorpage.values import describe, is_secret, shortened, visible

FIRST_FRAMES = 20
LAST_FRAMES = 40
"""Frames of one traceback that are shown; a recursion has 1,000."""

LOCALS = 40
EXCEPTIONS = 16
"""Exceptions of one report: causes, contexts and members of groups together."""

MESSAGE_LENGTH = 8000
NOTES = 20
ROOM = 500_000
"""Characters of source and values in one report."""


def _folder(path: str) -> str:
    return os.path.normcase(os.path.realpath(path)) + os.sep


_FRAMEWORK = _folder(str(Path(__file__).parents[2]))
_LIBRARIES = {
    _folder(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")
}


@dataclass(slots=True)
class Frame:
    """One call of a traceback."""

    function: str
    path: str
    line: int
    is_library: bool
    lines: list[Line] = field(default_factory=list)
    values: list[tuple[str, str]] = field(default_factory=list)
    omitted_values: int = 0


@dataclass(slots=True)
class ExceptionReport:
    """One exception with its traceback, the innermost call first.

    `frames` has a number in place of frames that are left out: how many they are.
    """

    module: str
    name: str
    message: str
    notes: list[str]
    frames: list[Frame | int]
    cause: "ExceptionReport | None" = None
    is_direct_cause: bool = False
    members: list["ExceptionReport"] = field(default_factory=list)
    omitted: int = 0
    """Members that are left out."""


def report_exception(error: BaseException) -> ExceptionReport:
    """All that the page shows of an exception: bounded, however deep and large it is."""
    return _Reporter().report(error)


class _Reporter:
    def __init__(self) -> None:
        self._exceptions = EXCEPTIONS
        self._room = ROOM
        self._seen: set[int] = set()

    def report(self, error: BaseException) -> ExceptionReport:
        self._exceptions -= 1
        self._seen.add(id(error))
        kind = type(error)
        message, notes = _message(error)
        frames = list(self._frames(error.__traceback__))
        frames.reverse()
        if (place := self._place(error)) is not None:
            frames.insert(0, place)
        report = ExceptionReport(
            "" if kind.__module__ == "builtins" else f"{kind.__module__}.",
            kind.__qualname__,
            message,
            notes,
            frames,
        )
        if isinstance(error, BaseExceptionGroup):
            for member in error.exceptions:
                if self._exceptions <= 0 or id(member) in self._seen:
                    report.omitted += 1
                else:
                    report.members.append(self.report(member))
        cause = error.__cause__
        report.is_direct_cause = cause is not None
        if cause is None and not error.__suppress_context__:
            cause = error.__context__
        if cause is not None and id(cause) not in self._seen and self._exceptions > 0:
            report.cause = self.report(cause)
        return report

    def _frames(self, trace: TracebackType | None) -> Iterator[Frame | int]:
        depth = sum(1 for _ in _walk(trace))
        middle = range(FIRST_FRAMES, depth - LAST_FRAMES)
        for index, step in enumerate(_walk(trace)):
            if index not in middle:
                yield self._frame(step)
            elif index == middle.start:
                yield len(middle)

    def _frame(self, step: TracebackType) -> Frame:
        frame = step.tb_frame
        code = frame.f_code
        path = code.co_filename
        if (position := template_position(step)) is not None:
            report = Frame("template", position.name, position.lineno, False)
            lines = position.text.split("\n")  # as the template counts them
            report.lines = marked_lines(
                lines, 1, len(lines), position.lineno, None, is_python=False
            )
            self._room -= sum(len(line.text) for line in report.lines)
            self._add_values(report, _template_variables(frame))
            return report
        report = Frame(code.co_qualname, path, step.tb_lineno, _is_library(path))
        if self._room > 0:
            lines = source_lines(path, frame.f_globals)
            first, last = _extent(code)
            columns = _columns(code, step.tb_lasti)
            report.lines = marked_lines(lines, first, last, step.tb_lineno, columns)
            self._room -= sum(len(line.text) for line in report.lines)
        self._add_values(report, _variables(frame))
        return report

    def _add_values(self, report: Frame, names: Iterable[tuple[str, object]]) -> None:
        for name, value in names:
            if not name.isidentifier() or name.startswith(("__", "_tt_")):
                continue
            if len(report.values) >= LOCALS or self._room <= 0:
                report.omitted_values += 1
                continue
            text = "" if is_secret(name) else describe(value)
            self._room -= len(name) + len(text)
            report.values.append((name, text))

    def _place(self, error: BaseException) -> Frame | None:
        """Where the text that could not be parsed is wrong: Python, or a template."""
        columns = None
        if isinstance(error, ParseError):
            path, number = error.filename, error.lineno
            lines = error.text.split("\n") if error.text else []
        elif isinstance(error, SyntaxError) and error.lineno and error.filename:
            path, number, lines = error.filename, error.lineno, source_lines(error.filename, {})
            if not lines and error.text:
                lines = [""] * (number - 1) + [error.text]
            start = max(error.offset or 0, 1) - 1
            end = error.end_offset if error.end_lineno == number else None
            columns = (number, number, start, max((end or 0) - 1, start + 1))
        else:
            return None
        if not 0 < number <= len(lines):
            return None
        shown = marked_lines(lines, 1, len(lines), number, columns, columns is not None)
        return Frame("while parsing", path or "", number, False, shown)


def _variables(frame: FrameType) -> Iterator[tuple[str, object]]:
    """The local variables of a function; of a module those that are neither code nor modules."""
    # A copy: the frame may belong to a generator or a thread that goes on.
    variables = dict(frame.f_locals)
    if frame.f_code.co_name != "<module>":
        yield from variables.items()
        return
    for name, value in variables.items():
        if not isinstance(value, ModuleType | FunctionType | type):
            yield name, value


def _template_variables(frame: FrameType) -> Iterator[tuple[str, object]]:
    """What a template has set itself, then what it was given and uses, but no functions."""
    yield from dict(frame.f_locals).items()
    for name in frame.f_code.co_names:
        value = frame.f_globals.get(name, frame)
        if value is not frame and not callable(value) and not isinstance(value, ModuleType):
            yield name, value


def plain_traceback(error: BaseException, length: int = 100_000) -> str:
    """The stack trace as Python prints it; without its middle if it is longer than that."""
    text = "".join(traceback.format_exception(error))
    if len(text) > length:
        half = length // 2
        text = f"{text[:half]}\n  […]\n{text[-half:]}"
    return text


def _message(error: BaseException) -> tuple[str, list[str]]:
    # What Python itself prints: with its suggestions, and if str() fails.
    summary = traceback.TracebackException(type(error), error, error.__traceback__, limit=0)
    if isinstance(error, SyntaxError):
        message = error.msg or ""
    else:
        first = next(iter(summary.format_exception_only()), "").rstrip("\n")
        message = first.partition(": ")[2]
    notes = getattr(error, "__notes__", None)
    texts = [
        note if isinstance(note, str) else describe(note)
        for note in (notes[:NOTES] if isinstance(notes, list) else ())
    ]
    return (
        visible(shortened(message, MESSAGE_LENGTH)),
        [visible(shortened(text, MESSAGE_LENGTH)) for text in texts],
    )


def _walk(trace: TracebackType | None) -> Iterator[TracebackType]:
    while trace is not None:
        yield trace
        trace = trace.tb_next


def _extent(code: CodeType) -> tuple[int, int]:
    """The first and the last line of a function, including the functions in it."""
    last = max((line for _, _, line in code.co_lines() if line is not None), default=0)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            last = max(last, _extent(constant)[1])
    return code.co_firstlineno, last


def _columns(code: CodeType, instruction: int) -> tuple[int, int, int, int] | None:
    """First line, last line, first column, last column (in bytes) of what failed (PEP 657)."""
    positions = next(itertools.islice(code.co_positions(), instruction // 2, None), None)
    if positions is None or None in positions:
        return None
    return positions  # type: ignore[return-value]


def _is_library(path: str) -> bool:
    if path.startswith("<frozen "):
        return True
    path = os.path.normcase(os.path.realpath(path))
    roots = (_FRAMEWORK, *_LIBRARIES)
    return path.startswith(roots) or f"{os.sep}site-packages{os.sep}" in path


def short_path(path: str) -> str:
    """The path from the folder that the program runs in, or from that of a library."""
    here = os.getcwd() + os.sep
    if path.startswith(here):
        return path.removeprefix(here)
    real = os.path.normcase(os.path.realpath(path))
    roots = [*_LIBRARIES, _folder(str(Path(__file__).parents[3]))]
    root = max((root for root in roots if real.startswith(root)), key=len, default="")
    return real.removeprefix(root) if root else path
