"""The event loop, on the stdlib's loop and on uvloop."""

import asyncio
import datetime
import gc
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import pytest

from support import new_event_loop
from typhoon.gen import BadYieldError
from typhoon.ioloop import IOLoop
from typhoon.platform.asyncio import AsyncIOLoop, AsyncIOMainLoop


@pytest.fixture
def io_loop(loop_kind: str) -> Iterator[IOLoop]:
    """A current loop of each kind."""
    loop = IOLoop(asyncio_loop=new_event_loop(loop_kind))
    yield loop
    loop.close(all_fds=True)
    assert IOLoop.current(instance=False) is None


def in_thread(function: Callable[[], Any]) -> Any:
    """The result of `function` in a thread that has no loop yet."""
    with futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result(20)


def python(program: str, *options: str) -> str:
    """What a fresh interpreter prints; a warning is an error in it."""
    command = [sys.executable, "-Werror", *options, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


# Which loop


def test_current_creates_a_uvloop_and_makes_it_current() -> None:
    program = """
import asyncio, uvloop
from typhoon.ioloop import IOLoop
assert IOLoop.current(instance=False) is None
loop = IOLoop.current()
assert loop is IOLoop.current() is IOLoop.instance()
assert asyncio.get_event_loop() is loop.asyncio_loop
print(isinstance(loop.asyncio_loop, uvloop.Loop))
loop.close()
"""
    assert python(program) == "True"


def test_current_without_uvloop_creates_the_default_loop() -> None:
    program = """
import sys, asyncio
sys.modules["uvloop"] = None
from typhoon.ioloop import IOLoop
loop = IOLoop.current()
print(type(loop.asyncio_loop) is asyncio.SelectorEventLoop)
loop.close()
"""
    assert python(program) == "True"


def test_current_finds_the_running_loop(loop_kind: str) -> None:
    async def main() -> tuple[IOLoop, IOLoop | None, asyncio.AbstractEventLoop]:
        before = IOLoop.current(instance=False)
        return IOLoop.current(), before, asyncio.get_running_loop()

    with asyncio.Runner(loop_factory=lambda: new_event_loop(loop_kind)) as runner:
        found, before, running = runner.run(main())
        assert before is None
        assert found.asyncio_loop is running
        assert runner.run(main()) == (found, found, running)


def test_current_finds_the_loop_that_asyncio_set(loop_kind: str) -> None:
    def run() -> None:
        loop = new_event_loop(loop_kind)
        asyncio.set_event_loop(loop)
        assert IOLoop.current().asyncio_loop is loop
        IOLoop.current().close()

    in_thread(run)


def test_each_thread_has_its_own(io_loop: IOLoop) -> None:
    def run() -> bool:
        assert IOLoop.current(instance=False) is None
        other = IOLoop.current()
        other.close()
        return other is not io_loop

    assert in_thread(run)
    assert IOLoop.current() is io_loop


def test_a_closed_loop_is_not_current() -> None:
    def run() -> None:
        first = IOLoop.current()
        first.close()
        second = IOLoop.current()
        assert second is not first
        second.asyncio_loop.close()
        third = IOLoop.current()
        assert third is not second
        third.close()

    in_thread(run)


def test_a_second_ioloop_for_one_asyncio_loop_is_refused(io_loop: IOLoop) -> None:
    with pytest.raises(RuntimeError, match="an IOLoop already"):
        IOLoop(asyncio_loop=io_loop.asyncio_loop)


def test_a_loop_is_current_only_while_it_runs(loop_kind: str) -> None:
    def run() -> None:
        loop = IOLoop(make_current=False, asyncio_loop=new_event_loop(loop_kind))
        seen: list[Any] = []
        for _ in range(2):
            assert IOLoop.current(instance=False) is None
            loop.add_callback(lambda: seen.append(IOLoop.current()))
            loop.add_callback(loop.stop)
            loop.start()
        assert IOLoop.current(instance=False) is None
        assert seen == [loop, loop]
        loop.close()

    in_thread(run)


@pytest.mark.parametrize("clear", [IOLoop.clear_current, IOLoop.clear_instance])
@pytest.mark.parametrize("install", [IOLoop.make_current, IOLoop.install])
def test_make_current_and_clear(
    install: Callable[[IOLoop], None], clear: Callable[[], None]
) -> None:
    def run() -> None:
        loop = IOLoop(make_current=False)
        install(loop)
        assert IOLoop.current(instance=False) is loop
        with pytest.warns(DeprecationWarning, match="set_event_loop"):
            clear()
        assert IOLoop.current(instance=False) is None
        loop.close()

    in_thread(run)


def test_loops_made_and_closed_in_two_threads() -> None:
    def run() -> None:
        for _ in range(20):
            IOLoop(make_current=False).close()

    with futures.ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(run) for _ in range(2)]:
            future.result(20)


