"""Server-Sent Events."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import subprocess
import threading
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import Client, StreamServer
from typhoon import gen
from typhoon.httpserver import HTTPServer
from typhoon.iostream import StreamClosedError
from typhoon.web import Application, OutputTransform, RequestHandler, ServerSentEvent

drivers = pytest.mark.parametrize("server_class", [HTTPServer, StreamServer])
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def parse(stream: str) -> list[dict[str, str]]:
    """The events of a stream, as section 9.2.6 of the standard interprets it."""
    events = []
    event: dict[str, str] = {}
    data: list[str] = []
    for line in stream.replace("\r\n", "\n").replace("\r", "\n").split("\n")[:-1]:
        if line == "":
            if data:
                events.append({**event, "data": "\n".join(data)})
            event, data = {}, []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name in ("event", "id", "retry"):
            event[name] = value
    return events


# Events by themselves


@pytest.mark.parametrize(
    ("event", "sent"),
    [
        (ServerSentEvent("hello"), "data: hello\n\n"),
        (ServerSentEvent(""), "data: \n\n"),
        (ServerSentEvent(" two\n lines"), "data:  two\ndata:  lines\n\n"),
        (ServerSentEvent("a\r\nb\rc\n"), "data: a\ndata: b\ndata: c\ndata: \n\n"),
        (ServerSentEvent("no\u2028line\x0bends"), "data: no\u2028line\x0bends\n\n"),
        (ServerSentEvent({"a": [1, None]}), 'data: {"a": [1, null]}\n\n'),
        (ServerSentEvent([]), "data: []\n\n"),
        (ServerSentEvent(0), "data: 0\n\n"),
        (
            ServerSentEvent("x", event="tick", id="7", retry=3000),
            "retry: 3000\nid: 7\nevent: tick\ndata: x\n\n",
        ),
        (ServerSentEvent(id=""), "id: \n\n"),
        (ServerSentEvent(comment="a\nb"), ": a\n: b\n\n"),
    ],
)
def test_how_an_event_is_sent(event, sent):
    encoded = event.encode().decode()
    if isinstance(event.data, dict):
        assert json.loads(encoded.removeprefix("data: ")) == event.data
    else:
        assert encoded == sent


NO_BREAK = st.text(st.characters(blacklist_characters="\r\n\0", blacklist_categories=["Cs"]))


@given(st.text(st.characters(blacklist_categories=["Cs"])), NO_BREAK, NO_BREAK)
def test_what_is_sent_is_what_a_client_reads(data, event, identity):
    sent = ServerSentEvent(data, event=event, id=identity).encode().decode()
    lines = data.replace("\r\n", "\n").replace("\r", "\n")
    assert parse(sent) == [{"event": event, "id": identity, "data": lines}]


@pytest.mark.parametrize("bad", ["a\nb", "a\rb", "\0"])
@pytest.mark.parametrize("name", ["event", "id"])
def test_line_breaks_are_refused(name, bad):
    with pytest.raises(ValueError, match=f"the {name} .* line break"):
        ServerSentEvent("x", **{name: bad})


@pytest.mark.parametrize("retry", [-1, 1.5, "3", True])
def test_retry_is_in_whole_milliseconds(retry):
    with pytest.raises(ValueError, match="whole milliseconds"):
        ServerSentEvent(retry=retry)


# Streams


@pytest.fixture
def events(serve, loop_kind):
    """`events(generator, **options)` serves a stream of what the generator function yields."""

    def start(generator: Callable[[RequestHandler], AsyncIterator[Any]], **options: Any) -> Any:
        settings = options.pop("settings", {})
        server_class = options.pop("server_class", HTTPServer)

        class Handler(RequestHandler):
            calls: list[str] = []

            async def get(self) -> None:
                await self.send_events(generator(self), **options)
                self.calls.append("returned")

            head = get

            def on_connection_close(self) -> None:
                self.calls.append("close")

            def on_finish(self) -> None:
                self.calls.append("finish")

        app = Application([("/", Handler)], **settings)
        server = serve(app, loop_kind=loop_kind, server_class=server_class)
        server.app, server.calls = app, Handler.calls
        return server

    return start


def read_events(client: Client, count: int = 1) -> list[dict[str, str]]:
    """So many events of a chunked response whose head has been read."""
    found: list[dict[str, str]] = []
    while len(found) < count:
        size = int(client.read_until(b"\r\n"), 16)
        found += parse(client.read_exactly(size + 2)[:-2].decode())
    return found


@drivers
def test_a_stream_that_ends(events, server_class):
    async def generate(handler):
        yield "one"
        yield {"two": 2}
        yield ["three"]
        yield ServerSentEvent("four", event="last", id="4")

    server = events(generate, retry=2000, server_class=server_class)
    client = server.connect()
    for _ in range(2):
        answer = client.get("/")
        assert (answer.status, answer.header("Content-Type")) == (200, "text/event-stream")
        assert answer.header("Cache-Control") == "no-store"
        assert answer.header("X-Accel-Buffering") == "no"
        assert answer.header("Etag") is answer.header("Content-Length") is None
        assert answer.text.startswith("retry: 2000\n\n")
        *most, last = parse(answer.text)
        assert [event["data"] for event in most] == ["one", '{"two": 2}', '["three"]']
        assert last == {"data": "four", "event": "last", "id": "4"}
    server.call()
    assert server.calls == ["returned", "finish"] * 2


def test_each_event_is_sent_at_once(events):
    step = threading.Event()

    async def generate(handler):
        for number in range(3):
            yield str(number)
            await asyncio.to_thread(step.wait, 20)
            step.clear()

    client = events(generate).connect()
    client.send(GET)
    assert b"200 OK" in client.read_until(b"\r\n\r\n")
    for number in range(3):
        assert read_events(client) == [{"data": str(number)}]
        step.set()
    assert client.read_exactly(5) == b"0\r\n\r\n"


def test_the_head_comes_before_the_first_event(events):
    step = threading.Event()

    async def generate(handler):
        await asyncio.to_thread(step.wait, 20)
        yield "x"

    client = events(generate).connect()
    client.send(GET)
    assert b"text/event-stream" in client.read_until(b"\r\n\r\n")
    step.set()
    assert read_events(client) == [{"data": "x"}]


def test_headers_of_the_handler_are_kept(serve):
    class Handler(RequestHandler):
        async def get(self) -> None:
            self.set_header("Cache-Control", "private")
            self.set_header("X-Own", "1")
            self.set_cookie("a", "b")
            await self.send_events(self.events())

        async def events(self):
            yield "x"

    answer = serve(Application([("/", Handler)])).get("/")
    assert answer.header("Cache-Control") == "private"
    assert answer.header("X-Own") == "1"
    assert answer.header("Set-Cookie") == "a=b; Path=/"


@pytest.mark.parametrize(
    ("sent", "seen"), [(None, None), ("42", "42"), ("Größe ✓", "Größe ✓"), ("", "")]
)
def test_the_last_event_id(events, sent, seen):
    async def generate(handler):
        yield [handler.last_event_id]

    headers = {} if sent is None else {"Last-Event-ID": sent.encode().decode("latin-1")}
    (event,) = parse(events(generate).get("/", headers).text)
    assert json.loads(event["data"]) == [seen]


def test_keepalive(events):
    async def generate(handler):
        yield "x"
        await asyncio.Event().wait()

    client = events(generate, keepalive=0.02).connect()
    client.send(GET)
    client.read_until(b"\r\n\r\n")
    assert read_events(client) == [{"data": "x"}]
    assert client.read_exactly(24) == b"3\r\n:\n\n\r\n" * 3


def test_no_keepalive_where_events_come(events):
    async def generate(handler):
        for number in range(20):
            yield str(number)
            await asyncio.sleep(0.01)

    assert ":\n" not in events(generate, keepalive=10).get("/").text
    assert ":\n" not in events(generate, keepalive=None).get("/").text


def test_head(events):
    ran = []

    async def generate(handler):
        ran.append(1)
        yield "x"

    server = events(generate)
    client = server.connect()
    for _ in range(2):
        answer = client.request("HEAD", "/")
        assert (answer.status, answer.header("Content-Type")) == (200, "text/event-stream")
    assert parse(client.get("/").text) == [{"data": "x"}]
    assert ran == [1]


def test_http_1_0(events):
    async def generate(handler):
        yield "x"

    client = events(generate).connect()
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    assert client.response().text == "data: x\n\n"
    assert client.is_closed()


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd"])
def test_compressed_events_are_sent_at_once(events, encoding):
    import brotli
    import zstandard

    step = threading.Event()

    async def generate(handler):
        for number in range(3):
            yield str(number)
            await asyncio.to_thread(step.wait, 20)
            step.clear()

    client = events(generate, settings={"compress_response": True}).connect()
    client.send(f"GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {encoding}\r\n\r\n".encode())
    assert f"Content-Encoding: {encoding}".encode() in client.read_until(b"\r\n\r\n")
    decoders: dict[str, Callable[[bytes], bytes]] = {
        "gzip": zlib.decompressobj(31).decompress,
        "br": brotli.Decompressor().process,
        "zstd": zstandard.ZstdDecompressor().decompressobj().decompress,
    }
    for number in range(3):
        size = int(client.read_until(b"\r\n"), 16)
        decoded = decoders[encoding](client.read_exactly(size + 2)[:-2])
        assert decoded == b"data: %d\n\n" % number
        step.set()


def test_a_generator_based_handler(serve):
    class Handler(RequestHandler):
        @gen.coroutine
        def get(self) -> Any:
            yield self.send_events(self.events())

        async def events(self):
            yield "x"

    assert serve(Application([("/", Handler)])).get("/").text == "data: x\n\n"


def test_any_asynchronous_iterable(serve):
    class Handler(RequestHandler):
        async def get(self) -> None:
            queue: asyncio.Queue[int] = asyncio.Queue()
            for number in range(3):
                queue.put_nowait(number)

            class Items:
                def __aiter__(self):
                    return self

                async def __anext__(self) -> str:
                    if queue.empty():
                        raise StopAsyncIteration
                    return str(await queue.get())

            await self.send_events(Items())

    text = serve(Application([("/", Handler)])).get("/").text
    assert [event["data"] for event in parse(text)] == ["0", "1", "2"]


@drivers
def test_a_slow_client_makes_the_generator_wait(events, server_class):
    sent: list[int] = []
    large = "x" * (1 << 20)

    async def generate(handler):
        for number in range(24):
            sent.append(number)
            yield large
            await asyncio.sleep(0)

    server = events(generate, keepalive=0.01, server_class=server_class)
    client = server.connect()
    client.send(GET)

    async def settled() -> int:
        count = -1
        while count != len(sent):
            count = len(sent)
            await asyncio.sleep(0.05)
        return count

    assert server.call(settled) < 24
    body = client.response().text
    assert [len(event["data"]) for event in parse(body)] == [1 << 20] * 24


# Ends


def wait_until_over(server: Any) -> None:
    async def settle() -> None:
        while server.app._tasks:
            await asyncio.wait(set(server.app._tasks))

    server.call(settle)


@drivers
@pytest.mark.parametrize("where", ["waiting", "flushing", "stubborn", "failing"])
def test_a_client_that_goes(events, caplog, where, server_class):
    started = threading.Event()
    steps: list[str] = []

    async def generate(handler):
        try:
            yield "x"
            if where == "flushing":
                while True:
                    started.set()
                    yield "x" * (1 << 18)
            try:
                started.set()
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                steps.append("cancelled")
                if where == "stubborn":
                    yield "one more"
                    steps.append("went on")
                elif where == "failing":
                    raise StreamClosedError from None
                raise
        finally:
            await asyncio.sleep(0)
            steps.append("closed")

    server = events(generate, server_class=server_class)
    client = server.connect()
    client.send(GET)
    client.read_until(b"data: x\n")
    assert started.wait(20)
    client.close()
    wait_until_over(server)
    server.call()
    assert steps == (["closed"] if where == "flushing" else ["cancelled", "closed"])
    assert server.calls == ["close", "returned", "finish"]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


class Endless(RequestHandler):
    """Sends one event, and then none; `seen` is what has happened."""

    def initialize(self, seen: list[str], closed: asyncio.Event | None = None) -> None:
        self.seen = seen
        self.closed = closed

    async def get(self) -> None:
        try:
            await self.send_events(self.events())
        finally:
            self.seen.append("returned")

    async def events(self) -> AsyncIterator[str]:
        try:
            yield "x"
            await asyncio.Event().wait()
        finally:
            self.seen.append("closed")
            if self.closed is not None:
                await self.closed.wait()

    def on_connection_close(self) -> None:
        self.seen.append("client gone")

    def on_finish(self) -> None:
        self.seen.append("finish")


def stop(server: Any) -> None:
    async def run() -> None:
        server.http_server.stop()
        await server.http_server.close_all_connections()
        await asyncio.gather(*server.app._tasks)

    server.call(run)


@pytest.fixture
def endless(serve, loop_kind):
    """`endless(server_class, **arguments)` is a server, and a client in an endless stream."""

    def start(server_class: type[HTTPServer] = HTTPServer, **arguments: Any) -> Any:
        app = Application([("/", Endless, arguments)], compress_response=True)
        server = serve(app, loop_kind=loop_kind, server_class=server_class)
        server.app = app
        client = server.connect()
        client.send(GET)
        client.read_until(b"data: x\n\n\r\n")
        return server, client

    return start


def test_the_server_stops(endless, caplog):
    seen: list[str] = []
    server, client = endless(seen=seen)
    stop(server)
    assert seen == ["closed", "returned", "finish"]
    assert client.read_all() == b"0\r\n\r\n"
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_server_over_streams_stops(endless):
    seen: list[str] = []
    server, client = endless(StreamServer, seen=seen)
    stop(server)
    assert sorted(seen) == ["client gone", "closed", "finish", "returned"]
    assert client.read_all() == b""


def test_a_generator_that_does_not_end_does_not_hold_the_server(endless, monkeypatch):
    monkeypatch.setattr("typhoon.httpserver.server.CLOSE_TIMEOUT", 0.05)
    seen: list[str] = []
    closed = asyncio.Event()
    server, client = endless(seen=seen, closed=closed)

    async def run() -> None:
        server.http_server.stop()
        await server.http_server.close_all_connections()
        assert seen == ["closed", "client gone"]
        closed.set()
        await asyncio.gather(*server.app._tasks)

    server.call(run)
    assert seen[2:] == ["returned", "finish"]
    with pytest.raises((EOFError, ConnectionError)):
        client.read_exactly(1)


def test_a_server_stops_behind_the_stream(serve, loop_kind):
    class Handler(RequestHandler):
        async def get(self) -> None:
            async def events() -> AsyncIterator[str]:
                yield "x"

            await self.send_events(events())

    app = Application([("/", Handler)])
    server = serve(app, loop_kind=loop_kind)
    server.app = app
    client = server.connect()
    assert client.get("/").text == "data: x\n\n"
    stop(server)
    assert client.is_closed()


@pytest.mark.parametrize("disconnect", [True, False])
def test_cancelling_the_handler_ends_the_stream(serve, disconnect):
    steps: list[str] = []
    ended = threading.Event()

    class Handler(RequestHandler):
        cancel_on_disconnect = disconnect

        async def get(self) -> None:
            try:
                await self.send_events(self.events())
                steps.append("returned")
            except asyncio.CancelledError:
                steps.append("cancelled")
                raise
            finally:
                ended.set()

        async def events(self):
            try:
                yield "x"
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                steps.append("closed")

    server = serve(app := Application([("/", Handler)]))
    client = server.connect()
    client.send(GET)
    client.read_until(b"data: x\n")
    if disconnect:
        client.close()
    else:
        server.call(lambda: [task.cancel() for task in app._tasks])
    assert ended.wait(20)
    assert steps == ["closed", "cancelled"]
    if not disconnect:
        assert client.read_all() == b"\n\r\n", "not the end of the body"


def test_a_timeout_around_the_stream(serve):
    class Handler(RequestHandler):
        async def get(self) -> None:
            try:
                async with asyncio.timeout(0.05):
                    await self.send_events(self.events())
            except TimeoutError:
                self.write("data: over\n\n")

        async def events(self):
            yield "x"
            await asyncio.Event().wait()

    answer = serve(Application([("/", Handler)])).get("/")
    assert [event["data"] for event in parse(answer.text)] == ["x", "over"]


def test_a_generator_that_fails(events, caplog):
    async def generate(handler):
        yield "x"
        raise ValueError("a bug")

    server = events(generate)
    client = server.connect()
    client.send(GET)
    client.read_until(b"data: x\n\n\r\n")
    with pytest.raises(EOFError):
        client.read_until(b"0\r\n\r\n")
    assert "a bug" in caplog.text


@pytest.mark.parametrize(
    ("item", "message"),
    [(None, "None is no event"), (b"x", "is no event"), (ServerSentEvent(b"x"), "not JSON")],
)
def test_what_is_no_event(events, caplog, item, message):
    async def generate(handler):
        yield item

    client = events(generate).connect()
    client.send(GET)
    client.read_until(b"\r\n\r\n")
    assert client.is_closed()
    assert message in caplog.text


def test_an_error_behind_the_stream_is_no_lost_event(serve, caplog):
    class Broken(OutputTransform):
        def transform_chunk(self, chunk, finishing):
            raise ValueError("broken")

    class Handler(RequestHandler):
        async def get(self) -> None:
            await self.send_events(self.events())

        async def events(self):
            yield "x"

    client = serve(Application([("/", Handler)], transforms=[Broken])).connect()
    client.send(GET)
    client.read_until(b"\r\n\r\n")
    assert client.is_closed()
    assert "broken" in caplog.text


def test_wrong_use(serve, caplog):
    class Handler(RequestHandler):
        async def get(self, how: str) -> None:
            match how:
                case "function":
                    await self.send_events(self.events)  # type: ignore[arg-type]
                case "late":
                    self.flush()
                    await self.send_events(self.events())
                case "keepalive":
                    await self.send_events(self.events(), keepalive=0)
                case "retry":
                    await self.send_events(self.events(), retry=1.5)  # type: ignore[arg-type]

        async def events(self):
            yield "x"

    server = serve(Application([("/(.*)", Handler)]))
    for how, message in (
        ("function", "takes an async generator, such as self.events()"),
        ("keepalive", "keepalive=0: write seconds"),
        ("retry", "retry=1.5: write whole milliseconds"),
    ):
        assert server.get(f"/{how}").status == 500
        assert message in caplog.text
    client = server.connect()
    client.send(GET.replace(b"/", b"/late", 1))
    assert b"200" in client.read_until(b"\r\n\r\n")
    assert client.is_closed()
    assert "before flush" in caplog.text


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is missing: apt-get install curl")
def test_curl(events):
    step = threading.Event()

    async def generate(handler):
        yield ServerSentEvent("one", id="1")
        await asyncio.to_thread(step.wait, 20)
        yield ServerSentEvent("two", id="2")

    server = events(generate, settings={"compress_response": True})
    command = ["curl", "-sSN", "--compressed", server.url("/")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as curl:
        assert curl.stdout is not None
        assert [curl.stdout.readline() for _ in range(3)] == ["id: 1\n", "data: one\n", "\n"]
        step.set()
        assert curl.stdout.read() == "id: 2\ndata: two\n\n"
        assert curl.wait(20) == 0
