"""`WebSocketHandler` at work: callbacks, errors, backpressure, pings, ends."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import weakref
from typing import Any

import pytest
from peers import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    Echo,
    Events,
    Noting,
    connect,
    encode,
)

from support import TIMEOUT, StreamServer, without_collector
from typhoon.httpserver import HTTPServer
from typhoon.web import Application
from typhoon.websocket import WebSocketClosedError, WebSocketHandler, de_dupe_gen_log

drivers = pytest.mark.parametrize("server_class", [HTTPServer, StreamServer])


class Sending(WebSocketHandler):
    def on_message(self, message: str | bytes) -> None:
        match message:
            case "str":
                self.write_message("text")
            case "bytes":
                self.write_message(b"\xff\0", binary=True)
            case "bytes as text":
                self.write_message("grün".encode())
            case "str as bytes":
                self.write_message("grün", binary=True)
            case "bytearray":
                self.write_message(bytearray(b"array"), binary=True)
            case "dict":
                self.write_message({"a": [1]})
            case "wrong":
                for wrong, error in [(b"\xff", ValueError), (5, TypeError), (None, TypeError)]:
                    with pytest.raises(error):
                        self.write_message(wrong)  # type: ignore[arg-type]
                with pytest.raises(ValueError, match="125"):
                    self.ping(bytes(126))
                with pytest.raises(ValueError, match="3000 to 4999"):
                    self.close(1006)
                self.write_message("refused")


@pytest.mark.parametrize(
    ("what", "opcode", "payload"),
    [
        ("str", TEXT, b"text"),
        ("bytes", BINARY, b"\xff\0"),
        ("bytes as text", TEXT, "grün".encode()),
        ("str as bytes", BINARY, "grün".encode()),
        ("bytearray", BINARY, b"array"),
        ("dict", TEXT, b'{"a": [1]}'),
        ("wrong", TEXT, b"refused"),
    ],
)
def test_what_can_be_sent(serve, what, opcode, payload):
    peer = connect(serve(Application([("/", Sending)])))
    peer.text(what)
    frame = peer.receive()
    assert (frame.opcode, frame.payload) == (opcode, payload)


class Failing(Noting):
    def initialize(self, where: str, **kwargs: Any) -> None:
        super().initialize(**kwargs)
        self.where = where

    def open(self, *args: str) -> Any:
        if self.where == "open":
            raise ZeroDivisionError("in open")
        if self.where == "async open":
            return self.fail()
        return None

    def on_message(self, message: str | bytes) -> Any:
        if self.where == "cancelled":
            raise asyncio.CancelledError
        if self.where == "async on_message":
            return self.fail()
        raise ZeroDivisionError("in on_message")

    async def fail(self) -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError("in a coroutine")


@pytest.mark.parametrize(
    "where", ["open", "async open", "on_message", "async on_message", "cancelled"]
)
def test_an_exception_closes_the_connection(serve, loop_kind, caplog, where):
    events = Events()
    rules = [("/", Failing, {"where": where, **events.arguments})]
    server = serve(Application(rules), loop_kind=loop_kind)
    peer = connect(server)
    peer.client.send(b"")
    if "open" not in where:
        peer.text("go")
        peer.text("not looked at")
    assert peer.receive().close == (1011, "")
    assert peer.is_closed()
    peer.client.close()
    assert events.next() == ("close", None, None)
    (record,) = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert record.name == "typhoon.application"
    assert "Uncaught exception GET / (127.0.0.1)" in record.message


class Slow(Noting):
    """Waits for leave to go on with each message."""

    def initialize(self, **kwargs: Any) -> None:
        super().initialize(**kwargs)
        self.leave = asyncio.Semaphore(0)
        type(self).last = self

    async def on_message(self, message: str | bytes) -> None:
        self.events.put(("begin", len(message)))
        await self.leave.acquire()
        self.events.put(("end", len(message)))


@drivers
def test_messages_wait_for_the_one_before(serve, loop_kind, server_class):
    events = Events()
    rules = [("/", Slow, events.arguments)]
    server = serve(Application(rules), loop_kind=loop_kind, server_class=server_class)
    peer = connect(server)
    peer.text("a")
    peer.text("bb")
    assert [events.next(), events.next()] == [("open",), ("begin", 1)]
    server.call()
    assert events.is_empty()
    server.call(Slow.last.leave.release)
    assert [events.next(), events.next()] == [("end", 1), ("begin", 2)]
    server.call(Slow.last.leave.release)
    assert events.next() == ("end", 2)
    peer.close()
    assert peer.receive().opcode == CLOSE


def test_a_peer_that_sends_faster_than_the_handler_works_is_held_up(serve, loop_kind):
    events = Events()
    server = serve(Application([("/", Slow, events.arguments)]), loop_kind=loop_kind)
    peer = connect(server)
    peer.client.socket.settimeout(0.5)
    frame = encode(BINARY, bytes(1 << 16))
    with pytest.raises(TimeoutError):
        peer.client.send(frame * 1024)
    assert [events.next(), events.next()] == [("open",), ("begin", 1 << 16)]
    transport = Slow.last.ws_connection.transport
    assert not server.call(transport.is_reading)


def test_what_has_come_before_the_end_is_handled(serve, loop_kind):
    events = Events()
    server = serve(Application([("/", Slow, events.arguments)]), loop_kind=loop_kind)
    peer = connect(server)
    for message in ["a", "bb", "ccc"]:
        peer.text(message)
    assert [events.next(), events.next()] == [("open",), ("begin", 1)]
    peer.client.close()
    server.call()
    for _ in range(3):
        server.call(Slow.last.leave.release)
    seen = [events.next() for _ in range(6)]
    assert seen[:5] == [("end", 1), ("begin", 2), ("end", 2), ("begin", 3), ("end", 3)]
    assert seen[5] == ("close", None, None)


class Cancelled(Noting):
    cancel_on_disconnect = True

    async def on_message(self, message: str | bytes) -> None:
        self.events.put(("begin",))
        try:
            await asyncio.Event().wait()
        finally:
            self.events.put(("cancelled",))


def test_a_handler_may_be_cancelled_when_the_client_goes(serve, loop_kind, caplog):
    events = Events()
    server = serve(Application([("/", Cancelled, events.arguments)]), loop_kind=loop_kind)
    peer = connect(server)
    peer.text("go")
    assert [events.next(), events.next()] == [("open",), ("begin",)]
    peer.client.close()
    assert sorted([events.next(), events.next()]) == [("cancelled",), ("close", None, None)]
    server.call()
    assert not caplog.records


class Flooding(Noting):
    def open(self, *args: str) -> None:
        type(self).last = self

    async def on_message(self, message: str | bytes) -> None:
        sent = 0
        try:
            while True:
                await self.write_message(bytes(1 << 16), binary=True)
                sent += 1
                if sent % 16 == 0:
                    await asyncio.sleep(0)
        except WebSocketClosedError:
            self.events.put(("gone", sent))


@drivers
def test_awaiting_write_message_waits_for_the_client(serve, loop_kind, server_class, caplog):
    events = Events()
    rules = [("/", Flooding, events.arguments)]
    server = serve(Application(rules), loop_kind=loop_kind, server_class=server_class)
    peer = connect(server)
    peer.text("go")

    def buffered() -> int:
        return Flooding.last.ws_connection.transport.get_write_buffer_size()

    while not server.call(lambda: Flooding.last.ws_connection._is_choked):
        pass
    assert server.call(buffered) < 1 << 20
    for _ in range(200):
        assert len(peer.receive().payload) == 1 << 16
    peer.client.close()
    # Either may hear of it first.
    closed, (gone, sent) = sorted([events.next(), events.next()], key=lambda event: event[0])
    assert closed == ("close", None, None)
    assert gone == "gone"
    assert sent >= 200
    assert not caplog.records


def test_of_pings_that_pile_up_the_last_one_is_answered(serve):
    pings = threading.Event()

    class Pinged(Noting):
        def open(self, *args: str) -> None:
            self.write_message(bytes(1 << 24), binary=True)
            self.events.put(("choked", self.ws_connection._is_choked))

        def on_ping(self, data: bytes) -> None:
            if data == b"9":
                pings.set()

    events = Events()
    peer = connect(serve(Application([("/", Pinged, events.arguments)])))
    assert events.next() == ("choked", True)
    for n in range(10):
        peer.send(PING, b"%d" % n)
    assert pings.wait(TIMEOUT)
    assert len(peer.receive().payload) == 1 << 24
    frame = peer.receive()
    assert (frame.opcode, frame.payload) == (PONG, b"9")
    peer.close()
    assert peer.receive().opcode == CLOSE


class Closing(Noting):
    def on_message(self, message: str | bytes) -> None:
        match message:
            case "plain":
                self.close()
            case "code":
                self.close(4000)
            case "reason":
                self.close(reason="bye")
            case "long":
                self.close(1001, "é" * 100)
            case _:
                self.close(1001, "bye")
                self.close(1002, "again")
        assert self.ws_connection is None
        for late in [lambda: self.write_message("late"), self.ping]:
            with pytest.raises(WebSocketClosedError):
                late()


@pytest.mark.parametrize(
    ("what", "payload"),
    [
        ("plain", b""),
        ("code", b"\x0f\xa0"),
        ("reason", b"\x03\xe8bye"),
        ("both", b"\x03\xe9bye"),
        ("long", b"\x03\xe9" + "é".encode() * 61),
    ],
)
def test_the_server_closes(serve, loop_kind, what, payload):
    events = Events()
    server = serve(Application([("/", Closing, events.arguments)]), loop_kind=loop_kind)
    peer = connect(server)
    peer.text(what)
    frame = peer.receive()
    assert (frame.opcode, frame.payload) == (CLOSE, payload)
    assert events.next() == ("open",)
    server.call()
    assert events.is_empty()
    peer.close(1000, "understood")
    assert peer.is_closed()
    assert events.next() == ("close", 1000, "understood")


def test_who_does_not_answer_close_is_cut_off(serve, monkeypatch):
    monkeypatch.setattr("typhoon.websocket.protocol.CLOSE_TIMEOUT", 0.1)
    events = Events()
    peer = connect(serve(Application([("/", Closing, events.arguments)])))
    peer.text("code")
    assert peer.receive().opcode == CLOSE
    assert peer.is_closed()
    assert [events.next(), events.next()] == [("open",), ("close", None, None)]


def test_the_server_stops(serve, loop_kind):
    events = Events()
    server = serve(Application([("/", Noting, events.arguments)]), loop_kind=loop_kind)
    peer = connect(server)
    assert events.next() == ("open",)
    ended = asyncio.run_coroutine_threadsafe(
        server.http_server.close_all_connections(), server.loop
    )
    assert peer.receive().close[0] == 1001
    peer.close(1001)
    assert peer.is_closed()
    assert events.next() == ("close", 1001, None)
    ended.result(TIMEOUT)


def test_aborting(serve):
    class Aborting(Noting):
        def on_message(self, message: str | bytes) -> None:
            self.ws_connection._abort()

    events = Events()
    peer = connect(serve(Application([("/", Aborting, events.arguments)])))
    peer.text("go")
    assert peer.is_closed()
    assert [events.next(), events.next()] == [("open",), ("close", None, None)]


def test_pings_of_the_server(serve, loop_kind):
    events = Events()
    app = Application([("/", Noting, events.arguments)], websocket_ping_interval=0.02)
    peer = connect(serve(app, loop_kind=loop_kind))
    assert events.next() == ("open",)
    for _ in range(3):
        assert peer.receive().opcode == PING
        peer.send(PONG)
        assert events.next() == ("pong", b"")
    while (frame := peer.receive()).opcode == PING:
        pass
    assert frame.close == (1000, "ping timed out")
    peer.close(1000, "ping timed out")
    assert peer.is_closed()
    assert events.next() == ("close", 1000, "ping timed out")


def test_whoever_sends_lives(serve):
    app = Application([("/", Echo)], websocket_ping_interval=0.05)
    peer = connect(serve(app))
    pings = 0
    while pings < 5:
        frame = peer.receive()
        assert frame.opcode != CLOSE
        pings += frame.opcode == PING
        if frame.opcode == PING:
            peer.text("no pong, but alive")


def test_a_timeout_longer_than_the_interval_is_pointed_out(serve, caplog):
    de_dupe_gen_log.cache_clear()
    app = Application([("/", Echo)], websocket_ping_interval=20, websocket_ping_timeout=30)
    server = serve(app)
    for _ in range(2):
        peer = connect(server)
        handlers = [c for c in server.http_server._connections if hasattr(c, "ping_timeout")]
        assert {server.call(lambda h=h: h.ping_timeout) for h in handlers} == {20}
        peer.close()
        peer.receive()
    assert caplog.text.count("Set websocket_ping_timeout=20") == 1


def test_set_nodelay(serve):
    class Delaying(WebSocketHandler):
        def on_message(self, message: str | bytes) -> None:
            import socket

            sock = self.ws_connection.stream.socket
            values = []
            for value in (False, True):
                self.set_nodelay(value)
                values.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0)
            self.write_message({"values": values, "closed": self.ws_connection.stream.closed()})

    peer = connect(serve(Application([("/", Delaying)])))
    peer.text("go")
    assert peer.read_text() == '{"values": [false, true], "closed": false}'


def test_what_was_opened_is_freed_without_the_garbage_collector(serve, loop_kind):
    refs: queue.Queue[weakref.ref[Any]] = queue.Queue()

    class Watched(Echo):
        def open(self) -> None:
            refs.put(weakref.ref(self))
            refs.put(weakref.ref(self.ws_connection))
            refs.put(weakref.ref(self.request))

        def on_close(self) -> None:
            closed.set()

    closed = threading.Event()
    server = serve(Application([("/", Watched)]), loop_kind=loop_kind)
    with without_collector():
        peer = connect(server)
        peer.text("hello")
        assert peer.read_text() == "hello"
        peer.close()
        assert peer.receive().opcode == CLOSE
        assert peer.is_closed()
        assert closed.wait(TIMEOUT)
        server.call()
        assert [refs.get()() for _ in range(3)] == [None, None, None]
    assert not server.http_server._connections
