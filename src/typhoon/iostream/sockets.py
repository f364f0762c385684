"""`IOStream` and `SSLIOStream`: streams over sockets, plain and with TLS."""

import asyncio
import copy
import errno
import os
import socket
import ssl
from typing import Any

from typhoon.iostream.base import BaseIOStream
from typhoon.iostream.errors import StreamClosedError
from typhoon.iostream.reads import Read, ReadInto
from typhoon.log import gen_log
from typhoon.netutil import ssl_options_to_context, ssl_wrap_socket

_IN_PROGRESS = frozenset(
    {errno.EINPROGRESS, errno.EALREADY, getattr(errno, "WSAEWOULDBLOCK", errno.EINPROGRESS)}
)
"""Not EAGAIN: where the queue of a UNIX socket is full, nothing goes on behind it."""

SSLOptions = dict[str, Any] | ssl.SSLContext


class IOStream(BaseIOStream):
    """A stream over a socket, TCP or UNIX; connected already or to be connected with `connect`.

    .. code-block:: python

        stream = IOStream(socket.socket())
        await stream.connect(("localhost", 8888))
        await stream.write(b"GET / HTTP/1.0\\r\\n\\r\\n")
        head = await stream.read_until(b"\\r\\n\\r\\n", max_bytes=65536)

    Args:
        socket: The socket, which belongs to the stream from now on and is made non-blocking.
        args, kwargs: As for `BaseIOStream`.

    Attributes:
        socket: The socket.
    """

    def __init__(self, socket: socket.socket, *args: Any, **kwargs: Any) -> None:
        self.socket = socket
        self.socket.setblocking(False)
        self._opening: asyncio.Future[Any] | None = None
        super().__init__(*args, **kwargs)

    def fileno(self) -> int:
        return self.socket.fileno()

    def close_fd(self) -> None:
        self.socket.close()

    def get_fd_error(self) -> Exception | None:
        code = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return OSError(code, os.strerror(code)) if code else None

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        try:
            return self.socket.recv_into(buf)
        except BlockingIOError:
            return None

    def _receive(self, size: int) -> bytes | None:
        if getattr(self.read_from_fd, "__func__", None) is not IOStream.read_from_fd:
            return super()._receive(size)  # somebody else knows better how to read
        try:
            return self.socket.recv(size)
        except BlockingIOError:
            return None

    def write_to_fd(self, data: bytes | memoryview) -> int:
        return self.socket.send(data)

    def set_nodelay(self, value: bool) -> None:
        if not self._closed and self.socket.family in (socket.AF_INET, socket.AF_INET6):
            try:
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1 if value else 0)
            except OSError as error:
                # Some systems say so when the connection has been lost already.
                if error.errno != errno.EINVAL:
                    raise

    def connect(self, address: Any, server_hostname: str | None = None) -> "asyncio.Future[Any]":
        """Connect the socket; `write` may be called before it is done.

        Args:
            address: As for `socket.socket.connect`; a host name here would be looked up while the
                loop stands still: use `typhoon.tcpclient.TCPClient` for those.
            server_hostname: For TLS, the name that the server's certificate is to have.

        Returns:
            A future for the stream. It fails with `StreamClosedError`, of which ``real_error`` is
            the reason, or with `ssl.SSLError`.

        Raises:
            StreamClosedError: The stream is closed.
            RuntimeError: It is being connected already.
        """
        if self._closed:
            raise self._closed_error()
        if self._opening is not None:
            raise RuntimeError("Already connecting: connect a stream once")
        future = self._begin_opening()
        self._unwatch_read()
        try:
            self.socket.connect(address)
        except OSError as error:
            # (A socket.gaierror has numbers of another kind.)
            if isinstance(error, socket.gaierror) or error.errno not in _IN_PROGRESS:
                error.__traceback__ = None
                self.close(error)
                return future
        except BaseException:
            self.close()  # it is no address
            raise
        self._watch_write()
        return future

    def _begin_opening(self) -> "asyncio.Future[Any]":
        """The future of `connect` and of `start_tls`."""
        self._ready = False
        self._opening = future = self._loop.create_future()
        future.add_done_callback(self._close_if_cancelled)
        return future

    def _close_if_cancelled(self, future: "asyncio.Future[Any]") -> None:
        if future.cancelled():
            self.close()

    def _on_writable(self) -> None:
        if self._ready:
            super()._on_writable()
        elif (error := self.get_fd_error()) is not None:
            self.close(error)
        else:
            self._connected()

    def _connected(self) -> None:
        """The socket is connected."""
        future, self._opening = self._opening, None
        if future is not None and not future.done():
            future.set_result(self)
        self._become_ready()

    def _fail_pending(self) -> None:
        future, self._opening = self._opening, None
        if future is not None and not future.done():
            # A copy: a traceback leads to whoever awaits it, who has the stream, which has `error`.
            error = self.error
            future.set_exception(
                copy.copy(error) if isinstance(error, ssl.SSLError) else self._closed_error()
            )
            future.exception()
        super()._fail_pending()

    def start_tls(
        self,
        server_side: bool,
        ssl_options: SSLOptions | None = None,
        server_hostname: str | None = None,
    ) -> "asyncio.Future[SSLIOStream]":
        """Go on with TLS on the same connection, from an agreed point on (STARTTLS).

        This stream is done with at once; its close callback goes over to the new one.

        Args:
            server_side: Which side of the handshake this is.
            ssl_options: An `ssl.SSLContext`, or a dictionary as for
                `typhoon.netutil.ssl_options_to_context`. By default a client verifies the server's
                certificate against the system's authorities.
            server_hostname: For a client, the name that the certificate is to have. None leaves
                the name unchecked.

        Returns:
            A future for the `SSLIOStream`, once the handshake is done. Cancelling it closes the
            connection.

        Raises:
            StreamClosedError: The stream is closed.
            ValueError: Something is still being read or written, or `ssl_options` are wrong.
        """
        if self._closed:
            raise self._closed_error()
        if (
            self.reading()
            or not self._ready
            or self._write_futures
            or self._write_buffer
            or self._read_buffer
        ):
            raise ValueError(
                "the stream is not idle; await what is being read and written before start_tls"
            )
        if ssl_options is not None:
            context = ssl_options_to_context(ssl_options, server_side)
        else:
            context = ssl.create_default_context(
                ssl.Purpose.CLIENT_AUTH if server_side else ssl.Purpose.SERVER_AUTH
            )
            if not server_side and server_hostname is None:
                context.check_hostname = False
        sock, callback = self._give_up_socket(), self._close_callback
        try:
            wrapped = begin_tls(sock, context, server_side, server_hostname)
        except BaseException as error:
            sock.close()
            self._run_close_callback()
            if isinstance(error, OSError):
                raise StreamClosedError(error) from error
            raise
        self._close_callback = None
        stream = SSLIOStream(
            wrapped,
            ssl_options=context,
            max_buffer_size=self.max_buffer_size,
            read_chunk_size=self.read_chunk_size,
            max_write_buffer_size=self.max_write_buffer_size,
        )
        stream.set_close_callback(callback)
        return stream._begin_opening()

    def _give_up_socket(self) -> socket.socket:
        """End this stream and leave the socket to the caller."""
        self._unwatch_read()
        self._unwatch_write()
        sock, self.socket = self.socket, None  # type: ignore[assignment]
        self._closed, self._write_buffer = True, None
        return sock


