"""General-purpose utilities that the other modules share.

The one part that applications meet is `Configurable`, whose `~Configurable.configure` belongs to
the interface of `.AsyncHTTPClient`, `.IOLoop` and `.Resolver`.
"""

import inspect
import re
import sys
import types
import warnings
import zlib
from builtins import TimeoutError
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from importlib import import_module
from sys import is_finalizing
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import unittest

__all__ = [
    "ArgReplacer",
    "Configurable",
    "GzipDecompressor",
    "ObjectDict",
    "TimeoutError",
    "basestring_type",
    "bytes_type",
    "doctests",
    "errno_from_exception",
    "exec_in",
    "import_object",
    "is_finalizing",
    "raise_exc_info",
    "re_unescape",
    "timedelta_to_seconds",
    "unicode_type",
]

# Other names for types, from when Python 2 and 3 were supported together.
bytes_type = bytes
unicode_type = str
basestring_type = str


class ObjectDict(dict[str, Any]):
    """A dictionary whose items can be read and set as attributes too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value


class GzipDecompressor:
    """Decompresses gzip (RFC 1952), also when it comes in pieces or in several members.

    Like the object that `zlib.decompressobj` returns, but it goes on with the next member, and
    anything after the last member is an error.
    """

    # Bytes given to zlib at once. It copies what follows a member each time one ends, so this
    # bounds that copy, and with it the time that many tiny members take.
    _SLICE = 16 * 1024

    def __init__(self) -> None:
        self._member: zlib._Decompress | None = None
        self._tail = b""

    def decompress(self, value: bytes, max_length: int = 0) -> bytes:
        """Decompress a chunk and return the data that this makes available.

        :param value: the next compressed bytes: first what `unconsumed_tail` holds, if anything.
        :param max_length: the most bytes to return. Zero, for no limit, is deprecated: a small
            input can become very large.
        :raises zlib.error: if the data is not gzip.
        """
        if max_length <= 0:
            warnings.warn(
                "decompress without max_length is deprecated: it does not bound the memory used",
                DeprecationWarning,
                stacklevel=2,
            )
        output = bytearray()
        position = 0
        while position < len(value) and not (0 < max_length <= len(output)):
            if self._member is None or self._member.eof:
                self._member = zlib.decompressobj(16 + zlib.MAX_WBITS)
            piece = value[position : position + self._SLICE]
            output += self._member.decompress(piece, max(0, max_length - len(output)))
            left = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            position += len(piece) - len(left)
        self._tail = value[position:]
        return bytes(output)

    @property
    def unconsumed_tail(self) -> bytes:
        """Input that was not used because `max_length` was reached; pass it to `decompress`."""
        return self._tail

    def flush(self) -> bytes:
        """Check that the stream is complete; no other method may be called afterwards.

        :returns: always empty, since `decompress` leaves nothing behind in a complete stream.
        :raises ValueError: if there is an `unconsumed_tail`.
        :raises zlib.error: if the stream is truncated.
        """
        if self._tail:
            raise ValueError("flush called with an unconsumed tail")
        if self._member is not None and not self._member.eof:
            raise zlib.error("incomplete or truncated gzip stream")
        return b""


def import_object(name: str) -> Any:
    """Import an object by its dotted name.

    ``import_object("x")`` is what ``import x`` gives, and ``import_object("x.y.z")`` what
    ``from x.y import z`` gives.

    :raises ImportError: if there is no such module, or no such name in it.

    >>> import typhoon.escape
    >>> import_object("typhoon.escape") is typhoon.escape
    True
    >>> import_object("typhoon.escape.utf8") is typhoon.escape.utf8
    True
    >>> import_object("typhoon.missing_module")
    Traceback (most recent call last):
        ...
    ImportError: No module named missing_module
    """
    module_name, _, attribute = name.rpartition(".")
    if not module_name:
        return import_module(name)
    # As in a `from` import: an attribute of the module goes before a submodule of that name.
    module = __import__(module_name, fromlist=[attribute])
    try:
        return getattr(module, attribute)
    except AttributeError:
        raise ImportError(f"No module named {attribute}") from None


def exec_in(code: Any, glob: dict[str, Any], loc: Mapping[str, Any] | None = None) -> None:
    """Execute source text or a code object with these global and local names.

    Source text does not inherit the ``from __future__`` imports of this or any other module.
    """
    if isinstance(code, str):
        code = compile(code, "<string>", "exec", dont_inherit=True)
    exec(code, glob, loc)  # noqa: S102


def raise_exc_info(
    exc_info: tuple[type[BaseException] | None, BaseException | None, types.TracebackType | None],
) -> NoReturn:
    """Raise the exception that `sys.exc_info` returned again, with its traceback."""
    exception = exc_info[1]
    if exception is None:
        raise TypeError("raise_exc_info called without an exception")
    try:
        raise exception.with_traceback(exc_info[2])
    finally:
        # The traceback refers to this frame, which must not refer back to it.
        del exc_info, exception


def errno_from_exception(e: BaseException) -> int | None:
    """The error number of an exception: its ``errno``, or else its first argument, or None."""
    if hasattr(e, "errno"):
        return e.errno  # type: ignore[no-any-return]
    return e.args[0] if e.args else None


def _unescaped(match: re.Match[str]) -> str:
    character = match[1]
    if character.isascii() and character.isalnum():
        raise ValueError(f"cannot unescape '\\\\{character}'")
    return character


def re_unescape(s: str) -> str:
    r"""Undo `re.escape`.

    :raises ValueError: for regular expressions that `re.escape` cannot have made, such as ``\d``.
    """
    return re.sub(r"\\(.)", _unescaped, s, flags=re.DOTALL)


class Configurable:
    """Base class of interfaces whose implementation is chosen when the program runs.

    Calling the interface makes an instance of one of its subclasses: the one passed to
    `configure`, or else the `configurable_default`. A subclass can be called as well, and then
    makes an instance of itself.

    Subclasses define `initialize` instead of ``__init__``. The class that is the interface
    defines `configurable_base` and `configurable_default`.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        base = cls.configurable_base()
        if cls is not base:
            instance = super().__new__(cls)
            instance.initialize(*args, **kwargs)
            return instance
        implementation = cls.configured_class()
        kwargs = {**base._save_configuration()[1], **kwargs}
        if implementation is not base and implementation.configurable_base() is not base:
            # The implementation is itself an interface with a choice to make.
            return implementation(*args, **kwargs)
        instance = super().__new__(implementation)
        instance.initialize(*args, **kwargs)
        return instance

    @classmethod
    def configurable_base(cls) -> type["Configurable"]:
        """The class that is the interface: usually the one that defines this method."""
        raise NotImplementedError

    @classmethod
    def configurable_default(cls) -> type["Configurable"]:
        """The implementation that is used unless another one is configured."""
        raise NotImplementedError

    if TYPE_CHECKING:

        def initialize(self, *args: Any, **kwargs: Any) -> None:
            """Initialise the instance; `Configurable` calls it in place of ``__init__``."""
    else:

        def initialize(self) -> None:
            """Initialise the instance; `Configurable` calls it in place of ``__init__``."""

    @classmethod
    def configure(cls, impl: "str | type[Configurable] | None", **kwargs: Any) -> None:
        """Choose the class to use when the interface is called.

        :param impl: the class or its dotted name; None for the default one.
        :param kwargs: arguments that each instance made through the interface gets, unless the
            caller passes others.
        :raises ValueError: if `impl` is not a subclass of this class.
        """
        if isinstance(impl, str):
            impl = import_object(impl)
        if impl is not None and not (isinstance(impl, type) and issubclass(impl, cls)):
            raise ValueError(f"{impl!r} is not a subclass of {cls!r}")
        cls._restore_configuration((impl, kwargs))

    @classmethod
    def configured_class(cls) -> type["Configurable"]:
        """The implementation in use."""
        return cls._save_configuration()[0] or cls.configurable_base().configurable_default()

    # Tests that configure a class put it back with these.
    @classmethod
    def _save_configuration(cls) -> tuple[type["Configurable"] | None, dict[str, Any]]:
        # Only what belongs to the interface itself: one interface can derive from another.
        saved: tuple[type[Configurable] | None, dict[str, Any]] | None
        saved = cls.configurable_base().__dict__.get("_configuration")
        return saved or (None, {})

    @classmethod
    def _restore_configuration(
        cls, saved: tuple[type["Configurable"] | None, dict[str, Any]]
    ) -> None:
        type.__setattr__(cls.configurable_base(), "_configuration", saved)


