"""Clients that are slow, rude or gone: nothing leaks, and nobody else waits for them."""

import asyncio
import contextlib
import gc
import os
import resource
import socket
import struct
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support import TIMEOUT, Client, Server, running_server
from typhoon.web import Application, RequestHandler, stream_request_body

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Echo(RequestHandler):
    """Says which request it was and what came with it."""

    def get(self) -> None:
        self.write(self.request.uri)

    def post(self) -> None:
        self.write(self.request.body)


class Gate(RequestHandler):
    """Answers once the test opens the gate; the test can wait until it is reached."""

    def initialize(self, gate: "GateKeeper") -> None:
        self.gate = gate

    async def get(self) -> None:
        self.gate.reached.release()
        await asyncio.get_running_loop().run_in_executor(None, self.gate.open.wait, TIMEOUT)
        self.write("through")

    def on_connection_close(self) -> None:
        self.gate.closed.release()


class GateKeeper:
    def __init__(self) -> None:
        self.reached = threading.Semaphore(0)
        self.closed = threading.Semaphore(0)
        self.open = threading.Event()


@pytest.fixture
def gate() -> Iterator[GateKeeper]:
    keeper = GateKeeper()
    yield keeper
    keeper.open.set()


Start = Callable[..., Server]


@pytest.fixture
def start(loop_kind: str, gate: GateKeeper) -> Iterator[Start]:
    """Start a server on each kind of event loop: `/` echoes, `/gate` waits, others as given."""
    with contextlib.ExitStack() as stack:

        def start(rules: list[Any] | None = None, **options: Any) -> Server:
            rules = [*(rules or []), ("/gate", Gate, {"gate": gate}), ("/.*", Echo)]
            return stack.enter_context(running_server(Application(rules), loop_kind, **options))

        yield start


def eventually(condition: Callable[[], bool]) -> None:
    """Wait for something that no event tells of."""
    tries = threading.Event()
    for _ in range(int(TIMEOUT * 100)):
        if condition():
            return
        tries.wait(0.01)
    pytest.fail("it did not happen")


def reset(client: Client) -> None:
    """Close the connection as a crash does."""
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def connections(server: Server) -> int:
    return server.call(lambda: len(server.http_server._connections))


# Slow clients.


def test_a_head_and_body_that_drip_in(start: Start) -> None:
    client = start().connect()
    client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello":
        client.send(bytes([byte]))
    assert client.response().text == "hello"


def test_header_timeout(start: Start) -> None:
    client = start(header_timeout=0.2).connect()
    client.send(GET[:-2])
    assert client.response().status == 408
    assert client.is_closed()


def test_header_timeout_is_a_deadline(start: Start) -> None:
    """A byte now and then does not keep a slow request alive."""
    client = start(header_timeout=0.3).connect()
    client.send(GET[:-2] + b"X-Long: ")
    client.socket.settimeout(0.02)
    answer = b""
    for _ in range(int(TIMEOUT / 0.02)):
        with contextlib.suppress(TimeoutError):
            answer = client.socket.recv(1000)
            break
        client.send(b"x")
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_head_within_the_timeout_after_a_first_request(start: Start) -> None:
    """The deadline of one head is not that of the next."""
    client = start(header_timeout=TIMEOUT).connect()
    client.send(GET + GET[:10])
    assert client.response().text == "/"
    client.send(GET[10:])
    assert client.response().text == "/"


def test_body_timeout(start: Start) -> None:
    client = start(body_timeout=0.2).connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel")
    assert client.response().status == 408
    assert client.is_closed()


def test_idle_connection_timeout(start: Start) -> None:
    server = start(idle_connection_timeout=0.2)
    fresh, used = server.connect(), server.connect()
    assert used.get("/").status == 200
    assert fresh.is_closed()
    assert used.is_closed()


def test_a_handler_may_take_longer_than_any_timeout(start: Start, gate: GateKeeper) -> None:
    server = start(idle_connection_timeout=0.1, header_timeout=0.1, body_timeout=0.1)
    client, idle = server.connect(), server.connect()
    client.send(GET.replace(b"/ ", b"/gate "))
    assert gate.reached.acquire(timeout=TIMEOUT)
    assert idle.is_closed()
    gate.open.set()
    assert client.response().text == "through"


# Clients that close.


def test_a_half_closed_client_gets_its_response(start: Start) -> None:
    client = start().connect()
    client.send(GET)
    client.socket.shutdown(socket.SHUT_WR)
    assert client.response().text == "/"
    assert client.is_closed()


