"""WebSockets as RSGI, granian's own interface."""

from typing import Any

CLOSE, TEXT = 0, 2  # kinds of messages; 1 is binary
subscribers: set[Any] = set()


async def app(scope: Any, protocol: Any) -> None:
    transport = await protocol.accept()
    if scope.path == "/subscribe":
        subscribers.add(transport)
    try:
        await (publish if scope.path == "/publish" else echo)(transport)
    finally:
        subscribers.discard(transport)
    protocol.close()


async def echo(transport: Any) -> None:
    while (message := await transport.receive()).kind != CLOSE:
        if message.kind == TEXT:
            await transport.send_str(message.data)
        else:
            await transport.send_bytes(message.data)


async def publish(transport: Any) -> None:
    while (message := await transport.receive()).kind != CLOSE:
        for subscriber in subscribers:
            await subscriber.send_str(message.data)
