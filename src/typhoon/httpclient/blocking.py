"""`HTTPClient`, for programs without an event loop."""

import weakref
from typing import Any

from typhoon.httpclient.client import AsyncHTTPClient
from typhoon.httpclient.request import HTTPRequest
from typhoon.httpclient.response import HTTPResponse
from typhoon.ioloop import IOLoop
from typhoon.ioloop.registry import is_loop_running


class HTTPClient:
    """An HTTP client that blocks until the response is there.

    For scripts and the like. Each belongs to one thread at a time, and has an event loop of its
    own, so it cannot be used where one runs: there, use `AsyncHTTPClient`.

    .. code-block:: python

        client = HTTPClient()
        try:
            print(client.fetch("http://www.example.com/").body)
        finally:
            client.close()

    Args:
        async_client_class: The client to use below; the configured one by default.
        kwargs: Arguments for that class.

    Raises:
        RuntimeError: An event loop runs in this thread.
    """

    _free: "weakref.finalize[[AsyncHTTPClient, IOLoop], HTTPClient] | None" = None

    def __init__(
        self, async_client_class: type[AsyncHTTPClient] | None = None, **kwargs: Any
    ) -> None:
        _check_that_no_loop_runs()
        self._io_loop = IOLoop(make_current=False)
        make = AsyncHTTPClient if async_client_class is None else async_client_class

        async def make_client() -> AsyncHTTPClient:
            return make(**kwargs)

        try:
            self._async_client: AsyncHTTPClient = self._io_loop.run_sync(make_client)
        except BaseException:
            self._io_loop.close()
            raise
        # Also called at the end of the program, while all of Python is still there.
        self._free = weakref.finalize(self, _free, self._async_client, self._io_loop)

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Free what the client holds; it cannot be used again."""
        if self._free is not None:
            self._free()

    def fetch(self, request: HTTPRequest | str, **kwargs: Any) -> HTTPResponse:
        """Send a request and return the response; as `AsyncHTTPClient.fetch`.

        Raises:
            HTTPClientError: The response is an error, unless ``raise_error`` is false.
            RuntimeError: The client is closed, or an event loop runs in this thread.
        """
        if self._free is None or not self._free.alive:
            raise RuntimeError("fetch() called on a closed HTTPClient")
        _check_that_no_loop_runs()
        response: HTTPResponse = self._io_loop.run_sync(
            lambda: self._async_client.fetch(request, **kwargs)
        )
        return response


def _free(client: AsyncHTTPClient, io_loop: IOLoop) -> None:
    client.close()
    io_loop.close()


def _check_that_no_loop_runs() -> None:
    if is_loop_running():
        raise RuntimeError(
            "an HTTPClient would block the event loop that runs here: write"
            " await AsyncHTTPClient().fetch(...), or use the HTTPClient in a thread of its own,"
            " as with asyncio.to_thread"
        )
