"""Restart a program when a source file of it changes, for use while developing.

Most applications need nothing of this but the setting ``debug=True`` (or ``autoreload=True``) of
`typhoon.web.Application`, which calls `start`. As a command,

    python -m typhoon.autoreload myserver.py --port=8888
    python -m typhoon.autoreload -m mypackage.tests

runs a program, and runs it again after it has ended, whenever a file changes: a test run, or a
server that could not start because of a typing error. Both can be used together.

The program is restarted by the command that started it, in the same process and the same directory.
Files that Python has opened are closed, as by `exec`. It is not for programs that fork workers, see
`typhoon.process.fork_processes`.

Changes are noticed at once where `watchfiles <https://watchfiles.helpmanual.io>`_ is installed, and
by looking at the time of modification otherwise. While a changed file is not valid Python, the
running program stays as it is.
"""

import logging
import os
import runpy
import signal
import subprocess
import sys
import time
import traceback
import types
import warnings
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NoReturn

from typhoon.ioloop import IOLoop
from typhoon.log import gen_log
from typhoon.process import task_id

try:
    import watchfiles
except ImportError:
    watchfiles = None  # type: ignore[assignment]

__all__ = ["add_reload_hook", "main", "start", "wait", "watch"]

_WAIT_TIME: Final = 500
"""Milliseconds between looks at the files in `wait`."""

_watched: Final[set[str]] = set()
_hooks: Final[list[Callable[[], object]]] = []
_loops: Final["weakref.WeakSet[IOLoop]"] = weakref.WeakSet()
_is_wrapped = False


def _directory() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it has been removed
        return None


_start_directory: Final = _directory()


def start(check_time: int = 500) -> None:
    """Restart the program when a module that it has imported, or a watched file, changes.

    The files are watched in the current event loop; a second call for the same loop does nothing.

    Args:
        check_time: Milliseconds after which the files are looked at anyway.
    """
    if task_id() is not None:
        gen_log.warning("autoreload: not in a forked process; start one process while developing")
        return
    io_loop = IOLoop.current()
    if io_loop in _loops:
        return
    _loops.add(io_loop)
    watcher = _LoopWatcher(io_loop, check_time)
    io_loop.add_callback(watcher.look)


def watch(filename: str) -> None:
    """Restart the program also when this file changes, such as a template or a configuration."""
    _watched.add(os.path.abspath(filename))


def add_reload_hook(fn: Callable[[], object]) -> None:
    """Call `fn` before the program is restarted.

    Sockets and files need none: Python does not pass them on. What a hook raises is logged.
    """
    _hooks.append(fn)


def wait() -> None:
    """Wait until a source file changes, then restart the program.

    For the end of a script such as a test runner; see also `main`, which gets there even if the
    script fails.
    """
    _wait(_Files())


def _wait(files: "_Files") -> NoReturn:
    waiter = _Waiter(_WAIT_TIME)
    while not files.should_reload():
        waiter.wait(files.directories())
    _reload()


def main() -> None:
    """Run a program again and again: ``python -m typhoon.autoreload``.

        python -m typhoon.autoreload [--until-success] script.py [argument...]
        python -m typhoon.autoreload [--until-success] -m module [argument...]

    When the program has ended, however it did, wait until one of its files changes; then start it
    anew. With ``--until-success``, end with the program once its exit status is 0.
    """
    global _is_wrapped
    words = sys.argv[1:]
    until_success = words[:1] == ["--until-success"]
    del words[: int(until_success)]
    is_module = words[:1] == ["-m"]
    del words[: int(is_module)]
    if not words or (not is_module and words[0].startswith("-")):
        print(_USAGE, file=sys.stderr)
        sys.exit(0 if words in (["-h"], ["--help"]) else 2)
    run = _run_module if is_module else _run_script
    if _is_wrapped:
        # The program that we run is this module again: one of us has to wait.
        run(words)
        return
    _is_wrapped = True
    try:
        main_file = run(words)
    except SystemExit as exit:
        _watch_traceback(exit)
        if not isinstance(exit.code, int | None):
            print(exit.code, file=sys.stderr)  # as Python does
        succeeded = not exit.code
        outcome = f"ended with exit status {exit.code}"
    except Exception as error:
        _watch_traceback(error)
        traceback.print_exception(error)
        succeeded = False
        outcome = f"ended with {type(error).__name__}"
    else:
        if main_file is not None:
            watch(main_file)
        succeeded = True
        outcome = "has ended"
    if until_success and succeeded:
        return
    files = _Files()
    level = logging.INFO if succeeded else logging.WARNING
    gen_log.log(level, "autoreload: %s %s; waiting for a change", words[0], outcome)
    _wait(files)


_USAGE: Final = """\
Usage: python -m typhoon.autoreload [--until-success] script.py [argument...]
       python -m typhoon.autoreload [--until-success] -m module [argument...]

Runs a Python program, and runs it again whenever one of its source files changes.

  --until-success   end when the program ends with exit status 0"""


def _run_module(words: list[str]) -> str | None:
    """Run a module as ``python -m`` does; the file that it is in."""
    sys.argv = words
    return runpy.run_module(words[0], run_name="__main__", alter_sys=True).get("__file__")


