"""From a template's text to its nodes."""

from collections.abc import Callable

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
from typhoon.template.scanner import Code, Directive, Scanner
from typhoon.template.scanner import Expression as ExpressionTag
from typhoon.template.scanner import Text as TextToken
from typhoon.template.whitespace import MODES, WhitespaceFilter

MAX_NESTING = 90
"""Tags within each other, and files. Python itself allows about 100 levels of indentation."""

_FOLLOWS = {
    "elif": ("if",),
    "else": ("if", "for", "while", "try"),
    "except": ("try",),
    "finally": ("try",),
}
"""What the intermediate clauses belong to."""

_ENDS = frozenset(["endif", "endfor", "endwhile", "endtry", "endblock", "endapply", "fi", "done"])


def parse(text: str, name: str, autoescape: str | None, whitespace: str) -> File:
    """Parse a template.

    :param whitespace: the mode of `filter_whitespace` at its start.
    :raises ParseError: if it is not one.
    """
    return _Parser(text, name, autoescape, whitespace).parse()


class _Parser:
    """Keeps the open tags on a stack of its own, so that nesting costs no recursion."""

    def __init__(self, text: str, name: str, autoescape: str | None, whitespace: str) -> None:
        self._scanner = Scanner(text, name)
        self._filter = WhitespaceFilter(whitespace)
        self._file = File(name, text, autoescape)
        self._open: list[Control | Apply | Block] = []
        self._body: list[Node] = self._file.body

    def parse(self) -> File:
        for token in self._scanner.tokens():
            match token:
                case TextToken(value):
                    if value := self._filter(value):
                        self._body.append(Text(value))
                case ExpressionTag(code):
                    if str(code) == "super()":
                        raise self._error("To show the block that is replaced, write {% super %}")
                    self._body.append(Expression(code))
                case Directive(operator):
                    self._directive(operator, token)
        if self._open:
            unclosed = self._open[-1]
            lineno = _line(unclosed)
            raise self._error(
                f"Missing {{% end %}} for the {_kind(unclosed)} block that is opened in line "
                f"{lineno}",
                lineno,
            )
        return self._file

    def _error(self, message: str, lineno: int | None = None) -> ParseError:
        return self._scanner.error(message, lineno)

    def _directive(self, operator: str, tag: Directive) -> None:
        simple = _SIMPLE.get(operator)
        if simple is not None:
            simple(self, tag)
        elif operator in _FOLLOWS:
            self._clause(operator, tag)
        elif operator in ("if", "for", "while", "try"):
            self._control(operator, tag)
        elif operator in ("break", "continue"):
            self._jump(operator, tag)
        elif operator in _ENDS:
            raise self._error(f"Unknown directive {operator!r}: blocks are closed by {{% end %}}")
        else:
            raise self._error(f"Unknown directive {operator!r} in {{% %}}")

    def _enter(self, node: Control | Apply | Block, body: list[Node]) -> None:
        if len(self._open) >= MAX_NESTING:
            raise self._error(f"Blocks are nested more than {MAX_NESTING} deep")
        self._body.append(node)
        self._open.append(node)
        self._body = body

    def _argument(self, tag: Directive, what: str) -> str:
        if not tag.argument:
            raise self._error(f"{{% {tag.operator} %}} is incomplete: {what} is missing")
        return tag.argument

    def _no_argument(self, tag: Directive, hint: str = "") -> None:
        if tag.argument:
            raise self._error(
                f"{{% {tag.operator} %}} takes nothing after it; got {tag.argument!r}{hint}"
            )

    def _name(self, tag: Directive, what: str) -> str:
        """An argument that may stand in quotes."""
        name = self._argument(tag, what)
        if len(name) >= 2 and name[0] == name[-1] and name[0] in "\"'":
            name = name[1:-1]
        if not name:
            raise self._error(f"{{% {tag.operator} %}} is incomplete: {what} is missing")
        return name

    # Directives that stand alone

    def _ignore(self, tag: Directive) -> None:
        pass

    def _statement(self, tag: Directive) -> None:
        code = self._argument(tag, "the statement")
        if tag.operator != "set":
            code = f"{tag.operator} {code}"
        self._body.append(Statement(code, tag.lineno))

    def _raw(self, tag: Directive) -> None:
        self._argument(tag, "the expression")
        self._body.append(Expression(_code(tag), raw=True))

    def _module(self, tag: Directive) -> None:
        name = self._argument(tag, "the name of the UI module and its arguments")
        if "(" not in name:
            raise self._error(f"{{% module {name} %}} does not call it: write {name}()")
        self._body.append(Expression(_code(tag), raw=True, module=True))

    def _include(self, tag: Directive) -> None:
        self._body.append(Include(self._name(tag, "the name of the template"), tag.lineno))

    def _extends(self, tag: Directive) -> None:
        if self._file.extends is not None:
            raise self._error(f"A template extends one other; see line {self._file.extends[1]}")
        self._file.extends = self._name(tag, "the name of the template"), tag.lineno

    def _autoescape(self, tag: Directive) -> None:
        function = self._argument(tag, "the name of the function, or None,")
        self._file.autoescape = None if function == "None" else function

    def _whitespace(self, tag: Directive) -> None:
        if tag.argument not in MODES:
            raise self._error(
                f"Unknown whitespace mode {tag.argument!r}: use one of {', '.join(MODES)}"
            )
        self._filter.mode = tag.argument

    def _super(self, tag: Directive) -> None:
        self._no_argument(tag)
        if not any(isinstance(node, Block) for node in self._open):
            raise self._error("{% super %} stands within a block")
        self._body.append(Super(tag.lineno))

    def _jump(self, operator: str, tag: Directive) -> None:
        self._no_argument(tag)
        for node in reversed(self._open):
            if isinstance(node, Control) and node.operator in ("for", "while"):
                break
            if isinstance(node, Apply):
                raise self._error(
                    f"{{% {operator} %}} cannot leave the apply block that is opened in line "
                    f"{node.lineno}"
                )
        else:
            raise self._error(f"{{% {operator} %}} stands outside of a for or while block")
        self._body.append(Statement(operator, tag.lineno))

    # Directives with a body

    def _apply(self, tag: Directive) -> None:
        node = Apply(self._argument(tag, "the name of the function"), tag.lineno)
        self._enter(node, node.body)

    def _block(self, tag: Directive) -> None:
        node = Block(self._name(tag, "the name of the block"), tag.lineno, self._file)
        self._enter(node, node.body)

    def _control(self, operator: str, tag: Directive) -> None:
        if operator == "try":
            self._no_argument(tag)
            code = operator
        else:
            what = "what to go through" if operator == "for" else "the condition"
            code = f"{operator} {self._argument(tag, what)}"
        clause = Clause(code, tag.lineno)
        self._enter(Control(operator, [clause]), clause.body)

    def _clause(self, operator: str, tag: Directive) -> None:
        if not self._open:
            wanted = " or ".join(_FOLLOWS[operator])
            raise self._error(f"{{% {operator} %}} stands outside of a block: {wanted}")
        node = self._open[-1]
        if not isinstance(node, Control) or node.operator not in _FOLLOWS[operator]:
            raise self._error(
                f"{{% {operator} %}} does not belong to the {_kind(node)} block that is opened in "
                f"line {_line(node)}"
            )
        if operator == "elif":
            self._argument(tag, "the condition")
        elif operator != "except":
            elif_ = operator == "else" and tag.argument.startswith("if ")
            self._no_argument(tag, ": write {% elif %}" if elif_ else "")
        self._check_order(node, operator)
        clause = Clause(f"{operator} {tag.argument}".rstrip(), tag.lineno)
        node.clauses.append(clause)
        self._body = clause.body

    def _check_order(self, node: Control, operator: str) -> None:
        """Python's grammar has the clauses in this order."""
        before = node.clauses[-1].code.split(None, 1)[0]
        if before == "finally" or (before == "else" and operator != "finally"):
            raise self._error(f"{{% {operator} %}} follows {{% {before} %}}; it has to precede")
        if operator == "else" and node.operator == "try" and before != "except":
            raise self._error("{% else %} in a try block follows an {% except %}")

    def _end(self, tag: Directive) -> None:
        if not self._open:
            raise self._error("Extra {% end %}: no block is open here")
        node = self._open.pop()
        if isinstance(node, Control) and node.operator == "try" and len(node.clauses) == 1:
            raise self._error(
                f"The try block that is opened in line {_line(node)} has neither {{% except %}} "
                "nor {% finally %}"
            )
        if not self._open:
            self._body = self._file.body
            return
        around = self._open[-1]
        self._body = around.clauses[-1].body if isinstance(around, Control) else around.body


def _code(tag: Directive) -> Code:
    return tag.code if tag.code is not None else Code(((tag.argument, tag.lineno),))


def _kind(node: Control | Apply | Block) -> str:
    match node:
        case Control(operator):
            return operator
        case Apply():
            return "apply"
        case Block(name):
            return f"block {name!r}"


def _line(node: Control | Apply | Block) -> int:
    return node.clauses[0].lineno if isinstance(node, Control) else node.lineno


_SIMPLE: dict[str, Callable[[_Parser, Directive], None]] = {
    "apply": _Parser._apply,
    "autoescape": _Parser._autoescape,
    "block": _Parser._block,
    "comment": _Parser._ignore,
    "end": _Parser._end,
    "extends": _Parser._extends,
    "from": _Parser._statement,
    "import": _Parser._statement,
    "include": _Parser._include,
    "module": _Parser._module,
    "raw": _Parser._raw,
    "set": _Parser._statement,
    "super": _Parser._super,
    "whitespace": _Parser._whitespace,
}
