"""Echo by an asyncio protocol: no coroutine and no task, as little as a loop can do."""

import asyncio

import meter


class Echo(asyncio.Protocol):
    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        data = self._received + data
        whole = len(data) - len(data) % meter.MESSAGE
        self._received = data[whole:]
        if whole:
            self._transport.write(data[:whole])


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, "127.0.0.1", meter.PORT)
    await server.serve_forever()


if __name__ == "__main__":
    meter.run(main())
