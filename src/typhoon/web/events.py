"""Server-Sent Events (WHATWG HTML, section 9.2)."""

import asyncio
import re
from collections.abc import AsyncIterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from typhoon.escape import json_encode
from typhoon.httpserver import HTTP1ServerConnection
from typhoon.iostream import StreamClosedError

if TYPE_CHECKING:
    from typhoon.httputil import HTTPServerRequest
    from typhoon.web.handler import RequestHandler

_LINE_END = re.compile("\r\n|\r|\n")
_FORBIDDEN = re.compile("[\r\n\0]")

_KEEPALIVE = b":\n\n"
"""A comment: something that keeps proxies from closing, and means nothing to the client."""


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event for `RequestHandler.send_events`.

    An event without data changes what the client knows (`id`, `retry`), but calls no listener.

    Attributes:
        data: What the listener gets: a str as it is, anything else as JSON.
        event: The type of the event, for `addEventListener`; by default `"message"`.
        id: What the client sends as `Last-Event-ID` when it reconnects; `""` makes it forget that.
        retry: After how many milliseconds the client reconnects, from now on.
        comment: Text that the client passes over.

    `ValueError` for a line break or NUL in `event` or `id`.
    """

    data: Any = None
    event: str | None = None
    id: str | None = None
    retry: int | None = None
    comment: str | None = None

    def __post_init__(self) -> None:
        for name, value in (("event", self.event), ("id", self.id)):
            if value is not None and _FORBIDDEN.search(value):
                raise ValueError(f"the {name} {value!r} of an event has a line break or NUL in it")
        _check_retry(self.retry)

    def encode(self) -> bytes:
        """The event as it is sent."""
        lines = []
        if self.comment is not None:
            lines += [f": {line}" for line in _LINE_END.split(self.comment)]
        if self.retry is not None:
            lines.append(f"retry: {self.retry}")
        if self.id is not None:
            lines.append(f"id: {self.id}")
        if self.event is not None:
            lines.append(f"event: {self.event}")
        if self.data is not None:
            data = self.data if isinstance(self.data, str) else json_encode(self.data)
            lines += [f"data: {line}" for line in _LINE_END.split(data)]
        return "\n".join([*lines, "", ""]).encode()


Event = ServerSentEvent | str | dict[str, Any] | list[Any]
"""What a generator of events may yield."""


class EventsMixin:
    """How a handler sends events as they happen."""

    request: "HTTPServerRequest"

    _sending: "_Sending | None" = None

    @property
    def last_event_id(self) -> str | None:
        """The `id` of the last event that a client has got which reconnects, else None."""
        value = self.request.headers.get("Last-Event-ID")
        return None if value is None else value.encode("latin-1").decode("utf-8", "replace")

    async def send_events(
        self,
        events: AsyncIterable[Event],
        *,
        retry: int | None = None,
        keepalive: float | None = 15.0,
    ) -> None:
        """Answer with a stream of events (`EventSource` in a browser).

            class Ticker(RequestHandler):
                async def get(self):
                    await self.send_events(self.ticks(int(self.last_event_id or 0)))

                async def ticks(self, number):
                    while True:
                        number += 1
                        yield ServerSentEvent({"tick": number}, id=str(number))
                        await asyncio.sleep(1)

        Returns when the generator has ended, or when the client has gone or the server closes its
        connections: then the generator is cancelled where it waits. In any case it is closed, and
        its `finally` blocks have run.
        A slow client makes the generator wait. After the end the client reconnects, unless it is
        answered with the status 204.

        Args:
            events: An async generator, or any other asynchronous iterable. It gives
                `ServerSentEvent` objects; a str, dict or list is the data of such an event.
            retry: After how many milliseconds the client shall reconnect; by default it decides.
            keepalive: After how many seconds without an event a comment is sent, so that nobody
                in between closes the connection; None for never.

        Raises:
            RuntimeError: A part of the response has been sent already.
            TypeError, ValueError: An argument or an event is none.
        """
        if not hasattr(events, "__aiter__"):
            raise TypeError(
                f"send_events takes an async generator, such as self.events(), not {events!r}"
            )
        handler = cast("RequestHandler", self)
        try:
            _check_retry(retry)
            if keepalive is not None and keepalive <= 0:
                raise ValueError(f"keepalive={keepalive!r}: write seconds, or None for no comments")
            if handler._headers_written:
                raise RuntimeError("send_events has to come before flush and finish")
            handler.set_header("Content-Type", "text/event-stream")
            if "Cache-Control" not in handler._headers:
                handler.set_header("Cache-Control", "no-store")
            handler.set_header("X-Accel-Buffering", "no")  # nginx would collect events
            handler.clear_header("Content-Length")
            is_head = self.request.method == "HEAD"
            if retry is not None:
                handler.write(f"retry: {retry}\n\n")
            flushed = handler.flush()
            if not is_head and not handler._client_has_gone():
                self._sending = _Sending(handler, keepalive, flushed)
                await self._sending.run(events)
        finally:
            self._sending = None
            close = getattr(events, "aclose", None)
            if close is not None:
                await close()


class _Sending:
    """Sends what a generator gives, while the client is there."""

    def __init__(
        self,
        handler: "RequestHandler",
        keepalive: float | None,
        flushed: "asyncio.Future[None]",
    ) -> None:
        self.handler = handler
        self.keepalive = keepalive
        self.flushed = flushed
        self.stopped = False
        self.task = asyncio.current_task()
        self.loop = asyncio.get_running_loop()
        self.last_time = self.loop.time()
        self.timer: asyncio.TimerHandle | None = None

    def stop(self) -> None:
        """The client has gone, or the server stops: end the generator where it waits."""
        if self.task is not None and not self.stopped:
            self.stopped = True
            self.task.cancel()

    async def run(self, events: AsyncIterable[Event]) -> None:
        """Send events until they end or the client goes."""
        task = self.task
        # Somebody else may want to cancel the task as well: such a request is not ours to undo.
        others = task.cancelling() if task is not None else 0
        if self.keepalive is not None:
            self.timer = self.loop.call_later(self.keepalive, self._keep_alive, self.keepalive)
        connection: Any = self.handler.request.connection
        is_told = isinstance(connection, HTTP1ServerConnection)
        if is_told:
            connection.set_shut_down_callback(self.stop)
        try:
            await self.flushed
            async for event in events:
                if self.stopped:
                    break
                self._send(_encode(event))
                await self.flushed
        except StreamClosedError:
            if not self.stopped and not self.handler._client_has_gone():
                raise
        except asyncio.CancelledError:
            if not self.stopped or task is None or task.cancelling() > others + 1:
                raise
        finally:
            if is_told:
                connection.set_shut_down_callback(None)
            if self.timer is not None:
                self.timer.cancel()
            if self.stopped and task is not None:
                task.uncancel()

    def _send(self, data: bytes) -> None:
        self.handler.write(data)
        self.flushed = self.handler.flush()
        self.last_time = self.loop.time()

    def _keep_alive(self, interval: float) -> None:
        # Setting a timer anew for each event would cost more than looking at the clock.
        left = self.last_time + interval - self.loop.time()
        if left <= 0.001:
            # A client that has not read the last event has enough to read.
            if self.flushed.done():
                self._send(_KEEPALIVE)
            left = interval
        self.timer = self.loop.call_later(left, self._keep_alive, interval)


def _encode(event: object) -> bytes:
    match event:
        case ServerSentEvent():
            return event.encode()
        case str() | dict() | list():
            return ServerSentEvent(event).encode()
    raise TypeError(
        f"{event!r} is no event: yield a ServerSentEvent, or a str, dict or list as its data"
    )


def _check_retry(retry: object) -> None:
    if retry is not None and (type(retry) is not int or retry < 0):
        raise ValueError(f"retry={retry!r}: write whole milliseconds, such as 3000")
