"""The event loop: asyncio's, with the interface that Tornado's applications use.

There is one `IOLoop` object for each asyncio event loop, and `IOLoop.current` finds it. Code that
is new may use asyncio alone: `asyncio.run` and all that goes with it work just as well.
"""

import asyncio
import datetime
import functools
import inspect
import math
import os
import random
import sys
import threading
import time
import warnings
from collections.abc import Awaitable, Callable
from concurrent import futures
from typing import Any, Final, Literal, Protocol, TypeVar, overload

from typhoon.concurrent import AnyFuture, Future, is_future
from typhoon.log import app_log

__all__ = ["IOLoop", "PeriodicCallback", "TimeoutError"]

_T = TypeVar("_T")

TimeoutError = TimeoutError  # what run_sync raises, importable from here


class _HasFileno(Protocol):
    def fileno(self) -> int: ...


FileDescriptor = int | _HasFileno

_ioloops: Final[dict[asyncio.AbstractEventLoop, "IOLoop"]] = {}
"""The IOLoop of each asyncio loop. Those of closed loops are dropped when the next is added."""

_ioloops_lock: Final = threading.Lock()


def _new_event_loop() -> asyncio.AbstractEventLoop:
    """The fastest event loop that is installed."""
    try:
        if sys.platform == "win32":
            import winloop as uvloop
        else:
            import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def _thread_event_loop() -> asyncio.AbstractEventLoop | None:
    """The loop that `asyncio.set_event_loop` set for this thread, unless it is closed."""
    loop: asyncio.AbstractEventLoop | None = None
    policy: Any = asyncio.get_event_loop_policy() if sys.version_info < (3, 14) else None
    if hasattr(policy, "_local"):
        # Before Python 3.14, get_event_loop() would create a loop where there is none, and warn.
        loop = policy._local._loop
    else:
        try:
            loop = asyncio.get_event_loop()
        except RuntimeError:
            pass
    return None if loop is None or loop.is_closed() else loop


