"""What tests share: a server in a thread of its own, and a client that sees bytes."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from typhoon.httpserver import HTTPServer

TIMEOUT = 20.0
"""Seconds after which a test gives up waiting for the other side."""


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    """What is freed within is freed because nothing refers to it."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@dataclass
class Response:
    """One response as it came over the wire."""

    version: str
    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The only value of this header, or None; more than one is an error."""
        values = self.header_list(name)
        assert len(values) <= 1, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None

    def header_list(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def text(self) -> str:
        return self.body.decode()


class Client:
    """A blocking connection that sends what it is told and reads responses by the book."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.socket.settimeout(TIMEOUT)
        self.unread = bytearray()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def request(
        self,
        method: str,
        target: str,
        headers: dict[str, str] | list[tuple[str, str]] | None = None,
        body: bytes | None = None,
    ) -> Response:
        """Send one request (Host and Content-Length are added) and read its response."""
        fields = list(headers.items() if isinstance(headers, dict) else headers or [])
        names = {name.lower() for name, _ in fields}
        if "host" not in names:
            fields.insert(0, ("Host", "localhost"))
        if body is not None and not names & {"content-length", "transfer-encoding"}:
            fields.append(("Content-Length", str(len(body))))
        head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in fields)
        self.send(head.encode("latin-1") + b"\r\n" + (body or b""))
        return self.response(method)

    def get(self, target: str, headers: dict[str, str] | None = None) -> Response:
        return self.request("GET", target, headers)

    def post(self, target: str, body: bytes, headers: dict[str, str] | None = None) -> Response:
        return self.request("POST", target, headers, body)

    def response(self, method: str = "GET") -> Response:
        """Read one response, whose framing depends on the request's method."""
        head = self.read_until(b"\r\n\r\n")[:-4].decode("latin-1")
        status_line, *lines = head.split("\r\n")
        version, status, *reason = status_line.split(" ", 2)
        headers = [(n, v.strip(" \t")) for n, _, v in (line.partition(":") for line in lines)]
        answer = Response(version, int(status), reason[0] if reason else "", headers, b"")
        if method == "HEAD" or answer.status < 200 or answer.status in (204, 304):
            return answer
        if answer.header("Transfer-Encoding") == "chunked":
            answer.body = self._read_chunked()
        elif (length := answer.header("Content-Length")) is not None:
            answer.body = self.read_exactly(int(length))
        else:
            answer.body = self.read_all()
        return answer

    def _read_chunked(self) -> bytes:
        body = bytearray()
        while size := int(self.read_until(b"\r\n"), 16):
            body += self.read_exactly(size)
            assert self.read_exactly(2) == b"\r\n"
        assert self.read_until(b"\r\n") == b"\r\n", "trailers"
        return bytes(body)

    def read_until(self, delimiter: bytes) -> bytes:
        while (end := self.unread.find(delimiter)) < 0:
            self._receive()
        return self._take(end + len(delimiter))

    def read_exactly(self, count: int) -> bytes:
        while len(self.unread) < count:
            self._receive()
        return self._take(count)

    def read_all(self) -> bytes:
        """Everything until the server closes the connection."""
        with contextlib.suppress(EOFError):
            while True:
                self._receive()
        return self._take(len(self.unread))

    def _take(self, count: int) -> bytes:
        data = bytes(self.unread[:count])
        del self.unread[:count]
        return data

    def _receive(self) -> None:
        data = self.socket.recv(1 << 16)
        if not data:
            raise EOFError(f"the server closed the connection after {bytes(self.unread)!r}")
        self.unread += data

    def is_closed(self) -> bool:
        """Wait until the server closes; False if it sends something instead."""
        try:
            return not self.unread and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


@dataclass
class Server:
    """A running HTTPServer in an event loop of its own."""

    http_server: HTTPServer
    loop: asyncio.AbstractEventLoop
    host: str
    port: int
    unix_path: str | None = None
    clients: list[Client] = field(default_factory=list)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    def connect(self, ssl_context: ssl.SSLContext | None = None) -> Client:
        """A new connection, closed at the end of the test."""
        if self.unix_path is not None:
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(self.unix_path)
        else:
            sock = socket.create_connection((self.host, self.port), TIMEOUT)
        if ssl_context is not None:
            sock = ssl_context.wrap_socket(sock, server_hostname="localhost")
        client = Client(sock)
        self.clients.append(client)
        return client

    def get(self, target: str, headers: dict[str, str] | None = None) -> Response:
        with self.connect() as client:
            return client.get(target, headers)

    def post(self, target: str, body: bytes, headers: dict[str, str] | None = None) -> Response:
        with self.connect() as client:
            return client.post(target, body, headers)

    def url(self, target: str) -> str:
        return f"http://{self.host}:{self.port}{target}"

    def call(self, function: Callable[..., Any] = int, *args: Any) -> Any:
        """The function's result in the event loop, after all that it had to do before.

        Without a function: wait for what comes behind a response, such as the log.
        """

        async def run() -> Any:
            result = function(*args)
            return await result if asyncio.iscoroutine(result) else result

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(TIMEOUT)


class StreamServer(HTTPServer):
    """Serves its connections over `IOStream`s, as servers do that define `handle_stream`."""

    def handle_stream(self, stream: Any, address: Any) -> None:
        super().handle_stream(stream, address)


def new_event_loop(kind: str) -> asyncio.AbstractEventLoop:
    if kind == "uvloop":
        import uvloop

        return uvloop.new_event_loop()
    return asyncio.SelectorEventLoop()


@contextlib.contextmanager
def running_server(
    callback: Any,
    loop_kind: str = "asyncio",
    host: str = "127.0.0.1",
    unix_path: str | None = None,
    server_class: type[HTTPServer] = HTTPServer,
    **options: Any,
) -> Iterator[Server]:
    """Serve `callback` (an Application, a delegate or a callable) from a thread of its own."""
    started = threading.Event()
    failure: list[BaseException] = []
    state: list[Server] = []

    async def main() -> None:
        try:
            http_server = server_class(callback, **options)
            port = 0
            if unix_path is not None:
                from typhoon.netutil import bind_unix_socket

                http_server.add_socket(bind_unix_socket(unix_path))
            else:
                http_server.listen(0, host)
                (port,) = {sock.getsockname()[1] for sock in http_server._sockets.values()}
            server = Server(http_server, asyncio.get_running_loop(), host, port, unix_path)
            state.append(server)
        except BaseException as error:
            failure.append(error)
            return
        finally:
            started.set()
        await server.stopped.wait()
        http_server.stop()
        await http_server.close_all_connections()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: new_event_loop(loop_kind)) as runner:
            runner.run(main())

    thread = threading.Thread(target=run, name="server under test")
    thread.start()
    assert started.wait(TIMEOUT)
    if failure:
        thread.join(TIMEOUT)
        raise failure[0]
    (server,) = state
    try:
        yield server
    finally:
        for client in server.clients:
            client.close()
        server.loop.call_soon_threadsafe(server.stopped.set)
        thread.join(TIMEOUT)
        assert not thread.is_alive(), "the server did not stop"
