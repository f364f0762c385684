"""The workloads on aiohttp, served by its own runner on uvloop."""

import asyncio
import os

import orjson
import uvloop
from aiohttp import web

from templates import page

render = page.renderer("mako")


async def plaintext(request: web.Request) -> web.Response:
    return web.Response(text="Hello, World!")


async def json(request: web.Request) -> web.Response:
    return web.Response(
        body=orjson.dumps({"message": "Hello, World!"}), content_type="application/json"
    )


async def echo(request: web.Request) -> web.Response:
    query = request.query
    return web.Response(text=f"{request.match_info['name']} {query['q']} {query['page']}")


async def template(request: web.Request) -> web.Response:
    return web.Response(text=str(render()), content_type="text/html")


async def awaiting(request: web.Request) -> web.Response:
    await asyncio.sleep(0)
    return web.Response(text="Hello, World!")


async def form(request: web.Request) -> web.Response:
    fields = await request.post()
    return web.Response(text=f"{fields['name']} {fields['email']} {fields['comment']}")


async def upload(request: web.Request) -> web.Response:
    file = (await request.post())["file"]
    assert isinstance(file, web.FileField)
    return web.Response(text=str(len(file.file.read())))


async def item(request: web.Request) -> web.Response:
    return web.Response(text=request.match_info["item"])


if __name__ == "__main__":
    app = web.Application(client_max_size=16 << 20)
    app.add_routes(
        [
            web.get("/plaintext", plaintext),
            web.get("/json", json),
            web.get("/echo/{name}", echo),
            web.get("/async", awaiting),
            web.get("/template", template),
            web.post("/form", form),
            web.post("/upload", upload),
            web.static("/files", os.environ["FILES"]),
            *(web.get(f"/route{number}/{{item}}", item) for number in range(300)),
        ]
    )
    web.run_app(
        app,
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        access_log=None,
        print=None,
        loop=uvloop.new_event_loop(),
    )
