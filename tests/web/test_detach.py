"""`RequestHandler.detach`: a connection that goes on as something else."""

from __future__ import annotations

import asyncio
import ssl
import threading
from typing import Any

import pytest
import trustme

from support import StreamServer
from typhoon.httpserver import HTTPServer
from typhoon.iostream import IOStream, StreamClosedError
from typhoon.web import Application, RequestHandler, stream_request_body

UPGRADE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: lines\r\n\r\n"


class Lines(RequestHandler):
    """Echoes lines until an empty one."""

    calls: list[str] = []

    async def get(self) -> None:
        self.set_status(101)
        self.clear_header("Content-Type")
        self.set_header("Connection", "Upgrade")
        self.set_header("Upgrade", "lines")
        await self.flush()
        stream = self.detach()
        assert isinstance(stream, IOStream)
        try:
            while (line := await stream.read_until(b"\n", max_bytes=1000)) != b"\n":
                await stream.write(line.upper())
        except StreamClosedError:
            self.calls.append("closed")
        finally:
            stream.close()

    post = get

    def on_finish(self) -> None:
        self.calls.append("finish")

    def on_connection_close(self) -> None:
        self.calls.append("connection_close")


@pytest.fixture
def lines(serve, loop_kind):
    """`lines(handler_class, **options)` serves it."""

    def start(handler: type[RequestHandler] = Lines, **options: Any) -> Any:
        handler.calls = []  # type: ignore[attr-defined]
        app = Application([("/", handler)])
        server = serve(app, loop_kind=loop_kind, **options)
        server.app = app
        return server

    return start


@pytest.mark.parametrize("kind", ["transport", "stream"])
def test_lines(lines, kind):
    server = lines(**({"server_class": StreamServer} if kind == "stream" else {}))
    client = server.connect()
    # The first line comes together with the request: it must not be lost.
    client.send(UPGRADE + b"first\n")
    answer = client.response()
    assert (answer.status, answer.header("Upgrade")) == (101, "lines")
    assert client.read_until(b"\n") == b"FIRST\n"
    client.send(b"second\n")
    assert client.read_until(b"\n") == b"SECOND\n"
    client.send(b"\n")
    assert client.is_closed()
    server.call()
    assert not server.app._tasks
    assert Lines.calls == []


def test_over_tls(lines):
    authority = trustme.CA()
    own, theirs = (
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
    )
    authority.issue_cert("localhost").configure_cert(own)
    authority.configure_trust(theirs)
    client = lines(ssl_options=own).connect(theirs)
    client.send(UPGRADE + b"first\n")
    assert client.response().status == 101
    assert client.read_until(b"\n") == b"FIRST\n"
    client.send(b"\n")
    assert client.is_closed()


def test_a_client_that_goes(lines):
    server = lines()
    client = server.connect()
    client.send(UPGRADE)
    assert client.response().status == 101
    client.close()

    async def settle() -> None:
        while server.app._tasks:
            await asyncio.wait(set(server.app._tasks))

    server.call(settle)
    assert Lines.calls == ["closed"]


def test_with_a_body(lines):
    client = lines().connect()
    client.send(
        UPGRADE.replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\nContent-Length: 3\r\n\r\n")
    )
    client.send(b"abcline\n")
    assert client.response().status == 101
    assert client.read_until(b"\n") == b"LINE\n"


def test_the_response_is_the_handlers_own(lines):
    class Raw(RequestHandler):
        def get(self) -> None:
            self.stream = self.detach()
            self.stream.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nraw")
            self.stream.close()

    client = lines(Raw).connect()
    answer = client.get("/")
    assert answer.body == b"raw"
    assert client.is_closed()


def test_the_request_is_over(lines):
    outcome: list[str] = []
    done = threading.Event()

    class Handler(RequestHandler):
        async def get(self) -> None:
            stream = self.detach()
            stream.close()
            for call in (lambda: self.write("x"), self.finish, self.detach):
                try:
                    call()
                except RuntimeError as error:
                    outcome.append(str(error))
            try:
                await self.flush()
            except StreamClosedError:
                outcome.append("closed")
            done.set()

    client = lines(Handler).connect()
    client.send(UPGRADE)
    assert done.wait(20)
    assert client.is_closed()
    assert outcome == [
        "Cannot write() after finish()",
        "finish() called twice",
        "the connection is closed",
        "closed",
    ]


