"""WebSockets on the websockets library, on uvloop, with its own broadcast."""

import os

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve

subscribers: set[ServerConnection] = set()


async def handle(socket: ServerConnection) -> None:
    path = socket.request.path if socket.request else ""
    if path == "/publish":
        async for message in socket:
            broadcast(subscribers, message)
        return
    if path == "/subscribe":
        subscribers.add(socket)
    try:
        async for message in socket:
            await socket.send(message)
    finally:
        subscribers.discard(socket)


async def main() -> None:
    port = int(os.environ["PORT"])
    async with serve(handle, "127.0.0.1", port, compression=None, ping_interval=None) as server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
