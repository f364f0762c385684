"""How far a request has come: what a timeout says, and where the time went."""

import time
from collections.abc import Awaitable
from contextvars import ContextVar
from typing import Any

from typhoon.httpclient.failures import Stage
from typhoon.httpclient.request import HTTPRequest
from typhoon.netutil import Resolver


class Progress:
    """The stage that a request is in, and when the stages before it ended.

    Attributes:
        request: The request: the last one, where redirects are followed.
        stage: What is being done for it.
        place: With whom: host and port.
        start_time: When it was started, in seconds since the epoch.
        ended: When stages ended, in seconds since the start, under the names that curl uses.
    """

    __slots__ = ("_start", "ended", "place", "request", "stage", "start_time")

    ended: dict[str, float]

    def __init__(self, request: HTTPRequest) -> None:
        self.place = ""
        self.begin(request)

    def begin(self, request: HTTPRequest) -> None:
        """Start anew, with a redirect's request."""
        self._start = time.monotonic()
        self.start_time = time.time()
        self.request = request
        self.stage = Stage.QUEUE
        self.ended = {}

    @property
    def phrase(self) -> str:
        """The stage in a sentence."""
        return self.stage.phrase(self.place)

    def enter(self, stage: Stage, after: str) -> None:
        """Begin a stage, which ends the one called `after`."""
        self.ended[after] = self.seconds()
        self.stage = stage

    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start


connecting: ContextVar[tuple[Progress, str]] = ContextVar("connecting")
"""The request that a connection is made for, and the place that it is made to."""


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
        progress, place = connecting.get()
        progress.place = place
        progress.enter(Stage.CONNECTING, after="namelookup")
        return addresses
