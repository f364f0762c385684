"""The other side of a WebSocket, byte by byte; and handlers that say what they see."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import queue
import struct
from dataclasses import dataclass
from typing import Any

from support import TIMEOUT, Client, Response, Server
from typhoon.websocket import WebSocketHandler

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
CONTINUATION = 0
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass
class Frame:
    opcode: int
    payload: bytes
    fin: bool = True
    rsv: int = 0

    @property
    def close(self) -> tuple[int, str]:
        assert self.opcode == CLOSE, self
        return struct.unpack("!H", self.payload[:2])[0], self.payload[2:].decode()


def encode(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True
) -> bytes:
    """A frame, as a client sends it."""
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    bit = 0x80 if masked else 0
    if len(payload) < 126:
        head = struct.pack("!BB", first, bit | len(payload))
    elif len(payload) < 1 << 16:
        head = struct.pack("!BBH", first, bit | 126, len(payload))
    else:
        head = struct.pack("!BBQ", first, bit | 127, len(payload))
    if not masked:
        return head + payload
    key = os.urandom(4)
    return head + key + mask(payload, key)


def mask(payload: bytes, key: bytes) -> bytes:
    """The payload XOR the key, over and over (RFC 6455 §5.3)."""
    count = len(payload)
    keys = (key * (count // 4 + 1))[:count]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(keys, "big")).to_bytes(count, "big")


def close_payload(code: int, reason: str = "") -> bytes:
    return struct.pack("!H", code) + reason.encode()


class Peer:
    """A client that shakes hands by the book, and then sends what it is told."""

    def __init__(self, client: Client, target: str = "/", **headers: str) -> None:
        self.client = client
        self.key = base64.b64encode(os.urandom(16)).decode()
        self.response = client.request("GET", target, self.handshake(headers))
        assert self.response.status == 101, self.response

    def handshake(self, headers: dict[str, str]) -> dict[str, str]:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": self.key,
        } | names

    @property
    def accept(self) -> str:
        return base64.b64encode(hashlib.sha1(self.key.encode() + GUID).digest()).decode()

    def send(self, opcode: int, payload: bytes = b"", **options: Any) -> None:
        self.client.send(encode(opcode, payload, **options))

    def text(self, text: str) -> None:
        self.send(TEXT, text.encode())

    def close(self, code: int = 1000, reason: str = "") -> None:
        self.send(CLOSE, close_payload(code, reason))

    def receive(self) -> Frame:
        first, second = self.client.read_exactly(2)
        assert not second & 0x80, "a server's frame is masked"
        length = second
        if second == 126:
            (length,) = struct.unpack("!H", self.client.read_exactly(2))
        elif second == 127:
            (length,) = struct.unpack("!Q", self.client.read_exactly(8))
        payload = self.client.read_exactly(length)
        return Frame(first & 0x0F, payload, bool(first & 0x80), first >> 4 & 7)

    def read_text(self) -> str:
        frame = self.receive()
        assert (frame.opcode, frame.fin, frame.rsv) == (TEXT, True, 0), frame
        return frame.payload.decode()

    def is_closed(self) -> bool:
        return self.client.is_closed()


def connect(server: Server, target: str = "/", **headers: str) -> Peer:
    return Peer(server.connect(), target, **headers)


def refused(server: Server, headers: dict[str, str | None], target: str = "/") -> Response:
    """What a handshake is answered that differs from a good one in these headers."""
    good: dict[str, str | None] = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    sent = {name: value for name, value in (good | headers).items() if value is not None}
    return server.get(target, sent)


class Noting(WebSocketHandler):
    """Notes what happens to it, where tests can wait for it."""

    def initialize(self, events: queue.Queue[tuple[Any, ...]] | None = None) -> None:
        self.events = queue.Queue() if events is None else events

    def open(self, *args: str) -> None:
        self.events.put(("open", *args))

    def on_message(self, message: str | bytes) -> Any:
        self.events.put(("message", message))

    def on_ping(self, data: bytes) -> None:
        self.events.put(("ping", data))

    def on_pong(self, data: bytes) -> None:
        self.events.put(("pong", data))

    def on_close(self) -> None:
        self.events.put(("close", self.close_code, self.close_reason))


class Echo(WebSocketHandler):
    async def on_message(self, message: str | bytes) -> None:
        await self.write_message(message, isinstance(message, bytes))


class Events:
    """The queue of a `Noting` handler, with a limit to the patience."""

    def __init__(self) -> None:
        self.queue: queue.Queue[tuple[Any, ...]] = queue.Queue()

    def next(self) -> tuple[Any, ...]:
        return self.queue.get(timeout=TIMEOUT)

    def is_empty(self) -> bool:
        with contextlib.suppress(queue.Empty):
            raise AssertionError(f"unexpected: {self.queue.get_nowait()}")
        return True

    @property
    def arguments(self) -> dict[str, Any]:
        return {"events": self.queue}
