"""A client on each kind of loop, and a server."""

import pytest

from fetch_servers import client, io_loop, no_proxies, server
from typhoon.curl_httpclient import CurlAsyncHTTPClient

__all__ = ["client", "io_loop", "no_proxies", "server"]


@pytest.fixture
def client_class() -> type[CurlAsyncHTTPClient]:
    return CurlAsyncHTTPClient
