"""The connection to asyncio: the `.IOLoop` that is built on it, and its futures.

`.IOLoop` always runs on asyncio, so the two can be mixed freely, and most programs need nothing
from here.
"""

import asyncio
from typing import Any

from typhoon.gen import convert_yielded
from typhoon.ioloop.asyncio_loop import AsyncIOLoop, AsyncIOMainLoop, BaseAsyncIOLoop
from typhoon.ioloop.selector_thread import AddThreadSelectorEventLoop, SelectorThread

__all__ = [
    "AddThreadSelectorEventLoop",
    "AsyncIOLoop",
    "AsyncIOMainLoop",
    "BaseAsyncIOLoop",
    "SelectorThread",
    "to_asyncio_future",
    "to_tornado_future",
]


def to_tornado_future(asyncio_future: "asyncio.Future[Any]") -> "asyncio.Future[Any]":
    """The future itself: there is only one kind. Kept for programs that name it."""
    return asyncio_future


def to_asyncio_future(tornado_future: Any) -> "asyncio.Future[Any]":
    """The future of anything that a coroutine can yield, as `.convert_yielded` makes it."""
    future: asyncio.Future[Any] = convert_yielded(tornado_future)
    return future


def __getattr__(name: str) -> Any:
    if name == "AnyThreadEventLoopPolicy":
        from typhoon.legacy.event_loop_policy import any_thread_event_loop_policy

        return any_thread_event_loop_policy()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
