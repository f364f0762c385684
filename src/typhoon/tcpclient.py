"""Making connections: names, several addresses, timeouts and TLS."""

import asyncio
import datetime
import errno
import ssl
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from itertools import chain, zip_longest
from socket import AF_INET, AF_INET6, AF_UNSPEC, AddressFamily, socket
from typing import Any, Final

from typhoon.iostream import IOStream, StreamClosedError
from typhoon.netutil import Resolver, is_valid_ip
from typhoon.netutil.interfaces import bind_to_interface, check_interface

__all__ = ["TCPClient"]

_NEXT_ATTEMPT: Final = 0.25
"""Seconds to wait for one address before the next is tried as well, RFC 8305 §5."""

_Address = tuple[int, Any]
"""An address family, and an address for `socket.socket.connect`."""


class TCPClient:
    """Makes connections.

    .. code-block:: python

        stream = await TCPClient().connect("example.com", 443, ssl_options={}, timeout=10)

    Args:
        resolver: Finds the addresses of host names. By default a new `typhoon.netutil.Resolver`,
            which `close` closes.
    """

    resolver: Resolver

    def __init__(self, resolver: Resolver | None = None) -> None:
        self.resolver = resolver if resolver is not None else Resolver()
        self._own_resolver = resolver is None

    def close(self) -> None:
        """Free what the client holds; connections that it made stay open."""
        if self._own_resolver:
            self.resolver.close()

    async def connect(
        self,
        host: str,
        port: int,
        af: AddressFamily = AF_UNSPEC,
        ssl_options: dict[str, Any] | ssl.SSLContext | None = None,
        max_buffer_size: int | None = None,
        source_ip: str | None = None,
        source_port: int | None = None,
        timeout: float | datetime.timedelta | None = None,  # noqa: ASYNC109
    ) -> IOStream:
        """Connect to a host and return the stream.

        Where the host has several addresses, the next one is tried whenever one fails or takes
        long, IPv6 and IPv4 in turn, and the first connection that is made is the one returned
        ("happy eyeballs", RFC 8305). Whatever happens, cancellation included, no other is left
        open.

        Args:
            host: A host name or an IP address.
            port: The port number.
            af: `socket.AF_INET` or `socket.AF_INET6` for addresses of that kind alone.
            ssl_options: For TLS: an `ssl.SSLContext`, or a dictionary as for
                `typhoon.netutil.ssl_options_to_context`, which may be empty. The certificate has
                to be the one of `host`.
            max_buffer_size: The most bytes that the stream may hold unread.
            source_ip: The IP address to connect from; addresses of the other kind are not tried.
                Or the network interface to connect through, such as ``"eth0"``.
            source_port: The port to connect from.
            timeout: Seconds, or a `datetime.timedelta`, for all of it.

        Raises:
            socket.gaierror: The name cannot be resolved.
            typhoon.iostream.StreamClosedError: No connection could be made; ``real_error`` says
                why. This is an `OSError`, and its message names the host and the port.
            ssl.SSLError: The TLS handshake failed; `ssl.SSLCertVerificationError` if it is because
                of the certificate.
            TimeoutError: `timeout` has passed.
            ValueError: `source_ip` is neither an IP address nor an interface, or a port is out of
                range.
        """
        if isinstance(timeout, datetime.timedelta):
            timeout = timeout.total_seconds()
        interface = None
        if source_ip is not None and not is_valid_ip(source_ip):
            check_interface(source_ip)
            source_ip, interface = None, source_ip
        if source_port is not None and not 0 <= source_port <= 65535:
            raise ValueError(f"source_port {source_port} is not between 0 and 65535")
        place = _format((host, port))
        doing: Callable[[], str] = lambda: f"while resolving {host}"  # noqa: E731
        deadline = asyncio.timeout(timeout)
        try:
            async with deadline:
                addresses = await self.resolver.resolve(host, port, af)
                if source_ip is not None:
                    source_family = AF_INET6 if ":" in source_ip else AF_INET
                    addresses = [found for found in addresses if found[0] == source_family]
                if not addresses:
                    reason = "it has no address"
                    if source_ip is not None:
                        reason += f" that can be reached from source_ip {source_ip}"
                    raise _failed(place, [OSError(errno.EADDRNOTAVAIL, reason)])

                async def attempt(address: _Address) -> IOStream:
                    return await _open(address, max_buffer_size, source_ip, source_port, interface)

                race = _Race(addresses, attempt)
                doing = lambda: f"while connecting to {', '.join(race.unfinished)}"  # noqa: E731
                try:
                    stream = await race.run()
                except _AllFailedError as failed:
                    raise _failed(place, failed.errors) from None
                if ssl_options is not None:
                    doing = lambda: f"during TLS handshake with {place}"  # noqa: E731
                    stream = await _start_tls(stream, ssl_options, host, place)
                return stream
        except TimeoutError:
            if not deadline.expired():  # the resolver raised it
                raise
            raise TimeoutError(f"Timeout {doing()}") from None
        finally:
            del deadline  # which refers to the task, and that to its error, and so to this frame


