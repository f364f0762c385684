"""Options from command lines and config files."""

import copy
import datetime
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import typhoon.options
from typhoon.options import Error, OptionParser


@pytest.fixture
def options() -> OptionParser:
    return OptionParser()


@pytest.fixture
def config(tmp_path: Path) -> Callable[[str], str]:
    """`config(source)` writes a config file and gives its path."""

    def write(source: str) -> str:
        path = tmp_path / "server.conf"
        path.write_text(source, "utf-8")
        return str(path)

    return write


class Email:
    def __init__(self, value: str) -> None:
        if "@" not in value:
            raise ValueError("an address has an @")
        self.value = value


# Values


@pytest.mark.parametrize(
    ("type", "text", "value"),
    [
        (str, "a,b=c", "a,b=c"),
        (str, "", ""),
        (int, "443", 443),
        (int, "-1", -1),
        (float, "1.5", 1.5),
        (float, "2", 2.0),
        *((bool, text, True) for text in ("true", "True", "1", "yes", "on", "t")),
        *((bool, text, False) for text in ("false", "FALSE", "0", "no", "off", "f")),
        (datetime.datetime, "2013-04-28 05:16", datetime.datetime(2013, 4, 28, 5, 16)),
        (datetime.datetime, "2013-04-28T05:16:01", datetime.datetime(2013, 4, 28, 5, 16, 1)),
        (datetime.datetime, "20130428 05:16", datetime.datetime(2013, 4, 28, 5, 16)),
        (datetime.datetime, "2013-04-28", datetime.datetime(2013, 4, 28)),
        (datetime.datetime, "05:16", datetime.datetime(1900, 1, 1, 5, 16)),
        (datetime.datetime, "Sun Apr 28 05:16:00 2013", datetime.datetime(2013, 4, 28, 5, 16)),
        (datetime.timedelta, "45", datetime.timedelta(seconds=45)),
        (datetime.timedelta, "45s", datetime.timedelta(seconds=45)),
        (datetime.timedelta, "1h 30m", datetime.timedelta(minutes=90)),
        (datetime.timedelta, "1.5 hours", datetime.timedelta(minutes=90)),
        (datetime.timedelta, "2d12h", datetime.timedelta(hours=60)),
        (datetime.timedelta, "-5min", datetime.timedelta(minutes=-5)),
        (datetime.timedelta, "250ms", datetime.timedelta(milliseconds=250)),
    ],
)
def test_a_string_becomes_a_value(options: OptionParser, type: Any, text: str, value: Any) -> None:
    options.define("x", type=type)
    options.parse_command_line(["main.py", f"--x={text}"])
    assert options.x == value
    assert isinstance(options.x, type)


@pytest.mark.parametrize(
    ("type", "text", "message"),
    [
        (int, "many", r"option 'x': 'many' is no integer"),
        (int, "", r"option 'x': '' is no integer"),
        (float, "1,5", r"'1,5' is no number"),
        (bool, "maybe", r"'maybe' is no boolean: write true or false"),
        (datetime.datetime, "tomorrow", r"'tomorrow' is no date and time: write \"2013"),
        (datetime.timedelta, "45 parsecs", r"'45 parsecs' is no length of time: write \"45s\""),
        (datetime.timedelta, "", r"'' is no length of time"),
        (datetime.timedelta, "1e99d", r"'1e99d' is no length of time"),
        (Email, "nobody", r"'nobody' is no Email \(an address has an @\)"),
    ],
)
def test_a_bad_value_is_an_error_that_says_what_to_write(
    options: OptionParser, type: Any, text: str, message: str
) -> None:
    options.define("x", type=type)
    with pytest.raises(Error, match=message):
        options.parse_command_line(["main.py", f"--x={text}"])
    assert options.x is None


def test_a_type_can_be_any_class_or_function(options: OptionParser) -> None:
    options.define("email", type=Email)
    options.define("hex", type=lambda text: int(text, 16))  # type: ignore[arg-type,return-value]
    options.parse_command_line(["main.py", "--email=a@b", "--hex=ff"])
    assert options.email.value == "a@b"
    assert options.hex == 255
    options.hex = "anything"


