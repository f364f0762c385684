"""Lines of source around the one that failed, with what to colour and what to mark."""

import io
import itertools
import keyword
import linecache
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

BEFORE = 7
AFTER = 4
WIDTH = 400
"""Characters of one line."""

FUNCTION_LINES = 400
"""Lines that are read for their colours, from the beginning of the function."""

Columns = tuple[int, int, int, int]
"""First line, last line, first column, last column: columns count bytes from 0."""


@dataclass(slots=True)
class Line:
    """One line; `pieces` are its parts as (text, kind of token or "", is marked)."""

    number: int
    text: str
    is_current: bool
    pieces: list[tuple[str, str, bool]]


def source_lines(path: str, module: dict[str, Any]) -> list[str]:
    """The lines of a file of source; none if it cannot be had."""
    linecache.checkcache(path)
    try:
        return linecache.getlines(path, module)
    except (OSError, SyntaxError, UnicodeError, ValueError):
        return []


def marked_lines(
    lines: Sequence[str],
    first: int,
    last: int,
    current: int,
    columns: Columns | None,
    is_python: bool = True,
) -> list[Line]:
    """The lines around number `current`, within those of the function from `first` to `last`."""
    start = max(first, current - BEFORE, 1)
    stop = min(len(lines), max(current, min(last, current + AFTER)))
    if columns is not None:
        stop = min(len(lines), max(stop, min(columns[1], current + 3 * AFTER)))
    from_function = is_python and current - first < FUNCTION_LINES
    styles = _styles(lines, first if from_function else start, stop) if is_python else {}
    result = []
    for number in range(start, stop + 1):
        text = lines[number - 1].rstrip("\r\n")
        marked = _marked(text, number, columns) if columns is not None else None
        if len(text) > WIDTH:
            text = text[:WIDTH] + "…"
        pieces = _pieces(text, styles.get(number, []), marked)
        result.append(Line(number, text, number == current, pieces))
    return result


def _marked(text: str, number: int, columns: Columns) -> tuple[int, int] | None:
    """The part of the line that failed, in characters."""
    first, last, start, end = columns
    if not first <= number <= last:
        return None
    encoded = text.encode("utf-8", "surrogatepass")
    begin = len(text) - len(text.lstrip())
    if number == first:
        begin = len(encoded[:start].decode(errors="ignore"))
    finish = len(encoded[:end].decode(errors="ignore")) if number == last else len(text.rstrip())
    if (begin, finish) == (len(text) - len(text.lstrip()), len(text.rstrip())) and first == last:
        return None  # the whole line: that it is the current one says as much
    return (begin, finish) if begin < finish else None


def _styles(lines: Sequence[str], start: int, stop: int) -> dict[int, list[tuple[int, int, str]]]:
    """What to colour on each line: (first column, last column, kind)."""
    styles: dict[int, list[tuple[int, int, str]]] = {}
    # The end of a function is no end of a file, and lines are missing: errors are no surprise.
    tokens = tokenize.generate_tokens(io.StringIO("".join(lines[start - 1 : stop])).readline)
    try:
        for token in tokens:
            if kind := _kind(token):
                (row, column), (last_row, last_column) = token.start, token.end
                for number in range(row, last_row + 1):
                    begin = column if number == row else 0
                    end = last_column if number == last_row else WIDTH
                    styles.setdefault(number + start - 1, []).append((begin, end, kind))
    except (tokenize.TokenError, SyntaxError):
        pass
    return styles


def _kind(token: tokenize.TokenInfo) -> str:
    match token.type:
        case tokenize.COMMENT:
            return "comment"
        case tokenize.STRING:
            return "string"
        case tokenize.NUMBER:
            return "digits"
        case tokenize.NAME if keyword.iskeyword(token.string):
            return "keyword"
    return "string" if tokenize.tok_name[token.type].startswith(("FSTRING_", "TSTRING_")) else ""


def _pieces(
    text: str, styles: list[tuple[int, int, str]], marked: tuple[int, int] | None
) -> list[tuple[str, str, bool]]:
    kinds = [""] * len(text)
    for begin, end, kind in styles:
        end = min(end, len(text))
        kinds[begin:end] = [kind] * (end - begin)
    begin, end = marked or (0, 0)
    cuts = [index for index in range(1, len(text)) if kinds[index] != kinds[index - 1]]
    cuts = sorted({0, *cuts, min(begin, len(text)), min(end, len(text)), len(text)})
    return [
        (text[first:last], kinds[first], begin <= first < end)
        for first, last in itertools.pairwise(cuts)
    ]
