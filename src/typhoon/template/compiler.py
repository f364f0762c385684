"""From nodes to Python code.

A template becomes one function. The templates it includes and the blocks that replace each other
are written out where they stand, so that rendering looks nothing up. A straight run of output in
one line of the template is one call of a native function:

    def _tt_execute(_tt_emit, _tt_raw, _tt_escape):
        for row in rows:  # table.html:3
            _tt_emit('<tr><td>', row.name, '</td><td>', row.id, '</td></tr>\\n')  # table.html:4

Its arguments are constants and values in turn. `_tt_emit` escapes the values, `_tt_raw` does not.
Each line says where it comes from, for tracebacks.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from typhoon.template.errors import ParseError
from typhoon.template.nodes import (
    Apply,
    Block,
    Clause,
    Control,
    Expression,
    File,
    Include,
    Node,
    Statement,
    Super,
    Text,
)
from typhoon.template.parser import MAX_NESTING
from typhoon.template.source import printable

_MAX_PARTS = 10_000
"""Templates and blocks put into one, each time counted. Only those that double what they include
again and again have so many."""

_MAX_VALUES = 64
"""Values in one call, which all stand on the stack."""

_NATIVE_ESCAPE = "xhtml_escape"

_CONDITIONS = ("if ", "elif ", "while ")

_SIMPLE_EXPRESSION = re.compile(r"[A-Za-z_][\w.]*")

Load = Callable[[str, File, int], File]
"""Finds a template by its name, for the line of the file that asks for it."""


def compile_file(file: File, load: Load) -> tuple[str, list[tuple[int, File, int]]]:
    """The Python code of a template, and where its lines come from (see `CompiledSource`).

    :raises ParseError: if templates nest too deep, or expand to more than is sensible.
    """
    chain = _ancestors(file, load)
    blocks: dict[str, list[Block]] = {}
    for member in chain:
        for name, block in _Blocks(load).of(member).items():
            blocks.setdefault(name, []).append(block)
    writer = _Writer(chain[-1], blocks, load)
    writer.function()
    return writer.result()


def _ancestors(file: File, load: Load) -> list[File]:
    """The template, the one that it extends, the one that that extends, and so on."""
    chain = [file]
    while chain[-1].extends is not None:
        name, lineno = chain[-1].extends
        if len(chain) > MAX_NESTING:
            raise ParseError(
                f"More than {MAX_NESTING} templates extend each other", chain[-1].name, lineno
            )
        chain.append(load(name, chain[-1], lineno))
    return chain


class _Walk:
    """Goes through nodes, and through files that they include, within limits."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._depth = 0
        self._parts = 0

    @contextmanager
    def _level(self, file: File, lineno: int) -> Iterator[None]:
        """Go into the nodes that stand at a line."""
        self._depth += 1
        if self._depth > MAX_NESTING + 1:
            raise ParseError(
                f"Templates and blocks are nested more than {MAX_NESTING} deep", file.name, lineno
            )
        yield
        self._depth -= 1

    def _count_part(self, file: File, lineno: int) -> None:
        self._parts += 1
        if self._parts > _MAX_PARTS:
            raise ParseError(
                f"More than {_MAX_PARTS:,} templates and blocks are put into one", file.name, lineno
            )


class _Blocks(_Walk):
    """Collects the blocks of a file and of those that it includes."""

    def of(self, file: File) -> dict[str, Block]:
        """The blocks by name; the last one of a name counts."""
        found: dict[str, Block] = {}
        self._collect(file, file.body, 1, found)
        return found

    def _collect(self, file: File, nodes: list[Node], lineno: int, found: dict[str, Block]) -> None:
        with self._level(file, lineno):
            for node in nodes:
                match node:
                    case Block(name, line, _, body):
                        found[name] = node
                        self._collect(file, body, line, found)
                    case Apply(_, line, body):
                        self._collect(file, body, line, found)
                    case Control(_, clauses):
                        for clause in clauses:
                            self._collect(file, clause.body, clause.lineno, found)
                    case Include(name, line):
                        self._count_part(file, line)
                        included = self._load(name, file, line)
                        self._collect(included, included.body, line, found)
                    case _:
                        pass


