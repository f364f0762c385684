"""Listening sockets, TLS contexts and IP addresses."""

import contextlib
import errno
import os
import socket
import ssl
import stat
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import pytest
import trustme

from typhoon.netutil import (
    bind_sockets,
    bind_unix_socket,
    is_valid_ip,
    ssl_options_to_context,
    ssl_wrap_socket,
)


@contextlib.contextmanager
def closing_all(sockets: list[socket.socket]) -> Iterator[list[socket.socket]]:
    try:
        yield sockets
    finally:
        for sock in sockets:
            sock.close()


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


def test_a_bound_socket_accepts_connections() -> None:
    with closing_all(bind_sockets(0, "127.0.0.1")) as (sock,):
        assert sock.family == socket.AF_INET
        assert not sock.getblocking()
        with socket.create_connection(sock.getsockname(), 5) as client:
            sock.setblocking(True)
            connection, address = sock.accept()
            connection.close()
            assert address == client.getsockname()


@needs_ipv6
def test_every_interface_has_one_socket_for_each_family() -> None:
    with closing_all(bind_sockets(0)) as sockets:
        assert {sock.family for sock in sockets} == {socket.AF_INET, socket.AF_INET6}
        (port,) = {sock.getsockname()[1] for sock in sockets}
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port), 5).close()


@needs_ipv6
def test_an_ipv6_address() -> None:
    with closing_all(bind_sockets(0, "::1")) as (sock,):
        assert sock.getsockname()[0] == "::1"


@needs_ipv6
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_one_family_alone(family: socket.AddressFamily) -> None:
    with closing_all(bind_sockets(0, "", family=family)) as (sock,):
        assert sock.family == family


def test_localhost_gets_the_same_port_in_every_family() -> None:
    with closing_all(bind_sockets(0, "localhost")) as sockets:
        assert len({sock.getsockname()[1] for sock in sockets}) == 1


@needs_ipv6
def test_a_random_port_taken_in_the_other_family_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tries: list[Any] = []

    class Socket(socket.socket):
        def bind(self, address: Any) -> None:
            tries.append(address)
            if len(tries) == 2:
                raise OSError(errno.EADDRINUSE, "Address already in use")
            super().bind(address)

    monkeypatch.setattr(socket, "socket", Socket)
    with closing_all(bind_sockets(0)) as sockets:
        assert len({sock.getsockname()[1] for sock in sockets}) == 1
    assert len(tries) == 4


@pytest.mark.parametrize("address", [None, "localhost"])
def test_a_machine_without_ipv6_listens_on_ipv4(
    monkeypatch: pytest.MonkeyPatch, address: str | None
) -> None:
    class Socket(socket.socket):
        def bind(self, address: Any) -> None:
            if self.family == socket.AF_INET6:
                raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
            super().bind(address)

    monkeypatch.setattr(socket, "socket", Socket)
    with closing_all(bind_sockets(0, address)) as sockets:
        assert {sock.family for sock in sockets} == {socket.AF_INET}


def test_a_port_in_use_is_named() -> None:
    with closing_all(bind_sockets(0, "127.0.0.1")) as (sock,):
        port = sock.getsockname()[1]
        with pytest.raises(OSError, match=rf"cannot listen on 127.0.0.1:{port}: ") as caught:
            bind_sockets(port, "127.0.0.1")
        assert caught.value.errno == errno.EADDRINUSE


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(OSError, match=r"cannot listen on 192.0.2.1:8888: ") as caught:
        bind_sockets(8888, "192.0.2.1")
    assert caught.value.errno == errno.EADDRNOTAVAIL


def test_a_name_that_cannot_be_resolved_is_named() -> None:
    with pytest.raises(socket.gaierror, match=r"cannot resolve 'no such host'"):
        bind_sockets(0, "no such host")


