"""`@stream_request_body`: bodies in pieces."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import subprocess
import sys
import threading
import zlib
from typing import Any

import pytest

from typhoon.web import Application, HTTPError, RequestHandler, stream_request_body


@stream_request_body
class Stream(RequestHandler):
    """Notes the order of its calls."""

    def initialize(self, calls: list[Any]) -> None:
        self.calls = calls

    def prepare(self) -> Any:
        self.calls.append("prepare")

    def data_received(self, chunk: bytes) -> Any:
        self.calls.append(chunk)

    def post(self) -> Any:
        self.calls.append("post")
        self.write(b"".join(call for call in self.calls if isinstance(call, bytes)))

    get = put = post

    def on_finish(self) -> None:
        self.calls.append("on_finish")

    def on_connection_close(self) -> None:
        self.calls.append("close")


@pytest.fixture
def stream(serve, loop_kind):
    """`stream(handler, …)` serves it: the server and the list of calls."""

    def start(handler: type[RequestHandler], **options: Any) -> tuple[Any, list[Any]]:
        calls: list[Any] = []
        app = Application([("/", handler, {"calls": calls})])
        return serve(app, loop_kind=loop_kind, **options), calls

    return start


HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"


def assert_no_task_is_left(server) -> None:
    async def settle() -> None:
        tasks = server.http_server.request_callback._tasks
        while tasks:
            await asyncio.wait(tasks)

    server.call(settle)


def test_calls_come_in_order_while_the_body_comes(stream):
    received = threading.Event()

    class Handler(Stream):
        def data_received(self, chunk: bytes) -> None:
            super().data_received(chunk)
            received.set()

    server, calls = stream(Handler)
    client = server.connect()
    client.send(HEAD % 6 + b"abc")
    assert received.wait(20)
    assert calls == ["prepare", b"abc"]
    client.send(b"def")
    assert client.response().body == b"abcdef"
    server.call()
    assert calls == ["prepare", b"abc", b"def", "post", "on_finish"]
    assert_no_task_is_left(server)


def test_requests_follow_each_other_on_a_connection(stream):
    server, calls = stream(Stream)
    client = server.connect()
    for _ in range(3):
        calls.clear()
        assert client.post("/", b"body").body == b"body"
    calls.clear()
    client.send((HEAD % 1 + b"x") * 3)
    assert [len(client.response().body) for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_without_a_body(stream, method):
    server, calls = stream(Stream)
    client = server.connect()
    for _ in range(2):
        calls.clear()
        answer = client.request(method, "/", body=b"" if method == "POST" else None)
        assert (answer.status, answer.body) == (200, b"")
        server.call()
        assert calls == ["prepare", "post", "on_finish"]


def test_a_chunked_body(stream):
    server, calls = stream(Stream)
    client = server.connect()
    client.send(
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )
    assert client.response().body == b"abcde"
    assert calls[:3] == ["prepare", b"abc", b"de"]


def test_the_body_waits_for_an_async_prepare(stream):
    class Handler(Stream):
        async def prepare(self) -> None:
            for _ in range(5):
                await asyncio.sleep(0)
            super().prepare()

    server, calls = stream(Handler)
    answer = server.post("/", b"body")
    assert answer.body == b"body"
    assert calls[:2] == ["prepare", b"body"]


def test_a_piece_waits_for_the_one_before(stream):
    size = 4 << 20

    class Handler(Stream):
        running = False

        async def data_received(self, chunk: bytes) -> None:
            assert not self.running
            self.running = True
            await asyncio.sleep(0)
            self.running = False
            super().data_received(chunk)

    server, calls = stream(Handler, chunk_size=100_000)
    assert server.post("/", b"x" * size).body == b"x" * size
    pieces = [call for call in calls if isinstance(call, bytes)]
    assert sum(map(len, pieces)) == size
    assert max(map(len, pieces)) <= 100_000


def test_the_client_has_to_wait_for_slow_handlers(stream):
    release = threading.Event()

    class Handler(Stream):
        async def data_received(self, chunk: bytes) -> None:
            if not release.is_set():
                await asyncio.to_thread(release.wait, 20)
            self.calls.append(len(chunk))

        def post(self) -> None:
            self.write(str(sum(call for call in self.calls if isinstance(call, int))))

    server, _ = stream(Handler)
    client = server.connect()
    size = 64 << 20
    client.send(HEAD % size)
    client.socket.settimeout(0.5)
    sent = 0
    with contextlib.suppress(TimeoutError):
        while sent < size:
            sent += client.socket.send(b"x" * min(size - sent, 1 << 16))
    assert sent < size, "the server took in everything"
    client.socket.settimeout(20)
    release.set()
    client.send(b"x" * (size - sent))
    assert client.response().body == str(size).encode()


@pytest.mark.parametrize("body", [b"a", b"a" * 5, b"a" * 100_000])
@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("how", ["raise", "send_error", "finish"])
def test_prepare_can_end_the_request_before_its_body(stream, kind, how, body):
    class Handler(Stream):
        def prepare(self) -> Any:
            super().prepare()
            if kind == "sync":
                return self.act()

            async def later() -> None:
                await asyncio.sleep(0)
                self.act()

            return later()

        def act(self) -> None:
            match how:
                case "raise":
                    raise HTTPError(403)
                case "send_error":
                    self.send_error(403)
                case "finish":
                    self.set_status(403)
                    self.finish()

    server, calls = stream(Handler)
    client = server.connect()
    client.send(HEAD % len(body) + body[:5])
    assert client.response().status == 403
    if len(body) > 5:
        # Not all of it had come: the connection cannot go on.
        assert client.is_closed()
    server.call()
    assert calls == ["prepare", "on_finish"]
    assert_no_task_is_left(server)


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("how", ["raise", "send_error", "finish", "bug"])
def test_data_received_can_end_the_request(stream, kind, how, caplog):
    class Handler(Stream):
        def data_received(self, chunk: bytes) -> Any:
            super().data_received(chunk)
            if kind == "sync":
                return self.act()

            async def later() -> None:
                await asyncio.sleep(0)
                self.act()

            return later()

        def act(self) -> None:
            match how:
                case "raise":
                    raise HTTPError(422)
                case "send_error":
                    self.send_error(422)
                case "finish":
                    self.set_status(422)
                    self.finish()
                case "bug":
                    raise ValueError("a bug")

    server, calls = stream(Handler)
    client = server.connect()
    client.send(HEAD % 100_000 + b"abc")
    assert client.response().status == (500 if how == "bug" else 422)
    assert client.is_closed()
    server.call()
    assert calls == ["prepare", b"abc", "on_finish"]
    assert_no_task_is_left(server)
    assert ("a bug" in caplog.text) == (how == "bug")


@pytest.mark.parametrize(("size", "status"), [(100, 200), (101, 413)])
def test_the_limit_of_the_server(stream, size, status):
    server, _calls = stream(Stream, max_body_size=100)
    assert server.post("/", b"x" * size).status == status
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (size, b"x" * size)
    answer = server.post("/", chunked, {"Transfer-Encoding": "chunked"})
    assert answer.status == status
    assert_no_task_is_left(server)


class Larger(Stream):
    def prepare(self) -> None:
        super().prepare()
        self.request.connection.set_max_body_size(1000)


@pytest.mark.parametrize(("size", "status"), [(1000, 200), (1001, 413)])
def test_set_max_body_size_in_prepare(stream, size, status):
    server, _calls = stream(Larger, max_body_size=10)
    client = server.connect()
    assert client.post("/", b"x" * size).status == status
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (size, b"x" * size)
    answer = server.post("/", chunked, {"Transfer-Encoding": "chunked"})
    assert answer.status == status
    assert_no_task_is_left(server)


def test_set_max_body_size_is_for_one_request(serve):
    class Whole(RequestHandler):
        def post(self) -> None:
            self.write(self.request.body)

    app = Application([("/", Larger, {"calls": []}), ("/whole", Whole)])
    client = serve(app, max_body_size=10).connect()
    assert client.post("/", b"x" * 1000).status == 200
    assert client.post("/whole", b"x" * 10).status == 200
    assert client.post("/whole", b"x" * 11).status == 413


def test_set_body_timeout_in_prepare(stream):
    class Handler(Stream):
        def prepare(self) -> None:
            super().prepare()
            self.request.connection.set_body_timeout(0.05)

    server, calls = stream(Handler)
    client = server.connect()
    client.send(HEAD % 10 + b"abc")
    assert client.response().status == 408
    assert client.is_closed()
    server.call()
    assert_no_task_is_left(server)
    assert calls[:3] == ["prepare", b"abc", "close"]
    assert server.post("/", b"in time").status == 200


@pytest.mark.parametrize("sent", [b"", b"abc"])
def test_a_client_that_vanishes_in_the_middle_of_its_body(stream, sent, caplog):
    prepared, closed = threading.Event(), threading.Event()

    class Handler(Stream):
        def prepare(self) -> None:
            super().prepare()
            prepared.set()

        def on_connection_close(self) -> None:
            super().on_connection_close()
            closed.set()

    server, calls = stream(Handler)
    client = server.connect()
    client.send(HEAD % 10 + sent)
    assert prepared.wait(20)
    client.close()
    assert closed.wait(20)
    server.call()
    assert_no_task_is_left(server)
    assert calls == ["prepare", *([sent] if sent else []), "close"]
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_client_that_vanishes_while_a_piece_is_worked_on(stream):
    working, closed = threading.Event(), threading.Event()

    class Handler(Stream):
        async def data_received(self, chunk: bytes) -> None:
            super().data_received(chunk)
            working.set()
            await asyncio.to_thread(closed.wait, 20)

        def on_connection_close(self) -> None:
            super().on_connection_close()
            closed.set()

    server, calls = stream(Handler)
    client = server.connect()
    client.send(HEAD % 10 + b"abc")
    assert working.wait(20)
    client.close()
    assert closed.wait(20)
    assert_no_task_is_left(server)
    assert calls == ["prepare", b"abc", "close"]


def test_expect_100_continue(stream):
    server, _ = stream(Stream)
    client = server.connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
    assert client.response().status == 100
    client.send(b"body")
    assert client.response().body == b"body"


def test_the_body_of_the_request_stays_empty(stream):
    class Handler(Stream):
        def post(self) -> None:
            assert self.request.body == b""
            assert self.request.body_arguments == {}
            self.write("ok")

    server, _ = stream(Handler)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert server.post("/", b"a=1", form).text == "ok"


def test_through_a_router(serve):
    calls: list[Any] = []
    app = Application([("/.*", Stream, {"calls": calls})])
    outer = Application([("/in/.*", app)])
    client = serve(outer).connect()
    assert client.post("/in/x", b"body").body == b"body"
    assert client.get("/in/x").status == 200
    assert calls[:2] == ["prepare", b"body"]


def test_data_received_has_to_be_defined(serve):
    @stream_request_body
    class Handler(RequestHandler):
        def post(self) -> None:
            pass

    assert serve(Application([("/", Handler)])).post("/", b"x").status == 500


def test_only_for_handlers():
    with pytest.raises(TypeError, match="RequestHandler"):
        stream_request_body(int)  # type: ignore[type-var]


def test_trailers_are_checked_and_dropped(stream):
    server, calls = stream(Stream)
    client = server.connect()
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-A\r\n\r\n"
    for _ in range(2):
        calls.clear()
        client.send(head + b"3\r\nabc\r\n0\r\nX-A: 1\r\nContent-Length: 9\r\n\r\n")
        assert client.response().body == b"abc"
        assert calls[:3] == ["prepare", b"abc", "post"]
    calls.clear()
    client.send(head + b"3\r\nabc\r\n0\r\nX-A : 1\r\n\r\n")
    assert client.response().status == 400
    assert client.is_closed()
    server.call()
    assert "post" not in calls
    assert_no_task_is_left(server)


UPLOAD_SERVER = """
import asyncio, resource, zlib
from typhoon.web import Application, RequestHandler, stream_request_body

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

