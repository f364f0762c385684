"""HTTP/1.1 over streams, as a client and as a server. (`tests/http1` has the messages.)"""

from __future__ import annotations

import asyncio
import gzip
import logging
import socket
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from support import new_event_loop, without_collector
from typhoon.http1connection import (
    HTTP1Connection,
    HTTP1ConnectionParameters,
    HTTP1ServerConnection,
    is_transfer_encoding_chunked,
    parse_hex_int,
    parse_int,
)
from typhoon.httputil import (
    HTTPHeaders,
    HTTPInputError,
    HTTPMessageDelegate,
    HTTPOutputError,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from typhoon.iostream import IOStream, StreamClosedError

GET = RequestStartLine("GET", "/", "")
HOST = HTTPHeaders({"Host": "a"})
OK = ResponseStartLine("", 200, "OK")


@pytest.fixture
def run(loop_kind: str) -> Callable[[Callable[[], Awaitable[Any]]], Any]:
    """Runs a coroutine function on each kind of event loop."""

    def run(main: Callable[[], Awaitable[Any]]) -> Any:
        async def bounded() -> Any:
            async with asyncio.timeout(20):
                return await main()

        with asyncio.Runner(loop_factory=lambda: new_event_loop(loop_kind)) as runner:
            return runner.run(bounded())

    return run


class Recorder(HTTPMessageDelegate):
    """Writes down what it is told; `on` has functions to call at some of it."""

    def __init__(self, **on: Callable[..., Any]) -> None:
        self.events: list[Any] = []
        self.on = on

    def tell(self, name: str, *arguments: Any) -> Any:
        self.events.append((name, *arguments))
        return self.on[name](*arguments) if name in self.on else None

    def headers_received(self, start_line: Any, headers: HTTPHeaders) -> Any:
        self.headers = headers
        return self.tell("head", start_line[1])

    def data_received(self, chunk: bytes) -> Any:
        return self.tell("data", chunk)

    def finish(self) -> None:
        self.tell("finish")

    def on_connection_close(self) -> None:
        self.tell("close")

    @property
    def names(self) -> list[str]:
        return [event[0] for event in self.events]

    @property
    def body(self) -> bytes:
        return b"".join(event[1] for event in self.events if event[0] == "data")


class Peer:
    """A client connection, and the other end of its socket."""

    def __init__(self, **params: Any) -> None:
        near, self.far = socket.socketpair()
        self.far.setblocking(False)
        self.stream = IOStream(near)
        self.connection = HTTP1Connection(self.stream, True, HTTP1ConnectionParameters(**params))

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stream.close()
        self.far.close()

    async def sent(self, size: int = 100_000) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self.far, size)

    async def ask(self, answer: bytes, *, close: bool = False, method: str = "GET") -> Recorder:
        """Send a request that gets this answer."""
        self.connection.write_headers(GET._replace(method=method), HOST)
        self.connection.finish()
        self.far.sendall(answer)
        if close:
            self.far.shutdown(socket.SHUT_WR)
        recorder = Recorder()
        self.kept = await self.connection.read_response(recorder)
        return recorder


# Clients


def test_responses_one_after_the_other(run):
    async def main() -> None:
        with Peer() as peer:
            for number in range(3):
                recorder = await peer.ask(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                assert recorder.events == [("head", 200), ("data", b"ok"), ("finish",)]
                assert peer.kept
                assert await peer.sent() == b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", number

    run(main)


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        (b"HTTP/1.1 204 X\r\n\r\n", True),
        (b"HTTP/1.1 200 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", False),
        (b"HTTP/1.0 200 X\r\nContent-Length: 0\r\n\r\n", False),
        (b"HTTP/1.0 200 X\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", True),
    ],
)
def test_whether_the_connection_stays(run, answer, kept):
    async def main() -> None:
        with Peer() as peer:
            assert (await peer.ask(answer)).names == ["head", "finish"]
            assert (peer.kept, peer.stream.closed()) == (kept, not kept)

    run(main)


