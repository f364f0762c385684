"""`AsyncHTTPClient`, which is what applications call, and what implementations derive from."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from typhoon.concurrent import (
    Future,
    future_set_exception_unless_cancelled,
    future_set_result_unless_cancelled,
)
from typhoon.httpclient.request import HTTPRequest
from typhoon.httpclient.response import HTTPResponse
from typhoon.ioloop import IOLoop
from typhoon.util import Configurable

_shared: Final[dict[tuple[type, IOLoop], "AsyncHTTPClient"]] = {}
"""The client that each class has on each loop."""


class AsyncHTTPClient(Configurable):
    """An HTTP client for coroutines.

    .. code-block:: python

        async def f():
            client = AsyncHTTPClient()
            try:
                response = await client.fetch("http://www.example.com/")
            except HTTPError as error:
                print(error)  # also for statuses such as 404
            else:
                print(response.body)

    Each class has one instance for each event loop, and calling it gives that one. So there is
    no need to keep it or to close it; but its settings are those of the first call. To set them
    for all, call `configure` before:

    .. code-block:: python

        AsyncHTTPClient.configure(None, defaults={"user_agent": "MyAgent"})

    Args:
        force_instance: Whether to make a new instance in any case, which is closed by whoever
            made it.
        defaults: Values for the arguments of `HTTPRequest` that requests leave at None.
        kwargs: Further settings of the implementation in use.

    Attributes:
        io_loop: The `.IOLoop` that it belongs to.
        defaults: The values that requests take for what they leave open.
    """

    io_loop: IOLoop
    defaults: dict[str, Any]
    _closed: bool

    @classmethod
    def configurable_base(cls) -> type[Configurable]:
        """This class is the interface."""
        return AsyncHTTPClient

    @classmethod
    def configurable_default(cls) -> type[Configurable]:
        """`.SimpleAsyncHTTPClient`."""
        from typhoon.simple_httpclient import SimpleAsyncHTTPClient

        return SimpleAsyncHTTPClient

    def __new__(cls, force_instance: bool = False, **kwargs: Any) -> "AsyncHTTPClient":
        key = (cls, IOLoop.current())
        if not force_instance and (shared := _shared.get(key)) is not None:
            return shared
        client: AsyncHTTPClient = super().__new__(cls, **kwargs)
        if not force_instance:
            for other in [other for other in _shared if other[1].asyncio_loop.is_closed()]:
                del _shared[other]
            _shared[key] = client
        return client

    def initialize(self, defaults: dict[str, Any] | None = None) -> None:
        """Set up the client; implementations call it from theirs."""
        self.io_loop = IOLoop.current()
        self.defaults = {**HTTPRequest._DEFAULTS, **(defaults or {})}
        self._closed = False

    def close(self) -> None:
        """Free what the client holds; it cannot be used again.

        Needed only for clients that were made with `force_instance`, and where loops come and go,
        as in tests.
        """
        self._closed = True
        for key in [key for key, client in _shared.items() if client is self]:
            del _shared[key]

    def fetch(
        self, request: str | HTTPRequest, raise_error: bool = True, **kwargs: Any
    ) -> "Future[HTTPResponse]":
        """Send a request.

        Args:
            request: A URL, or an `HTTPRequest`.
            raise_error: Whether a response with another status than 200 to 299 is raised, as an
                `HTTPClientError`. What keeps a response from coming is raised in any case.
            kwargs: Further arguments of `HTTPRequest`, and its attribute `unix_socket`, where
                `request` is a URL. (And the older form ``callback``, a function that is called
                with the response, even if that is an error. It is deprecated.)

        Returns:
            A future of the `HTTPResponse`. Cancelling it does not stop the request.

        Raises:
            RuntimeError: The client is closed.
            TypeError: The URL is no str, or there is no such argument.
            ValueError: There are `kwargs` for an `HTTPRequest`, or a header cannot be sent.

        The future raises:
            HTTPClientError: The response is an error (see `raise_error`), or there is none: then
                its `stage` says what the client was doing.
            OSError: The network failed; with a `stage` and a `url`, too.
            ValueError, KeyError: The request makes no sense, and has not been sent.
        """
        if self._closed:
            raise RuntimeError("fetch() called on a closed AsyncHTTPClient")
        callback = kwargs.pop("callback", None)
        if isinstance(request, HTTPRequest):
            if kwargs:
                raise ValueError(
                    "fetch() takes no more arguments with an HTTPRequest: set its attributes"
                )
            complete = request._with_defaults(self.defaults)
        else:
            unix_socket = kwargs.pop("unix_socket", None)
            request = complete = HTTPRequest(request, **kwargs)  # which nobody else has
            if unix_socket is not None:
                request.unix_socket = unix_socket
            request._complete(self.defaults)
        if not isinstance(complete.url, str):
            raise TypeError(f"the URL of a request is a str, not {complete.url!r}")
        future: Future[HTTPResponse] = self.io_loop.asyncio_loop.create_future()
        unanswered: Future[HTTPResponse] | None = future

        def answer(response: HTTPResponse) -> None:
            nonlocal unanswered
            future, unanswered = unanswered, None  # whose error's traceback may refer to this
            if future is None:
                raise RuntimeError("fetch_impl called its callback twice")
            if response._error is None and (200 <= response.code < 300 or not raise_error):
                future_set_result_unless_cancelled(future, response)
                return
            error = response.error
            if error is None:
                future_set_result_unless_cancelled(future, response)
            elif isinstance(error, asyncio.CancelledError):
                future.cancel()  # the client was closed
            else:
                future_set_exception_unless_cancelled(future, error)
            del error  # see above

        if callback is not None:
            from typhoon.legacy.fetch_callback import call_when_fetched

            raise_error = False
            call_when_fetched(self.io_loop, request, future, callback)
        self.fetch_impl(complete, answer)
        return future

    def fetch_impl(self, request: HTTPRequest, callback: Callable[[HTTPResponse], None]) -> None:
        """Send `request` and call `callback` with the response. Implementations define it.

        Args:
            request: A copy of the application's request with the client's defaults filled in,
                which may be changed.
            callback: Called once. If there is no response, one with the status code 599 and its
                `error` stands for it; `asyncio.CancelledError` cancels the caller.
        """
        raise NotImplementedError
