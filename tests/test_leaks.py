"""What is left behind: no reference cycles for the garbage collector, and no open files."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import datetime
import gc
import os
import socket
import ssl
import struct
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import pytest
import trustme

from support import new_event_loop
from typhoon import gen
from typhoon.concurrent import run_on_executor
from typhoon.curl_httpclient import CurlAsyncHTTPClient
from typhoon.httpclient import AsyncHTTPClient, HTTPClientError
from typhoon.httpserver import HTTPServer
from typhoon.iostream import StreamClosedError
from typhoon.locks import Condition, Event, Lock, Semaphore
from typhoon.process import Subprocess
from typhoon.queues import PriorityQueue, Queue
from typhoon.simple_httpclient import SimpleAsyncHTTPClient
from typhoon.tcpclient import TCPClient
from typhoon.testing import bind_unused_port
from typhoon.web import (
    Application,
    Finish,
    HTTPError,
    RequestHandler,
    ServerSentEvent,
    stream_request_body,
)
from typhoon.websocket import WebSocketHandler
from typhoon.wsgi import WSGIContainer

Main = Callable[[], Coroutine[Any, Any, None]]

CLIENTS = [SimpleAsyncHTTPClient, CurlAsyncHTTPClient]
NOBODY = "http://127.0.0.1:9/"
"""Nobody listens on the port "discard"."""


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run(loop_kind: str) -> Callable[[Main], None]:
    """Runs a coroutine function on each kind of loop, one of its own each time."""

    def run(main: Main) -> None:
        with asyncio.Runner(loop_factory=lambda: new_event_loop(loop_kind)) as runner:
            runner.run(main())

    return run


@contextlib.contextmanager
def no_cycles() -> Iterator[None]:
    """Fail if the garbage collector finds anything to free of what is made within."""
    gc.collect()
    gc.freeze()  # what was there before need not be looked through again
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield
        gc.collect()
        garbage = [f"{type(found).__qualname__}: {found!r:.200}" for found in gc.garbage]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.unfreeze()
        gc.enable()
    assert garbage == [], "\n".join(garbage)


async def settle() -> None:
    """Let what ends behind a response end: the other side's connection, and callbacks."""
    for _ in range(20):
        await asyncio.sleep(0.001)


def open_files() -> dict[str, str]:
    """The process's file descriptors, and what they are."""
    files = {}
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the folder's own
            files[fd] = os.readlink(f"/proc/self/fd/{fd}")
    return files


@contextlib.contextmanager
def no_files() -> Iterator[None]:
    """Fail if a file descriptor is open afterwards that was not before."""
    before = open_files()
    yield
    after = open_files()
    assert {fd: name for fd, name in after.items() if before.get(fd) != name} == {}


@contextlib.asynccontextmanager
async def serving(
    handler: type[RequestHandler], pattern: str = "/", **options: Any
) -> AsyncIterator[str]:
    server = HTTPServer(Application([(pattern, handler)]), **options)
    sock, port = bind_unused_port()
    server.add_socket(sock)
    try:
        yield f"{'https' if options else 'http'}://127.0.0.1:{port}/"
    finally:
        server.stop()
        await server.close_all_connections()


@contextlib.contextmanager
def made(kind: type[AsyncHTTPClient], **options: Any) -> Iterator[Any]:
    client: Any = kind(force_instance=True, **options)
    try:
        yield client
    finally:
        client.close()


# Cycles: requests


class Plain(RequestHandler):
    def get(self) -> None:
        self.write("ok")


class Native(RequestHandler):
    async def get(self) -> None:
        await asyncio.sleep(0)
        self.write("ok")


class Generator(RequestHandler):
    @gen.coroutine
    def get(self) -> Any:
        yield gen.moment
        self.write("ok")


class Finishing(RequestHandler):
    async def get(self) -> None:
        raise Finish("ok")


class Refusing(RequestHandler):
    def get(self) -> None:
        raise HTTPError(403)


