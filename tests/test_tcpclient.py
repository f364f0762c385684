"""Making connections."""

import asyncio
import contextlib
import datetime
import errno
import gc
import os
import socket
import ssl
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
import trustme

from support import new_event_loop, without_collector
from typhoon import tcpclient
from typhoon.iostream import IOStream, StreamClosedError
from typhoon.netutil import Resolver, bind_sockets
from typhoon.tcpclient import TCPClient


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def run(loop_kind: str, main: Callable[[], Coroutine[Any, Any, Any]]) -> None:
    """Run `main`, which must close all that it opens."""

    async def counting() -> None:
        # What the loop opens only once: its pipes, the resolver's thread, libuv's spare descriptor.
        await asyncio.get_running_loop().getaddrinfo("localhost", 80)
        (await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)).close()
        await asyncio.sleep(0.001)
        gc.collect()
        before = open_files()
        async with asyncio.timeout(20):
            await main()
            # The test's own server closes its connections in the turns that follow.
            for _ in range(1000):
                if open_files() == before:
                    break
                await asyncio.sleep(0.001)
        assert open_files() == before

    with asyncio.Runner(loop_factory=lambda: new_event_loop(loop_kind)) as runner:
        runner.run(counting())


class Addresses(Resolver):
    """Gives the same addresses for every name."""

    def initialize(self, *addresses: tuple[int, Any]) -> None:
        self.addresses = list(addresses)
        self.closed = False

    async def resolve(  # type: ignore[override]
        self, host: str, port: int, family: int = socket.AF_UNSPEC
    ) -> list[tuple[int, Any]]:
        return self.addresses

    def close(self) -> None:
        self.closed = True


@contextlib.asynccontextmanager
async def server(ssl_context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server that sends back what it gets, and its port."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = str(writer.get_extra_info("peername"))
        try:
            while data := await reader.read(1000):
                writer.write(data if data != b"peer?" else peer.encode())
        except OSError:
            pass
        finally:
            writer.close()
            done.set()

    done = asyncio.Event()
    serving = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=ssl_context)
    try:
        yield serving.sockets[0].getsockname()[1]
        if ssl_context is None:
            await done.wait()
    finally:
        serving.close()


@contextlib.contextmanager
def silent() -> Any:
    """The port of a socket that listens, where nobody ever answers."""
    (sock,) = bind_sockets(0, "127.0.0.1")
    with sock:
        yield sock.getsockname()[1]


