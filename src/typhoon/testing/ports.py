"""Ports for servers under test."""

import socket

from typhoon.netutil import bind_sockets


def bind_unused_port(
    reuse_port: bool = False, address: str = "127.0.0.1"
) -> tuple[socket.socket, int]:
    """A listening socket on a port that is free, and the number of the port.

    Args:
        reuse_port: Whether other sockets may listen on the same port, as for `bind_sockets`.
        address: The IP address to listen on; by default one that only this machine reaches.

    Raises:
        OSError: The address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    (sock,) = bind_sockets(0, address, family, reuse_port=reuse_port)
    return sock, sock.getsockname()[1]
