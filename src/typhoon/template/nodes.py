"""What a template is made of, once it is parsed."""

from dataclasses import dataclass, field

from typhoon.template.scanner import Code


@dataclass(slots=True)
class Text:
    """Output as it stands in the template."""

    value: str


@dataclass(slots=True)
class Expression:
    """``{{ code }}``, or with `raw` one that is not escaped.

    :ivar module: it calls a UI module.
    """

    code: Code
    raw: bool = False
    module: bool = False


@dataclass(slots=True)
class Statement:
    """A line of Python that has no body: ``set``, ``import``, ``from``, ``break``, ``continue``."""

    code: str
    lineno: int


@dataclass(slots=True)
class Clause:
    """A line of Python that has a body: ``if x``, ``else`` and so on."""

    code: str
    lineno: int
    body: list["Node"] = field(default_factory=list)


@dataclass(slots=True)
class Control:
    """``if``, ``for``, ``while`` or ``try`` with all its clauses."""

    operator: str
    clauses: list[Clause]


@dataclass(slots=True)
class Apply:
    """``{% apply function %}``"""

    code: str
    lineno: int
    body: list["Node"] = field(default_factory=list)


@dataclass(slots=True)
class Block:
    """``{% block name %}``"""

    name: str
    lineno: int
    file: "File"
    body: list["Node"] = field(default_factory=list)


@dataclass(slots=True)
class Super:
    """``{% super %}``: the block that the one around it replaces."""

    lineno: int


@dataclass(slots=True)
class Include:
    """``{% include name %}``"""

    name: str
    lineno: int


Node = Text | Expression | Statement | Control | Apply | Block | Super | Include


@dataclass(slots=True, eq=False)
class File:
    """A parsed template.

    :ivar name: its name, as the loader knows it.
    :ivar text: what was parsed.
    :ivar autoescape: the function that its expressions are escaped with, or None.
    :ivar body: what is in it.
    :ivar extends: the name of the template that it extends, and the line that says so.
    """

    name: str
    text: str
    autoescape: str | None
    body: list[Node] = field(default_factory=list)
    extends: tuple[str, int] | None = None
