"""Servers that HTTP clients are tested with: one that behaves, and others that do not."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from typhoon.escape import json_decode
from typhoon.testing import bind_unused_port
from typhoon.web import Application, RequestHandler, stream_request_body


class Echo(RequestHandler):
    """Says what it was asked."""

    def answer(self) -> None:
        request = self.request
        self.write(
            {
                "method": request.method,
                "uri": request.uri,
                "body": request.body.decode("latin-1"),
                "headers": dict(request.headers.get_all()),
            }
        )

    get = post = put = delete = patch = options = head = answer


class Redirect(RequestHandler):
    def answer(self) -> None:
        self.set_status(int(self.get_argument("status", "302")))
        self.set_header("Location", self.get_argument("to"))
        self.finish("not to be seen")

    get = post = put = answer


class Countdown(RequestHandler):
    def get(self, count: str) -> None:
        if int(count):
            self.redirect(f"/countdown/{int(count) - 1}")
        else:
            self.write("zero")


class Pieces(RequestHandler):
    async def get(self) -> None:
        for piece in (b"one ", b"two ", b"three"):
            self.write(piece)
            await self.flush()


class Forbidden(RequestHandler):
    """Answers before the body comes."""

    def prepare(self) -> None:
        self.set_status(403)
        self.finish("forbidden")


Forbidden = stream_request_body(Forbidden)


class Zipped(RequestHandler):
    def get(self) -> None:
        self.set_header("Content-Encoding", "gzip")
        self.set_header("Asked", self.request.headers.get("Accept-Encoding", "nothing"))
        self.write(gzip.compress(b"a" * 100_000))


APP = Application(
    [
        ("/echo", Echo),
        ("/redirect", Redirect),
        ("/countdown/([0-9]+)", Countdown),
        ("/pieces", Pieces),
        ("/forbidden", Forbidden),
        ("/zipped", Zipped),
    ]
)


def echoed(response: Any) -> dict[str, Any]:
    return json_decode(response.body)


@asynccontextmanager
async def raw_server(
    handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    """A server that does what it likes with each connection once it has a head; its URL."""
    tasks = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.current_task())
        try:
            await handle(reader, writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    sock, port = bind_unused_port()
    async with await asyncio.start_server(serve, sock=sock):
        yield f"http://127.0.0.1:{port}/"
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def answers(data: bytes) -> Any:
    """A server that answers with these bytes."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(data)
        await writer.drain()

    return raw_server(handle)


def hangs() -> Any:
    """A server that never answers."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    return raw_server(handle)
