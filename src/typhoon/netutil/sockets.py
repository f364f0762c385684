"""Listening sockets."""

import errno
import os
import socket
import stat
from collections.abc import Sequence
from typing import Any

__all__ = ["bind_sockets", "bind_unix_socket"]

_RANDOM_PORT_ATTEMPTS = 8
"""How often to look for a random port that is free in every address family."""


def bind_sockets(
    port: int,
    address: str | None = None,
    family: socket.AddressFamily = socket.AF_UNSPEC,
    backlog: int = 128,
    flags: int | None = None,
    reuse_port: bool = False,
) -> list[socket.socket]:
    """Listening, non-blocking sockets for `port`: one for each address that the name stands for.

    Args:
        port: The port number; 0 takes a free one, the same for all of the sockets.
        address: An IP address, or a host name, all of whose addresses are listened on. None or
            the empty string means every interface.
        family: `socket.AF_INET` or `socket.AF_INET6` to listen on one of the two alone.
        backlog: How many connections may wait to be accepted, as for `socket.socket.listen`.
        flags: The ``AI_*`` flags for `socket.getaddrinfo`; ``AI_PASSIVE`` by default.
        reuse_port: Whether other sockets, of other processes too, may listen on the same port.

    Raises:
        socket.gaierror: `address` cannot be resolved.
        OSError: An address cannot be listened on; the message says which one.
        ValueError: `port` is out of range, or the platform has no ``SO_REUSEPORT``.
    """
    # getaddrinfo() would take such a number modulo 2**16.
    if isinstance(port, int) and not 0 <= port <= 65535:
        raise ValueError(f"port {port} is not between 0 and 65535")
    if reuse_port and not hasattr(socket, "SO_REUSEPORT"):
        raise ValueError("reuse_port: this platform has no SO_REUSEPORT")
    address = address or None
    if family == socket.AF_UNSPEC and not socket.has_ipv6:
        family = socket.AF_INET
    if flags is None:
        flags = socket.AI_PASSIVE
    try:
        found = socket.getaddrinfo(address, port, family, socket.SOCK_STREAM, 0, flags)
    except socket.gaierror as error:
        message = f"cannot resolve {address!r}, port {port!r}, to listen on: {error.strerror}"
        raise socket.gaierror(error.errno, message) from None
    targets = list(dict.fromkeys((family, sockaddr) for family, _, _, _, sockaddr in found))
    for _ in range(_RANDOM_PORT_ATTEMPTS - 1 if port == 0 else 0):
        try:
            return _bind_all(targets, address, port, backlog, reuse_port)
        except OSError as error:
            # A port that is free in one family can be taken in the next: look for another.
            if error.errno != errno.EADDRINUSE:
                raise
    return _bind_all(targets, address, port, backlog, reuse_port)


def _bind_all(
    targets: Sequence[tuple[socket.AddressFamily, Any]],
    address: str | None,
    port: int,
    backlog: int,
    reuse_port: bool,
) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    unavailable: OSError | None = None
    try:
        for family, (host, found_port, *rest) in targets:
            wanted = sockets[0].getsockname()[1] if sockets and port == 0 else found_port
            try:
                sockets.append(_bind(family, (host, wanted, *rest), backlog, reuse_port))
            except OSError as error:
                # The kernel may lack IPv6, or have it switched off. Only where nobody asked for
                # it by name does the other family suffice.
                if error.errno != errno.EAFNOSUPPORT and not (
                    error.errno == errno.EADDRNOTAVAIL and address in (None, "localhost")
                ):
                    raise
                unavailable = error
        if not sockets and unavailable is not None:
            raise unavailable
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _bind(
    family: socket.AddressFamily, sockaddr: Any, backlog: int, reuse_port: bool
) -> socket.socket:
    host, port = sockaddr[:2]
    sock = None
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
        if os.name != "nt":  # where it would let another program steal the port
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6 and hasattr(socket, "IPPROTO_IPV6"):
            # Each family has a socket of its own, on the same port.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setblocking(False)
        sock.bind(sockaddr)
        sock.listen(backlog)
    except OSError as error:
        if sock is not None:
            sock.close()
        place = f"[{host}]:{port}" if family == socket.AF_INET6 else f"{host}:{port}"
        message = f"cannot listen on {place}: {error.strerror or error}"
        raise OSError(error.errno, message) from None
    return sock


if hasattr(socket, "AF_UNIX"):

    def bind_unix_socket(file: str, mode: int = 0o600, backlog: int = 128) -> socket.socket:
        """A listening, non-blocking UNIX socket.

        A socket that is left over at this path is replaced. Nothing removes the file when the
        socket is closed.

        Args:
            file: The path of the socket; one that starts with a null character is a name in
                Linux's abstract namespace, which has no file and no mode.
            mode: The permissions of the file, which hold from before the first connection.
            backlog: How many connections may wait to be accepted.

        Raises:
            OSError: The path cannot be listened on; the message names it.
            ValueError: There is another kind of file at this path, or `mode` is no mode.
        """
        file = os.fspath(file)
        abstract = file.startswith("\0")
        if not 0 <= mode <= 0o7777:
            raise ValueError(f"mode {mode!r} is no file mode: write an octal number, such as 0o600")
        if not abstract:
            _remove_socket_file(file)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        bound = False
        try:
            sock.setblocking(False)
            sock.bind(file)
            bound = True
            if not abstract:
                os.chmod(file, mode)  # nobody can connect before listen()
            sock.listen(backlog)
        except OSError as error:
            sock.close()
            if bound and not abstract:
                os.unlink(file)
            message = f"cannot listen on {file!r}: {error.strerror or error}"
            raise OSError(error.errno, message) from None
        return sock

    def _remove_socket_file(file: str) -> None:
        try:
            status = os.lstat(file)
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(status.st_mode):
            raise ValueError(f"File {file} exists and is not a socket")
        os.unlink(file)
