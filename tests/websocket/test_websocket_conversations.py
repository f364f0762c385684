"""Whatever our client and our server say to one another arrives, however it is cut on the way."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from peers import Events, Noting

from support import new_event_loop
from typhoon.httpserver import HTTPServer
from typhoon.web import Application
from typhoon.websocket import websocket_connect

MESSAGES = st.one_of(
    st.text(max_size=300),
    st.binary(max_size=300),
    st.sampled_from([125, 126, 127, 65535, 65536]).map(bytes),
)
PINGS = st.binary(max_size=125)
STEPS = st.lists(
    st.one_of(st.tuples(st.just("message"), MESSAGES), st.tuples(st.just("ping"), PINGS)),
    max_size=12,
)
# Long messages in pieces of one byte would take long.
PIECES = st.lists(st.sampled_from([1, 2, 3, 7, 50, 1000, 1 << 16]), min_size=1, max_size=6)


class Answering(Noting):
    """Sends back what it gets, and pings back what it is pinged with."""

    def initialize(self, events: Any, options: dict[str, Any] | None) -> None:
        super().initialize(events)
        self.options = options

    def get_compression_options(self) -> dict[str, Any] | None:
        return self.options

    def on_message(self, message: str | bytes) -> Any:
        super().on_message(message)
        return self.write_message(message, isinstance(message, bytes))


async def copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pieces: list[int]
) -> None:
    """Hand on what comes in pieces of these lengths, then in large ones."""
    sizes = itertools.chain(pieces * 5, itertools.repeat(1 << 16))
    while data := await reader.read(next(sizes)):
        writer.write(data)
        await writer.drain()
        await asyncio.sleep(0)
    writer.close()


async def talk(
    steps: list[tuple[str, Any]], pieces: list[int], options: dict[str, Any] | None
) -> None:
    events = Events()
    rules = [("/", Answering, {"events": events.queue, "options": options})]
    server = HTTPServer(Application(rules))
    server.listen(0, "127.0.0.1")
    (port,) = {sock.getsockname()[1] for sock in server._sockets.values()}
    ended = asyncio.Event()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inward, outward = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, outward, pieces), copy(inward, writer, pieces))
        ended.set()

    between = await asyncio.start_server(relay, "127.0.0.1", 0)
    url = f"ws://127.0.0.1:{between.sockets[0].getsockname()[1]}/"
    ws = await websocket_connect(url, compression_options=options)
    expected: list[tuple[Any, ...]] = [("open",)]
    for kind, data in steps:
        expected.append((kind, data))
        if kind == "ping":
            ws.ping(data)
        else:
            await ws.write_message(data, isinstance(data, bytes))
            assert await ws.read_message() == data
    ws.close(4000, "bye")
    assert await ws.read_message() is None
    assert ws.close_code == 4000
    await ended.wait()
    between.close()
    server.stop()
    await server.close_all_connections()
    assert [events.next() for _ in expected] == expected
    assert events.next() == ("close", 4000, "bye")
    assert events.is_empty()


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS, PIECES, st.sampled_from([None, {}, {"compression_level": 0}]), st.booleans())
def test_any_conversation(steps, pieces, options, on_uvloop):
    kind = "uvloop" if on_uvloop else "asyncio"
    with asyncio.Runner(loop_factory=lambda: new_event_loop(kind)) as runner:
        runner.run(talk(steps, pieces, options))