def test_an_error_behind_it_is_logged_only(lines, caplog):
    class Handler(Lines):
        async def get(self) -> None:
            self.detach().close()
            raise ValueError("a bug")

    client = lines(Handler).connect()
    client.send(UPGRADE)
    assert client.is_closed()
    assert "Uncaught exception GET / (127.0.0.1)" in caplog.text
    assert "a bug" in caplog.text


def test_a_connection_that_cannot_be_detached():
    class Connection:
        pass

    class Request:
        connection = Connection()

    handler = RequestHandler(Application(), Request())  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="only HTTP/1 connections"):
        handler.detach()


def test_from_a_streamed_request(lines):
    @stream_request_body
    class Handler(Lines):
        def data_received(self, chunk: bytes) -> None:
            raise AssertionError(chunk)

    client = lines(Handler).connect()
    client.send(UPGRADE + b"first\n")
    assert client.response().status == 101
    assert client.read_until(b"\n") == b"FIRST\n"


# What the client has sent behind the request


CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
REQUESTS = {
    "upgrade": UPGRADE,
    "plain": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "close": b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "body": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
    "chunks": CHUNKED + b"1\r\na\r\n0\r\n\r\n",
    "connect": b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
}


class Detaches(RequestHandler):
    """Answers nothing, and echoes one line."""

    SUPPORTED_METHODS = (*RequestHandler.SUPPORTED_METHODS, "CONNECT")  # type: ignore[assignment]

    def go_on(self) -> None:
        self.echo = asyncio.ensure_future(self.echo_a_line(self.detach()))

    @staticmethod
    async def echo_a_line(stream: IOStream) -> None:
        await stream.write(await stream.read_until(b"\n"))
        stream.close()


class Before(RequestHandler):
    def get(self) -> None:
        self.write("before")


class AtOnce(Detaches):
    def get(self) -> None:
        self.go_on()

    post = connect = get


class InPrepare(AtOnce):
    def prepare(self) -> None:
        self.go_on()


class InACoroutine(Detaches):
    async def get(self) -> None:
        self.go_on()

    post = connect = get


class Later(Detaches):
    async def get(self) -> None:
        await asyncio.sleep(0)
        self.go_on()

    post = connect = get


@stream_request_body
class Streamed(InACoroutine):
    def data_received(self, chunk: bytes) -> None:
        pass


HANDLERS = [AtOnce, InPrepare, InACoroutine, Later, Streamed]


@pytest.mark.parametrize("server_class", [HTTPServer, StreamServer])
@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("request_name", REQUESTS)
def test_bytes_behind_the_request(serve, loop_kind, handler, request_name, server_class):
    app = Application([("/before", Before), (".*", handler)])
    server = serve(app, loop_kind=loop_kind, server_class=server_class)
    request = REQUESTS[request_name]
    in_one = server.connect()
    in_one.send(request + b"first\n")
    assert in_one.read_all() == b"first\n"
    in_pieces = server.connect()
    in_pieces.send(request + b"fi")
    in_pieces.send(b"rst\n")
    assert in_pieces.read_all() == b"first\n"
    in_two = server.connect()
    in_two.send(request)
    in_two.send(b"first\n")
    assert in_two.read_all() == b"first\n"
    pipelined = server.connect()
    pipelined.send(b"GET /before HTTP/1.1\r\nHost: a\r\n\r\n" + request + b"first\n")
    assert pipelined.response().text == "before"
    assert pipelined.read_all() == b"first\n"


@pytest.mark.parametrize("cut", [0, 1, 3])
def test_from_prepare_with_the_body_to_come(serve, loop_kind, cut):
    @stream_request_body
    class Handler(InPrepare):
        pass

    server = serve(Application([("/", Handler)]), loop_kind=loop_kind)
    client = server.connect()
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n"
    client.send(head + b"first\n"[:cut])
    client.send(b"first\n"[cut:])
    assert client.read_all() == b"first\n"
