"""bind_unused_port."""

import socket
from contextlib import closing

import pytest

from typhoon.testing import bind_unused_port


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_listens_on_a_port_of_this_machine_only(address: str) -> None:
    sock, port = bind_unused_port(address=address)
    with closing(sock):
        assert sock.getsockname()[:2] == (address, port)
        assert not sock.getblocking()
        socket.create_connection((address, port), 5).close()


def test_reuse_port_lets_others_listen_too() -> None:
    sock, port = bind_unused_port(reuse_port=True)
    with closing(sock), socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
