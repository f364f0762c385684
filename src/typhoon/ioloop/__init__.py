"""The event loop: asyncio's, with the interface that Tornado's applications use.

There is one `IOLoop` object for each asyncio event loop, and `IOLoop.current` finds it. Code that
is new may use asyncio alone: `asyncio.run` and all that goes with it work just as well.
"""

from builtins import TimeoutError

from typhoon.ioloop.interface import IOLoop
from typhoon.ioloop.periodic import PeriodicCallback
from typhoon.util import Configurable, import_object

__all__ = [
    "Configurable",
    "IOLoop",
    "PeriodicCallback",
    "TimeoutError",
    "import_object",
]
