"""The workloads on socketify's own API (it has no multipart parser)."""

import asyncio
import os
from urllib.parse import parse_qs, unquote

import orjson
from socketify import App, Request, Response
from socketify.dataclasses import AppListenOptions


def plaintext(res: Response, req: Request) -> None:
    res.end("Hello, World!")


def json(res: Response, req: Request) -> None:
    res.send(orjson.dumps({"message": "Hello, World!"}), content_type=b"application/json")


def echo(res: Response, req: Request) -> None:
    res.end(f"{unquote(req.get_parameter(0))} {req.get_query('q')} {req.get_query('page')}")


async def awaiting(res: Response, req: Request) -> None:
    await asyncio.sleep(0)
    res.cork_end("Hello, World!")


async def form(res: Response, req: Request) -> None:
    # get_form_urlencoded() refuses characters outside ASCII and decodes a plus sign twice.
    fields = parse_qs(await res.get_text())
    text = f"{fields['name'][0]} {fields['email'][0]} {fields['comment'][0]}"
    res.cork_end(text)


def item(res: Response, req: Request) -> None:
    res.end(req.get_parameter(0))


if __name__ == "__main__":
    # Without a pool of response objects it crashes under load (its issue 166); no slower with one.
    app = App(request_response_factory_max_items=20_000)
    app.get("/plaintext", plaintext)
    app.get("/json", json)
    app.get("/echo/:name", echo)
    app.get("/async", awaiting)
    app.post("/form", form)
    app.static("/files", os.environ["FILES"])
    for number in range(300):
        app.get(f"/route{number}/:item", item)
    app.listen(AppListenOptions(port=int(os.environ["PORT"]), host="127.0.0.1"))
    app.run()
