"""Connections that are kept for the next request.

| a connection | is in | until |
| --- | --- | --- |
| is being made | its request's task | it is there, and busy |
| is busy: a request has it | `_busy` | `release` |
| is idle: the next request may have it | `_idle`, `_oldest` | it is taken, or dropped |

Of idle connections the one that was used last is taken first: so the others grow old, and a pool
shrinks with what it is used for. One is dropped, which closes it, when it is over its time, when
its server has closed it, when there are more than the limit (the one unused for longest), and when
the pool, or its loop, ends.

With a limit for each origin, a request waits while so many connections with its route are being
made, busy or idle (where they cannot be taken). Those that wait are served in order.

Complexity: taking and giving back are O(1); a sweep, of which there is one for an expiry and one
for each connection that is closed by its server, is O(idle connections).
"""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final, Generic, Protocol, TypeVar

from typhoon.httpclient.failures import Stage
from typhoon.ioloop import IOLoop
from typhoon.ioloop.ending import close_at_end
from typhoon.simple_httpclient.errors import HTTPStreamClosedError
from typhoon.simple_httpclient.progress import Progress
from typhoon.simple_httpclient.route import Route

MAX_IDLE_CONNECTIONS: Final = 100
"""As Go's http.Transport, and httpx's total, have it."""

IDLE_TIMEOUT: Final = 15.0
"""Seconds, as aiohttp's; servers commonly keep idle connections for 5 (Apache, Node) to 75 (nginx)
seconds, and tell in Keep-Alive if it is less."""

_MARGIN: Final = 1.0
"""Seconds by which a connection is given up before its server does it."""

_SWEEP_INTERVAL: Final = 1.0
"""Seconds between two sweeps: an idle connection may stay for so much longer, unused."""


class Connection(Protocol):
    """What the pool has to know of a connection; `typhoon._core.ClientConnection` is one."""

    on_idle_close: Callable[[], object] | None
    """Called when the server closes the connection while it is idle."""

    @property
    def is_reusable(self) -> bool:
        """Whether another request can be sent."""

    @property
    def keep_alive_timeout(self) -> float | None:
        """Seconds for which the server says that it keeps the connection, if it says so."""

    def close(self) -> None:
        """Close it, with a word to the server where TLS has one."""

    def abort(self) -> None:
        """Close it at once. Nothing if it is closed."""


_C = TypeVar("_C", bound=Connection)


