"""Logging: Typhoon's three loggers and a formatter for terminals and files.

Typhoon logs through the standard `logging` module, to three loggers:

- ``typhoon.access``: one line for each request that was served;
- ``typhoon.application``: errors of the application, such as uncaught exceptions in handlers;
- ``typhoon.general``: everything else, warnings of Typhoon itself among them.

All of them are children of ``typhoon`` and can be configured as any other logger. A program that
parses its command line with `typhoon.options` has the options for it, such as ``--logging=debug``.
"""

import logging
import logging.handlers
import sys
from typing import Any, Final, Literal

try:
    import curses
except ImportError:  # Windows, and Pythons built without it
    curses = None  # type: ignore[assignment]

try:
    import colorama  # type: ignore[import-untyped,unused-ignore]
except ImportError:
    colorama = None

__all__ = [
    "LogFormatter",
    "access_log",
    "app_log",
    "define_logging_options",
    "enable_pretty_logging",
    "gen_log",
]

access_log = logging.getLogger("typhoon.access")
app_log = logging.getLogger("typhoon.application")
gen_log = logging.getLogger("typhoon.general")

_DEFAULTS: Final[dict[str, Any]] = {
    "logging": "info",
    "log_to_stderr": None,
    "log_file_prefix": None,
    "log_file_max_size": 100_000_000,
    "log_file_num_backups": 10,
    "log_rotate_when": "midnight",
    "log_rotate_interval": 1,
    "log_rotate_mode": "size",
}
"""The logging options with their documented defaults; sizes in bytes."""

_program_options: Any = None
"""The options of the program: `typhoon.options`, above this module, sets them if it is used."""


class LogFormatter(logging.Formatter):
    """Formats a record with a short prefix of level, time and place, in colour on a terminal.

    The continuation lines of a message, and its traceback, are indented, so that whatever begins
    in the first column is a record. A message that cannot be formatted is shown as it is.

    Args:
        fmt: The format of a line. What stands between ``%(color)s`` and ``%(end_color)s`` is
            coloured by the record's level.
        datefmt: The format of ``%(asctime)s``, as for `time.strftime`.
        style: The style of `fmt`: ``%``, ``{`` or ``$``, as for `logging.Formatter`.
        color: Whether to colour the output where standard error is a terminal that can do it.
        colors: For each level, the number (0 to 7) of its ANSI colour.

    On Windows, colours need the `colorama` package, initialised with ``colorama.init()``.
    """

    DEFAULT_FORMAT = (
        "%(color)s[%(levelname)1.1s %(asctime)s %(module)s:%(lineno)d]%(end_color)s %(message)s"
    )
    DEFAULT_DATE_FORMAT = "%y%m%d %H:%M:%S"
    DEFAULT_COLORS = {
        logging.DEBUG: 4,  # blue
        logging.INFO: 2,  # green
        logging.WARNING: 3,  # yellow
        logging.ERROR: 1,  # red
        logging.CRITICAL: 5,  # magenta
    }

    def __init__(
        self,
        fmt: str = DEFAULT_FORMAT,
        datefmt: str = DEFAULT_DATE_FORMAT,
        style: Literal["%", "{", "$"] = "%",
        color: bool = True,
        colors: dict[int, int] = DEFAULT_COLORS,
    ) -> None:
        super().__init__(fmt, datefmt, style)
        self._colors: dict[int, str] = {}
        self._normal = ""
        if color:
            self._colors, self._normal = _terminal_colors(colors)

    def format(self, record: logging.LogRecord) -> str:
        """The text of `record`, which is one line unless the message or a traceback has more."""
        try:
            record.message = record.getMessage()
        except Exception as error:
            # A log call with the wrong arguments should be seen, and should break nothing.
            record.message = f"Bad message ({error!r}): {record.__dict__!r}"
        record.asctime = self.formatTime(record, self.datefmt)
        color = self._colors.get(record.levelno)
        record.color = color or ""
        record.end_color = self._normal if color else ""
        lines = [self.formatMessage(record)]
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            lines.append(record.exc_text)
        if record.stack_info:
            lines.append(self.formatStack(record.stack_info))
        return "\n".join(line.rstrip() for line in lines).replace("\n", "\n    ")


