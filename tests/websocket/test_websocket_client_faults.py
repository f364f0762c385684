"""What servers do to a client that they should not."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import re
import socket
import struct
import tracemalloc
import weakref
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from peers import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close_payload, encode

from support import TIMEOUT, without_collector
from typhoon.httpclient import HTTPClientError, Stage
from typhoon.simple_httpclient import HTTPTimeoutError
from typhoon.testing import bind_unused_port
from typhoon.websocket import (
    WebSocketClientConnection,
    WebSocketClosedError,
    WebSocketError,
    websocket_connect,
)
from typhoon.websocket.handshake import accept_value

BOUND = 8 << 20
SWITCHES = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: {accept}\r\n\r\n"
)
ZIPS = SWITCHES[:-2] + "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"


class End:
    """The server's end of a connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.loop = asyncio.get_running_loop()
        self.received = b""

    async def shake_hands(self, answer: str = SWITCHES, glued: bytes = b"") -> None:
        while b"\r\n\r\n" not in self.received:
            self.received += await self.loop.sock_recv(self.socket, 1 << 16)
        key = re.findall(b"(?i)^sec-websocket-key: (.*)\r", self.received, re.MULTILINE)[0]
        self.received = b""
        await self.send(answer.replace("{accept}", accept_value(key)).encode() + glued)

    async def send(self, data: bytes) -> None:
        await self.loop.sock_sendall(self.socket, data)

    async def gone(self) -> None:
        """Read on until the client has gone."""
        with contextlib.suppress(ConnectionError):
            while data := await self.loop.sock_recv(self.socket, 1 << 16):
                self.received += data

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


Script = Callable[[End], Awaitable[None]]


@contextlib.asynccontextmanager
async def hostile(script: Script) -> AsyncIterator[str]:
    """A server whose connections go by the script. Of them and of the client's nothing is left."""
    loop = asyncio.get_running_loop()
    sock, port = bind_unused_port()
    sock.setblocking(False)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(accepted: socket.socket) -> None:
        with accepted, contextlib.suppress(ConnectionError):
            accepted.setblocking(False)
            await script(End(accepted))

    async def accept() -> None:
        while True:
            tasks.add(asyncio.ensure_future(serve((await loop.sock_accept(sock))[0])))

    accepting = asyncio.ensure_future(accept())
    (await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)).close()  # opens pipes, once
    await asyncio.sleep(0.001)
    files = open_files()
    gc.collect()
    clients.clear()
    try:
        with without_collector():
            yield f"ws://127.0.0.1:{port}/"
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await eventually(lambda: open_files() <= files)
            await eventually(lambda: not clients)
    finally:
        accepting.cancel()
        await asyncio.gather(accepting, return_exceptions=True)
        sock.close()
    await eventually(lambda: asyncio.all_tasks() == {asyncio.current_task()})


clients: weakref.WeakSet[WebSocketClientConnection] = weakref.WeakSet()


async def connected(*args: Any, **options: Any) -> WebSocketClientConnection:
    ws = await websocket_connect(*args, **options)
    clients.add(ws)
    return ws


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


async def flood(ws: WebSocketClientConnection) -> None:
    while True:
        await ws.write_message(bytes(1 << 20), binary=True)