def begin_tls(
    sock: socket.socket,
    ssl_options: SSLOptions,
    server_side: bool,
    server_hostname: str | None = None,
) -> ssl.SSLSocket:
    """Put TLS over a connected socket; the handshake is still to be done.

    Raises:
        OSError: The other side has gone already.
        ValueError: `server_hostname` does not go with `ssl_options`.
    """
    sock.getpeername()  # else the error comes when the new socket has been made, and is lost
    return ssl_wrap_socket(
        sock,
        ssl_options,
        server_hostname=server_hostname,
        server_side=server_side,
        do_handshake_on_connect=False,
    )


class SSLIOStream(IOStream):
    """A stream with TLS.

    Args:
        socket: A socket to connect; or one that `ssl.SSLContext.wrap_socket` has wrapped, with
            ``do_handshake_on_connect=False``, of which the handshake then begins at once.
        ssl_options: For `connect`: an `ssl.SSLContext`, or a dictionary as for
            `typhoon.netutil.ssl_options_to_context`.
        args, kwargs: As for `BaseIOStream`.
    """

    socket: ssl.SSLSocket
    _short_means_blocked = False  # a record ends where it ends

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._ssl_options: SSLOptions = kwargs.pop("ssl_options", None) or {}
        self._server_hostname: str | None = None
        self._handshaken = False
        self._handshake_waiter: asyncio.Future[SSLIOStream] | None = None
        super().__init__(*args, **kwargs)
        self._ready = False
        self._woken = False
        if isinstance(self.socket, ssl.SSLSocket):
            # In the next turn, as the caller may want to be told.
            self._loop.call_soon(self._handshake)

    def reading(self) -> bool:
        return not (self._handshaken or self._closed) or super().reading()

    def writing(self) -> bool:
        return not (self._handshaken or self._closed) or super().writing()

    def connect(self, address: Any, server_hostname: str | None = None) -> "asyncio.Future[Any]":
        if isinstance(self.socket, ssl.SSLSocket):
            raise ValueError("connect() begins TLS itself: make the stream of a plain socket")
        self._server_hostname = server_hostname
        return super().connect(address)

    def wait_for_handshake(self) -> "asyncio.Future[SSLIOStream]":
        """Wait until the handshake is done, after which the peer's certificate is known, say.

        Returns:
            A future for the stream, which fails with `StreamClosedError`.

        Raises:
            RuntimeError: Somebody waits for it already.
        """
        if self._handshake_waiter is not None and not self._handshake_waiter.done():
            raise RuntimeError("Already waiting: one wait_for_handshake at a time")
        future = self._loop.create_future()
        if self._handshaken:
            future.set_result(self)
        elif self._closed:
            future.set_exception(self._closed_error())
        else:
            self._handshake_waiter = future
        return future

    def _connected(self) -> None:
        # TCP is; now TLS.
        if not isinstance(self.socket, ssl.SSLSocket):
            self._unwatch_write()  # the new socket object is to be watched
            sock: socket.socket = self.socket
            try:
                self.socket = begin_tls(sock, self._ssl_options, False, self._server_hostname)
            except (OSError, ValueError) as error:
                gen_log.warning("Cannot begin TLS with %s: %s", self._peer(), str(error))
                error.__traceback__ = None
                self.close(error)
                return
        self._handshake()

    def _handshake(self) -> None:
        if self._closed:
            return
        try:
            self.socket.do_handshake()
        except ssl.SSLWantReadError:
            self._unwatch_write()
            self._watch_read()
        except ssl.SSLWantWriteError:
            self._watch_write()
        except (OSError, ValueError) as error:
            if not self._is_gone(error):
                peer = self._peer()
                gen_log.warning("SSL Error on %s %s: %s", self.fileno(), peer, str(error))
            error.__traceback__ = None
            self.close(error)
        else:
            self._handshaken = True
            waiter, self._handshake_waiter = self._handshake_waiter, None
            if waiter is not None and not waiter.done():
                waiter.set_result(self)
            super()._connected()

    def _peer(self) -> Any:
        try:
            return self.socket.getpeername()
        except OSError:
            return "(not connected)"

    def _is_gone(self, error: Exception) -> bool:
        if isinstance(error, ssl.SSLError):
            return isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError))
        is_unconnected = isinstance(error, OSError) and error.errno == errno.ENOTCONN
        return is_unconnected or super()._is_gone(error)

    def _start_read(self, read: Read | ReadInto) -> "asyncio.Future[Any]":
        future = super()._start_read(read)
        if self._read_future is not None:
            self._look_into_record()
        return future

    def _look_into_record(self) -> None:
        """Have the read go on with the rest of a TLS record, of which the loop knows nothing."""
        if not self._woken and self._handshaken and not self._closed and self.socket.pending():
            self._woken = True
            self._loop.call_soon(self._on_record)

    def _on_record(self) -> None:
        self._woken = False
        if not self._closed:
            self._on_readable()

    def _on_readable(self) -> None:
        if self._ready:
            super()._on_readable()
            if self._read_future is not None:
                self._look_into_record()
        else:
            self._handshake()

    def _on_writable(self) -> None:
        if self._ready or not isinstance(self.socket, ssl.SSLSocket):
            super()._on_writable()
            if self._ready and self.reading():
                self._on_readable()  # TLS may have had something to write before it could read
        else:
            self._handshake()

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        try:
            return self.socket.recv_into(buf)
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLWantWriteError:
            self._watch_write()
            return None

    def write_to_fd(self, data: bytes | memoryview) -> int:
        try:
            return self.socket.send(data)
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return 0

    def close_fd(self) -> None:
        if self._handshaken and self.error is None:
            # Say goodbye (RFC 8446 section 6.1), without waiting for the answer.
            try:
                self.socket.unwrap()
            except (OSError, ValueError):
                pass
        super().close_fd()

    def _fail_pending(self) -> None:
        waiter, self._handshake_waiter = self._handshake_waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(self._closed_error())
            waiter.exception()
        super()._fail_pending()
