"""`Fetch`: one fetch, from the moment it may run to its answer.

A plain request for which a connection is idle is sent at once, and answered by what receives the
response: it costs no task. All else (a connection to be made, a body in pieces, a redirect, a
second try) is the work of a task, which goes on from wherever the fetch is.
"""

import asyncio
import math
import time
from typing import TYPE_CHECKING, Final

from typhoon._core import ExchangeError
from typhoon.http1connection.decoding import CompressedBodyError, consume_codings, decoded
from typhoon.httpclient.failures import Stage, located
from typhoon.httpclient.queueing import ResponseCallback, Ticket, no_response
from typhoon.httpclient.request import HTTPRequest
from typhoon.httpclient.response import HTTPResponse
from typhoon.simple_httpclient.authenticating import Authentication
from typhoon.simple_httpclient.connection import Connection, Reply
from typhoon.simple_httpclient.errors import HTTPStreamClosedError, HTTPTimeoutError
from typhoon.simple_httpclient.exchange import (
    Exchange,
    failure,
    is_plain,
    stage_of,
    undecodable,
)
from typhoon.simple_httpclient.headers import request_headers
from typhoon.simple_httpclient.pool import Pool
from typhoon.simple_httpclient.progress import Progress
from typhoon.simple_httpclient.redirects import is_followed, next_request
from typhoon.simple_httpclient.route import Route, route_of
from typhoon.simple_httpclient.target import parse_target
from typhoon.simple_httpclient.usual import Plan, is_usual

if TYPE_CHECKING:
    from typhoon.httputil import HTTPHeaders
    from typhoon.simple_httpclient.client import SimpleAsyncHTTPClient

_IDEMPOTENT: Final = frozenset(("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"))
"""Methods that may be sent twice (RFC 9110 §9.2.2)."""


def _give_up(pool: Pool[Connection], route: Route, connection: Connection) -> None:
    """Close a connection that was taken, and cannot be used."""
    connection.abort()
    pool.release(route, connection)


