"""Echo and one-way transfer over IOStream."""

import asyncio

import meter

from typhoon.iostream import IOStream, StreamClosedError
from typhoon.tcpclient import TCPClient
from typhoon.tcpserver import TCPServer


class Echo(TCPServer):
    async def handle_stream(self, stream: IOStream, address: tuple[str, int]) -> None:
        stream.set_nodelay(True)
        try:
            while True:
                await stream.write(await stream.read_bytes(meter.MESSAGE))
        except StreamClosedError:
            pass


class Receiver(TCPServer):
    async def handle_stream(self, stream: IOStream, address: tuple[str, int]) -> None:
        sink = meter.Sink()
        try:
            while sink.take(await stream.read_bytes(meter.PIECE, partial=True)):
                pass
            await stream.write(b"!")
            stream.close()
        except StreamClosedError:
            pass


async def send() -> None:
    client = TCPClient()
    for pieces in meter.sources():
        stream = await client.connect("127.0.0.1", meter.PORT)
        for piece in pieces:
            await stream.write(piece)
        await stream.read_bytes(1)
        stream.close()


async def serve(server: TCPServer) -> None:
    server.listen(meter.PORT, address="127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    match meter.job():
        case "echo":
            meter.run(serve(Echo()))
        case "receive":
            meter.run(serve(Receiver()))
        case "send":
            meter.run(send())
