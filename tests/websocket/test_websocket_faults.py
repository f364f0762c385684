"""What clients do to a server that they should not: nothing is left of it, nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import socket
import struct
import threading
import time
import tracemalloc
import weakref
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from peers import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Peer, close_payload, encode

from support import TIMEOUT, Server, without_collector
from typhoon.log import app_log
from typhoon.web import Application
from typhoon.websocket import WebSocketHandler

BOUND = 8 << 20
"""Bytes that may be on their way, in all buffers of this process."""


class Counted(WebSocketHandler):
    """Does what the message says. All that there are can be counted."""

    alive: weakref.WeakSet[Counted] = weakref.WeakSet()
    closed = 0

    def initialize(self) -> None:
        Counted.alive.add(self)

    def open(self, what: str = "") -> Any:
        if what == "fails":
            raise RuntimeError("in open")
        if what == "waits":
            return asyncio.Event().wait()
        if what == "floods":
            self.write_message(bytes(1 << 23), binary=True)
        return None

    def on_message(self, message: str | bytes) -> Any:
        match message:
            case "fail":
                raise RuntimeError("in on_message")
            case "wait":
                return asyncio.Event().wait()
            case "close":
                self.close(4000)
                return None
        return self.write_message(message, isinstance(message, bytes))

    def on_ping(self, data: bytes) -> None:
        if data == b"fail":
            raise RuntimeError("in on_ping")

    def on_close(self) -> None:
        Counted.closed += 1
        if self.path_kwargs or self.open_args == ("close",):
            raise RuntimeError("in on_close")


class Compressing(Counted):
    def get_compression_options(self) -> dict[str, Any] | None:
        return {}


def application(**settings: Any) -> Application:
    rules = [("/zip", Compressing), ("/(.*)", Counted)]
    return Application(rules, websocket_max_message_size=100_000, **settings)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@contextlib.contextmanager
def nothing_left(server: Server) -> Iterator[None]:
    """Afterwards all is as before; a connection that had been there goes on."""
    Counted.alive.clear()
    Counted.closed = 0
    with server.connect() as client:
        healthy = Peer(client)
        with server.connect() as other:  # opens what the loop opens only once
            Peer(other).close()
            assert Peer.receive.__get__(_reader(other))().opcode == CLOSE
        eventually(lambda: len(server.http_server._connections) == 1)
        eventually(lambda: len(Counted.alive) == 1)
        opened, tasks, files = Counted.closed, server.call(_tasks), open_files()
        with without_collector():
            yield
            healthy.text("still here")
            assert healthy.read_text() == "still here"
            eventually(lambda: len(Counted.alive) == 1)
        assert len(server.http_server._connections) == 1
        eventually(lambda: server.call(_tasks) == tasks)
        eventually(lambda: open_files() == files)
        assert Counted.closed > opened


def _tasks() -> int:
    return len(asyncio.all_tasks())


def _reader(client: Any) -> Peer:
    peer = Peer.__new__(Peer)
    peer.client = client
    return peer


@contextlib.contextmanager
def vanishing(server: Server, target: str = "/", **headers: str) -> Iterator[Peer]:
    with server.connect() as client:
        yield Peer(client, target, **headers)


def reset(peer: Peer) -> None:
    """Close with an RST."""
    linger = struct.pack("ii", 1, 0)
    peer.client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    peer.client.close()


def code_of(peer: Peer) -> int:
    """The code that the server closes with, behind whatever else it had sent."""
    while (frame := peer.receive()).opcode != CLOSE:
        pass
    return frame.close[0]


@pytest.fixture
def server(serve: Callable[..., Server], loop_kind: str) -> Server:
    return serve(application(), loop_kind=loop_kind)


# Who vanishes


@pytest.mark.parametrize("how", ["reset", "close"])
@pytest.mark.parametrize(
    "sent",
    [
        b"",
        encode(TEXT, b"hello"),
        encode(TEXT, b"hello")[:3],
        encode(TEXT, b"hello", fin=False),
        encode(TEXT, b"wait"),
        encode(TEXT, b"close"),
        encode(PING, b"x") * 100,
        encode(CLOSE),
        encode(BINARY, bytes(100_000)) * 10,
    ],
    ids=["nothing", "text", "cut", "fragment", "at work", "closing", "pings", "Close", "much"],
)
def test_peers_that_vanish(server, caplog, how, sent):
    with nothing_left(server), vanishing(server) as peer:
        peer.client.send(sent)
        reset(peer) if how == "reset" else peer.client.close()
        eventually(lambda: len(server.http_server._connections) == 1)
        server.call(_end_what_waits)
    assert caplog.records == []


def _end_what_waits() -> None:
    from typhoon.websocket import protocol

    for task in protocol._tasks:
        task.cancel()


@pytest.mark.parametrize("target", ["/", "/floods", "/waits"])
def test_peers_that_neither_read_nor_answer(serve, loop_kind, monkeypatch, caplog, target):
    """Half-open connections: nothing comes, and what is sent is not acknowledged by anybody."""
    monkeypatch.setattr("typhoon.websocket.protocol.CLOSE_TIMEOUT", 0.05)
    monkeypatch.setattr("typhoon.websocket.protocol.STUCK_TIMEOUT", 0.2)
    server = serve(application(websocket_ping_interval=0.1), loop_kind=loop_kind)
    with vanishing(server, target):
        eventually(lambda: len(server.http_server._connections) == 1)
        eventually(lambda: not server.http_server._connections)
        server.call(_end_what_waits)
    assert caplog.records == []


def test_a_slow_reader_that_reads_is_not_half_open(serve, loop_kind):
    server = serve(application(websocket_ping_interval=0.1), loop_kind=loop_kind)
    with vanishing(server, "/floods") as peer:
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            peer.client._receive()
            time.sleep(0.01)
        assert len(peer.receive().payload) == 1 << 23
        for _ in range(3):
            assert peer.receive().opcode == PING
            peer.send(PONG)


def test_an_echo_that_nobody_reads_is_given_up(serve, loop_kind, monkeypatch):
    """The handler waits for the peer to read, so nothing is read from the peer any more."""
    monkeypatch.setattr("typhoon.websocket.protocol.CLOSE_TIMEOUT", 0.05)
    monkeypatch.setattr("typhoon.websocket.protocol.STUCK_TIMEOUT", 0.2)
    server = serve(application(websocket_ping_interval=0.1), loop_kind=loop_kind)
    with vanishing(server) as peer:
        peer.client.socket.settimeout(0.2)
        frame = encode(BINARY, bytes(100_000))
        with contextlib.suppress(TimeoutError, ConnectionError):
            while True:
                peer.client.send(frame)
        eventually(lambda: not server.http_server._connections)


# Who breaks the rules


GARBAGE = [
    (b"\0" * 1000, 1002),
    (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1002),
    (random.Random(1).randbytes(1 << 20), 1002),
    (b"\xff" * (1 << 20), 1002),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 1002),
    (encode(TEXT, b"\xff"), 1007),
    (encode(BINARY, bytes(100_001)), 1009),
    (struct.pack("!BBQ", 0x82, 0xFF, (1 << 63) - 1) + bytes(4), 1009),
]


@pytest.mark.parametrize(("garbage", "code"), GARBAGE, ids=range(len(GARBAGE)))
@pytest.mark.parametrize("glued", [True, False])
def test_garbage(server, caplog, garbage, code, glued):
    with nothing_left(server), server.connect() as client:
        if glued:
            head = (
                b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            client.send(head + garbage)
            assert client.response().status == 101
            peer = _reader(client)
        else:
            peer = Peer(client)
            client.send(garbage)
        code_seen = code_of(peer)
        assert code_seen == code or (len(garbage) == 1 << 20 and code_seen in (1002, 1007, 1009))
        client.close()
    assert caplog.records == []


def deflated(data: bytes, level: int = 9) -> bytes:
    compressor = zlib.compressobj(level, wbits=-15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def test_decompression_bombs(server, caplog):
    """1 GiB in 1 MiB. Of it no more is decompressed than a message may have."""
    bomb = deflated(bytes(1 << 24)) * 64
    extensions = {"Sec_WebSocket_Extensions": "permessage-deflate"}
    frames = encode(BINARY, bomb, rsv=4)
    with nothing_left(server), vanishing(server, "/zip", **extensions) as peer:
        tracemalloc.start()
        with contextlib.suppress(ConnectionError):
            peer.client.send(frames)
        assert code_of(peer) == 1009
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < BOUND
        peer.client.close()
    assert caplog.records == []


@pytest.mark.parametrize("block", [b"\x03\x00", b"\0\0\0\xff\xff"], ids=["final", "stored"])
def test_messages_that_decompress_to_nothing(server, block):
    extensions = {"Sec_WebSocket_Extensions": "permessage-deflate"}
    with nothing_left(server), vanishing(server, "/zip", **extensions) as peer:
        peer.send(BINARY, block * (1 << 18), rsv=4)
        assert peer.receive().opcode == BINARY
        peer.close()
        assert peer.receive().opcode == CLOSE


# Who floods


def test_pings_of_a_peer_that_never_reads(server, caplog):
    """Its pongs are not kept: the last one is enough (RFC 6455 §5.5.3)."""
    pings = encode(PING, bytes(125)) * 1000
    with nothing_left(server), vanishing(server) as peer:
        peer.client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        tracemalloc.start()
        for _ in range(200):  # 26 MB
            peer.client.send(pings)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < BOUND
        peer.client.close()
    assert caplog.records == []


@pytest.mark.parametrize("fragment", [b"", b"x"])
@pytest.mark.parametrize("target", ["/", "/zip"])
def test_floods_of_fragments(server, fragment, target):
    headers = {"Sec_WebSocket_Extensions": "permessage-deflate"} if target == "/zip" else {}
    rsv = 4 if target == "/zip" else 0
    body = deflated(b"x" * 50_000, 0)[:50_000] if rsv else b"x" * 50_000
    pieces = [body[i : i + 1] for i in range(len(body))] if fragment else [b""] * 300_000
    with nothing_left(server), vanishing(server, target, **headers) as peer:
        peer.send(BINARY, b"", fin=False, rsv=rsv)
        if fragment:
            peer.client.send(b"".join(encode(CONTINUATION, p, fin=False) for p in pieces))
        else:
            peer.client.send(encode(CONTINUATION, b"", fin=False) * len(pieces))
        peer.send(CONTINUATION, b"\0" if rsv else b"")
        if not rsv:
            assert peer.receive().payload == b"".join(pieces)
        else:
            assert peer.receive().opcode == BINARY
        peer.close()
        assert peer.receive().opcode == CLOSE


@pytest.mark.parametrize("frame", [(TEXT, b""), (PONG, b""), (BINARY, b"x" * 9)])
def test_floods_of_small_frames(server, frame):
    """One that sends without end does not keep others from having their turn."""
    frames = encode(*frame) * 1000
    ended = threading.Event()
    with nothing_left(server), vanishing(server) as flooding, vanishing(server) as other:

        def flood() -> None:
            with contextlib.suppress(OSError):
                while not ended.is_set():
                    flooding.client.send(frames)

        def read() -> None:
            with contextlib.suppress(OSError, EOFError):
                while flooding.client.socket.recv(1 << 16):
                    pass

        threads = [threading.Thread(target=flood), threading.Thread(target=read)]
        for thread in threads:
            thread.start()
        for n in range(20):
            other.text(str(n))
            assert other.read_text() == str(n)
        ended.set()
        flooding.client.socket.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(TIMEOUT)
        other.client.close()


def test_a_message_without_end(server, caplog):
    with nothing_left(server), vanishing(server) as peer:
        peer.send(TEXT, b"x" * 1000, fin=False)
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                peer.send(CONTINUATION, b"x" * 1000, fin=False)
        assert code_of(peer) == 1009
        peer.client.close()
    assert caplog.records == []


# Ends


def connect_many(server: Server, count: int, target: str = "/") -> list[Any]:
    clients = []
    handshake = (
        f"GET {target} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()
    for _ in range(count):
        client = server.connect()
        client.send(handshake)
        clients.append(client)
    for client in clients:
        assert client.response().status == 101
    return clients


@pytest.mark.parametrize("how", ["Close", "reset"])
def test_close_storms(server, caplog, how):
    count = 2000
    with nothing_left(server):
        clients = connect_many(server, count)
        for client in clients:
            if how == "Close":
                client.send(encode(CLOSE, close_payload(1001)))
        for client in clients:
            if how == "Close":
                assert _reader(client).receive().close[0] == 1001
                assert client.is_closed()
                client.close()
            else:
                reset(_reader(client))
        eventually(lambda: Counted.closed >= count)
        server.clients.clear()
        del clients
    assert caplog.records == []


@pytest.mark.parametrize("answer", [True, False])
def test_a_server_stops_with_many_open(serve, loop_kind, monkeypatch, caplog, answer):
    """It tells all of them, and waits for those that answer, and not long for the others."""
    monkeypatch.setattr("typhoon.httpserver.server.CLOSE_TIMEOUT", TIMEOUT if answer else 0.2)
    count = 1000
    server = serve(application(), loop_kind=loop_kind)
    Counted.alive.clear()
    Counted.closed = 0
    clients = connect_many(server, count)
    ended = asyncio.run_coroutine_threadsafe(
        server.http_server.close_all_connections(), server.loop
    )
    for client in clients:
        peer = _reader(client)
        assert peer.receive().close[0] == 1001
        if answer:
            peer.close(1001)
            assert peer.is_closed()
    ended.result(TIMEOUT)
    assert Counted.closed == count
    assert not server.http_server._connections
    eventually(lambda: not Counted.alive)
    assert caplog.records == []


def test_a_closing_handshake_that_is_never_answered(server, monkeypatch, caplog):
    monkeypatch.setattr("typhoon.websocket.protocol.CLOSE_TIMEOUT", 0.1)
    with nothing_left(server), vanishing(server) as peer:
        peer.text("close")
        assert peer.receive().close[0] == 4000
        for _ in range(3):
            peer.text("I have not heard you")
        assert peer.is_closed()
        peer.client.close()
    assert caplog.records == []


def test_a_peer_that_closes_and_does_not_read(server, monkeypatch, caplog):
    monkeypatch.setattr("typhoon.websocket.protocol.CLOSE_TIMEOUT", 0.1)
    with nothing_left(server), vanishing(server, "/floods") as peer:
        peer.close()
        eventually(lambda: len(server.http_server._connections) == 1)
        peer.client.close()
    assert caplog.records == []


@pytest.mark.parametrize(
    ("target", "sent", "where"),
    [
        ("/fails", b"", "in open"),
        ("/", encode(TEXT, b"fail"), "in on_message"),
        ("/", encode(PING, b"fail"), "in on_ping"),
        ("/close", encode(CLOSE), "in on_close"),
    ],
    ids=["open", "on_message", "on_ping", "on_close"],
)
def test_exceptions_in_handlers(server, told, target, sent, where):
    with nothing_left(server), vanishing(server, target) as peer:
        peer.client.send(sent)
        frame = peer.receive()
        while frame.opcode == PONG:
            frame = peer.receive()
        if where == "in on_close":
            assert frame.opcode == CLOSE
        else:
            assert frame.close[0] == 1011
        peer.client.close()
    assert told == [("ERROR", "RuntimeError", where)]


@pytest.fixture
def told() -> Iterator[list[tuple[str, str, str]]]:
    """The exceptions in the application's log, which does not hold on to them."""
    found = []

    def take(record: logging.LogRecord) -> bool:
        assert record.exc_info
        found.append((record.levelname, record.exc_info[0].__name__, str(record.exc_info[1])))
        return False

    app_log.addFilter(take)
    yield found
    app_log.removeFilter(take)


@pytest.mark.parametrize("more", [b"", encode(TEXT, b"more")], ids=["", "more"])
def test_handlers_that_wait_for_ever(server, monkeypatch, caplog, more):
    """They are told all the same that the peer has gone."""
    monkeypatch.setattr("typhoon.websocket.protocol.GONE_TIMEOUT", 0.1)
    with nothing_left(server), vanishing(server) as peer:
        peer.client.send(encode(TEXT, b"wait") + more)
        before = Counted.closed
        peer.client.close()
        eventually(lambda: Counted.closed == before + 1)
        assert len(server.http_server._connections) == 1
        server.call(_end_what_waits)
    assert caplog.records == []


def test_a_close_while_much_is_to_be_written(server, caplog):
    with nothing_left(server), vanishing(server, "/floods") as peer:
        peer.text("close")
        assert len(peer.receive().payload) == 1 << 23
        assert peer.receive().close[0] == 4000
        peer.close(4000)
        assert peer.is_closed()
        peer.client.close()
    assert caplog.records == []
