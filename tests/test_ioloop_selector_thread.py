"""Watching sockets from a thread, for loops that cannot."""

import asyncio
import contextvars
import gc
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from typhoon.ioloop import IOLoop
from typhoon.platform.asyncio import AddThreadSelectorEventLoop, AsyncIOLoop, SelectorThread


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected sockets that do not block."""
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        far.setblocking(False)
        yield near, far


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "typhoon selector"]


def run(main: Callable[[SelectorThread], Any]) -> Any:
    """Run `main` with a selector thread, which must be gone in the end."""

    async def run_main() -> Any:
        selector = SelectorThread(asyncio.get_running_loop())
        try:
            async with asyncio.timeout(20):
                return await main(selector)
        finally:
            selector.close()
            assert threads() == []

    return asyncio.run(run_main(), debug=True)


def test_what_is_ready_is_called(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair

    async def main(selector: SelectorThread) -> list[Any]:
        received: asyncio.Queue[bytes] = asyncio.Queue()
        written = asyncio.Event()

        def write() -> None:
            far.send(b"once")
            assert selector.remove_writer(far)
            written.set()

        selector.add_reader(near, lambda size: received.put_nowait(near.recv(size)), 100)
        selector.add_writer(far.fileno(), write)
        first = await received.get()
        assert written.is_set()
        far.send(b"twice")
        return [first, await received.get(), received.empty()]

    assert run(main) == [b"once", b"twice", True]


def test_reading_and_writing_on_one_socket(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair

    async def main(selector: SelectorThread) -> None:
        events: list[str] = []
        both = asyncio.Event()

        def happened(event: str, remove: Callable[[socket.socket], bool]) -> None:
            events.append(event)
            assert remove(near)
            if len(events) == 2:
                both.set()

        far.send(b"x")
        selector.add_reader(near, happened, "read", selector.remove_reader)
        selector.add_writer(near, happened, "write", selector.remove_writer)
        await both.wait()
        assert sorted(events) == ["read", "write"]

    run(main)


def test_a_callback_removed_by_another_is_not_called(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    near, far = pair

    async def main(selector: SelectorThread) -> int:
        calls = []
        done = asyncio.Event()

        def callback(other: socket.socket) -> None:
            calls.append(other)
            assert selector.remove_reader(other)
            done.set()

        near.send(b"x")
        far.send(b"x")
        selector.add_reader(near, callback, far)
        selector.add_reader(far, callback, near)
        await done.wait()
        selector.remove_reader(near)
        selector.remove_reader(far)
        await asyncio.sleep(0)
        return len(calls)

    assert run(main) == 1


def test_removing_what_is_not_there(pair: tuple[socket.socket, socket.socket]) -> None:
    async def main(selector: SelectorThread) -> None:
        assert not selector.remove_reader(pair[0])
        assert not selector.remove_writer(pair[0])
        selector.add_reader(pair[0], print)
        assert not selector.remove_writer(pair[0])
        assert selector.remove_reader(pair[0])

    run(main)


def test_a_callback_runs_in_its_context(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")

    async def main(selector: SelectorThread) -> str:
        seen: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def callback() -> None:
            selector.remove_reader(near)
            seen.set_result(variable.get())

        variable.set("mine")
        selector.add_reader(near, callback)
        variable.set("later")
        far.send(b"x")
        return await seen

    assert run(main) == "mine"


def test_an_exception_goes_to_the_loop(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair

    async def main(selector: SelectorThread) -> BaseException:
        failed: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().set_exception_handler(
            lambda loop, context: failed.set_result(context["exception"])
        )

        def callback() -> None:
            selector.remove_reader(near)
            raise KeyError("absent")

        selector.add_reader(near, callback)
        far.send(b"x")
        error: BaseException = await failed
        return error

    assert isinstance(run(main), KeyError)


def test_a_socket_closed_without_being_removed_does_not_stop_others(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    near, far = pair
    import selectors

    # The only kind there is on Windows, which refuses closed descriptors.
    monkeypatch.setattr(selectors, "DefaultSelector", selectors.SelectSelector)

    async def main(selector: SelectorThread) -> bytes:
        received: asyncio.Queue[bytes] = asyncio.Queue()
        lost, other = socket.socketpair()
        with lost, other:
            selector.add_reader(lost, print)
            await asyncio.sleep(0)
        selector.add_reader(near, lambda: received.put_nowait(near.recv(100)))
        far.send(b"x")
        return await received.get()

    assert run(main) == b"x"


def test_the_thread_ends_with_asyncio_run(pair: tuple[socket.socket, socket.socket]) -> None:
    async def main() -> SelectorThread:
        selector = SelectorThread(asyncio.get_running_loop())
        selector.add_reader(pair[0], print)
        await asyncio.sleep(0.01)
        assert len(threads()) == 1
        return selector

    selector = asyncio.run(main())
    assert threads() == []
    with pytest.raises(RuntimeError, match="closed"):
        selector.add_reader(pair[0], print)


def test_the_thread_ends_when_nobody_uses_it(pair: tuple[socket.socket, socket.socket]) -> None:
    loop = asyncio.new_event_loop()
    selector = SelectorThread(loop)
    selector.add_reader(pair[0], print)
    assert len(threads()) == 1
    loop.close()
    del selector, loop
    gc.collect()
    assert threads() == []


def test_without_descriptors_there_is_no_thread() -> None:
    async def main(selector: SelectorThread) -> None:
        assert threads() == []

    run(main)


def test_a_loop_with_the_methods_added(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    real = asyncio.new_event_loop()
    loop = AddThreadSelectorEventLoop(real)  # type: ignore[abstract]
    received: list[bytes] = []

    def read() -> None:
        received.append(near.recv(100))
        loop.remove_reader(near)
        loop.stop()

    loop.add_reader(near, read)
    loop.add_writer(near, loop.remove_writer, near)
    loop.call_soon(far.send, b"x")
    loop.run_forever()
    assert received == [b"x"]
    assert loop.time() == pytest.approx(real.time(), abs=5)
    loop.close()
    loop.close()
    assert real.is_closed()
    assert threads() == []


def test_an_ioloop_over_it(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair

    class ThreadLoop(AsyncIOLoop):
        """As on Windows, on every system."""

        def initialize(self, **kwargs: Any) -> None:  # type: ignore[override]
            super().initialize(asyncio_loop=asyncio.new_event_loop(), **kwargs)
            self.selector_loop = AddThreadSelectorEventLoop(  # type: ignore[abstract]
                self.asyncio_loop
            )

    loop = ThreadLoop(make_current=False)
    received: list[bytes] = []

    def handler(sock: socket.socket, events: int) -> None:
        assert events == IOLoop.READ
        received.append(sock.recv(100))
        loop.stop()

    loop.add_handler(near, handler, IOLoop.READ)
    far.send(b"x")
    loop.start()
    assert received == [b"x"]
    loop.close()
    assert threads() == []
