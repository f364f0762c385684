"""The event loop of one test, from its start to its end."""

import asyncio
import warnings
from collections.abc import Callable

from typhoon.ioloop import IOLoop
from typhoon.ioloop.registry import thread_event_loop


class TestLoop:
    """Makes a loop current, and puts back what was there before.

    A loop that was current already belongs to somebody else, and is not closed.

    Args:
        make: Makes the loop, or finds it.
    """

    __test__ = False  # pytest would take it for tests

    def __init__(self, make: Callable[[], IOLoop]) -> None:
        self._outer = thread_event_loop()
        self.io_loop = make()
        self.io_loop.make_current()

    def close(self) -> None:
        """Cancel what is left on the loop, and close it with all that it watches."""
        loop = self.io_loop.asyncio_loop
        if loop is self._outer:
            return
        if not loop.is_closed():
            try:
                _finish(loop)
            finally:
                # uvloop asks for ever whether a handle is closed whose warning is an error.
                with warnings.catch_warnings():
                    warnings.simplefilter("always", ResourceWarning)
                    self.io_loop.close(all_fds=True)
        if self._outer is not None and not self._outer.is_closed():
            asyncio.set_event_loop(self._outer)


def _finish(loop: asyncio.AbstractEventLoop) -> None:
    """End what still runs on a loop that is about to be closed, as `asyncio.run` does."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    for task in tasks:
        if not task.cancelled() and (error := task.exception()) is not None:
            loop.call_exception_handler(
                {
                    "message": "unhandled exception while the loop of a test was closed",
                    "exception": error,
                    "task": task,
                }
            )
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())
