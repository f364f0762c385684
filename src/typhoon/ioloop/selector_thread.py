"""Watching sockets for asyncio loops that cannot, such as Windows' proactor loop.

A thread waits in a selector and hands what is ready to the event loop. The two take turns: while
the loop works on a round of events the thread is idle, so only one of them ever touches the
selector, and nothing is reported twice.

    loop                            thread
    apply changes, give the turn
                                    select()
                                    call_soon_threadsafe(handle)
    handle, give the turn again     (idle)

A change made during select() wakes the thread, which gives the turn back with no events.
"""

import asyncio
import contextvars
import functools
import queue
import selectors
import socket
import threading
import weakref
from collections.abc import AsyncGenerator, Callable
from typing import Any, Protocol

__all__ = ["AddThreadSelectorEventLoop", "FileDescriptor", "SelectorThread"]


class _HasFileno(Protocol):
    def fileno(self) -> int: ...


FileDescriptor = int | _HasFileno
_Ready = list[tuple[int, int]]


class SelectorThread:
    """The methods of the ``add_reader`` family, for a loop that lacks them.

    The thread starts with the first descriptor. It ends with `close`, with the asynchronous
    generators of the loop (`asyncio.loop.shutdown_asyncgens`, which `asyncio.run` calls), or when
    this object is no longer used.

    Args:
        real_loop: The asyncio loop in which to call what is added. All methods are for its thread.
    """

    def __init__(self, real_loop: asyncio.AbstractEventLoop) -> None:
        self._real_loop = real_loop
        self._callbacks: dict[tuple[int, int], Callable[[], Any]] = {}  # by descriptor and event
        self._changed: set[int] = set()  # descriptors that the selector does not know of yet
        self._waiting = False  # whether it is the thread's turn
        self._worker: _Worker | None = None
        self._at_shutdown: AsyncGenerator[None, None] | None = None
        self._closed = False

    def add_reader(self, fd: FileDescriptor, callback: Callable[..., Any], *args: Any) -> None:
        """Call ``callback(*args)`` whenever `fd` can be read."""
        self._add(fd, selectors.EVENT_READ, callback, args)

    def add_writer(self, fd: FileDescriptor, callback: Callable[..., Any], *args: Any) -> None:
        """Call ``callback(*args)`` whenever `fd` can be written to."""
        self._add(fd, selectors.EVENT_WRITE, callback, args)

    def remove_reader(self, fd: FileDescriptor) -> bool:
        """Undo `add_reader`; returns whether there was something to undo."""
        return self._remove(fd, selectors.EVENT_READ)

    def remove_writer(self, fd: FileDescriptor) -> bool:
        """Undo `add_writer`; returns whether there was something to undo."""
        return self._remove(fd, selectors.EVENT_WRITE)

    def close(self) -> None:
        """End the thread and free what it holds. May be called more than once."""
        generator = self._at_shutdown
        self._shut_down()
        if generator is not None:
            _run_at_once(generator.aclose())

    def _shut_down(self) -> None:
        self._closed = True
        self._at_shutdown = None
        self._callbacks.clear()
        if self._worker is not None:
            self._worker.stop()
            self._worker = None

    def _add(
        self, fd: FileDescriptor, event: int, callback: Callable[..., Any], args: tuple[Any, ...]
    ) -> None:
        if self._closed:
            raise RuntimeError("the selector thread is closed")
        number = fd if isinstance(fd, int) else fd.fileno()
        context = contextvars.copy_context()
        self._callbacks[number, event] = functools.partial(context.run, callback, *args)
        self._change(number)

    def _remove(self, fd: FileDescriptor, event: int) -> bool:
        number = fd if isinstance(fd, int) else fd.fileno()
        if self._callbacks.pop((number, event), None) is None:
            return False
        self._change(number)
        return True

    def _change(self, fd: int) -> None:
        """Have the selector follow what has changed for `fd`."""
        self._changed.add(fd)
        if self._worker is None:
            self._worker = _Worker(self._real_loop, weakref.WeakMethod(self._handle))
            weakref.finalize(self, self._worker.stop)
            self._real_loop.call_soon(self._give_turn)
        elif self._waiting:
            self._worker.wake()
        # Otherwise the loop has the turn, and gives it away once it has done its work.

    def _give_turn(self) -> None:
        if self._closed or self._worker is None:
            return
        if self._at_shutdown is None:
            self._at_shutdown = _at_loop_shutdown(weakref.WeakMethod(self._shut_down))
            _run_at_once(self._at_shutdown.__anext__())
        for fd in self._changed:
            events = sum(
                event
                for event in (selectors.EVENT_READ, selectors.EVENT_WRITE)
                if (fd, event) in self._callbacks
            )
            self._worker.watch(fd, events)
        self._changed.clear()
        self._waiting = True
        self._worker.turn()

    def _handle(self, ready: _Ready) -> None:
        """Call what is ready, and see to the next round."""
        self._waiting = False
        for fd, events in ready:
            for event in (selectors.EVENT_READ, selectors.EVENT_WRITE):
                # One callback may have removed another.
                if events & event and (callback := self._callbacks.get((fd, event))) is not None:
                    try:
                        callback()
                    except Exception as error:
                        self._real_loop.call_exception_handler(
                            {"message": f"Exception in callback {callback!r}", "exception": error}
                        )
        self._give_turn()


