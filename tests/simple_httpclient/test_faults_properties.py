"""One client, many fetches at once, and a server that misbehaves at random.

Every fetch ends: with the bytes that the server meant for it, or with an error that names it.
"""

import asyncio
import gzip
import logging
import zlib
from collections import Counter
from collections.abc import Coroutine
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
from hostile import Peer, check, descriptors, hostile, is_alarming
from hypothesis import given, settings
from hypothesis import strategies as st

from support import new_event_loop
from typhoon.httpclient import HTTPClientError, HTTPResponse, Stage
from typhoon.simple_httpclient import SimpleAsyncHTTPClient

POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"

MALFORMED = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nContent-Length: 7\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6;\nfor\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 6\r\n\r\n",
    b"HTTP/9.1 200 OK\r\n\r\n",
    b"\r\n",
)


@dataclass(frozen=True)
class Deed:
    """What the server does with one request.

    Attributes:
        kind: "whole", "surplus", "truncated", "late", "malformed", "redirect", or "early": an
            answer before the body of the request has come.
        framing: "length", "chunked", "close" or "none", which is a response without a body.
        coding: The content coding, or "".
        size: How many bytes the content has.
        cuts: The sizes of the pieces that it goes out in; the rest at once.
        end: What becomes of the connection: "stay", "close", "say close" or "reset".
        at: Where it is cut off, which response is malformed, or where the redirect goes.
        hints: How many 1xx responses come before it.
    """

    kind: str
    framing: str
    coding: str
    size: int
    cuts: tuple[int, ...]
    end: str
    at: int
    hints: int


@dataclass(frozen=True)
class Order:
    """What the client asks for."""

    method: str
    streams: bool
    hurry: bool
    deed: Deed


GOOD = ("whole", "whole", "whole", "surplus")
deeds = st.builds(
    Deed,
    kind=st.sampled_from((*GOOD, "truncated", "late", "malformed", "redirect", "early")),
    framing=st.sampled_from(("length", "chunked", "close", "none")),
    coding=st.sampled_from(("", "gzip", "deflate")),
    size=st.integers(0, 3000),
    cuts=st.lists(st.integers(1, 400), max_size=6).map(tuple),
    end=st.sampled_from(("stay", "stay", "close", "say close", "reset")),
    at=st.integers(0, 3000),
    hints=st.integers(0, 2),
)
orders = st.builds(
    Order,
    method=st.sampled_from(("GET", "GET", "POST", "HEAD")),
    streams=st.booleans(),
    hurry=st.booleans(),
    deed=deeds,
)


def content(number: int, size: int) -> bytes:
    """What the server means to answer to this request, and to no other."""
    return (b"<%d>" % number * size)[:size]


def response(number: int, method: str, deed: Deed, count: int) -> bytes:
    """The response, without a fault so far."""
    lines = [b"HTTP/1.1 200 OK"]
    body = content(number, deed.size)
    if deed.kind == "redirect":
        lines = [b"HTTP/1.1 302 Found", b"Location: /%d" % (deed.at % count)]
    if deed.framing == "none":
        lines[0] = b"HTTP/1.1 204 No Content" if deed.kind != "redirect" else lines[0]
        body = b""
        if deed.kind == "redirect":
            lines.append(b"Content-Length: 0")
    elif deed.coding:
        lines.append(b"Content-Encoding: " + deed.coding.encode())
        body = gzip.compress(body) if deed.coding == "gzip" else zlib.compress(body)
    if deed.end == "say close":
        lines.append(b"Connection: close")
    if deed.framing == "length":
        lines.append(b"Content-Length: %d" % len(body))
    elif deed.framing == "chunked":
        lines.append(b"Transfer-Encoding: chunked")
        size = max(1, deed.at % 500)
        chunks = [body[at : at + size] for at in range(0, len(body), size)]
        body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * deed.hints
    return hints + b"\r\n".join(lines) + b"\r\n\r\n" + (b"" if method == "HEAD" else body)


class Misbehaving:
    """The server's side."""

    def __init__(self, book: list[Order]) -> None:
        self.book = book
        self.posts: Counter[int] = Counter()

    async def serve(self, peer: Peer) -> None:
        while True:
            head = await peer.head()
            method, target, _ = head.decode().split(" ", 2)
            number = int(target[1:])
            deed = self.book[number].deed
            if method == "POST":
                self.posts[number] += 1
                if deed.kind != "early":
                    await peer.exactly(len(content(number, 5000)))
            if not await self.answer(peer, number, method, deed):
                return

    async def answer(self, peer: Peer, number: int, method: str, deed: Deed) -> bool:
        """Whether the connection can be used for more."""
        data = response(number, method, deed, len(self.book))
        match deed.kind:
            case "surplus" if deed.framing != "close" or method == "HEAD":
                # In one segment. What came later could be taken for an answer by anyone.
                await peer.send(data + POISON)
                return True
            case "truncated":
                data = data[: deed.at % len(data)]
            case "malformed":
                data = MALFORMED[deed.at % len(MALFORMED)] + POISON
            case "late":
                await asyncio.sleep(0.1)
        for size in deed.cuts:
            await peer.send(data[:size])
            data = data[size:]
            await asyncio.sleep(0)
        await peer.send(data)
        if deed.end == "reset":
            peer.reset()
        return (
            deed.end == "stay"
            and deed.kind not in ("truncated", "early")
            and (deed.framing != "close" or method == "HEAD")
        )


