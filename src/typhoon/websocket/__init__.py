"""WebSockets (RFC 6455), for servers and clients, with compression (RFC 7692).

A handler, in an application as any other:

    class Echo(WebSocketHandler):
        def open(self):
            print("somebody is there")

        async def on_message(self, message):
            await self.write_message("You said: " + message)

        def on_close(self):
            print("gone, with", self.close_code)

In a browser:

    const ws = new WebSocket("ws://localhost:8888/echo");
    ws.onopen = () => ws.send("Hello");
    ws.onmessage = (event) => alert(event.data);

Or in Python: see `websocket_connect`.
"""

from typhoon.websocket.broadcasting import broadcast
from typhoon.websocket.client import WebSocketClientConnection
from typhoon.websocket.connect import websocket_connect
from typhoon.websocket.errors import WebSocketClosedError, WebSocketError
from typhoon.websocket.handler import WebSocketHandler
from typhoon.websocket.interface import WebSocketProtocol
from typhoon.websocket.pinging import de_dupe_gen_log
from typhoon.websocket.protocol import WebSocketProtocol13

__all__ = [
    "WebSocketClientConnection",
    "WebSocketClosedError",
    "WebSocketError",
    "WebSocketHandler",
    "WebSocketProtocol",
    "WebSocketProtocol13",
    "broadcast",
    "de_dupe_gen_log",
    "websocket_connect",
]
