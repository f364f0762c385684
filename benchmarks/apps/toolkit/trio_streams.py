"""Echo and one-way transfer over trio's SocketStream."""

from collections.abc import Awaitable, Callable
from functools import partial

import meter
import trio
from trio import SocketStream


async def echo(stream: SocketStream) -> None:
    while message := await receive_exactly(stream, meter.MESSAGE):
        await stream.send_all(message)


async def receive_exactly(stream: SocketStream, size: int) -> bytes:
    """Trio has nothing of its own for this; b"" when the connection ends."""
    data = await stream.receive_some(size)
    while 0 < len(data) < size:
        more = await stream.receive_some(size - len(data))
        data = data + more if more else b""
    return data


async def receive(stream: SocketStream) -> None:
    sink = meter.Sink()
    while sink.take(await stream.receive_some(meter.PIECE)):
        pass
    try:
        await stream.send_all(b"!")
    except trio.BrokenResourceError:
        pass


async def send() -> None:
    for pieces in meter.sources():
        async with await trio.open_tcp_stream("127.0.0.1", meter.PORT) as stream:
            for piece in pieces:
                await stream.send_all(piece)
            await stream.receive_some(1)


def serve(handler: Callable[[SocketStream], Awaitable[None]]) -> None:
    trio.run(partial(trio.serve_tcp, handler, meter.PORT, host="127.0.0.1"))


if __name__ == "__main__":
    match meter.job():
        case "echo":
            serve(echo)
        case "receive":
            serve(receive)
        case "send":
            trio.run(send)