class _AllFailedError(Exception):
    """No address could be connected to."""

    def __init__(self, errors: list[OSError]) -> None:
        super().__init__()
        self.errors = errors


class _Race:
    """Attempts at several addresses, staggered; the first to succeed wins (RFC 8305 §5).

    The attempts are tasks that end before `run` does.
    """

    def __init__(
        self,
        addresses: Sequence[_Address],
        attempt: Callable[[_Address], Coroutine[Any, Any, IOStream]],
    ) -> None:
        self._waiting = deque(_interleave(addresses))
        self._attempt = attempt
        self._running: dict[asyncio.Task[IOStream], _Address] = {}
        self._errors: list[OSError] = []
        self.unfinished: list[str] = []
        """The addresses that had been tried, and had not failed, when the race ended."""

    async def run(self) -> IOStream:
        """The stream that won. Raises `_AllFailedError` if there is none."""
        try:
            winner = await self._race()
        except BaseException:
            await self._abandon()
            raise
        try:
            await self._abandon()
        except BaseException:
            winner.close()
            raise
        return winner

    async def _race(self) -> IOStream:
        while self._waiting or self._running:
            if self._waiting:
                address = self._waiting.popleft()
                self._running[asyncio.create_task(self._attempt(address))] = address
            done, _ = await asyncio.wait(
                self._running,
                timeout=_NEXT_ATTEMPT if self._waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done:
                error = task.exception()
                if error is None:
                    del self._running[task]
                    return task.result()
                if not isinstance(error, OSError):
                    raise error
                del self._running[task]
                self._errors.append(error)
        raise _AllFailedError(self._errors)

    async def _abandon(self) -> None:
        """End the attempts that are left, and close what they have come to."""
        running, self._running = self._running, {}
        self.unfinished = [_format(address) for _, address in running.values()]
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        for task in running:
            if not task.cancelled() and task.exception() is None:
                task.result().close()


def _interleave(addresses: Sequence[_Address]) -> list[_Address]:
    """The addresses with their families in turn, that of the first one first (RFC 8305 §4)."""
    first = [found for found in addresses if found[0] == addresses[0][0]]
    others = [found for found in addresses if found[0] != addresses[0][0]]
    return [found for found in chain(*zip_longest(first, others)) if found is not None]


async def _open(
    address: _Address,
    max_buffer_size: int | None,
    source_ip: str | None,
    source_port: int | None,
    interface: str | None,
) -> IOStream:
    """A connection to one address; OSError names the address."""
    family, target = address
    sock = socket(family)
    try:
        if interface is not None:
            source_ip = bind_to_interface(sock, interface)
        if source_ip is not None or source_port is not None:
            any_address = "::" if family == AF_INET6 else "0.0.0.0"
            try:
                sock.bind((source_ip or any_address, source_port or 0))
            except OSError as error:
                what = f"cannot use source_ip {source_ip}, source_port {source_port}"
                raise _named(error, what) from None
        stream = IOStream(sock, max_buffer_size=max_buffer_size)
    except BaseException:
        sock.close()
        raise
    try:
        await stream.connect(target)
    except StreamClosedError as error:
        stream.close()
        real = error.real_error
        if not isinstance(real, OSError):
            real = OSError(errno.ECONNABORTED, str(real or error))
        raise _named(real, _format(target)) from None
    except BaseException:
        stream.close()
        raise
    return stream


async def _start_tls(
    stream: IOStream, ssl_options: dict[str, Any] | ssl.SSLContext, host: str, place: str
) -> IOStream:
    """TLS over a connected stream, which is closed if it fails; errors name the place."""
    try:
        return await stream.start_tls(False, ssl_options=ssl_options, server_hostname=host)
    except ssl.SSLError as error:
        # The text that str() gives; the type and the details of the certificate stay.
        error.strerror = f"TLS handshake with {place}: {error.strerror or error}"
        raise
    except StreamClosedError as error:
        raise _failed(place, [error.real_error or error], "during TLS handshake with") from None
    finally:
        stream.close()  # it is of no use any more; where TLS succeeded, it holds no socket


def _failed(
    place: str, errors: Sequence[BaseException], doing: str = "cannot connect to"
) -> StreamClosedError:
    """The error that names `place`, and all reasons."""
    reasons = "; ".join(
        (getattr(error, "strerror", None) or str(error)).removeprefix(f"{place}: ")
        for error in errors
    )
    failed = StreamClosedError(errors[0])
    failed.errno = getattr(errors[0], "errno", None) or errno.ECONNABORTED
    failed.strerror = f"{doing} {place}: {reasons}"
    return failed


def _named(error: OSError, what: str) -> OSError:
    """The same error, with a message that says what it is about."""
    return OSError(error.errno, f"{what}: {error.strerror or error}")


def _format(address: Any) -> str:
    """An address, or host and port, for messages."""
    if not isinstance(address, tuple):
        return str(address)  # the path of a UNIX socket
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
