"""The frames of `cases/` on live connections, to a server and to a client."""

from __future__ import annotations

import asyncio
import io
import struct
from typing import Any

import pytest
from frame_cases import CASES_OF, Case, Event
from peers import BINARY, CLOSE, PING, PONG, TEXT, Events, Noting, Peer, connect, encode, mask
from scripted import scripted

from typhoon.web import Application
from typhoon.websocket import websocket_connect

BYE = (1000).to_bytes(2, "big")
KINDS = {TEXT: "text", BINARY: "binary", PING: "ping", PONG: "pong"}
ANSWER = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: {accept}\r\n"
)


def ends(case: Case) -> bool:
    """Whether the connection is closed without more ado."""
    return case.events[-1][0] in ("close", "error")


def answers(case: Case) -> list[Event]:
    """What is sent for these events: pongs and a close. Only the code of an error is told."""
    expected: list[Event] = []
    for event in case.events:
        match event:
            case ("ping", payload):
                expected.append(("pong", payload))
            case ("close", code, _) | ("error", code):
                expected.append(("close", code))
    return expected if ends(case) else [*expected, ("close", 1000)]


def as_event(opcode: int, payload: bytes) -> Event:
    if opcode == CLOSE:
        return "close", struct.unpack("!H", payload[:2])[0] if payload else None
    return KINDS[opcode], payload


class Compressing(Noting):
    def get_compression_options(self) -> dict[str, Any] | None:
        return {}


def offer(case: Case) -> dict[str, str]:
    if not case.deflate:
        return {}
    flag = "" if case.keeps_context else "; client_no_context_takeover"
    return {"Sec_WebSocket_Extensions": f"permessage-deflate{flag}"}


def read_answers(peer: Peer) -> list[Event]:
    seen: list[Event] = []
    while not seen or seen[-1][0] != "close":
        frame = peer.receive()
        assert frame.fin
        assert not frame.rsv
        seen.append(as_event(frame.opcode, frame.payload))
    return seen


@pytest.mark.parametrize("case", CASES_OF["server"], ids=str)
def test_a_server(case: Case, serve, loop_kind):
    events = Events()
    rules = [("/", Compressing if case.deflate else Noting, events.arguments)]
    app = Application(rules, websocket_max_message_size=case.max_message_size)
    peer = connect(serve(app, loop_kind=loop_kind), **offer(case))
    assert events.next() == ("open",)
    peer.client.send(case.sent("server"))
    if not ends(case):
        peer.send(CLOSE, BYE)
    assert read_answers(peer) == answers(case)
    assert peer.is_closed()
    # Whoever has failed gives the other side time to read why.
    peer.client.close()
    for kind, *details in case.events:
        if kind in ("text", "binary"):
            message = details[0].decode() if kind == "text" else details[0]
            assert events.next() == ("message", message)
        elif kind in ("ping", "pong"):
            assert events.next() == (kind, *details)
    last = case.events[-1]
    expected = last[1:] if last[0] == "close" else (None, None)
    assert events.next() == ("close", *(expected if ends(case) else (1000, None)))


def frames_of_a_client(data: bytes) -> list[Event]:
    stream, seen = io.BytesIO(data), []
    while head := stream.read(2):
        assert head[0] & 0xF0 == 0x80
        assert head[1] & 0x80, "a client's frame is not masked"
        assert head[1] & 0x7F < 126
        key = stream.read(4)
        seen.append(as_event(head[0] & 0x0F, mask(stream.read(head[1] & 0x7F), key)))
    return seen


@pytest.mark.parametrize("case", CASES_OF["client"], ids=str)
def test_a_client(case: Case, run):
    head = ANSWER
    if case.deflate:
        flag = "" if case.keeps_context else "; server_no_context_takeover"
        head += f"Sec-WebSocket-Extensions: permessage-deflate{flag}\r\n"

    async def main() -> None:
        seen: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(case.sent("client"))
            if not ends(case):
                writer.write(encode(CLOSE, BYE, masked=False))
            if case.events[-1][0] != "error":
                writer.write_eof()
            seen.set_result(await reader.read())

        async with scripted(send, head + "\r\n") as url:
            ws = await websocket_connect(
                url,
                compression_options={} if case.deflate else None,
                max_message_size=case.max_message_size,
            )
            messages = []
            while (message := await ws.read_message()) is not None:
                messages.append(message)
            assert frames_of_a_client(await seen) == answers(case)
            assert messages == [
                payload.decode() if kind == "text" else payload
                for kind, payload, *_ in case.events
                if kind in ("text", "binary")
            ]
            last = case.events[-1]
            expected = last[1:] if last[0] == "close" else (None, None)
            assert (ws.close_code, ws.close_reason) == (expected if ends(case) else (1000, None))

    run(main)