class Fetch(Progress):
    """One fetch, and how far it is. A connection tells it of the response to a plain request.

    Attributes:
        deadline: When it has to be over, on the clock of `time.monotonic`.
    """

    __slots__ = (
        "_authentication",
        "_callback",
        "_client",
        "_connection",
        "_queued",
        "_route",
        "_task",
        "_ticket",
        "deadline",
    )

    _authentication: Authentication | None
    _connection: Connection | None
    _route: Route
    _task: "asyncio.Task[HTTPResponse] | None"

    def __init__(
        self,
        client: "SimpleAsyncHTTPClient",
        ticket: Ticket,
        request: HTTPRequest,
        callback: ResponseCallback,
        queued: float,
    ) -> None:
        Progress.__init__(self, request)  # super() takes longer
        self._client = client
        self._ticket = ticket
        self._callback = callback
        self._queued = queued
        self._authentication = None
        self._connection = None
        self._task = None
        timeout = request.request_timeout
        self.deadline = self.started + timeout if timeout else math.inf

    def begin(self) -> None:
        """Send the request, now or as soon as there is a connection."""
        try:
            sent = self._send_at_once()
        except Exception:
            sent = False  # the task meets the same error, and answers with it
        if not sent:
            self._begin_task(self._run())

    def cancel(self) -> None:
        """Stop: the client is being closed."""
        if self._task is not None:
            self._task.cancel()
        else:
            self._stop(asyncio.CancelledError())

    def expire(self) -> None:
        """The deadline has passed. (A task sees to it itself.)"""
        if (connection := self._connection) is not None:
            self._note_stage(connection)
            self._stop(HTTPTimeoutError(f"Timeout {self.phrase}"))

    # At once

    def _send_at_once(self) -> bool:
        """Whether the request could be sent on an idle connection."""
        request = self.request
        if is_usual(request):
            target, route, headers = self._plan()
        elif is_plain(request):
            target, route, headers = self._prepare()
        else:
            return False
        pool = self._client.pool
        while (connection := pool.take_idle(route)) is not None and connection.has_input():
            _give_up(pool, route, connection)
        if connection is None:
            return False
        try:
            connection.send_request(request.method, target, headers, request._body, self)
        except Exception:
            pool.release(route, connection)
            raise
        self._connection, self._route = connection, route
        self.stage = Stage.WAITING
        self.sent = time.monotonic() - self.started
        self._client._watch(self)
        return True

    def done(self) -> bool:
        """Whether the connection has nothing to tell any more."""
        return self._connection is None

    def set_result(self, reply: Reply) -> None:
        """The response to the request that was sent at once."""
        self._give_back()
        try:
            response = self._take(reply)
        except Exception as error:
            self.place = self._route.place
            self._fail(error)
            return
        if response is None:
            self._begin_task(self._run())
        else:
            self._answer(response)

    def set_exception(self, error: BaseException) -> None:
        """There is no response to the request that was sent at once."""
        if (connection := self._connection) is not None:
            self._note_stage(connection)
        self._give_back()
        if isinstance(error, ExchangeError):
            if error.args[0] == "closed" and self.request.method in _IDEMPOTENT:
                self._begin_task(self._run(fresh=True))
                return
            error = failure(error)
        self._fail(error)

    def _note_stage(self, connection: Connection) -> None:
        """What the client waits for, and of whom: only a failure tells."""
        self.stage, self.place = stage_of(connection), self._route.place

    def _give_back(self) -> None:
        """Leave the connection to the pool."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._client.pool.release(self._route, connection)

    def _stop(self, error: BaseException) -> None:
        if self._connection is not None:
            self._connection.abort()
        self._give_back()
        self._fail(error)

    # In a task

    def _begin_task(self, coroutine: "asyncio._CoroutineLike[HTTPResponse]") -> None:
        loop = self._client.io_loop.asyncio_loop
        self._task = loop.create_task(coroutine, context=self._ticket.context)
        # Also called for a task that is cancelled before its first step.
        self._task.add_done_callback(self._finished)

    def _finished(self, task: "asyncio.Task[HTTPResponse]") -> None:
        self._task = None
        if task.cancelled():
            self._fail(asyncio.CancelledError())
        elif (error := task.exception()) is not None:
            self._fail(error)
            del error  # whose traceback may refer to this frame
        else:
            self._answer(task.result())

    async def _run(self, fresh: bool = False) -> HTTPResponse:
        """The response to the request, or to the last one that it is redirected to.

        Args:
            fresh: Whether the first request needs a connection of its own.
        """
        left = None if self.deadline == math.inf else max(0, self.deadline - time.monotonic())
        limit = asyncio.timeout(left)
        try:
            async with limit:
                while True:
                    reply = await self._exchange(fresh)
                    if (response := self._take(reply)) is not None:
                        return response
                    fresh = False
        except TimeoutError:
            if limit.expired():
                raise HTTPTimeoutError(f"Timeout {self.phrase}") from None
            raise
        finally:
            del limit  # which refers to the task, and that to its error, whose traceback leads here

    async def _exchange(self, fresh: bool) -> Reply:
        """Send the request and take in its response; again if a pooled connection was stale."""
        pool = self._client.pool
        target, route, headers = self._plan() if is_usual(self.request) else self._prepare()
        while True:
            connection = await self._connect(route, fresh)
            reused = connection.exchanges > 0
            self.place = route.place
            self.stage = Stage.WAITING
            self.sent = self.seconds()
            if reused and connection.has_input():
                # It has been closed; or what has come would be taken for the response.
                _give_up(pool, route, connection)
                continue
            if not connection.is_reusable:
                _give_up(pool, route, connection)
                raise HTTPStreamClosedError("The server did not wait for the request")
            try:
                return await self._exchange_on(connection, target, headers)
            except ExchangeError as error:
                if not (reused and self._may_be_sent_again(error)):
                    raise failure(error) from None
                fresh = True
            except BaseException:
                connection.abort()
                raise
            finally:
                pool.release(route, connection)

    async def _exchange_on(
        self, connection: Connection, target: str, headers: "HTTPHeaders"
    ) -> Reply:
        request = self.request
        try:
            if is_plain(request):
                waiter: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
                connection.send_request(request.method, target, headers, request.body, waiter)
                return await waiter
            limit = self._client.body_limit
            exchange = Exchange(request, connection, self, limit, self._leads_on)
            return await exchange.run(target, headers)
        except BaseException:
            if self.stage is Stage.WAITING or connection.received:
                self.stage = stage_of(connection)
            raise

    def _may_be_sent_again(self, error: ExchangeError) -> bool:
        """Whether it makes no difference if the server has seen the request."""
        request = self.request
        return (
            error.args[0] == "closed"
            and request.method in _IDEMPOTENT
            and request.body_producer is None
        )

    async def _connect(self, route: Route, fresh: bool) -> Connection:
        limit = asyncio.timeout(self.request.connect_timeout or None)
        try:
            async with limit:
                return await self._client.pool.acquire(route, self, fresh)
        except TimeoutError:
            if limit.expired():
                raise HTTPTimeoutError(f"Timeout {self.phrase}") from None
            raise
        finally:
            del limit  # see above

    # Both

    def _plan(self) -> Plan:
        """What a usual request needs."""
        request = self.request
        return self._client._plan_of(
            request.url,
            request.user_agent,
            request.decompress_response,
            request.validate_cert,
            vars(request).get("ssl_options"),
        )

    def _prepare(self) -> "tuple[str, Route, HTTPHeaders]":
        """What another request needs: its target, its route and its headers."""
        request = self.request
        target = parse_target(request.url)
        route = route_of(request, target)
        headers = request_headers(request, target)
        if route.proxy is not None:
            headers.pop("Proxy-Authorization", None)  # not for the server (RFC 9110 §11.7.2)
            if route.is_forwarded and route.proxy.authorization is not None:
                headers["Proxy-Authorization"] = route.proxy.authorization
        if request.auth_mode == "digest" or request.proxy_auth_mode == "digest":
            if self._authentication is None:
                memory = self._client.digests
                self._authentication = Authentication(memory, request, target, route)
            self._authentication.add_to(headers)
        return route.target_of(target), route, headers

    def _leads_on(self, code: int, headers: "HTTPHeaders") -> bool:
        """Whether another request is sent after a response, which nobody sees."""
        if self._authentication is not None and self._authentication.can_answer(code, headers):
            return True
        return is_followed(self.request, code, headers)

    def _take(self, reply: Reply) -> HTTPResponse | None:
        """The response, or None if another request has to be sent first."""
        _version, code, reason, headers, body, head_at = reply
        request = self.request
        if self._authentication is not None and self._authentication.take(code, headers):
            return None
        if is_followed(request, code, headers):
            self.stage = Stage.REDIRECTING
            self._authentication = None
            self.begin_again(next_request(request, code, headers))
            return None
        if request.decompress_response and "Content-Encoding" in headers:
            body = self._decode(headers, body)
        total = self.seconds()
        response = HTTPResponse(
            request,
            code,
            reason=reason,
            headers=headers,
            effective_url=request.url,
            request_time=total,
            start_time=self.start_time,
            time_info=self.time_info(self._queued, head_at, total),
        )
        response._body = body
        return response

    def _decode(self, headers: "HTTPHeaders", body: bytes) -> bytes:
        """The body without its Content-Encoding."""
        codings = consume_codings(headers)
        if not codings:
            return body
        try:
            return decoded(codings, body, self._client.body_limit)
        except CompressedBodyError as error:
            raise undecodable(error) from None

    def _fail(self, error: BaseException) -> None:
        """Answer with an error."""
        if error.__suppress_context__:
            error.__context__ = None  # it may refer to the error that was raised in its place
        last = self.request
        error = located(error, last.method, last.url, self.stage, self.place)
        seconds = self.seconds()
        try:
            self._answer(no_response(self.request, error, self.start_time, seconds, self._queued))
        finally:
            del error  # whose traceback may refer to this frame

    def _answer(self, response: HTTPResponse) -> None:
        """Make room for the next request, and answer this one."""
        client = self._client
        client._fetches.discard(self)
        client._end(self._ticket)
        client._answer(self._callback, response)
