"""Several processes: forking workers that share listening sockets.

The parent supervises. Its children do the work: each begins where `fork_processes` returns.
"""

import asyncio
import os
import signal
import sys
import threading
from types import FrameType
from typing import Any, Final

from typhoon.ioloop.registry import is_loop_running
from typhoon.log import gen_log

__all__ = ["cpu_count", "fork_processes", "task_id"]

_task_id: int | None = None

_FORWARDED: Final = frozenset({signal.SIGTERM, signal.SIGINT})
"""The signals that ask the parent to stop, and through it its children."""

_MAX_RESTARTS: Final = 100


def cpu_count() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def task_id() -> int | None:
    """The number of this child, as `fork_processes` returned it; None in any other process."""
    return _task_id


def fork_processes(num_processes: int | None, max_restarts: int | None = None) -> int:
    """Start worker processes, and restart those that exit abnormally.

    Returns in the children alone. The parent waits for them and then raises `SystemExit` with
    status 0, when all have exited normally. A SIGTERM or SIGINT to the parent is passed on to the
    children, none of which is restarted then; when they are gone, and did not all exit normally,
    the signal takes its usual course in the parent.

    Call it before an event loop runs; what the children share, such as sockets, is opened before.
    The children have no current event loop, whether the parent had one or not.

    Args:
        num_processes: How many; None or 0 for one on each processor (`cpu_count`).
        max_restarts: How many restarts to make in all; 100 by default.

    Returns:
        The child's number, from 0 to ``num_processes - 1``. One that replaces a child has the same.

    Raises:
        RuntimeError: In the parent, there were too many restarts (the other children are stopped
            first). Or: this is a child already, an event loop is running, this is not the main
            thread, or the platform cannot fork.
    """
    if not hasattr(os, "fork"):
        raise RuntimeError(
            "fork_processes: this platform cannot fork; start the program repeatedly"
        )
    if _task_id is not None:
        raise RuntimeError(f"fork_processes: this is child {_task_id} of another call already")
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("fork_processes must be called in the main thread")
    if is_loop_running():
        raise RuntimeError("fork_processes must be called before the event loop runs")
    if not num_processes or num_processes < 0:
        num_processes = cpu_count()
    gen_log.info("Starting %d processes", num_processes)
    supervisor = _Supervisor(_MAX_RESTARTS if max_restarts is None else max_restarts)
    return supervisor.run(num_processes)


class _Supervisor:
    """The parent of one `fork_processes` call."""

    def __init__(self, max_restarts: int) -> None:
        self._restarts_left = max_restarts
        self._children: dict[int, int] = {}  # their numbers by process id
        self._stopped_normally = True
        self._stopping: signal.Signals | None = None
        self._handlers: dict[signal.Signals, Any] = {}

    def run(self, num_processes: int) -> int:
        """Start and supervise the children; returns in each child."""
        for number in _FORWARDED:
            self._handlers[number] = signal.signal(number, self._pass_on)
        try:
            for child in range(num_processes):
                if self._fork(child):
                    return child
            while self._children:
                failed = self._wait()
                if failed is not None and self._fork(failed):
                    return failed
        except BaseException:
            self._stop_children()
            raise
        finally:
            if _task_id is None:
                self._restore_handlers()
        if self._stopping is not None and not self._stopped_normally:
            signal.raise_signal(self._stopping)
        sys.exit(0)

    def _fork(self, child: int) -> bool:
        """Fork; True in the child. No signal is lost between, whichever side it is sent to."""
        global _task_id
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()  # or each child would print it again
        previous = signal.pthread_sigmask(signal.SIG_BLOCK, _FORWARDED)
        try:
            if self._stopping is not None:
                return False
            pid = os.fork()
            if pid:
                self._children[pid] = child
                return False
            _task_id = child
            self._children.clear()
            self._restore_handlers()
            asyncio.set_event_loop(None)  # the parent's is no use here: its descriptors are shared
            return True
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, previous)

    def _wait(self) -> int | None:
        """Wait for a child to exit; its number if it is to be restarted."""
        pid, status = os.wait()
        child = self._children.pop(pid, None)
        if child is None:
            return None  # a process that somebody else started
        code = os.waitstatus_to_exitcode(status)
        if code == 0:
            gen_log.info("child %d (pid %d) exited normally", child, pid)
            return None
        outcome = f"killed by signal {-code}" if code < 0 else f"exited with status {code}"
        if self._stopping is not None:
            self._stopped_normally = False
            gen_log.warning("child %d (pid %d) %s", child, pid, outcome)
            return None
        gen_log.warning("child %d (pid %d) %s, restarting", child, pid, outcome)
        if self._restarts_left <= 0:
            raise RuntimeError("Too many child restarts, giving up")
        self._restarts_left -= 1
        return child

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        """The handler of the parent: let the children stop."""
        first = self._stopping is None
        self._stopping = signal.Signals(number)
        # A terminal's Ctrl-C reaches every process by itself; twice would cut short a clean exit.
        if number == signal.SIGINT and first and _in_foreground():
            return
        self._send(number)

    def _send(self, number: int) -> None:
        for pid in list(self._children):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def _stop_children(self) -> None:
        self._stopping = self._stopping or signal.SIGTERM
        self._send(signal.SIGTERM)
        while self._children:
            self._wait()

    def _restore_handlers(self) -> None:
        for number, handler in self._handlers.items():
            # None is a handler that was not set from Python, and cannot be set again.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _in_foreground() -> bool:
    """Whether the terminal, if there is one, sends its signals to this process group."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
