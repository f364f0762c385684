"""Where the tags of a template are, and the Python code in them.

Both are found in one pass: each character is looked at a bounded number of times.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from typhoon.template.errors import ParseError


class Code(NamedTuple):
    """Python code that stands in a tag.

    :ivar lines: its lines, without comments, each with the line of the template that it is on. One
        has newlines in it where a raw string has them.
    """

    lines: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        return " ".join(text for text, _ in self.lines)


class Text(NamedTuple):
    """What stands between two tags."""

    value: str


class Expression(NamedTuple):
    """``{{ code }}``"""

    code: Code
    lineno: int


class Directive(NamedTuple):
    """``{% operator argument %}``

    :ivar argument: what follows the operator, in one line if it is code.
    :ivar code: the same if it is Python code.
    :ivar lineno: the line where the tag opens.
    """

    operator: str
    argument: str
    code: Code | None
    lineno: int


# The last two braces of a row of them open an expression, so that LaTeX and CSS can be generated.
_TAG = re.compile(r"\{(?:\{(?!\{)|[%#])")
_OPERATOR = re.compile(r"\s*(\w*)")

# What decides where Python code ends.
_STRING_PREFIXES = "rRbBuUfFtT"
_STOP = re.compile(
    rf"""[{_STRING_PREFIXES}]{{0,3}}(?:'''|\"""|'|")|[#()\[\]{{}}\0]|%(?=}})|\\?(?:\r?\n|\r)"""
)
_END_OF_COMMENT = {"}}": re.compile(r"[\r\n]|}}"), "%}": re.compile(r"[\r\n]|%}")}
_ESCAPED_OR_NEWLINE = re.compile(r"\\.|\n", re.DOTALL)
_REST_OF_STRING = {
    "'": re.compile(r"(?:[^\\\n']|\\.)*+'", re.DOTALL),
    '"': re.compile(r'(?:[^\\\n"]|\\.)*+"', re.DOTALL),
    "'''": re.compile(r"(?:[^\\']|\\.|'(?!''))*+'''", re.DOTALL),
    '"""': re.compile(r'(?:[^\\"]|\\.|"(?!""))*+"""', re.DOTALL),
}
_OPENING = {")": "(", "]": "[", "}": "{"}

_CODE_OPERATORS = frozenset(
    ["apply", "elif", "except", "for", "from", "if", "import", "module", "raw", "set", "while"]
)
"""The directives that Python code follows."""


class Scanner:
    """Reads a template's text tag by tag.

    :ivar lineno: the line of the tag that was read last.
    """

    def __init__(self, text: str, name: str) -> None:
        self.text = text
        self.name = name
        self.lineno = 1
        self._counted = 0
        """Up to here, lines are counted."""

    def tokens(self) -> Iterator[Text | Expression | Directive]:
        """All texts and tags in order; comments are left out.

        :raises ParseError: for a tag that does not end.
        """
        text = self.text
        pending: list[str] = []
        position = 0
        while tag := _TAG.search(text, position):
            start, after = tag.span()
            pending.append(text[position:start])
            if text.startswith("!", after):
                pending.append(tag[0])
                position = after + 1
                continue
            self.lineno = self._line_at(start)
            if value := "".join(pending):
                yield Text(value)
            pending.clear()
            if tag[0] == "{#":
                position = self._find("#}", after, "Missing end comment #}") + 2
            elif tag[0] == "{{":
                code, position = self._code(after, "}}", "Missing end expression }}")
                if not code.lines:
                    raise self.error("Empty expression {{ }}: write what is to be shown in it")
                yield Expression(code, self.lineno)
            else:
                directive, position = self._directive(after)
                yield directive
        pending.append(text[position:])
        if value := "".join(pending):
            yield Text(value)

    def error(self, message: str, lineno: int | None = None) -> ParseError:
        """An error at a line, or at the tag that was read last."""
        error = ParseError(message, self.name, self.lineno if lineno is None else lineno)
        error.text = self.text
        return error

    def _line_at(self, position: int) -> int:
        """The line of a position, not before the last one that was asked for."""
        lineno = self.lineno + self.text.count("\n", self._counted, position)
        self._counted = position
        return lineno

    def _find(self, end: str, start: int, missing: str) -> int:
        position = self.text.find(end, start)
        if position < 0:
            raise self.error(missing)
        return position

    def _directive(self, start: int) -> tuple[Directive, int]:
        word = _OPERATOR.match(self.text, start)
        operator = word[1] if word else ""
        after = word.end() if word else start
        if operator in _CODE_OPERATORS:
            code, end = self._code(after, "%}", "Missing end block %}")
            return Directive(operator, str(code), code, self.lineno), end
        end = self._find("%}", after, "Missing end block %}")
        argument = self.text[after:end].strip()
        if not operator:
            if argument:
                raise self.error(f"Unknown directive {argument.split()[0]!r} in {{% %}}")
            raise self.error("Empty directive {% %}: write what to do in it")
        return Directive(operator, argument, None, self.lineno), end + 2

    def _code(self, start: int, end: str, missing: str) -> tuple[Code, int]:
        """The Python code from here to the end of the tag, and the position after that."""
        text = self.text
        code = _Lines(self._line_at(start))
        brackets: list[tuple[str, int]] = []
        position = start
        while stop := _STOP.search(text, position):
            code.add(text[position : stop.start()])
            found = stop[0]
            position = stop.end()
            if found == "%" and end == "%}" and not brackets:
                return code.finished(), position + 1
            if found == "}" and not brackets and end == text[position - 1 : position + 1]:
                return code.finished(), position + 1
            if found in "([{":
                brackets.append((found, code.lineno))
                code.add(found)
            elif found in ")]}":
                if not brackets:
                    raise self.error(f"Unmatched {found!r} in the tag", code.lineno)
                if brackets[-1][0] != _OPENING[found]:
                    break
                brackets.pop()
                code.add(found)
            elif found == "%":
                if end == "%}":
                    break
                code.add(found)
            elif found == "#":
                comment = _END_OF_COMMENT[end].search(text, position)
                position = comment.start() if comment else len(text)
            elif found == "\0":
                raise self.error("NUL character in the tag", code.lineno)
            elif found[-1] == "\n":
                code.newline()
            elif found[-1] == "\r":
                code.add(" ")
            else:
                quote = found.lstrip(_STRING_PREFIXES)
                rest = _REST_OF_STRING[quote].match(text, position)
                if rest is None or "\0" in rest[0]:
                    message = f"{missing}: the string that {quote} opens has no end"
                    raise self.error(message, code.lineno)
                code.add_string(found, rest[0])
                position = rest.end()
        if brackets:
            bracket, opened = brackets[-1]
            raise self.error(f"{missing}: {bracket!r} is not closed", opened)
        raise self.error(missing)


class _Lines:
    """Collects the lines of a tag's code."""

    def __init__(self, lineno: int) -> None:
        self.lineno = lineno
        self._start = lineno
        self._pieces: list[str] = []
        self._lines: list[tuple[str, int]] = []

    def add(self, piece: str) -> None:
        self._pieces.append(piece)

    def add_string(self, opening: str, rest: str) -> None:
        """Add a string literal, without newlines in it, unless it is a raw string."""
        self.lineno += rest.count("\n")
        if "\r" in rest:
            # As Python reads it, too.
            rest = rest.replace("\r\n", "\n").replace("\r", "\n")
        if "\n" in rest and "r" not in opening.lower():
            rest = _ESCAPED_OR_NEWLINE.sub(_on_one_line, rest)
        self._pieces.append(opening + rest)

    def newline(self) -> None:
        if line := "".join(self._pieces).strip():
            self._lines.append((line, self._start))
        self._pieces.clear()
        self.lineno += 1
        self._start = self.lineno

    def finished(self) -> Code:
        self.newline()
        return Code(tuple(self._lines))


def _on_one_line(found: re.Match[str]) -> str:
    """A newline in a string as its escape; nothing for a continued line."""
    match found[0]:
        case "\n":
            return r"\n"
        case "\\\n":
            return ""
        case escape:
            return escape
