"""What becomes of clients that read too slowly: never is there more for them than the bound."""

from __future__ import annotations

import asyncio
import logging
import queue
from typing import Any

import pytest
from peers import CLOSE, PING, PONG, Events, Noting, Peer, connect

from support import Server, StreamServer
from typhoon.httpserver import HTTPServer
from typhoon.web import Application
from typhoon.websocket import WebSocketClosedError, broadcast

drivers = pytest.mark.parametrize("server_class", [HTTPServer, StreamServer])

LARGE = 1 << 24
"""More than the kernel takes for a client that does not read."""

SIZE = 1 << 16


class Slow(Noting):
    """Its clients get a large message, which they do not read at once."""

    def open(self, *args: str) -> None:
        self.write_message(bytes(LARGE), binary=True)
        super().open()
        handlers.put(self)

    def on_skipped(self, count: int) -> None:
        self.events.put(("skipped", count))


handlers: queue.Queue[Any] = queue.Queue()


class Stalled:
    """A server, the handler of its only connection, and the client, which has read nothing."""

    def __init__(self, serve: Any, handler: type[Slow] = Slow, **options: Any) -> None:
        settings = {n: options.pop(n) for n in list(options) if n.startswith("websocket")}
        self.events = Events()
        rules = [("/", handler, self.events.arguments)]
        self.server: Server = serve(Application(rules, **settings), **options)
        self.peer: Peer = connect(self.server)
        assert self.events.next() == ("open",)
        self.handler = handlers.get()

    def write(self, message: str | bytes) -> None:
        self.handler.write_message(message, isinstance(message, bytes))

    def broadcast(self, message: str | bytes) -> None:
        if not broadcast([self.handler], message, isinstance(message, bytes)):
            raise WebSocketClosedError

    def fill(self, send: Any) -> int:
        """Send until that fails; how many could be sent."""

        def run() -> int:
            for count in range(LARGE // SIZE):
                try:
                    send(bytes(SIZE))
                except WebSocketClosedError:
                    return count
            raise AssertionError("there is no bound")

        return self.server.call(run)

    def read_large(self) -> None:
        assert len(self.peer.receive().payload) == LARGE


both = pytest.mark.parametrize("send", [Stalled.write, Stalled.broadcast])


@drivers
@both
def test_by_default_the_connection_is_closed(serve, loop_kind, server_class, send, caplog):
    caplog.set_level(logging.INFO)
    stalled = Stalled(serve, loop_kind=loop_kind, server_class=server_class)
    count = stalled.fill(lambda message: send(stalled, message))
    # The bound, and the message that goes over it.
    assert count == (4 << 20) // SIZE
    assert stalled.handler.ws_connection.is_closing()
    for late in (stalled.write, stalled.broadcast):
        with pytest.raises(WebSocketClosedError):
            stalled.server.call(late, "late")
    # What waited is thrown away, but not the message that was being sent.
    stalled.read_large()
    assert stalled.peer.receive().close == (1013, "reads too slowly")
    stalled.peer.close(1013)
    assert stalled.peer.is_closed()
    assert stalled.events.next() == ("close", 1013, None)
    (record,) = caplog.records[-1:]
    assert record.message == "Closing WebSocket: the peer reads too slowly"


@pytest.mark.parametrize("size", [0, 1000, SIZE * 3])
def test_the_bound_can_be_set(serve, size):
    stalled = Stalled(serve, websocket_max_write_buffer=size)
    assert stalled.fill(stalled.write) == size // (SIZE + 10) + 1


def test_a_handler_has_its_own_bound(serve):
    class Own(Slow):
        slow_client_policy = "skip"

        @property
        def max_write_buffer(self) -> int:
            return int(self.get_argument("size", "0"))

    stalled = Stalled(serve, Own)
    stalled.server.call(stalled.write, "sent")
    with pytest.raises(WebSocketClosedError):
        stalled.server.call(stalled.broadcast, "skipped")
    stalled.read_large()
    assert stalled.peer.read_text() == "sent"
    assert stalled.events.next() == ("skipped", 1)


@drivers
def test_messages_can_be_skipped(serve, loop_kind, server_class, caplog):
    stalled = Stalled(
        serve,
        loop_kind=loop_kind,
        server_class=server_class,
        websocket_max_write_buffer=1000,
        websocket_slow_client_policy="skip",
    )

    def send() -> int:
        for n in range(1000):
            stalled.write(f"{n:099}")
        return sum(broadcast([stalled.handler], "x") for _ in range(10))

    assert stalled.server.call(send) == 0
    stalled.read_large()
    for n in range(10):
        assert stalled.peer.read_text() == f"{n:099}"
    assert stalled.events.next() == ("skipped", 1000)
    stalled.server.call(stalled.write, "goes on")
    assert stalled.peer.read_text() == "goes on"
    stalled.peer.close()
    assert stalled.peer.receive().opcode == CLOSE
    assert stalled.events.next() == ("close", 1000, None)
    assert not caplog.records


def test_what_was_skipped_can_be_made_up_for(serve, loop_kind):
    class Current(Slow):
        max_write_buffer = 0
        slow_client_policy = "skip"

        async def on_skipped(self, count: int) -> None:
            await self.write_message(f"current, {count} later")

    stalled = Stalled(serve, Current, loop_kind=loop_kind)

    def send() -> None:
        for n in range(5):
            stalled.write(str(n))

    stalled.server.call(send)
    stalled.read_large()
    assert [stalled.peer.read_text() for _ in range(2)] == ["0", "current, 4 later"]


def test_an_error_in_on_skipped_closes_the_connection(serve, caplog):
    class Failing(Slow):
        max_write_buffer = 0
        slow_client_policy = "skip"

        def on_skipped(self, count: int) -> None:
            raise ZeroDivisionError

    stalled = Stalled(serve, Failing)
    stalled.server.call(stalled.write, "a")
    stalled.server.call(stalled.write, "b")
    stalled.read_large()
    assert stalled.peer.read_text() == "a"
    assert stalled.peer.receive().close == (1011, "")
    assert "Uncaught exception GET /" in caplog.text


def test_a_client_that_is_closed_while_messages_are_handled_is_not_an_error(serve, caplog):
    class Answering(Slow):
        max_write_buffer = 0

        def on_message(self, message: str | bytes) -> None:
            for _ in range(10):
                self.write_message(message)

    stalled = Stalled(serve, Answering)
    stalled.peer.text("hello")
    stalled.read_large()
    assert stalled.peer.receive().close[0] == 1013
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


def test_who_waits_is_not_closed(serve, loop_kind):
    stalled = Stalled(serve, loop_kind=loop_kind, websocket_max_write_buffer=0)

    async def write() -> None:
        await stalled.handler.ws_connection._drained()
        for _ in range(200):
            await stalled.handler.write_message(bytes(SIZE), binary=True)

    writing = asyncio.run_coroutine_threadsafe(write(), stalled.server.loop)
    stalled.read_large()
    for _ in range(200):
        assert len(stalled.peer.receive().payload) == SIZE
    writing.result()


def test_pings_and_closes_find_their_way(serve, loop_kind):
    stalled = Stalled(serve, loop_kind=loop_kind)
    stalled.peer.send(PING, b"1")
    stalled.peer.send(PING, b"2")

    def send() -> None:
        stalled.write("behind")
        stalled.handler.ping(b"mine")
        stalled.handler.close(4000, "done")

    stalled.server.call(send)
    stalled.read_large()
    frames = [stalled.peer.receive() for _ in range(3)]
    assert frames[0].payload == b"behind"
    assert (frames[1].opcode, frames[1].payload) == (PING, b"mine")
    assert frames[2].close == (4000, "done")


def test_an_answer_to_a_ping_goes_first(serve):
    stalled = Stalled(serve)
    stalled.server.call(stalled.write, "behind")
    stalled.peer.send(PING, b"1")
    stalled.peer.send(PONG, b"")
    while not stalled.server.call(lambda: stalled.handler.ws_connection._was_active()):
        pass
    stalled.read_large()
    assert stalled.peer.receive().opcode == PONG
    assert stalled.peer.read_text() == "behind"


def test_pings_without_end_are_bounded(serve):
    stalled = Stalled(serve, websocket_max_write_buffer=1000)

    def flood() -> int:
        for count in range(10_000):
            try:
                stalled.handler.ping(bytes(100))
            except WebSocketClosedError:
                return count
        raise AssertionError("there is no bound")

    assert stalled.server.call(flood) == 10


def test_closing_the_stream_sends_what_was_written(serve, loop_kind):
    stalled = Stalled(serve, loop_kind=loop_kind)

    def send() -> None:
        stalled.write("behind")
        stalled.handler.ws_connection.stream.close()

    stalled.server.call(send)
    stalled.read_large()
    assert stalled.peer.read_text() == "behind"
    assert stalled.peer.is_closed()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"websocket_slow_client_policy": "drop"},
            "websocket_slow_client_policy is one of",
        ),
        (
            {"websocket_max_write_buffer": "1 MiB"},
            "websocket_max_write_buffer is a number",
        ),
    ],
)
def test_settings_that_cannot_be_right(settings, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Application([], **settings)


def test_who_reads_nothing_is_not_waited_for(serve, loop_kind, monkeypatch):
    monkeypatch.setattr("typhoon.websocket.protocol.CLOSE_TIMEOUT", 0.1)
    monkeypatch.setattr("typhoon.websocket.protocol.STUCK_TIMEOUT", 0.2)
    stalled = Stalled(serve, loop_kind=loop_kind, websocket_ping_interval=0.1)
    assert stalled.events.next() == ("close", None, None)


def test_who_reads_lives(serve, loop_kind):
    stalled = Stalled(serve, loop_kind=loop_kind, websocket_ping_interval=1000)
    connection = stalled.handler.ws_connection
    stalled.server.call(connection.periodic_ping)
    unsent = stalled.server.call(connection.transport.get_write_buffer_size)
    stalled.peer.client.read_exactly(LARGE // 2)
    while stalled.server.call(connection.transport.get_write_buffer_size) >= unsent:
        pass
    stalled.server.call(connection._check_pong)
    assert not connection.is_closing()
