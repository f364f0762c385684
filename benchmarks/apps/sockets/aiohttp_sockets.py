"""WebSockets on aiohttp, served by its own runner on uvloop."""

import os

import uvloop
from aiohttp import WSMsgType, web

subscribers: set[web.WebSocketResponse] = set()


async def echo(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(compress=False)
    await socket.prepare(request)
    if request.path == "/subscribe":
        subscribers.add(socket)
    try:
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await socket.send_str(message.data)
            else:
                await socket.send_bytes(message.data)
    finally:
        subscribers.discard(socket)
    return socket


async def publish(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(compress=False)
    await socket.prepare(request)
    async for message in socket:
        for subscriber in subscribers:
            await subscriber.send_str(message.data)
    return socket


if __name__ == "__main__":
    app = web.Application()
    app.add_routes(
        [web.get("/echo", echo), web.get("/subscribe", echo), web.get("/publish", publish)]
    )
    web.run_app(
        app,
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        access_log=None,
        print=None,
        loop=uvloop.new_event_loop(),
    )