class IOLoop:
    """An event loop: callbacks, timeouts and file descriptors, over an asyncio event loop.

    A program makes its set-up, then calls ``IOLoop.current().start()``:

    .. code-block:: python

        app.listen(8888)
        IOLoop.current().start()

    Args:
        make_current: Whether this becomes the thread's current loop (`current`).
        asyncio_loop: The asyncio loop to build upon. By default a new one: uvloop's where it is
            installed (winloop's on Windows), else asyncio's.

    Raises:
        RuntimeError: `asyncio_loop` has an `IOLoop` already.

    Attributes:
        asyncio_loop: The asyncio event loop below.
    """

    NONE = 0
    READ = 0x001
    WRITE = 0x004
    ERROR = 0x018

    def __init__(
        self,
        make_current: bool = True,
        asyncio_loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.asyncio_loop = asyncio_loop if asyncio_loop is not None else _new_event_loop()
        self._handlers: dict[int, tuple[FileDescriptor, Callable[..., Any]]] = {}
        self._reading: set[int] = set()
        self._writing: set[int] = set()
        with _ioloops_lock:
            for closed in [loop for loop in _ioloops if loop.is_closed()]:
                del _ioloops[closed]
            if self.asyncio_loop in _ioloops:
                raise RuntimeError(f"there is an IOLoop already for {self.asyncio_loop!r}")
            _ioloops[self.asyncio_loop] = self
        if make_current:
            self.make_current()

    # Which loop

    @overload
    @staticmethod
    def current() -> "IOLoop": ...
    @overload
    @staticmethod
    def current(instance: Literal[True]) -> "IOLoop": ...
    @overload
    @staticmethod
    def current(instance: bool = ...) -> "IOLoop | None": ...
    @staticmethod
    def current(instance: bool = True) -> "IOLoop | None":
        """The IOLoop that runs in this thread, else the one that is current.

        Args:
            instance: Whether to create one, and make it current, where there is none. Otherwise
                None is returned.
        """
        try:
            asyncio_loop = asyncio.get_running_loop()
        except RuntimeError:
            thread_loop = _thread_event_loop()
            if thread_loop is None:
                return IOLoop() if instance else None
            asyncio_loop = thread_loop
        ioloop = _ioloops.get(asyncio_loop)
        if ioloop is None and instance:
            ioloop = IOLoop(make_current=False, asyncio_loop=asyncio_loop)
        return ioloop

    @staticmethod
    def instance() -> "IOLoop":
        """An older name of `current`."""
        return IOLoop.current()

    def make_current(self) -> None:
        """Make this the current loop of the thread, for asyncio too."""
        asyncio.set_event_loop(self.asyncio_loop)

    def install(self) -> None:
        """An older name of `make_current`."""
        self.make_current()

    @staticmethod
    def clear_current() -> None:
        """Leave this thread without a current loop. Deprecated."""
        warnings.warn(
            "clear_current is deprecated: use asyncio.set_event_loop(None)",
            DeprecationWarning,
            stacklevel=2,
        )
        asyncio.set_event_loop(None)

    @staticmethod
    def clear_instance() -> None:
        """An older name of `clear_current`. Deprecated."""
        warnings.warn(
            "clear_instance is deprecated: use asyncio.set_event_loop(None)",
            DeprecationWarning,
            stacklevel=2,
        )
        asyncio.set_event_loop(None)

    # Running

    def start(self) -> None:
        """Run until `stop` is called.

        Raises:
            RuntimeError: A loop is running in this thread already.
        """
        self.asyncio_loop.run_forever()

    def stop(self) -> None:
        """Let `start` return after the current turn of the loop.

        If the loop is not running, the next `start` returns after one turn. From another thread
        use ``io_loop.add_callback(io_loop.stop)``.
        """
        self.asyncio_loop.stop()

    def run_sync(self, func: Callable[[], Any], timeout: float | None = None) -> Any:
        """Run `func` in the loop and return its result, or that of what it returns to await.

        Args:
            func: A function or coroutine function without parameters.
            timeout: Seconds after which what `func` returned is cancelled.

        Raises:
            TimeoutError: `timeout` has passed.
            RuntimeError: The loop was stopped before.
            TypeError: `func` returned something that is neither None nor can be awaited.
        """

        async def run() -> Any:
            result = func()
            if result is None:
                return None
            if isinstance(result, futures.Future):
                result = asyncio.wrap_future(result)
            if not inspect.isawaitable(result):
                raise TypeError(f"run_sync: {func!r} returned {result!r}, which cannot be awaited")
            async with asyncio.timeout(timeout):
                return await result

        return self.asyncio_loop.run_until_complete(run())

    def close(self, all_fds: bool = False) -> None:
        """Free what the loop holds; it cannot be used again.

        Args:
            all_fds: Whether to close the file descriptors of all handlers as well.

        Raises:
            RuntimeError: The loop is running.
        """
        if self.asyncio_loop.is_running():
            raise RuntimeError("cannot close an IOLoop that is running: stop it first")
        for fd, (file, _) in list(self._handlers.items()):
            self.remove_handler(fd)
            if all_fds:
                self.close_fd(file)
        with _ioloops_lock:
            _ioloops.pop(self.asyncio_loop, None)
        is_current = _thread_event_loop() is self.asyncio_loop
        self.asyncio_loop.close()
        if is_current:
            asyncio.set_event_loop(None)

    # Callbacks and futures

    def add_callback(self, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Call `callback` in the next turn of the loop. Safe from every thread.

        An exception that it raises, or that the awaitable it returns comes to, is logged. Once
        the loop is closed, callbacks are dropped.
        """
        try:
            same_thread = asyncio.get_running_loop() is self.asyncio_loop
        except RuntimeError:
            same_thread = False
        call_soon = (
            self.asyncio_loop.call_soon if same_thread else self.asyncio_loop.call_soon_threadsafe
        )
        try:
            call_soon(self._run_callback, functools.partial(callback, *args, **kwargs))
        except RuntimeError:
            if not self.asyncio_loop.is_closed():
                raise

    def spawn_callback(self, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Call `callback`, often a coroutine function, that nobody waits for."""
        self.add_callback(callback, *args, **kwargs)

    def add_callback_from_signal(
        self, callback: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> None:
        """Call `callback` in the next turn; safe in a handler set by `signal.signal`. Deprecated.

        Use `asyncio.loop.add_signal_handler` instead.
        """
        warnings.warn(
            "add_callback_from_signal is deprecated: use asyncio's loop.add_signal_handler",
            DeprecationWarning,
            stacklevel=2,
        )
        # The thread-safe call wakes the loop, which a signal in the middle of its wait does not.
        try:
            self.asyncio_loop.call_soon_threadsafe(
                self._run_callback, functools.partial(callback, *args, **kwargs)
            )
        except RuntimeError:
            if not self.asyncio_loop.is_closed():
                raise

    def add_future(self, future: AnyFuture[_T], callback: Callable[[Any], None]) -> None:
        """Call `callback` with `future`, in this loop, when it is done.

        Raises:
            TypeError: `future` is no future.
        """
        if isinstance(future, Future) and future.get_loop() is self.asyncio_loop:
            future.add_done_callback(
                lambda done: self._run_callback(functools.partial(callback, done))
            )
        elif is_future(future):
            future.add_done_callback(lambda done: self.add_callback(callback, done))
        else:
            raise TypeError(f"add_future: {future!r} is no future")

    def _run_callback(self, callback: Callable[[], Any]) -> None:
        """Call `callback` and see to what it raises or returns."""
        try:
            result = callback()
            if result is not None:
                if inspect.isawaitable(result):
                    result = asyncio.ensure_future(result, loop=self.asyncio_loop)
                if is_future(result):
                    self.add_future(result, lambda done: self._log_outcome(callback, done))
        except asyncio.CancelledError:
            pass
        except Exception:
            app_log.error("Exception in callback %r", callback, exc_info=True)

    def _log_outcome(self, callback: Callable[[], Any], future: AnyFuture[Any]) -> None:
        if not future.cancelled() and (error := future.exception()) is not None:
            app_log.error("Exception in callback %r", callback, exc_info=error)

    # Time

    def time(self) -> float:
        """The time in seconds by the clock of `add_timeout` and `call_at`: that of `time.time`."""
        return time.time()

    def add_timeout(
        self,
        deadline: float | datetime.timedelta,
        callback: Callable[..., Any],
        *args: Any,
        **kwargs: Any,
    ) -> object:
        """Call `callback` at a time, or after a `datetime.timedelta`; see `call_at`.

        Raises:
            TypeError: `deadline` is neither.
        """
        if isinstance(deadline, int | float):
            return self.call_at(deadline, callback, *args, **kwargs)
        if isinstance(deadline, datetime.timedelta):
            return self.call_later(deadline.total_seconds(), callback, *args, **kwargs)
        raise TypeError(f"the deadline {deadline!r} is neither a number nor a timedelta")

    def call_at(
        self, when: float, callback: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> object:
        """Call `callback` at `when`, in seconds on the clock of `time`.

        Returns a handle for `remove_timeout`. Not thread-safe.
        """
        return self.call_later(when - self.time(), callback, *args, **kwargs)

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> object:
        """Call `callback` after `delay` seconds; otherwise as `call_at`."""
        return self.asyncio_loop.call_later(
            max(0, delay), self._run_callback, functools.partial(callback, *args, **kwargs)
        )

    def remove_timeout(self, timeout: object) -> None:
        """Cancel a timeout. Nothing happens if it has been called or removed already."""
        timeout.cancel()  # type: ignore[attr-defined]

    # File descriptors

    def add_handler(
        self, fd: FileDescriptor, handler: Callable[[Any, int], Any], events: int
    ) -> None:
        """Call ``handler(fd, events)`` whenever `fd` is ready.

        Args:
            fd: A file descriptor, or an object with ``fileno()`` (and ``close()``); the handler
                is given the same.
            handler: The function to call.
            events: `READ`, `WRITE` or both. Errors are reported as readiness.

        Raises:
            ValueError: There is a handler for this descriptor already.
        """
        number, file = self.split_fd(fd)
        if number in self._handlers:
            raise ValueError(f"the file descriptor {number} has a handler already")
        self._handlers[number] = (file, handler)
        try:
            self._watch(number, events)
        except BaseException:
            self.remove_handler(number)
            raise

    def update_handler(self, fd: FileDescriptor, events: int) -> None:
        """Change the events that the handler of `fd` is called for.

        Raises:
            ValueError: There is no handler for this descriptor.
        """
        number, _ = self.split_fd(fd)
        if number not in self._handlers:
            raise ValueError(f"the file descriptor {number} has no handler")
        self._watch(number, events)

    def remove_handler(self, fd: FileDescriptor) -> None:
        """Stop calling the handler of `fd`. Nothing happens if there is none."""
        number, _ = self.split_fd(fd)
        if self._handlers.pop(number, None) is not None:
            self._watch(number, self.NONE)

    def _watch(self, fd: int, events: int) -> None:
        """Let asyncio look for just these events on `fd`."""
        loop = self.asyncio_loop
        for event, watched, add, remove in (
            (self.READ, self._reading, loop.add_reader, loop.remove_reader),
            (self.WRITE, self._writing, loop.add_writer, loop.remove_writer),
        ):
            if events & event and fd not in watched:
                add(fd, self._handle_event, fd, event)
                watched.add(fd)
            elif not events & event and fd in watched:
                watched.discard(fd)
                remove(fd)

    def _handle_event(self, fd: int, event: int) -> None:
        file, handler = self._handlers[fd]
        self._run_callback(functools.partial(handler, file, event))

    def split_fd(self, fd: FileDescriptor) -> tuple[int, FileDescriptor]:
        """The number of a descriptor, and what was given for it."""
        return (fd, fd) if isinstance(fd, int) else (fd.fileno(), fd)

    def close_fd(self, fd: FileDescriptor) -> None:
        """Close a descriptor, or the object that stands for it. Errors are ignored."""
        try:
            if isinstance(fd, int):
                os.close(fd)
            else:
                fd.close()  # type: ignore[attr-defined]
        except OSError:
            pass

    # Threads

    def run_in_executor(
        self, executor: futures.Executor | None, func: Callable[..., _T], *args: Any
    ) -> Awaitable[_T]:
        """Call `func` on `executor` and return a future; None is the default executor."""
        return self.asyncio_loop.run_in_executor(executor, func, *args)

    def set_default_executor(self, executor: futures.Executor) -> None:
        """Choose what `run_in_executor` uses by default: a `ThreadPoolExecutor`."""
        self.asyncio_loop.set_default_executor(executor)


class PeriodicCallback:
    """Calls a function again and again, on the schedule set by its first start.

    A call that comes due while the one before is running, coroutines included, is left out. What
    it raises is logged, and the calls go on.

    Args:
        callback: A function or coroutine function without parameters.
        callback_time: The time between calls, in milliseconds or as a `datetime.timedelta`.
        jitter: The part of `callback_time` by which each interval varies at random: with 0.1,
            between 95 and 105 per cent.

    Raises:
        ValueError: `callback_time` is not positive.
    """

    def __init__(
        self,
        callback: Callable[[], Any],
        callback_time: datetime.timedelta | float,
        jitter: float = 0,
    ) -> None:
        self.callback = callback
        if isinstance(callback_time, datetime.timedelta):
            callback_time = callback_time / datetime.timedelta(milliseconds=1)
        if callback_time <= 0:
            raise ValueError("Periodic callback must have a positive callback_time")
        self.callback_time: float = callback_time
        self.jitter = jitter
        self.io_loop: IOLoop | None = None
        self._running = False
        self._timeout: object | None = None
        self._next_timeout = 0.0

    def start(self) -> None:
        """Make the first call after one interval, in the current loop."""
        if self._running:
            return
        self.io_loop = IOLoop.current()
        self._running = True
        self._next_timeout = self.io_loop.time()
        self._schedule_next()

    def stop(self) -> None:
        """Make no more calls; one that is running is not disturbed."""
        self._running = False
        if self._timeout is not None and self.io_loop is not None:
            self.io_loop.remove_timeout(self._timeout)
            self._timeout = None

    def is_running(self) -> bool:
        """Whether it has been started, and not stopped since."""
        return self._running

    def _run(self) -> None:
        self._timeout = None
        try:
            result = self.callback()
            if inspect.isawaitable(result):
                asyncio.ensure_future(result).add_done_callback(self._finished)
                return
        except Exception:
            app_log.error("Exception in callback %r", self.callback, exc_info=True)
        self._schedule_next()

    def _finished(self, future: "Future[Any]") -> None:
        if not future.cancelled() and (error := future.exception()) is not None:
            app_log.error("Exception in callback %r", self.callback, exc_info=error)
        self._schedule_next()

    def _schedule_next(self) -> None:
        # A restart while a coroutine was running has scheduled the next call already.
        if self._running and self._timeout is None and self.io_loop is not None:
            self._update_next(self.io_loop.time())
            self._timeout = self.io_loop.add_timeout(self._next_timeout, self._run)

    def _update_next(self, now: float) -> None:
        """Move the next call past `now`, by whole intervals, so as to stay on schedule."""
        interval = self.callback_time / 1000
        if self.jitter:
            interval *= 1 + self.jitter * (random.random() - 0.5)
        missed = max(0, math.floor((now - self._next_timeout) / interval))  # 0: clock set back
        self._next_timeout += (missed + 1) * interval