# Which class


def test_the_classes_of_loops(io_loop: IOLoop) -> None:
    assert type(io_loop) is AsyncIOLoop

    async def main() -> IOLoop:
        return IOLoop.current()

    assert type(asyncio.run(main())) is AsyncIOMainLoop


def test_another_class_can_be_configured() -> None:
    class Loop(AsyncIOLoop):
        pass

    IOLoop.configure(Loop)
    try:
        loop = IOLoop(make_current=False)
        assert type(loop) is Loop
        loop.close()
        IOLoop.configure("typhoon.platform.asyncio.AsyncIOLoop")
        assert IOLoop.configured_class() is AsyncIOLoop
    finally:
        IOLoop.configure(None)
    assert IOLoop.configured_class() is AsyncIOLoop


def test_a_class_without_asyncio_is_refused() -> None:
    class Loop(IOLoop):
        pass

    with pytest.raises(RuntimeError, match="BaseAsyncIOLoop"):
        IOLoop.configure(Loop)


def test_closing_puts_the_loop_before_back(io_loop: IOLoop) -> None:
    inner = AsyncIOLoop()
    assert inner.is_current
    assert inner.old_asyncio is io_loop.asyncio_loop
    assert IOLoop.current() is inner
    inner.close()
    assert IOLoop.current() is io_loop


def test_main_loop_takes_the_loop_of_the_thread(loop_kind: str) -> None:
    def run() -> None:
        asyncio_loop = new_event_loop(loop_kind)
        asyncio.set_event_loop(asyncio_loop)
        loop = AsyncIOMainLoop()
        assert loop.asyncio_loop is asyncio_loop
        assert IOLoop.current() is loop
        loop.close()

    in_thread(run)


# Running


def test_start_refuses_to_be_nested(io_loop: IOLoop) -> None:
    async def run() -> None:
        with pytest.raises(RuntimeError):
            io_loop.start()

    io_loop.run_sync(run)


def test_stop_before_start(io_loop: IOLoop) -> None:
    io_loop.stop()
    io_loop.start()


def test_run_sync_returns_the_result(io_loop: IOLoop) -> None:
    async def coroutine() -> int:
        await asyncio.sleep(0)
        return 42

    def blocking() -> "futures.Future[int]":
        future: futures.Future[int] = futures.Future()
        io_loop.call_later(0, future.set_result, 43)
        return future

    assert io_loop.run_sync(coroutine) == 42
    assert io_loop.run_sync(blocking) == 43
    assert io_loop.run_sync(lambda: None) is None


def test_run_sync_raises_what_was_raised(io_loop: IOLoop) -> None:
    async def coroutine() -> None:
        raise KeyError("absent")

    with pytest.raises(KeyError):
        io_loop.run_sync(coroutine)
    with pytest.raises(ZeroDivisionError):
        io_loop.run_sync(lambda: 1 / 0)
    with pytest.raises(BadYieldError, match="42"):
        io_loop.run_sync(lambda: 42)


def test_run_sync_waits_for_all_that_can_be_yielded(io_loop: IOLoop) -> None:
    async def value(number: int) -> int:
        return number

    assert io_loop.run_sync(lambda: [value(1), value(2)]) == [1, 2]
    assert io_loop.run_sync(lambda: {"a": value(1)}) == {"a": 1}


def test_run_sync_tells_its_timeout_from_another(io_loop: IOLoop) -> None:
    async def fails() -> None:
        raise TimeoutError("of something else")

    with pytest.raises(TimeoutError, match="of something else"):
        io_loop.run_sync(fails, timeout=20)
    with pytest.raises(TimeoutError, match=r"timed out after 0\.001 seconds"):
        io_loop.run_sync(asyncio.Event().wait, timeout=0.001)


