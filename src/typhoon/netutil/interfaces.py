"""Sockets that send through one network interface."""

import contextlib
import socket
import struct
from pathlib import Path
from typing import Final

_SIOCGIFADDR: Final = 0x8915
"""Linux's request for the IPv4 address of an interface, netdevice(7)."""

_IPV6_ADDRESSES: Final = Path("/proc/net/if_inet6")
"""Linux's list of IPv6 addresses and their interfaces, proc_net(5)."""

_LINK: Final = "20"
"""The scope, in that list, of an address that means something on its link alone."""


def check_interface(name: str) -> None:
    """See that this machine has the interface.

    Raises:
        ValueError: It does not.
    """
    known = [known for _, known in socket.if_nameindex()]
    if name not in known:
        raise ValueError(
            f"{name!r} is neither an IP address nor a network interface of this machine, which "
            f"has {', '.join(known) or 'none'}"
        )


def bind_to_interface(sock: socket.socket, name: str) -> str | None:
    """Have a socket that is not connected send through the interface `name`, such as ``eth0``.

    Where the system does not let this process choose it, the interface's address is returned for
    `sock` to be bound to: by it most routing tables choose the same.

    Raises:
        OSError: No address is known either.
    """
    if (option := getattr(socket, "SO_BINDTODEVICE", None)) is not None:  # Linux
        with contextlib.suppress(PermissionError):
            sock.setsockopt(socket.SOL_SOCKET, option, name.encode() + b"\0")
            return None
    return _ipv4_address(sock, name) if sock.family == socket.AF_INET else _ipv6_address(name)


def _ipv4_address(sock: socket.socket, name: str) -> str:
    try:
        import fcntl

        answer = fcntl.ioctl(sock, _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
    except (ImportError, OSError) as error:
        raise _without_address(name, "IPv4") from error
    return socket.inet_ntoa(answer[20:24])


def _ipv6_address(name: str) -> str:
    """The first address that is not only for the link, else one that is."""
    found = ""
    with contextlib.suppress(OSError):
        for line in _IPV6_ADDRESSES.read_text("ascii").splitlines():
            address, _, _, scope, _, device = line.split()
            if device == name:
                found = socket.inet_ntop(socket.AF_INET6, bytes.fromhex(address))
                if scope != _LINK:
                    return found
    if not found:
        raise _without_address(name, "IPv6")
    return f"{found}%{name}"


def _without_address(name: str, kind: str) -> OSError:
    return OSError(f"cannot connect through the interface {name}: no {kind} address of it is known")
