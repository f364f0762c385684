"""Restarting programs: each test runs one of its own, edits its files and sees what it does."""

import contextlib
import os
import subprocess
import sys
import textwrap
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from proxy import free_port
from support import TIMEOUT

WRAPPER = ("-m", "typhoon.autoreload")


class Program:
    """A running program, and the lines that it prints."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        assert process.stdout is not None
        self.out: IO[str] = process.stdout

    def line(self) -> str:
        """The next line; pytest's time limit bounds the wait. "" at the end."""
        return self.out.readline().rstrip("\n")

    def line_with(self, text: str) -> str:
        """The next line that contains `text`."""
        for line in self.out:
            if text in line:
                return line
        raise EOFError(f"{text!r} was not printed")


@pytest.fixture(params=["watchfiles", "times"])
def way(request: pytest.FixtureRequest) -> str:
    """With watchfiles, and as if it were not installed."""
    return request.param


@pytest.fixture
def start(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Program]]:
    """`start("main.py")` runs Python in the test's folder; the program is ended after the test."""
    with contextlib.ExitStack() as stack:

        def start(*words: str) -> Program:
            paths = [str(tmp_path / "path"), *sys.path]
            if "way" in request.fixturenames and request.getfixturevalue("way") == "times":
                write(tmp_path, {"path/watchfiles.py": "raise ImportError"})
            process = subprocess.Popen(
                [sys.executable, "-u", *words],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                cwd=tmp_path,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return Program(process)

        yield start


def write(folder: Path, files: dict[str, str]) -> None:
    """Write files as an editor does: each appears complete, in the place of the one before."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_text(textwrap.dedent(text), "utf-8")
        new.replace(path)


@contextlib.contextmanager
def changing(path: Path) -> Iterator[None]:
    """Change a file until somebody has noticed."""
    stop = threading.Event()

    def change() -> None:
        number = 0
        while not stop.wait(0.05):
            number += 1
            path.write_text(str(number))

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


SERVER = """
import os
print("open", sorted(os.listdir("/dev/fd")))
import asyncio, typhoon.log
from typhoon.httpserver import HTTPServer
from typhoon.web import Application, RequestHandler
from pages import text

class Main(RequestHandler):
    def get(self):
        self.write(f"{text} {os.getpid()}")

typhoon.log.enable_pretty_logging()
"""

ASYNCIO = """
async def main():
    app = Application([("/", Main)], debug=True)
    server = app.listen(PORT, "127.0.0.1")
    print("listening")
    await asyncio.Event().wait()
asyncio.run(main())
"""

IOLOOP = """
from typhoon.ioloop import IOLoop
app = Application([("/", Main)], autoreload=True)
server = HTTPServer(app)
server.listen(PORT, "127.0.0.1")
print("listening")
IOLoop.current().start()
"""

BEHIND_A_ROUTER = """
from typhoon.routing import RuleRouter, Rule, PathMatches
async def main():
    app = Application([("/", Main)], debug=True)
    server = HTTPServer(RuleRouter([Rule(PathMatches("/.*"), app)]))
    server.listen(PORT, "127.0.0.1")
    print("listening")
    await asyncio.Event().wait()
asyncio.run(main())
"""


def fetched(port: int) -> list[str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=TIMEOUT) as response:
        return response.read().decode().split()


@pytest.mark.parametrize("program", [ASYNCIO, IOLOOP, BEHIND_A_ROUTER])
def test_a_server_that_is_edited_answers_anew(
    tmp_path: Path, start: Callable[..., Program], way: str, program: str
) -> None:
    port = free_port()
    source = SERVER + program.replace("PORT", str(port))
    write(tmp_path, {"pages.py": "text = 'old'", "main.py": source})
    server = start("main.py")
    descriptors = server.line_with("open")
    server.line_with("listening")
    text, pid = fetched(port)
    assert text == "old"
    write(tmp_path, {"pages.py": "text = 'newer'"})
    assert "autoreload: " in server.line_with("pages.py changed, restarting")
    assert server.line_with("open") == descriptors
    server.line_with("listening")
    assert fetched(port) == ["newer", pid]
    # Another time, by the main script.
    write(tmp_path, {"main.py": source.replace("{text}", "newest")})
    server.line_with("listening")
    assert fetched(port) == ["newest", pid]


def test_changes_of_other_files_are_not_logged(
    tmp_path: Path, start: Callable[..., Program]
) -> None:
    # A log in the folder that is watched would feed itself.
    source = """
        import logging
        logging.basicConfig(level="INFO")
        async def main():
            app = Application([("/", Main)], debug=True)
            server = app.listen(0, "127.0.0.1")
            logging.getLogger("watchfiles.main").info("1 change detected")
            print("listening")
        asyncio.run(main())
    """
    write(tmp_path, {"pages.py": "text = ''", "main.py": SERVER + textwrap.dedent(source)})
    server = start("main.py")
    assert "open" in server.line()
    assert server.line() == "listening"


def test_an_error_of_syntax_leaves_the_server_as_it_is(
    tmp_path: Path, start: Callable[..., Program], way: str
) -> None:
    port = free_port()
    source = SERVER + ASYNCIO.replace("PORT", str(port))
    write(tmp_path, {"pages.py": "text = 'old'", "main.py": source})
    server = start("main.py")
    server.line_with("listening")
    write(tmp_path, {"pages.py": "text = 'broken"})
    assert "cannot be compiled: unterminated" in server.line_with("not restarting")
    assert fetched(port)[0] == "old"
    write(tmp_path, {"pages.py": "text = 'mended'"})
    server.line_with("listening")
    assert fetched(port)[0] == "mended"


TWICE = """
import os, sys
{body}
sys.stdout.flush()
if "STARTED" not in os.environ:
    os.environ["STARTED"] = "1"
    from typhoon import autoreload
    autoreload.watch("trigger")
    print("waiting")
    autoreload.wait()
os._exit(0)
"""


def twice(
    tmp_path: Path, start: Callable[..., Program], body: str, *words: str, name: str = "main.py"
) -> list[str]:
    """What a program prints before it waits for a change, and the same after it."""
    write(tmp_path, {name: TWICE.format(body=textwrap.dedent(body)), "trigger": "1"})
    program = start(*words)
    first = list(iter(program.line, "waiting"))
    assert "" not in first, first
    with changing(tmp_path / "trigger"):
        second = list(iter(program.line, ""))
    assert program.process.wait(TIMEOUT) == 0
    assert first == second
    return first


@pytest.mark.parametrize("wrapper", [(), WRAPPER])
@pytest.mark.parametrize(
    ("words", "spec", "path"),
    [
        (("-m", "app"), "app.__main__", "."),
        (("-m", "app.sub"), "app.sub", "."),
        (("app/__main__.py",), "None", "app"),
        (("app/sub.py",), "None", "app"),
        (("app",), "__main__", "app"),
    ],
)
def test_every_way_to_start_python_is_repeated(
    tmp_path: Path,
    start: Callable[..., Program],
    wrapper: tuple[str, ...],
    words: tuple[str, ...],
    spec: str,
    path: str,
) -> None:
    body = """
    print(__name__, getattr(__spec__, "name", None), __file__)
    print(os.path.realpath(sys.path[0] or "."), sys.argv[1:])
    print(sys.modules["__main__"].__dict__ is globals())
    """
    write(tmp_path, {"app/__init__.py": ""})
    name = "app/sub.py" if "sub" in words[-1] else "app/__main__.py"
    arguments = ("a", "--b", "-m", "c d")
    first, second, third = twice(tmp_path, start, body, *wrapper, *words, *arguments, name=name)
    assert first.startswith(f"__main__ {spec} ")
    assert first.endswith(name)
    assert second == f"{os.path.realpath(tmp_path / path)} {list(arguments)}"
    assert third == "True"


def test_what_is_given_to_the_interpreter_is_kept(
    tmp_path: Path, start: Callable[..., Program]
) -> None:
    body = "print(sys.flags.optimize, sys.flags.dev_mode, __debug__)"
    assert twice(tmp_path, start, body, "-O", "-X", "dev", "main.py") == ["1 True False"]


def test_a_program_that_has_gone_elsewhere_is_found_again(
    tmp_path: Path, start: Callable[..., Program]
) -> None:
    body = """
    import typhoon.autoreload
    print(os.getcwd())
    typhoon.autoreload.watch("trigger")
    os.chdir("/")
    """
    write(tmp_path, {"main.py": TWICE.format(body=textwrap.dedent(body)), "trigger": "1"})
    program = start("main.py")
    assert program.line() == os.path.realpath(tmp_path)
    assert program.line() == "waiting"
    with changing(tmp_path / "trigger"):
        assert program.line() == os.path.realpath(tmp_path)
        assert program.line() == ""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_nothing_is_inherited(tmp_path: Path, start: Callable[..., Program]) -> None:
    body = """
    import signal, socket, asyncio
    print(sorted(map(int, os.listdir("/proc/self/fd")))[:-1], os.getpid())
    print(signal.getitimer(signal.ITIMER_REAL))
    signal.signal(signal.SIGALRM, print)
    signal.setitimer(signal.ITIMER_REAL, 1000)
    kept = open(__file__), socket.socket(), asyncio.new_event_loop(), os.pipe()
    """
    first, second = twice(tmp_path, start, body, "main.py")
    assert first.startswith("[0, 1, 2] ")
    assert second == "(0.0, 0.0)"


def test_reload_hooks_are_called(tmp_path: Path, start: Callable[..., Program]) -> None:
    program = """
    import os, sys
    from typhoon import autoreload
    if "STARTED" in os.environ:
        sys.exit()
    os.environ["STARTED"] = "1"
    autoreload.add_reload_hook(lambda: 1 / 0)
    autoreload.add_reload_hook(lambda: print("hook"))
    autoreload.watch("trigger")
    print("waiting")
    autoreload.wait()
    """
    write(tmp_path, {"main.py": program, "trigger": "1"})
    running = start("main.py")
    assert running.line() == "waiting"
    with changing(tmp_path / "trigger"):
        assert "the reload hook <function" in running.line()
        running.line_with("ZeroDivisionError")
        assert running.line() == "hook"
    assert running.line() == ""
    assert running.process.wait(TIMEOUT) == 0


# The command


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("print('unfinished'", "SyntaxError"),
        ("import absent_module", "ModuleNotFoundError"),
        ("import part", "SyntaxError"),
        ("import sys; sys.exit('no luck')", "no luck"),
        ("import sys; sys.exit(3)", "exit status 3"),
        ("raise RuntimeError('failed')", "RuntimeError: failed"),
    ],
)
@pytest.mark.parametrize("words", [("main.py",), ("-m", "main")])
def test_a_program_that_fails_is_tried_again_when_it_changes(
    tmp_path: Path, start: Callable[..., Program], words: tuple[str, ...], broken: str, message: str
) -> None:
    write(tmp_path, {"main.py": broken, "part.py": "x ="})
    program = start(*WRAPPER, "--until-success", *words)
    seen = ""
    while "waiting for a change" not in seen:
        line = program.line()
        assert line, f"ended after {seen}"
        seen += line + "\n"
    assert message in seen
    write(tmp_path, {"part.py": "x = 1", "main.py": "print('mended')"})
    assert program.line() == "mended"
    assert program.line() == ""
    assert program.process.wait(TIMEOUT) == 0


def test_a_program_that_succeeds_runs_again_too(
    tmp_path: Path, start: Callable[..., Program], way: str
) -> None:
    source = "import part, typhoon.log; typhoon.log.enable_pretty_logging(); part.say()"
    write(tmp_path, {"main.py": source, "part.py": "def say(): print('one')"})
    program = start(*WRAPPER, "main.py")
    assert program.line() == "one"
    assert "main.py has ended; waiting for a change" in program.line()
    write(tmp_path, {"part.py": "def say(): print('two')"})
    program.line_with("restarting")
    assert program.line() == "two"
    program.line_with("waiting for a change")
    write(tmp_path, {"main.py": "print('three'); import os; os._exit(0)"})
    program.line_with("restarting")
    assert program.line() == "three"


@pytest.mark.parametrize("exit", ["", "import sys; sys.exit()", "import sys; sys.exit(0)"])
def test_until_success(tmp_path: Path, start: Callable[..., Program], exit: str) -> None:
    write(tmp_path, {"main.py": f"print('done')\n{exit}"})
    program = start(*WRAPPER, "--until-success", "main.py")
    assert [program.line(), program.line()] == ["done", ""]
    assert program.process.wait(TIMEOUT) == 0


def test_the_command_within_itself_waits_once(
    tmp_path: Path, start: Callable[..., Program]
) -> None:
    write(tmp_path, {"main.py": "print('run'); raise SystemExit(1)"})
    program = start(*WRAPPER, *WRAPPER, "main.py")
    program.line_with("run\n")
    assert "waiting for a change" in program.line()
    write(tmp_path, {"main.py": "print('again'); import os; os._exit(0)"})
    program.line_with("again\n")
    assert program.line() == ""


@pytest.mark.parametrize(
    ("words", "status"), [((), 2), (("--help",), 0), (("--unknown", "x"), 2), (("-m",), 2)]
)
def test_usage(start: Callable[..., Program], words: tuple[str, ...], status: int) -> None:
    program = start(*WRAPPER, *words)
    assert program.line().startswith("Usage: python -m typhoon.autoreload")
    program.out.read()
    assert program.process.wait(TIMEOUT) == status


def test_not_in_forked_processes(tmp_path: Path, start: Callable[..., Program]) -> None:
    program = """
    from typhoon import autoreload, process
    process.fork_processes(1)
    autoreload.start()
    """
    write(tmp_path, {"main.py": program})
    running = start("main.py")
    assert (
        running.line() == "autoreload: not in a forked process; start one process while developing"
    )
    assert running.process.wait(TIMEOUT) == 0


def test_starting_leaves_no_thread_and_no_warning(
    tmp_path: Path, start: Callable[..., Program], way: str
) -> None:
    program = """
    import asyncio, threading
    from typhoon import autoreload
    from typhoon.ioloop import IOLoop
    async def main():
        autoreload.start(10)
        autoreload.start(10)
        await asyncio.sleep(0.05)
        print(threading.active_count() <= 2)
    asyncio.run(main())
    io_loop = IOLoop()
    autoreload.start(10)
    io_loop.run_sync(lambda: asyncio.sleep(0.05))
    io_loop.close()
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join(5)
    print("end")
    """
    write(tmp_path, {"main.py": program})
    running = start("-W", "error", "main.py")
    lines = list(iter(running.line, ""))
    assert lines == ["True", "end"], "\n".join(lines)
    assert running.process.wait(TIMEOUT) == 0
