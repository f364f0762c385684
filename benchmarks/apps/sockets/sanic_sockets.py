"""WebSockets on Sanic, served by its own server in one process."""

import os

from sanic import Request, Sanic, Websocket

app = Sanic("benchmark", configure_logging=False)
app.config.ACCESS_LOG = False
app.config.WEBSOCKET_PING_INTERVAL = None
app.config.WEBSOCKET_PING_TIMEOUT = None

subscribers: set[Websocket] = set()


@app.websocket("/echo")
async def echo(request: Request, socket: Websocket) -> None:
    async for message in socket:
        await socket.send(message)


@app.websocket("/subscribe")
async def subscribe(request: Request, socket: Websocket) -> None:
    subscribers.add(socket)
    try:
        await echo(request, socket)
    finally:
        subscribers.discard(socket)


@app.websocket("/publish")
async def publish(request: Request, socket: Websocket) -> None:
    async for message in socket:
        for subscriber in subscribers:
            await subscriber.send(message)


if __name__ == "__main__":
    app.run(
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        single_process=True,
        access_log=False,
        motd=False,
    )
