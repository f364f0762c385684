"""The `callback` of `AsyncHTTPClient.fetch`, from when there were no futures."""

import warnings
from collections.abc import Callable

from typhoon.concurrent import Future
from typhoon.httpclient.request import HTTPRequest
from typhoon.httpclient.response import HTTPResponse
from typhoon.ioloop import IOLoop


def call_when_fetched(
    io_loop: IOLoop,
    request: HTTPRequest,
    future: "Future[HTTPResponse]",
    callback: Callable[[HTTPResponse], object],
) -> None:
    """Call `callback` with the response, or with one that has the error where there is none."""
    warnings.warn(
        "the callback argument of fetch() is deprecated: await what it returns",
        DeprecationWarning,
        stacklevel=3,
    )

    def answer(done: "Future[HTTPResponse]") -> None:
        if not done.cancelled():
            error = done.exception()
            response = HTTPResponse(request, 599, error=error) if error else done.result()
            callback(response)

    io_loop.add_future(future, answer)
