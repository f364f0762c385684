"""The event loop, made of asyncio's."""

import asyncio
import functools
import inspect
import warnings
from collections.abc import Awaitable, Callable
from concurrent import futures
from typing import Any, TypeVar

from typhoon.concurrent import AnyFuture, Future, is_future
from typhoon.ioloop.ending import finish
from typhoon.ioloop.interface import IOLoop
from typhoon.ioloop.registry import new_event_loop, register, thread_event_loop, unregister
from typhoon.ioloop.selector_thread import AddThreadSelectorEventLoop, FileDescriptor
from typhoon.legacy.stack_context import handle_exception
from typhoon.log import app_log

__all__ = ["AsyncIOLoop", "AsyncIOMainLoop", "BaseAsyncIOLoop"]

_T = TypeVar("_T")


class BaseAsyncIOLoop(IOLoop):
    """What every `.IOLoop` on an asyncio loop shares.

    Args:
        asyncio_loop: The asyncio loop to build upon.
        make_current: Whether it becomes the thread's current loop.
    """

    handlers: dict[int, tuple[FileDescriptor, Callable[..., Any]]]
    """By file descriptor: what was given for it, and its handler."""
    readers: set[int]
    """The file descriptors watched for reading."""
    writers: set[int]
    """The file descriptors watched for writing."""
    closing: bool
    """Whether `close` has been called."""

    def initialize(  # type: ignore[override]
        self, asyncio_loop: asyncio.AbstractEventLoop, **kwargs: Any
    ) -> None:
        """Build upon `asyncio_loop`; the other arguments are those of `.IOLoop`."""
        self.asyncio_loop = asyncio_loop
        self.selector_loop = asyncio_loop
        if isinstance(asyncio_loop, getattr(asyncio, "ProactorEventLoop", ())):  # Windows
            self.selector_loop = AddThreadSelectorEventLoop(  # type: ignore[abstract]
                asyncio_loop
            )
        self.handlers = {}
        self.readers = set()
        self.writers = set()
        self.closing = False
        self._tasks: set[Future[Any]] = set()  # asyncio keeps only weak references to its own
        register(asyncio_loop, self)
        super().initialize(**kwargs)

    # Running

    def start(self) -> None:
        self.asyncio_loop.run_forever()

    def stop(self) -> None:
        self.asyncio_loop.stop()

    def close(self, all_fds: bool = False) -> None:
        if self.asyncio_loop.is_running():
            raise RuntimeError("cannot close an IOLoop that is running: stop it first")
        finish(self)
        self.closing = True
        for fd, (file, _) in list(self.handlers.items()):
            self.remove_handler(fd)
            if all_fds:
                self.close_fd(file)
        unregister(self.asyncio_loop)
        is_current = thread_event_loop() is self.asyncio_loop
        self.selector_loop.close()
        if is_current:
            asyncio.set_event_loop(None)

    # Callbacks and futures

    def add_callback(self, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
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

    def add_callback_from_signal(
        self, callback: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> None:
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
                    self._tasks.add(result)
                    result.add_done_callback(self._tasks.discard)
                if is_future(result):
                    self.add_future(result, lambda done: self._log_outcome(callback, done))
        except asyncio.CancelledError:
            pass
        except Exception as error:
            if not handle_exception(error):
                app_log.error("Exception in callback %r", callback, exc_info=True)

    def _log_outcome(self, callback: Callable[[], Any], future: AnyFuture[Any]) -> None:
        if not future.cancelled() and (error := future.exception()) is not None:
            app_log.error("Exception in callback %r", callback, exc_info=error)

    # Time

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> object:
        return self.asyncio_loop.call_later(
            max(0, delay), self._run_callback, functools.partial(callback, *args, **kwargs)
        )

    def remove_timeout(self, timeout: object) -> None:
        timeout.cancel()  # type: ignore[attr-defined]

    # File descriptors

    def add_handler(
        self, fd: FileDescriptor, handler: Callable[[Any, int], Any], events: int
    ) -> None:
        number, file = self.split_fd(fd)
        if number in self.handlers:
            raise ValueError(f"the file descriptor {number} has a handler already")
        self.handlers[number] = (file, handler)
        try:
            self._watch(number, events)
        except BaseException:
            self.remove_handler(number)
            raise

    def update_handler(self, fd: FileDescriptor, events: int) -> None:
        number, _ = self.split_fd(fd)
        if number not in self.handlers:
            raise ValueError(f"the file descriptor {number} has no handler")
        self._watch(number, events)

    def remove_handler(self, fd: FileDescriptor) -> None:
        number, _ = self.split_fd(fd)
        if self.handlers.pop(number, None) is not None:
            self._watch(number, self.NONE)

    def _watch(self, fd: int, events: int) -> None:
        """Let asyncio look for just these events on `fd`."""
        loop = self.selector_loop
        for event, watched, add, remove in (
            (self.READ, self.readers, loop.add_reader, loop.remove_reader),
            (self.WRITE, self.writers, loop.add_writer, loop.remove_writer),
        ):
            if events & event and fd not in watched:
                add(fd, self._handle_event, fd, event)
                watched.add(fd)
            elif not events & event and fd in watched:
                watched.discard(fd)
                if not self.asyncio_loop.is_closed():
                    remove(fd)

    def _handle_event(self, fd: int, event: int) -> None:
        file, handler = self.handlers[fd]
        self._run_callback(functools.partial(handler, file, event))

    # Threads

    def run_in_executor(
        self, executor: futures.Executor | None, func: Callable[..., _T], *args: Any
    ) -> Awaitable[_T]:
        return self.asyncio_loop.run_in_executor(executor, func, *args)

    def set_default_executor(self, executor: futures.Executor) -> None:
        self.asyncio_loop.set_default_executor(executor)


class AsyncIOMainLoop(BaseAsyncIOLoop):
    """The `.IOLoop` of an asyncio loop that exists: the one that runs, or is this thread's.

    `.IOLoop.current` makes it where it is needed. Where a thread has no asyncio loop, it gets one.
    """

    def initialize(self, **kwargs: Any) -> None:  # type: ignore[override]
        """Build upon this thread's asyncio loop, unless `asyncio_loop` is given."""
        if kwargs.get("asyncio_loop") is None:
            try:
                kwargs["asyncio_loop"] = asyncio.get_running_loop()
            except RuntimeError:
                kwargs["asyncio_loop"] = thread_event_loop() or new_event_loop()
        super().initialize(**kwargs)


class AsyncIOLoop(BaseAsyncIOLoop):
    """The `.IOLoop` of a new asyncio loop, or of one that is passed as `asyncio_loop`.

    While it is the thread's current loop it stands in for the one that was so before, which is
    put back when it is closed.
    """

    old_asyncio: asyncio.AbstractEventLoop | None
    """The asyncio loop that was the thread's before `make_current`, or None."""

    def initialize(self, **kwargs: Any) -> None:  # type: ignore[override]
        """Build upon a new asyncio loop, unless `asyncio_loop` is given."""
        self.old_asyncio = None
        own = None
        if kwargs.get("asyncio_loop") is None:
            own = kwargs["asyncio_loop"] = new_event_loop()
        try:
            super().initialize(**kwargs)
        except BaseException:
            if own is not None:
                own.close()
            raise

    @property
    def is_current(self) -> bool:
        """Whether this is the current loop of the calling thread."""
        return thread_event_loop() is self.asyncio_loop

    def make_current(self) -> None:
        if not self.is_current:
            self.old_asyncio = thread_event_loop()
        super().make_current()

    def close(self, all_fds: bool = False) -> None:
        was_current = self.is_current
        super().close(all_fds)
        old, self.old_asyncio = self.old_asyncio, None
        if was_current and old is not None and not old.is_closed():
            asyncio.set_event_loop(old)