def test_a_name_where_a_number_is_demanded() -> None:
    with pytest.raises(socket.gaierror, match=r"cannot resolve 'localhost'"):
        bind_sockets(0, "localhost", flags=socket.AI_PASSIVE | socket.AI_NUMERICHOST)


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_out_of_range_is_named(port: int) -> None:
    with pytest.raises(ValueError, match=f"port {port} is not between 0 and 65535"):
        bind_sockets(port, "127.0.0.1")


def test_a_failure_leaves_no_socket_open(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[socket.socket] = []

    class Socket(socket.socket):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            opened.append(self)

        def listen(self, *args: Any) -> None:
            raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket, "socket", Socket)
    with pytest.raises(PermissionError):
        bind_sockets(0)
    assert opened
    assert all(sock.fileno() == -1 for sock in opened)


def test_reuse_port() -> None:
    with closing_all(bind_sockets(0, "127.0.0.1", reuse_port=True)) as (first,):
        port = first.getsockname()[1]
        with closing_all(bind_sockets(port, "127.0.0.1", reuse_port=True)) as (second,):
            assert second.getsockname() == first.getsockname()


def test_reuse_port_without_support(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "SO_REUSEPORT")
    with pytest.raises(ValueError, match="SO_REUSEPORT"):
        bind_sockets(0, reuse_port=True)


def test_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with bind_unix_socket(path) as sock:
        assert not sock.getblocking()
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)


