"""The client for programs without an event loop."""

import asyncio
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from fake_client import FakeClient
from http_servers import echoed
from support import Server
from typhoon.httpclient import AsyncHTTPClient, HTTPClient, HTTPError
from typhoon.ioloop import IOLoop


def test_fetching(server: Server, client_class: type[AsyncHTTPClient]) -> None:
    current = IOLoop.current(instance=False)
    client = HTTPClient(client_class)
    assert client.fetch(server.url("/big/1")).body == b"000000000\n"
    with pytest.raises(HTTPError, match="418"):
        client.fetch(server.url("/failing"))
    assert client.fetch(server.url("/failing"), raise_error=False).code == 418
    client.close()
    client.close()
    with pytest.raises(RuntimeError, match="closed HTTPClient"):
        client.fetch(server.url("/big/1"))
    assert IOLoop.current(instance=False) is current


def test_several_in_turn_and_at_once(server: Server, client_class: type[AsyncHTTPClient]) -> None:
    with closing(HTTPClient(client_class)) as first, closing(HTTPClient(client_class)) as second:
        for client in (first, second, first):
            assert echoed(client.fetch(server.url("/echo")))["method"] == "GET"


def test_in_threads(server: Server, client_class: type[AsyncHTTPClient]) -> None:
    def fetch(number: int) -> Any:
        with closing(HTTPClient(client_class)) as client:
            return echoed(client.fetch(server.url(f"/echo?{number}")))["uri"]

    with ThreadPoolExecutor(4) as executor:
        assert list(executor.map(fetch, range(8))) == [f"/echo?{number}" for number in range(8)]


def test_where_a_loop_runs(server: Server) -> None:
    def fetch() -> int:
        with closing(HTTPClient()) as client:
            return client.fetch(server.url("/big/1")).code

    async def main(client: HTTPClient) -> int:
        with pytest.raises(RuntimeError, match=r"await AsyncHTTPClient\(\).fetch"):
            HTTPClient()
        with pytest.raises(RuntimeError, match=r"await AsyncHTTPClient\(\).fetch"):
            client.fetch(server.url("/big/1"))
        return await asyncio.to_thread(fetch)

    with closing(HTTPClient()) as client:
        assert asyncio.run(main(client)) == 200


def test_another_class() -> None:
    with closing(HTTPClient(FakeClient, size=4)) as client:
        assert client.fetch("http://x/200").body == b"body"
        assert client._async_client.size == 4


def test_a_client_that_cannot_be_made_leaves_nothing_behind() -> None:
    with pytest.raises(TypeError, match="colour"):
        HTTPClient(colour="red")


@pytest.mark.parametrize("fetch", ["", "; c.fetch('{url}')"])
def test_a_client_that_is_left_open_does_not_complain(server: Server, fetch: str) -> None:
    program = "from typhoon.httpclient import HTTPClient; f = lambda: None; c = HTTPClient()"
    program += fetch.format(url=server.url("/big/1"))
    command = [sys.executable, "-W", "error", "-c", program]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
