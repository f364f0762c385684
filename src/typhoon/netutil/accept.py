"""Accepting connections in the event loop."""

import errno
from collections.abc import Callable
from socket import socket
from typing import Any

from typhoon.ioloop import IOLoop
from typhoon.log import app_log, gen_log

__all__ = ["add_accept_handler"]

_ACCEPTS_PER_TURN = 128
"""How many connections to accept before others get their turn: as many as usually wait."""

_PAUSE = 1.0
"""Seconds to wait before accepting again after an error, as asyncio's own servers do."""

_OF_THE_CONNECTION = frozenset(
    getattr(errno, name)
    for name in (
        *("ECONNABORTED", "EINTR", "EPROTO", "ENETDOWN", "ENETUNREACH", "ENOPROTOOPT"),
        *("EHOSTDOWN", "EHOSTUNREACH", "ENONET", "EOPNOTSUPP", "EPERM"),
    )
    if hasattr(errno, name)
)
"""Errors of accept() that are about one connection, which has gone: accept(2), "Error handling"."""


def add_accept_handler(sock: socket, callback: Callable[[socket, Any], None]) -> Callable[[], None]:
    """Call ``callback(connection, address)`` for each connection to `sock`.

    Where no connection can be accepted, because the process has too many open files for example,
    that is logged once and tried again every second.

    Args:
        sock: A listening, non-blocking socket, such as `bind_sockets` returns.
        callback: Called in the current `.IOLoop` with the new socket, which it has to close in
            the end, and the address of the other side. If it raises, that is logged and the
            connection is closed.

    Returns:
        A function that ends this; it does not close `sock`.
    """
    acceptor = _Acceptor(sock, callback)
    acceptor.start()
    return acceptor.stop


class _Acceptor:
    def __init__(self, sock: socket, callback: Callable[[socket, Any], None]) -> None:
        self._sock = sock
        self._callback = callback
        self._io_loop = IOLoop.current()
        self._stopped = False
        self._failing = False  # since the last connection, and logged
        self._resume: object | None = None

    def start(self) -> None:
        self._resume = None
        self._io_loop.add_handler(self._sock, self._accept_waiting, IOLoop.READ)

    def stop(self) -> None:
        if self._stopped:
            return
        self._stopped = True
        if self._resume is not None:
            self._io_loop.remove_timeout(self._resume)
        else:
            self._io_loop.remove_handler(self._sock)

    def _accept_waiting(self, sock: socket, events: int) -> None:
        for _ in range(_ACCEPTS_PER_TURN):
            if self._stopped:  # by the callback
                return
            try:
                connection, address = sock.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _OF_THE_CONNECTION:
                    continue
                self._pause(error)
                return
            self._failing = False
            try:
                self._callback(connection, address)
            except Exception:
                connection.close()
                app_log.error("Exception in callback %r", self._callback, exc_info=True)

    def _pause(self, error: OSError) -> None:
        """Give the process time to close what it has too many of, instead of failing at once."""
        self._io_loop.remove_handler(self._sock)
        self._resume = self._io_loop.call_later(_PAUSE, self.start)
        if not self._failing:
            self._failing = True
            gen_log.error(
                "cannot accept connections on %s: %s; trying again every %g s",
                _name(self._sock),
                error,
                _PAUSE,
            )


def _name(sock: socket) -> str:
    try:
        name = sock.getsockname()
    except OSError:
        return f"the file descriptor {sock.fileno()}"
    match name:
        case (str(host), int(port), *_):
            return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        case _:
            return repr(name)
