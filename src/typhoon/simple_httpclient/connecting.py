"""Makes the connections that routes describe.

| step | for | stage | its end is called |
| --- | --- | --- | --- |
| the name is resolved | all but UNIX sockets | `RESOLVING` | ``namelookup`` |
| a socket is connected, to the server or its proxy | all | `CONNECTING` | |
| TLS with the proxy | ``https`` proxies | `CONNECTING` | |
| the proxy is asked for a tunnel | proxies of https URLs and WebSockets | `PROXY` | ``connect`` |
| TLS with the server | https URLs | `TLS_HANDSHAKE` | ``appconnect`` |

Nothing here has a deadline: who asks for a connection limits how long that takes, by cancelling.
Whatever ends it, no descriptor is left open.
"""

import asyncio
import functools
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

from typhoon.httpclient.failures import Stage
from typhoon.iostream import StreamClosedError
from typhoon.simple_httpclient.digest import DigestAttempt, DigestMemory
from typhoon.simple_httpclient.errors import CLOSED, HTTPProxyError, HTTPStreamClosedError
from typhoon.simple_httpclient.progress import Progress, connecting
from typhoon.simple_httpclient.proxy import Proxy
from typhoon.simple_httpclient.route import Route
from typhoon.simple_httpclient.tls import TLSSettings
from typhoon.simple_httpclient.tunnel import Tunnel, tunnel_authority
from typhoon.tcpclient import TCPClient

_NO_LIMIT: Final = 24 * 3600.0
"""Seconds for a TLS handshake, where asyncio wants a limit: the caller has the real one."""

_GOODBYE: Final = 1.0
"""Seconds for the server to answer the end of TLS, after which the connection is cut."""

_LONGEST_PAUSE: Final = 0.1
"""Seconds between two attempts to connect to a UNIX socket that has its backlog full."""

_P = TypeVar("_P", bound=asyncio.BaseProtocol)


class Connector:
    """Makes connections.

    Args:
        tcp_client: Looks up names, and connects to what they stand for. Its resolver should be a
            `.NotingResolver`, else the time that look-ups take is told as part of ``connect``.
        digests: What is remembered of Digest authentication with proxies.
    """

    def __init__(self, tcp_client: TCPClient, digests: DigestMemory) -> None:
        self._tcp_client = tcp_client
        self._digests = digests

    async def connect(
        self, route: Route, protocol_factory: Callable[[], _P], progress: Progress
    ) -> _P:
        """A new connection along the route.

        Args:
            route: Where it leads.
            protocol_factory: Makes the protocol of the connection, whose ``connection_made`` is
                called when all of it is there, TLS and tunnel included.
            progress: Is told of the stages, and of the times at which they end.

        Raises:
            OSError: The network failed, in the way that the type says: `ConnectionRefusedError`,
                `socket.gaierror`, `ssl.SSLCertVerificationError`…
            HTTPProxyError: The proxy does not open the tunnel.
            HTTPStreamClosedError: The connection was closed without an error.
            ValueError: A setting of the route cannot be used.
        """
        tls, proxy = route.tls, route.proxy
        # First what can be wrong without a connection: files of certificates, for example.
        context = None if tls is None else tls.context()
        to_proxy = None
        if proxy is not None and proxy.scheme == "https":
            to_proxy = TLSSettings(ca_certs=route.proxy_ca_certs).context()
        if proxy is not None and not route.is_forwarded:
            tunnel = await self._tunnel(route, proxy, to_proxy, progress)
            try:
                protocol = await _start_inside(tunnel, protocol_factory, context, route.host)
            except BaseException:
                tunnel.abort()
                raise
            finally:
                del tunnel  # which refers to its error, and that to this frame
            if context is not None:
                progress.ended["appconnect"] = progress.seconds()
            return protocol
        sock = await self._socket(route, progress)
        if proxy is None:
            progress.ended["connect"] = progress.seconds()
            if context is not None:
                progress.stage = Stage.TLS_HANDSHAKE
            protocol = await _start(sock, protocol_factory, context, route.host)
        else:
            protocol = await _start(sock, protocol_factory, to_proxy, proxy.host)
            progress.ended["connect"] = progress.seconds()
        if context is not None:
            progress.ended["appconnect"] = progress.seconds()
        return protocol

    async def _tunnel(
        self, route: Route, proxy: Proxy, context: ssl.SSLContext | None, progress: Progress
    ) -> Tunnel:
        """A tunnel through the proxy; asked for twice if the proxy wants a digest."""
        attempt = None
        if proxy.login is not None:
            attempt = DigestAttempt(self._digests, proxy.login, with_proxy=True)
        place = tunnel_authority(route.host, route.port)
        while True:
            authorization = proxy.authorization
            if attempt is not None:
                authorization = attempt.authorization("CONNECT", place, b"")
            sock = await self._socket(route, progress)
            tunnel = await _start(
                sock,
                functools.partial(Tunnel, proxy, route.host, route.port, authorization),
                context,
                proxy.host,
            )
            progress.stage = Stage.PROXY
            try:
                await tunnel.opened
            except BaseException as error:
                tunnel.abort()
                code = error.proxy_code if isinstance(error, HTTPProxyError) else None
                if attempt is None or code is None or not attempt.take(code, tunnel.headers):
                    raise
            else:
                progress.place = route.place
                progress.ended["connect"] = progress.seconds()
                if route.tls is not None:
                    progress.stage = Stage.TLS_HANDSHAKE
                return tunnel
            finally:
                del tunnel  # which refers to its error, and that to this frame

    async def _socket(self, route: Route, progress: Progress) -> socket.socket:
        """A socket that is connected to the server, or to its proxy."""
        if route.unix_socket is not None:
            progress.place = route.unix_socket
            progress.enter(Stage.CONNECTING, after="namelookup")
            return await _unix_socket(route.unix_socket)
        host, port, place = route.host, route.port, route.place
        if route.proxy is not None:
            host, port, place = route.proxy.host, route.proxy.port, route.proxy.place
        progress.stage, progress.place = Stage.RESOLVING, host
        token = connecting.set((progress, place))
        try:
            stream = await self._tcp_client.connect(
                host, port, af=socket.AddressFamily(route.family), source_ip=route.source
            )
        except StreamClosedError as error:
            raise error.real_error or HTTPStreamClosedError(CLOSED) from None
        finally:
            connecting.reset(token)  # a transport keeps its context, and with it the request
        return stream._give_up_socket()


