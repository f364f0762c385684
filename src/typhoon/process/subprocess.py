"""`Subprocess`: a program that is run, with pipes that are streams."""

import os
import subprocess
import threading
from collections.abc import Callable
from subprocess import CalledProcessError
from typing import Any

from typhoon.concurrent import Future
from typhoon.ioloop import IOLoop
from typhoon.iostream import PipeIOStream

__all__ = ["CalledProcessError", "Subprocess"]


class Subprocess:
    """Runs a program: `subprocess.Popen`, with streams for pipes and an exit that can be awaited.

        process = Subprocess(["sort"], stdin=Subprocess.STREAM, stdout=Subprocess.STREAM)
        await process.stdin.write(data)
        process.stdin.close()
        ordered = await process.stdout.read_until_close()
        await process.wait_for_exit()

    The arguments are those of `subprocess.Popen`, and ``stdin``, ``stdout`` and ``stderr`` may be
    `Subprocess.STREAM` as well: the attribute of that name is then a
    `~typhoon.iostream.PipeIOStream`, which is the caller's to close.

    Create it in the thread of the event loop that is to hear of its exit. While that loop runs,
    a process that has exited is reaped at once, whether anybody waits for it or not.

    Raises:
        OSError: The program cannot be started.

    Attributes:
        proc: The `subprocess.Popen` object.
        pid: The process id.
        returncode: The exit status, negative for a signal; None while the process runs.
        stdin: The stream or file to write to, or None, as `subprocess.Popen.stdin`.
        stdout: The stream or file to read from, or None.
        stderr: The stream or file to read from, or None.
        io_loop: The `IOLoop` in which the exit is noticed.
    """

    STREAM = object()
    """For ``stdin``, ``stdout`` or ``stderr``: a pipe, whose end here is a stream."""

    io_loop: IOLoop
    proc: "subprocess.Popen[Any]"
    pid: int
    returncode: int | None
    # What these are depends on the arguments.
    stdin: Any
    stdout: Any
    stderr: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.io_loop = IOLoop.current()
        self.returncode = None
        self._exit_callback: Callable[[int], Any] | None = None
        self._waiters: list[tuple[Future[int], bool]] = []
        streams: dict[str, PipeIOStream] = {}
        theirs: list[int] = []
        try:
            for name in ("stdin", "stdout", "stderr"):
                if kwargs.get(name) is Subprocess.STREAM:
                    readable, writable = os.pipe()
                    ours, kwargs[name] = (
                        (writable, readable) if name == "stdin" else (readable, writable)
                    )
                    theirs.append(kwargs[name])
                    streams[name] = PipeIOStream(ours)
            self.proc = subprocess.Popen(*args, **kwargs)  # noqa: S603
        except BaseException:
            for stream in streams.values():
                stream.close()
            raise
        finally:
            for fd in theirs:
                os.close(fd)
        self.pid = self.proc.pid
        self.stdin = streams.get("stdin", self.proc.stdin)
        self.stdout = streams.get("stdout", self.proc.stdout)
        self.stderr = streams.get("stderr", self.proc.stderr)
        _watch(self)

    def set_exit_callback(self, callback: Callable[[int], None]) -> None:
        """Call `callback` with the exit status, in the event loop, when the process has exited.

        It takes the place of one that was set before. If the process has exited already,
        `callback` is called soon.
        """
        if self.returncode is None:
            self._exit_callback = callback
        else:
            self.io_loop.add_callback(callback, self.returncode)

    def wait_for_exit(self, raise_error: bool = True) -> "Future[int]":
        """Wait until the process has exited.

        Args:
            raise_error: Whether an exit status other than 0 is an error.

        Returns:
            A future of the exit status.

        Raises:
            CalledProcessError: From the future, if `raise_error` and the status is not 0.
        """
        future: Future[int] = self.io_loop.asyncio_loop.create_future()
        if self.returncode is not None:
            self._resolve(future, raise_error)
        else:
            self._waiters.append((future, raise_error))
        return future

    def _resolve(self, future: "Future[int]", raise_error: bool) -> None:
        if future.done():
            return  # the waiting was cancelled
        if raise_error and self.returncode:
            future.set_exception(CalledProcessError(self.returncode, self.proc.args))
        else:
            future.set_result(self.returncode or 0)

    def _exited(self) -> None:
        """Reap the process, which has exited, and tell those who wait."""
        self.returncode = self.proc.wait()
        waiters, self._waiters = self._waiters, []
        for future, raise_error in waiters:
            self._resolve(future, raise_error)
        callback, self._exit_callback = self._exit_callback, None
        if callback is not None:
            self.io_loop.add_callback(callback, self.returncode)

    @classmethod
    def initialize(cls) -> None:
        """Does nothing: each exit is noticed in the event loop of its `Subprocess`.

        Programs call it that chose one event loop to handle SIGCHLD, which is not used.
        """

    @classmethod
    def uninitialize(cls) -> None:
        """Does nothing, as `initialize`."""


def _watch(process: Subprocess) -> None:
    """Let the event loop call `Subprocess._exited` once the process has exited."""
    try:
        watch = _ProcessDescriptor(process)
    except (AttributeError, OSError):
        # No pidfd_open here (macOS, Linux before 5.3, a sandbox), or no descriptor left.
        threading.Thread(
            target=_wait_in_thread, args=(process,), name=f"wait for {process.pid}", daemon=True
        ).start()
    else:
        process.io_loop.asyncio_loop.add_reader(watch.fd, watch.ready)


class _ProcessDescriptor:
    """A descriptor that becomes readable when the process exits (pidfd_open(2)).

    The event loop holds it until then, or until the loop is closed.
    """

    def __init__(self, process: Subprocess) -> None:
        self.process = process
        self.fd = -1
        self.fd = os.pidfd_open(process.pid)

    def ready(self) -> None:
        self.process.io_loop.asyncio_loop.remove_reader(self.fd)
        self.close()
        self.process._exited()

    def close(self) -> None:
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    __del__ = close


def _wait_in_thread(process: Subprocess) -> None:
    process.proc.wait()
    process.io_loop.add_callback(process._exited)
