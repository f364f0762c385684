"""An HTTP client that needs no server."""

import asyncio
from collections.abc import Callable
from io import BytesIO
from typing import Any

from typhoon.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse


class FakeClient(AsyncHTTPClient):
    """Answers with the status that the path of the URL is."""

    def initialize(self, size: int = 0, **kwargs: Any) -> None:
        super().initialize(**kwargs)
        self.size = size
        self.requests: list[HTTPRequest] = []

    def fetch_impl(self, request: HTTPRequest, callback: Callable[[HTTPResponse], None]) -> None:
        self.requests.append(request)
        last = request.url.rpartition("/")[2]
        if last == "broken":
            callback(HTTPResponse(request, 599, error=OSError("broken")))
        elif last == "cancelled":
            callback(HTTPResponse(request, 599, error=asyncio.CancelledError()))
        else:
            callback(HTTPResponse(request, int(last), buffer=BytesIO(b"body")))
