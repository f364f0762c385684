"""The load of the HTTP clients on pyreqwest."""

import os
import sys

import meter
from pyreqwest.client import ClientBuilder


async def main() -> None:
    builder = ClientBuilder().pool_max_idle_per_host(meter.CONCURRENCY).no_proxy()
    # Its TLS takes no certificate that signs itself and is no authority's.
    builder = builder.danger_accept_invalid_certs(True)
    async with builder.build() as client:

        async def get() -> tuple[int, bytes]:
            response = await client.get(meter.URL).build().send()
            return response.status, await response.bytes()

        async def download(url: str, take: meter.Take) -> int:
            async with client.get(url).build_streamed() as response:
                reader = response.body_reader
                while piece := await reader.read_chunk():
                    take(piece)
                return response.status

        await meter.measure(get, download)


if __name__ == "__main__":
    meter.run(main())
    sys.stdout.flush()
    os._exit(0)  # its threads sometimes make an interpreter abort that ends in the ordinary way
