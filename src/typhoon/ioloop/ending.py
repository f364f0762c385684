"""What has to be closed before a loop is, with nobody there who would do it.

`asyncio.run` and its like run `loop.shutdown_asyncgens()` last, and that is the only word that
asyncio has for whoever keeps connections. So each loop gets one asynchronous generator, which
closes what it is told of when it is finalised. `IOLoop.close` does the same.
"""

import asyncio
import threading
import weakref
from collections.abc import AsyncGenerator
from typing import Final, Protocol

from typhoon.ioloop.interface import IOLoop
from typhoon.ioloop.registry import is_loop_running

_TURNS: Final = 4
"""Turns of the loop until an aborted transport has closed its descriptor: one to tell the protocol,
one more with TLS, and one more for libuv to close its handle. One is to spare."""


class Closable(Protocol):
    """What can be closed, more than once; descriptors may follow in the turns after."""

    def close(self) -> None:
        """Close it."""


class _Ending:
    """What is to be closed with one loop."""

    def __init__(self) -> None:
        self.closables: weakref.WeakSet[Closable] = weakref.WeakSet()
        self.generator = _close_all(self.closables)
        # Up to the yield; here the loop's hooks learn of it.
        try:
            self.generator.__anext__().send(None)
        except StopIteration:
            pass


async def _close_all(closables: "weakref.WeakSet[Closable]") -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        for closable in list(closables):
            closable.close()
        for _ in range(_TURNS):
            await asyncio.sleep(0)


_endings: "weakref.WeakKeyDictionary[IOLoop, _Ending]" = weakref.WeakKeyDictionary()


def close_at_end(io_loop: IOLoop, closable: Closable) -> None:
    """Close something at the end of its loop, if it is there then; call this where the loop runs.

    Args:
        io_loop: The loop, which runs.
        closable: What is to be closed; it is not kept alive.
    """
    ending = _endings.get(io_loop)
    if ending is None:
        ending = _endings[io_loop] = _Ending()
    ending.closables.add(closable)


def finish(io_loop: IOLoop) -> None:
    """Close what is to be closed with a loop that is about to be closed and does not run."""
    ending = _endings.pop(io_loop, None)
    loop = io_loop.asyncio_loop
    if ending is None or loop.is_closed():
        return

    def run() -> None:
        loop.run_until_complete(ending.generator.aclose())

    if is_loop_running():
        # Another one, which stands still meanwhile; only a thread of its own can run this one.
        thread = threading.Thread(target=run, name="typhoon loop end")
        thread.start()
        thread.join()
    else:
        run()