class RefusingLater(RequestHandler):
    async def get(self) -> None:
        await asyncio.sleep(0)
        raise HTTPError(403)


class RefusingGenerator(RequestHandler):
    @gen.coroutine
    def get(self) -> Any:
        yield gen.moment
        raise HTTPError(403)


class Failing(RequestHandler):
    async def get(self) -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError


class Flushing(RequestHandler):
    async def get(self) -> None:
        for _ in range(3):
            self.write("ok")
            await self.flush()


class Eventful(RequestHandler):
    async def get(self) -> None:
        await self.send_events(self.events(), keepalive=0.001)

    async def events(self) -> AsyncIterator[Any]:
        yield "x"
        await asyncio.sleep(0.01)
        yield ServerSentEvent({"a": 1}, id="1")


@stream_request_body
class Streamed(RequestHandler):
    def data_received(self, chunk: bytes) -> None:
        pass

    async def get(self) -> None:
        self.write("ok")


HANDLERS = [
    Plain,
    Native,
    Generator,
    Finishing,
    Refusing,
    RefusingLater,
    RefusingGenerator,
    Failing,
    Flushing,
    Eventful,
    Streamed,
]


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("kind", CLIENTS)
def test_requests_make_no_cycles(
    run: Callable[[Main], None], kind: type[AsyncHTTPClient], handler: type[RequestHandler]
) -> None:
    async def main() -> None:
        async with serving(handler) as url:
            with made(kind) as client:
                await client.fetch(url, raise_error=False)
                await settle()
                with no_cycles():
                    await client.fetch(url, raise_error=False)
                    await client.fetch(url, raise_error=False, streaming_callback=len)
                    await settle()

    run(main)


def wsgi_application(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [("Content-Type", "text/plain")])
    match environ["PATH_INFO"]:
        case "/pieces":
            return iter([b"o", b"k"])
        case "/failing":
            raise ZeroDivisionError
        case "/late":
            try:
                raise ZeroDivisionError
            except ZeroDivisionError:
                start_response("500 Oh", [], sys.exc_info())
    return [b"ok"]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("path", ["", "pieces", "failing", "late"])
def test_wsgi_makes_no_cycles(run: Callable[[Main], None], workers: int, path: str) -> None:
    async def main() -> None:
        executor = concurrent.futures.ThreadPoolExecutor(workers) if workers else None
        container = WSGIContainer(wsgi_application, executor)

        class Behind(RequestHandler):
            def prepare(self) -> None:
                self._finished = True
                container(self.request)

        async with serving(Behind, "/.*") as url:
            with made(SimpleAsyncHTTPClient) as client:
                await client.fetch(url + path, raise_error=False)
                await settle()
                with no_cycles():
                    await client.fetch(url + path, raise_error=False)
                    await settle()
        if executor is not None:
            executor.shutdown()

    run(main)


class Endless(RequestHandler):
    async def get(self) -> None:
        await self.send_events(self.events())

    async def events(self) -> AsyncIterator[str]:
        yield "x"
        await asyncio.Event().wait()


REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"


class Echo(RequestHandler):
    async def get(self) -> None:
        self.set_status(101)
        await self.flush()
        stream = self.detach()
        with contextlib.suppress(StreamClosedError):
            await stream.write(await stream.read_until(b"\n"))
            await stream.read_until(b"\n")
        stream.close()


@pytest.mark.parametrize(("handler", "last"), [(Endless, b"data: x\n"), (Echo, b"\r\n\r\nx\n")])
def test_clients_that_go_leave_no_cycles(
    run: Callable[[Main], None], handler: type[RequestHandler], last: bytes
) -> None:
    async def visit(port: int) -> None:
        client = await TCPClient().connect("127.0.0.1", port)
        await client.write(REQUEST + b"x\n")
        await client.read_until(last)
        client.close()

    async def main() -> None:
        async with serving(handler) as url:
            port = int(url.split(":")[2].strip("/"))
            await visit(port)
            await settle()
            with no_cycles():
                await visit(port)
                await settle()

    run(main)


