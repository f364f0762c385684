"""What a server makes of frames (RFC 6455 §5 to §8), over a socket."""

from __future__ import annotations

import pytest
from peers import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Echo,
    Events,
    Noting,
    close_payload,
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
    ("frames", "code"),
    [
        ([encode(TEXT, b"a", rsv=4)], 1002),
        ([encode(TEXT, b"a", rsv=2)], 1002),
        ([encode(TEXT, b"a", rsv=1)], 1002),
        ([encode(3)], 1002),
        ([encode(7)], 1002),
        ([encode(11)], 1002),
        ([encode(15)], 1002),
        ([encode(TEXT, b"a", masked=False)], 1002),
        ([encode(PING, fin=False)], 1002),
        ([encode(CLOSE, fin=False)], 1002),
        ([encode(PING, bytes(126))], 1002),
        ([encode(CONTINUATION, b"a")], 1002),
        ([encode(TEXT, b"a", fin=False), encode(TEXT, b"a")], 1002),
        ([b"\x82\xfe\x00\x7d"], 1002),
        ([b"\x82\xff\x80\0\0\0\0\0\0\0"], 1002),
        ([encode(CLOSE, b"\x03")], 1002),
        ([encode(CLOSE, close_payload(999))], 1002),
        ([encode(CLOSE, close_payload(1005))], 1002),
        ([encode(CLOSE, close_payload(1006))], 1002),
        ([encode(CLOSE, close_payload(1015))], 1002),
        ([encode(CLOSE, close_payload(2999))], 1002),
        ([encode(CLOSE, close_payload(5000))], 1002),
        ([encode(CLOSE, close_payload(1000) + b"\xff")], 1007),
        ([encode(TEXT, b"\xff")], 1007),
        ([encode(TEXT, b"\xed\xa0\x80")], 1007),
        ([encode(TEXT, b"\xe2\x82", fin=False), encode(CONTINUATION)], 1007),
        # Only the first bytes of it are there, and the bad one among them.
        ([encode(TEXT, b"ab\xff" + bytes(500))[:20]], 1007),
        ([encode(BINARY, bytes(1001))], 1009),
        ([encode(BINARY, bytes(1000), fin=False), encode(CONTINUATION, b"a")], 1009),
        ([b"\x82\xff" + (1 << 62).to_bytes(8, "big") + b"mask"], 1009),
    ],
)
def test_rules_and_limits(server, frames, code):
    peer = connect(server)
    # Whatever comes behind it is not looked at.
    peer.client.send(b"".join(frames) + (b"garbage" * 50 if len(frames) == 1 else b""))
    frame = peer.receive()
    assert frame.close[0] == code
    assert frame.close[1]
    assert peer.is_closed()


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1011, 1014, 3000, 4999])
def test_codes_for_closing(serve, code):
    events = Events()
    peer = connect(serve(Application([("/", Noting, events.arguments)])))
    assert events.next() == ("open",)
    peer.close(code, "grüße")
    assert peer.receive().close[0] == code
    assert peer.is_closed()
    assert events.next() == ("close", code, "grüße")
    assert events.is_empty()


def test_closing_without_a_code(serve):
    events = Events()
    peer = connect(serve(Application([("/", Noting, events.arguments)])))
    events.next()
    peer.send(CLOSE)
    frame = peer.receive()
    assert (frame.opcode, frame.payload) == (CLOSE, b"")
    assert events.next() == ("close", None, None)


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
