"""How far a request has come: what a timeout says, and where the time went."""

import time
from collections.abc import Awaitable
from contextvars import ContextVar
from typing import Any

from typhoon.netutil import Resolver


class Progress:
    """The stage that a request is in, and when the stages before it ended.

    `start_time` is in seconds since the epoch. `ended` holds seconds since the start, under the
    names that curl uses.
    """

    __slots__ = ("_start", "ended", "stage", "start_time")

    def __init__(self) -> None:
        self._start = time.monotonic()
        self.start_time = time.time()
        self.stage = "before the start"
        self.ended: dict[str, float] = {}

    def enter(self, stage: str, after: str) -> None:
        """Begin a stage, which ends the one called `after`."""
        self.ended[after] = self.seconds()
        self.stage = stage

    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start


connecting: ContextVar[tuple[Progress, str]] = ContextVar("connecting")
"""The request that a connection is made for, and the stage that comes when its name is resolved."""


class NotingResolver(Resolver):
    """Asks another resolver, and notes when it has answered. For requests of this client only."""

    def initialize(self, resolver: Resolver) -> None:
        self._resolver = resolver

    def close(self) -> None:
        """Nothing: the other resolver is not this one's."""

    def resolve(self, *args: Any, **kwargs: Any) -> Awaitable[list[tuple[int, Any]]]:
        return self._resolve(*args, **kwargs)

    async def _resolve(self, *args: Any, **kwargs: Any) -> list[tuple[int, Any]]:
        addresses = await self._resolver.resolve(*args, **kwargs)
        progress, stage = connecting.get()
        progress.enter(stage, after="namelookup")
        return addresses
