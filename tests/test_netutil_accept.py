"""Accepting connections in the event loop."""

import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from support import new_event_loop
from typhoon.ioloop import IOLoop
from typhoon.netutil import accept, add_accept_handler, bind_sockets


@pytest.fixture
def io_loop(loop_kind: str) -> Iterator[IOLoop]:
    """A current loop of each kind."""
    loop = IOLoop(asyncio_loop=new_event_loop(loop_kind))
    yield loop
    loop.close()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    (sock,) = bind_sockets(0, "127.0.0.1")
    with sock:
        yield sock


def connect(listener: socket.socket) -> socket.socket:
    return socket.create_connection(listener.getsockname(), 20)


def test_connections_are_handed_over(io_loop: IOLoop, listener: socket.socket) -> None:
    accepted: list[Any] = []

    def callback(connection: socket.socket, address: Any) -> None:
        accepted.append(address)
        connection.close()
        if len(accepted) == 2:
            io_loop.stop()

    remove = add_accept_handler(listener, callback)
    with connect(listener) as first, connect(listener) as second:
        io_loop.start()
        assert accepted == [first.getsockname(), second.getsockname()]
    remove()
    remove()
    assert listener.fileno() != -1
    with connect(listener):
        io_loop.call_later(0.01, io_loop.stop)
        io_loop.start()
    assert len(accepted) == 2


def test_a_callback_may_end_it(io_loop: IOLoop, listener: socket.socket) -> None:
    accepted: list[socket.socket] = []

    def callback(connection: socket.socket, address: Any) -> None:
        accepted.append(connection)
        remove()
        io_loop.call_later(0.01, io_loop.stop)

    remove = add_accept_handler(listener, callback)
    with connect(listener), connect(listener):
        io_loop.start()
    (connection,) = accepted
    connection.close()


def test_others_get_their_turn(
    io_loop: IOLoop, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accept, "_ACCEPTS_PER_TURN", 2)
    order: list[str] = []

    def callback(connection: socket.socket, address: Any) -> None:
        connection.close()
        if not order:
            io_loop.add_callback(order.append, "other")
        order.append("connection")
        if order.count("connection") == 3:
            io_loop.stop()

    remove = add_accept_handler(listener, callback)
    with connect(listener), connect(listener), connect(listener):
        io_loop.start()
    remove()
    assert order.index("other") <= 2


def test_a_failing_callback_is_logged_and_its_connection_closed(
    io_loop: IOLoop, listener: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    calls = 0

    def callback(connection: socket.socket, address: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            io_loop.stop()
        raise KeyError("absent")

    remove = add_accept_handler(listener, callback)
    with connect(listener) as first, connect(listener) as second:
        io_loop.start()
        assert first.recv(1) == second.recv(1) == b""
    remove()
    assert [record.name for record in caplog.records] == ["typhoon.application"] * 2


def test_too_many_open_files(
    io_loop: IOLoop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import resource

    attempts = 0

    class Listener(socket.socket):
        def accept(self) -> tuple[socket.socket, Any]:
            nonlocal attempts
            attempts += 1
            if attempts == 1:
                lowest_free = os.dup(0)
                os.close(lowest_free)
                resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, limits[1]))
            elif attempts == 4:
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            return super().accept()

    monkeypatch.setattr(accept, "_PAUSE", 0.001)
    accepted: list[socket.socket] = []

    def callback(connection: socket.socket, address: Any) -> None:
        accepted.append(connection)
        io_loop.stop()

    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Listener() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        remove = add_accept_handler(listener, callback)
        with connect(listener):
            try:
                io_loop.start()
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            accepted[0].close()
        remove()
        port = listener.getsockname()[1]
    assert attempts >= 4
    (record,) = caplog.records
    assert record.name == "typhoon.general"
    assert f"cannot accept connections on 127.0.0.1:{port}: " in record.getMessage()
    assert "Too many open files" in record.getMessage()


def test_it_can_be_ended_during_a_pause(
    io_loop: IOLoop, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Listener(socket.socket):
        def accept(self) -> tuple[socket.socket, Any]:
            io_loop.add_callback(remove)
            io_loop.add_callback(io_loop.stop)
            raise OSError(12, "Out of memory")

    with Listener(fileno=os.dup(listener.fileno())) as failing:
        remove = add_accept_handler(failing, lambda *_: None)
        with connect(listener):
            io_loop.start()
        io_loop.add_handler(failing, lambda *_: None, IOLoop.READ)  # nobody else has it
        io_loop.remove_handler(failing)


def test_a_connection_that_has_gone_is_passed_over(
    io_loop: IOLoop, listener: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    attempts = 0

    class Listener(socket.socket):
        def accept(self) -> tuple[socket.socket, Any]:
            nonlocal attempts
            attempts += 1
            if attempts == 1:
                raise ConnectionAbortedError(103, "Software caused connection abort")
            return super().accept()

    def callback(connection: socket.socket, address: Any) -> None:
        connection.close()
        io_loop.stop()

    with Listener(fileno=os.dup(listener.fileno())) as flaky:
        flaky.setblocking(False)
        remove = add_accept_handler(flaky, callback)
        with connect(listener):
            io_loop.start()
        remove()
    assert caplog.records == []