def test_no_keep_alive_is_said(run):
    async def main() -> None:
        with Peer(no_keep_alive=True) as peer:
            await peer.ask(b"HTTP/1.1 204 X\r\n\r\n")
            assert not peer.kept
            assert b"\r\nConnection: close\r\n" in await peer.sent()
            assert "Connection" not in HOST

    run(main)


def test_informational_responses(run):
    async def main() -> None:
        with Peer() as peer:
            recorder = await peer.ask(
                b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 103 E\r\nLink: x\r\n\r\nHTTP/1.1 204 N\r\n\r\n"
            )
            assert recorder.events == [("head", 100), ("head", 103), ("head", 204), ("finish",)]

    run(main)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_a_body_without_a_length_goes_in_chunks(run, method):
    async def main() -> None:
        with Peer() as peer:
            connection = peer.connection
            connection.write_headers(RequestStartLine(method, "/", ""), HOST, b"ab")
            await connection.write(b"c")
            connection.finish()
            head, _, body = (await peer.sent()).partition(b"\r\n\r\n")
            assert b"Transfer-Encoding: chunked" in head
            assert body == b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"

    run(main)


def test_a_body_is_what_its_length_says(run):
    async def main() -> None:
        with Peer() as peer:
            connection = peer.connection
            headers = HTTPHeaders({"Host": "a", "Content-Length": "3"})
            connection.write_headers(GET._replace(method="POST"), headers)
            connection.write(b"ab")
            with pytest.raises(HTTPOutputError, match="more"):
                connection.write(b"cd")
            with pytest.raises(HTTPOutputError, match="less"):
                connection.finish()
            assert peer.stream.closed()
            with pytest.raises(StreamClosedError):
                await connection.write(b"c")

    run(main)


@pytest.mark.parametrize(
    ("start_line", "error"),
    [
        (OK, TypeError),
        (RequestStartLine("GET", "/a b", ""), ValueError),
        (RequestStartLine("GET", "/\r\nX: y", ""), ValueError),
        (RequestStartLine("G T", "/", ""), ValueError),
    ],
)
def test_what_is_no_request_is_not_sent(run, start_line, error):
    async def main() -> None:
        with Peer() as peer:
            with pytest.raises(error):
                peer.connection.write_headers(start_line, HOST)
            assert not peer.stream.closed()

    run(main)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"HTTP/1.1 200\x00\r\n\r\n", "status line"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"x" * 1000, "header section too large"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n", "Content-Length too long"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n66\r\n", "chunked body too large"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 101, "Body too long"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", "terminated"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "both Transfer-Encoding and Content-Length",
        ),
    ],
)
def test_hostile_servers(run, caplog, answer, message):
    async def main() -> None:
        with Peer(max_header_size=1000, max_body_size=100) as peer:
            recorder = await peer.ask(answer)
            assert recorder.names[-1] == "close"
            assert "finish" not in recorder.names
            assert (peer.kept, peer.stream.closed()) == (False, True)

    caplog.set_level(logging.INFO)
    run(main)
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("typhoon.general", "INFO")
    prefix = "Unsatisfiable read" if "section too large" in message else "Malformed HTTP message"
    assert record.getMessage().startswith(f"{prefix} from None: ")
    assert message in record.getMessage()


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * 968 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 100,
        CHUNKED + b"64\r\n" + b"x" * 100 + b"\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100,
    ],
)
def test_just_within_the_limits(run, answer):
    async def main() -> None:
        with Peer(max_header_size=1000, max_body_size=100) as peer:
            assert (await peer.ask(answer, close=True)).names[-1] == "finish"

    run(main)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 20",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ],
)
def test_truncated_responses(run, caplog, answer):
    async def main() -> None:
        with Peer() as peer:
            recorder = await peer.ask(answer, close=True)
            assert recorder.names[-1] == "close"
            assert recorder.names.count("close") == 1
            assert (peer.kept, peer.stream.closed()) == (False, True)

    run(main)
    assert not caplog.records