def refusing_port() -> int:
    """A port of which it is known that nobody listens on it."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def v4(port: int) -> tuple[int, Any]:
    return socket.AF_INET, ("127.0.0.1", port)


HANGING = (socket.AF_INET, ("192.0.2.1", 443))
HANGING_V6 = (socket.AF_INET6, ("2001:db8::1", 443, 0, 0))


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> list[IOStream]:
    """Attempts at the addresses for documentation never come to an end; these are their streams."""
    streams: list[IOStream] = []

    class Stream(IOStream):
        def connect(self, address: Any, server_hostname: str | None = None) -> Any:
            if address[0] in ("192.0.2.1", "2001:db8::1"):
                streams.append(self)
                return asyncio.get_running_loop().create_future()
            return super().connect(address, server_hostname)

    monkeypatch.setattr(tcpclient, "IOStream", Stream)
    return streams


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("family", [socket.AF_UNSPEC, socket.AF_INET])
def test_a_connection(loop_kind: str, host: str, family: socket.AddressFamily) -> None:
    async def main() -> None:
        async with server() as port:
            client = TCPClient()
            stream = await client.connect(host, port, af=family, max_buffer_size=12345)
            client.close()
            assert stream.max_buffer_size == 12345
            await stream.write(b"hello")
            assert await stream.read_bytes(5) == b"hello"
            stream.close()

    run(loop_kind, main)


def test_a_refused_connection_is_named(loop_kind: str) -> None:
    async def main() -> None:
        port = refusing_port()
        with pytest.raises(StreamClosedError) as caught:
            await TCPClient().connect("127.0.0.1", port)
        assert caught.value.errno == errno.ECONNREFUSED
        assert isinstance(caught.value.real_error, ConnectionRefusedError)
        assert f"cannot connect to 127.0.0.1:{port}: Connection refused" in str(caught.value)

    run(loop_kind, main)


def test_all_addresses_that_failed_are_named(loop_kind: str) -> None:
    async def main() -> None:
        one, two = refusing_port(), refusing_port()
        client = TCPClient(Addresses(v4(one), v4(two)))
        with pytest.raises(StreamClosedError) as caught:
            await client.connect("example.com", 80)
        assert f"127.0.0.1:{one}: Connection refused; 127.0.0.1:{two}: Conn" in str(caught.value)
        assert "cannot connect to example.com:80: " in str(caught.value)

    run(loop_kind, main)


def test_an_unresolvable_name_is_named(loop_kind: str) -> None:
    async def main() -> None:
        with pytest.raises(socket.gaierror, match=r"cannot resolve 'no\.such\.\.host'"):
            await TCPClient().connect("no.such..host", 80)

    run(loop_kind, main)


def test_a_name_without_addresses_is_named(loop_kind: str) -> None:
    async def main() -> None:
        with pytest.raises(OSError, match=r"cannot connect to example\.com:80: it has no address"):
            await TCPClient(Addresses()).connect("example.com", 80)

    run(loop_kind, main)


def test_an_error_leaves_no_reference_cycle(loop_kind: str) -> None:
    async def main() -> None:
        with without_collector():
            try:
                await TCPClient(Addresses(v4(refusing_port()), v4(refusing_port()))).connect("a", 1)
            except StreamClosedError as error:
                freed = weakref.ref(error)
            await asyncio.sleep(0)
            assert freed() is None

    run(loop_kind, main)


# Several addresses


@pytest.mark.usefixtures("hanging")
def test_the_next_address_is_tried_at_once_where_one_fails(
    loop_kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcpclient, "_NEXT_ATTEMPT", 1000)

    async def main() -> None:
        async with server() as port:
            client = TCPClient(Addresses(v4(refusing_port()), v4(port)))
            stream = await client.connect("example.com", 80)
            assert stream.socket.getpeername()[1] == port
            stream.close()

    run(loop_kind, main)


def test_the_next_address_is_tried_where_one_takes_long(
    loop_kind: str, monkeypatch: pytest.MonkeyPatch, hanging: list[IOStream]
) -> None:
    monkeypatch.setattr(tcpclient, "_NEXT_ATTEMPT", 0.001)

    async def main() -> None:
        async with server() as port:
            client = TCPClient(Addresses(HANGING, HANGING_V6, v4(port)))
            stream = await client.connect("example.com", 80)
            assert stream.socket.getpeername()[1] == port
            assert len(hanging) == 2
            assert all(loser.closed() for loser in hanging)
            stream.close()

    run(loop_kind, main)


def test_families_take_turns() -> None:
    six, four = socket.AF_INET6, socket.AF_INET
    found = [(six, 1), (six, 2), (six, 3), (four, 4), (four, 5)]
    assert tcpclient._interleave(found) == [(six, 1), (four, 4), (six, 2), (four, 5), (six, 3)]


def test_a_resolver_that_was_passed_is_not_closed() -> None:
    resolver = Addresses()
    TCPClient(resolver).close()
    assert not resolver.closed


# Timeouts and cancelling


def test_a_timeout_while_resolving(loop_kind: str) -> None:
    class Never(Resolver):
        def resolve(self, *args: Any) -> Any:
            return asyncio.get_running_loop().create_future()

    async def main() -> None:
        with pytest.raises(TimeoutError, match=r"^Timeout while resolving example\.com$"):
            await TCPClient(Never()).connect("example.com", 80, timeout=0.001)

    run(loop_kind, main)


def test_a_timeout_while_connecting(
    loop_kind: str, monkeypatch: pytest.MonkeyPatch, hanging: list[IOStream]
) -> None:
    monkeypatch.setattr(tcpclient, "_NEXT_ATTEMPT", 0.001)

    async def main() -> None:
        client = TCPClient(Addresses(v4(refusing_port()), HANGING, HANGING_V6))
        message = r"^Timeout while connecting to \[2001:db8::1\]:443, 192\.0\.2\.1:443$"
        with pytest.raises(TimeoutError, match=message):
            await client.connect("example.com", 80, timeout=datetime.timedelta(seconds=0.2))
        assert [stream.closed() for stream in hanging] == [True, True]

    run(loop_kind, main)


def test_a_timeout_during_the_tls_handshake(loop_kind: str) -> None:
    async def main() -> None:
        with silent() as port:
            message = f"^Timeout during TLS handshake with 127.0.0.1:{port}$"
            with pytest.raises(TimeoutError, match=message):
                await TCPClient().connect("127.0.0.1", port, ssl_options={}, timeout=0.05)

    run(loop_kind, main)


def test_a_timeout_of_the_resolver_is_passed_on(loop_kind: str) -> None:
    class Failing(Resolver):
        async def resolve(self, *args: Any) -> Any:
            raise TimeoutError("the resolver's own")

    async def main() -> None:
        with pytest.raises(TimeoutError, match="the resolver's own"):
            await TCPClient(Failing()).connect("example.com", 80, timeout=20)

    run(loop_kind, main)


def test_cancelling_closes_what_is_half_made(
    loop_kind: str, monkeypatch: pytest.MonkeyPatch, hanging: list[IOStream]
) -> None:
    monkeypatch.setattr(tcpclient, "_NEXT_ATTEMPT", 0)

    async def main() -> None:
        client = TCPClient(Addresses(HANGING, HANGING_V6))
        task = asyncio.ensure_future(client.connect("example.com", 80))
        while len(hanging) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [stream.closed() for stream in hanging] == [True, True]

    run(loop_kind, main)


@pytest.mark.parametrize("seconds", [None, 3600])
def test_cancelling_closes_during_the_tls_handshake(loop_kind: str, seconds: float | None) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with listening() as (listener,):
            port = listener.getsockname()[1]
            task = asyncio.ensure_future(
                TCPClient().connect("127.0.0.1", port, ssl_options={}, timeout=seconds)
            )
            connection, _ = await loop.sock_accept(listener)
            with connection:
                assert await loop.sock_recv(connection, 1)  # the handshake has begun
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                while await loop.sock_recv(connection, 1000):
                    pass

    run(loop_kind, main)


@contextlib.contextmanager
def listening() -> Any:
    sockets = bind_sockets(0, "127.0.0.1")
    try:
        yield sockets
    finally:
        for sock in sockets:
            sock.close()


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def contexts(
    authority: trustme.CA, name: str, **options: Any
) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate for `name`, and that of a client that trusts it."""
    for_server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, **options).configure_cert(for_server)
    for_client = ssl.create_default_context()
    authority.configure_trust(for_client)
    return for_server, for_client