@pytest.mark.parametrize(
    ("type", "text", "value"),
    [
        (str, "a,b,c", ["a", "b", "c"]),
        (str, "", []),
        (int, "1,3,5:7", [1, 3, 5, 6, 7]),
        (int, "4:4", [4]),
        (float, "1,2.5", [1.0, 2.5]),
        (bool, "1,0", [True, False]),
    ],
)
def test_multiple_values(options: OptionParser, type: Any, text: str, value: Any) -> None:
    options.define("x", type=type, multiple=True)
    assert options.x == []
    options.parse_command_line(["main.py", f"--x={text}"])
    assert options.x == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,x", "'1,x' is no comma-separated list of integer"),
        ("7:5", "the range 7:5 ends before it begins"),
        ("0:99999999999", "more than 1000000 numbers"),
        ("1:2:3", "is no comma-separated list"),
    ],
)
def test_bad_multiple_values(options: OptionParser, text: str, message: str) -> None:
    options.define("x", type=int, multiple=True)
    with pytest.raises(Error, match=message):
        options.parse_command_line(["main.py", f"--x={text}"])


@pytest.mark.parametrize(
    ("default", "multiple", "text", "value"),
    [
        (80, False, "443", 443),
        (1.5, False, "2.5", 2.5),
        (False, False, "true", True),
        (datetime.timedelta(1), False, "2s", datetime.timedelta(seconds=2)),
        (None, False, "80", "80"),
        ([1], True, "2,3", [2, 3]),
        (["a"], True, "2,3", ["2", "3"]),
    ],
)
def test_the_default_gives_the_type(
    options: OptionParser, default: Any, multiple: bool, text: str, value: Any
) -> None:
    options.define("x", default=default, multiple=multiple)
    assert options.x == default
    options.parse_command_line(["main.py", f"--x={text}"])
    assert options.x == value


# Command lines


def test_options_end_at_the_first_other_word(options: OptionParser) -> None:
    options.define("verbose", default=False)
    rest = options.parse_command_line(["main.py", "--verbose", "command", "--foo=bar"])
    assert rest == ["command", "--foo=bar"]
    assert options.verbose is True
    assert options.parse_command_line(["main.py", "--verbose=no", "--", "--x"]) == ["--x"]
    assert options.verbose is False
    assert options.parse_command_line(["main.py", "-", "x"]) == ["-", "x"]
    assert options.parse_command_line([]) == []


def test_one_dash_will_do(options: OptionParser) -> None:
    options.define("port", default=80)
    options.parse_command_line(["main.py", "-port=81"])
    assert options.port == 81


def test_the_command_line_is_that_of_the_process(
    options: OptionParser, monkeypatch: pytest.MonkeyPatch
) -> None:
    options.define("port", default=80)
    monkeypatch.setattr(sys, "argv", ["main.py", "--port=81", "rest"])
    assert options.parse_command_line() == ["rest"]
    assert options.port == 81


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("--prot=80", r"unrecognized command line option '--prot'; did you mean --port\?; --help"),
        ("--zzz", r"unrecognized command line option '--zzz'; --help lists them all"),
        ("--port", r"command line option '--port' needs a value: write --port=INT"),
        ("--=5", r"unrecognized command line option '--'"),
    ],
)
def test_a_bad_command_line(options: OptionParser, word: str, message: str) -> None:
    options.define("port", default=80)
    with pytest.raises(Error, match=message):
        options.parse_command_line(["main.py", word])


@pytest.mark.parametrize("defined", ["foo-bar", "foo_bar"])
@pytest.mark.parametrize("flag", ["--foo-bar=a", "--foo_bar=a"])
def test_dashes_and_underscores_are_the_same(
    options: OptionParser, config: Callable[[str], str], defined: str, flag: str
) -> None:
    options.define(defined, group="g")
    options.parse_command_line(["main.py", flag])
    assert options.foo_bar == options["foo-bar"] == options["foo_bar"] == "a"
    assert "foo-bar" in options
    assert "foo_bar" in options
    assert list(options.group_dict("g")) == [defined]
    options.parse_config_file(config("foo_bar = 'b'"))
    assert options.foo_bar == "b"
    with pytest.raises(Error, match=rf"Option 'foo_bar' already defined in {__file__}: give"):
        options.define("foo_bar")


# Config files