def test_the_body_comes_in_pieces_of_chunk_size(run):
    async def main() -> None:
        chunks = b"".join(b"%x\r\n%s\r\n" % (size, b"x" * size) for size in (1, 9, 25, 3))
        with Peer(chunk_size=10) as peer:
            recorder = await peer.ask(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
            )
            assert recorder.body == b"x" * 38
            assert max(len(event[1]) for event in recorder.events if event[0] == "data") <= 10

    run(main)


def test_the_next_piece_waits_for_the_delegate(run):
    async def main() -> None:
        at_work = 0

        async def work(*_: Any) -> None:
            nonlocal at_work
            at_work += 1
            assert at_work == 1
            await asyncio.sleep(0)
            at_work -= 1

        with Peer(chunk_size=10) as peer:
            peer.far.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 100)
            recorder = Recorder(head=work, data=work)
            assert await peer.connection.read_response(recorder)
            assert recorder.body == b"x" * 100

    run(main)


@pytest.mark.parametrize(
    ("where", "later"),
    [("head", False), ("head", True), ("data", False), ("data", True), ("finish", False)],
)
def test_delegates_that_fail(run, caplog, where, later):
    async def main() -> None:
        def fail(*_: Any) -> Any:
            if not later:
                raise ZeroDivisionError
            return fail_later()

        async def fail_later() -> None:
            await asyncio.sleep(0)
            raise ZeroDivisionError

        with Peer() as peer:
            peer.far.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
            recorder = Recorder(**{where: fail})
            assert not await peer.connection.read_response(recorder)
            assert recorder.names[-2:] == [where, "close"]
            assert peer.stream.closed()

    run(main)
    (record,) = caplog.records
    assert (record.name, record.getMessage()) == ("typhoon.application", "Uncaught exception")


@pytest.mark.parametrize("where", ["head", "data", "finish"])
def test_detaching_leaves_the_rest_on_the_stream(run, where):
    async def main() -> None:
        with Peer(chunk_size=2) as peer:
            peer.far.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcdrest")
            recorder = Recorder(**{where: lambda *_: peer.connection.detach() and None})
            assert not await peer.connection.read_response(recorder)
            assert recorder.names[-1] == where
            rest = {"head": b"abcdrest", "data": b"cdrest", "finish": b"rest"}[where]
            assert await peer.stream.read_bytes(len(rest)) == rest
            with pytest.raises(RuntimeError):
                peer.connection.detach()

    run(main)


def test_what_follows_a_response_stays_on_the_stream(run):
    async def main() -> None:
        with Peer() as peer:
            await peer.ask(b"HTTP/1.1 204 X\r\n\r\nmore")
            assert await peer.stream.read_bytes(4) == b"more"

    run(main)


@pytest.mark.parametrize(
    ("timeout", "answer", "log"),
    [
        ("header_timeout", b"", []),
        ("header_timeout", b"HTTP/1.1 200 OK\r\n", ["Timeout reading head from None"]),
        (
            "body_timeout",
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab",
            ["Timeout reading body from None"],
        ),
    ],
)
def test_slow_servers(run, caplog, timeout, answer, log):
    async def main() -> None:
        with Peer(**{timeout: 0.05}) as peer:
            assert (await peer.ask(answer)).names[-1] == "close"

    caplog.set_level(logging.INFO)
    run(main)
    assert [record.getMessage() for record in caplog.records] == log


def test_cancelling_a_read_closes(run):
    async def main() -> None:
        with Peer() as peer:
            recorder = Recorder()
            reading = asyncio.create_task(peer.connection.read_response(recorder))
            await asyncio.sleep(0)
            reading.cancel()
            await asyncio.wait([reading])
            assert reading.cancelled()
            assert (recorder.names, peer.stream.closed()) == (["close"], True)

    run(main)


def test_decompression(run):
    async def main() -> None:
        with Peer(decompress=True) as peer:
            data = gzip.compress(b"x" * 200_000)
            length = f"Content-Length: {len(data)}\r\n".encode()
            recorder = await peer.ask(
                b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n" + length + b"\r\n" + data
            )
            assert recorder.body == b"x" * 200_000
            assert "Content-Encoding" not in recorder.headers
            assert recorder.headers["X-Consumed-Content-Encoding"] == "gzip"

    run(main)