def _run_script(words: list[str]) -> str | None:
    """Run a file or directory as ``python`` does; the file that it is in."""
    sys.argv = words
    if os.path.isfile(words[0]):
        # (Of a directory, runpy does it.)
        sys.path.insert(0, os.path.dirname(os.path.abspath(words[0])))
        watch(words[0])
    return runpy.run_path(words[0], run_name="__main__").get("__file__")


def _watch_traceback(error: BaseException) -> None:
    """Watch the files of a failure: modules that failed are not among those imported."""
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        files.append(error.filename)
    for file in files:
        if os.path.isfile(file):
            watch(file)


def _reload() -> NoReturn:
    """Start the program anew, in this process."""
    for hook in _hooks:
        try:
            hook()
        except Exception:
            gen_log.error("autoreload: the reload hook %r failed", hook, exc_info=True)
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0)  # exec would keep it, and lose its handler
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    if _start_directory is not None:
        os.chdir(_start_directory)
    # All that was given to the interpreter, so it does the same again.
    command = [sys.executable, *(sys.orig_argv[1:] or sys.argv)]
    if sys.platform == "win32":
        subprocess.Popen(command)  # noqa: S603 (exec there is no more, and leaves the console)
        os._exit(0)
    os.execv(sys.executable, command)  # noqa: S606


class _Files:
    """The source files of the program, as they were when they were first seen."""

    def __init__(self) -> None:
        self._states: dict[str, tuple[int, int, int]] = {}
        self._changed: set[str] = set()
        self.should_reload()

    def should_reload(self) -> bool:
        """Whether files have changed, and can be compiled as far as they are Python."""
        news = False
        for path in _source_files():
            try:
                status = os.stat(path)
            except OSError:
                continue  # being replaced, or in an archive
            state = (status.st_mtime_ns, status.st_size, status.st_ino)
            if self._states.setdefault(path, state) != state:
                self._states[path] = state
                self._changed.add(path)
                news = True
        if not news or not all(_is_valid(path) for path in self._changed):
            return False
        gen_log.info("autoreload: %s changed, restarting", ", ".join(sorted(self._changed)))
        return True

    def directories(self) -> set[str]:
        """Where the files are. Editors replace files, so these are what is to be watched."""
        return {os.path.dirname(path) for path in self._states}


def _source_files() -> Iterator[str]:
    yield from tuple(_watched)
    for module in tuple(sys.modules.values()):
        # Some programs put other objects there, whose attributes may do anything.
        path = module.__dict__.get("__file__") if isinstance(module, types.ModuleType) else None
        if isinstance(path, str):
            yield path.removesuffix("c") if path.endswith(".pyc") else path


def _is_valid(path: str) -> bool:
    if not path.endswith(".py"):
        return True
    try:
        with open(path, "rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it will be compiled again
            compile(file.read(), path, "exec", dont_inherit=True)
    except OSError:
        return True  # it has been removed
    except (SyntaxError, ValueError) as error:
        gen_log.error("autoreload: not restarting, %s cannot be compiled: %s", path, error)
        return False
    return True


class _Waiter:
    """Waits until something happens in some directories, or some time has passed."""

    def __init__(self, milliseconds: int) -> None:
        self._milliseconds = milliseconds
        self._directories: set[str] = set()
        self._changes: Iterator[Any] = iter(())
        self.can_notice = watchfiles is not None
        # It logs each change of any file: in a directory with the log, without end.
        noise = logging.getLogger("watchfiles.main")
        if noise.level == logging.NOTSET:
            noise.setLevel(logging.WARNING)

    def wait(self, directories: set[str]) -> None:
        """Block until then."""
        if self.can_notice:
            try:
                if directories != self._directories:
                    self._directories = directories
                    self._changes = watchfiles.watch(
                        *directories,
                        watch_filter=None,
                        debounce=200,
                        rust_timeout=self._milliseconds,
                        yield_on_timeout=True,
                        recursive=False,
                    )
                next(self._changes)
                return
            except Exception as error:  # such as too many directories for the system
                gen_log.debug("autoreload: watchfiles failed, looking at times: %s", error)
                self.can_notice = False
                self._changes = iter(())
        time.sleep(self._milliseconds / 1000)


class _LoopWatcher:
    """Looks at the files again and again, in an event loop, until that is closed."""

    def __init__(self, io_loop: IOLoop, milliseconds: int) -> None:
        self._io_loop = io_loop
        self._milliseconds = milliseconds
        self._files = _Files()
        self._waiter = _Waiter(milliseconds)
        self._thread: ThreadPoolExecutor | None = None

    def look(self) -> None:
        """Restart the program if it is time to; otherwise come back later."""
        if self._files.should_reload():
            _reload()
        if not self._waiter.can_notice:
            self._io_loop.call_later(self._milliseconds / 1000, self.look)
            return
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "autoreload")
        self._thread.submit(self._wait, self._files.directories())

    def _wait(self, directories: set[str]) -> None:
        self._waiter.wait(directories)
        self._io_loop.add_callback(self.look)  # which does nothing once the loop is closed


if __name__ == "__main__":
    # This is another module than the one that the program imports, and that has to do it.
    from typhoon import autoreload

    autoreload.main()
