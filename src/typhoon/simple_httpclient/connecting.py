"""Makes the connections that routes describe."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from typhoon.httpclient.failures import Stage
from typhoon.iostream import StreamClosedError
from typhoon.netutil import is_valid_ip
from typhoon.simple_httpclient.errors import HTTPStreamClosedError
from typhoon.simple_httpclient.progress import Progress, connecting
from typhoon.simple_httpclient.route import Route
from typhoon.tcpclient import TCPClient

_P = TypeVar("_P", bound=asyncio.Protocol)


class Connector:
    """Makes connections."""

    def __init__(self, tcp_client: TCPClient) -> None:
        self._tcp_client = tcp_client

    async def connect(
        self, route: Route, protocol_factory: Callable[[], _P], progress: Progress
    ) -> _P:
        """A new connection along the route."""
        if route.source is not None and not is_valid_ip(route.source):
            raise ValueError(f"network_interface: {route.source!r} is no IP address")
        progress.stage, progress.place = Stage.RESOLVING, route.host
        connecting.set((progress, route.place))
        loop = asyncio.get_running_loop()
        try:
            stream = await self._tcp_client.connect(
                route.host, route.port, af=route.family, source_ip=route.source
            )
        except StreamClosedError as error:
            raise error.real_error or HTTPStreamClosedError() from None
        stream.set_nodelay(True)
        sock = stream._give_up_socket()
        progress.ended["connect"] = progress.seconds()
        if route.tls is None:
            _, protocol = await loop.create_connection(protocol_factory, sock=sock)
            return protocol
        progress.stage = Stage.TLS_HANDSHAKE
        try:
            _, protocol = await loop.create_connection(
                protocol_factory, sock=sock, ssl=route.tls, server_hostname=route.host
            )
        except BaseException:
            sock.close()
            raise
        progress.ended["appconnect"] = progress.seconds()
        return protocol