def test_a_half_closed_client_gets_a_late_response(start: Start, gate: GateKeeper) -> None:
    client = start().connect()
    client.send(GET.replace(b"/ ", b"/gate "))
    assert gate.reached.acquire(timeout=TIMEOUT)
    client.socket.shutdown(socket.SHUT_WR)
    assert gate.closed.acquire(timeout=TIMEOUT)
    gate.open.set()
    assert client.response().text == "through"
    assert client.is_closed()


def test_a_half_closed_client_gets_all_pipelined_responses(start: Start) -> None:
    client = start().connect()
    client.send(GET * 100)
    client.socket.shutdown(socket.SHUT_WR)
    for _ in range(100):
        assert client.response().text == "/"
    assert client.is_closed()


def test_a_half_closed_client_gets_responses_behind_a_late_one(
    start: Start, gate: GateKeeper
) -> None:
    client = start().connect()
    client.send(GET.replace(b"/ ", b"/gate ") + GET + GET)
    assert gate.reached.acquire(timeout=TIMEOUT)
    client.socket.shutdown(socket.SHUT_WR)
    assert gate.closed.acquire(timeout=TIMEOUT)
    gate.open.set()
    assert [client.response().text for _ in range(3)] == ["through", "/", "/"]
    assert client.is_closed()


def test_a_half_closed_client_gets_responses_that_it_reads_late(start: Start) -> None:
    class Big(RequestHandler):
        def get(self) -> None:
            self.write(b"x" * (1 << 20))

    client = start([("/big", Big)]).connect()
    client.send(GET.replace(b"/ ", b"/big ") * 50)
    client.socket.shutdown(socket.SHUT_WR)
    for _ in range(50):
        assert len(client.response().body) == 1 << 20
    assert client.is_closed()


@pytest.mark.parametrize("whole", [True, False])
def test_a_half_closed_client_whose_body_is_taken_in_slowly(start: Start, whole: bool) -> None:
    closed: list[int] = []

    @stream_request_body
    class Slow(RequestHandler):
        received = 0

        async def data_received(self, chunk: bytes) -> None:
            self.received += len(chunk)
            for _ in range(10):
                await asyncio.sleep(0)

        def post(self) -> None:
            self.write(str(self.received))

        def on_connection_close(self) -> None:
            closed.append(self.received)

    server = start([("/slow", Slow)], chunk_size=1000)
    client = server.connect()
    body = b"x" * (200_000 if whole else 199_999)
    client.send(b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + body)
    client.socket.shutdown(socket.SHUT_WR)
    if whole:
        assert client.response().text == "200000"
        assert client.is_closed()
    else:
        assert client.is_closed()
        eventually(lambda: connections(server) == 0)
        assert closed == [199_999]


def test_a_client_that_resets_while_it_waits(start: Start, gate: GateKeeper) -> None:
    server = start()
    client = server.connect()
    client.send(GET.replace(b"/ ", b"/gate "))
    assert gate.reached.acquire(timeout=TIMEOUT)
    reset(client)
    assert gate.closed.acquire(timeout=TIMEOUT)
    gate.open.set()
    assert server.get("/next").text == "/next"
    eventually(lambda: connections(server) == 0)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("leave", [reset, Client.close], ids=["reset", "close"])
