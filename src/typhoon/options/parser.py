"""`OptionParser`: a set of options, read from a command line and from config files."""

import difflib
import os
import sys
import textwrap
import traceback
from collections.abc import Callable, Iterator
from typing import Any, Final, TextIO

from typhoon.options.option import Error, Option, normalized

_HELP_COLUMN: Final = 35
_HELP_WIDTH: Final = 79


class OptionParser:
    """A set of options that can be read and set as attributes and as items.

    `typhoon.options.options` is the one of the program; others are of use for subcommands and for
    tests. Names with dashes are attributes with underscores. A name that is not defined raises
    `AttributeError`, whether it is used as an attribute or as an item.
    """

    _options: dict[str, Option]
    _parse_callbacks: list[Callable[[], None]]

    def __init__(self) -> None:
        # Setting an attribute sets an option, so these are not set as attributes.
        self.__dict__["_options"] = {}
        self.__dict__["_parse_callbacks"] = []
        self.define(
            "help",
            type=bool,
            help="show this help information",
            group="",
            callback=self._help_callback,
        )

    # As an object and as a mapping

    def __getattr__(self, name: str) -> Any:
        return self._option(name).value()

    def __setattr__(self, name: str, value: Any) -> None:
        self._option(name).set(value)

    def __getitem__(self, name: str) -> Any:
        return self._option(name).value()

    def __setitem__(self, name: str, value: Any) -> None:
        self._option(name).set(value)

    def __contains__(self, name: str) -> bool:
        return normalized(name) in self._options

    def __iter__(self) -> Iterator[str]:
        return (option.name for option in self._options.values())

    def _option(self, name: str) -> Option:
        # A copy that is being made has none yet.
        option = self.__dict__.get("_options", {}).get(normalized(name))
        if option is None:
            raise AttributeError(f"no option {name!r} is defined{self._suggestion(name)}")
        return option  # type: ignore[no-any-return]

    def _suggestion(self, name: str, prefix: str = "") -> str:
        close = difflib.get_close_matches(normalized(name), self.__dict__.get("_options", ()), 1)
        return f"; did you mean {prefix}{close[0]}?" if close else ""

    def items(self) -> list[tuple[str, Any]]:
        """The names, as they were defined, with the values."""
        return [(option.name, option.value()) for option in self._options.values()]

    def as_dict(self) -> dict[str, Any]:
        """The names and values of all options."""
        return dict(self.items())

    def groups(self) -> set[str]:
        """The names of the groups that options were defined in."""
        return {option.group for option in self._options.values()}

    def group_dict(self, group: str | None) -> dict[str, Any]:
        """The names and values of a group's options, of all options if `group` is empty.

        So can options become settings of an application:

            define("template_path", group="application")
            define("static_path", group="application")
            parse_command_line()
            application = Application(handlers, **options.group_dict("application"))
        """
        return {
            option.name: option.value()
            for option in self._options.values()
            if not group or option.group == group
        }

    # Defining

    def define(
        self,
        name: str,
        default: Any = None,
        type: type | None = None,
        help: str | None = None,
        metavar: str | None = None,
        multiple: bool = False,
        group: str | None = None,
        callback: Callable[[Any], None] | None = None,
    ) -> None:
        """Define an option.

        Args:
            name: Its name; dashes and underscores are the same.
            default: Its value until it is set. It is not checked against the type.
            type: `str`, `int`, `float`, `bool`, `datetime.datetime` (ISO 8601, as in
                ``2013-04-28 05:16``), `datetime.timedelta` (``45s``, ``1h 30m``), or any class
                that is called with the string and raises `ValueError` if it cannot be. By default
                that of the default, else `str`.
            help: What ``--help`` says of it.
            metavar: What stands for the value in ``--help``.
            multiple: Whether it is a list, whose values are separated by commas; those of `int`
                can be ranges as well: ``1:3`` is 1, 2, 3.
            group: The heading in ``--help``, and the name for `group_dict`; the file that
                defines it by default.
            callback: Called with each new value. So an option can name a config file:

                    define("config", type=str,
                           callback=lambda path: parse_config_file(path, final=False))

        Raises:
            Error: An option of this name exists.
        """
        key = normalized(name)
        if key in self._options:
            raise Error(
                f"Option {name!r} already defined in {self._options[key].place}: "
                "give one of them another name"
            )
        place = _calling_file()
        self._options[key] = Option(
            name,
            default,
            type or _type_of(default, multiple),
            help,
            metavar,
            multiple,
            place if group is None else group,
            place,
            callback,
        )

    # Parsing

    def parse_command_line(self, args: list[str] | None = None, final: bool = True) -> list[str]:
        """Set options from a command line: ``--name=value``, for a boolean just ``--name``.

        Args:
            args: The words, of which the first is the program's name; `sys.argv` by default.
            final: Whether this completes the parsing, so that the parse callbacks are run.

        Returns:
            The words from the first that is no option, or after ``--``.

        Raises:
            Error: An option is not defined, lacks its value or has one that it cannot have.
            SystemExit: ``--help`` was given; the help is printed to standard error.
        """
        if args is None:
            args = sys.argv
        rest: list[str] = []
        for position, word in enumerate(args[1:], 1):
            if not word.startswith("-") or word == "-":
                rest = args[position:]
                break
            if word == "--":
                rest = args[position + 1 :]
                break
            self._parse_word(word)
        if final:
            self.run_parse_callbacks()
        return rest

    def _parse_word(self, word: str) -> None:
        name, equals, value = word.lstrip("-").partition("=")
        option = self._options.get(normalized(name))
        if option is None:
            close = self._suggestion(name, "--")
            raise Error(
                f"unrecognized command line option {'--' + name!r}{close}; --help lists them all"
            )
        if not equals:
            if option.type is not bool or option.multiple:
                raise Error(f"command line option '--{name}' needs a value: write {option.flag()}")
            value = "true"
        option.parse(value)

    def parse_config_file(self, path: str, final: bool = True) -> None:
        """Set options from a config file, which is Python code in UTF-8.

        The file is executed, so it has to be trusted. Each global name in it that is the name of
        an option (with underscores) sets that option, to a value of its type or to a string that
        is parsed as on the command line; other names are ignored. ``__file__`` is the absolute
        path of the file.

            port = 80
            mysql_host = "mydb.example.com:3306"
            # A list, or its values separated by commas.
            memcache_hosts = ["cache1.example.com:11011", "cache2.example.com:11011"]
            memcache_hosts = "cache1.example.com:11011,cache2.example.com:11011"

        Args:
            path: The file.
            final: Whether this completes the parsing, so that the parse callbacks are run.

        Raises:
            Error: The code has an error, or sets an option to a value that it cannot have.
            OSError: The file cannot be read.
        """
        for name, value in _executed(path).items():
            option = self._options.get(normalized(name))
            if option is not None:
                try:
                    option.set_or_parse(value)
                except Error as error:
                    raise Error(f"config file {path}: {error}") from error
        if final:
            self.run_parse_callbacks()

    def add_parse_callback(self, callback: Callable[[], None]) -> None:
        """Call `callback` whenever parsing is complete."""
        self._parse_callbacks.append(callback)

    def run_parse_callbacks(self) -> None:
        """Call the parse callbacks, as a parsing that is final does."""
        for callback in self._parse_callbacks:
            callback()

    # Help

    def print_help(self, file: TextIO | None = None) -> None:
        """Print all options by group, to `file` or standard error."""
        lines = [f"Usage: {sys.argv[0]} [OPTIONS]", "", "Options:", ""]
        for group in sorted(self.groups()):
            if group:
                lines += ["", f"{os.path.normpath(group)} options:", ""]
            members = [option for option in self._options.values() if option.group == group]
            for option in sorted(members, key=lambda option: option.name):
                lines += _help_lines(option)
        print("\n".join(lines), file=file or sys.stderr, end="\n\n")

    def _help_callback(self, value: bool) -> None:
        if value:
            self.print_help()
            sys.exit(0)

    # Tests

    def mockable(self) -> "_Mockable":
        """An object whose attributes `unittest.mock.patch` can replace and put back.

        with mock.patch.object(options.mockable(), "name", value):
            assert options.name == value
        """
        return _Mockable(self)


