"""Forking: each test runs a program of its own, for a test process has threads."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from typhoon.process import cpu_count, task_id

PRELUDE = """
import asyncio, logging, os, random, signal, sys, time
from typhoon.process import fork_processes, task_id
logging.basicConfig(level="INFO", format="%(name)s %(levelname)s %(message)s")
signal.alarm(30)
def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())
"""


@contextlib.contextmanager
def started(program: str) -> Iterator["subprocess.Popen[str]"]:
    """The program in a session of its own, of which nothing is left afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-Werror", "-c", PRELUDE + program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def outcome(program: str) -> tuple[int, list[str], list[str]]:
    """Exit status, sorted lines of output, and log of a program that ends by itself."""
    with started(program) as process:
        out, log = process.communicate(timeout=30)
    return process.returncode, sorted(out.splitlines()), log.splitlines()


def read_lines(process: "subprocess.Popen[str]", count: int) -> list[str]:
    assert process.stdout is not None
    return sorted(process.stdout.readline().rstrip() for _ in range(count))


def test_cpu_count() -> None:
    count = cpu_count()
    assert 1 <= count <= (os.cpu_count() or 1)


def test_task_id_of_a_process_that_was_not_forked() -> None:
    assert task_id() is None


def test_each_child_has_a_number_and_the_parent_exits_after_them() -> None:
    status, lines, log = outcome("say(fork_processes(3), task_id())")
    assert status == 0
    assert lines == ["0 0", "1 1", "2 2"]
    assert log[0] == "typhoon.general INFO Starting 3 processes"
    normal = re.compile(r"typhoon.general INFO child [012] \(pid \d+\) exited normally")
    assert len(log) == 4
    assert all(normal.fullmatch(line) for line in log[1:])


@pytest.mark.parametrize("number", ["None", "0", "-1"])
def test_one_process_for_each_processor(number: str) -> None:
    status, lines, _ = outcome(f"say(fork_processes({number}))")
    assert status == 0
    assert lines == [str(number) for number in range(cpu_count())]


def test_the_parent_ends_with_system_exit() -> None:
    program = """
try:
    fork_processes(1)
except SystemExit as exit:
    say("parent", exit.code, task_id())
else:
    say("child")
"""
    assert outcome(program)[:2] == (0, ["child", "parent 0 None"])


def test_buffered_output_is_not_repeated_by_the_children() -> None:
    assert outcome("print('once'); fork_processes(2)")[:2] == (0, ["once"])


def test_a_child_that_fails_is_restarted_under_its_number(tmp_path: Path) -> None:
    program = f"""
number = fork_processes(2)
say("started", number)
if number == 1:
    for marker, end in (("a", lambda: os._exit(3)), ("b", lambda: os.kill(os.getpid(), 9))):
        marker = os.path.join({str(tmp_path)!r}, marker)
        if not os.path.exists(marker):
            open(marker, "w").close()
            end()
"""
    status, lines, log = outcome(program)
    assert status == 0
    assert lines == ["started 0", "started 1", "started 1", "started 1"]
    warnings = [line for line in log if " WARNING " in line]
    assert re.search(r"child 1 \(pid \d+\) exited with status 3, restarting$", warnings[0])
    assert re.search(r"child 1 \(pid \d+\) killed by signal 9, restarting$", warnings[1])


@pytest.mark.parametrize(("limit", "starts"), [(0, 1), (2, 3)])
def test_too_many_restarts_end_the_parent_and_the_other_children(limit: int, starts: int) -> None:
    program = f"""
try:
    number = fork_processes(2, max_restarts={limit})
except RuntimeError as error:
    say(error)
    os._exit(7)
if number == 0:
    say("failing")
    os._exit(1)
signal.pause()
"""
    with started(program) as process:
        out, log = process.communicate(timeout=30)  # returns when no child has its end open
    assert process.returncode == 7
    assert out.count("failing") == starts
    assert "Too many child restarts, giving up" in out
    assert "child 1" in log


WAITING = """
number = fork_processes(2)
try:
    say("ready", number)
    signal.pause()
except KeyboardInterrupt:
    say("interrupted")
    os._exit(1)
"""