async def _unix_socket(path: str) -> socket.socket:
    """A socket that is connected to a UNIX socket; `OSError` names it."""
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.setblocking(False)
        pause = 0.001
        while True:
            try:
                sock.connect(path)
                return sock
            except BlockingIOError:
                # Its backlog is full. Nothing tells when it is not; a blocking call would wait.
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"{path}: {error.strerror or error}") from None
    except BaseException:
        sock.close()
        raise


async def _start(
    sock: socket.socket,
    protocol_factory: Callable[[], _P],
    context: ssl.SSLContext | None,
    host: str,
) -> _P:
    """The protocol, with its transport, over a connected socket, which it takes over."""
    loop = asyncio.get_running_loop()
    create: Any = loop.create_connection
    if sock.family == getattr(socket, "AF_UNIX", None):
        create = loop.create_unix_connection
    options = {} if context is None else _tls_options(context, host)
    try:
        _, protocol = await create(protocol_factory, sock=sock, **options)
    except BaseException:
        sock.close()
        raise
    else:
        return cast(_P, protocol)


async def _start_inside(
    tunnel: Tunnel, protocol_factory: Callable[[], _P], context: ssl.SSLContext | None, host: str
) -> _P:
    """The protocol, with its transport, inside a tunnel, over TLS if there is a context for it."""
    transport: asyncio.Transport | None = tunnel.transport
    if context is not None:
        options = _tls_options(context, host)
        transport = await asyncio.get_running_loop().start_tls(
            tunnel.transport, tunnel, options.pop("ssl"), **options
        )
    if transport is None or tunnel.is_spoiled:
        raise HTTPStreamClosedError(CLOSED)
    protocol = protocol_factory()
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    return protocol


def _tls_options(context: ssl.SSLContext, host: str) -> dict[str, Any]:
    return {
        "ssl": context,
        "server_hostname": host.partition("%")[0],  # a zone means something here alone
        "ssl_handshake_timeout": _NO_LIMIT,
        "ssl_shutdown_timeout": _GOODBYE,
    }
