"""Each client on each kind of loop, and a server."""

from collections.abc import Callable
from typing import Any

import pytest

from fetch_servers import APP, client, io_loop, no_proxies
from support import Server
from typhoon.curl_httpclient import CurlAsyncHTTPClient
from typhoon.simple_httpclient import SimpleAsyncHTTPClient

__all__ = ["client", "io_loop", "no_proxies"]


@pytest.fixture(params=[SimpleAsyncHTTPClient, CurlAsyncHTTPClient], ids=["simple", "curl"])
def client_class(request: pytest.FixtureRequest) -> Any:
    """The clients in turn."""
    return request.param


@pytest.fixture
def server(serve: Callable[..., Server]) -> Server:
    return serve(APP)
