"""The load of the HTTP clients on httpx."""

import meter
from httpx import AsyncClient, Limits


async def main() -> None:
    limits = Limits(max_connections=meter.CONCURRENCY, max_keepalive_connections=meter.CONCURRENCY)
    async with AsyncClient(limits=limits, verify=meter.tls_context(), trust_env=False) as client:

        async def get() -> tuple[int, bytes]:
            response = await client.get(meter.URL)
            return response.status_code, response.content

        async def download(url: str, take: meter.Take) -> int:
            async with client.stream("GET", url) as response:
                async for piece in response.aiter_raw():
                    take(piece)
                return response.status_code

        await meter.measure(get, download)


if __name__ == "__main__":
    meter.run(main())
