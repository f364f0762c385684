"""Options of a program, from its command line and from config files.

Each module defines the options that it needs, and reads them where it needs them:

    from typhoon.options import define, options

    define("port", default=8888, help="port to listen on")
    define("memcache_hosts", default=["127.0.0.1:11011"], multiple=True, help="user caches")

    def main():
        parse_command_line()          # --port=443 --memcache-hosts=10.0.0.1:11011,10.0.0.2:11011
        application.listen(options.port)

or from a config file, `parse_config_file`, which is Python code:

    port = 443
    memcache_hosts = ["10.0.0.1:11011", "10.0.0.2:11011"]

The functions of this module use one parser for the whole program, `options`. It has the options of
`typhoon.log` (``--logging=debug``) from the start, and parsing it sets the logging up. A program
that wants neither makes an `OptionParser` of its own. To leave the logging alone:

    options.logging = None
    parse_command_line()

Dashes and underscores in names are the same. Programs should only read options after parsing.
"""

from collections.abc import Callable
from typing import Any, TextIO

from typhoon import log
from typhoon.options.option import Error
from typhoon.options.parser import OptionParser

__all__ = [
    "Error",
    "OptionParser",
    "add_parse_callback",
    "define",
    "options",
    "parse_command_line",
    "parse_config_file",
    "print_help",
]

options = OptionParser()
"""The options of the program, which the functions of this module use."""


def define(
    name: str,
    default: Any = None,
    type: type | None = None,
    help: str | None = None,
    metavar: str | None = None,
    multiple: bool = False,
    group: str | None = None,
    callback: Callable[[Any], None] | None = None,
) -> None:
    """Define an option of the program: `OptionParser.define` of `options`."""
    options.define(name, default, type, help, metavar, multiple, group, callback)


def parse_command_line(args: list[str] | None = None, final: bool = True) -> list[str]:
    """Set the program's options: `OptionParser.parse_command_line` of `options`."""
    return options.parse_command_line(args, final)


def parse_config_file(path: str, final: bool = True) -> None:
    """Set the program's options: `OptionParser.parse_config_file` of `options`."""
    options.parse_config_file(path, final)


def print_help(file: TextIO | None = None) -> None:
    """Print the program's options: `OptionParser.print_help` of `options`."""
    options.print_help(file)


def add_parse_callback(callback: Callable[[], None]) -> None:
    """Call a function after parsing: `OptionParser.add_parse_callback` of `options`."""
    options.add_parse_callback(callback)


log.define_logging_options(options)
log._program_options = options
