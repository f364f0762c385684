"""The connection to Twisted: one event loop for both, and Deferreds in coroutines.

Importing this module lets coroutines yield Twisted's Deferreds. (``await`` takes them as they
are.)
"""

import asyncio

from twisted.internet.defer import Deferred

from typhoon.gen import convert_yielded
from typhoon.ioloop import IOLoop

__all__ = ["install"]


def install() -> None:
    """Let Twisted run in the current event loop, with its ``AsyncioSelectorReactor``.

    To be called before ``twisted.internet.reactor`` is imported for the first time:

    .. code-block:: python

        import typhoon.platform.twisted

        typhoon.platform.twisted.install()
        from twisted.internet import reactor

    Raises:
        twisted.internet.error.ReactorAlreadyInstalledError: Twisted has another reactor.
    """
    from twisted.internet import asyncioreactor

    asyncioreactor.install(IOLoop.current().asyncio_loop)  # type: ignore[no-untyped-call]


@convert_yielded.register
def _(deferred: Deferred) -> "asyncio.Future[object]":  # type: ignore[type-arg]
    return deferred.asFuture(asyncio.get_event_loop())
