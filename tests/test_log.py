"""The formatter and the set-up of logging."""

import io
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from typhoon.log import (
    LogFormatter,
    access_log,
    app_log,
    define_logging_options,
    enable_pretty_logging,
    gen_log,
)
from typhoon.options import Error, OptionParser

PREFIX = r"\[E \d{6} \d\d:\d\d:\d\d test_log:\d+\]"


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """A logger of its own, whose handlers are closed after the test."""
    logger = logging.Logger("test")
    yield logger
    for handler in logger.handlers:
        handler.close()


def logged(formatter: logging.Formatter, *args: object, **kwargs: object) -> str:
    """What one `logger.error` call prints."""
    output = io.StringIO()
    handler = logging.StreamHandler(output)
    handler.setFormatter(formatter)
    logger = logging.Logger("test")
    logger.addHandler(handler)
    logger.error(*args, **kwargs)
    return output.getvalue()


def test_the_three_loggers_have_their_names() -> None:
    names = [logger.name for logger in (access_log, app_log, gen_log)]
    assert names == ["typhoon.access", "typhoon.application", "typhoon.general"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("plain",), "plain"),
        (("%s and %d", "one", 2), "one and 2"),
        (("été",), "été"),
        (({"a": 1},), "{'a': 1}"),
        (("two\nlines",), "two\n    lines"),
        (("trailing\n",), "trailing"),
    ],
)
def test_a_message_follows_the_prefix(args: tuple[object, ...], message: str) -> None:
    line = logged(LogFormatter(color=False), *args)
    assert re.fullmatch(f"{PREFIX} {re.escape(message)}\n", line), line


def test_a_message_with_wrong_arguments_is_still_logged() -> None:
    line = logged(LogFormatter(color=False), "%d files", "many")
    assert "Bad message (TypeError(" in line
    assert "many" in line


def test_a_traceback_is_indented() -> None:
    try:
        raise KeyError("absent")
    except KeyError:
        text = logged(LogFormatter(color=False), "failed", exc_info=True)
    first, *rest = text.rstrip("\n").split("\n")
    assert first.endswith("failed")
    assert rest[0] == "    Traceback (most recent call last):"
    assert rest[-1] == "    KeyError: 'absent'"


def test_a_stack_is_shown() -> None:
    text = logged(LogFormatter(color=False), "here", stack_info=True)
    assert "    Stack (most recent call last):" in text


@pytest.mark.parametrize(
    ("style", "fmt"),
    [("%", "%(levelname)s|%(message)s"), ("{", "{levelname}|{message}")],
)
def test_another_format(style: str, fmt: str) -> None:
    assert logged(LogFormatter(fmt=fmt, style=style, color=False), "hi") == "ERROR|hi\n"


def test_another_date_format() -> None:
    line = logged(LogFormatter(fmt="%(asctime)s %(message)s", datefmt="today"), "hi")
    assert line == "today hi\n"


COLORED = """
import io, logging, sys
Terminal = type("Terminal", (io.StringIO,), {"isatty": lambda self: True, "fileno": lambda self: 1})
sys.stderr, real = Terminal(), sys.stderr
from typhoon.log import LogFormatter
formatter = LogFormatter(fmt="%(color)s%(levelname)s%(end_color)s %(message)s", **OPTIONS)
sys.stderr = real
print(ascii(formatter.format(logging.LogRecord("n", logging.ERROR, "", 1, "hi", (), None))))
"""


