"""WebSockets as bare ASGI, for uvicorn with each of its implementations."""

from collections.abc import Awaitable, Callable
from typing import Any

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

subscribers: set[Send] = set()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    if scope["path"] == "/publish":
        await publish(receive)
        return
    if scope["path"] == "/subscribe":
        subscribers.add(send)
    try:
        await echo(receive, send)
    finally:
        subscribers.discard(send)


async def echo(receive: Receive, send: Send) -> None:
    while (event := await receive())["type"] == "websocket.receive":
        text = event.get("text")
        if text is not None:
            await send({"type": "websocket.send", "text": text})
        else:
            await send({"type": "websocket.send", "bytes": event["bytes"]})


async def publish(receive: Receive) -> None:
    while (event := await receive())["type"] == "websocket.receive":
        message = {"type": "websocket.send", "text": event["text"]}
        for send in subscribers:
            await send(message)
