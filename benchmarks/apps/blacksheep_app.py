"""The workloads on BlackSheep."""

import asyncio
import os
from typing import Any

import orjson
from blacksheep import Application, Request, Response, json, text
from blacksheep.settings.json import json_settings


def dumps(value: Any) -> str:
    return orjson.dumps(value).decode()


json_settings.use(loads=orjson.loads, dumps=dumps)
app = Application()
get = app.router.get
post = app.router.post


@get("/plaintext")
async def plaintext(request: Request) -> Response:
    return text("Hello, World!")


@get("/json")
async def json_message(request: Request) -> Response:
    return json({"message": "Hello, World!"})


@get("/echo/{name}")
async def echo(request: Request) -> Response:
    query = request.query
    return text(f"{request.route_values['name']} {query['q'][0]} {query['page'][0]}")


@get("/async")
async def awaiting(request: Request) -> Response:
    await asyncio.sleep(0)
    return text("Hello, World!")


@post("/form")
async def form(request: Request) -> Response:
    fields = await request.form()
    return text(f"{fields['name']} {fields['email']} {fields['comment']}")


@post("/upload")
async def upload(request: Request) -> Response:
    for part in await request.multipart():
        if part.name == b"file":
            return text(str(len(part.file.read())))
    return text("no file")


async def item(request: Request) -> Response:
    return text(request.route_values["item"])


app.serve_files(os.environ["FILES"], root_path="files", extensions={".bin"})
for number in range(300):
    get(f"/route{number}/{{item}}")(item)
