"""Echo and one-way transfer over curio's sockets."""

from collections.abc import Awaitable, Callable
from socket import IPPROTO_TCP, TCP_NODELAY

import curio
import meter
from curio.io import Socket


async def echo(client: Socket, address: tuple[str, int]) -> None:
    client.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    async with client:
        while message := await receive_exactly(client, meter.MESSAGE):
            await client.sendall(message)


async def receive_exactly(client: Socket, size: int) -> bytes:
    """Curio's sockets have nothing of their own for this; b"" when the connection ends."""
    data = await client.recv(size)
    while 0 < len(data) < size:
        more = await client.recv(size - len(data))
        data = data + more if more else b""
    return data


async def receive(client: Socket, address: tuple[str, int]) -> None:
    async with client:
        sink = meter.Sink()
        while sink.take(await client.recv(meter.PIECE)):
            pass
        await client.sendall(b"!")


async def send() -> None:
    for pieces in meter.sources():
        connection = await curio.open_connection("127.0.0.1", meter.PORT)
        async with connection:
            for piece in pieces:
                await connection.sendall(piece)
            await connection.recv(1)


def serve(handler: Callable[[Socket, tuple[str, int]], Awaitable[None]]) -> None:
    curio.run(curio.tcp_server, "127.0.0.1", meter.PORT, handler)


if __name__ == "__main__":
    match meter.job():
        case "echo":
            serve(echo)
        case "receive":
            serve(receive)
        case "send":
            curio.run(send)
