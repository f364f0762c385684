"""WebSockets on socketify, whose publishing is native."""

import os
from typing import Any

from socketify import App, CompressOptions, OpCode, WebSocket
from socketify.dataclasses import AppListenOptions

OPTIONS = {
    "compression": CompressOptions.DISABLED,
    "max_payload_length": 1 << 20,
    "idle_timeout": 0,
}


def echo(socket: WebSocket, message: Any, opcode: OpCode) -> None:
    socket.send(message, opcode)


def publish(socket: WebSocket, message: Any, opcode: OpCode) -> None:
    app.publish("room", message, opcode)


if __name__ == "__main__":
    app = App()
    app.ws("/echo", {**OPTIONS, "message": echo})
    app.ws(
        "/subscribe",
        {**OPTIONS, "open": lambda socket: socket.subscribe("room"), "message": echo},
    )
    app.ws("/publish", {**OPTIONS, "message": publish})
    app.listen(AppListenOptions(port=int(os.environ["PORT"]), host="127.0.0.1"))
    app.run()
