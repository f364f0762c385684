"""Echo and one-way transfer over asyncio's StreamReader and StreamWriter."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable

import meter


async def echo(reader: StreamReader, writer: StreamWriter) -> None:
    try:
        while True:
            writer.write(await reader.readexactly(meter.MESSAGE))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def receive(reader: StreamReader, writer: StreamWriter) -> None:
    sink = meter.Sink()
    while sink.take(await reader.read(meter.PIECE)):
        pass
    writer.write(b"!")
    writer.close()


async def send() -> None:
    for pieces in meter.sources():
        reader, writer = await asyncio.open_connection("127.0.0.1", meter.PORT)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        await reader.readexactly(1)
        writer.close()


async def serve(handler: Callable[[StreamReader, StreamWriter], Awaitable[None]]) -> None:
    server = await asyncio.start_server(handler, "127.0.0.1", meter.PORT)
    await server.serve_forever()


if __name__ == "__main__":
    match meter.job():
        case "echo":
            meter.run(serve(echo))
        case "receive":
            meter.run(serve(receive))
        case "send":
            meter.run(send())