class _Mockable:
    """The options of a parser as attributes that can be deleted, which undoes a change."""

    def __init__(self, parser: OptionParser) -> None:
        self.__dict__["_parser"] = parser
        self.__dict__["_originals"] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parser, name)

    def __setattr__(self, name: str, value: Any) -> None:
        original = getattr(self._parser, name)
        setattr(self._parser, name, value)
        self._originals.setdefault(name, []).append(original)

    def __delattr__(self, name: str) -> None:
        setattr(self._parser, name, self._originals[name].pop())


def _type_of(default: Any, multiple: bool) -> type:
    """The type that a default implies."""
    if multiple:
        return type(default[0]) if isinstance(default, list | tuple) and default else str
    return str if default is None else type(default)


def _calling_file() -> str:
    """The file that called `define`, outside this package."""
    here = os.path.dirname(__file__)
    frame = sys._getframe(1)
    while frame.f_back is not None and os.path.dirname(frame.f_code.co_filename) == here:
        frame = frame.f_back
    return frame.f_code.co_filename


def _executed(path: str) -> dict[str, Any]:
    """The global names of a config file."""
    with open(path, encoding="utf-8") as file:
        try:
            source = file.read()
        except UnicodeDecodeError as error:
            raise Error(f"config file {path} is not UTF-8: {error}") from error
    names: dict[str, Any] = {"__file__": os.path.abspath(path)}
    try:
        exec(compile(source, path, "exec", dont_inherit=True), names, names)  # noqa: S102
    except SyntaxError as error:
        raise Error(f"config file {error.filename}, line {error.lineno}: {error.msg}") from error
    except Error:
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == path]
        place = f", line {lines[-1]}" if lines else ""
        raise Error(f"config file {path}{place}: {type(error).__name__}: {error}") from error
    return names


def _help_lines(option: Option) -> list[str]:
    text = option.help or ""
    if option.default not in (None, "", []):
        text += f" (default {option.default})"
    flag = f"  {option.flag()}"
    lines = textwrap.wrap(text, _HELP_WIDTH - _HELP_COLUMN) or [""]
    indented = [" " * _HELP_COLUMN + line for line in lines]
    if len(flag) < _HELP_COLUMN:
        return [(flag.ljust(_HELP_COLUMN) + lines[0]).rstrip(), *indented[1:]]
    return [flag, *indented] if text else [flag]
