"""Host names and the addresses that they stand for."""

import asyncio
import os
import re
import socket
import threading
from collections.abc import Awaitable, Iterable
from concurrent import futures
from typing import Any

from typhoon.concurrent import dummy_executor
from typhoon.util import Configurable

__all__ = [
    "BlockingResolver",
    "DefaultExecutorResolver",
    "DefaultLoopResolver",
    "ExecutorResolver",
    "OverrideResolver",
    "Resolver",
    "ThreadedResolver",
    "is_valid_ip",
]

Addresses = list[tuple[int, Any]]
"""What `Resolver.resolve` results in: address families, each with an address for `connect`."""

_ZONE = re.compile(r"[0-9A-Za-z._~-]+", re.ASCII)
"""The zone of a scoped IPv6 address, RFC 6874 §2."""


def is_valid_ip(ip: str) -> bool:
    """Whether `ip` is a numeric IPv4 or IPv6 address (with a zone or without), and no host name."""
    try:
        socket.inet_pton(socket.AF_INET, ip)
        return True
    except (OSError, ValueError):
        pass
    address, percent, zone = ip.partition("%")
    try:
        socket.inet_pton(socket.AF_INET6, address)
    except (OSError, ValueError):
        return False
    return not percent or _ZONE.fullmatch(zone) is not None


