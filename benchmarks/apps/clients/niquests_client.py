"""The load of the HTTP clients on niquests."""

import meter
from niquests import AsyncSession


async def main() -> None:
    async with AsyncSession(
        pool_maxsize=meter.CONCURRENCY,
        verify=meter.CA_FILE,
        revocation_configuration=None,
        allow_incoming_cookies=False,
    ) as session:
        session.trust_env = False

        async def get() -> tuple[int, bytes]:
            response = await session.get(meter.URL)
            return response.status_code, response.content

        async def download(url: str, take: meter.Take) -> int:
            response = await session.get(url, stream=True)
            async for piece in await response.iter_content(256 << 10):
                take(piece)
            return response.status_code

        await meter.measure(get, download)


if __name__ == "__main__":
    meter.run(main())