def test_a_config_file(options: OptionParser, config: Callable[[str], str]) -> None:
    for name, kind in (("port", int), ("when", datetime.datetime), ("ratio", float)):
        options.define(name, type=kind)
    options.define("user", default="foo")
    options.define("here", type=str)
    options.define("hosts", multiple=True)
    options.define("ports", type=int, multiple=True)
    options.define("untouched", default=5)
    path = config(
        "import os\nport = 80 + 363\nuser = '李康'\nhere = __file__\nwhen = '2013-04-28'\n"
        "ratio = 2\nhosts = ['a', 'b']\nports = '1:3,5'\nother = 'ignored'\n"
    )
    options.parse_config_file(path)
    assert options.group_dict(__file__) == {
        "port": 443,
        "when": datetime.datetime(2013, 4, 28),
        "ratio": 2.0,
        "user": "李康",
        "here": path,
        "hosts": ["a", "b"],
        "ports": [1, 2, 3, 5],
        "untouched": 5,
    }


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("port = 80\nport 81\n", "server.conf, line 2: invalid syntax"),
        ("\n\nport = prot\n", "server.conf, line 3: NameError: name 'prot' is not defined"),
        ("def f():\n  1 / 0\nf()\n", "server.conf, line 2: ZeroDivisionError"),
        ("port = []", r"server.conf: option 'port' takes int, not \[\], which is list"),
        ("port = 'x'", "server.conf: option 'port': 'x' is no integer"),
        ("hosts = 5", "server.conf: option 'hosts' takes a list of str, not 5"),
        ("hosts = ['a', 5]", "server.conf: option 'hosts' takes str, not 5, which is int"),
    ],
)
def test_a_bad_config_file(
    options: OptionParser, config: Callable[[str], str], source: str, message: str
) -> None:
    options.define("port", default=1)
    options.define("hosts", multiple=True)
    with pytest.raises(Error, match=message):
        options.parse_config_file(config(source))
    assert options.port == 1


def test_a_config_file_that_is_not_utf_8(options: OptionParser, tmp_path: Path) -> None:
    path = tmp_path / "old.conf"
    path.write_bytes("user = 'é'".encode("latin-1"))
    with pytest.raises(Error, match=r"old.conf is not UTF-8"):
        options.parse_config_file(str(path))


def test_a_config_file_that_does_not_exist(options: OptionParser, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"absent.conf"):
        options.parse_config_file(str(tmp_path / "absent.conf"))


def test_an_option_can_name_a_config_file(
    options: OptionParser, config: Callable[[str], str]
) -> None:
    parsed: list[int] = []
    options.define("port", default=80)
    options.define(
        "config", type=str, callback=lambda path: options.parse_config_file(path, final=False)
    )
    options.add_parse_callback(lambda: parsed.append(options.port))
    path = config("port = 81")
    options.parse_command_line(["main.py", "--port=1", f"--config={path}"])
    options.parse_command_line(["main.py", f"--config={path}", "--port=2"])
    assert parsed == [81, 2]


def test_parse_callbacks_run_when_the_parsing_is_final(
    options: OptionParser, config: Callable[[str], str]
) -> None:
    calls: list[str] = []
    options.add_parse_callback(lambda: calls.append("called"))
    options.parse_command_line(["main.py"], final=False)
    options.parse_config_file(config(""), final=False)
    assert calls == []
    options.parse_command_line(["main.py"])
    options.parse_config_file(config(""))
    options.run_parse_callbacks()
    assert calls == ["called"] * 3


# The parser as an object


def test_setting_checks_the_type_and_calls_back(options: OptionParser) -> None:
    values: list[object] = []
    options.define("n", default=1, callback=values.append)
    options.n = 2
    options["n"] = 3
    with pytest.raises(Error, match=r"option 'n' takes int, not '4', which is str"):
        options.n = "4"
    options.n = None
    assert values == [2, 3, None]


@pytest.mark.parametrize(
    "use",
    [
        lambda options: options.prot,
        lambda options: options["prot"],
        lambda options: setattr(options, "prot", 1),
        lambda options: options.__setitem__("prot", 1),
    ],
)
def test_an_option_that_is_not_defined(
    options: OptionParser, use: Callable[[OptionParser], Any]
) -> None:
    options.define("port", default=80)
    with pytest.raises(AttributeError, match=r"no option 'prot' is defined; did you mean port\?"):
        use(options)


