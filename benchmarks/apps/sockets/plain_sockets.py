"""The limit of broadcasting: one `write` of the system for each subscriber, in a loop.

It knows frames of up to 125 bytes, each in one piece, and nothing else of WebSockets.
"""

import asyncio
import base64
import hashlib
import os
import re
from typing import Any

import uvloop

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
KEY = re.compile(rb"Sec-WebSocket-Key: (\S+)")
MASKED_HEAD = 6
subscribers: set[int] = set()


class Connection(asyncio.Protocol):
    path = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.fd: int = transport.get_extra_info("socket").fileno()

    def data_received(self, data: bytes) -> None:
        if not self.path:
            self.open(data)
            return
        key, payload = data[2:MASKED_HEAD], data[MASKED_HEAD:]
        text = bytes(byte ^ key[place % 4] for place, byte in enumerate(payload))
        frame = bytes([data[0], len(text)]) + text
        if self.path != b"/publish":
            self.transport.write(frame)
            return
        for fd in subscribers:
            os.write(fd, frame)

    def open(self, request: bytes) -> None:
        self.path = request.split(b" ", 2)[1]
        key = KEY.search(request)
        assert key
        accept = base64.b64encode(hashlib.sha1(key[1] + GUID).digest())
        self.transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        if self.path == b"/subscribe":
            subscribers.add(self.fd)

    def connection_lost(self, exc: Exception | None) -> None:
        subscribers.discard(self.fd)


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", int(os.environ["PORT"]))
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