GRACEFUL = """
def stop(number, frame):
    say("stopped by", number)
    sys.exit(0)
number = fork_processes(2)
for name in (signal.SIGTERM, signal.SIGINT):
    signal.signal(name, stop)
say("ready", number)
signal.pause()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_parent_stops_its_children_in_good_order(number: signal.Signals) -> None:
    with started(GRACEFUL) as process:
        assert read_lines(process, 2) == ["ready 0", "ready 1"]
        process.send_signal(number)
        out, log = process.communicate(timeout=30)
    assert process.returncode == 0
    assert out.splitlines() == [f"stopped by {number.value}"] * 2
    assert "restarting" not in log


def test_a_signal_that_kills_the_children_kills_the_parent() -> None:
    with started(WAITING) as process:
        assert read_lines(process, 2) == ["ready 0", "ready 1"]
        process.terminate()
        out, log = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGTERM
    assert out == ""
    assert log.count("killed by signal 15") == 2
    assert "restarting" not in log


def test_an_interrupt_is_raised_in_the_parent_too() -> None:
    with started(WAITING) as process:
        assert read_lines(process, 2) == ["ready 0", "ready 1"]
        process.send_signal(signal.SIGINT)
        out, log = process.communicate(timeout=30)
    assert out.splitlines() == ["interrupted"] * 2
    assert process.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in log


@pytest.mark.skipif(sys.platform != "linux", reason="takes a terminal in Linux's way")
def test_a_terminals_interrupt_reaches_each_child_once() -> None:
    master, slave = os.openpty()
    program = f"""
os.open({os.ttyname(slave)!r}, os.O_RDWR)  # becomes the terminal of this session
def stop(number, frame):
    say("stopped")
    time.sleep(0.2)  # a second signal would be seen
    os._exit(0)
number = fork_processes(2)
signal.signal(signal.SIGINT, stop)
say("ready")
signal.pause()
"""
    try:
        with started(program) as process:
            assert read_lines(process, 2) == ["ready"] * 2
            os.write(master, b"\x03")
            out, _ = process.communicate(timeout=30)
    finally:
        os.close(master)
        os.close(slave)
    assert process.returncode == 0
    assert out.splitlines() == ["stopped"] * 2


def test_signals_to_one_child_do_not_reach_the_others(tmp_path: Path) -> None:
    program = """
number = fork_processes(2)
say(os.getpid())
signal.pause()
"""
    with started(program) as process:
        victim = int(read_lines(process, 2)[0])
        os.kill(victim, signal.SIGTERM)
        (replacement,) = map(int, read_lines(process, 1))
        assert replacement != victim
        process.terminate()
        _, log = process.communicate(timeout=30)
    assert log.count("killed by signal 15, restarting") == 1


def test_the_handlers_of_the_program_are_kept_in_the_children() -> None:
    program = """
def mine(*_): pass
signal.signal(signal.SIGTERM, mine)
fork_processes(1)
say(signal.getsignal(signal.SIGTERM) is mine, signal.getsignal(signal.SIGINT).__name__)
say(signal.pthread_sigmask(signal.SIG_BLOCK, []))
"""
    assert outcome(program)[:2] == (0, ["True default_int_handler", "set()"])


def test_the_children_have_loops_of_their_own() -> None:
    program = """
from typhoon.ioloop import IOLoop
parents = IOLoop.current()
fork_processes(2)
assert IOLoop.current() is not parents
assert IOLoop.current(instance=False).run_sync(lambda: asyncio.sleep(0, 42)) == 42
say("ran")
IOLoop.current().close()
os._exit(0)
"""
    status, lines, log = outcome(program)
    assert (status, lines) == (0, ["ran", "ran"]), log


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("async def main(): fork_processes(2)\nasyncio.run(main())", "before the event loop runs"),
        ("fork_processes(1)\nfork_processes(1)", "this is child 0 of another call already"),
        (
            "from concurrent.futures import ThreadPoolExecutor\n"
            "ThreadPoolExecutor().submit(fork_processes, 1).result()",
            "must be called in the main thread",
        ),
        ("del os.fork\nfork_processes(1)", "this platform cannot fork"),
    ],
)
def test_where_it_cannot_fork_it_says_why(program: str, message: str) -> None:
    with started(program + "\nsay('forked')") as process:
        # A child that fails would be restarted a hundred times: look at the first failure only.
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("RuntimeError"):
                assert message in line
                break
        else:
            pytest.fail("no error")