class EchoSocket(WebSocketHandler):
    def on_message(self, message: str | bytes) -> None:
        self.write_message(message)


@pytest.mark.parametrize("cut", [False, True])
def test_websockets_leave_no_cycles(run: Callable[[Main], None], cut: bool) -> None:
    async def visit(port: int) -> None:
        client = await TCPClient().connect("127.0.0.1", port)
        await client.write(
            b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        await client.read_until(b"\r\n\r\n")
        await client.write(b"\x81\x81\0\0\0\0x")
        assert await client.read_bytes(3) == b"\x81\x01x"
        if cut:
            assert client.socket is not None
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()

    async def main() -> None:
        async with serving(EchoSocket) as url:
            port = int(url.split(":")[2].strip("/"))
            await visit(port)
            await settle()
            with no_cycles():
                await visit(port)
                await settle()

    run(main)


@pytest.mark.parametrize("kind", CLIENTS)
def test_failing_fetches_make_no_cycles(
    run: Callable[[Main], None], kind: type[AsyncHTTPClient]
) -> None:
    async def fetch(client: AsyncHTTPClient, url: str, **arguments: Any) -> None:
        with contextlib.suppress(HTTPClientError, OSError, ValueError):
            await client.fetch(url, **arguments)

    async def main() -> None:
        async with serving(Refusing) as url:
            with made(kind) as client:
                for collect in (contextlib.nullcontext(), no_cycles()):
                    with collect:
                        await fetch(client, url)
                        await fetch(client, NOBODY)
                        await fetch(client, "http://a.invalid/")
                        await fetch(client, url, method="POST")
                        await fetch(client, "nothing")
                        await settle()

    run(main)


@pytest.mark.parametrize("kind", CLIENTS)
def test_timeouts_of_fetches_make_no_cycles(
    run: Callable[[Main], None], kind: type[AsyncHTTPClient]
) -> None:
    async def main() -> None:
        listener = socket.create_server(("127.0.0.1", 0))  # which accepts nobody
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with listener, made(kind, max_clients=1) as client:
            for collect in (contextlib.nullcontext(), no_cycles()):
                with collect:
                    fetches = [client.fetch(url, request_timeout=0.05) for _ in range(2)]
                    done = await asyncio.gather(*fetches, return_exceptions=True)
                    assert all(isinstance(error, HTTPClientError) for error in done)
                    del fetches, done
                    await settle()

    run(main)


# Cycles: coroutines


@gen.coroutine
def chain(depth: int, fail: bool) -> Any:
    yield gen.moment
    if depth:
        result = yield chain(depth - 1, fail)
        return result + 1
    if fail:
        raise ZeroDivisionError
    return 0


async def await_chain(fail: bool) -> None:
    with contextlib.suppress(ZeroDivisionError):
        assert await chain(5, fail) == 5
    with contextlib.suppress(ZeroDivisionError):
        await gen.multi([chain(1, fail), chain(2, False)])


async def use_with_timeout() -> None:
    with contextlib.suppress(TimeoutError):
        await gen.with_timeout(datetime.timedelta(milliseconds=1), gen.sleep(0.005))
    await gen.with_timeout(datetime.timedelta(seconds=9), gen.sleep(0))
    await gen.sleep(0.01)


async def use_wait_iterator() -> None:
    iterator = gen.WaitIterator(chain(1, False), chain(2, False))
    async for _ in iterator:
        pass


async def use_locks() -> None:
    lock, semaphore, condition, event = Lock(), Semaphore(0), Condition(), Event()
    soon = datetime.timedelta(milliseconds=1)
    async with lock:
        with contextlib.suppress(TimeoutError):
            await lock.acquire(timeout=soon)
    with contextlib.suppress(TimeoutError):
        await semaphore.acquire(timeout=soon)
    assert not await condition.wait(timeout=soon)
    with contextlib.suppress(TimeoutError):
        await event.wait(timeout=soon)
    waiting = [condition.wait(), event.wait(), semaphore.acquire()]
    condition.notify_all()
    event.set()
    semaphore.release()
    for future in waiting:
        await future


async def use_queues() -> None:
    soon = datetime.timedelta(milliseconds=1)
    for queue in (Queue(maxsize=1), PriorityQueue(maxsize=1)):
        await queue.put(1)
        with contextlib.suppress(TimeoutError):
            await queue.put(2, timeout=soon)
        getter = asyncio.ensure_future(queue.get())
        await getter
        queue.task_done()
        with contextlib.suppress(TimeoutError):
            await queue.get(timeout=soon)
        await queue.join()


class OnThreads:
    def __init__(self, executor: concurrent.futures.Executor) -> None:
        self.executor = executor

    @run_on_executor
    def divide(self, number: int) -> float:
        return 1 / number


async def use_run_on_executor() -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        threads = OnThreads(executor)
        assert await threads.divide(1) == 1
        with contextlib.suppress(ZeroDivisionError):
            await threads.divide(0)
    await settle()


USES = [
    lambda: await_chain(False),
    lambda: await_chain(True),
    use_with_timeout,
    use_wait_iterator,
    use_locks,
    use_queues,
    use_run_on_executor,
]


@pytest.mark.parametrize("use", USES)
def test_waiting_makes_no_cycles(run: Callable[[Main], None], use: Main) -> None:
    async def main() -> None:
        await use()
        with no_cycles():
            await use()

    run(main)


# Files


async def fetch_in_vain(kind: type[AsyncHTTPClient]) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    deaf = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    async with serving(Plain) as plain, serving(Plain, ssl_options=context) as untrusted:
        with listener, made(kind) as client:
            for url in (
                NOBODY,
                "http://a.invalid/",
                deaf,
                untrusted,
                plain.replace("http", "https"),
                untrusted.replace("https", "http"),
            ):
                with pytest.raises((HTTPClientError, OSError)):
                    await client.fetch(url, request_timeout=0.3)
        await settle()


async def connect_in_vain() -> None:
    client = TCPClient()
    try:
        for host, port in (("127.0.0.1", 9), ("localhost", 9), ("a.invalid", 80)):
            with pytest.raises((OSError, IOError)):
                await client.connect(host, port)
        with pytest.raises(TimeoutError):
            await client.connect("127.0.0.1", 9, timeout=0)
    finally:
        client.close()


async def serve_and_stop() -> None:
    for _ in range(3):
        async with serving(Plain) as url:
            with made(SimpleAsyncHTTPClient) as client:
                await client.fetch(url)
    await settle()


async def bind_in_vain() -> None:
    taken, port = bind_unused_port()
    with taken:
        server = HTTPServer(Application())
        with pytest.raises(OSError, match=str(port)):
            server.listen(port, "127.0.0.1")
        server.stop()


async def run_processes() -> None:
    for code in ("pass", "raise SystemExit(3)"):
        process = Subprocess(
            [sys.executable, "-S", "-c", code], stdin=Subprocess.STREAM, stdout=Subprocess.STREAM
        )
        await process.wait_for_exit(raise_error=False)
        process.stdin.close()
        process.stdout.close()
    with pytest.raises(FileNotFoundError):
        Subprocess(["/no/such/program"], stdin=Subprocess.STREAM, stdout=Subprocess.STREAM)


@pytest.mark.parametrize(
    "use",
    [
        lambda: fetch_in_vain(SimpleAsyncHTTPClient),
        lambda: fetch_in_vain(CurlAsyncHTTPClient),
        connect_in_vain,
        serve_and_stop,
        bind_in_vain,
        run_processes,
    ],
)
def test_files_are_closed(run: Callable[[Main], None], use: Main) -> None:
    run(use)  # what is kept for good, such as the name of the machine, is opened once
    with no_files():
        run(use)
