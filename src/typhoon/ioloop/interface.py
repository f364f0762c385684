"""The interface of the event loop, and what does not depend on how it is made."""

import asyncio
import datetime
import os
import time
import warnings
from collections.abc import Awaitable, Callable
from concurrent import futures
from typing import Any, ClassVar, Literal, TypeVar, overload

from typhoon.concurrent import AnyFuture
from typhoon.gen import convert_yielded
from typhoon.ioloop.registry import ioloops, thread_event_loop
from typhoon.ioloop.selector_thread import FileDescriptor
from typhoon.util import Configurable, import_object

_T = TypeVar("_T")


class IOLoop(Configurable):
    """An event loop: callbacks, timeouts and file descriptors, over an asyncio event loop.

    A program makes its set-up, then calls ``IOLoop.current().start()``:

    .. code-block:: python

        app.listen(8888)
        IOLoop.current().start()

    Calling the class makes an `.AsyncIOLoop`.

    Args:
        make_current: Whether this becomes the thread's current loop (`current`).
        asyncio_loop: The asyncio loop to build upon. By default a new one: uvloop's where it is
            installed (winloop's on Windows), else asyncio's.

    Raises:
        RuntimeError: `asyncio_loop` has an `IOLoop` already.
    """

    NONE: ClassVar[int] = 0
    READ: ClassVar[int] = 0x001
    WRITE: ClassVar[int] = 0x004
    ERROR: ClassVar[int] = 0x018

    asyncio_loop: asyncio.AbstractEventLoop
    """The asyncio event loop below."""
    selector_loop: asyncio.AbstractEventLoop
    """The loop that watches file descriptors: `asyncio_loop`, or what adds that to it."""

    def initialize(self, make_current: bool = True) -> None:
        """Make this the current loop of the thread, if `make_current`."""
        if make_current:
            self.make_current()

    # Which class

    @classmethod
    def configurable_base(cls) -> type[Configurable]:
        """`IOLoop`."""
        return IOLoop

    @classmethod
    def configurable_default(cls) -> type[Configurable]:
        """`.AsyncIOLoop`."""
        from typhoon.ioloop.asyncio_loop import AsyncIOLoop

        return AsyncIOLoop

    @classmethod
    def configure(cls, impl: "str | type[Configurable] | None", **kwargs: Any) -> None:
        """Choose the class that calling `IOLoop` makes an instance of.

        Args:
            impl: A subclass of `.BaseAsyncIOLoop` or its dotted name; None for `.AsyncIOLoop`.
            **kwargs: Arguments that each instance gets.

        Raises:
            RuntimeError: `impl` is a class that does not build on asyncio.
        """
        from typhoon.ioloop.asyncio_loop import BaseAsyncIOLoop

        if isinstance(impl, str):
            impl = import_object(impl)
        if isinstance(impl, type) and not issubclass(impl, BaseAsyncIOLoop):
            raise RuntimeError(
                f"{impl!r} is no event loop on asyncio:"
                " derive it from typhoon.platform.asyncio.BaseAsyncIOLoop"
            )
        super().configure(impl, **kwargs)

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
        asyncio_loop: asyncio.AbstractEventLoop | None
        try:
            asyncio_loop = asyncio.get_running_loop()
        except RuntimeError:
            asyncio_loop = thread_event_loop()
        ioloop = ioloops.get(asyncio_loop) if asyncio_loop is not None else None
        if ioloop is None and instance:
            from typhoon.ioloop.asyncio_loop import AsyncIOMainLoop

            ioloop = AsyncIOMainLoop(make_current=asyncio_loop is None)
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
        raise NotImplementedError

    def stop(self) -> None:
        """Let `start` return after the current turn of the loop.

        If the loop is not running, the next `start` returns after one turn. From another thread
        use ``io_loop.add_callback(io_loop.stop)``.
        """
        raise NotImplementedError

    def run_sync(self, func: Callable[[], Any], timeout: float | None = None) -> Any:
        """Run `func` in the loop and return its result, or that of what it returns to await.

        .. code-block:: python

            async def main() -> None:
                ...

            IOLoop.current().run_sync(main)

        Args:
            func: A function or coroutine function without parameters.
            timeout: Seconds after which what `func` returned is cancelled.

        Raises:
            TimeoutError: `timeout` has passed.
            RuntimeError: The loop was stopped before.
            typhoon.gen.BadYieldError: `func` returned something that is neither None nor can be
                awaited or yielded.
        """

        async def run() -> Any:
            result = func()
            if result is None:
                return None
            if not asyncio.iscoroutine(result):
                result = convert_yielded(result)
                if isinstance(result, futures.Future):
                    result = asyncio.wrap_future(result)
            try:
                async with asyncio.timeout(timeout) as deadline:
                    return await result
            except TimeoutError:
                if not deadline.expired():  # what was awaited raised it
                    raise
                raise TimeoutError(f"Operation timed out after {timeout} seconds") from None

        return self.asyncio_loop.run_until_complete(run())

    def close(self, all_fds: bool = False) -> None:
        """Free what the loop holds; it cannot be used again.

        Args:
            all_fds: Whether to close the file descriptors of all handlers as well.

        Raises:
            RuntimeError: The loop is running.
        """
        raise NotImplementedError

    # Callbacks and futures

    def add_callback(self, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Call `callback` in the next turn of the loop. Safe from every thread.

        An exception that it raises, or that the awaitable it returns comes to, is logged. Once
        the loop is closed, callbacks are dropped.
        """
        raise NotImplementedError

    def spawn_callback(self, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Call `callback`, often a coroutine function, that nobody waits for."""
        self.add_callback(callback, *args, **kwargs)

    def add_callback_from_signal(
        self, callback: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> None:
        """Call `callback` in the next turn; safe in a handler set by `signal.signal`. Deprecated.

        Use `asyncio.loop.add_signal_handler` instead.
        """
        raise NotImplementedError

    def add_future(self, future: AnyFuture[_T], callback: Callable[[Any], None]) -> None:
        """Call `callback` with `future`, in this loop, when it is done.

        Raises:
            TypeError: `future` is no future.
        """
        raise NotImplementedError

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
        raise NotImplementedError

    def remove_timeout(self, timeout: object) -> None:
        """Cancel a timeout. Nothing happens if it has been called or removed already."""
        raise NotImplementedError

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
        raise NotImplementedError

    def update_handler(self, fd: FileDescriptor, events: int) -> None:
        """Change the events that the handler of `fd` is called for.

        Raises:
            ValueError: There is no handler for this descriptor.
        """
        raise NotImplementedError

    def remove_handler(self, fd: FileDescriptor) -> None:
        """Stop calling the handler of `fd`. Nothing happens if there is none."""
        raise NotImplementedError

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
        raise NotImplementedError

    def set_default_executor(self, executor: futures.Executor) -> None:
        """Choose what `run_in_executor` uses by default: a `ThreadPoolExecutor`."""
        raise NotImplementedError