def test_tls(loop_kind: str, authority: trustme.CA) -> None:
    for_server, for_client = contexts(authority, "localhost")

    async def main() -> None:
        async with server(for_server) as port:
            stream = await TCPClient().connect("localhost", port, ssl_options=for_client)
            await stream.write(b"hello")
            assert await stream.read_bytes(5) == b"hello"
            stream.close()

    run(loop_kind, main)


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        (
            "localhost",
            {
                "not_before": datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC),
                "not_after": datetime.datetime(2020, 2, 1, tzinfo=datetime.UTC),
            },
            "certificate has expired",
        ),
        ("other.example", {}, "Hostname mismatch"),
    ],
)
def test_a_bad_certificate_is_named(
    loop_kind: str,
    authority: trustme.CA,
    caplog: pytest.LogCaptureFixture,
    name: str,
    options: dict[str, Any],
    reason: str,
) -> None:
    for_server, for_client = contexts(authority, name, **options)

    async def main() -> None:
        async with server(for_server) as port:
            with pytest.raises(ssl.SSLCertVerificationError) as caught:
                await TCPClient().connect("localhost", port, ssl_options=for_client)
            assert f"TLS handshake with localhost:{port}: " in str(caught.value)
            assert reason in str(caught.value)
            assert caught.value.verify_code

    run(loop_kind, main)


def test_a_server_that_closes_during_the_handshake_is_named(loop_kind: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with listening() as (listener,):
            port = listener.getsockname()[1]
            task = asyncio.ensure_future(TCPClient().connect("127.0.0.1", port, ssl_options={}))
            connection, _ = await loop.sock_accept(listener)
            connection.close()
            with pytest.raises(OSError, match=f"TLS handshake with 127.0.0.1:{port}"):
                await task

    run(loop_kind, main)


# The source


def test_the_source_address(loop_kind: str) -> None:
    async def main() -> None:
        source_port = refusing_port()
        async with server() as port:
            client = TCPClient(Addresses(HANGING_V6, v4(port)))
            stream = await client.connect(
                "localhost", port, source_ip="127.0.0.1", source_port=source_port
            )
            await stream.write(b"peer?")
            expected = str(("127.0.0.1", source_port)).encode()
            assert await stream.read_bytes(len(expected)) == expected
            stream.close()

    run(loop_kind, main)


def test_the_source_port_alone(loop_kind: str) -> None:
    async def main() -> None:
        source_port = refusing_port()
        async with server() as port:
            stream = await TCPClient().connect("127.0.0.1", port, source_port=source_port)
            assert stream.socket.getsockname()[1] == source_port
            stream.close()

    run(loop_kind, main)


def test_a_source_address_of_another_machine_is_named(loop_kind: str) -> None:
    async def main() -> None:
        with pytest.raises(OSError, match=r"cannot use source_ip 192\.0\.2\.1") as caught:
            await TCPClient().connect("127.0.0.1", 80, source_ip="192.0.2.1")
        assert caught.value.errno == errno.EADDRNOTAVAIL

    run(loop_kind, main)


def test_a_source_address_of_the_other_family_is_named(loop_kind: str) -> None:
    async def main() -> None:
        with pytest.raises(OSError, match="no address that can be reached from source_ip ::1"):
            await TCPClient().connect("127.0.0.1", 80, source_ip="::1")

    run(loop_kind, main)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"source_ip": "localhost"},
            "'localhost' is neither an IP address nor a network interface",
        ),
        ({"source_port": 65536}, "source_port 65536 is not between"),
        ({"port": 65536}, "port 65536 is not between"),
    ],
)
def test_wrong_arguments_are_named(loop_kind: str, arguments: dict[str, Any], message: str) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match=message):
            await TCPClient().connect("127.0.0.1", **{"port": 80, **arguments})

    run(loop_kind, main)
