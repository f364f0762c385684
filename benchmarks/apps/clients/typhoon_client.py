"""The load of the HTTP clients on `AsyncHTTPClient`; the first argument is `simple` or `curl`."""

import sys

import meter

from typhoon.httpclient import AsyncHTTPClient, HTTPRequest


async def main(implementation: str) -> None:
    sizes = {}
    if implementation == "curl":
        from typhoon.curl_httpclient import CurlAsyncHTTPClient

        AsyncHTTPClient.configure(CurlAsyncHTTPClient)
        tls = {"ca_certs": meter.CA_FILE}
    else:
        sizes = {"max_body_size": 2 << 30}
        tls = {"ssl_options": meter.tls_context()}
    options = tls if meter.URL.startswith("https:") else {}
    client = AsyncHTTPClient(max_clients=meter.CONCURRENCY, **sizes)

    async def get() -> tuple[int, bytes]:
        response = await client.fetch(meter.URL, **options)
        return response.code, response.body

    async def download(url: str, take: meter.Take) -> int:
        request = HTTPRequest(url, streaming_callback=take, request_timeout=600)
        return (await client.fetch(request)).code

    await meter.measure(get, download)
    client.close()


if __name__ == "__main__":
    meter.run(main(sys.argv.pop(1)))
