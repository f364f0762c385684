"""Who is on the other side of a connection."""

import asyncio
from collections.abc import Iterable
from typing import Any, Self

from typhoon.httputil import HTTPHeaders
from typhoon.iostream import IOStream, SSLIOStream
from typhoon.netutil import is_valid_ip

_NOBODY: frozenset[str] = frozenset()
"""Not one more for each connection."""


class RequestContext:
    """The client's address and protocol: the connection's own, or what a trusted proxy says."""

    def __init__(
        self,
        address: Any,
        address_family: int | None,
        protocol: str,
        trusted_downstream: Iterable[str] = (),
    ) -> None:
        self.address = address
        self.address_family = address_family
        # UNIX sockets have no peer address, and neither have connections that are gone.
        self.remote_ip: str = address[0] if isinstance(address, tuple) else "0.0.0.0"
        self.protocol = protocol
        self._orig_remote_ip = self.remote_ip
        self._orig_protocol = self.protocol
        self.trusted_downstream = frozenset(trusted_downstream) or _NOBODY

    @classmethod
    def of_transport(
        cls,
        transport: asyncio.BaseTransport | None,
        protocol: str | None,
        trusted_downstream: Iterable[str],
    ) -> Self:
        """That of a connection of the server itself."""
        info: Any = transport.get_extra_info if transport is not None else (lambda name: None)
        sock = info("socket")
        secure = info("sslcontext") is not None
        return cls(
            info("peername"),
            sock.family if sock is not None else None,
            protocol or ("https" if secure else "http"),
            trusted_downstream,
        )

    @classmethod
    def of_stream(
        cls,
        stream: IOStream,
        address: Any,
        protocol: str | None,
        trusted_downstream: Iterable[str],
    ) -> Self:
        """That of a stream, which was accepted from this address."""
        sock = stream.socket
        return cls(
            address,
            sock.family if sock is not None else None,
            protocol or ("https" if isinstance(stream, SSLIOStream) else "http"),
            trusted_downstream,
        )

    def __str__(self) -> str:
        return self.remote_ip

    def _apply_xheaders(self, headers: HTTPHeaders) -> None:
        """Believe the headers of a proxy: the last address that is not one of our own proxies."""
        self.remote_ip = self._orig_remote_ip
        self.protocol = self._orig_protocol
        address = self.remote_ip
        for candidate in reversed(headers.get("X-Forwarded-For", address).split(",")):
            address = candidate.strip()
            if address not in self.trusted_downstream:
                break
        address = headers.get("X-Real-Ip", address)
        if is_valid_ip(address):
            self.remote_ip = address
        protocol = headers.get("X-Scheme", headers.get("X-Forwarded-Proto"))
        if protocol:
            # A chain of proxies makes a list; the last one is the nearest to us.
            protocol = protocol.split(",")[-1].strip()
            if protocol in ("http", "https"):
                self.protocol = protocol
