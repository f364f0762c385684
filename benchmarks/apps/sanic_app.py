"""The workloads on Sanic, served by its own server in one process."""

import asyncio
import os

import orjson
from sanic import HTTPResponse, Request, Sanic, json, text

app = Sanic("benchmark", dumps=orjson.dumps, loads=orjson.loads, configure_logging=False)
app.config.ACCESS_LOG = False
app.config.KEEP_ALIVE_TIMEOUT = 300


@app.get("/plaintext")
async def plaintext(request: Request) -> HTTPResponse:
    return text("Hello, World!")


@app.get("/json")
async def json_message(request: Request) -> HTTPResponse:
    return json({"message": "Hello, World!"})


@app.get("/echo/<name:str>", unquote=True)
async def echo(request: Request, name: str) -> HTTPResponse:
    return text(f"{name} {request.args.get('q')} {request.args.get('page')}")


@app.get("/async")
async def awaiting(request: Request) -> HTTPResponse:
    await asyncio.sleep(0)
    return text("Hello, World!")


@app.post("/form")
async def form(request: Request) -> HTTPResponse:
    fields = request.form
    return text(f"{fields.get('name')} {fields.get('email')} {fields.get('comment')}")


@app.post("/upload")
async def upload(request: Request) -> HTTPResponse:
    return text(str(len(request.files.get("file").body)))


async def item(request: Request, item: str) -> HTTPResponse:
    return text(item)


app.static("/files", os.environ["FILES"])
for number in range(300):
    app.add_route(item, f"/route{number}/<item:str>", name=f"item{number}")

if __name__ == "__main__":
    app.run(
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        single_process=True,
        access_log=False,
        motd=False,
    )
