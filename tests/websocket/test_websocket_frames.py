"""What a server makes of frames (RFC 6455 §5 to §8), over a socket."""

from __future__ import annotations

import pytest
from peers import (
    BINARY,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Echo,
    Events,
    Noting,
    connect,
    encode,
)

from support import StreamServer
from typhoon.httpserver import HTTPServer
from typhoon.web import Application


@pytest.fixture(params=[HTTPServer, StreamServer])
def server(request, serve, loop_kind):
    app = Application([("/", Echo)], websocket_max_message_size=1000)
    return serve(app, loop_kind=loop_kind, server_class=request.param)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 1000])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_messages_of_all_lengths(server, opcode, size):
    peer = connect(server)
    payload = b"a" * size if opcode == TEXT else bytes(n % 256 for n in range(size))
    peer.send(opcode, payload)
    frame = peer.receive()
    assert (frame.opcode, frame.payload, frame.fin) == (opcode, payload, True)


def test_a_message_byte_by_byte(server):
    peer = connect(server)
    for byte in encode(TEXT, "grüße €".encode()):
        peer.client.send(bytes([byte]))
    assert peer.read_text() == "grüße €"


def test_fragments_with_pings_between_them(server):
    peer = connect(server)
    peer.send(TEXT, "€".encode()[:1], fin=False)
    peer.send(PING, b"1")
    peer.send(CONTINUATION, b"", fin=False)
    peer.send(PING, b"2")
    peer.send(CONTINUATION, "€".encode()[1:])
    assert [peer.receive().payload for _ in range(3)] == [b"1", b"2", "€".encode()]


@pytest.mark.parametrize(
    ("frame", "code"),
    [(encode(3), 1002), (encode(TEXT, b"\xff"), 1007), (encode(BINARY, bytes(1001)), 1009)],
    ids=["opcode", "not UTF-8", "too big"],
)
def test_a_mistake_is_explained(server, frame, code):
    """The rules themselves are in `cases/`; here they are those of each kind of server."""
    peer = connect(server)
    # Whatever comes behind it is not looked at.
    peer.client.send(frame + b"garbage" * 50)
    assert peer.receive().close[0] == code
    assert peer.is_closed()


def test_pings_are_answered_and_pongs_are_not(serve, loop_kind):
    events = Events()
    server = serve(Application([("/", Noting, events.arguments)]), loop_kind=loop_kind)
    peer = connect(server)
    assert events.next() == ("open",)
    peer.send(PONG, b"unasked")
    peer.send(PING, bytes(range(125)))
    frame = peer.receive()
    assert (frame.opcode, frame.payload) == (PONG, bytes(range(125)))
    assert events.next() == ("pong", b"unasked")
    assert events.next() == ("ping", bytes(range(125)))


def test_a_peer_that_vanishes(serve, loop_kind):
    events = Events()
    server = serve(Application([("/", Noting, events.arguments)]), loop_kind=loop_kind)
    peer = connect(server)
    assert events.next() == ("open",)
    peer.send(TEXT, b"cut off", fin=False)
    peer.client.close()
    assert events.next() == ("close", None, None)
    server.call(lambda: None)
    assert not server.http_server._connections


def test_a_flood_of_messages_lets_others_have_a_turn(serve):
    count = 5000

    class Counting(Noting):
        seen = 0

        def on_message(self, message: str | bytes) -> None:
            Counting.seen += 1
            if Counting.seen == count:
                self.events.put(("all",))

    events = Events()
    server = serve(Application([("/", Counting, events.arguments)]))
    peer = connect(server)
    assert events.next() == ("open",)
    turns = []

    def turn() -> None:
        if 0 < Counting.seen < count:
            turns.append(Counting.seen)
        if Counting.seen < count:
            server.loop.call_soon(turn)

    server.call(turn)
    peer.client.send(encode(BINARY, b"x") * count)
    assert events.next() == ("all",)
    assert len(turns) > 10
