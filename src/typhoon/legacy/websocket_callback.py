"""The `callback` of `websocket_connect`, from when there were no futures."""

import warnings
from collections.abc import Callable
from typing import TypeVar

from typhoon.concurrent import Future
from typhoon.ioloop import IOLoop

_T = TypeVar("_T")


def call_when_open(
    io_loop: IOLoop, future: "Future[_T]", callback: "Callable[[Future[_T]], None]"
) -> None:
    """Call `callback` with the future once it is done."""
    warnings.warn(
        "the callback argument of websocket_connect() is deprecated: await what it returns",
        DeprecationWarning,
        stacklevel=3,
    )
    io_loop.add_future(future, callback)