class Pool(Generic[_C]):
    """Hands out connections, new ones and those that others have done with.

    Made, as a client is, where its loop runs or is current; used where it runs.

    The limits may be set at any time, for what comes then:

    .. code-block:: python

        AsyncHTTPClient().pool.max_connections_per_origin = 4

    Args:
        connect: Makes a connection along a route.
        max_connections_per_origin: The limit of this name, and so on.
        max_idle_connections: The same.
        idle_timeout: The same.

    Attributes:
        max_idle_connections: How many connections are kept for later requests, all routes
            together; 0 for none.
        idle_timeout: Seconds for which they are kept; less where the server says so (Keep-Alive).

    Raises:
        ValueError: A limit lets no request run.
    """

    def __init__(
        self,
        connect: Callable[[Route, Progress], Awaitable[_C]],
        max_connections_per_origin: int | None = None,
        max_idle_connections: int = MAX_IDLE_CONNECTIONS,
        idle_timeout: float = IDLE_TIMEOUT,
    ) -> None:
        self._connect = connect
        self.max_connections_per_origin = max_connections_per_origin
        self.max_idle_connections = max_idle_connections
        self.idle_timeout = idle_timeout
        self._io_loop = IOLoop.current()
        self._loop = self._io_loop.asyncio_loop
        self._connections: set[_C] = set()
        """All that have been made, idle or not."""
        self._idle: dict[Route, dict[_C, tuple[float, int]]] = {}
        """The idle ones of each route that has connections; the latest last. With the time until
        which each may be used, and its number among all that became idle."""
        self._idle_count = 0
        self._number = 0
        self._counts: dict[Route, int] = {}
        """How many connections there are, those being made included."""
        self._waiting: dict[Route, OrderedDict[asyncio.Future[_C | None], bool]] = {}
        """Who waits for one of them, or for a place (None); and whether it wants a fresh one."""
        self._timer: asyncio.TimerHandle | None = None
        self._next_look = math.inf
        self._watched = False
        self._closed = False

    @property
    def max_connections_per_origin(self) -> int | None:
        """How many connections with equal routes there may be, busy, idle or being made.

        Further requests wait for one, at most for their `connect_timeout`. None for no limit (but
        the client's `max_clients`).
        """
        return self._limit

    @max_connections_per_origin.setter
    def max_connections_per_origin(self, limit: int | None) -> None:
        if limit is not None and limit < 1:
            raise ValueError(
                f"max_connections_per_origin={limit!r} lets no request run: write 1 or more, or "
                "None for no limit"
            )
        self._limit = limit

    def take_idle(self, route: Route) -> _C | None:
        """An idle connection for a request, or None if there is none.

        It belongs to the caller, who gives it back with `release`.
        """
        idle = self._idle.get(route)
        while idle:
            connection, (until, _) = idle.popitem()
            self._idle_count -= 1
            if self._loop.time() < until and connection.is_reusable:
                return connection
            self._end(route, connection)
        return None

    async def acquire(self, route: Route, progress: Progress, fresh: bool = False) -> _C:
        """A connection for a request: an idle one, else a new one.

        It belongs to the caller, who gives it back with `release`. Where the limit is reached,
        this waits; it may be cancelled at any time.

        Args:
            route: Where it is to lead.
            progress: Is told of the stages that making one has.
            fresh: Whether it has to be a new one.

        Raises:
            HTTPStreamClosedError: The pool was closed meanwhile.
            Exception: What `connect` raises.
        """
        if not fresh and (taken := self.take_idle(route)) is not None:
            return taken
        count = self._counts.get(route, 0)
        if self._limit is None or count < self._limit:
            self._counts[route] = count + 1
        elif (given := await self._place(route, progress, fresh)) is not None:
            return given
        try:
            connection = await self._connect(route, progress)
        except BaseException:
            self._vacate(route)
            raise
        connection.on_idle_close = self._drop_useless
        self._connections.add(connection)
        if not self._watched:
            self._watched = True
            close_at_end(self._io_loop, self)
        return connection

    def release(self, route: Route, connection: _C) -> None:
        """Take back a connection: for other requests if it can be used, else it is closed.

        Args:
            route: What it was acquired for.
            connection: The connection, which the caller must not touch any more.
        """
        if connection not in self._connections:
            return  # the pool was closed
        if self._closed or not connection.is_reusable:
            connection.abort()
            self._end(route, connection)
            return
        waiting = self._waiting.get(route) if self._waiting else None
        if waiting:
            future, fresh = waiting.popitem(last=False)
            if not fresh:
                future.set_result(connection)
                return
            waiting[future] = True
            waiting.move_to_end(future, last=False)  # and the place of this one is free
            self._end(route, connection)
            return
        until = self._loop.time() + self._usable_for(connection)
        self._number += 1
        idle = self._idle.get(route)
        if idle is None:
            idle = self._idle[route] = {}
        idle[connection] = until, self._number
        self._idle_count += 1
        if self._idle_count > self.max_idle_connections:
            self._drop_oldest()
        if until < self._next_look:
            self._look_at(until)

    def close(self) -> None:
        """Close all connections, those too that are busy. None is kept from now on.

        Descriptors are closed in the next turns of the loop.
        """
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        connections = list(self._connections)
        for table in (self._connections, self._idle, self._counts):
            table.clear()
        self._idle_count = 0
        waiting = [future for futures in self._waiting.values() for future in futures]
        self._waiting.clear()
        if self._loop.is_closed():
            return
        for connection in connections:
            connection.on_idle_close = None
            connection.close()  # which may say goodbye
            connection.abort()  # but waits for no answer
        for future in waiting:
            if not future.done():
                future.set_exception(HTTPStreamClosedError("The client was closed"))

    # The limit for each origin

    async def _place(self, route: Route, progress: Progress, fresh: bool) -> _C | None:
        """Wait until there may be another connection: None; or until there is one to be used."""
        idle = self._idle.get(route)
        if fresh and idle and not self._waiting.get(route):
            self._drop(route, next(iter(idle)))
            self._counts[route] = self._counts.get(route, 0) + 1
            return None
        progress.stage, progress.place = Stage.CONNECTING, route.place
        waiting = self._waiting.setdefault(route, OrderedDict())
        future: asyncio.Future[_C | None] = self._loop.create_future()
        waiting[future] = fresh
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                # Both came in the same turn.
                if (given := future.result()) is not None:
                    self.release(route, given)
                else:
                    self._vacate(route)
            raise
        finally:
            waiting.pop(future, None)
            if not waiting and self._waiting.get(route) is waiting:
                del self._waiting[route]

    def _vacate(self, route: Route) -> None:
        """There is one connection less: its place is for who waits for longest."""
        if route not in self._counts:
            return  # the pool was closed
        waiting = self._waiting.get(route)
        if waiting:
            future, _ = waiting.popitem(last=False)
            future.set_result(None)
            return
        self._counts[route] -= 1
        if not self._counts[route]:
            del self._counts[route]
            self._idle.pop(route, None)

    # The end of idle connections

    def _usable_for(self, connection: _C) -> float:
        """Seconds for which a connection may be idle."""
        said = connection.keep_alive_timeout
        if said is None:
            return self.idle_timeout
        # The server counts from before its response came here, and the next request takes time.
        return min(self.idle_timeout, max(said - _MARGIN, said / 2))

    def _look_at(self, moment: float) -> None:
        """See to it that idle connections end when their time is over."""
        if self._timer is not None:
            self._timer.cancel()
        self._next_look = moment
        self._timer = self._loop.call_at(moment, self._look)

    def _look(self) -> None:
        self._timer, self._next_look = None, math.inf
        self._drop_useless()
        if self._idle_count:
            next_end = min(until for idle in self._idle.values() for until, _ in idle.values())
            self._look_at(max(next_end, self._loop.time() + _SWEEP_INTERVAL))

    def _drop_useless(self) -> None:
        """Drop the idle connections that are over their time, or are closed."""
        now = self._loop.time()
        for route, idle in list(self._idle.items()):
            for connection, (until, _) in list(idle.items()):
                if until <= now or not connection.is_reusable:
                    self._drop(route, connection)

    def _drop_oldest(self) -> None:
        """Drop what has been idle for longest: the first of one of the routes."""
        firsts = ((route, *next(iter(idle.items()))) for route, idle in self._idle.items() if idle)
        route, connection, _ = min(firsts, key=lambda first: first[2][1])
        self._drop(route, connection)

    def _drop(self, route: Route, connection: _C) -> None:
        """End an idle connection."""
        del self._idle[route][connection]
        self._idle_count -= 1
        self._end(route, connection)

    def _end(self, route: Route, connection: _C) -> None:
        """Close a connection that is not among the idle ones."""
        self._connections.discard(connection)
        connection.on_idle_close = None
        connection.close()
        self._vacate(route)
