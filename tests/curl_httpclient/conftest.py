"""A client on each kind of loop, and a server."""

from collections.abc import Callable

import pytest

from fetch_servers import APP, client, io_loop, no_proxies
from support import Server
from typhoon.curl_httpclient import CurlAsyncHTTPClient

__all__ = ["client", "io_loop", "no_proxies"]


@pytest.fixture
def client_class() -> type[CurlAsyncHTTPClient]:
    return CurlAsyncHTTPClient


@pytest.fixture
def server(serve: Callable[..., Server]) -> Server:
    return serve(APP)
