"""`SimpleAsyncHTTPClient`: which requests run, over which connections, and for how long."""

import asyncio
import functools
import math
import ssl
import time
from typing import Any, Final

from typhoon.httpclient.errors import HTTPClientError
from typhoon.httpclient.queueing import QueueingHTTPClient, ResponseCallback, Ticket
from typhoon.httpclient.request import HTTPRequest
from typhoon.log import gen_log
from typhoon.netutil import OverrideResolver, Resolver
from typhoon.simple_httpclient.connecting import Connector
from typhoon.simple_httpclient.connection import MAX_HEADER_SIZE, Connection
from typhoon.simple_httpclient.digest import DigestMemory
from typhoon.simple_httpclient.errors import HTTPTimeoutError
from typhoon.simple_httpclient.fetching import Fetch
from typhoon.simple_httpclient.pool import Pool
from typhoon.simple_httpclient.progress import NotingResolver, Progress
from typhoon.simple_httpclient.route import Route
from typhoon.simple_httpclient.usual import plan_of
from typhoon.tcpclient import TCPClient

_RESOLUTION: Final = 0.002
"""Seconds by which a timer may be early: uvloop counts in milliseconds."""


class SimpleAsyncHTTPClient(QueueingHTTPClient):
    """An HTTP/1.1 client on Typhoon's own core.

    Connections are kept for the next request to the same place (RFC 9112 §9.3), unless the
    request has a header ``Connection: close``.

    Attributes:
        max_buffer_size: Bytes that a connection may hold unread.
        max_header_size: Bytes that the head of a response may have; None for the default.
        max_body_size: Bytes that the body of a response may have, decompressed.
        resolver: What looks up host names.
        own_resolver: Whether the client made the resolver, and closes it.
        tcp_client: What makes the connections.
        digests: What is remembered of Digest authentication.
        pool: The connections, with their limits: see `typhoon.simple_httpclient.pool.Pool`.
    """

    max_buffer_size: int
    max_header_size: int | None
    max_body_size: int | None
    resolver: Resolver
    own_resolver: bool
    tcp_client: TCPClient
    digests: DigestMemory

    def initialize(  # type: ignore[override]  # the implementation's own settings
        self,
        max_clients: int = 10,
        hostname_mapping: dict[Any, Any] | None = None,
        max_buffer_size: int = 104857600,
        resolver: Resolver | None = None,
        defaults: dict[str, Any] | None = None,
        max_header_size: int | None = None,
        max_body_size: int | None = None,
    ) -> None:
        """Set up the client.

        Args:
            max_clients: How many requests may run at once; more wait in a queue, at most for
                their `connect_timeout`.
            hostname_mapping: Addresses of host names, as `.OverrideResolver` takes them.
            max_buffer_size: Bytes that a connection may hold unread; 100 MiB by default.
            resolver: What looks up host names; a `.Resolver` by default.
            defaults: Values for the arguments of `.HTTPRequest` that requests leave at None.
            max_header_size: Bytes that the head of a response may have; 64 KiB by default.
            max_body_size: Bytes that the body of a response may have, decompressed, also when it
                is streamed; `max_buffer_size` by default.
        """
        super().initialize(max_clients=max_clients, defaults=defaults)
        self.max_buffer_size = max_buffer_size
        self.max_header_size = max_header_size
        self.max_body_size = max_buffer_size if max_body_size is None else max_body_size
        self.own_resolver = resolver is None
        self.resolver = Resolver() if resolver is None else resolver
        if hostname_mapping is not None:
            self.resolver = OverrideResolver(resolver=self.resolver, mapping=hostname_mapping)
        self.tcp_client = TCPClient(resolver=NotingResolver(resolver=self.resolver))
        self._fetches: set[Fetch] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._next_look = math.inf
        self.digests = DigestMemory()
        self._plan_of = functools.lru_cache(maxsize=256)(plan_of)
        self._connector = Connector(self.tcp_client, self.digests)
        self.pool: Pool[Connection] = Pool(self._connect)

    def close(self) -> None:
        """Stop what is under way, and free what the client holds."""
        if self._closed:
            return
        super().close()
        if not self.io_loop.asyncio_loop.is_closed():
            for fetch in list(self._fetches):
                fetch.cancel()
            if self._timer is not None:
                self._timer.cancel()
        self.pool.close()
        if self.own_resolver:
            self.resolver.close()
        self.tcp_client.close()

    # Requests

    def _queue_timeout(self) -> HTTPClientError:
        return HTTPTimeoutError("Timeout in request queue")

    def _begin(
        self, ticket: Ticket, request: HTTPRequest, callback: ResponseCallback, queued: float
    ) -> None:
        try:
            fetch = Fetch(self, ticket, request, callback, queued)
        except Exception as error:  # a timeout that is no number
            self._reject(ticket, request, callback, error, queued)
            return
        self._fetches.add(fetch)
        fetch.begin()

    async def _connect(self, route: Route, progress: Progress) -> Connection:
        """A new connection, for the pool."""
        try:
            return await self._connector.connect(route, self._new_connection, progress)
        except ssl.SSLError as error:
            gen_log.warning("SSL Error on connection to %s: %s", route.place, error)
            raise

    def _new_connection(self) -> Connection:
        return Connection(
            max_header_size=self.max_header_size or MAX_HEADER_SIZE, max_body_size=self.body_limit
        )

    @property
    def body_limit(self) -> int:
        """Bytes that the body of a response may have."""
        return self.max_buffer_size if self.max_body_size is None else self.max_body_size

    # Deadlines of requests without a task: one timer for all, set to the first of them. A request
    # that ends in time costs nothing here.

    def _watch(self, fetch: Fetch) -> None:
        """See to it that the fetch ends at its deadline."""
        if fetch.deadline < self._next_look:
            self._look_at(fetch.deadline)

    def _look_at(self, moment: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next_look = moment
        seconds = max(0.0, moment - time.monotonic())
        self._timer = self.io_loop.asyncio_loop.call_later(seconds, self._look)

    def _look(self) -> None:
        """End the fetches whose deadline has passed."""
        self._timer, self._next_look = None, math.inf
        now = time.monotonic() + _RESOLUTION
        for fetch in [fetch for fetch in self._fetches if fetch.deadline <= now]:
            fetch.expire()
        waiting = [fetch.deadline for fetch in self._fetches if not fetch.done()]
        first = min(waiting, default=math.inf)
        if first < self._next_look:
            self._look_at(first)