def test_a_decompression_bomb(run, caplog):
    async def main() -> None:
        with Peer(decompress=True, max_body_size=100_000) as peer:
            data = gzip.compress(b"x" * 50_000_000)
            length = f"Content-Length: {len(data)}\r\n".encode()
            recorder = await peer.ask(
                b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n" + length + b"\r\n" + data
            )
            assert recorder.names[-1] == "close"
            assert len(recorder.body) <= 100_000

    caplog.set_level(logging.INFO)
    run(main)
    assert "decompressed body too large" in caplog.text


def test_nothing_is_left_to_the_garbage_collector(run):
    async def main() -> None:
        with without_collector():
            with Peer(decompress=True) as peer:
                recorder = await peer.ask(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
                refs = [weakref.ref(recorder), weakref.ref(peer.connection)]
            del recorder, peer
            await asyncio.sleep(0)
            assert [ref() for ref in refs] == [None, None]

    run(main)


# Servers


class Served:
    """A server connection; `handle(connection, recorder)` is called with each whole request."""

    def __init__(self, handle: Callable[[HTTP1Connection, Recorder], Any], **params: Any) -> None:
        near, self.far = socket.socketpair()
        self.far.setblocking(False)
        self.closed = asyncio.Event()
        self.recorders: list[Recorder] = []
        served = self

        class Delegate(HTTPServerConnectionDelegate):
            def start_request(self, server_conn: object, request_conn: Any) -> Recorder:
                recorder = Recorder(finish=lambda: handle(request_conn, recorder))
                served.recorders.append(recorder)
                return recorder

            def on_close(self, server_conn: object) -> None:
                assert server_conn is served.server
                served.closed.set()

        self.server = HTTP1ServerConnection(IOStream(near), HTTP1ConnectionParameters(**params))
        self.server.start_serving(Delegate())

    async def __aenter__(self) -> Served:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.far.close()
        await self.server.close()
        assert self.closed.is_set()

    async def received(self) -> bytes:
        """All that comes until the server closes."""
        loop = asyncio.get_running_loop()
        data = b""
        while piece := await loop.sock_recv(self.far, 100_000):
            data += piece
        return data


def say(connection: HTTP1Connection, recorder: Recorder) -> None:
    connection.respond(200, "OK", HTTPHeaders(), [b"you said ", recorder.body])


def test_pipelined_requests(run):
    async def main() -> None:
        async with Served(say) as served:
            count = 200
            served.far.sendall(
                b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi" * count
                + b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            )
            answers = await served.received()
            assert answers.count(b"you said hi") == count
            assert answers.endswith(b"you said ")

    run(main)


def test_late_responses_keep_their_order(run):
    async def main() -> None:
        waiting: list[tuple[HTTP1Connection, Recorder]] = []
        arrived = asyncio.Event()

        def later(connection: HTTP1Connection, recorder: Recorder) -> None:
            waiting.append((connection, recorder))
            arrived.set()

        async with Served(later) as served:
            served.far.sendall(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.0\r\n\r\n")
            for _ in range(2):
                await arrived.wait()
                arrived.clear()
                ((connection, recorder),) = waiting
                waiting.clear()
                connection.respond(200, "OK", HTTPHeaders(), [recorder.events[0][1].encode()])
                with pytest.raises(HTTPOutputError, match="complete"):
                    connection.write(b"more")
            first, second = (await served.received()).split(b"HTTP/1.1 200 OK\r\n")[1:]
            assert (first[-2:], second[-2:]) == (b"/1", b"/2")

    run(main)


def test_expect_continue(run):
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with Served(say) as served:
            head = (
                b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
            )
            served.far.sendall(head)
            assert await loop.sock_recv(served.far, 1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
            served.far.sendall(b"hi")
            assert (await loop.sock_recv(served.far, 1000)).startswith(b"HTTP/1.1 200 OK\r\n")
            served.far.sendall(head + b"hi")
            assert (await loop.sock_recv(served.far, 1000)).startswith(b"HTTP/1.1 200 OK\r\n")

    run(main)


@pytest.mark.parametrize(
    ("params", "sent", "status"),
    [
        ({}, b"nonsense\r\n\r\n", 400),
        ({"max_header_size": 50}, b"GET / HTTP/1.1\r\nA: " + b"x" * 50, 431),
        ({"max_body_size": 4}, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", 413),
        ({"header_timeout": 0.05}, b"GET / HTTP/1.1\r\n", 408),
        ({"body_timeout": 0.05}, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\na", 408),
        (
            {"decompress": True},
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nab",
            400,
        ),
    ],
)
def test_what_hostile_clients_get(run, params, sent, status):
    async def main() -> None:
        async with Served(say, **params) as served:
            served.far.sendall(sent)
            assert (await served.received()).startswith(b"HTTP/1.1 %d " % status)
            assert all(r.names[-1] == "close" for r in served.recorders)

    run(main)


def test_an_idle_connection_is_closed_silently(run):
    async def main() -> None:
        async with Served(say, header_timeout=0.05) as served:
            assert await served.received() == b""

    run(main)


def test_a_client_that_goes_while_its_response_is_made(run):
    async def main() -> None:
        gone = asyncio.Event()
        arrived = asyncio.Event()
        connections: list[HTTP1Connection] = []

        def never(connection: HTTP1Connection, recorder: Recorder) -> None:
            connection.set_close_callback(gone.set)
            connections.append(connection)
            arrived.set()

        async with Served(never) as served:
            served.far.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await arrived.wait()
            served.far.close()
            await gone.wait()
            await served.closed.wait()
            with pytest.raises(StreamClosedError):
                await connections[0].write_headers(OK, HTTPHeaders())
            assert served.recorders[0].names == ["head", "finish"]

    run(main)


def test_an_answer_before_the_body(run):
    async def main() -> None:
        near, far = socket.socketpair()
        far.settimeout(20)

        class Early(HTTPServerConnectionDelegate):
            def start_request(self, server_conn: object, request_conn: Any) -> Recorder:
                return Recorder(
                    head=lambda _: request_conn.respond(403, "No", HTTPHeaders(), [b"no"])
                )

        server = HTTP1ServerConnection(IOStream(near))
        server.start_serving(Early())
        with far:
            far.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nxxx")
            loop = asyncio.get_running_loop()
            answer = await loop.run_in_executor(None, far.recv, 1000)
            assert b"\r\nConnection: close\r\n" in answer
            assert answer.endswith(b"no")
            # It may go on sending: that does not destroy the answer.
            far.sendall(b"x" * 1000)
        await server.close()

    run(main)


def test_a_server_connection_serves_once(run):
    async def main() -> None:
        async with Served(say) as served:
            with pytest.raises(RuntimeError):
                served.server.start_serving(HTTPServerConnectionDelegate())

    run(main)


# Numbers


@pytest.mark.parametrize("text", ["", "+1", "-1", " 1", "1 ", "1_0", "0x1", "\u0661", "1\n"])
def test_what_is_no_number(text):
    for parse in (parse_int, parse_hex_int):
        with pytest.raises(ValueError, match="number"):
            parse(text)


def test_numbers():
    assert (parse_int("0010"), parse_hex_int("fF0")) == (10, 0xFF0)


def test_is_transfer_encoding_chunked():
    assert is_transfer_encoding_chunked(HTTPHeaders({"Transfer-Encoding": "Chunked"}))
    assert not is_transfer_encoding_chunked(HTTPHeaders({"Content-Length": "1"}))
    for fields in (
        {"Transfer-Encoding": "chunked", "Content-Length": "1"},
        {"Transfer-Encoding": "gzip, chunked"},
        {"Transfer-Encoding": ""},
    ):
        with pytest.raises(HTTPInputError):
            is_transfer_encoding_chunked(HTTPHeaders(fields))