def test_a_client_that_goes_in_its_body(
    start: Start, streamed: bool, leave: Callable[[Client], None]
) -> None:
    arrived, closed = threading.Event(), threading.Semaphore(0)

    @stream_request_body
    class Streamed(RequestHandler):
        def data_received(self, chunk: bytes) -> None:
            arrived.set()

        def post(self) -> None:
            pytest.fail("the body is not complete")

        def on_connection_close(self) -> None:
            closed.release()

    server = start([("/streamed", Streamed)])
    client = server.connect()
    target = b"/streamed" if streamed else b"/"
    client.send(b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\nhel" % target)
    if streamed:
        assert arrived.wait(TIMEOUT)
    else:
        eventually(
            lambda: server.call(lambda: any(c.is_busy for c in server.http_server._connections))
        )
    leave(client)
    if streamed:
        assert closed.acquire(timeout=TIMEOUT)
    eventually(lambda: connections(server) == 0)
    assert server.get("/").status == 200
    assert not closed.acquire(blocking=False), "told twice"


# Clients that do not read.


def test_a_client_that_never_reads_holds_up_its_own_response_only(start: Start) -> None:
    written, waiting = [], threading.Event()
    chunk = b"x" * (1 << 20)

    class Big(RequestHandler):
        async def get(self) -> None:
            for number in range(200):
                self.write(chunk)
                flushed = self.flush()
                if not flushed.done():
                    waiting.set()
                await flushed
                written.append(number)

    server = start([("/big", Big)])
    client = server.connect()
    client.send(GET.replace(b"/ ", b"/big "))
    assert waiting.wait(TIMEOUT)
    assert server.get("/").status == 200
    (transport,) = server.call(
        lambda: [c.transport for c in server.http_server._connections if c.is_busy]
    )
    assert server.call(transport.get_write_buffer_size) < 4 * len(chunk)
    assert len(written) < 100
    reset(client)
    eventually(lambda: connections(server) == 0)


def test_a_server_can_stop_while_a_client_does_not_read(start: Start) -> None:
    body = b"x" * (32 << 20)

    class Big(RequestHandler):
        def get(self) -> None:
            self.write(body)

    server = start([("/big", Big)], idle_connection_timeout=0.5)
    client = server.connect()
    client.send(GET.replace(b"/ ", b"/big "))
    client.read_until(b"\r\n\r\n")
    eventually(lambda: connections(server) == 0)


def test_close_all_connections_does_not_wait_for_a_client_that_does_not_read(
    start: Start,
) -> None:
    class Big(RequestHandler):
        def get(self) -> None:
            self.write(b"x" * (32 << 20))

    server = start([("/big", Big)])
    client = server.connect()
    client.send(GET.replace(b"/ ", b"/big "))
    client.read_until(b"\r\n\r\n")
    server.call(server.http_server.stop)
    server.call(asyncio.wait_for, server.http_server.close_all_connections(), 5)
    assert connections(server) == 0


def test_responses_to_pipelined_requests_do_not_pile_up(start: Start) -> None:
    """Requests wait while the client does not read the responses to earlier ones."""
    answered = []

    class Big(RequestHandler):
        def get(self) -> None:
            answered.append(self)
            self.write(b"x" * (1 << 20))

    server = start([("/big", Big)])
    client = server.connect()
    client.send(GET.replace(b"/ ", b"/big ") * 200)
    client.read_until(b"\r\n\r\n")
    assert server.get("/").status == 200
    assert len(answered) < 50
    for _ in range(200 - 1):
        client.read_exactly(1 << 20)
        client.read_until(b"\r\n\r\n")
    assert len(answered) == 200


# Pipelining.


def test_a_thousand_pipelined_requests(start: Start) -> None:
    client = start().connect()
    client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % n for n in range(1000)))
    for number in range(1000):
        assert client.response().text == f"/{number}"


def test_pipelined_behind_a_handler_that_waits(start: Start, gate: GateKeeper) -> None:
    client = start().connect()
    client.send(GET.replace(b"/ ", b"/gate ") + GET + GET.replace(b"/ ", b"/last "))
    assert gate.reached.acquire(timeout=TIMEOUT)
    gate.open.set()
    assert [client.response().text for _ in range(3)] == ["through", "/", "/last"]


def test_much_input_behind_a_handler_that_waits_is_not_read(start: Start, gate: GateKeeper) -> None:
    client = start().connect()
    client.send(GET.replace(b"/ ", b"/gate "))
    assert gate.reached.acquire(timeout=TIMEOUT)
    sent = 0
    client.socket.settimeout(0.3)
    with contextlib.suppress(TimeoutError):
        while sent < 1 << 26:
            sent += client.socket.send(GET * 10_000)
    assert sent < 1 << 26, "the server took in everything"
    client.socket.settimeout(TIMEOUT)
    gate.open.set()
    assert client.response().text == "through"
    assert client.response().text == "/"


@pytest.mark.parametrize("count", [10, 5000])
def test_offers_to_upgrade_that_nobody_takes(start: Start, count: int) -> None:
    request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
    client = start().connect()
    sender = threading.Thread(target=client.send, args=(request * count,))
    sender.start()
    for _ in range(count):
        assert client.response().text == "/"
    sender.join()


# Expect: 100-continue (RFC 9110 §10.1.1).

EXPECT = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"


def test_continue_when_the_body_is_wanted(start: Start) -> None:
    client = start().connect()
    client.send(EXPECT % 5)
    assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"hello")
    assert client.response().text == "hello"


@pytest.mark.parametrize("body", [b"hello", b"h", b""])
def test_no_continue_when_the_body_is_there_or_empty(start: Start, body: bytes) -> None:
    client = start().connect()
    client.send(EXPECT % (5 if body else 0) + body)
    if body == b"h":
        client.send(b"ello")
    assert client.response().status == 200


def test_no_continue_for_a_body_over_the_limit(start: Start) -> None:
    client = start(max_body_size=4).connect()
    client.send(EXPECT % 5)
    assert client.response().status == 413
    assert client.is_closed()


