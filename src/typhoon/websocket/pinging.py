"""Pings at regular intervals, which find out who has gone without a word."""

import asyncio
import functools
import weakref
from collections.abc import Callable
from typing import Any

from typhoon.httpserver.deadlines import Deadlines
from typhoon.log import gen_log

_deadlines: "weakref.WeakValueDictionary[int, Deadlines]" = weakref.WeakValueDictionary()


def deadlines_of(loop: asyncio.AbstractEventLoop) -> Deadlines:
    """What looks at the connections of this loop when they are due: one timer for all."""
    found = _deadlines.get(id(loop))
    if found is None or found._loop is not loop:
        found = _deadlines[id(loop)] = Deadlines(loop)
    return found


@functools.cache
def de_dupe_gen_log(message: str, level: Callable[..., Any] = gen_log.warning) -> None:
    """Log a message to `typhoon.general`, the first time that it comes up.

    Args:
        message: What to say.
        level: The method of the logger to say it with.
    """
    level(message)


def effective_timeout(interval: float, timeout: float | None) -> float:
    """Seconds that the peer has to answer a ping; 0 for ever.

    Args:
        interval: Seconds between pings.
        timeout: What the settings say; None for the interval. No longer than that is possible,
            since the next ping is due then.
    """
    if timeout is None:
        return interval
    if timeout > interval > 0:
        de_dupe_gen_log(
            f"The websocket_ping_timeout ({timeout}) cannot be longer than the "
            f"websocket_ping_interval ({interval}); it is {interval} for now. "
            f"Set websocket_ping_timeout={interval}"
        )
        return interval
    return timeout