def test_run_sync_times_out_and_cancels(io_loop: IOLoop) -> None:
    cancelled = []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    with pytest.raises(TimeoutError):
        io_loop.run_sync(forever, timeout=0.01)
    assert cancelled


def test_run_sync_says_when_the_loop_was_stopped(io_loop: IOLoop) -> None:
    release = asyncio.Event()

    async def stopping() -> None:
        io_loop.stop()
        await release.wait()

    with pytest.raises(RuntimeError, match="Event loop stopped"):
        io_loop.run_sync(stopping)

    async def finish() -> None:
        release.set()
        (rest,) = asyncio.all_tasks() - {asyncio.current_task()}
        await rest

    io_loop.run_sync(finish)


def test_a_running_loop_cannot_be_closed(io_loop: IOLoop) -> None:
    async def run() -> None:
        with pytest.raises(RuntimeError, match="stop it first"):
            io_loop.close()

    io_loop.run_sync(run)


def test_closing_twice(loop_kind: str) -> None:
    loop = IOLoop(make_current=False, asyncio_loop=new_event_loop(loop_kind))
    loop.close()
    loop.close()


# Callbacks and futures


@pytest.mark.parametrize("name", ["add_callback", "spawn_callback"])
def test_callbacks_run_in_order(io_loop: IOLoop, name: str) -> None:
    calls: list[Any] = []
    add = getattr(io_loop, name)
    add(calls.append, 1)
    add(lambda *args, **kwargs: calls.append((args, kwargs)), 2, three=3)
    add(io_loop.stop)
    io_loop.start()
    assert calls == [1, ((2,), {"three": 3})]


def test_a_callback_from_another_thread_wakes_the_loop(io_loop: IOLoop) -> None:
    thread = threading.Thread(target=lambda: io_loop.add_callback(io_loop.stop))
    io_loop.add_callback(thread.start)
    io_loop.start()
    thread.join()


def test_a_callback_from_a_signal_handler_wakes_the_loop(io_loop: IOLoop) -> None:
    def handler(*_: object) -> None:
        with pytest.warns(DeprecationWarning, match="add_signal_handler"):
            io_loop.add_callback_from_signal(io_loop.stop)

    previous = signal.signal(signal.SIGUSR1, handler)
    try:
        io_loop.call_later(0.01, os.kill, os.getpid(), signal.SIGUSR1)
        io_loop.start()
    finally:
        signal.signal(signal.SIGUSR1, previous)


def test_callbacks_for_a_closed_loop_are_dropped(loop_kind: str) -> None:
    loop = IOLoop(make_current=False, asyncio_loop=new_event_loop(loop_kind))
    loop.close()
    loop.add_callback(print, "never")
    with pytest.warns(DeprecationWarning, match="add_signal_handler"):
        loop.add_callback_from_signal(print, "never")


async def failing_coroutine() -> None:
    await asyncio.sleep(0)
    raise KeyError("absent")


def failing_future() -> "futures.Future[None]":
    future: futures.Future[None] = futures.Future()
    future.set_exception(KeyError("absent"))
    return future


def failing() -> None:
    raise KeyError("absent")


@pytest.mark.parametrize("callback", [failing, failing_coroutine, failing_future])
def test_an_exception_in_a_callback_is_logged(
    io_loop: IOLoop, caplog: pytest.LogCaptureFixture, callback: Callable[[], Any]
) -> None:
    io_loop.add_callback(callback)
    io_loop.call_later(0.01, io_loop.stop)
    io_loop.start()
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("typhoon.application", logging.ERROR)
    assert record.message.startswith("Exception in callback ")
    assert callback.__name__ in record.message
    assert record.exc_info is not None
    assert record.exc_info[0] is KeyError


def test_a_cancelled_callback_is_not_logged(
    io_loop: IOLoop, caplog: pytest.LogCaptureFixture
) -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    def plain() -> None:
        raise asyncio.CancelledError

    io_loop.add_callback(cancelled)
    io_loop.add_callback(plain)
    io_loop.call_later(0.01, io_loop.stop)
    io_loop.start()
    assert caplog.records == []


