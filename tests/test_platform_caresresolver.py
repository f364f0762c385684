"""Name resolution by c-ares, from a name server of the test's own."""

import asyncio
import gc
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pycares
import pytest

from support import new_event_loop
from typhoon.ioloop import IOLoop
from typhoon.platform.caresresolver import CaresResolver


class NameServer(asyncio.DatagramProtocol):
    """Knows one name; None as the address means that it never answers."""

    def __init__(self, address: str | None) -> None:
        self.address = address
        self.queries = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.DatagramTransport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, peer: object) -> None:
        self.queries += 1
        if self.address is None:
            return
        # RFC 1035: the header, the question as it came, perhaps one answer.
        end = data.index(b"\0", 12) + 5
        question = data[12:end]
        known = question.startswith(b"\x05known\x04test\0\0\x01")
        flags = b"\x81\x80" if known else b"\x81\x83"
        counts = b"\0\x01" + (b"\0\x01" if known else b"\0\0") + b"\0\0\0\0"
        answer = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04" + socket.inet_aton(self.address)
        reply = data[:2] + flags + counts + question + (answer if known else b"")
        self.transport.sendto(reply, peer)  # type: ignore[arg-type]


@asynccontextmanager
async def resolver(
    address: str | None, **options: float
) -> AsyncIterator[tuple[CaresResolver, NameServer]]:
    """A resolver that asks a name server; nothing of it must be left open."""
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(
        lambda: NameServer(address), ("127.0.0.1", 0)
    )
    port = transport.get_extra_info("sockname")[1]
    made = CaresResolver()
    made.channel.close()
    made.channel = pycares.Channel(
        sock_state_cb=made._state_changed,
        servers=["127.0.0.1"],
        udp_port=port,
        **options,  # type: ignore[arg-type]
    )
    try:
        yield made, server
    finally:
        made.close()
        assert made.fds == {}
        transport.close()


def run(loop_kind: str, main: Callable[[], object]) -> None:
    with asyncio.Runner(loop_factory=lambda: new_event_loop(loop_kind)) as runner:
        runner.run(main())  # type: ignore[arg-type]


def test_localhost(loop_kind: str) -> None:
    async def main() -> None:
        made = CaresResolver()
        found = await made.resolve("localhost", 80)
        assert {family for family, _ in found} <= {socket.AF_INET, socket.AF_INET6}
        assert {address[:2] for _, address in found} <= {("127.0.0.1", 80), ("::1", 80)}
        assert found
        found = await made.resolve("127.0.0.1", 80, socket.AF_INET)
        assert found == [(socket.AF_INET, ("127.0.0.1", 80))]
        made.close()
        made.close()
        with pytest.raises(RuntimeError, match="closed"):
            await made.resolve("localhost", 80)

    run(loop_kind, main)


def test_a_name_that_the_server_knows(loop_kind: str) -> None:
    async def main() -> None:
        async with resolver("192.0.2.7") as (made, server):
            found = await made.resolve("known.test", 443, socket.AF_INET)
            assert found == [(socket.AF_INET, ("192.0.2.7", 443))]
            assert server.queries >= 1
            assert made.io_loop is IOLoop.current()

    run(loop_kind, main)


def test_a_name_that_it_does_not_know_is_named(loop_kind: str) -> None:
    async def main() -> None:
        async with resolver("192.0.2.7") as (made, _):
            with pytest.raises(socket.gaierror, match=r"cannot resolve 'unknown\.test'") as caught:
                await made.resolve("unknown.test", 443)
            assert caught.value.errno == socket.EAI_NONAME

    run(loop_kind, main)


def test_a_server_that_never_answers(loop_kind: str) -> None:
    async def main() -> None:
        async with resolver(None, timeout=0.01, tries=2) as (made, server):
            with pytest.raises(socket.gaierror, match=r"cannot resolve 'known\.test'"):
                await made.resolve("known.test", 443, socket.AF_INET)
            assert server.queries >= 2

    run(loop_kind, main)


def test_closing_ends_what_is_under_way(loop_kind: str) -> None:
    async def main() -> None:
        async with resolver(None) as (made, _):
            task = asyncio.ensure_future(made.resolve("known.test", 443, socket.AF_INET))
            await asyncio.sleep(0)
            assert made.fds
            made.close()
            with pytest.raises(socket.gaierror, match=r"known\.test"):
                await task

    before = len(os.listdir("/proc/self/fd"))
    run(loop_kind, main)
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before
