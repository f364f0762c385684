"""Name resolution by c-ares, in the event loop and without threads.

It asks name servers itself, so it does not know all that the system's resolver does (mDNS, LDAP,
…). It needs the package ``pycares`` before version 5: ``pip install 'typhoon[cares]'``.
"""

import asyncio
import socket
import weakref
from typing import Any

import pycares

from typhoon.ioloop import IOLoop
from typhoon.netutil import Resolver

__all__ = ["CaresResolver"]

_LONGEST_WAIT = 1.0
"""Seconds after which at the latest c-ares looks for queries to send again, or to give up."""


class CaresResolver(Resolver):
    """A `typhoon.netutil.Resolver` that uses c-ares.

    .. code-block:: python

        Resolver.configure("typhoon.platform.caresresolver.CaresResolver")

    Kept for programs that name it: new ones are well served by the default resolver.
    """

    io_loop: IOLoop
    """The loop that the resolver was made in, and works in."""
    channel: Any
    """The ``pycares.Channel``."""
    fds: dict[int, int]
    """The file descriptors that c-ares has open, each with the events it waits for."""

    def initialize(self) -> None:
        """Open a channel in the current loop."""
        self.io_loop = IOLoop.current()
        self.fds = {}
        self._queries = 0
        self._timer: object | None = None
        # Weak: an object with a callback to this one would keep it from being freed at once.
        state_changed = weakref.WeakMethod(self._state_changed)

        def on_state(fd: int, readable: bool, writable: bool) -> None:
            if (method := state_changed()) is not None:
                method(fd, readable, writable)

        self.channel = pycares.Channel(sock_state_cb=on_state)

    def close(self) -> None:
        """Give up the queries that are under way, which then fail."""
        if self.channel is None:
            return
        self.channel.cancel()
        for fd in list(self.fds):
            self._state_changed(fd, False, False)
        if self._timer is not None:
            self.io_loop.remove_timeout(self._timer)
        self.channel.close()
        self.channel = None

    async def resolve(self, host: str, port: int, family: int = 0) -> list[tuple[int, Any]]:
        """See `typhoon.netutil.Resolver.resolve`."""
        if self.channel is None:
            raise RuntimeError("the resolver is closed: make a new one")
        answer: asyncio.Future[tuple[Any, int | None]] = asyncio.get_running_loop().create_future()

        def done(result: Any, error: int | None) -> None:
            if not answer.done():
                answer.set_result((result, error))

        self.channel.getaddrinfo(host, port, done, family=family, type=socket.SOCK_STREAM)
        self._queries += 1
        try:
            self._set_timer()
            result, error = await answer
        finally:
            self._queries -= 1
        if error is not None:
            reason = pycares.errno.strerror(error)
            reason = reason.decode() if isinstance(reason, bytes) else reason
            missing = error in (pycares.errno.ARES_ENOTFOUND, pycares.errno.ARES_ENODATA)
            raise socket.gaierror(
                socket.EAI_NONAME if missing else socket.EAI_FAIL,
                f"cannot resolve {host!r}: {reason}",
            )
        return [(node.family, (node.addr[0].decode(), *node.addr[1:])) for node in result.nodes]

    def _state_changed(self, fd: int, readable: bool, writable: bool) -> None:
        """c-ares wants to know other things about `fd` than before; nothing once it is closed."""
        events = (IOLoop.READ if readable else 0) | (IOLoop.WRITE if writable else 0)
        if not events:
            if self.fds.pop(fd, None) is not None:
                self.io_loop.remove_handler(fd)
        elif fd in self.fds:
            self.fds[fd] = events
            self.io_loop.update_handler(fd, events)
        else:
            self.fds[fd] = events
            self.io_loop.add_handler(fd, self._on_ready, events)

    def _on_ready(self, fd: int, events: int) -> None:
        none = pycares.ARES_SOCKET_BAD
        self.channel.process_fd(
            fd if events & IOLoop.READ else none, fd if events & IOLoop.WRITE else none
        )

    def _set_timer(self) -> None:
        if self._timer is None and self._queries:
            wait = self.channel.timeout()
            wait = _LONGEST_WAIT if wait < 0 else min(wait, _LONGEST_WAIT)
            self._timer = self.io_loop.call_later(wait, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self.channel.process_fd(pycares.ARES_SOCKET_BAD, pycares.ARES_SOCKET_BAD)
        self._set_timer()