def _terminal_colors(colors: dict[int, int]) -> tuple[dict[int, str], str]:
    """The control sequences for each level and for going back; none where there is no colour."""
    if not sys.stderr or not hasattr(sys.stderr, "isatty") or not sys.stderr.isatty():
        return {}, ""
    if curses is not None:
        try:
            curses.setupterm()
            if curses.tigetnum("colors") <= 0:
                return {}, ""
            foreground = curses.tigetstr("setaf") or curses.tigetstr("setf") or b""
            sequences = {
                level: curses.tparm(foreground, code).decode("ascii")
                for level, code in colors.items()
            }
            return sequences, (curses.tigetstr("sgr0") or b"").decode("ascii")
        except curses.error:  # an unknown kind of terminal
            return {}, ""
    if colorama is not None and sys.stderr is getattr(colorama.initialise, "wrapped_stderr", None):
        return {level: f"\033[3{code}m" for level, code in colors.items()}, "\033[0m"
    return {}, ""


def enable_pretty_logging(options: Any = None, logger: logging.Logger | None = None) -> None:
    """Let `logger` print formatted records to standard error or to a rotated file.

    Args:
        options: An object whose attributes are the logging options, by default
            `typhoon.options.options`; one that is missing has its default. ``logging`` is the
            level by name (``"info"``), or None or ``"none"`` to leave the logging alone.
            ``log_file_prefix`` is the path of the log file, rotated by ``log_rotate_mode``
            (``"size"``: at ``log_file_max_size`` bytes; ``"time"``: every
            ``log_rotate_interval`` times ``log_rotate_when``), of which ``log_file_num_backups``
            are kept. ``log_to_stderr`` says whether to print as well; by default that is done
            when nothing else handles the records.
        logger: The logger to set up; the root logger by default.

    Raises:
        ValueError: The level or ``log_rotate_mode`` is none of the above.
        OSError: The log file cannot be opened.
    """

    if options is None:
        options = _program_options

    def setting(name: str) -> Any:
        return getattr(options, name, _DEFAULTS[name])

    level = setting("logging")
    if level is None or level.lower() == "none":
        return
    if logger is None:
        logger = logging.getLogger()
    try:
        logger.setLevel(level.upper())
    except ValueError:
        raise ValueError(
            f"the option logging is {level!r}: write debug, info, warning, error or none"
        ) from None
    if setting("log_file_prefix"):
        file_handler = _rotating_handler(setting)
        file_handler.setFormatter(LogFormatter(color=False))
        logger.addHandler(file_handler)
    to_stderr = setting("log_to_stderr")
    if to_stderr or (to_stderr is None and not logger.handlers):
        stream_handler = logging.StreamHandler()
        stream_handler.setFormatter(LogFormatter())
        logger.addHandler(stream_handler)


def _rotating_handler(setting: Any) -> logging.Handler:
    match setting("log_rotate_mode"):
        case "size":
            return logging.handlers.RotatingFileHandler(
                filename=setting("log_file_prefix"),
                maxBytes=setting("log_file_max_size"),
                backupCount=setting("log_file_num_backups"),
                encoding="utf-8",
            )
        case "time":
            return logging.handlers.TimedRotatingFileHandler(
                filename=setting("log_file_prefix"),
                when=setting("log_rotate_when"),
                interval=setting("log_rotate_interval"),
                backupCount=setting("log_file_num_backups"),
                encoding="utf-8",
            )
        case mode:
            raise ValueError(f'the option log_rotate_mode is {mode!r}: write "size" or "time"')


_HELP: Final[dict[str, str]] = {
    "logging": "the level of what is logged; none leaves Python's logging alone",
    "log_to_stderr": "log to standard error; by default only if nothing else takes the log",
    "log_file_prefix": "the log file; rotated ones get a number or date behind it. Each of several "
    "processes needs its own (put the port or the task id into it)",
    "log_file_max_size": "bytes after which a log file is rotated",
    "log_file_num_backups": "how many rotated log files are kept",
    "log_rotate_when": "the unit of log_rotate_interval: S, M, H, D, W0 to W6 or midnight",
    "log_rotate_interval": "after how many of these units a log file is rotated",
    "log_rotate_mode": "rotate by size or by time",
}


def define_logging_options(options: Any = None) -> None:
    """Add the logging options to a parser, which sets the logging up when it has parsed.

    `typhoon.options.options` has them already, so only a program that makes a parser of its own
    needs this.

    Args:
        options: A `typhoon.options.OptionParser`. None stands for that of the program.

    Raises:
        typhoon.options.Error: The parser has an option of such a name.
    """
    if options is None:
        return
    metavars = {"logging": "debug|info|warning|error|none", "log_rotate_mode": "size|time"}
    types = {"log_to_stderr": bool, "log_file_prefix": str}
    for name, default in _DEFAULTS.items():
        options.define(
            name,
            default=default,
            type=types.get(name),
            help=_HELP[name],
            metavar=metavars.get(name, "PATH" if name == "log_file_prefix" else None),
        )
    options.add_parse_callback(lambda: enable_pretty_logging(options))
