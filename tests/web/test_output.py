"""Flushing: chunked responses, HTTP/1.0, backpressure, clients that go away."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest

from support import StreamServer
from typhoon.httpserver import HTTPServer
from typhoon.iostream import StreamClosedError
from typhoon.web import Application, OutputTransform, RequestHandler


class Pieces(RequestHandler):
    async def get(self) -> None:
        for number in range(3):
            self.write(f"piece {number}\n")
            await self.flush()
        self.write("end\n")


ALL = b"piece 0\npiece 1\npiece 2\nend\n"


def test_a_flushed_response_is_chunked(serve, loop_kind):
    client = serve(Application([("/", Pieces)]), loop_kind=loop_kind).connect()
    for _ in range(2):
        answer = client.get("/")
        assert answer.body == ALL
        assert answer.header("Transfer-Encoding") == "chunked"
        assert answer.header("Content-Length") is None
        assert answer.header("Etag") is None


def test_a_flushed_response_to_http_1_0_lasts_until_the_close(serve):
    client = serve(Application([("/", Pieces)])).connect()
    client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    answer = client.response()
    assert answer.body == ALL
    assert answer.header("Transfer-Encoding") is None
    assert client.is_closed()


def test_a_flushed_response_with_a_content_length(serve):
    class Handler(RequestHandler):
        def get(self) -> None:
            self.set_header("Content-Length", "6")
            self.write("one")
            self.flush()
            self.write("two")

    client = serve(Application([("/", Handler)])).connect()
    for _ in range(2):
        answer = client.get("/")
        assert (answer.header("Content-Length"), answer.body) == ("6", b"onetwo")
        assert answer.header("Transfer-Encoding") is None


@pytest.mark.parametrize("server_class", [HTTPServer, StreamServer])
def test_a_head_that_is_refused_with_its_first_piece_is_not_sent(serve, server_class):
    class Handler(RequestHandler):
        async def get(self) -> None:
            self.set_header("Content-Length", "3")
            self.write("1234")
            await self.flush()

    client = serve(Application([("/", Handler)]), server_class=server_class).connect()
    for _ in range(2):
        assert client.get("/").status == 500


@pytest.mark.parametrize("written", ["12", "1234"])
def test_a_flushed_response_of_another_length_than_it_said(serve, written):
    class Handler(RequestHandler):
        def get(self) -> None:
            self.set_header("Content-Length", "3")
            self.flush()
            self.write(written)

    client = serve(Application([("/", Handler)])).connect()

    def talk() -> None:
        # Never more than it said.
        assert len(client.get("/").body) <= 3
        client.get("/")

    with pytest.raises((EOFError, ConnectionResetError)):
        talk()


def test_a_flushed_response_to_head_has_no_body(serve):
    class Handler(Pieces):
        head = Pieces.get

    client = serve(Application([("/", Handler)])).connect()
    assert client.request("HEAD", "/").body == b""
    assert client.get("/").body == ALL


def test_the_head_can_be_flushed_alone(serve):
    seen = threading.Event()

    class Handler(RequestHandler):
        async def get(self) -> None:
            await self.flush()
            await asyncio.to_thread(seen.wait, 20)
            self.write("body")

    client = serve(Application([("/", Handler)])).connect()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    head = client.read_until(b"\r\n\r\n")
    assert b"200 OK" in head
    seen.set()
    assert client.read_until(b"0\r\n\r\n") == b"4\r\nbody\r\n0\r\n\r\n"


def test_finish_ends_a_flushed_response_with_its_last_piece(serve):
    class Handler(RequestHandler):
        def get(self) -> None:
            self.write("a")
            self.flush()
            self.flush()
            self.finish("b")

    assert serve(Application([("/", Handler)])).get("/").text == "ab"


@pytest.mark.parametrize("status", [204, 304])
def test_a_flushed_response_that_has_no_body(serve, status):
    class Handler(RequestHandler):
        def get(self) -> None:
            self.set_status(status)
            self.flush()

    client = serve(Application([("/", Handler)])).connect()
    for _ in range(2):
        answer = client.get("/")
        assert answer.status == status
        assert answer.header("Transfer-Encoding") is None


@pytest.mark.parametrize("status", [204, 304])
def test_flushing_a_body_that_may_not_be(serve, caplog, status):
    class Handler(RequestHandler):
        def get(self) -> None:
            self.set_status(status)
            self.write("x")
            self.flush()

    client = serve(Application([("/", Handler)])).connect()
    for _ in range(2):
        assert client.get("/").status == 500
    assert f"Cannot send body with {status}" in caplog.text


def test_a_flush_behind_the_end_sends_nothing(serve, loop_kind):
    outcome: list[object] = []

    class Handler(RequestHandler):
        async def get(self) -> None:
            self.write("body")
            await self.finish()
            await self.flush()
            await asyncio.sleep(0)  # the next request has begun
            outcome.append(await self.flush(include_footers=True))

    client = serve(Application([("/", Handler)]), loop_kind=loop_kind).connect()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 3)
    assert [client.response().body for _ in range(3)] == [b"body"] * 3
    assert client.get("/").body == b"body"
    assert outcome[:3] == [None] * 3


def test_awaiting_a_flush_waits_for_the_client_to_read(serve, loop_kind):
    sent = []
    blocked = threading.Event()
    megabyte = b"x" * (1 << 20)

    class Handler(RequestHandler):
        async def get(self) -> None:
            for _ in range(24):
                self.write(megabyte)
                flushed = self.flush()
                if not flushed.done():
                    blocked.set()
                await flushed
                sent.append(1)

    server = serve(Application([("/", Handler)]), loop_kind=loop_kind)
    client = server.connect()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert blocked.wait(20)
    assert server.call(lambda: len(sent)) < 24
    assert len(client.response().body) == 24 << 20
    assert len(sent) == 24


def test_a_flush_fails_once_the_client_has_gone(serve, loop_kind, caplog):
    gone = threading.Event()
    outcome: list[BaseException] = []
    closes: list[str] = []

    class Handler(RequestHandler):
        async def get(self) -> None:
            try:
                while True:
                    self.write(b"x" * (1 << 16))
                    await self.flush()
                    await asyncio.sleep(0)
            except StreamClosedError as error:
                outcome.append(error)
                raise
            finally:
                gone.set()

        def on_connection_close(self) -> None:
            closes.append("close")

    server = serve(Application([("/", Handler)]), loop_kind=loop_kind)
    client = server.connect()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    client.read_exactly(100)
    client.close()
    assert gone.wait(20)
    server.call()
    server.call()
    assert len(outcome) == 1
    assert closes == ["close"]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_on_connection_close_tells_waiting_handlers(serve, loop_kind):
    started, closed, ended = (threading.Event() for _ in range(3))

    class Handler(RequestHandler):
        async def get(self) -> None:
            self.waiter = asyncio.get_running_loop().create_future()
            started.set()
            await self.waiter
            self.write("nobody reads this")

        def on_connection_close(self) -> None:
            closed.set()
            self.waiter.set_result(None)

        def on_finish(self) -> None:
            ended.set()

    app = Application([("/", Handler)])
    server = serve(app, loop_kind=loop_kind)
    client = server.connect()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert started.wait(20)
    client.close()
    assert closed.wait(20)
    assert ended.wait(20)
    server.call()
    assert not app._tasks


def test_on_connection_close_is_not_called_behind_the_response(serve):
    calls = []

    class Handler(RequestHandler):
        async def get(self) -> None:
            await asyncio.sleep(0)

        def on_connection_close(self) -> None:
            calls.append("close")

    server = serve(Application([("/", Handler)]))
    client = server.connect()
    client.get("/")
    client.close()
    server.get("/")
    server.call()
    assert calls == []


def test_a_loop_that_only_flushes_ends_when_the_client_goes(serve, loop_kind, caplog):
    """The event loop gets a turn to find out."""
    outcome: list[BaseException] = []
    ended = threading.Event()

    class Handler(RequestHandler):
        async def get(self) -> None:
            try:
                while True:
                    self.write(b"x" * (1 << 18))
                    await self.flush()
            except StreamClosedError as error:
                outcome.append(error)
                raise
            finally:
                ended.set()

    server = serve(Application([("/", Handler)]), loop_kind=loop_kind)
    client = server.connect()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    client.read_exactly(100)
    client.close()
    assert ended.wait(20)
    server.call()
    assert len(outcome) == 1
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("cancel", [True, False])
def test_cancel_on_disconnect(serve, cancel):
    started, ended = threading.Event(), threading.Event()
    how = []

    class Handler(RequestHandler):
        cancel_on_disconnect = cancel

        async def get(self) -> None:
            self.released = asyncio.Event()
            started.set()
            try:
                await self.released.wait()
                how.append("released")
            except asyncio.CancelledError:
                how.append("cancelled")
                raise
            finally:
                ended.set()

        def on_connection_close(self) -> None:
            if not cancel:
                self.released.set()

    app = Application([("/", Handler)])
    server = serve(app)
    client = server.connect()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert started.wait(20)
    client.close()
    assert ended.wait(20)
    assert how == ["cancelled" if cancel else "released"]
    server.call()
    server.call()
    assert not app._tasks


class Upper(OutputTransform):
    def __init__(self, request: Any) -> None:
        super().__init__(request)
        self.pieces = 0

    def transform_first_chunk(self, status_code, headers, chunk, finishing):
        headers["X-Transformed"] = str(finishing)
        headers.pop("Content-Length", None)
        return status_code, headers, chunk.upper()

    def transform_chunk(self, chunk, finishing):
        self.pieces += 1
        return chunk.upper() + (f"({self.pieces})".encode() if finishing else b"")


class Reverse(OutputTransform):
    def transform_first_chunk(self, status_code, headers, chunk, finishing):
        return 203, headers, chunk[::-1]


def test_transforms(serve):
    class Whole(RequestHandler):
        def get(self) -> None:
            self.write("abc")

    app = Application([("/", Whole), ("/pieces", Pieces)], transforms=[Upper])
    answer = serve(app).get("/")
    assert (answer.body, answer.header("X-Transformed")) == (b"ABC", "True")
    assert answer.header("Content-Length") == "3"
    answer = serve(app).get("/pieces")
    assert (answer.body, answer.header("X-Transformed")) == (ALL.upper() + b"(3)", "False")
    app.add_transform(Reverse)
    answer = serve(app).get("/")
    assert (answer.status, answer.body) == (203, b"CBA")


def test_include_footers_is_the_last_flush(serve):
    class Handler(RequestHandler):
        def get(self) -> None:
            self.write("a")
            self.flush()
            self.write("b")
            self.flush(include_footers=True)
            self.request.connection.finish()
            self._finished = True

    app = Application([("/", Handler)], transforms=[Upper])
    client = serve(app).connect()
    for _ in range(2):
        assert client.get("/").body == b"AB(1)"