def test_a_unix_socket_with_a_mode(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with bind_unix_socket(path, 0o666, backlog=1):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o666


def test_a_left_over_unix_socket_is_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    bind_unix_socket(path).close()
    with bind_unix_socket(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(path)


def test_an_abstract_unix_socket() -> None:
    name = f"\0typhoon-test-{os.getpid()}"
    with bind_unix_socket(name), socket.socket(socket.AF_UNIX) as client:
        client.connect(name)


def test_a_file_in_the_way_of_a_unix_socket_stays(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("precious")
    with pytest.raises(ValueError, match=f"File {path} exists and is not a socket"):
        bind_unix_socket(str(path))
    assert path.read_text() == "precious"


@pytest.mark.parametrize("name", ["missing/socket", "x" * 200])
def test_a_bad_unix_path_is_named(tmp_path: Path, name: str) -> None:
    path = str(tmp_path / name)
    with pytest.raises(OSError, match=f"cannot listen on '{path}': "):
        bind_unix_socket(path)


@pytest.mark.parametrize("mode", [-1, 0o10000, 666_000])
def test_a_bad_mode_is_named(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "socket"
    with pytest.raises(ValueError, match=f"mode {mode} is no file mode"):
        bind_unix_socket(str(path), mode)
    assert not path.exists()


@pytest.mark.parametrize(
    "ip",
    [
        "127.0.0.1",
        "4.4.4.4",
        "::1",
        "::",
        "2620:0:1cfe:face:b00c::3",
        "::ffff:1.2.3.4",
        "fe80::1%eth0",
    ],
)
def test_valid_addresses(ip: str) -> None:
    assert is_valid_ip(ip)


@pytest.mark.parametrize(
    "ip",
    [
        *("", " ", "\n", "\0", "localhost", "www.example.com", "a" * 100, "é", "\udc80"),
        *("4.4.4.4<", " 127.0.0.1", "127.0.0.1\n", "127.1", "1.2.3.4.5", "256.1.1.1", "1.2.3.4\0"),
        *("[::1]", ":::", "::1%", "::1%a\nb", "::1%é", "1.2.3.4%eth0", "12345::"),
    ],
)
def test_invalid_addresses(ip: str) -> None:
    assert not is_valid_ip(ip)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The paths of a certificate, its key and its authority."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    leaf = authority.issue_cert("localhost")
    leaf.private_key_pem.write_to_path(folder / "key.pem")
    leaf.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    return {
        "certfile": str(folder / "cert.pem"),
        "keyfile": str(folder / "key.pem"),
        "ca_certs": str(folder / "ca.pem"),
    }


def handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> str | None:
    """Connect the two in memory and return the TLS version."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(to_client, to_server, server_hostname="localhost"),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    waiting = [0, 1]
    while waiting:
        for side in list(waiting):
            with contextlib.suppress(ssl.SSLWantReadError):
                sides[side].do_handshake()
                waiting.remove(side)
    return sides[0].version()


def test_a_dictionary_of_ssl_options_makes_a_context(certificate: dict[str, str]) -> None:
    pair = {key: certificate[key] for key in ("certfile", "keyfile")}
    server = ssl_options_to_context(pair, server_side=True)
    client = ssl_options_to_context({"ca_certs": certificate["ca_certs"]}, server_side=False)
    assert client.check_hostname
    assert handshake(server, client) == "TLSv1.3"


def test_sockets_are_wrapped(certificate: dict[str, str]) -> None:
    pair = {key: certificate[key] for key in ("certfile", "keyfile")}
    near, far = socket.socketpair()
    later: dict[str, Any] = {"do_handshake_on_connect": False}
    with (
        ssl_wrap_socket(near, pair, server_side=True, **later) as server,
        ssl_wrap_socket(
            far, {"ca_certs": certificate["ca_certs"]}, "localhost", server_side=False, **later
        ) as client,
        futures.ThreadPoolExecutor(1) as pool,
    ):
        assert near.fileno() == far.fileno() == -1
        handshaken = pool.submit(server.do_handshake)
        client.do_handshake()
        handshaken.result(20)
        assert client.version() == "TLSv1.3"


def test_a_client_that_verifies_nothing(certificate: dict[str, str]) -> None:
    server = ssl_options_to_context(
        {key: certificate[key] for key in ("certfile", "keyfile")}, server_side=True
    )
    client = ssl_options_to_context({"cert_reqs": ssl.CERT_NONE}, server_side=False)
    assert handshake(server, client)


def test_a_client_trusts_the_system_by_default(certificate: dict[str, str]) -> None:
    server = ssl_options_to_context(
        {key: certificate[key] for key in ("certfile", "keyfile")}, server_side=True
    )
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, ssl_options_to_context({}, server_side=False))


def test_a_server_that_demands_certificates(certificate: dict[str, str]) -> None:
    context = ssl_options_to_context(certificate | {"cert_reqs": ssl.CERT_REQUIRED}, True)
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert len(context.get_ca_certs()) == 1


def test_ciphers_and_version() -> None:
    options = {"ssl_version": ssl.PROTOCOL_TLS_CLIENT, "ciphers": "ECDHE-RSA-AES128-GCM-SHA256"}
    context = ssl_options_to_context(options, server_side=True)
    assert context.protocol == ssl.PROTOCOL_TLS_CLIENT
    assert "ECDHE-RSA-AES128-GCM-SHA256" in {cipher["name"] for cipher in context.get_ciphers()}


def test_a_context_is_returned_as_it_is() -> None:
    context = ssl.create_default_context()
    assert ssl_options_to_context(context) is context


def test_a_context_for_both_sides_warns() -> None:
    with pytest.warns(DeprecationWarning, match="PROTOCOL_TLS"):
        assert ssl_options_to_context({}).verify_mode == ssl.CERT_NONE


def test_an_unknown_ssl_option_is_named() -> None:
    with pytest.raises(ValueError, match=r"unknown 'cert_file'; known are .*certfile"):
        ssl_options_to_context({"cert_file": "x"}, server_side=True)


def test_a_key_without_a_certificate() -> None:
    with pytest.raises(ValueError, match="keyfile needs certfile"):
        ssl_options_to_context({"keyfile": "x"}, server_side=True)


@pytest.mark.parametrize("option", ["certfile", "ca_certs"])
def test_a_missing_or_broken_file_is_named(tmp_path: Path, option: str) -> None:
    path = tmp_path / "absent.pem"
    with pytest.raises(FileNotFoundError, match=f"{option} '{path}'"):
        ssl_options_to_context({option: str(path)}, server_side=True)
    path.write_text("no certificate")
    with pytest.raises(ssl.SSLError, match=f"{option} '{path}'"):
        ssl_options_to_context({option: str(path)}, server_side=True)
