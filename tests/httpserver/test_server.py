"""`HTTPServer`: sockets, TLS, proxies, callbacks of every kind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from typing import Any

import pytest
import trustme

from support import Client, StreamServer, new_event_loop
from typhoon.httpserver import HTTPServer
from typhoon.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    ResponseStartLine,
)
from typhoon.netutil import bind_sockets, bind_unix_socket
from typhoon.web import Application, RequestHandler


def respond(request: Any, body: bytes, status: int = 200) -> None:
    headers = HTTPHeaders({"Content-Length": str(len(body))})
    request.connection.write_headers(ResponseStartLine("", status, "OK"), headers, body)
    request.connection.finish()


def hello(request: Any) -> None:
    respond(request, b"hello")


class Peer(RequestHandler):
    def get(self) -> None:
        self.write({"ip": self.request.remote_ip, "protocol": self.request.protocol})


PEER = Application([("/", Peer)])

drivers = pytest.mark.parametrize("server_class", [HTTPServer, StreamServer])
"""A server by its own protocol, and over streams."""


# Sockets


async def fetch(port: int, host: str = "127.0.0.1") -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    data = await reader.read()
    writer.close()
    await writer.wait_closed()
    return data.partition(b"\r\n\r\n")[2]


def port_of(server: HTTPServer) -> int:
    return next(iter(server._sockets.values())).getsockname()[1]


async def close(server: HTTPServer) -> None:
    server.stop()
    await server.close_all_connections()


@pytest.mark.parametrize("how", ["listen", "bind", "add_sockets", "add_socket"])
def test_ways_to_listen(how):
    async def main() -> None:
        server = HTTPServer(hello)
        match how:
            case "listen":
                server.listen(0, "127.0.0.1")
            case "bind":
                server.bind(0, "127.0.0.1")
                assert not server._sockets
                server.start()
            case "add_sockets":
                server.add_sockets(bind_sockets(0, "127.0.0.1"))
            case "add_socket":
                server.add_socket(*bind_sockets(0, "127.0.0.1"))
        assert all(isinstance(sock, socket.socket) for sock in server._sockets.values())
        port = port_of(server)
        assert await fetch(port) == b"hello"
        await close(server)
        with pytest.raises(ConnectionRefusedError):
            await fetch(port)

    asyncio.run(main())


def test_a_server_may_listen_before_its_loop_runs():
    from typhoon.ioloop import IOLoop

    loop = IOLoop()
    loop.make_current()
    try:
        server = HTTPServer(hello)
        server.listen(0, "127.0.0.1")
        assert loop.run_sync(lambda: fetch(port_of(server))) == b"hello"
        loop.run_sync(lambda: close(server))
    finally:
        loop.close(all_fds=True)


def test_stop_lets_open_connections_go_on(serve, loop_kind):
    server = serve(hello, loop_kind=loop_kind)
    client = server.connect()
    assert client.get("/").body == b"hello"
    server.call(server.http_server.stop)
    assert client.get("/").body == b"hello"
    with pytest.raises(ConnectionRefusedError):
        server.connect()
    server.call(server.http_server.stop)


def test_close_all_connections(serve, loop_kind):
    started = threading.Event()

    class Slow(RequestHandler):
        async def get(self) -> None:
            started.set()
            await asyncio.Event().wait()

    server = serve(Application([("/slow", Slow), ("/", Peer)]), loop_kind=loop_kind)
    idle, busy = server.connect(), server.connect()
    assert idle.get("/").status == 200
    busy.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    assert started.wait(20)
    server.call(server.http_server.stop)
    server.call(server.http_server.close_all_connections)
    assert not server.http_server._connections
    assert idle.is_closed()
    assert busy.is_closed()
    server.call(server.http_server.close_all_connections)


@pytest.mark.parametrize("turns", range(5))
@pytest.mark.parametrize("is_unix", [False, True], ids=["tcp", "unix"])
def test_a_connection_that_is_accepted_as_the_server_stops_is_closed(
    loop_kind, is_unix, turns, tmp_path
):
    async def main() -> None:
        server = HTTPServer(hello)
        if is_unix:
            path = str(tmp_path / "socket")
            server.add_socket(bind_unix_socket(path))
            client = socket.socket(socket.AF_UNIX)
            client.connect(path)
        else:
            server.listen(0, "127.0.0.1")
            client = socket.create_connection(("127.0.0.1", port_of(server)))
        with client:
            for _ in range(turns):
                await asyncio.sleep(0)
            await close(server)
            client.settimeout(20)
            assert Client(client).is_closed()

    with asyncio.Runner(loop_factory=lambda: new_event_loop(loop_kind)) as runner:
        runner.run(main())
    gc.collect()  # a socket that is left would be a warning


def test_a_tls_handshake_that_ends_after_the_server_makes_no_connection(serve, loop_kind):
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    server = serve(hello, loop_kind=loop_kind, ssl_options=context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with socket.create_connection((server.host, server.port), 20) as plain:
        assert server.connect(trusting).get("/").body == b"hello"  # the other is accepted, too
        server.call(server.http_server.stop)
        server.call(server.http_server.close_all_connections)
        with trusting.wrap_socket(plain, server_hostname="localhost") as secured:
            secured.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert Client(secured).is_closed()
        server.call()
    assert not server.http_server._connections


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_ipv6(serve, loop_kind):
    answer = serve(PEER, loop_kind=loop_kind, host="::1").get("/")
    assert answer.text == '{"ip": "::1", "protocol": "http"}'


def test_unix_sockets(serve, loop_kind, tmp_path):
    path = str(tmp_path / "socket")
    client = serve(PEER, loop_kind=loop_kind, unix_path=path).connect()
    for _ in range(2):
        assert client.get("/").text == '{"ip": "0.0.0.0", "protocol": "http"}'


def test_unix_and_tcp_sockets_together(tmp_path):
    async def main() -> None:
        server = HTTPServer(hello)
        server.add_socket(bind_unix_socket(str(tmp_path / "socket")))
        server.listen(0, "127.0.0.1")
        assert len(server._sockets) == 2
        await close(server)

    asyncio.run(main())


def test_processes_share_a_port():
    code = """
