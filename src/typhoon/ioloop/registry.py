"""Which loop belongs to whom: asyncio's loop of a thread, and the `IOLoop` of an asyncio loop."""

import asyncio
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from typhoon.ioloop.interface import IOLoop

ioloops: Final[dict[asyncio.AbstractEventLoop, "IOLoop"]] = {}
"""The IOLoop of each asyncio loop. Those of closed loops are dropped when the next is added."""

_lock: Final = threading.Lock()


def register(asyncio_loop: asyncio.AbstractEventLoop, ioloop: "IOLoop") -> None:
    """Make `ioloop` the one of this asyncio loop; RuntimeError if there is one already."""
    with _lock:
        for closed in [loop for loop in ioloops if loop.is_closed()]:
            del ioloops[closed]
        if asyncio_loop in ioloops:
            raise RuntimeError(f"there is an IOLoop already for {asyncio_loop!r}")
        ioloops[asyncio_loop] = ioloop


def unregister(asyncio_loop: asyncio.AbstractEventLoop) -> None:
    """Forget the IOLoop of this asyncio loop, if there is one."""
    with _lock:
        ioloops.pop(asyncio_loop, None)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """The fastest event loop that is installed."""
    try:
        if sys.platform == "win32":
            import winloop as uvloop
        else:
            import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def thread_event_loop() -> asyncio.AbstractEventLoop | None:
    """The loop that `asyncio.set_event_loop` set for this thread, unless it is closed."""
    loop: asyncio.AbstractEventLoop | None = None
    policy: Any = asyncio.get_event_loop_policy() if sys.version_info < (3, 14) else None
    if hasattr(policy, "_local"):
        # Before Python 3.14, get_event_loop() would create a loop where there is none, and warn.
        loop = policy._local._loop
    else:
        try:
            loop = asyncio.get_event_loop()
        except RuntimeError:
            pass
    return None if loop is None or loop.is_closed() else loop


def is_loop_running() -> bool:
    """Whether an asyncio loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
