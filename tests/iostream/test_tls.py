"""TLS: handshakes that succeed, and all the ways in which they do not."""

import asyncio
import contextlib
import datetime
import socket
import ssl
import weakref
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pairs import Run, certificates, half, pair, reset, sockets, until

from support import without_collector
from typhoon.iostream import IOStream, SSLIOStream, StreamClosedError
from typhoon.netutil import ssl_wrap_socket

MIB = 1024 * 1024


def context(side: str, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    known = certificates()
    made = ssl.create_default_context(
        ssl.Purpose.CLIENT_AUTH if side == "server" else ssl.Purpose.SERVER_AUTH
    )
    if side == "server":
        known.authority.issue_cert("localhost").configure_cert(made)
    else:
        known.authority.configure_trust(made)
    if version is not None:
        made.maximum_version = version
    return made


def server_stream(sock: socket.socket, tls: ssl.SSLContext | None = None) -> SSLIOStream:
    sock.setblocking(False)
    tls = tls or certificates().server
    wrapped = ssl_wrap_socket(sock, tls, server_side=True, do_handshake_on_connect=False)
    return SSLIOStream(wrapped)


@contextlib.asynccontextmanager
async def server_and_raw(
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[tuple[SSLIOStream, socket.socket]]:
    """A server's side, and the plain socket of its client."""
    ours, theirs = sockets("tcp")
    theirs.setblocking(False)
    stream = server_stream(ours, tls)
    try:
        yield stream, theirs
    finally:
        stream.close()
        theirs.close()


async def closing_error(stream: SSLIOStream) -> BaseException | None:
    with pytest.raises(StreamClosedError) as caught:
        await stream.wait_for_handshake()
    assert stream.closed()
    assert not stream.reading()
    assert not stream.writing()
    assert caught.value.real_error is stream.error
    return stream.error


# start_tls


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_start_tls(run: Run, version: ssl.TLSVersion) -> None:
    async def main() -> None:
        async with pair("tcp") as (left, right):
            await left.write(b"STARTTLS\r\n")
            assert await right.read_until(b"\r\n") == b"STARTTLS\r\n"
            closed = asyncio.Event()
            left.set_close_callback(closed.set)
            secured = await asyncio.gather(
                right.start_tls(True, context("server")),
                left.start_tls(False, context("client", version), "localhost"),
            )
            server, client = secured
            assert isinstance(client, SSLIOStream)
            assert client.socket.version() == version.name.replace("_", ".")
            # The old streams are done with, and closing them does nothing to the new.
            for old in (left, right):
                assert old.closed()
                old.close()
                with pytest.raises(StreamClosedError):
                    old.read_bytes(1)
                with pytest.raises(StreamClosedError):
                    old.start_tls(False)
            assert not closed.is_set()
            await client.write(b"hello")
            assert await server.read_bytes(5) == b"hello"
            server.close()
            await closed.wait()
            assert client.error is None
            client.close()

    run(main)


def test_start_tls_with_dictionaries(run: Run, tmp_path: Path) -> None:
    known = certificates()
    leaf = known.authority.issue_cert("localhost")
    leaf.private_key_and_cert_chain_pem.write_to_path(tmp_path / "pem")
    known.authority.cert_pem.write_to_path(tmp_path / "ca")

    async def main() -> None:
        async with pair("unix") as (left, right):
            server, client = await asyncio.gather(
                right.start_tls(True, {"certfile": str(tmp_path / "pem")}),
                left.start_tls(False, {"ca_certs": str(tmp_path / "ca")}, "localhost"),
            )
            await client.write(b"hello")
            assert await server.read_bytes(5) == b"hello"
            client.close()
            server.close()

    run(main)


def test_start_tls_keeps_the_limits(run: Run) -> None:
    limits = {"max_buffer_size": 1000, "read_chunk_size": 100, "max_write_buffer_size": 10}

    async def main() -> None:
        async with pair("unix", **limits) as (left, right):
            futures = [
                right.start_tls(True, certificates().server),
                left.start_tls(False, certificates().client, "localhost"),
            ]
            for stream in await asyncio.gather(*futures):
                assert {name: getattr(stream, name) for name in limits} == limits
                stream.close()

    run(main)


def test_start_tls_only_when_idle(run: Run) -> None:
    async def main() -> None:
        async with pair("unix") as (left, right):
            future = left.read_bytes(1)
            with pytest.raises(ValueError, match="the stream is not idle"):
                left.start_tls(False)
            await right.write(b"12")
            await future
            await until(lambda: left._read_buffer)
            with pytest.raises(ValueError, match="the stream is not idle"):
                left.start_tls(False)  # what has come was not under TLS
            await left.read_bytes(1)
            left.write(bytes(5 * MIB))
            with pytest.raises(ValueError, match="the stream is not idle"):
                left.start_tls(False)

    run(main)


@pytest.mark.parametrize(
    "options", [{"certfile": "/no/such.pem"}, {"unknown": 1}, {"ca_certs": "/no/such.pem"}]
)
def test_start_tls_with_wrong_options_changes_nothing(run: Run, options: dict[str, Any]) -> None:
    async def main() -> None:
        async with pair("unix") as (left, right):
            with pytest.raises((OSError, ValueError)):
                left.start_tls(False, options, "localhost")
            await left.write(b"1")
            assert await right.read_bytes(1) == b"1"

    run(main)


def test_start_tls_without_a_name_for_a_context_that_needs_one(run: Run) -> None:
    async def main() -> None:
        async with pair("unix") as (left, right):
            closed = asyncio.Event()
            left.set_close_callback(closed.set)
            with pytest.raises(ValueError, match="server_hostname"):
                left.start_tls(False, certificates().client)
            assert left.closed()
            await closed.wait()
            with pytest.raises(StreamClosedError):
                await right.read_bytes(1)

    run(main)


def test_cancelled_start_tls_closes(run: Run) -> None:
    async def main() -> None:
        async with half("unix") as (stream, peer):
            closed = asyncio.Event()
            stream.set_close_callback(closed.set)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await stream.start_tls(False, certificates().client, "localhost")
            await closed.wait()
            hello = peer.recv(65536)
            assert hello.startswith(b"\x16\x03")
            assert peer.recv(1) == b""

    run(main)


@pytest.mark.parametrize("server_side", [False, True])
def test_start_tls_with_who_has_gone(run: Run, server_side: bool) -> None:
    async def main() -> None:
        for leave in (socket.socket.close, reset):
            async with half() as (stream, peer):
                leave(peer)
                tls = certificates().server if server_side else certificates().client
                with pytest.raises((StreamClosedError, ssl.SSLError)):
                    await stream.start_tls(server_side, tls, None if server_side else "localhost")
                assert stream.closed()

    run(main)


# Handshakes that fail


async def fail(
    server: ssl.SSLContext | None = None,
    client: ssl.SSLContext | None = None,
    name: str = "localhost",
) -> tuple[BaseException, BaseException | None]:
    """The errors of a client and its server that do not come together."""
    known = certificates()
    async with pair("tcp") as (left, right):
        refused, secured = await asyncio.gather(
            left.start_tls(False, client or known.client, name),
            right.start_tls(True, server or known.server),
            return_exceptions=True,
        )
        if isinstance(secured, SSLIOStream):
            # With TLS 1.3 the server is done before the client has its say.
            with contextlib.suppress(StreamClosedError):
                await secured.read_bytes(1)
            assert secured.closed()
        return refused, secured


def test_an_expired_certificate(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    expired = certificates().issue("localhost", not_after=past)
    error, _ = run(lambda: fail(expired))
    assert isinstance(error, ssl.SSLCertVerificationError)
    assert "certificate has expired" in str(error)
    assert any("SSL Error on" in text and "has expired" in text for text in caplog.messages)


def test_a_wrong_host_name(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    error, _ = run(lambda: fail(name="other.example"))
    assert isinstance(error, ssl.SSLCertVerificationError)
    assert "Hostname mismatch" in str(error)
    assert any("Hostname mismatch" in text for text in caplog.messages)


def test_an_unknown_authority(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    error, _ = run(lambda: fail(client=ssl.create_default_context()))
    assert isinstance(error, ssl.SSLCertVerificationError)
    assert caplog.messages


def test_no_version_in_common(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    server = context("server")
    server.minimum_version = ssl.TLSVersion.TLSv1_3
    client = context("client", ssl.TLSVersion.TLSv1_2)
    error, other = run(lambda: fail(server, client))
    assert isinstance(error, ssl.SSLError)
    assert isinstance(other, ssl.SSLError)
    assert caplog.messages


def test_a_client_without_the_certificate_that_is_asked_for(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    server = context("server", ssl.TLSVersion.TLSv1_2)
    server.verify_mode = ssl.CERT_REQUIRED
    certificates().authority.configure_trust(server)
    error, other = run(lambda: fail(server))
    assert isinstance(error, ssl.SSLError)
    assert isinstance(other, ssl.SSLError)
    assert caplog.messages


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\x00" * 100, b"\x16\x03\x01\xff"]
)
def test_plain_text_to_a_tls_port(run: Run, data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with server_and_raw() as (stream, peer):
            peer.send(data)
            if len(data) < 5:
                peer.shutdown(socket.SHUT_WR)  # not even a record's head
            error = await closing_error(stream)
            assert isinstance(error, ssl.SSLError)

    run(main)
    assert len(caplog.messages) == (1 if len(data) > 5 else 0)


def client_messages() -> list[bytes]:
    """What a client sends in a handshake, step by step."""
    known = certificates()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = known.client.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return [outgoing.read()]


@pytest.mark.parametrize("stage", ["nothing", "one byte", "half a hello", "the hello"])
@pytest.mark.parametrize("leave", ["end", "reset", "stay"])
def test_a_client_that_stops_midway(
    run: Run, stage: str, leave: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        (hello,) = client_messages()
        stages = {
            "nothing": b"",
            "one byte": hello[:1],
            "half a hello": hello[: len(hello) // 2],
            "the hello": hello,
        }
        async with server_and_raw() as (stream, peer):
            closed = asyncio.Event()
            stream.set_close_callback(closed.set)
            read = stream.read_bytes(1)
            written = stream.write(b"welcome")
            peer.send(stages[stage])
            await asyncio.sleep(0.01)
            if leave == "stay":
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(stream.wait_for_handshake(), 0.01)
                stream.close()
            elif leave == "end":
                peer.close()
            else:
                reset(peer)
            for future in (read, written, stream.wait_for_handshake()):
                with pytest.raises(StreamClosedError):
                    await future
            await closed.wait()

    run(main)
    assert caplog.records == []


def test_a_server_that_says_nothing(run: Run) -> None:
    async def main() -> None:
        async with half() as (stream, peer):
            future = stream.start_tls(False, certificates().client, "localhost")
            await asyncio.sleep(0.01)
            assert not future.done()
            peer.recv(65536)
            peer.close()
            with pytest.raises((StreamClosedError, ssl.SSLError)):
                await future

    run(main)


# wait_for_handshake


def test_wait_for_handshake(run: Run) -> None:
    async def main() -> None:
        ours, theirs = sockets("tcp")
        server = server_stream(ours)
        first = server.wait_for_handshake()
        with pytest.raises(RuntimeError, match="one wait_for_handshake at a time"):
            server.wait_for_handshake()
        first.cancel()
        second = server.wait_for_handshake()
        client = await IOStream(theirs).start_tls(False, certificates().client, "localhost")
        assert await second is server
        assert await server.wait_for_handshake() is server
        assert await client.wait_for_handshake() is client
        assert client.socket.getpeercert()["subjectAltName"] == (("DNS", "localhost"),)
        server.close()
        client.close()

    run(main)


def test_wait_for_the_handshake_of_a_closed_stream(run: Run) -> None:
    async def main() -> None:
        async with server_and_raw() as (stream, _):
            stream.close()
            with pytest.raises(StreamClosedError):
                await stream.wait_for_handshake()
            assert not stream.reading()
            assert not stream.writing()

    run(main)


def test_reads_and_writes_wait_for_the_handshake(run: Run) -> None:
    async def main() -> None:
        ours, theirs = sockets("tcp")
        server = server_stream(ours)
        assert server.reading()
        assert server.writing()
        line = server.read_until(b"\n")
        written = server.write(b"welcome\n")
        more = server.write(bytes(300_000))
        client = await IOStream(theirs).start_tls(False, certificates().client, "localhost")
        assert await client.read_until(b"\n") == b"welcome\n"
        await client.write(b"hello\n")
        assert await line == b"hello\n"
        assert await client.read_bytes(300_000) == bytes(300_000)
        await asyncio.gather(written, more)
        server.close()
        client.close()

    run(main)


# Records and the end


@pytest.mark.parametrize("chunk", [1, 100, 16_384, 65_536])
@pytest.mark.parametrize("size", [1, 50, 5000, 16_384, 100_000])
def test_records_larger_than_reads(run: Run, chunk: int, size: int) -> None:
    data = bytes(range(256)) * (100_000 // 256)

    async def main() -> None:
        async with pair("tls", read_chunk_size=chunk) as (left, right):
            sent = left.write(data)
            received = bytearray()
            while len(received) < len(data):
                received += await right.read_bytes(min(size, len(data) - len(received)))
                if size == 1 and len(received) > 300:
                    received += await right.read_bytes(len(data) - len(received))
            assert received == data
            await sent

    run(main)


@pytest.mark.parametrize("size", [1, 7, 5000])
def test_read_into_less_than_a_record(run: Run, size: int) -> None:
    async def main() -> None:
        async with pair("tls") as (left, right):
            await left.write(bytes(range(200)) * 50)
            received = bytearray()
            buffer = bytearray(size)
            while len(received) < 10_000:
                received += buffer[: await right.read_into(buffer, partial=True)]
                if size == 1 and len(received) > 300:
                    received += await right.read_bytes(10_000 - len(received))
            assert received == bytes(range(200)) * 50

    run(main)


def test_the_rest_of_a_record_before_the_end(run: Run) -> None:
    async def main() -> None:
        async with pair("tls", read_chunk_size=10) as (left, right):
            await left.write(b"x" * 1000)
            left.close()
            assert await right.read_until_close() == b"x" * 1000

    run(main)


def test_close_says_goodbye(run: Run) -> None:
    async def main() -> None:
        ours, theirs = sockets("tcp")
        theirs.setblocking(False)
        stream = IOStream(ours)
        future = stream.start_tls(True, certificates().server)
        peer = certificates().client.wrap_socket(
            theirs,
            server_hostname="localhost",
            do_handshake_on_connect=False,
            suppress_ragged_eofs=False,
        )
        while True:
            try:
                peer.do_handshake()
                break
            except ssl.SSLWantReadError:
                await asyncio.sleep(0.001)
        secured = await future
        secured.close()
        await asyncio.sleep(0)
        assert peer.recv(1) == b""  # not SSLEOFError
        peer.close()

    run(main)


def test_garbage_in_a_session(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with pair("tls") as (left, right):
            socket.socket.send(left.socket, b"\x17\x03\x03\x00\x20" + bytes(32))
            with pytest.raises(StreamClosedError) as caught:
                await right.read_bytes(1)
            assert isinstance(caught.value.real_error, ssl.SSLError)

    run(main)
    assert len(caplog.messages) <= 1  # at once it is only raised


def test_writing_behind_the_goodbye(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with pair("tls") as (left, right):
            data = bytearray(5 * MIB)
            right.close()
            with pytest.raises(StreamClosedError):
                await left.write(data)
            assert left.closed()
            data.clear()

    run(main)
    assert caplog.records == []


# connect


async def serve_once(listener: socket.socket, tls: ssl.SSLContext) -> SSLIOStream:
    connection, _ = await asyncio.get_running_loop().sock_accept(listener)
    return await server_stream(connection, tls).wait_for_handshake()


@contextlib.contextmanager
def listening() -> Any:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener, listener.getsockname()


def test_connect(run: Run) -> None:
    async def main() -> None:
        with listening() as (listener, address):
            client = SSLIOStream(socket.socket(), ssl_options=certificates().client)
            early = client.write(b"early\n")
            connecting = client.connect(address, server_hostname="localhost")
            early = client.write(b"early\n")
            answer = client.read_until(b"\n")
            server = await serve_once(listener, certificates().server)
            assert await connecting is client
            assert await server.read_until(b"\n") == b"early\n"
            await early
            await server.write(b"answer\n")
            assert await answer == b"answer\n"
            server.close()
            client.close()

    run(main)


@pytest.mark.parametrize("name", ["other.example", None])
def test_connect_fails(run: Run, name: str | None, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        with listening() as (listener, address):
            client = SSLIOStream(socket.socket(), ssl_options=certificates().client)
            connecting = client.connect(address, server_hostname=name)
            serving = asyncio.ensure_future(serve_once(listener, certificates().server))
            with pytest.raises((StreamClosedError, ssl.SSLError)) as caught:
                await connecting
            if name is None:
                assert isinstance(caught.value.real_error, ValueError)
            else:
                assert isinstance(caught.value, ssl.SSLCertVerificationError)
            assert client.closed()
            with contextlib.suppress(StreamClosedError):
                (await serving).close()

    run(main)
    assert caplog.messages


def test_connect_with_a_wrapped_socket(run: Run) -> None:
    async def main() -> None:
        wrapped = certificates().client.wrap_socket(
            socket.socket(), server_hostname="localhost", do_handshake_on_connect=False
        )
        stream = SSLIOStream(wrapped)
        with pytest.raises(ValueError, match="make the stream of a plain socket"):
            stream.connect(("127.0.0.1", 1))
        with pytest.raises(StreamClosedError):
            await stream.wait_for_handshake()

    run(main)


def test_a_cancelled_connect(run: Run) -> None:
    async def main() -> None:
        with listening() as (listener, address):
            client = SSLIOStream(socket.socket(), ssl_options=certificates().client)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await client.connect(address, server_hostname="localhost")
            await until(client.closed)
            connection, _ = await asyncio.get_running_loop().sock_accept(listener)
            connection.close()

    run(main)


# Nothing is left behind


def freed_in(run: Run, connection: Any) -> None:
    async def main() -> None:
        refs = await connection()
        for _ in range(3):
            await asyncio.sleep(0)
        assert [ref() for ref in refs] == [None] * len(refs)

    with without_collector():
        run(main)


@pytest.mark.parametrize("ending", ["fine", "wrong name", "cancelled", "gone", "awaited"])
def test_freed_without_the_collector(run: Run, ending: str) -> None:
    async def connection() -> list[weakref.ref[Any]]:
        ours, theirs = sockets("tcp")
        server, plain = server_stream(ours), IOStream(theirs)
        refs = [weakref.ref(server), weakref.ref(plain)]
        if ending == "gone":
            plain.close()
            with contextlib.suppress(StreamClosedError):
                await server.wait_for_handshake()
            return refs
        name = "other.example" if ending == "wrong name" else "localhost"
        future = plain.start_tls(False, certificates().client, name)
        if ending == "cancelled":
            future.cancel()
        try:
            client = await future
        except (OSError, asyncio.CancelledError):
            pass
        else:
            refs.append(weakref.ref(client))
            if ending == "awaited":
                await client.wait_for_handshake()
                await server.wait_for_handshake()
            client.close()
        del future  # whose error refers to this frame
        with contextlib.suppress(StreamClosedError):
            await server.read_bytes(1)
        return refs

    freed_in(run, connection)


def test_a_failed_connect_is_freed_without_the_collector(run: Run) -> None:
    async def connection() -> list[weakref.ref[Any]]:
        with listening() as (listener, address):
            client = SSLIOStream(socket.socket(), ssl_options=certificates().client)
            serving = asyncio.ensure_future(serve_once(listener, certificates().server))
            try:
                await client.connect(address, server_hostname="other.example")
            except ssl.SSLCertVerificationError as error:
                assert error.verify_message.startswith("Hostname mismatch")  # noqa: PT017
                assert error.reason == client.error.reason == "CERTIFICATE_VERIFY_FAILED"  # noqa: PT017
            with contextlib.suppress(StreamClosedError):
                (await serving).close()
            del serving
            return [weakref.ref(client)]

    freed_in(run, connection)