import os, sys
from typhoon.httpserver import HTTPServer
from typhoon.ioloop import IOLoop
from typhoon.web import Application, RequestHandler

class Pid(RequestHandler):
    def get(self):
        self.write(str(os.getpid()))

server = HTTPServer(Application([("/", Pid)]))
server.bind(0, "127.0.0.1")
print(server._pending[0].getsockname()[1], flush=True)
server.start(2)
os.write(1, b"up\\n")
IOLoop.current().start()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    pids: set[str] = set()
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        assert [process.stdout.readline() for _ in range(2)] == ["up\n"] * 2
        clients = []
        # Which process takes a connection is the kernel's choice.
        while len(pids) < 2 and len(clients) < 200:
            client = Client(socket.create_connection(("127.0.0.1", port), 20))
            clients.append(client)
            pids.add(client.get("/").text)
        for client in clients:
            client.close()
        assert str(process.pid) not in pids
        assert pids
    finally:
        process.terminate()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGTERM)
        process.communicate(timeout=20)


# TLS


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def certificate(authority):
    return authority.issue_cert("localhost")


@pytest.fixture
def client_context(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(params=["context", "dict"])
def ssl_options(request, certificate, tmp_path):
    if request.param == "context":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        return context
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    for number, blob in enumerate(certificate.cert_chain_pems):
        blob.write_to_path(tmp_path / "cert.pem", append=number > 0)
    return {"certfile": str(tmp_path / "cert.pem"), "keyfile": str(tmp_path / "key.pem")}


@drivers
def test_tls(serve, loop_kind, ssl_options, client_context, server_class):
    server = serve(PEER, loop_kind=loop_kind, server_class=server_class, ssl_options=ssl_options)
    client = server.connect(client_context)
    for _ in range(2):
        assert client.get("/").text == '{"ip": "127.0.0.1", "protocol": "https"}'


@drivers
def test_large_bodies_over_tls(serve, loop_kind, ssl_options, client_context, server_class):
    class Echo(RequestHandler):
        def post(self) -> None:
            self.write(self.request.body)

    app = Application([("/", Echo)])
    server = serve(app, loop_kind=loop_kind, server_class=server_class, ssl_options=ssl_options)
    client = server.connect(client_context)
    body = b"x" * 3_000_000
    assert client.post("/", body).body == body


@drivers
def test_a_client_that_does_not_speak_tls(
    serve, loop_kind, ssl_options, client_context, server_class, caplog
):
    server = serve(PEER, loop_kind=loop_kind, server_class=server_class, ssl_options=ssl_options)
    client = server.connect()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    with contextlib.suppress(ConnectionResetError):
        assert b"HTTP/1.1" not in client.read_all()
    (record,) = [r for r in caplog.records if r.name == "typhoon.general"]
    assert record.levelname == "WARNING"
    assert record.getMessage().startswith("SSL Error")
    assert record.exc_info is None
    assert server.connect(client_context).get("/").status == 200


@drivers
@pytest.mark.parametrize("sends", [True, False])
def test_client_certificates(
    serve, loop_kind, authority, certificate, client_context, sends, server_class
):
    class Certificate(RequestHandler):
        def get(self) -> None:
            certificate = self.request.get_ssl_certificate()
            binary = self.request.get_ssl_certificate(binary_form=True)
            assert bool(certificate) == bool(binary)
            names = dict(certificate)["subjectAltName"] if certificate else ()
            self.write({"names": names})

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_OPTIONAL
    if sends:
        authority.issue_cert("client.example").configure_cert(client_context)
    app = Application([("/", Certificate)])
    server = serve(app, loop_kind=loop_kind, server_class=server_class, ssl_options=context)
    text = server.connect(client_context).get("/").text
    assert text == ('{"names": [["DNS", "client.example"]]}' if sends else '{"names": []}')


def test_no_client_certificate_on_plain_connections(serve):
    seen = []

    def callback(request: Any) -> None:
        seen.append(request.get_ssl_certificate())
        respond(request, b"")

    serve(callback).get("/")
    assert seen == [None]


@pytest.mark.parametrize(
    ("options", "error"),
    [({}, KeyError), ({"certfile": "/does/not/exist"}, ValueError), ({"bad": 1}, KeyError)],
)
def test_bad_tls_settings_fail_at_once(options, error):
    with pytest.raises(error):
        HTTPServer(hello, ssl_options=options)


# Proxies


@pytest.mark.parametrize(
    ("headers", "ip", "protocol"),
    [
        ({}, "127.0.0.1", "http"),
        ({"X-Real-Ip": "192.0.2.1"}, "192.0.2.1", "http"),
        ({"X-Real-Ip": "2001:db8::1"}, "2001:db8::1", "http"),
        ({"X-Real-Ip": "nonsense"}, "127.0.0.1", "http"),
        ({"X-Real-Ip": "192.0.2.1\t, 1.1.1.1"}, "127.0.0.1", "http"),
        ({"X-Forwarded-For": "192.0.2.1"}, "192.0.2.1", "http"),
        ({"X-Forwarded-For": "203.0.113.1, 192.0.2.1"}, "192.0.2.1", "http"),
        ({"X-Forwarded-For": "192.0.2.1, 10.0.0.1 ,10.0.0.2"}, "192.0.2.1", "http"),
        ({"X-Forwarded-For": "10.0.0.1"}, "10.0.0.1", "http"),
        ({"X-Forwarded-For": "192.0.2.1, unknown"}, "127.0.0.1", "http"),
        ({"X-Forwarded-For": "192.0.2.1", "X-Real-Ip": "192.0.2.2"}, "192.0.2.2", "http"),
        ({"X-Scheme": "https"}, "127.0.0.1", "https"),
        ({"X-Forwarded-Proto": "https"}, "127.0.0.1", "https"),
        ({"X-Forwarded-Proto": "http, https"}, "127.0.0.1", "https"),
        ({"X-Forwarded-Proto": "https,http"}, "127.0.0.1", "http"),
        ({"X-Forwarded-Proto": "javascript"}, "127.0.0.1", "http"),
    ],
)
def test_forwarded_headers(serve, headers, ip, protocol):
    trusted = ["10.0.0.1", "10.0.0.2"]
    client = serve(PEER, xheaders=True, trusted_downstream=trusted).connect()
    assert client.get("/", headers).text == f'{{"ip": "{ip}", "protocol": "{protocol}"}}'
    # The next request of the connection is on its own.
    assert client.get("/").text == '{"ip": "127.0.0.1", "protocol": "http"}'
    believed_not = serve(PEER).get("/", headers)
    assert believed_not.text == '{"ip": "127.0.0.1", "protocol": "http"}'


def test_protocol(serve):
    assert '"protocol": "https"' in serve(PEER, protocol="https").get("/").text
    server = serve(PEER, protocol="https", xheaders=True)
    assert '"protocol": "http"' in server.get("/", {"X-Scheme": "http"}).text


# Settings


@pytest.mark.parametrize(("size", "status"), [(900, 200), (1100, 431)])
def test_max_header_size(serve, size, status):
    server = serve(hello, max_header_size=1024)
    assert server.get("/", {"X": "x" * (size - 60)}).status == status


@pytest.mark.parametrize(("size", "status"), [(100, 200), (101, 413)])
@pytest.mark.parametrize("name", ["max_body_size", "max_buffer_size"])
def test_max_body_size(serve, size, status, name):
    assert serve(hello, **{name: 100}).post("/", b"x" * size).status == status


def test_no_keep_alive(serve):
    client = serve(hello, no_keep_alive=True).connect()
    assert client.get("/").header("Connection") == "close"
    assert client.is_closed()


def test_chunk_size(serve):
    sizes = []

    class Sizes(HTTPServerConnectionDelegate, HTTPMessageDelegate):
        def start_request(self, server_conn: Any, request_conn: Any) -> Any:
            self.connection = request_conn
            return self

        def data_received(self, chunk: bytes) -> None:
            sizes.append(len(chunk))

        def finish(self) -> None:
            respond(self, b"")

    assert serve(Sizes(), chunk_size=1000).post("/", b"x" * 10_500).status == 200
    assert sum(sizes) == 10_500
    assert max(sizes) == 1000


# Callbacks


class Echo(HTTPMessageDelegate):
    """Streams the request's body back, and makes each piece wait a turn."""

    def __init__(self, connection: Any, calls: list[Any]) -> None:
        self.connection = connection
        self.calls = calls

    async def headers_received(self, start_line: Any, headers: HTTPHeaders) -> None:
        self.calls.append(tuple(start_line))
        await asyncio.sleep(0)
        self.connection.write_headers(ResponseStartLine("", 200, "OK"), HTTPHeaders())
        self.calls.append("head")

    async def data_received(self, chunk: bytes) -> None:
        await self.connection.write(chunk)
        self.calls.append(chunk)

    def finish(self) -> None:
        self.calls.append("finish")
        self.connection.finish()

    def on_connection_close(self) -> None:
        self.calls.append("close")


class EchoServer(HTTPServerConnectionDelegate):
    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.connections: list[Any] = []
        self.closed = threading.Event()

    def start_request(self, server_conn: Any, request_conn: Any) -> HTTPMessageDelegate:
        self.connections.append(server_conn)
        return Echo(request_conn, self.calls)

    def on_close(self, server_conn: Any) -> None:
        assert server_conn is self.connections[0]
        self.closed.set()


def test_a_connection_delegate(serve, loop_kind):
    delegate = EchoServer()
    client = serve(delegate, loop_kind=loop_kind).connect()
    for method, body in (("POST", b"body"), ("GET", None), ("POST", b"again")):
        delegate.calls.clear()
        assert client.request(method, "/x", body=body).body == (body or b"")
        pieces = [body] if body else []
        assert delegate.calls == [(method, "/x", "HTTP/1.1"), "head", *pieces, "finish"]
    assert len(set(map(id, delegate.connections))) == 1
    client.close()
    assert delegate.closed.wait(20)


def test_a_delegate_is_told_of_a_vanished_client(serve, loop_kind):
    delegate = EchoServer()
    client = serve(delegate, loop_kind=loop_kind).connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
    client.read_until(b"abc")
    client.close()
    assert delegate.closed.wait(20)
    assert delegate.calls[-1] == "close"
    assert delegate.calls.count("close") == 1


@pytest.mark.parametrize("body", [None, b"body"])
def test_a_failing_callback_is_a_500_for_its_client_alone(serve, body, caplog):
    def callback(request: Any) -> None:
        if request.path == "/bad":
            raise RuntimeError("bad callback")
        hello(request)

    server = serve(callback)
    other = server.connect()
    assert other.get("/").status == 200
    client = server.connect()
    answer = client.request("POST" if body else "GET", "/bad", body=body)
    assert answer.status == 500
    assert b"bad callback" not in answer.body
    assert client.is_closed()
    assert other.get("/").status == 200
    assert "bad callback" in caplog.text
    assert [r for r in caplog.records if r.levelno == logging.ERROR and r.exc_info]


@pytest.mark.parametrize(
    ("where", "kind"),
    [
        ("start_request", "sync"),
        ("headers_received", "sync"),
        ("headers_received", "async"),
        ("data_received", "sync"),
        ("data_received", "async"),
        ("finish", "sync"),
    ],
)
def test_a_failing_delegate_is_a_500_for_its_client_alone(serve, where, kind, caplog):

    class Failing(HTTPServerConnectionDelegate, HTTPMessageDelegate):
        def start_request(self, server_conn: Any, request_conn: Any) -> Any:
            if where == "start_request":
                raise RuntimeError("bad delegate")
            return self

        def _fail(self, *args: Any) -> None:
            raise RuntimeError("bad delegate")

        async def _fail_later(self, *args: Any) -> None:
            await asyncio.sleep(0)
            raise RuntimeError("bad delegate")

    if where != "start_request":
        setattr(Failing, where, Failing._fail if kind == "sync" else Failing._fail_later)
    server = serve(Failing())
    client = server.connect()
    assert client.post("/", b"body").status == 500
    assert client.is_closed()
    assert server.post("/", b"body").status == 500
    assert "bad delegate" in caplog.text


def test_a_failure_behind_the_head_closes_the_connection(serve, caplog):
    def callback(request: Any) -> None:
        request.connection.write_headers(
            ResponseStartLine("", 200, "OK"), HTTPHeaders({"Content-Length": "10"}), b"abc"
        )
        raise RuntimeError("too late")

    client = serve(callback).connect()
    with pytest.raises((EOFError, ConnectionResetError)):
        client.get("/")
    assert "too late" in caplog.text


def test_a_subclass_of_the_server_with_its_own_start_request(serve):
    seen = []

    class Own(HTTPServer):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)

        def start_request(self, server_conn: Any, request_conn: Any) -> HTTPMessageDelegate:
            seen.append(server_conn)
            return super().start_request(server_conn, request_conn)

    async def main() -> None:
        for callback in (hello, Application([("/", Peer)])):
            server = Own(callback)
            server.listen(0, "127.0.0.1")
            assert await fetch(port_of(server)) in (
                b"hello",
                b'{"ip": "127.0.0.1", "protocol": "http"}',
            )
            await close(server)

    asyncio.run(main())
    assert len(seen) == 2