def colored(monkeypatch: pytest.MonkeyPatch, terminal: str, **options: object) -> str:
    """The formatter's output in a fresh interpreter, for curses reads TERM only once."""
    monkeypatch.setenv("TERM", terminal)
    command = [sys.executable, "-c", f"OPTIONS = {options!r}{COLORED}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_terminal_gets_colors(monkeypatch: pytest.MonkeyPatch) -> None:
    red = colored(monkeypatch, "xterm")
    assert red.startswith(r"'\x1b[31mERROR\x1b")
    assert red.endswith(" hi'")
    cyan = colored(monkeypatch, "xterm", colors={logging.ERROR: 6})
    assert cyan.startswith(r"'\x1b[36mERROR\x1b")


@pytest.mark.parametrize(
    ("terminal", "options"),
    [
        ("dumb", {}),
        ("no-such-terminal", {}),
        ("xterm", {"color": False}),
        ("xterm", {"colors": {}}),
    ],
)
def test_no_colors(
    monkeypatch: pytest.MonkeyPatch, terminal: str, options: dict[str, object]
) -> None:
    assert colored(monkeypatch, terminal, **options) == "'ERROR hi'"


def test_no_colors_where_standard_error_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert "\x1b" not in logged(LogFormatter(), "hi")


def test_records_go_to_standard_error_by_default(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    enable_pretty_logging(logger=logger)
    logger.info("shown")
    logger.debug("hidden")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("[I ")
    assert line.endswith("] shown")


def test_enabling_twice_prints_once(logger: logging.Logger) -> None:
    enable_pretty_logging(logger=logger)
    enable_pretty_logging(logger=logger)
    assert len(logger.handlers) == 1


@pytest.mark.parametrize("level", [None, "none", "None"])
def test_logging_none_leaves_the_logger_alone(logger: logging.Logger, level: str | None) -> None:
    enable_pretty_logging(SimpleNamespace(logging=level), logger)
    assert logger.handlers == []
    assert logger.level == logging.NOTSET


@pytest.mark.parametrize("mode", ["size", "time"])
def test_a_log_file(tmp_path: Path, logger: logging.Logger, mode: str) -> None:
    prefix = tmp_path / "log"
    options = SimpleNamespace(log_file_prefix=str(prefix), log_rotate_mode=mode)
    enable_pretty_logging(options, logger)
    logger.error("été")
    assert len(logger.handlers) == 1
    logger.handlers[0].flush()
    text = prefix.read_text("utf-8")
    assert text.startswith("[E ")
    assert text.endswith("] été\n")


def test_a_log_file_is_rotated_by_size(tmp_path: Path, logger: logging.Logger) -> None:
    options = SimpleNamespace(
        log_file_prefix=str(tmp_path / "log"), log_file_max_size=200, log_file_num_backups=2
    )
    enable_pretty_logging(options, logger)
    for number in range(30):
        logger.error("line %d of a log that rotates", number)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "log.1", "log.2"]


def test_a_file_and_standard_error(
    tmp_path: Path, logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    options = SimpleNamespace(log_file_prefix=str(tmp_path / "log"), log_to_stderr=True)
    enable_pretty_logging(options, logger)
    logger.error("both")
    assert capsys.readouterr().err.endswith("] both\n")
    assert (tmp_path / "log").read_text().endswith("] both\n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"log_file_prefix": "x", "log_rotate_mode": "often"}, "log_rotate_mode is 'often': write"),
        ({"logging": "loud"}, "logging is 'loud': write debug"),
    ],
)
def test_a_bad_option_is_named(
    logger: logging.Logger, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        enable_pretty_logging(SimpleNamespace(**options), logger)


def test_a_parser_gets_the_logging_options(logger: logging.Logger, tmp_path: Path) -> None:
    options = OptionParser()
    define_logging_options(options)
    prefix = tmp_path / "log"
    words = ["main.py", f"--log-file-prefix={prefix}", "--logging=error", "--log-to-stderr=no"]
    options.parse_command_line(words, final=False)
    enable_pretty_logging(options, logger)
    assert logger.level == logging.ERROR
    logger.error("hello")
    assert prefix.read_text().endswith("] hello\n")
    with pytest.raises(Error, match="'logging' already defined"):
        define_logging_options(options)


def test_the_programs_parser_has_the_logging_options() -> None:
    define_logging_options()
