"""`TCPServer`: listening sockets, starting and stopping, and a stream for each connection."""

import os
import socket as socket_module
import ssl
from collections.abc import Awaitable, Callable, Iterable
from socket import socket
from typing import Any

from typhoon.concurrent import Future
from typhoon.gen import convert_yielded
from typhoon.ioloop import IOLoop
from typhoon.iostream import IOStream, SSLIOStream
from typhoon.iostream.sockets import begin_tls
from typhoon.log import app_log
from typhoon.netutil import (
    add_accept_handler,
    bind_sockets,
    ssl_options_to_context,
)
from typhoon.process import fork_processes

__all__ = ["TCPServer"]


class TCPServer:
    """A server on TCP or UNIX sockets; subclasses define `handle_stream`.

    .. code-block:: python

        class EchoServer(TCPServer):
            async def handle_stream(self, stream, address):
                try:
                    while True:
                        await stream.write(await stream.read_until(b"\\n", max_bytes=65536))
                except StreamClosedError:
                    pass

    One process listens with `listen`. Several share their sockets, which one of them binds:

    .. code-block:: python

        sockets = bind_sockets(8888)
        fork_processes(0)
        server = MyServer()
        server.add_sockets(sockets)
        IOLoop.current().start()

    Args:
        ssl_options: For TLS: an `ssl.SSLContext`, or a dictionary as for
            `typhoon.netutil.ssl_options_to_context` with at least ``certfile``.
        max_buffer_size: The most bytes that a connection may hold unread.
        read_chunk_size: The most bytes that are read at once.

    Raises:
        KeyError: `ssl_options` has no ``certfile``.
        ValueError: A file of `ssl_options` does not exist, or a key is unknown.
        ssl.SSLError: A file of `ssl_options` holds no certificate, or no key that fits it.
    """

    def __init__(
        self,
        ssl_options: dict[str, Any] | ssl.SSLContext | None = None,
        max_buffer_size: int | None = None,
        read_chunk_size: int | None = None,
    ) -> None:
        self.ssl_options = ssl_options
        self.max_buffer_size = max_buffer_size
        self.read_chunk_size = read_chunk_size
        self._ssl_context = _ssl_context(ssl_options)
        self._sockets: dict[int, socket] = {}  # by file descriptor
        self._stop_serving: dict[int, Callable[[], None]] = {}
        self._pending: list[socket] = []  # bound, and waiting for start()
        self._started = False

    def handle_stream(self, stream: IOStream, address: Any) -> Awaitable[None] | None:
        """Serve one connection; a plain method or a coroutine.

        An exception is logged and closes the stream.

        Args:
            stream: The connection. With TLS it is an `SSLIOStream`, the handshake of which may
                still go on (`SSLIOStream.wait_for_handshake`).
            address: The client's address, as `socket.socket.accept` gives it.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define handle_stream")

    def _serve(self, sock: socket) -> Callable[[], None]:
        """Begin to accept connections on `sock`; return a function that stops it.

        Works before the event loop runs as well as while it does. `sock` stays open: the caller
        closes it.
        """
        return add_accept_handler(sock, self._handle_connection)

    def _handle_connection(self, connection: socket, address: Any) -> None:
        stream: IOStream
        if self._ssl_context is not None:
            try:
                wrapped = begin_tls(connection, self._ssl_context, server_side=True)
            except OSError:
                connection.close()  # the client has gone already
                return
            stream = SSLIOStream(
                wrapped,
                max_buffer_size=self.max_buffer_size,
                read_chunk_size=self.read_chunk_size,
            )
        else:
            stream = IOStream(
                connection,
                max_buffer_size=self.max_buffer_size,
                read_chunk_size=self.read_chunk_size,
            )
        try:
            handled = self.handle_stream(stream, address)
            if handled is not None:
                self._see_to(convert_yielded(handled), stream)
        except Exception:
            stream.close()
            app_log.error("Error in connection callback", exc_info=True)

    @staticmethod
    def _see_to(handled: "Future[Any]", stream: IOStream) -> None:
        """Close the stream of a coroutine that fails, and have its exception logged."""

        def done(handled: "Future[Any]") -> None:
            if handled.cancelled() or handled.exception() is not None:
                stream.close()
            handled.result()

        IOLoop.current().add_future(handled, done)

    def listen(
        self,
        port: int,
        address: str | None = None,
        family: socket_module.AddressFamily = socket_module.AF_UNSPEC,
        backlog: int = 128,
        flags: int | None = None,
        reuse_port: bool = False,
    ) -> None:
        """Accept connections on `port`; may be called again for more ports.

        Arguments and errors are those of `typhoon.netutil.bind_sockets`.
        """
        self._add_or_close(bind_sockets(port, address, family, backlog, flags, reuse_port))

    def add_sockets(self, sockets: Iterable[socket]) -> None:
        """Accept connections on sockets that listen already, such as `bind_sockets` returns."""
        for sock in sockets:
            stop = self._serve(sock)
            self._sockets[sock.fileno()] = sock
            self._stop_serving[sock.fileno()] = stop

    def add_socket(self, socket: socket) -> None:
        """Accept connections on one socket; see `add_sockets`."""
        self.add_sockets([socket])

    def bind(
        self,
        port: int,
        address: str | None = None,
        family: socket_module.AddressFamily = socket_module.AF_UNSPEC,
        backlog: int = 128,
        flags: int | None = None,
        reuse_port: bool = False,
    ) -> None:
        """Listen on `port`, and accept connections from `start` on; see `listen`.

        New programs use `listen` or `add_sockets`.
        """
        sockets = bind_sockets(port, address, family, backlog, flags, reuse_port)
        if self._started:
            self._add_or_close(sockets)
        else:
            self._pending.extend(sockets)

    def start(self, num_processes: int | None = 1, max_restarts: int | None = None) -> None:
        """Accept connections on what `bind` has bound, in this process or in forked ones.

        Args:
            num_processes: 1 to stay in this process; None or 0 for one process on each processor;
                else the number of processes.
            max_restarts: As for `typhoon.process.fork_processes`.

        Raises:
            RuntimeError: The server has been started, or cannot fork (see `fork_processes`).
        """
        if self._started:
            raise RuntimeError("the server has been started already")
        self._started = True
        if num_processes != 1:
            fork_processes(num_processes, max_restarts)
        sockets, self._pending = self._pending, []
        self._add_or_close(sockets)

    def stop(self) -> None:
        """Close the listening sockets; open connections go on. Stopping twice is fine."""
        while self._sockets:
            fd, sock = self._sockets.popitem()
            self._stop_serving.pop(fd)()
            sock.close()
        while self._pending:
            self._pending.pop().close()

    def _add_or_close(self, sockets: list[socket]) -> None:
        """Serve sockets that the server has made itself."""
        try:
            self.add_sockets(sockets)
        except BaseException:
            for sock in sockets:
                if self._sockets.get(sock.fileno()) is not sock:
                    sock.close()
            raise


def _ssl_context(ssl_options: dict[str, Any] | ssl.SSLContext | None) -> ssl.SSLContext | None:
    """The context for `ssl_options`, or an error that says what is missing."""
    if ssl_options is None:
        return None
    if isinstance(ssl_options, dict):
        if "certfile" not in ssl_options:
            raise KeyError('missing key "certfile" in ssl_options')
        for key in ("certfile", "keyfile"):
            path = ssl_options.get(key)
            if path is not None and not os.path.exists(path):
                raise ValueError(f'{key} "{path}" does not exist')
    return ssl_options_to_context(ssl_options, server_side=True)
