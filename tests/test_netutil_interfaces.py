"""Sockets that send through one network interface."""

import socket

import pytest

from typhoon.netutil import interfaces
from typhoon.netutil.interfaces import bind_to_interface, check_interface


def test_known_and_unknown() -> None:
    check_interface("lo")
    with pytest.raises(ValueError, match=r"'lo0' is neither .* of this machine, which has .*lo"):
        check_interface("lo0")


@pytest.mark.parametrize(("family", "address"), [("AF_INET", "127.0.0.1"), ("AF_INET6", "::1")])
def test_the_address_where_the_device_cannot_be_chosen(
    family: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(getattr(socket, family)) as sock:
        assert bind_to_interface(sock, "lo") in (None, address)
        monkeypatch.delattr(socket, "SO_BINDTODEVICE")
        assert bind_to_interface(sock, "lo") == address


def test_an_interface_without_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "SO_BINDTODEVICE")
    for family in (socket.AF_INET, socket.AF_INET6):
        with (
            socket.socket(family) as sock,
            pytest.raises(OSError, match=r"through the interface none0: no IPv[46] address"),
        ):
            bind_to_interface(sock, "none0")


def test_an_address_of_the_link_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class File:
        def read_text(self, encoding: str) -> str:
            return (
                "fe80000000000000000000000000000a 02 40 20 80     eth0\n"
                "20010db8000000000000000000000001 02 40 00 80     eth1\n"
                "fe80000000000000000000000000000b 02 40 20 80     eth1\n"
            )

    monkeypatch.delattr(socket, "SO_BINDTODEVICE")
    monkeypatch.setattr(interfaces, "_IPV6_ADDRESSES", File())
    with socket.socket(socket.AF_INET6) as sock:
        assert bind_to_interface(sock, "eth0") == "fe80::a%eth0"
        assert bind_to_interface(sock, "eth1") == "2001:db8::1"
