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
        started: When it was started, on the clock of `time.monotonic`.
        start_time: The same in seconds since the epoch.
        ended: When stages of connecting ended, in seconds since the start, under the names that
            curl uses; None if no connection has been made.
        sent: When the request was sent, in seconds since the start.
        redirect: Seconds that the requests before this one took, where redirects are followed.
    """

    __slots__ = (
        "_ended",
        "place",
        "redirect",
        "request",
        "sent",
        "stage",
        "start_time",
        "started",
    )

    _ended: dict[str, float] | None

    def __init__(self, request: HTTPRequest) -> None:
        self.place = ""
        self.redirect = 0.0
        self.started = time.monotonic()
        self.start_time = time.time()
        self.request = request
        self.stage = Stage.PREPARING
        self.sent = 0.0
        self._ended = None

    def begin_again(self, request: HTTPRequest) -> None:
        """Start anew, with a redirect's request."""
        now = time.monotonic()
        self.redirect += now - self.started
        self.started = now
        self.start_time = time.time()
        self.request = request
        self.stage = Stage.PREPARING
        self.sent = 0.0
        self._ended = None

    @property
    def ended(self) -> dict[str, float]:
        """When stages of connecting ended."""
        if self._ended is None:
            self._ended = {}
        return self._ended

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
        return time.monotonic() - self.started

    def time_info(self, queued: float, head_at: float, total: float) -> dict[str, float]:
        """Where the time went: what `HTTPResponse.time_info` has.

        Args:
            queued: Seconds in the client's queue.
            head_at: When the head of the response came, on the clock of `time.monotonic`.
            total: Seconds until all of it had come.
        """
        times = {
            "queue": queued,
            "namelookup": 0.0,
            "connect": 0.0,
            "appconnect": 0.0,
            "pretransfer": self.sent,
            "starttransfer": head_at - self.started,
            "total": total,
            "redirect": self.redirect,
        }
        if self._ended is not None:
            times.update(self._ended)
        return times


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