class Resolver(Configurable):
    """Finds the addresses of host names.

    Calling the class makes a `DefaultLoopResolver`, unless another kind is chosen for the whole
    program:

    .. code-block:: python

        Resolver.configure("typhoon.netutil.ThreadedResolver")

    The kinds are `DefaultLoopResolver`, `DefaultExecutorResolver`, `OverrideResolver`,
    `BlockingResolver`, `ThreadedResolver` and `typhoon.platform.caresresolver.CaresResolver`.
    A subclass of one's own defines `resolve`, and `close` if it has something to close.
    """

    @classmethod
    def configurable_base(cls) -> type[Configurable]:
        """`Resolver`."""
        return Resolver

    @classmethod
    def configurable_default(cls) -> type[Configurable]:
        """`DefaultLoopResolver`."""
        return DefaultLoopResolver

    def resolve(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> Awaitable[Addresses]:
        """Find the addresses of a host.

        Args:
            host: A host name or an IP address.
            port: The port number, which becomes a part of each address.
            family: `socket.AF_INET` or `socket.AF_INET6` for addresses of that kind alone.

        Returns:
            An awaitable of a list of pairs, family and address, the best first. An address is
            what `socket.socket.connect` takes for this family: a host and a port, and then more
            for IPv6.

        Raises:
            OSError: The name cannot be resolved; the message says which one.
            ValueError: `port` is out of range.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Free what the resolver holds; it must not be used any more."""


class DefaultLoopResolver(Resolver):
    """Uses `asyncio.loop.getaddrinfo` of the running loop."""

    async def resolve(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> Addresses:
        """See `Resolver.resolve`."""
        _check_port(port)
        if is_valid_ip(host):
            return _look_up(host, port, family)  # which does not block
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        except (OSError, ValueError) as error:
            raise _unresolvable(host, error) from None
        return _addresses(found)


class DefaultExecutorResolver(Resolver):
    """Uses `socket.getaddrinfo` in the default executor of the running loop."""

    async def resolve(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> Addresses:
        """See `Resolver.resolve`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, _look_up, host, port, family)


class ExecutorResolver(Resolver):
    """Uses `socket.getaddrinfo` in an executor.

    Args:
        executor: The executor; by default one that blocks the event loop.
        close_executor: Whether `close` shuts `executor` down.

    New programs use `DefaultExecutorResolver`.
    """

    executor: futures.Executor
    close_executor: bool

    def initialize(
        self, executor: futures.Executor | None = None, close_executor: bool = True
    ) -> None:
        """Take the executor."""
        self.executor = executor if executor is not None else dummy_executor
        self.close_executor = executor is not None and close_executor

    def close(self) -> None:
        """Shut the executor down, if `close_executor`. New look-ups then block the event loop."""
        if self.close_executor:
            self.executor.shutdown()
            self.close_executor = False
        self.executor = dummy_executor

    async def resolve(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> Addresses:
        """See `Resolver.resolve`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.executor, _look_up, host, port, family)


class BlockingResolver(ExecutorResolver):
    """Uses `socket.getaddrinfo`, and so blocks the event loop.

    New programs use `DefaultExecutorResolver`.
    """

    def initialize(self) -> None:  # type: ignore[override]
        """Nothing to choose."""
        super().initialize()


class ThreadedResolver(ExecutorResolver):
    """Uses `socket.getaddrinfo` in threads that all objects of this class share.

    Args:
        num_threads: The number of threads; that of the first object holds for all.

    New programs use `DefaultExecutorResolver`.
    """

    def initialize(self, num_threads: int = 10) -> None:  # type: ignore[override]
        """Take the threads that there are, or make them."""
        super().initialize(executor=_shared_threads(num_threads), close_executor=False)


class OverrideResolver(Resolver):
    """Looks into a table first, then asks another resolver: like a file ``/etc/hosts``.

    .. code-block:: python

        mapping = {
            "example.com": "127.0.1.1",
            ("login.example.com", 443): ("localhost", 1443),
            ("login.example.com", 443, socket.AF_INET6): ("::1", 1443),
        }
        resolver = OverrideResolver(Resolver(), mapping)

    Args:
        resolver: The resolver that is asked for what the table gives, and for what it lacks.
        mapping: A host, a host and port, or a host, port and address family; each with the host,
            or the host and port, to take in its place. The most exact entry holds.
    """

    resolver: Resolver
    mapping: dict[Any, Any]

    def initialize(self, resolver: Resolver, mapping: dict[Any, Any]) -> None:
        """Take the resolver and the table."""
        self.resolver = resolver
        self.mapping = mapping

    def close(self) -> None:
        """Close the other resolver."""
        self.resolver.close()

    def resolve(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> Awaitable[Addresses]:
        """See `Resolver.resolve`."""
        for key in ((host, port, family), (host, port)):
            if key in self.mapping:
                host, port = self.mapping[key]
                break
        else:
            host = self.mapping.get(host, host)
        return self.resolver.resolve(host, port, family)


def _look_up(host: str, port: int, family: int) -> Addresses:
    _check_port(port)
    try:
        return _addresses(socket.getaddrinfo(host, port, family, socket.SOCK_STREAM))
    except (OSError, ValueError) as error:
        raise _unresolvable(host, error) from None


def _check_port(port: int) -> None:
    # getaddrinfo() would take such a number modulo 2**16.
    if isinstance(port, int) and not 0 <= port <= 65535:
        raise ValueError(f"port {port} is not between 0 and 65535")


def _addresses(found: Iterable[tuple[Any, ...]]) -> Addresses:
    return [(family, address) for family, _, _, _, address in found]


def _unresolvable(host: str, error: OSError | ValueError) -> socket.gaierror:
    """The error to raise for `host`; a ValueError means that it cannot be a name at all."""
    if isinstance(error, OSError):
        number, reason = error.errno, error.strerror or str(error)
    else:
        number, reason = socket.EAI_NONAME, f"it is no host name ({error})"
    return socket.gaierror(number, f"cannot resolve {host!r}: {reason}")


_threads: futures.ThreadPoolExecutor | None = None
_threads_lock = threading.Lock()


def _shared_threads(count: int) -> futures.ThreadPoolExecutor:
    global _threads
    with _threads_lock:
        if _threads is None:
            _threads = futures.ThreadPoolExecutor(count, "typhoon resolver")
        return _threads


def _forget_threads() -> None:
    """After a fork, where the threads do not exist."""
    global _threads, _threads_lock
    _threads = None
    _threads_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
