"""Each client on each kind of loop, and a server."""

from typing import Any

import pytest

from fetch_servers import client, io_loop, no_proxies, server
from typhoon.curl_httpclient import CurlAsyncHTTPClient
from typhoon.simple_httpclient import SimpleAsyncHTTPClient

__all__ = ["client", "io_loop", "no_proxies", "server"]


@pytest.fixture(params=[SimpleAsyncHTTPClient, CurlAsyncHTTPClient], ids=["simple", "curl"])
def client_class(request: pytest.FixtureRequest) -> Any:
    """The clients in turn."""
    return request.param
