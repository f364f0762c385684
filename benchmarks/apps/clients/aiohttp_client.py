"""The load of the HTTP clients on aiohttp."""

import meter
from aiohttp import ClientSession, DummyCookieJar, TCPConnector


async def main() -> None:
    tls = meter.tls_context() if meter.URL.startswith("https:") else True
    connector = TCPConnector(limit=meter.CONCURRENCY, ssl=tls)
    async with ClientSession(connector=connector, cookie_jar=DummyCookieJar()) as session:

        async def get() -> tuple[int, bytes]:
            async with session.get(meter.URL) as response:
                return response.status, await response.read()

        async def download(url: str, take: meter.Take) -> int:
            async with session.get(url) as response:
                async for piece in response.content.iter_any():
                    take(piece)
                return response.status

        await meter.measure(get, download)


if __name__ == "__main__":
    meter.run(main())