class ArgReplacer:
    """Finds and replaces one argument in ``args, kwargs``, however it is passed.

    For decorators and other wrappers: it looks into the function's signature to see at which
    position the argument is.
    """

    name: str
    arg_pos: int | None

    def __init__(self, func: Callable[..., Any], name: str) -> None:
        self.name = name
        positional = [
            parameter.name
            for parameter in inspect.signature(func).parameters.values()
            if parameter.kind
            in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        ]
        # None: it can only be passed by keyword.
        self.arg_pos = positional.index(name) if name in positional else None

    def get_old_value(
        self, args: Sequence[Any], kwargs: dict[str, Any], default: Any = None
    ) -> Any:
        """The value of the argument, or `default` if it is not passed."""
        if self.arg_pos is not None and len(args) > self.arg_pos:
            return args[self.arg_pos]
        return kwargs.get(self.name, default)

    def replace(
        self, new_value: Any, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> tuple[Any, Sequence[Any], dict[str, Any]]:
        """Put `new_value` in the argument's place.

        :returns: the old value (None if it was not passed), and the new ``args`` and ``kwargs``.
            The ``args`` passed in are not changed; the ``kwargs`` are.
        """
        old_value = self.get_old_value(args, kwargs)
        if self.arg_pos is not None and len(args) > self.arg_pos:
            args = list(args)
            args[self.arg_pos] = new_value
        else:
            kwargs[self.name] = new_value
        return old_value, args, kwargs


def timedelta_to_seconds(td: timedelta) -> float:
    """The same as ``td.total_seconds()``."""
    return td.total_seconds()


def doctests() -> "unittest.TestSuite":
    """The examples in this module's docstrings as a test suite."""
    import doctest

    return doctest.DocTestSuite(sys.modules[__name__])