def test_a_coroutine_that_nobody_refers_to_goes_on(io_loop: IOLoop) -> None:
    awaited: list[weakref.ref[asyncio.Future[None]]] = []

    async def coroutine() -> None:
        future = io_loop.asyncio_loop.create_future()
        awaited.append(weakref.ref(future))
        await future
        io_loop.stop()

    def resume() -> None:
        gc.collect()
        future = awaited[0]()
        assert future is not None
        future.set_result(None)

    io_loop.add_callback(coroutine)
    io_loop.call_later(0.01, resume)
    io_loop.start()


def test_an_exit_in_a_callback_ends_start(io_loop: IOLoop) -> None:
    io_loop.add_callback(sys.exit, 3)
    with pytest.raises(SystemExit):
        io_loop.start()


def test_other_return_values_of_callbacks_are_ignored(
    io_loop: IOLoop, caplog: pytest.LogCaptureFixture
) -> None:
    for value in ({}, [], 42, "text"):
        io_loop.add_callback(lambda value=value: value)
    io_loop.add_callback(io_loop.stop)
    io_loop.start()
    assert caplog.records == []


def test_add_future_calls_back_in_the_loop(io_loop: IOLoop) -> None:
    seen: list[Any] = []

    def done(future: Any) -> None:
        seen.append((future.result(), IOLoop.current(), threading.current_thread()))
        if len(seen) == 3:
            io_loop.stop()

    with futures.ThreadPoolExecutor(1) as pool:
        io_loop.add_future(pool.submit(abs, -1), done)
        own = io_loop.asyncio_loop.create_future()
        io_loop.add_future(own, done)
        own.set_result(1)
        finished: futures.Future[int] = futures.Future()
        finished.set_result(1)
        io_loop.add_future(finished, done)
        assert seen == []
        io_loop.start()
    assert seen == [(1, io_loop, threading.current_thread())] * 3


def test_add_future_logs_what_its_callback_raises(
    io_loop: IOLoop, caplog: pytest.LogCaptureFixture
) -> None:
    future = io_loop.asyncio_loop.create_future()
    io_loop.add_future(future, lambda _: failing())
    future.set_result(None)
    io_loop.call_later(0.01, io_loop.stop)
    io_loop.start()
    assert [record.name for record in caplog.records] == ["typhoon.application"]


def test_add_future_refuses_other_things(io_loop: IOLoop) -> None:
    with pytest.raises(TypeError, match="42 is no future"):
        io_loop.add_future(42, print)  # type: ignore[arg-type]


# Time


def test_timeouts_pass_on_their_arguments(io_loop: IOLoop) -> None:
    calls: list[Any] = []
    handles = [
        io_loop.add_timeout(io_loop.time(), calls.append, 1),
        io_loop.add_timeout(datetime.timedelta(milliseconds=1), calls.append, 2),
        io_loop.call_at(io_loop.time() - 5, calls.append, 3),
        io_loop.call_later(-1, calls.append, 4),
    ]
    io_loop.call_later(0.02, io_loop.stop)
    io_loop.start()
    assert sorted(calls) == [1, 2, 3, 4]
    for handle in handles:
        io_loop.remove_timeout(handle)


def test_a_removed_timeout_is_not_called(io_loop: IOLoop) -> None:
    calls: list[int] = []
    second = io_loop.call_later(0.01, calls.append, 2)
    io_loop.call_later(0, io_loop.remove_timeout, second)
    io_loop.call_later(0.02, io_loop.stop)
    io_loop.start()
    assert calls == []


def test_a_deadline_of_another_type(io_loop: IOLoop) -> None:
    with pytest.raises(TypeError, match="'soon' is neither a number nor a timedelta"):
        io_loop.add_timeout("soon", print)  # type: ignore[arg-type]


# File descriptors


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    a, b = socket.socketpair()
    with a, b:
        yield a, b


@pytest.mark.parametrize("as_object", [True, False])
def test_a_handler_is_called_for_what_it_asked(
    io_loop: IOLoop, pair: tuple[socket.socket, socket.socket], as_object: bool
) -> None:
    a, b = pair
    fd: Any = a if as_object else a.fileno()
    events: list[Any] = []

    def handler(fd: Any, event: int) -> None:
        events.append((fd, event))
        if event == IOLoop.WRITE:
            io_loop.update_handler(fd, IOLoop.READ)
            io_loop.call_later(0.01, b.send, b"x")
        else:
            a.recv(1)
            io_loop.update_handler(fd, IOLoop.NONE)
            b.send(b"y")
            io_loop.call_later(0.01, io_loop.stop)

    io_loop.add_handler(fd, handler, IOLoop.READ | IOLoop.WRITE)
    io_loop.start()
    assert events == [(fd, IOLoop.WRITE), (fd, IOLoop.READ)]
    io_loop.remove_handler(fd)
    io_loop.remove_handler(fd)