@stream_request_body
class Upload(RequestHandler):
    def prepare(self):
        self.request.connection.set_max_body_size(1 << 40)
        self.count = self.checksum = 0
        self.peak = peak()

    async def data_received(self, chunk):
        self.count += len(chunk)
        self.checksum = zlib.crc32(chunk, self.checksum)
        await asyncio.sleep(0)

    def put(self):
        self.write({"count": self.count, "crc": self.checksum, "growth": peak() - self.peak})

async def main():
    server = Application([("/", Upload)]).listen(0, "127.0.0.1")
    (sock,) = server._sockets.values()
    print(sock.getsockname()[1], flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize(("size", "chunked"), [(1 << 30, False), (1 << 28, True)])
def test_a_large_body_in_bounded_memory(size, chunked):
    block = bytes(1 << 20)
    count = size // len(block)
    command = [sys.executable, "-c", UPLOAD_SERVER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            headers = {} if chunked else {"Content-Length": str(size)}
            client.request(
                "PUT", "/", (block for _ in range(count)), headers, encode_chunked=chunked
            )
            result = json.loads(client.getresponse().read())
            client.close()
        finally:
            process.kill()
    assert result["count"] == size
    checksum = 0
    for _ in range(count):
        checksum = zlib.crc32(block, checksum)
    assert result["crc"] == checksum
    assert result["growth"] < 8 * 1024, "KiB"
