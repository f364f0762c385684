"""The workloads on Starlette."""

import asyncio
import os
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from templates import page

render = page.renderer("jinja2")


class OrjsonResponse(JSONResponse):
    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


async def plaintext(request: Request) -> PlainTextResponse:
    return PlainTextResponse("Hello, World!")


async def json(request: Request) -> OrjsonResponse:
    return OrjsonResponse({"message": "Hello, World!"})


async def echo(request: Request) -> PlainTextResponse:
    query = request.query_params
    return PlainTextResponse(f"{request.path_params['name']} {query['q']} {query['page']}")


async def template(request: Request) -> HTMLResponse:
    return HTMLResponse(render())


async def awaiting(request: Request) -> PlainTextResponse:
    await asyncio.sleep(0)
    return PlainTextResponse("Hello, World!")


async def form(request: Request) -> PlainTextResponse:
    async with request.form() as fields:
        return PlainTextResponse(f"{fields['name']} {fields['email']} {fields['comment']}")


async def upload(request: Request) -> PlainTextResponse:
    async with request.form() as fields:
        file = fields["file"]
        assert isinstance(file, UploadFile)
        return PlainTextResponse(str(len(await file.read())))


async def item(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.path_params["item"])


app = Starlette(
    routes=[
        Route("/plaintext", plaintext),
        Route("/json", json),
        Route("/echo/{name}", echo),
        Route("/async", awaiting),
        Route("/template", template),
        Route("/form", form, methods=["POST"]),
        Route("/upload", upload, methods=["POST"]),
        Mount("/files", StaticFiles(directory=os.environ["FILES"])),
        *(Route(f"/route{number}/{{item}}", item) for number in range(300)),
    ]
)