def test_one_handler_for_each_descriptor(
    io_loop: IOLoop, pair: tuple[socket.socket, socket.socket]
) -> None:
    a, _ = pair
    io_loop.add_handler(a, print, IOLoop.READ)
    for same in (a, a.fileno()):
        with pytest.raises(ValueError, match=f"{a.fileno()} has a handler already"):
            io_loop.add_handler(same, print, IOLoop.READ)
    io_loop.remove_handler(a)
    with pytest.raises(ValueError, match="has no handler"):
        io_loop.update_handler(a, IOLoop.READ)


def test_a_handler_removed_by_another_is_not_called(
    io_loop: IOLoop, pair: tuple[socket.socket, socket.socket]
) -> None:
    a, b = pair
    a.send(b"x")
    b.send(b"x")
    called: list[socket.socket] = []

    def handler(sock: socket.socket, _: int) -> None:
        called.append(sock)
        sock.recv(1)
        io_loop.remove_handler(b if sock is a else a)

    io_loop.add_handler(a, handler, IOLoop.READ)
    io_loop.add_handler(b, handler, IOLoop.READ)
    io_loop.call_later(0.02, io_loop.stop)
    io_loop.start()
    assert len(called) == 1
    io_loop.remove_handler(called[0])


def test_what_cannot_be_watched_leaves_no_handler(io_loop: IOLoop, tmp_path: Any) -> None:
    with open(tmp_path / "file", "w") as file:
        with pytest.raises(OSError):  # noqa: PT011  (the kernel's EPERM: a regular file)
            io_loop.add_handler(file, print, IOLoop.WRITE)
        with pytest.raises(ValueError, match="has no handler"):
            io_loop.update_handler(file, IOLoop.WRITE)


def test_an_exception_in_a_handler_is_logged(
    io_loop: IOLoop,
    pair: tuple[socket.socket, socket.socket],
    caplog: pytest.LogCaptureFixture,
) -> None:
    a, _ = pair

    def handler(sock: socket.socket, _: int) -> None:
        io_loop.remove_handler(sock)
        io_loop.add_callback(io_loop.stop)
        raise KeyError("absent")

    io_loop.add_handler(a, handler, IOLoop.WRITE)
    io_loop.start()
    assert [record.name for record in caplog.records] == ["typhoon.application"]


def test_close_all_fds_closes_what_was_given(loop_kind: str) -> None:
    a, b = socket.socketpair()
    loop = IOLoop(make_current=False, asyncio_loop=new_event_loop(loop_kind))
    number = b.detach()
    loop.add_handler(a, print, IOLoop.READ)
    loop.add_handler(number, print, IOLoop.READ)
    loop.close(all_fds=True)
    assert a.fileno() == -1
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.close(number)


def test_closing_after_asyncio_has_closed(loop_kind: str) -> None:
    loop = IOLoop(make_current=False, asyncio_loop=new_event_loop(loop_kind))
    near, far = socket.socketpair()
    with near, far:
        loop.add_handler(near, lambda *_: None, IOLoop.READ)
        loop.asyncio_loop.close()
        loop.close(all_fds=True)
        assert near.fileno() == -1


# Threads


def test_run_in_executor(io_loop: IOLoop) -> None:
    async def run() -> None:
        assert await io_loop.run_in_executor(None, abs, -1) == 1
        with futures.ThreadPoolExecutor(1, "mine") as pool:
            name = await io_loop.run_in_executor(pool, lambda: threading.current_thread().name)
            assert name == "mine_0"
        pool = futures.ThreadPoolExecutor(1, "default")
        io_loop.set_default_executor(pool)
        name = await io_loop.run_in_executor(None, lambda: threading.current_thread().name)
        assert name == "default_0"

    io_loop.run_sync(run)