async def eventually(condition: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError


@pytest.fixture(autouse=True)
def _quiet(quiet: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The peer has one part of a second for its part of the end."""
    monkeypatch.setattr("typhoon.websocket.protocol.CLOSE_TIMEOUT", 0.2)


# Handshakes


@pytest.mark.parametrize(
    ("answer", "stage"),
    [
        ("", Stage.WAITING),
        ("HTTP/1.1 101 Swi", Stage.HEAD),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1", Stage.BODY),
        ("\x16\x03\x01", Stage.HEAD),
        ("HTTP/1.1 101 \r\n" + "A: b\r\n" * 200_000, Stage.HEAD),
        ("HTTP/1.1 404 No\r\n\r\n" + "x" * (2 << 20), Stage.BODY),
        (SWITCHES.replace("{accept}", "none"), Stage.BODY),
        (ZIPS, Stage.BODY),
    ],
    ids=range(8),
)
@pytest.mark.parametrize("how", ["close", "reset"])
def test_handshakes_that_come_to_nothing(run, answer, stage, how):
    async def script(end: End) -> None:
        await end.shake_hands(answer)
        if how == "reset":
            end.reset()

    async def main() -> None:
        async with hostile(script) as url:
            with pytest.raises((WebSocketError, ConnectionError)) as caught:
                await connected(url)
            assert caught.value.url == url
            assert caught.value.stage in (stage, Stage.HEAD, Stage.WAITING)
            del caught

    run(main)


@pytest.mark.parametrize("piece", [b"HTTP/1.1 100 Continue\r\n\r\n", b"x"])
def test_handshakes_that_drip(run, piece):
    async def script(end: End) -> None:
        await end.shake_hands("" if piece[:1] == b"H" else "HTTP/1.1 101 Switching\r\nA: ")
        while True:
            await end.send(piece)
            await asyncio.sleep(0.01)

    async def main() -> None:
        async with hostile(script) as url:
            with pytest.raises(HTTPTimeoutError) as caught:
                await connected(url, connect_timeout=0.3)
            assert caught.value.stage is Stage.HEAD
            del caught

    run(main)


def test_a_refusal_without_a_length(run):
    async def script(end: End) -> None:
        await end.shake_hands("HTTP/1.1 403 No\r\n\r\nbecause")

    async def main() -> None:
        async with hostile(script) as url:
            with pytest.raises(HTTPClientError, match="403") as caught:
                await connected(url)
            assert caught.value.response.body == b"because"
            del caught

    run(main)


def test_messages_glued_to_the_handshake(run):
    async def script(end: End) -> None:
        frames = [encode(TEXT, b"%d" % n, masked=False) for n in range(100)]
        await end.shake_hands(glued=b"".join([*frames, encode(CLOSE, masked=False)]))

    async def main() -> None:
        async with hostile(script) as url:
            ws = await connected(url)
            for n in range(100):
                assert await ws.read_message() == str(n)
            assert await ws.read_message() is None
            del ws

    run(main)


# What comes behind them


def deflated(data: bytes) -> bytes:
    compressor = zlib.compressobj(9, wbits=-15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


@pytest.mark.parametrize(
    ("sent", "codes"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n" * 9, {1002}),
        (random.Random(1).randbytes(1 << 20), {1002, 1007, 1009}),
        (encode(TEXT, b"a"), {1002}),
        (encode(BINARY, bytes(100_001), masked=False), {1009}),
        (encode(TEXT, bytes(1000), fin=False, masked=False) * 2, {1002}),
        (
            encode(TEXT, b"", fin=False, masked=False)
            + encode(CONTINUATION, b"x" * 1000, fin=False, masked=False) * 200,
            {1009},
        ),
        (encode(BINARY, deflated(bytes(1 << 24)) * 32, rsv=4, masked=False), {1009}),
    ],
    ids=["HTTP", "random", "masked", "big", "interleaved", "endless", "bomb"],
)
@pytest.mark.parametrize("glued", [True, False])
def test_servers_that_break_the_rules(run, sent, codes, glued):
    ends = []

    async def script(end: End) -> None:
        ends.append(end)
        await end.shake_hands(ZIPS, sent if glued else b"")
        if not glued:
            await end.send(sent)
        await end.gone()

    async def main() -> None:
        async with hostile(script) as url:
            tracemalloc.start()
            ws = await connected(url, compression_options={}, max_message_size=100_000)
            while await ws.read_message() is not None:
                pass
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert peak < BOUND
            with pytest.raises(WebSocketClosedError):
                ws.write_message("late")
            await eventually(lambda: len(ends[0].received) >= 8)
            del ws
        frame = ends[0].received
        assert frame[0] == 0x80 | CLOSE
        code = bytes(a ^ b for a, b in zip(frame[6:8], frame[2:4], strict=True))
        assert struct.unpack("!H", code)[0] in codes
        assert (
            struct.unpack("!H", bytes(a ^ b for a, b in zip(frame[6:8], frame[2:4], strict=True)))[
                0
            ]
            in codes
        )

    run(main)


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize(
    "sent", [b"", encode(TEXT, b"a", masked=False), encode(TEXT, b"a", fin=False, masked=False)]
)
def test_servers_that_vanish(run, how, sent):
    async def script(end: End) -> None:
        await end.shake_hands(glued=sent)
        if how == "reset":
            await asyncio.sleep(0.05)  # else what was sent is lost with the connection
            end.reset()

    async def main() -> None:
        async with hostile(script) as url:
            ws = await connected(url)
            if sent[:1] == b"\x81":
                assert await ws.read_message() == "a"
            assert await ws.read_message() is None
            assert ws.close_code is None
            del ws

    run(main)


@pytest.mark.parametrize("floods", [False, True])
def test_half_open_connections(run, monkeypatch, floods):
    """The server neither reads nor answers. Pings find it out, whatever waits to be sent."""
    monkeypatch.setattr("typhoon.websocket.protocol.STUCK_TIMEOUT", 0.2)

    async def script(end: End) -> None:
        await end.shake_hands()
        await asyncio.Event().wait()

    async def main() -> None:
        async with hostile(script) as url:
            ws = await connected(url, ping_interval=0.1)
            if floods:
                with pytest.raises(WebSocketClosedError):
                    await flood(ws)
            assert await ws.read_message() is None
            del ws

    run(main)


def test_pings_of_a_server_that_never_reads(run):
    async def script(end: End) -> None:
        await end.shake_hands()
        for _ in range(200):
            await end.send(encode(PING, bytes(125), masked=False) * 1000)
        end.reset()

    async def main() -> None:
        async with hostile(script) as url:
            tracemalloc.start()
            ws = await connected(url)
            assert await ws.read_message() is None
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert peak < BOUND
            del ws

    run(main)


def test_floods_of_fragments(run):
    async def script(end: End) -> None:
        await end.shake_hands()
        await end.send(encode(TEXT, b"", fin=False, masked=False))
        await end.send(encode(CONTINUATION, b"x", fin=False, masked=False) * 100_000)
        await end.send(encode(CONTINUATION, b"", fin=False, masked=False) * 300_000)
        await end.send(encode(CONTINUATION, b"", masked=False) + encode(CLOSE, masked=False))
        await end.gone()

    async def main() -> None:
        async with hostile(script) as url:
            ws = await connected(url)
            assert await ws.read_message() == "x" * 100_000
            assert await ws.read_message() is None
            del ws

    run(main)


@pytest.mark.parametrize("answers", ["never", "with messages", "half"])
def test_closing_handshakes_that_are_not_answered(run, answers):
    async def script(end: End) -> None:
        await end.shake_hands()
        if answers == "with messages":
            while True:
                await end.send(encode(TEXT, b"more", masked=False))
                await asyncio.sleep(0.001)
        if answers == "half":
            await end.send(encode(CLOSE, close_payload(1000), masked=False))
        await end.gone()

    async def main() -> None:
        async with hostile(script) as url:
            ws = await connected(url)
            ws.close(1000)
            while await ws.read_message() is not None:
                pass
            del ws

    run(main)


def test_many_close_at_once(run):
    count = 300

    async def script(end: End) -> None:
        await end.shake_hands()
        await leave.wait()
        await end.send(encode(CLOSE, close_payload(1001), masked=False))
        await end.gone()

    async def main() -> None:
        async with hostile(script) as url:
            many = await asyncio.gather(*(connected(url) for _ in range(count)))
            reading = [ws.read_message() for ws in many]
            leave.set()
            assert await asyncio.gather(*reading) == [None] * count
            assert {ws.close_code for ws in many} == {1001}
            many.clear()
            reading.clear()

    leave = asyncio.Event()
    run(main)


# The application's own ends


@pytest.mark.parametrize("what", ["reading", "writing"])
def test_cancelling_what_waits(run, what):
    async def script(end: End) -> None:
        await end.shake_hands()
        await go_on.wait()
        await end.send(encode(TEXT, b"hello", masked=False))
        await end.gone()

    async def main() -> None:
        async with hostile(script) as url:
            ws = await connected(url)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(flood(ws) if what == "writing" else ws.read_message(), 0.05)
            go_on.set()
            assert await ws.read_message() == "hello"  # nobody else has it
            ws.close()
            assert await ws.read_message() is None
            del ws

    go_on = asyncio.Event()
    run(main)


def test_closing_while_much_is_to_be_written(run, monkeypatch):
    monkeypatch.setattr("typhoon.websocket.protocol.CLOSE_TIMEOUT", TIMEOUT)
    received = []

    async def script(end: End) -> None:
        await end.shake_hands()
        await asyncio.sleep(0.05)
        while len(end.received) < (1 << 23) + 14 + 8:  # the message, and Close
            end.received += await end.loop.sock_recv(end.socket, 1 << 16)
        received.append(len(end.received))

    async def main() -> None:
        async with hostile(script) as url:
            ws = await connected(url)
            waiting = ws.write_message(bytes(1 << 23), binary=True)
            ws.close(1000)
            with contextlib.suppress(WebSocketClosedError):
                await waiting
            assert await ws.read_message() is None
            del ws, waiting
            await eventually(lambda: len(received) == 1)
        assert received[0] > 1 << 23

    run(main)


def test_a_callback_that_fails(run, caplog):
    async def script(end: End) -> None:
        await end.shake_hands(glued=encode(TEXT, b"a", masked=False))
        await end.gone()

    async def main() -> None:
        seen: list[Any] = []
        ended = asyncio.Event()

        async def on_message(message: str | bytes | None) -> None:
            seen.append(message)
            await asyncio.sleep(0)
            if message is None:
                ended.set()
            else:
                raise RuntimeError("in the callback")

        async with hostile(script) as url:
            await websocket_connect(url, on_message_callback=on_message)
            await ended.wait()
            assert seen == ["a", None]

    run(main)
    (record,) = caplog.records
    assert (record.levelname, record.name) == ("ERROR", "typhoon.application")
    caplog.clear()


def test_pongs_without_a_ping(run):
    async def script(end: End) -> None:
        await end.shake_hands()
        await end.send(encode(PONG, b"?", masked=False) * 100_000 + encode(CLOSE, masked=False))
        await end.gone()

    async def main() -> None:
        async with hostile(script) as url:
            ws = await connected(url)
            assert await ws.read_message() is None
            del ws

    run(main)
