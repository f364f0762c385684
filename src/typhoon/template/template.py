"""One template, compiled."""

import datetime
import warnings
from functools import cached_property
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, Final

from typhoon import escape
from typhoon._core import template_output, xhtml_escape
from typhoon.template.compiler import compile_file
from typhoon.template.errors import NestingError, ParseError
from typhoon.template.names import global_names
from typhoon.template.nodes import File
from typhoon.template.parser import parse
from typhoon.template.source import CompiledSource, claim_filename, compile_code
from typhoon.template.whitespace import MODES, default_mode

if TYPE_CHECKING:
    from typhoon.template.loader import BaseLoader

DEFAULT_AUTOESCAPE = "xhtml_escape"


class _Unset:
    """The type of an argument that is not given."""

    def __repr__(self) -> str:
        return "..."


_UNSET: Final = _Unset()


class _NoModules:
    """Stands for the UI modules where there are none."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"{{% module {name}(...) %}}: UI modules need a handler; render the template with "
            "RequestHandler.render or render_string"
        )


def _as_bytes(value: object) -> bytes:
    """A value as the functions of ``{% autoescape %}`` take it."""
    if isinstance(value, bytes):
        return value
    return (value if isinstance(value, str) else str(value)).encode()


def _checked(value: object) -> str | bytes:
    """What a function returned that was to return text."""
    if isinstance(value, str | bytes):
        return value
    raise TypeError(f"Expected bytes or str from the function; got {type(value)!r}")


_NAMESPACE: dict[str, Any] = {
    "escape": xhtml_escape,
    "xhtml_escape": xhtml_escape,
    "url_escape": escape.url_escape,
    "json_encode": escape.json_encode,
    "squeeze": escape.squeeze,
    "linkify": escape.linkify,
    "datetime": datetime,
    "_tt_modules": _NoModules(),
    "_tt_bytes": _as_bytes,
    "_tt_text": _checked,
    "_tt_output": template_output,
}


class Template:
    """A compiled template.

        >>> Template("Hello {{ name }}!").generate(name="<Ben>")
        b'Hello &lt;Ben&gt;!'

    :param template_string: the text; bytes are decoded as UTF-8.
    :param name: what error messages and tracebacks call it. It also decides the default of
        `whitespace`.
    :param loader: where the templates come from that it extends and includes.
    :param compress_whitespace: deprecated; true means ``whitespace="single"``, false ``"all"``.
    :param autoescape: the name of the function that its expressions are escaped with, or None for
        none; by default the loader's, or ``"xhtml_escape"``. ``{% autoescape %}`` overrides it.
    :param whitespace: the mode of `filter_whitespace`; by default the loader's, or ``"single"`` if
        the name ends in ``.html`` or ``.js``, and else ``"all"``.
    :raises ParseError: if it cannot be compiled.

    :ivar name: its name.
    :ivar loader: its loader, or None.
    :ivar autoescape: the function that its expressions are escaped with, or None.
    :ivar namespace: names for every rendering of it, those of the loader.
    :ivar file: what was parsed.
    :ivar code: the Python code that it became, for people to read.
    :ivar compiled: the same as a code object. What these three hold may change.
    """

    name: str
    loader: "BaseLoader | None"
    autoescape: str | None
    namespace: dict[str, Any]
    file: File
    code: str
    compiled: CodeType

    def __init__(
        self,
        template_string: str | bytes,
        name: str = "<string>",
        loader: "BaseLoader | None" = None,
        compress_whitespace: bool | _Unset = _UNSET,
        autoescape: str | _Unset | None = _UNSET,
        whitespace: str | None = None,
    ) -> None:
        self.name = name
        self.loader = loader
        self.namespace = loader.namespace if loader is not None else {}
        if not isinstance(compress_whitespace, _Unset):
            if whitespace is not None:
                raise ValueError("give whitespace alone: compress_whitespace says the same")
            whitespace = "single" if compress_whitespace else "all"
            warnings.warn(
                f"compress_whitespace is deprecated; write whitespace={whitespace!r}",
                DeprecationWarning,
                stacklevel=2,
            )
        if whitespace is None:
            whitespace = (loader.whitespace if loader else None) or default_mode(name)
        if whitespace not in MODES:
            raise ValueError(f"invalid whitespace mode {whitespace!r}: use one of {MODES}")
        if isinstance(autoescape, _Unset):
            autoescape = loader.autoescape if loader is not None else DEFAULT_AUTOESCAPE
        self.file = parse(_decoded(template_string, name), name, autoescape, whitespace)
        self.autoescape = self.file.autoescape
        self._expected = 0
        self._compile()

    def generate(self, **kwargs: Any) -> bytes:
        """Render the template with these names in its namespace.

        :returns: the output in UTF-8.
        :raises Exception: whatever its code raises. The traceback shows the lines of the template.
        """
        namespace = {**self._names, **self.namespace, **kwargs}
        escape = namespace[DEFAULT_AUTOESCAPE]
        if escape is xhtml_escape:
            escape = None
        emit, raw, finish = template_output(self._expected, escape)
        FunctionType(self._function, namespace)(emit, raw, escape)
        output = finish()
        self._expected = len(output)
        return output

    @cached_property
    def global_names(self) -> frozenset[str]:
        """The names that the template may look up in its namespace, or among Python's own.

        Who renders it can leave out of the namespace what is not among them.
        """
        return global_names(self._function) | {DEFAULT_AUTOESCAPE}

    def _compile(self) -> None:
        try:
            self.code, positions = compile_file(self.file, self._load)
        except RecursionError:
            raise ParseError("Templates are nested too deep for Python", self.name) from None
        source = CompiledSource(claim_filename(self.name, self), self.code, positions)
        self.compiled = compile_code(source, self.name)
        functions = [it for it in self.compiled.co_consts if isinstance(it, CodeType)]
        self._function = functions[0]
        self._names = {
            **_NAMESPACE,
            "__name__": source.filename,
            "__loader__": source,
            "__spec__": source.spec,
        }

    def _load(self, name: str, file: File, lineno: int) -> File:
        """Find a template for a line of this one, or of one that belongs to it."""
        if self.loader is None:
            raise ParseError(
                f"{name!r} cannot be found without a loader: use Loader or DictLoader",
                file.name,
                lineno,
            )
        try:
            return self.loader.load(name, file.name).file
        except NestingError as error:
            raise ParseError(str(error), file.name, lineno) from None
        except ParseError:
            raise
        except Exception as error:
            error.add_note(f"{name!r} is wanted at {file.name}:{lineno}")
            raise


def _decoded(text: str | bytes, name: str) -> str:
    data: bytes
    try:
        if isinstance(text, bytes):
            return text.decode()
        data = text.encode("utf-8", "surrogatepass")
        data.decode()
    except UnicodeDecodeError as error:
        lineno = error.object.count(b"\n", 0, error.start) + 1
        raise ParseError(f"The template is not in UTF-8 ({error.reason})", name, lineno) from None
    return text
