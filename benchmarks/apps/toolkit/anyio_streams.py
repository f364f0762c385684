"""Echo and one-way transfer over anyio's SocketStream, on asyncio with uvloop."""

from collections.abc import Awaitable, Callable

import anyio
import meter
from anyio import EndOfStream
from anyio.abc import SocketStream


async def echo(stream: SocketStream) -> None:
    async with stream:
        try:
            while True:
                await stream.send(await receive_exactly(stream, meter.MESSAGE))
        except EndOfStream:
            pass


async def receive_exactly(stream: SocketStream, size: int) -> bytes:
    """As anyio's buffered streams do it, without their cost when it arrives whole."""
    data = await stream.receive(size)
    while len(data) < size:
        data += await stream.receive(size - len(data))
    return data


async def receive(stream: SocketStream) -> None:
    async with stream:
        sink = meter.Sink()
        try:
            while sink.take(await stream.receive(meter.PIECE)):
                pass
        except EndOfStream:
            return
        await stream.send(b"!")


async def send() -> None:
    for pieces in meter.sources():
        async with await anyio.connect_tcp("127.0.0.1", meter.PORT) as stream:
            for piece in pieces:
                await stream.send(piece)
            await stream.receive(1)


async def serve(handler: Callable[[SocketStream], Awaitable[None]]) -> None:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=meter.PORT)
    await listener.serve(handler)


if __name__ == "__main__":
    options = {"use_uvloop": True}
    match meter.job():
        case "echo":
            anyio.run(serve, echo, backend_options=options)
        case "receive":
            anyio.run(serve, receive, backend_options=options)
        case "send":
            anyio.run(send, backend_options=options)
