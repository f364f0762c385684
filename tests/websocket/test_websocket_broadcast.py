"""`broadcast`: one message to many clients."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import threading
import weakref
import zlib
from typing import Any

import pytest
from peers import BINARY, CLOSE, TEXT, Events, Noting, Peer, connect, encode

from authority import Authority, make_authority
from support import TIMEOUT, Server, StreamServer, without_collector
from typhoon.httpserver import HTTPServer
from typhoon.web import Application
from typhoon.websocket import WebSocketHandler, broadcast, websocket_connect

drivers = pytest.mark.parametrize("server_class", [HTTPServer, StreamServer])

TEXT_TO_COMPRESS = "the same words, the same words, and the same words again. " * 8


class Member(Noting):
    """Sends to all members what one of them says."""

    def initialize(self, members: Any, **arguments: Any) -> None:
        super().initialize(**arguments)
        self.members = members

    def open(self, *args: str) -> None:
        self.members.add(self)
        super().open(*args)

    def on_message(self, message: str | bytes) -> None:
        count = broadcast(self.members, message, isinstance(message, bytes))
        self.events.put(("sent", count))

    def on_close(self) -> None:
        self.members.discard(self)
        super().on_close()


class Compressing(Member):
    def get_compression_options(self) -> dict[str, Any]:
        return {}


class Room:
    """A server with one handler, and the handlers of its connections."""

    def __init__(self, serve: Any, handler: type[Member] = Member, **options: Any) -> None:
        self.members: set[WebSocketHandler] = set()
        self.events = Events()
        arguments = {"members": self.members, **self.events.arguments}
        self.server: Server = serve(Application([("/", handler, arguments)]), **options)

    def join(self, **headers: str) -> Peer:
        peer = connect(self.server, **headers)
        assert self.events.next() == ("open",)
        return peer

    def broadcast(self, message: Any, binary: bool = False) -> int:
        return self.server.call(broadcast, self.members, message, binary)


@drivers
def test_everybody_gets_it(serve, loop_kind, server_class):
    room = Room(serve, loop_kind=loop_kind, server_class=server_class)
    peers = [room.join() for _ in range(20)]
    peers[3].text("grün")
    assert room.events.next() == ("sent", 20)
    for peer in peers:
        assert peer.read_text() == "grün"
    data = bytes(range(256)) * 1000
    assert room.broadcast(data, binary=True) == 20
    for peer in peers:
        frame = peer.receive()
        assert (frame.opcode, frame.payload) == (BINARY, data)


@pytest.mark.parametrize(
    ("message", "binary", "opcode", "payload"),
    [
        ("", False, TEXT, b""),
        ("text", False, TEXT, b"text"),
        ("text", True, BINARY, b"text"),
        (b"text", False, TEXT, b"text"),
        (bytearray(b"\xff"), True, BINARY, b"\xff"),
        (memoryview(b"\xff"), True, BINARY, b"\xff"),
        ({"a": [1]}, False, TEXT, b'{"a": [1]}'),
    ],
)
def test_what_can_be_sent(serve, message, binary, opcode, payload):
    room = Room(serve)
    peer = room.join()
    assert room.broadcast(message, binary) == 1
    frame = peer.receive()
    assert (frame.opcode, frame.payload) == (opcode, payload)


@pytest.mark.parametrize(
    ("message", "error"), [(b"\xff", ValueError), (5, TypeError), (None, TypeError)]
)
def test_what_cannot(serve, message, error):
    room = Room(serve)
    peer = room.join()
    with pytest.raises(error):
        room.broadcast(message)
    assert room.broadcast("good") == 1
    assert peer.read_text() == "good"


def test_any_iterable_will_do(serve):
    room = Room(serve)
    peer = room.join()
    (member,) = room.members
    kinds = [[member], (member,), {member: 1}, iter([member]), (m for m in [member])]
    for connections in [*kinds, [member.ws_connection], [member, member]]:
        count = room.server.call(broadcast, connections, "hello")
        assert count >= 1
        assert [peer.read_text() for _ in range(count)] == ["hello"] * count
    assert room.server.call(broadcast, [], "hello") == 0
    for wrong in [[member, object()], ["a str"], [None], member, None]:
        with pytest.raises(TypeError):
            room.server.call(broadcast, wrong, "nobody gets this")
    with pytest.raises(TypeError, match="WebSocketHandlers, not to str"):
        room.server.call(broadcast, "abc", "nobody gets this")
    assert room.broadcast("good") == 1
    assert peer.read_text() == "good"


def test_those_that_are_closing_are_left_out(serve, loop_kind):
    room = Room(serve, loop_kind=loop_kind)
    here, gone, leaving = room.join(), room.join(), room.join()
    handlers = {handler.request.connection: handler for handler in room.members}
    assert len(handlers) == 3
    everybody = list(room.members)
    gone.close()
    assert gone.receive().opcode == CLOSE
    assert room.events.next()[0] == "close"
    (one, other) = room.members

    def close_one() -> int:
        one.close(4000)
        return broadcast(everybody, "hello")

    assert room.server.call(close_one) == 1
    first, second = here.receive(), leaving.receive()
    assert {first.opcode, second.opcode} == {TEXT, CLOSE}
    assert not other.ws_connection.is_closing()


def test_who_vanishes_keeps_the_message_from_nobody(serve, loop_kind):
    room = Room(serve, loop_kind=loop_kind)
    peers = [room.join() for _ in range(10)]
    for peer in peers[::2]:
        linger = struct.pack("ii", 1, 0)
        peer.client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        peer.client.close()  # resets the connection
    while len(room.members) > 5:
        assert 5 <= room.broadcast("hello") <= 10
    assert room.broadcast("end") == 5
    for peer in peers[1::2]:
        while (text := peer.read_text()) != "end":
            assert text == "hello"


def test_an_error_of_one_transport_is_its_own(serve, caplog):
    room = Room(serve, server_class=StreamServer)
    peers = [room.join() for _ in range(3)]
    broken = next(iter(room.members))
    transport = broken.ws_connection.transport

    def fail(data: bytes) -> None:
        raise ZeroDivisionError("cannot write")

    transport._stream.write = fail
    assert room.broadcast("hello") == 2
    assert room.events.next() == ("close", None, None)
    assert room.broadcast("again") == 2
    got = []
    for peer in peers:
        try:
            got.append((peer.read_text(), peer.read_text()))
        except (EOFError, ConnectionResetError):
            got.append(None)
    assert sorted(got, key=str) == [("hello", "again"), ("hello", "again"), None]
    (record,) = caplog.records
    assert record.message == "Cannot send on a WebSocket"


class Inflating:
    """What a client does with compressed messages (RFC 7692 §7.2.2)."""

    def __init__(self, keeps_context: bool, bits: int = 15) -> None:
        self.keeps_context = keeps_context
        self.bits = bits
        self.inflater = zlib.decompressobj(-bits)

    def read(self, peer: Peer) -> tuple[str, bool]:
        """A text, and whether it came compressed."""
        frame = peer.receive()
        assert frame.opcode == TEXT
        if not frame.rsv:
            return frame.payload.decode(), False
        assert frame.rsv == 4
        data = self.inflater.decompress(frame.payload + b"\0\0\xff\xff")
        if not self.keeps_context:
            self.inflater = zlib.decompressobj(-self.bits)
        return data.decode(), True


OFFERS = [
    None,
    "permessage-deflate",
    "permessage-deflate; server_no_context_takeover",
    "permessage-deflate; server_max_window_bits=9",
    "permessage-deflate; server_no_context_takeover; server_max_window_bits=10",
]


def test_parameters_of_all_kinds(serve, loop_kind):
    room = Room(serve, Compressing, loop_kind=loop_kind)
    peers: list[tuple[Peer, Inflating]] = []
    plain: list[Peer] = []
    for offer in OFFERS:
        for _ in range(2):
            if offer is None:
                plain.append(room.join())
                continue
            bits = int(offer.partition("bits=")[2] or 15)
            inflating = Inflating("no_context" not in offer, bits)
            peers.append((room.join(Sec_WebSocket_Extensions=offer), inflating))

    def to_each(text: str) -> None:
        for member in room.members:
            member.write_message(text)

    # Messages of the connections' own in between: their contexts stay in step.
    for n in range(4):
        text = f"{n}: {TEXT_TO_COMPRESS}"
        room.server.call(to_each, text)
        assert room.broadcast(text) == 10
        assert room.broadcast("short") == 10
        for peer, inflating in peers:
            assert inflating.read(peer) == (text, True)
            assert inflating.read(peer) == (text, True)
            assert inflating.read(peer) == ("short", False)
        for peer in plain:
            assert [peer.read_text() for _ in range(3)] == [text, text, "short"]


def test_from_a_coroutine(serve, loop_kind):
    class Async(Member):
        async def on_message(self, message: str | bytes) -> None:
            await asyncio.sleep(0)
            self.events.put(("sent", broadcast(self.members, message)))

    room = Room(serve, Async, loop_kind=loop_kind)
    peers = [room.join() for _ in range(3)]
    peers[0].text("hello")
    assert room.events.next() == ("sent", 3)
    assert {peer.read_text() for peer in peers} == {"hello"}


def test_behind_what_the_connection_sends_itself(serve, loop_kind):
    class Ordered(Member):
        def on_message(self, message: str | bytes) -> None:
            self.write_message(f"{message} before")
            broadcast(self.members, message)
            self.write_message(f"{message} behind")

    room = Room(serve, Ordered, loop_kind=loop_kind)
    peer = room.join()
    peer.client.send(b"".join(encode(TEXT, b"%d" % n) for n in range(50)))
    for n in range(50):
        assert [peer.read_text() for _ in range(3)] == [f"{n} before", f"{n}", f"{n} behind"]


def test_from_another_thread_it_says_what_to_do(serve, loop_kind):
    room = Room(serve, loop_kind=loop_kind)
    peer = room.join()
    with pytest.raises(RuntimeError, match="call_soon_threadsafe"):
        broadcast(room.members, "hello")
    room.server.loop.call_soon_threadsafe(broadcast, room.members, "hello")
    assert peer.read_text() == "hello"


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


def test_over_tls(serve, loop_kind, authority):
    room = Room(serve, loop_kind=loop_kind, ssl_options=authority.server_context())
    client_context = ssl.create_default_context(cafile=authority.ca)
    peers = []
    for _ in range(3):
        peers.append(Peer(room.server.connect(client_context)))
        assert room.events.next() == ("open",)
    data = bytes(1 << 20)
    assert room.broadcast(data, binary=True) == 3
    assert [peer.receive().payload == data for peer in peers] == [True] * 3


def test_clients_too(serve, run):
    room = Room(serve)
    url = room.server.url("/").replace("http", "ws")

    async def main() -> None:
        connections = [await websocket_connect(url) for _ in range(3)]
        assert broadcast(connections, "hello") == 3
        connections[0].close()
        assert broadcast(connections, "hello") == 2
        for connection in connections:
            connection.close()
            while await connection.read_message() is not None:
                pass

    run(main)
    events = [room.events.next() for _ in range(11)]
    assert [event[0] for event in events].count("sent") == 5


def test_it_keeps_nothing_alive(serve, loop_kind):
    closed = threading.Event()
    refs: list[weakref.ref[Any]] = []

    class Watched(Compressing):
        def open(self, *args: str) -> None:
            refs.extend(map(weakref.ref, (self, self.ws_connection, self.request)))
            super().open(*args)

        def on_close(self) -> None:
            super().on_close()
            if not self.members:
                closed.set()

    room = Room(serve, Watched, loop_kind=loop_kind)
    with without_collector():
        offers = ["", "permessage-deflate", "permessage-deflate; server_no_context_takeover"]
        peers = [room.join(Sec_WebSocket_Extensions=offer) for offer in offers]
        assert room.broadcast(TEXT_TO_COMPRESS) == 3
        for peer in peers:
            peer.receive()
            peer.close()
            assert peer.receive().opcode == CLOSE
            assert peer.is_closed()
        assert closed.wait(TIMEOUT)
        room.server.call()
        assert [ref() for ref in refs] == [None] * 9


def test_thousands_that_close_at_once(serve, loop_kind):
    room = Room(serve, loop_kind=loop_kind)
    peers = [room.join() for _ in range(300)]

    def close_all() -> int:
        for member in list(room.members):
            member.close(4000, "all of you")
            broadcast(room.members, "to those that are still there")
        return broadcast(room.members, "to nobody")

    assert room.server.call(close_all) == 0
    for peer in peers:
        while (frame := peer.receive()).opcode == TEXT:
            pass
        assert frame.close == (4000, "all of you")
        peer.close(4000)
    assert all(peer.is_closed() for peer in peers)
    assert [room.events.next()[0] for _ in peers] == ["close"] * len(peers)
    assert not room.members


def test_a_server_that_stops_tells_all(serve, loop_kind):
    room = Room(serve, loop_kind=loop_kind)
    peers = [room.join() for _ in range(100)]
    silent = room.join()
    stopping = asyncio.run_coroutine_threadsafe(
        room.server.http_server.close_all_connections(), room.server.loop
    )
    for peer in peers:
        assert peer.receive().close[0] == 1001
        peer.close(1001)
        assert peer.is_closed()
    assert silent.receive().close[0] == 1001
    # Who does not answer is not waited for.
    stopping.result(TIMEOUT)
    assert not room.server.http_server._connections
