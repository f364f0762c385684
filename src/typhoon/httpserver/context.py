"""Who is on the other side of a connection."""

import asyncio
from collections.abc import Iterable
from typing import Any

from typhoon.httputil import HTTPHeaders
from typhoon.netutil import is_valid_ip


class RequestContext:
    """The client's address and protocol: the connection's own, or what a trusted proxy says."""

    def __init__(
        self,
        transport: asyncio.BaseTransport | None,
        protocol: str | None,
        trusted_downstream: Iterable[str] = (),
    ) -> None:
        info = transport.get_extra_info if transport is not None else (lambda name: None)
        sock = info("socket")
        peer: Any = info("peername")
        self.address = peer
        self.address_family = sock.family if sock is not None else None
        # UNIX sockets have no peer address, and neither have connections that are gone.
        self.remote_ip = peer[0] if isinstance(peer, tuple) else "0.0.0.0"
        self.protocol = protocol or ("https" if info("sslcontext") is not None else "http")
        self._orig_remote_ip = self.remote_ip
        self._orig_protocol = self.protocol
        self.trusted_downstream = frozenset(trusted_downstream)

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