class _Worker:
    """The thread, its selector, and the pair of sockets that wakes it."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        handle: "weakref.WeakMethod[Callable[[_Ready], None]]",
    ) -> None:
        self._loop = loop
        self._handle = handle
        self._turns: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._stopped = False
        self._selector = selectors.DefaultSelector()
        self._wake_end, self._waker = socket.socketpair()
        self._wake_end.setblocking(False)
        self._waker.setblocking(False)
        self._selector.register(self._wake_end, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="typhoon selector", daemon=True)
        self._thread.start()

    def watch(self, fd: int, events: int) -> None:
        """Wait for just these events on `fd`. Only while the thread is idle."""
        known = fd in self._selector.get_map()
        if not events:
            if known:
                self._selector.unregister(fd)
        elif known:
            self._selector.modify(fd, events)
        else:
            self._selector.register(fd, events)

    def turn(self) -> None:
        """Let the thread select once."""
        self._turns.put(True)

    def wake(self) -> None:
        """Have a select() that is going on return."""
        try:
            self._waker.send(b"\0")
        except BlockingIOError:
            pass  # full: it wakes anyway

    def stop(self) -> None:
        """End the thread and free all. May be called more than once, from any thread."""
        if self._stopped:
            return
        self._stopped = True
        self._turns.put(False)
        self.wake()
        if self._thread is not threading.current_thread():
            self._thread.join()
        self._selector.close()
        self._wake_end.close()
        self._waker.close()

    def _run(self) -> None:
        while self._turns.get():
            try:
                found = self._selector.select()
            except OSError:
                if self._stopped:
                    return
                self._forget_closed()
                found = []
            ready = [(key.fd, events) for key, events in found if key.fileobj != self._wake_end]
            self._drain()
            if self._stopped:
                return
            try:
                self._loop.call_soon_threadsafe(self._hand_over, ready)
            except RuntimeError:  # the loop is closed
                return

    def _hand_over(self, ready: _Ready) -> None:
        handle = self._handle()
        if handle is not None:
            handle(ready)

    def _drain(self) -> None:
        try:
            while self._wake_end.recv(4096):
                pass
        except OSError:  # nothing more
            pass

    def _forget_closed(self) -> None:
        """Drop the descriptors that were closed without being removed, which select() refuses."""
        for fd in list(self._selector.get_map()):
            with selectors.DefaultSelector() as probe:
                try:
                    probe.register(fd, selectors.EVENT_READ)
                    probe.select(0)
                except (OSError, ValueError):
                    self._selector.unregister(fd)


async def _at_loop_shutdown(
    close: "weakref.WeakMethod[Callable[[], None]]",
) -> AsyncGenerator[None, None]:
    """Calls `close` when the loop closes its asynchronous generators.

    That is the one moment at which asyncio tells others that a loop is coming to its end.
    """
    try:
        yield
    finally:
        if (method := close()) is not None:
            method()


def _run_at_once(awaitable: Any) -> None:
    """Run something that awaits nothing, without a task."""
    try:
        awaitable.send(None)
    except StopIteration:
        pass


class AddThreadSelectorEventLoop(asyncio.AbstractEventLoop):
    """A loop that is another one, with the ``add_reader`` family added by a `SelectorThread`.

    Args:
        real_loop: The asyncio loop that does everything else. Closing this closes it too.
    """

    MY_ATTRIBUTES = frozenset(
        {
            "_real_loop",
            "_selector",
            "add_reader",
            "add_writer",
            "close",
            "remove_reader",
            "remove_writer",
        }
    )
    """The names that are not those of the real loop."""

    def __init__(self, real_loop: asyncio.AbstractEventLoop) -> None:
        self._real_loop = real_loop
        self._selector = SelectorThread(real_loop)

    def __getattribute__(self, name: str) -> Any:
        """An attribute of the real loop, unless it is one of `MY_ATTRIBUTES`."""
        if name in AddThreadSelectorEventLoop.MY_ATTRIBUTES:
            return super().__getattribute__(name)
        return getattr(self._real_loop, name)

    def close(self) -> None:
        """End the thread and close the real loop. May be called more than once."""
        self._selector.close()
        self._real_loop.close()

    def add_reader(  # type: ignore[override]
        self, fd: FileDescriptor, callback: Callable[..., Any], *args: Any
    ) -> None:
        """Call ``callback(*args)`` whenever `fd` can be read."""
        self._selector.add_reader(fd, callback, *args)

    def add_writer(  # type: ignore[override]
        self, fd: FileDescriptor, callback: Callable[..., Any], *args: Any
    ) -> None:
        """Call ``callback(*args)`` whenever `fd` can be written to."""
        self._selector.add_writer(fd, callback, *args)

    def remove_reader(self, fd: FileDescriptor) -> bool:
        """Undo `add_reader`; returns whether there was something to undo."""
        return self._selector.remove_reader(fd)

    def remove_writer(self, fd: FileDescriptor) -> bool:
        """Undo `add_writer`; returns whether there was something to undo."""
        return self._selector.remove_writer(fd)
