"""Connections that are kept for the next request."""

from collections.abc import Awaitable, Callable

from typhoon.simple_httpclient.connection import Connection
from typhoon.simple_httpclient.progress import Progress
from typhoon.simple_httpclient.route import Route


class Pool:
    """Connections that are kept for the next request."""

    def __init__(self, connect: Callable[[Route, Progress], Awaitable[Connection]]) -> None:
        self._connect = connect
        self._idle: dict[Route, list[Connection]] = {}
        self._closed = False

    def take_idle(self, route: Route) -> Connection | None:
        """An idle connection, or None."""
        idle = self._idle.get(route)
        while idle:
            connection = idle.pop()
            if connection.is_reusable:
                return connection
            connection.close()
        return None

    async def acquire(self, route: Route, progress: Progress, fresh: bool = False) -> Connection:
        """An idle connection, or a new one."""
        connection = None if fresh else self.take_idle(route)
        return connection or await self._connect(route, progress)

    def release(self, route: Route, connection: Connection) -> None:
        """Take a connection back."""
        if connection.is_reusable and not self._closed:
            self._idle.setdefault(route, []).append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """Close what is idle."""
        self._closed = True
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()