async def fetch(
    client: SimpleAsyncHTTPClient, base: str, number: int, order: Order
) -> tuple[HTTPResponse | BaseException, bytes]:
    """What a fetch gives, and what it has streamed."""
    pieces: list[bytes] = []
    options: dict[str, Any] = {}
    if order.streams:
        options["streaming_callback"] = pieces.append
    if order.method == "POST":
        options["body"] = content(number, 5000)
    if order.hurry or order.deed.kind == "malformed":
        options["request_timeout"] = 0.05
    try:
        answer = await client.fetch(f"{base}{number}", method=order.method, **options)
    except Exception as error:
        return error, b"".join(pieces)
    return answer, b"".join(pieces)


def examine(
    base: str, order: Order, got: HTTPResponse | BaseException, streamed: bytes, book: list[Order]
) -> None:
    """It is what the server meant, or an error that can be told from it."""
    if isinstance(got, HTTPClientError) and got.response is not None:
        assert got.code == 302  # one redirect too many
        return
    url = got.url if not isinstance(got, HTTPResponse) else got.effective_url
    number = int(url.removeprefix(base))
    deed = book[number].deed
    meant = b"" if order.method == "HEAD" or deed.framing == "none" else content(number, deed.size)
    if isinstance(got, HTTPResponse):
        assert deed.kind != "redirect"
        if deed.kind == "malformed":
            # Only the body was, which nobody has asked for.
            assert order.method == "HEAD"
            assert got.body == b""
        elif deed.kind == "truncated" and deed.framing == "close" and not deed.coding:
            assert meant.startswith(got.body + streamed)
        else:
            assert (streamed if order.streams else got.body) == meant
        return
    assert meant.startswith(streamed)
    assert isinstance(got, HTTPClientError | OSError), repr(got)
    methods = {order.method, "GET"} if order.method == "POST" else {order.method}
    assert got.method in methods
    check(got, url, set(Stage), got.method)


class Unhandled(logging.Handler):
    """Keeps what is logged and should not be."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if is_alarming(record):
            self.messages.append(self.format(record))


async def drive(book: list[Order], max_clients: int) -> None:
    misbehaving = Misbehaving(book)
    scripts = [misbehaving.serve] * (len(book) * 12)
    with closing(SimpleAsyncHTTPClient(force_instance=True, max_clients=max_clients)) as client:
        async with hostile(*scripts) as server:
            base = server.url("/")
            fetches = [fetch(client, base, number, order) for number, order in enumerate(book)]
            results = await asyncio.wait_for(asyncio.gather(*fetches), 20)
            for order, (got, streamed) in zip(book, results, strict=True):
                examine(base, order, got, streamed, book)
            assert max(misbehaving.posts.values(), default=1) == 1, "a POST was sent twice"
            assert (len(client.active), len(client.queue)) == (0, 0)
            # Whatever is left in the pool is sound.
            good = Deed("whole", "length", "", 10, (), "stay", 0, 0)
            book[:] = [Order("GET", False, False, good)] * len(book)
            sound = [client.fetch(f"{base}{number}") for number in range(len(book)) for _ in "ab"]
            for number, fetched in enumerate(await asyncio.gather(*sound)):
                assert fetched.body == content(number // 2, 10)


@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
@settings(max_examples=40, deadline=None)
@given(book=st.lists(orders, min_size=1, max_size=12), max_clients=st.integers(1, 6))
def test_each_fetch_gets_what_is_meant_for_it_or_an_error(
    kind: str, book: list[Order], max_clients: int
) -> None:
    def run(main: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=lambda: new_event_loop(kind)) as runner:
            runner.run(main)

    run(asyncio.sleep(0))  # the first loop may open what all of them use
    unhandled = Unhandled()
    logging.getLogger().addHandler(unhandled)
    before = descriptors()
    try:
        run(drive(list(book), max_clients))
    finally:
        logging.getLogger().removeHandler(unhandled)
    assert unhandled.messages == []
    assert descriptors() == before
