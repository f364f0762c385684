"""What clients share that run only so many requests at once: the queue of the others."""

import asyncio
import collections
import contextvars
import time
from collections.abc import Callable
from typing import Any

from typhoon.httpclient.client import AsyncHTTPClient
from typhoon.httpclient.errors import HTTPClientError
from typhoon.httpclient.failures import Stage, located
from typhoon.httpclient.request import HTTPRequest
from typhoon.httpclient.response import HTTPResponse
from typhoon.log import app_log, gen_log

ResponseCallback = Callable[[HTTPResponse], None]


class Ticket:
    """Stands for one fetch in the client's tables.

    Attributes:
        context: Where the fetch was called, and its callbacks run.
    """

    __slots__ = ("context",)

    def __init__(self) -> None:
        self.context = contextvars.copy_context()


class QueueingHTTPClient(AsyncHTTPClient):
    """A client that runs at most `max_clients` requests at once.

    Implementations define `_begin`, which ends in `_end`, and `_queue_timeout`.

    Attributes:
        max_clients: How many requests may run at once.
        queue: The requests that wait for others to end.
        active: The requests that run.
        waiting: The requests in the queue, with what ends their wait.
    """

    max_clients: int
    queue: collections.deque[tuple[Ticket, HTTPRequest, ResponseCallback]]
    active: dict[Ticket, tuple[HTTPRequest, ResponseCallback]]
    waiting: dict[Ticket, tuple[HTTPRequest, ResponseCallback, object, float]]

    def initialize(  # type: ignore[override]  # the implementation's own settings
        self, max_clients: int = 10, defaults: dict[str, Any] | None = None
    ) -> None:
        """Set up the client; implementations call it from theirs.

        Raises:
            ValueError: `max_clients` is less than 1.
        """
        if max_clients < 1:
            raise ValueError(f"max_clients={max_clients!r} lets no request run: write 1 or more")
        super().initialize(defaults=defaults)
        self.max_clients = max_clients
        self.queue = collections.deque()
        self.active = {}
        self.waiting = {}

    def close(self) -> None:
        """Free what the client holds, and cancel the requests in the queue."""
        super().close()
        waiting = list(self.waiting.values())
        self.queue.clear()
        self.waiting.clear()
        if not self.io_loop.asyncio_loop.is_closed():
            for request, callback, timeout, _ in waiting:
                if timeout is not None:
                    self.io_loop.remove_timeout(timeout)
                self._answer(callback, no_response(request, asyncio.CancelledError()))

    def fetch_impl(self, request: HTTPRequest, callback: ResponseCallback) -> None:
        """Send `request` as soon as there is room, and call `callback` with the response."""
        ticket = Ticket()
        if len(self.active) < self.max_clients:
            self.active[ticket] = (request, callback)
            self._begin(ticket, request, callback, 0.0)
            return
        limits = [limit for limit in (request.connect_timeout, request.request_timeout) if limit]
        timeout = self.io_loop.call_later(min(limits), self._expire, ticket) if limits else None
        self.queue.append((ticket, request, callback))
        self.waiting[ticket] = (request, callback, timeout, time.monotonic())
        gen_log.debug(
            "max_clients limit reached, request queued. %d active, %d queued requests.",
            len(self.active),
            len(self.queue),
        )

    def handle_callback_exception(self, callback: Any) -> None:
        """Log the exception that a callback of the application raised."""
        app_log.error("Exception in callback %r", callback, exc_info=True)

    def _begin(
        self, ticket: Ticket, request: HTTPRequest, callback: ResponseCallback, queued: float
    ) -> None:
        """Let a request run, which has been in the queue for so many seconds."""
        raise NotImplementedError

    def _queue_timeout(self) -> HTTPClientError:
        """The error of a request that has waited too long."""
        raise NotImplementedError

    def _end(self, ticket: Ticket) -> None:
        """Note that a request has ended, and begin those that it has made room for."""
        del self.active[ticket]
        while self.queue and len(self.active) < self.max_clients and not self._closed:
            ticket, request, callback = self.queue.popleft()
            _, _, timeout, enqueued = self.waiting.pop(ticket)
            if timeout is not None:
                self.io_loop.remove_timeout(timeout)
            self.active[ticket] = (request, callback)
            self._begin(ticket, request, callback, time.monotonic() - enqueued)

    def _reject(
        self,
        ticket: Ticket,
        request: HTTPRequest,
        callback: ResponseCallback,
        error: Exception,
        queued: float,
    ) -> None:
        """Answer a request that cannot be sent as it is."""
        self._end(ticket)
        failure = located(error, request.method, request.url, Stage.PREPARING)
        self._answer(callback, no_response(request, failure, queued=queued))

    def _expire(self, ticket: Ticket) -> None:
        """End the wait of a request in the queue."""
        request, callback, _, enqueued = self.waiting.pop(ticket)
        self.queue.remove((ticket, request, callback))
        queued = time.monotonic() - enqueued
        error = located(self._queue_timeout(), request.method, request.url, Stage.QUEUE)
        self._answer(callback, no_response(request, error, queued=queued))

    def _answer(self, callback: ResponseCallback, response: HTTPResponse) -> None:
        try:
            callback(response)
        except Exception:
            self.handle_callback_exception(callback)


def no_response(
    request: HTTPRequest,
    error: BaseException,
    start_time: float | None = None,
    request_time: float | None = None,
    queued: float = 0.0,
) -> HTTPResponse:
    """What stands for the response where there is none."""
    return HTTPResponse(
        request,
        599,
        error=error,
        start_time=start_time,
        request_time=request_time,
        time_info={"queue": queued},
    )
