"""Random bytes behind a good handshake, to our server and to our client.

Whatever comes, and in whatever pieces: what was well-formed before the first fault is answered, the
connection ends if there is one, and nothing is in the log.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import re
import socket
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from peers import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close_payload, encode

from support import new_event_loop
from typhoon.httpserver import HTTPServer
from typhoon.web import Application
from typhoon.websocket import WebSocketHandler, websocket_connect
from typhoon.websocket.handshake import accept_value

LIMIT = 5000

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
)
ANSWER = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
)


@functools.cache
def deflated(size: int) -> bytes:
    """So many zeros, compressed."""
    compressor = zlib.compressobj(9, wbits=-15)
    return (compressor.compress(bytes(size)) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


@dataclass(frozen=True)
class Stream:
    """What a peer sends.

    Attributes:
        good: Messages without a fault, which come first.
        bad: What comes behind them.
        cuts: The sizes of the pieces that it goes out in; the rest at once.
        resets: Whether the connection ends with an RST.
    """

    good: tuple[bytes, ...]
    bad: tuple[tuple[Any, ...], ...]
    cuts: tuple[int, ...]
    resets: bool

    def data(self, masked: bool) -> bytes:
        frames = [encode(BINARY, message, masked=masked) for message in self.good]
        for kind, *arguments in self.bad:
            match kind:
                case "raw":
                    frames.append(arguments[0])
                case "frame":
                    opcode, payload, fin, rsv, wrong = arguments
                    frames.append(encode(opcode, payload, fin=fin, rsv=rsv, masked=masked != wrong))
                case "zip":
                    frames.append(encode(BINARY, deflated(*arguments), rsv=4, masked=masked))
                case "cut":
                    frames.append(encode(TEXT, b"x" * 300, masked=masked)[: arguments[0]])
        return b"".join(frames)

    def pieces(self, masked: bool) -> list[bytes]:
        data, pieces = self.data(masked), []
        for size in self.cuts:
            pieces.append(data[:size])
            data = data[size:]
        return [*filter(None, pieces), data]


payloads = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=50).map(str.encode),
    st.integers(0, 2 * LIMIT).map(bytes),
    st.integers(0, 5000).map(close_payload),
    st.sampled_from([b"\xff", b"\xed\xa0\x80", close_payload(1000, "bye"), bytes(126)]),
)
opcodes = st.sampled_from([CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG, 3, 11])
frames = st.tuples(
    st.just("frame"),
    opcodes,
    payloads,
    st.sampled_from([True, True, True, False]),
    st.sampled_from([0, 0, 0, 4, 1]),
    st.sampled_from([False] * 7 + [True]),
)
streams = st.builds(
    Stream,
    good=st.lists(st.binary(max_size=300), max_size=3).map(tuple),
    bad=st.lists(
        st.one_of(
            frames,
            frames,
            st.tuples(st.just("raw"), st.binary(min_size=1, max_size=100)),
            st.tuples(st.just("zip"), st.sampled_from([0, LIMIT, LIMIT + 1, 1 << 24])),
            st.tuples(st.just("cut"), st.integers(1, 307)),
        ),
        max_size=6,
    ).map(tuple),
    cuts=st.lists(st.integers(1, 150), max_size=8).map(tuple),
    resets=st.booleans(),
)


class Echo(WebSocketHandler):
    closed = 0

    def get_compression_options(self) -> dict[str, Any] | None:
        return {}

    def on_message(self, message: str | bytes) -> Any:
        return self.write_message(message, isinstance(message, bytes))

    def on_close(self) -> None:
        Echo.closed += 1


def end(writer: asyncio.StreamWriter, resets: bool) -> None:
    if resets:
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    else:
        writer.close()


async def eventually(condition: Any) -> None:
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0.0005)
    raise AssertionError


def check_the_log(caplog: pytest.LogCaptureFixture) -> None:
    level = {"asyncio": logging.WARNING}  # which is about slow machines
    assert [r for r in caplog.records if r.levelno > level.get(r.name, logging.INFO)] == []
    caplog.clear()


@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
def test_what_comes_to_a_server(kind, caplog):
    async def main(stream: Stream) -> None:
        server = HTTPServer(Application([("/", Echo)], websocket_max_message_size=LIMIT))
        server.listen(0, "127.0.0.1")
        (port,) = {sock.getsockname()[1] for sock in server._sockets.values()}
        healthy = await websocket_connect(f"ws://127.0.0.1:{port}/")
        closed = Echo.closed
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        pieces = stream.pieces(masked=True)
        writer.write(HANDSHAKE + (pieces.pop(0) if stream.cuts else b""))
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0)
        if stream.good:
            assert await reader.readexactly(2)  # an echo; what it says is tested elsewhere
        end(writer, stream.resets)
        await eventually(lambda: Echo.closed == closed + 1)
        await eventually(lambda: len(server._connections) == 1)
        await healthy.write_message("still here")
        assert await healthy.read_message() == "still here"
        healthy.close()
        assert await healthy.read_message() is None
        server.stop()
        await server.close_all_connections()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with asyncio.Runner(loop_factory=lambda: new_event_loop(kind)) as runner:

        @settings(max_examples=40, deadline=None)
        @given(stream=streams)
        def examples(stream: Stream) -> None:
            runner.run(main(stream))
            check_the_log(caplog)

        examples()


@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
def test_what_comes_to_a_client(kind, caplog):
    async def main(stream: Stream) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            key = re.findall(b"(?i)^sec-websocket-key: (.*)\r", head, re.MULTILINE)[0]
            pieces = stream.pieces(masked=False)
            answer = ANSWER.replace("{accept}", accept_value(key)).encode()
            writer.write(answer + (pieces.pop(0) if stream.cuts else b""))
            for piece in pieces:
                writer.write(piece)
                await asyncio.sleep(0)
            if stream.resets:
                await read_all.wait()
            end(writer, stream.resets)
            ended.set()

        read_all, ended = asyncio.Event(), asyncio.Event()
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            ws = await websocket_connect(url, compression_options={}, max_message_size=LIMIT)
            for message in stream.good:
                assert await ws.read_message() == message
            read_all.set()
            while await ws.read_message() is not None:
                pass
            assert ws.protocol is not None
            assert ws.protocol.is_closing()
            await ended.wait()
        await eventually(lambda: asyncio.all_tasks() == {asyncio.current_task()})

    with asyncio.Runner(loop_factory=lambda: new_event_loop(kind)) as runner:

        @settings(max_examples=40, deadline=None)
        @given(stream=streams)
        def examples(stream: Stream) -> None:
            runner.run(main(stream))
            check_the_log(caplog)

        examples()