def test_as_a_mapping(options: OptionParser) -> None:
    options.define("a", default=1, group="first")
    options.define("b", default=2, group="second")
    assert list(options) == ["help", "a", "b"]
    assert dict(options.items()) == options.as_dict() == {"help": None, "a": 1, "b": 2}
    assert options.groups() == {"", "first", "second"}
    assert options.group_dict("second") == {"b": 2}
    assert options.group_dict("third") == {}
    assert "c" not in options
    assert set(options._options) == {"help", "a", "b"}  # programs look into it


def test_a_copy_is_another_parser(options: OptionParser) -> None:
    options.define("n", default=1)
    other = copy.deepcopy(options)
    other.n = 2
    assert (options.n, other.n) == (1, 2)


def test_mock_patches_are_undone(options: OptionParser) -> None:
    options.define("n", default=1)
    mockable = options.mockable()
    with mock.patch.object(mockable, "n", 2):
        options.n = 3
        with mock.patch.object(mockable, "n", 4):
            assert options.n == mockable.n == 4
        assert options.n == 3
    assert options.n == 1
    with pytest.raises(AttributeError, match="m"), mock.patch.object(mockable, "m", 1):
        pass


# Help


def test_help_lists_the_options_by_group(options: OptionParser) -> None:
    options.define("with_underscore", default=80, help="a number", group="server")
    options.define("flag", default=False, help="a flag", group="server")
    options.define("path", metavar="PATH", help="word " * 30, group="server")
    options.define("a-name-that-is-far-too-long-for-one-line", help="long", group="server")
    options.define("silent", type=int, group="server")
    out = io.StringIO()
    options.print_help(out)
    text = out.getvalue()
    assert text.startswith("Usage: ")
    assert "\nserver options:\n" in text
    assert "  --with-underscore=INT            a number (default 80)\n" in text
    assert "  --flag                           a flag (default False)\n" in text
    assert "  --path=PATH                      word word" in text
    assert "-one-line=STR\n                                   long\n" in text
    assert "  --silent=INT\n" in text
    assert max(map(len, text.splitlines())) < 80


def test_help_is_printed_and_the_program_ends(
    options: OptionParser, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit:
        options.parse_command_line(["main.py", "--help"])
    assert exit.value.code == 0
    assert "--help" in capsys.readouterr().err
    options.parse_command_line(["main.py", "--help=false"])


# The program's own


def run(program: str, *words: str) -> "subprocess.CompletedProcess[str]":
    prelude = "from typhoon.options import *\nimport logging\n"
    command = [sys.executable, "-Werror", "-c", prelude + program, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


def test_the_programs_options(tmp_path: Path) -> None:
    (tmp_path / "conf").write_text("port = 82")
    done = run(
        f"""
define("port", default=80, help="where to listen")
add_parse_callback(lambda: print("parsed", options.port))
print(parse_command_line())
parse_config_file({str(tmp_path / "conf")!r})
print_help()
""",
        "--port=81",
        "rest",
    )
    assert done.stdout.splitlines() == ["parsed 81", "['rest']", "parsed 82"]
    assert "--port=INT                       where to listen (default 80)" in done.stderr
    assert "--logging=debug|info|warning|error|none" in done.stderr


@pytest.mark.parametrize(
    ("program", "words", "shown"),
    [
        ("", [], False),
        ("parse_command_line()", [], True),
        ("parse_command_line()", ["--logging=none"], False),
        ("parse_command_line()", ["--logging=warning"], False),
        ("options.logging = None; parse_command_line()", [], False),
        ("options.logging = None; parse_command_line()", ["--logging=info"], True),
        ("import typhoon.log; typhoon.log.enable_pretty_logging()", [], True),
        (
            "import typhoon.log; options.logging = None; typhoon.log.enable_pretty_logging()",
            [],
            False,
        ),
    ],
)
def test_parsing_sets_the_logging_up(program: str, words: list[str], shown: bool) -> None:
    done = run(program + "\nlogging.info('hello')", *words)
    assert done.returncode == 0, done.stderr
    assert ("hello" in done.stderr) == shown


def test_the_functions_use_the_programs_options() -> None:
    assert "logging" in typhoon.options.options
    assert "log-file-prefix" in typhoon.options.options