class _Writer(_Walk):
    """Writes the code line by line."""

    def __init__(self, file: File, blocks: dict[str, list[Block]], load: Load) -> None:
        super().__init__(load)
        self._file = file
        self._blocks = blocks
        self._via: tuple[str, ...] = ()
        """Where the current file is included or its block put in, the innermost first."""
        self._around: list[tuple[str, int]] = []
        """The blocks around: the name, and which of its definitions is written."""
        self._lines: list[str] = []
        self._count = 1
        """The number of the next line."""
        self._positions: list[tuple[int, File, int]] = []
        self._indent = 0
        self._tries = 0
        self._applied = 0
        self._native_escape = _NATIVE_ESCAPE
        """The name of the function that the native core stands for; "" if it is another one now."""
        self._function = ""
        """What writes the values of the run of output that is collected."""
        self._values: list[tuple[str, list[tuple[str, int]]]] = []
        """Its values: the constant that stands before each, and the lines of the expression."""
        self._constants: list[str] = []
        """What follows the last value."""

    def result(self) -> tuple[str, list[tuple[int, File, int]]]:
        return "".join(self._lines), self._positions

    def function(self) -> None:
        self._line("def _tt_execute(_tt_emit, _tt_raw, _tt_escape):", 0)
        self._suite(self._file.body, 0)

    def _suite(self, nodes: list[Node], lineno: int) -> None:
        """An indented body; it has at least one line."""
        self._indent += 1
        start = self._count
        self._nodes(nodes, lineno)
        self._flush()
        if self._count == start:
            self._line("pass", lineno)
        self._indent -= 1

    def _nodes(self, nodes: list[Node], lineno: int) -> None:
        with self._level(self._file, lineno):
            for node in nodes:
                match node:
                    case Text(value):
                        self._constants.append(value)
                    case Expression():
                        self._expression(node)
                    case Statement(code, line):
                        self._code(code, line)
                    case Control(operator, clauses):
                        self._control(operator, clauses)
                    case Apply(code, line, body):
                        self._apply(code, line, body)
                    case Block(name, line):
                        self._block(name, 0, line)
                    case Super(line):
                        self._super(line)
                    case Include(name, line):
                        self._include(name, line)

    def _code(self, code: str, lineno: int) -> None:
        """A line of the template's own Python code."""
        self._line(code, lineno)
        if _NATIVE_ESCAPE in code and not code.startswith(_CONDITIONS):
            # It may be another function from here on.
            self._native_escape = ""

    def _control(self, operator: str, clauses: list[Clause]) -> None:
        self._flush()
        self._tries += operator == "try"
        for clause in clauses:
            self._code(f"{clause.code}:", clause.lineno)
            self._suite(clause.body, clause.lineno)
        self._tries -= operator == "try"

    def _apply(self, function: str, lineno: int, body: list[Node]) -> None:
        name = f"_tt_apply{self._applied}"
        self._applied += 1
        self._line(f"def {name}():", lineno)
        self._indent += 1
        self._line("_tt_emit, _tt_raw, _tt_finish = _tt_output(0, _tt_escape)", lineno)
        self._nodes(body, lineno)
        self._line("return _tt_finish()", lineno)
        self._indent -= 1
        self._value("_tt_raw", [(f"_tt_text(({function})({name}()))", lineno)])

    def _block(self, name: str, replaced: int, lineno: int) -> None:
        """Write a definition of a block; the one that counts is number 0."""
        self._count_part(self._file, lineno)
        block = self._blocks[name][replaced]
        self._around.append((name, replaced))
        if block.file is self._file:
            self._nodes(block.body, block.lineno)
        else:
            with self._within(block.file, lineno):
                self._nodes(block.body, block.lineno)
        self._around.pop()

    def _super(self, lineno: int) -> None:
        name, replaced = self._around[-1]
        if replaced + 1 >= len(self._blocks[name]):
            raise ParseError(
                f"{{% super %}}: no template that is extended has a block {name!r}",
                self._file.name,
                lineno,
            )
        self._block(name, replaced + 1, lineno)

    def _include(self, name: str, lineno: int) -> None:
        self._count_part(self._file, lineno)
        included = self._load(name, self._file, lineno)
        with self._within(included, lineno):
            self._nodes(included.body, 1)

    @contextmanager
    def _within(self, file: File, lineno: int) -> Iterator[None]:
        """Write nodes of another file, for this line of the current one."""
        # What is collected so far belongs to the file around.
        self._flush()
        outer, via = self._file, self._via
        self._via = (f"{printable(outer.name)}:{lineno}", *via)
        self._file = file
        yield
        self._flush()
        self._file, self._via = outer, via

    # Output

    def _expression(self, node: Expression) -> None:
        lines = [*node.code.lines]
        first, lineno = lines[0]
        escape = None if node.raw else self._file.autoescape
        if node.module:
            lines[0] = f"_tt_modules.{first}", lineno
        elif len(lines) > 1 or not _SIMPLE_EXPRESSION.fullmatch(first):
            lines[0] = f"({first}", lineno
            lines[-1] = f"{lines[-1][0]})", lines[-1][1]
        if escape is None:
            self._value("_tt_raw", lines)
        elif escape == self._native_escape:
            self._value("_tt_emit", lines)
        else:
            lines[0] = f"_tt_text({escape}(_tt_bytes({lines[0][0]}", lines[0][1]
            lines[-1] = f"{lines[-1][0]})))", lines[-1][1]
            self._value("_tt_raw", lines)

    def _value(self, function: str, lines: list[tuple[str, int]]) -> None:
        """Collect a value. Values of one line that are written alike make one call."""
        if self._values and (
            function != self._function
            or self._values[0][1][0][1] != lines[-1][1]
            or len(self._values) >= _MAX_VALUES
        ):
            self._flush_values([])
        if self._tries and self._constants:
            # What stands before an expression that fails is shown.
            self._flush()
        self._function = function
        self._values.append(("".join(self._constants), lines))
        self._constants.clear()
        if self._tries:
            self._flush()

    def _flush(self) -> None:
        """Write the output that is collected, before anything else is written."""
        constants = [*self._constants]
        self._constants.clear()
        if self._values:
            self._flush_values(constants)
        elif constants:
            self._add(f"_tt_raw({''.join(constants)!r})", 0)

    def _flush_values(self, constants: list[str]) -> None:
        """Write the values that are collected, and constants after them."""
        line, lineno = f"{self._function}(", self._values[0][1][0][1]
        for constant, lines in self._values:
            line += f"{constant!r}, "
            for index, (code, code_lineno) in enumerate(lines):
                if index:
                    self._add(line, lineno)
                    line = " "
                line += code
                lineno = code_lineno
            line += ", "
        self._values.clear()
        end = repr("".join(constants)) if constants else ""
        self._add(f"{line}{end}".removesuffix(", ") + ")", lineno)

    def _line(self, code: str, lineno: int) -> None:
        self._flush()
        self._add(code, lineno)

    def _add(self, code: str, lineno: int) -> None:
        line = " " * self._indent + code
        if lineno:
            via = f" (via {', '.join(self._via)})" if self._via else ""
            line += f"  # {printable(self._file.name)}:{lineno}{via}"
            self._positions.append((self._count, self._file, lineno))
        self._lines.append(line + "\n")
        self._count += line.count("\n") + 1
