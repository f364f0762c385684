"""`HTTPServer` over streams: `handle_stream`, and what `detach` gives."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from typing import Any

import pytest
import trustme

from support import Server, StreamServer, running_server
from typhoon.httpserver import HTTPServer
from typhoon.httputil import HTTPServerRequest
from typhoon.iostream import IOStream, StreamClosedError
from typhoon.web import Application, RequestHandler, stream_request_body

drivers = pytest.mark.parametrize("server_class", [HTTPServer, StreamServer])


class Hello(RequestHandler):
    def get(self) -> None:
        self.write(f"hello {self.request.remote_ip} {self.request.protocol}")

    def post(self) -> None:
        self.write(self.request.body)


APP = Application([("/", Hello)])


def everything(server: Server) -> int:
    return server.call(
        lambda: len(server.http_server._connections) + len(server.http_server._stream_connections)
    )


def stream_to(server: Server) -> socket.socket:
    """The far end of a stream that the server is given."""
    near, far = socket.socketpair()
    far.settimeout(20)
    server.call(lambda: server.http_server.handle_stream(IOStream(near), ("192.0.2.1", 5)))
    return far


def test_a_stream_from_elsewhere(loop_kind):
    with running_server(APP, loop_kind) as server, stream_to(server) as far:
        far.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: far.recv(1000), b""))
        assert answer.endswith(b"hello 192.0.2.1 http")
        assert everything(server) == 0


def test_a_proxy_is_believed_over_streams_too(serve):
    server = serve(APP, server_class=StreamServer, xheaders=True, protocol="http")
    client = server.connect()
    headers = {"X-Real-Ip": "192.0.2.7", "X-Scheme": "https"}
    assert client.get("/", headers).text == "hello 192.0.2.7 https"
    assert client.get("/").text == "hello 127.0.0.1 http"


def test_closing_all_connections_closes_streams(loop_kind):
    with running_server(APP, loop_kind) as server, stream_to(server) as far:
        assert everything(server) == 1
        server.call(server.http_server.close_all_connections)
        assert far.recv(1) == b""
        assert everything(server) == 0


def test_a_streamed_body_over_a_stream(serve, loop_kind):
    @stream_request_body
    class Sum(RequestHandler):
        def prepare(self) -> None:
            self.size = 0
            self.request.connection.set_max_body_size(200_000)

        async def data_received(self, chunk: bytes) -> None:
            assert len(chunk) <= 1000
            await asyncio.sleep(0)
            self.size += len(chunk)

        def put(self) -> None:
            self.write(str(self.size))

    app = Application([("/", Sum)])
    options: dict[str, Any] = {"chunk_size": 1000, "max_body_size": 10}
    server = serve(app, loop_kind=loop_kind, server_class=StreamServer, **options)
    client = server.connect()
    for _ in range(2):
        assert client.request("PUT", "/", body=b"x" * 200_000).text == "200000"
    assert client.request("PUT", "/", body=b"x" * 200_001).status == 413
    assert client.is_closed()


@drivers
def test_pieces_of_a_few_bytes(serve, loop_kind, server_class):
    """Framing that is longer than a piece, and that comes in parts."""
    sizes: list[int] = []
    all_came = threading.Event()

    @stream_request_body
    class Pieces(RequestHandler):
        def data_received(self, chunk: bytes) -> None:
            sizes.append(len(chunk))
            if sum(sizes) == 9:
                all_came.set()

        def put(self) -> None:
            self.write(str(sum(sizes)))

    app = Application([("/", Pieces)])
    options: dict[str, Any] = {"chunk_size": 2, "server_class": server_class}
    client = serve(app, loop_kind=loop_kind, **options).connect()
    client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n")
    client.send(b"Expect: 100-continue\r\n\r\n")
    assert client.response().status == 100
    client.send(b"0009\r\n123456789\r\n000;long=extension\r\nTrailer: of many by")
    assert all_came.wait(20)
    client.send(b"tes\r\n\r\n")
    assert client.response().text == "9"
    assert max(sizes) == 2


@drivers
@pytest.mark.parametrize("size", [1000, 1001])
def test_decompressed_bodies_are_limited(serve, server_class, size):
    import gzip

    options: dict[str, Any] = {"decompress_request": True, "max_body_size": 1000}
    server = serve(APP, server_class=server_class, **options)
    body = gzip.compress(b"x" * 500) + gzip.compress(b"x" * (size - 500))
    response = server.post("/", body, {"Content-Encoding": "gzip"})
    assert response.status == (200 if size <= 1000 else 413)


@drivers
@pytest.mark.parametrize("damage", [lambda body: body + b"\0", lambda body: body[:-1]])
def test_damaged_compressed_bodies(serve, server_class, damage, caplog):
    import gzip

    caplog.set_level("INFO")
    server = serve(APP, server_class=server_class, decompress_request=True)
    response = server.post("/", damage(gzip.compress(b"a")), {"Content-Encoding": "gzip"})
    assert response.status == 400
    server.call()
    assert "invalid gzip data" in caplog.text


@drivers
def test_a_body_of_many_tiny_members(serve, server_class):
    import gzip

    server = serve(APP, server_class=server_class, decompress_request=True)
    few = server.post("/", gzip.compress(b"a") * 1000, {"Content-Encoding": "gzip"})
    assert few.body == b"a" * 1000
    many = server.post("/", gzip.compress(b"a") * 1001, {"Content-Encoding": "gzip"})
    assert many.status == 400


# Detaching


async def shout(stream: IOStream) -> None:
    """Send back everything in capitals."""
    try:
        while True:
            await stream.write((await stream.read_bytes(100_000, partial=True)).upper())
    except StreamClosedError:
        stream.close()


class Upgrades:
    """Takes connections away from a server."""

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        self.streams: list[IOStream] = []
        self.done = threading.Event()

    def __call__(self, request: HTTPServerRequest) -> None:
        stream = request.connection.detach()
        self.streams.append(stream)
        stream.write(b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
        task = asyncio.get_running_loop().create_task(shout(stream))
        self.tasks.add(task)
        task.add_done_callback(self.forget)

    def forget(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        self.done.set()


UPGRADE = "Connection: upgrade\r\nUpgrade: x\r\n"
REQUESTS = [("GET / HTTP/1.1", UPGRADE), ("CONNECT a:1 HTTP/1.1", "")]


@drivers
@pytest.mark.parametrize(("request_line", "fields"), REQUESTS, ids=["upgrade", "connect"])
def test_a_detached_connection_is_a_stream(loop_kind, server_class, request_line, fields):
    upgrades = Upgrades()
    with running_server(upgrades, loop_kind, server_class=server_class) as server:
        client = server.connect()
        client.send(f"{request_line}\r\nHost: a\r\n{fields}\r\nfirst ".encode())
        assert client.response().status == 101
        assert client.read_exactly(6) == b"FIRST "
        client.send(b"second")
        assert client.read_exactly(6) == b"SECOND"
        assert everything(server) == 0
        big = b"x" * 1_000_000
        sender = threading.Thread(target=client.send, args=(big,))
        sender.start()
        assert client.read_exactly(len(big)) == big.upper()
        sender.join()
        client.close()
        assert upgrades.done.wait(20)


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@drivers
def test_a_detached_connection_with_tls(loop_kind, server_class, authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    client_context = ssl.create_default_context()
    authority.configure_trust(client_context)
    upgrades = Upgrades()
    options: dict[str, Any] = {"ssl_options": context, "server_class": server_class}
    with running_server(upgrades, loop_kind, **options) as server:
        client = server.connect(client_context)
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nfirst ")
        assert client.response().status == 101
        assert client.read_exactly(6) == b"FIRST "
        for _ in range(16):  # in turn: a blocking TLS socket serves one thread at a time
            client.send(b"x" * 65_536)
            assert client.read_exactly(65_536) == b"X" * 65_536
        client.close()
        assert upgrades.done.wait(20)


def test_a_detached_tls_connection_that_the_application_closes(loop_kind, authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    client_context = ssl.create_default_context()
    authority.configure_trust(client_context)

    def bye(request: HTTPServerRequest) -> None:
        stream = request.connection.detach()
        stream.write(b"bye")
        stream.close()

    with running_server(bye, loop_kind, ssl_options=context) as server:
        client = server.connect(client_context)
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.read_all() == b"bye"


def test_detaching_with_much_to_send_still(loop_kind):
    """What the transport has not sent goes first."""
    body = b"x" * 20_000_000
    upgrades = Upgrades()

    def answer(request: HTTPServerRequest) -> None:
        request.connection.send_head(101, "X", request.headers.__class__())
        request.connection.transport.write(body)
        upgrades(request)

    with running_server(answer, loop_kind) as server:
        client = server.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
        assert client.response().status == 101
        assert client.read_exactly(len(body)) == body
        assert client.response().status == 101
        client.send(b"more")
        assert client.read_exactly(4) == b"MORE"
        client.close()
        assert upgrades.done.wait(20)


@drivers
def test_a_connection_is_detached_once(loop_kind, server_class):
    refused = threading.Event()

    def answer(request: HTTPServerRequest) -> None:
        stream = request.connection.detach()
        stream.close()
        with pytest.raises(RuntimeError):
            request.connection.detach()
        refused.set()

    with running_server(answer, loop_kind, server_class=server_class) as server:
        client = server.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.read_all() == b""
        assert refused.wait(20)
