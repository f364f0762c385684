"""The workloads as bare ASGI: what uvicorn and granian can do with no framework above them.

ASGI has no router, no multipart parser and no static files, so those workloads are missing.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import orjson

from templates import page

render = page.renderer("minijinja")

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

TEXT = b"text/plain; charset=utf-8"


async def respond(send: Send, body: bytes, content_type: bytes = TEXT) -> None:
    headers = [(b"content-type", content_type), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def plaintext(scope: Scope, receive: Receive, send: Send) -> None:
    await respond(send, b"Hello, World!")


async def json(scope: Scope, receive: Receive, send: Send) -> None:
    await respond(send, orjson.dumps({"message": "Hello, World!"}), b"application/json")


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    name = scope["path"].removeprefix("/echo/")
    query = parse_qs(scope["query_string"].decode())
    await respond(send, f"{name} {query['q'][0]} {query['page'][0]}".encode())


async def template(scope: Scope, receive: Receive, send: Send) -> None:
    await respond(send, str(render()).encode(), b"text/html; charset=utf-8")


async def awaiting(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.sleep(0)
    await respond(send, b"Hello, World!")


async def form(scope: Scope, receive: Receive, send: Send) -> None:
    body = b""
    more = True
    while more:
        event = await receive()
        body += event["body"]
        more = event["more_body"]
    fields = parse_qs(body.decode())
    text = f"{fields['name'][0]} {fields['email'][0]} {fields['comment'][0]}"
    await respond(send, text.encode())


HANDLERS = {
    "/plaintext": plaintext,
    "/json": json,
    "/async": awaiting,
    "/form": form,
    "/template": template,
}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    handler = HANDLERS.get(scope["path"], echo)
    await handler(scope, receive, send)
