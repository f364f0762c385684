"""`HTTPServer`: sockets, settings and the connections that come of them."""

import asyncio
import math
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import Any, Self

from typhoon import _core
from typhoon.http1connection import HTTP1ConnectionParameters
from typhoon.http1connection import HTTP1ServerConnection as HTTP1StreamConnection
from typhoon.httpserver.connection import HTTP1ServerConnection, Successor
from typhoon.httpserver.context import RequestContext
from typhoon.httpserver.deadlines import Deadlines
from typhoon.httpserver.delegates import (
    CallableDelegate,
    OnRequest,
    StreamListener,
    decompressing,
    head_listener,
)
from typhoon.httpserver.handshake import log_handshakes
from typhoon.httputil import (
    HTTPConnection,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
)
from typhoon.ioloop import IOLoop
from typhoon.iostream import IOStream
from typhoon.tcpserver import TCPServer
from typhoon.util import Configurable

MAX_BODY_SIZE = 100 * 1024 * 1024
HEADER_TIMEOUT = 30.0
IDLE_CONNECTION_TIMEOUT = 3600.0
CLOSE_TIMEOUT = 1.0
BACKLOG = 1024
_TURNS_TO_BEGIN = 2
"""Turns of the loop until a connection that has just been accepted is one of ours."""