def test_no_continue_when_the_handler_refuses(start: Start) -> None:
    @stream_request_body
    class Refuses(RequestHandler):
        def prepare(self) -> None:
            self.send_error(403)

        def post(self) -> None:
            pytest.fail("it was refused")

    client = start([("/refuses", Refuses)]).connect()
    client.send((EXPECT % 5).replace(b"/ ", b"/refuses ", 1))
    assert client.response().status == 403
    assert client.is_closed()


# Limits.


def test_a_client_that_is_still_sending_reads_its_413(start: Start) -> None:
    client = start(max_body_size=1000).connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        for _ in range(1000):
            client.send(b"x" * 10_000)
    assert client.response().status == 413
    assert client.is_closed()


def test_a_chunked_body_over_the_limit(start: Start) -> None:
    client = start(max_body_size=1000).connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        for _ in range(1000):
            client.send(b"3e8\r\n" + b"x" * 1000 + b"\r\n")
    assert client.response().status == 413
    assert client.is_closed()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 20_000, 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 1_000_000, 431),
        (b"GET /" + b"x" * 1_000_000, 414),
    ],
    ids=["fields", "field", "target"],
)
def test_a_client_that_is_still_sending_its_head(start: Start, data: bytes, status: int) -> None:
    client = start().connect()
    with contextlib.suppress(ConnectionError):
        client.send(data)
    assert client.response().status == status
    assert client.is_closed()


# Ends of connections and of messages.


@pytest.mark.parametrize(
    ("version", "connection", "stays"),
    [
        ("1.1", None, True),
        ("1.1", "close", False),
        ("1.0", None, False),
        ("1.0", "keep-alive", True),
    ],
)
def test_keep_alive(start: Start, version: str, connection: str | None, stays: bool) -> None:
    client = start().connect()
    line = f"Connection: {connection}\r\n" if connection else ""
    client.send(f"GET / HTTP/{version}\r\nHost: a\r\n{line}\r\n".encode())
    response = client.response()
    assert response.text == "/"
    if stays:
        assert response.header("Connection") == ("Keep-Alive" if version == "1.0" else None)
        assert client.get("/again").text == "/again"
    else:
        # HTTP/1.0 closes unless both sides say otherwise.
        assert response.header("Connection") == ("close" if version == "1.1" else None)
        assert client.is_closed()


def test_no_keep_alive(start: Start) -> None:
    client = start(no_keep_alive=True).connect()
    client.send(GET + GET)
    response = client.response()
    assert response.header("Connection") == "close"
    assert client.is_closed()


@pytest.mark.parametrize("status", [204, 304])
def test_responses_without_a_body(start: Start, status: int) -> None:
    class Empty(RequestHandler):
        def get(self) -> None:
            self.set_status(status)

    client = start([("/empty", Empty)]).connect()
    client.send(GET.replace(b"/ ", b"/empty ") + GET)
    response = client.response()
    assert response.status == status
    assert response.header("Content-Length") is None
    assert response.header("Transfer-Encoding") is None
    assert client.response().text == "/"


def test_head_has_a_length_and_no_body(start: Start) -> None:
    class Heads(Echo):
        head = Echo.get

    client = start([("/heads", Heads)]).connect()
    response = client.request("HEAD", "/heads")
    assert (response.header("Content-Length"), response.body) == ("6", b"")
    assert client.get("/next").text == "/next"


def test_a_handler_may_write_chunks_itself(start: Start) -> None:
    class Chunks(RequestHandler):
        def get(self) -> None:
            self.set_header("Transfer-Encoding", "chunked")
            self.write(b"2\r\nhi\r\n0\r\n\r\n")

    response = start([("/chunks", Chunks)]).get("/chunks")
    assert (response.status, response.body) == (200, b"hi")


# Many.


def test_thousands_of_idle_connections_leave_nothing_behind(start: Start) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = 2000
    # Both ends are in this process.
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 2 * count + 500)), hard))
    try:
        server = start()
        assert server.get("/").status == 200
        eventually(lambda: connections(server) == 0)
        descriptors = len(os.listdir("/proc/self/fd"))
        clients = [server.connect() for _ in range(count)]
        for client in clients:
            client.send(GET)
        for client in clients:
            assert client.response().status == 200
        assert connections(server) == count
        alive = server.call(lambda: [weakref.ref(c) for c in server.http_server._connections])
        for index, client in enumerate(clients):
            reset(client) if index % 2 else client.close()
        eventually(lambda: connections(server) == 0)
        server.call(asyncio.sleep, 0)
        gc.collect()
        assert not [ref for ref in alive if ref() is not None]
        assert len(os.listdir("/proc/self/fd")) <= descriptors
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
