"""`SimpleAsyncHTTPClient`: which requests run, over which connections, and for how long."""

import asyncio
import functools
import socket
from io import BytesIO
from typing import Any

from typhoon.http1connection import HTTP1Connection, HTTP1ConnectionParameters
from typhoon.httpclient.errors import HTTPClientError
from typhoon.httpclient.failures import Stage, located
from typhoon.httpclient.queueing import (
    QueueingHTTPClient,
    ResponseCallback,
    Ticket,
    no_response,
)
from typhoon.httpclient.request import HTTPRequest
from typhoon.httpclient.response import HTTPResponse
from typhoon.iostream import IOStream, StreamClosedError
from typhoon.netutil import OverrideResolver, Resolver, is_valid_ip
from typhoon.simple_httpclient.errors import HTTPStreamClosedError, HTTPTimeoutError
from typhoon.simple_httpclient.exchange import Exchange
from typhoon.simple_httpclient.headers import request_headers
from typhoon.simple_httpclient.progress import NotingResolver, Progress, connecting
from typhoon.simple_httpclient.redirects import next_request
from typhoon.simple_httpclient.target import Target, parse_target
from typhoon.simple_httpclient.tls import context_for
from typhoon.tcpclient import TCPClient


class SimpleAsyncHTTPClient(QueueingHTTPClient):
    """An HTTP/1.1 client on Typhoon's own streams.

    Each request has a connection of its own.

    Attributes:
        max_buffer_size: Bytes that a connection may hold unread.
        max_header_size: Bytes that the head of a response may have; None for the default.
        max_body_size: Bytes that the body of a response may have, decompressed.
        resolver: What looks up host names.
        own_resolver: Whether the client made the resolver, and closes it.
        tcp_client: What makes the connections.
    """

    max_buffer_size: int
    max_header_size: int | None
    max_body_size: int | None
    resolver: Resolver
    own_resolver: bool
    tcp_client: TCPClient

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
        self._tasks: set[asyncio.Task[HTTPResponse]] = set()

    def close(self) -> None:
        """Stop what is under way, and free what the client holds."""
        if self._closed:
            return
        super().close()
        if not self.io_loop.asyncio_loop.is_closed():
            for task in self._tasks:
                task.cancel()
        if self.own_resolver:
            self.resolver.close()
        self.tcp_client.close()

    # Requests

    def _queue_timeout(self) -> HTTPClientError:
        return HTTPTimeoutError("Timeout in request queue")

    def _begin(
        self, ticket: Ticket, request: HTTPRequest, callback: ResponseCallback, queued: float
    ) -> None:
        progress = Progress(request)
        task = self.io_loop.asyncio_loop.create_task(
            self._follow(request, progress, queued), context=ticket.context
        )
        self._tasks.add(task)
        # Also called for a task that is cancelled before its first step.
        task.add_done_callback(
            functools.partial(self._finished, ticket, request, callback, progress, queued)
        )

    def _finished(
        self,
        ticket: Ticket,
        request: HTTPRequest,
        callback: ResponseCallback,
        progress: Progress,
        queued: float,
        task: "asyncio.Task[HTTPResponse]",
    ) -> None:
        """Make room for the next request, and answer this one, whatever has come of it."""
        self._tasks.discard(task)
        self._end(ticket)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is None:
            response = task.result()
        else:
            if error.__suppress_context__:
                error.__context__ = None  # it may refer to the error that was raised in its place
            last = progress.request
            error = located(error, last.method, last.url, progress.stage, progress.place)
            response = no_response(request, error, progress.start_time, progress.seconds(), queued)
        try:
            self._answer(callback, response)
        finally:
            del response, error  # whose traceback may refer to this frame

    # One request

    async def _follow(
        self, request: HTTPRequest, progress: Progress, queued: float
    ) -> HTTPResponse:
        """The response to a request, or to the last one that it is redirected to."""
        limit = asyncio.timeout(request.request_timeout or None)
        try:
            async with limit:
                while True:
                    exchange = await self._exchange(request, progress)
                    if not exchange.followed:
                        break
                    code, headers = exchange.start_line.code, exchange.headers
                    progress.stage = Stage.REDIRECTING
                    request = next_request(request, code, headers)
                    progress.begin(request)
        except TimeoutError:
            if limit.expired():
                raise HTTPTimeoutError(f"Timeout {progress.phrase}") from None
            raise
        finally:
            del limit  # which refers to the task, and that to its error, whose traceback leads here
        total = progress.seconds()
        return HTTPResponse(
            request,
            exchange.start_line.code,
            reason=exchange.start_line.reason,
            headers=exchange.headers,
            buffer=BytesIO(b"".join(exchange.chunks)),
            effective_url=request.url,
            request_time=total,
            start_time=progress.start_time,
            time_info={"queue": queued, **progress.ended, "total": total},
        )

    async def _exchange(self, request: HTTPRequest, progress: Progress) -> Exchange:
        """Send one request and take in the response."""
        target = parse_target(request.url)
        headers = request_headers(request, target)
        stream = await self._connect(request, target, progress)
        try:
            parameters = HTTP1ConnectionParameters(
                no_keep_alive=True,
                max_header_size=self.max_header_size,
                max_body_size=self.max_body_size,
                decompress=bool(request.decompress_response),
            )
            connection = HTTP1Connection(stream, True, parameters)
            exchange = Exchange(request, stream, connection, progress)
            await exchange.run(target.path, headers)
        finally:
            stream.close()
            stream.error = None  # whose traceback leads to this frame
        return exchange

    async def _connect(self, request: HTTPRequest, target: Target, progress: Progress) -> IOStream:
        """A connection to where the request goes, with TLS if its URL says so."""
        if request.proxy_host or request.proxy_port:
            raise NotImplementedError(
                "the simple client does not use proxies: leave out proxy_host and proxy_port, or "
                "configure typhoon.curl_httpclient.CurlAsyncHTTPClient"
            )
        source_ip = request.network_interface
        if source_ip is not None and not is_valid_ip(source_ip):
            raise ValueError(f"network_interface: {source_ip!r} is no IP address")
        context = context_for(request) if target.scheme == "https" else None
        family = socket.AF_INET if request.allow_ipv6 is False else socket.AF_UNSPEC
        place = f"{target.host}:{target.port}"
        progress.stage, progress.place = Stage.RESOLVING, target.host
        connecting.set((progress, place))
        limit = asyncio.timeout(request.connect_timeout or None)
        try:
            async with limit:
                stream = await self.tcp_client.connect(
                    target.host,
                    target.port,
                    af=family,
                    max_buffer_size=self.max_buffer_size,
                    source_ip=source_ip,
                )
                if context is not None:
                    progress.enter(Stage.TLS_HANDSHAKE, after="connect")
                    stream = await stream.start_tls(False, context, server_hostname=target.host)
        except TimeoutError:
            if limit.expired():
                raise HTTPTimeoutError(f"Timeout {progress.phrase}") from None
            raise
        except StreamClosedError as error:
            raise error.real_error or HTTPStreamClosedError() from None
        finally:
            del limit  # see above
        after = "connect" if context is None else "appconnect"
        progress.enter(Stage.WAITING, after)
        stream.set_nodelay(True)
        return stream