class HTTPServer(TCPServer, Configurable, HTTPServerConnectionDelegate):
    """Serves an application over HTTP/1.1.

    `request_callback` is an `Application`, any other `HTTPServerConnectionDelegate`, or a function
    that is called with each `HTTPServerRequest` and answers through its `connection`.

    - `no_keep_alive`: close each connection behind its first response.
    - `xheaders`: believe the headers X-Real-Ip, X-Forwarded-For, X-Scheme and X-Forwarded-Proto.
      Only behind a proxy that sets them. `trusted_downstream` lists the addresses of more proxies
      of one's own, which are skipped in X-Forwarded-For.
    - `protocol`: what requests give as theirs, "http" or "https", when a proxy ends the TLS.
    - `ssl_options`: an `ssl.SSLContext`, or a dict of `ssl.SSLContext`'s usual settings
      (`certfile`, `keyfile`, `ca_certs`, …), to serve HTTPS.
    - `decompress_request`: accept bodies with Content-Encoding gzip or deflate.
    - `chunk_size`: bytes of body that `data_received` gets at the most.
    - `max_header_size`, `max_body_size`: bytes; larger heads get 431, larger bodies 413.
      `max_buffer_size` is the older name for the limit of bodies held in memory.
    - `header_timeout`, `body_timeout`: seconds for a head and for a body to come; then 408.
    - `idle_connection_timeout`: seconds after which a connection without a request is closed.
    """

    _loop: asyncio.AbstractEventLoop
    _deadlines: Deadlines
    _done: "asyncio.Future[None]"
    _is_ended: bool
    _settings: _core.ServerSettings

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        # Not an argument of `initialize`, whose signature subclasses repeat.
        header_timeout = kwargs.pop("header_timeout", None)
        server: Self = super().__new__(cls, *args, **kwargs)
        server.conn_params.header_timeout = header_timeout or HEADER_TIMEOUT
        return server

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Configurable has passed the arguments to `initialize`.
        pass

    def initialize(
        self,
        request_callback: HTTPServerConnectionDelegate | OnRequest,
        no_keep_alive: bool = False,
        xheaders: bool = False,
        ssl_options: dict[str, Any] | ssl.SSLContext | None = None,
        protocol: str | None = None,
        decompress_request: bool = False,
        chunk_size: int | None = None,
        max_header_size: int | None = None,
        idle_connection_timeout: float | None = None,
        body_timeout: float | None = None,
        max_body_size: int | None = None,
        max_buffer_size: int | None = None,
        trusted_downstream: list[str] | None = None,
    ) -> None:
        TCPServer.__init__(
            self,
            ssl_options=ssl_options,
            max_buffer_size=max_buffer_size,
            read_chunk_size=chunk_size,
        )
        self.request_callback = request_callback
        self.xheaders = xheaders
        self.protocol = protocol
        self.trusted_downstream = trusted_downstream or []
        self._connections: set[HTTP1ServerConnection | Successor] = set()
        self._stream_connections: set[HTTP1StreamConnection] = set()
        self._all_closed: asyncio.Future[None] | None = None
        self.conn_params = HTTP1ConnectionParameters(
            no_keep_alive=no_keep_alive,
            chunk_size=chunk_size,
            max_header_size=max_header_size,
            header_timeout=HEADER_TIMEOUT,
            max_body_size=max_body_size or max_buffer_size or MAX_BODY_SIZE,
            body_timeout=body_timeout,
            decompress=decompress_request,
        )
        self.conn_params.idle_timeout = idle_connection_timeout or IDLE_CONNECTION_TIMEOUT

    def _make_settings(self) -> _core.ServerSettings:
        """What the server's own protocol works by."""
        params = self.conn_params
        on_request, on_head = self._entry()
        every_head = on_request is None
        if params.decompress:
            on_head = decompressing(on_request, on_head, params.chunk_size)
        return _core.ServerSettings(
            on_request=on_request,
            on_head=on_head,
            every_head=every_head,
            chunk_size=params.chunk_size,
            max_header_size=params.max_header_size,
            max_body_size=MAX_BODY_SIZE if params.max_body_size is None else params.max_body_size,
            header_timeout=params.header_timeout or math.inf,
            body_timeout=params.body_timeout,
            idle_timeout=params.idle_timeout or math.inf,
            keep_alive=not params.no_keep_alive,
        )

    @classmethod
    def configurable_base(cls) -> type[Configurable]:
        return HTTPServer

    @classmethod
    def configurable_default(cls) -> type[Configurable]:
        return HTTPServer

    def _entry(self) -> tuple[Any, Any]:
        """What takes complete requests, and what takes heads of those with a body."""
        if type(self).start_request is HTTPServer.start_request:
            entry = getattr(self.request_callback, "_direct_entry", None)
            if entry is not None and (functions := entry()) is not None:
                return functions  # type: ignore[no-any-return]
            if not isinstance(self.request_callback, HTTPServerConnectionDelegate):
                return self.request_callback, None
        return None, head_listener(self)

    def start_request(
        self, server_conn: object, request_conn: HTTPConnection
    ) -> HTTPMessageDelegate:
        if isinstance(self.request_callback, HTTPServerConnectionDelegate):
            return self.request_callback.start_request(server_conn, request_conn)
        return CallableDelegate(self.request_callback, server_conn, request_conn)

    def on_close(self, server_conn: object) -> None:
        if isinstance(self.request_callback, HTTPServerConnectionDelegate):
            self.request_callback.on_close(server_conn)

    def handle_stream(self, stream: IOStream, address: Any) -> None:
        """Serve a connection that was accepted elsewhere, or is something else than a socket's.

        Connections of the server's own sockets do not come this way, unless a subclass overrides
        this method: then all do, which is slower.

        Args:
            stream: The connection to the client; it belongs to the server from now on.
            address: The client's address, as `socket.socket.accept` gives it.
        """
        context = RequestContext.of_stream(stream, address, self.protocol, self.trusted_downstream)
        connection = HTTP1StreamConnection(stream, self.conn_params, context)
        self._stream_connections.add(connection)
        connection.start_serving(StreamListener(self, self.xheaders, self._stream_closed))

    def _stream_closed(self, connection: HTTP1StreamConnection) -> None:
        self._stream_connections.discard(connection)
        self.on_close(connection)

    def _serve(self, sock: socket.socket) -> Callable[[], None]:
        if type(self).handle_stream is not HTTPServer.handle_stream:
            return super()._serve(sock)
        loop = IOLoop.current().asyncio_loop
        if getattr(self, "_loop", None) is not loop:
            # The first socket, or the first in a child process.
            self._loop = loop
            self._settings = self._make_settings()
            if self._ssl_context is not None:
                log_handshakes(self._ssl_context)
            self._deadlines = Deadlines(loop)
            self._done = loop.create_future()
            self._done.set_result(None)
            serving = getattr(self.request_callback, "_serving", None)
            if serving is not None:
                serving()
        self._is_ended = False
        # asyncio forgets, unclosed, what it has accepted in the turn in which its server is closed:
        # so with its own loops the server is just left alone. (`create_server` there takes UNIX
        # sockets too, and unlike the other does not remove their files at the end.)
        is_asyncios = isinstance(loop, asyncio.SelectorEventLoop)
        create: Any = loop.create_server
        if sock.family == socket.AF_UNIX and not is_asyncios:
            create = loop.create_unix_server
        server = _run_at_once(
            create(
                lambda: HTTP1ServerConnection(self),
                sock=sock,
                ssl=self._ssl_context,
                backlog=BACKLOG,
                start_serving=False,
            )
        )
        _run_at_once(server.start_serving())

        def stop() -> None:
            if is_asyncios:
                loop.remove_reader(sock)
            else:
                server.close()

        return stop

    def _connection_lost(self, connection: HTTP1ServerConnection) -> None:
        self._successor_lost(connection)
        self.on_close(connection)

    def _successor_lost(self, connection: HTTP1ServerConnection | Successor) -> None:
        self._connections.discard(connection)
        if not self._connections and self._all_closed is not None:
            self._all_closed.set_result(None)
            self._all_closed = None

    async def close_all_connections(self) -> None:
        """Close every connection, whether a request is in progress or not, and wait for it.

        What has been written has a second to get to its client, and streams of events have it to
        end. Call `stop` first, so that no new connections come.
        """
        self._is_ended = True  # for those whose TLS handshake goes on
        for _ in range(_TURNS_TO_BEGIN):
            await asyncio.sleep(0)
        if self._stream_connections:
            closing = [connection.close() for connection in self._stream_connections]
            await asyncio.gather(*closing)
        for connection in list(self._connections):
            connection.shut_down()
        if self._connections:
            if self._all_closed is None:
                self._all_closed = asyncio.get_running_loop().create_future()
            all_closed = self._all_closed
            await asyncio.wait([all_closed], timeout=CLOSE_TIMEOUT)
            for connection in list(self._connections):
                connection.abort()
            await asyncio.shield(all_closed)


def _run_at_once(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that waits for nothing but its turn.

    Starting to serve a socket that is bound already is such a one; so `listen` works before the
    event loop runs, and raises what goes wrong.
    """
    try:
        while True:
            if coroutine.send(None) is not None:
                raise RuntimeError(f"{coroutine!r} waits for something")
    except StopIteration as stop:
        return stop.value
    finally:
        coroutine.close()