@pytest.mark.parametrize("body", [None, b"body"])
@pytest.mark.parametrize("name", ["start_request", "find_handler", "get_handler_delegate"])
def test_a_subclass_of_the_application(serve, name, body):
    calls = []

    class Handler(RequestHandler):
        def post(self) -> None:
            self.write(self.request.body or b"none")

        get = post

    class Own(Application):
        pass

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        return getattr(Application, name)(self, *args, **kwargs)

    setattr(Own, name, method)
    client = serve(Own([("/", Handler)])).connect()
    for _ in range(2):
        answer = client.request("POST" if body else "GET", "/", body=body)
        assert answer.body == (body or b"none")
    assert calls == [name] * 2


def test_the_stream_below_a_connection(serve, loop_kind):
    """What old programs ask of `request.connection.stream`."""
    outcome: list[Any] = []

    def callback(request):
        stream = request.connection.stream
        stream.set_nodelay(True)
        nodelay = stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        outcome.extend([stream.closed(), stream.socket.getpeername()[0], nodelay != 0])
        stream.close()
        outcome.append(stream.closed())
        respond(request, b"nobody reads this")

    server = serve(callback, loop_kind=loop_kind)
    client = server.connect()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.is_closed()
    server.call()
    assert outcome == [False, "127.0.0.1", True, True]


def test_writing_past_http(serve, loop_kind):
    def callback(request):
        stream = request.connection.stream
        stream.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        if request.path == "/raw":
            body = b"a" * 4_000_000  # more than a socket takes at once
            stream.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n")
            stream.write(memoryview(body))
        else:
            respond(request, b"by the book")

    client = serve(callback, loop_kind=loop_kind).connect()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.response().status == 103
    assert client.response().body == b"by the book"
    client.send(b"GET /raw HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.response().status == 103
    assert client.response().body == b"a" * 4_000_000
