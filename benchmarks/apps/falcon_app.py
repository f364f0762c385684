"""The workloads on Falcon's ASGI application."""

import asyncio
import os

import falcon.asgi
import orjson
from falcon.asgi import Request, Response
from falcon.media import JSONHandler


class Plaintext:
    async def on_get(self, req: Request, resp: Response) -> None:
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = "Hello, World!"


class Json:
    async def on_get(self, req: Request, resp: Response) -> None:
        resp.media = {"message": "Hello, World!"}


class Echo:
    async def on_get(self, req: Request, resp: Response, name: str) -> None:
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = f"{name} {req.get_param('q')} {req.get_param('page')}"


class Async:
    async def on_get(self, req: Request, resp: Response) -> None:
        await asyncio.sleep(0)
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = "Hello, World!"


class Form:
    async def on_post(self, req: Request, resp: Response) -> None:
        fields = await req.get_media()
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = f"{fields['name']} {fields['email']} {fields['comment']}"


class Upload:
    async def on_post(self, req: Request, resp: Response) -> None:
        resp.content_type = falcon.MEDIA_TEXT
        async for part in await req.get_media():
            if part.name == "file":
                resp.text = str(len(await part.stream.read()))


class Item:
    async def on_get(self, req: Request, resp: Response, item: str) -> None:
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = item


app = falcon.asgi.App()
app.resp_options.media_handlers[falcon.MEDIA_JSON] = JSONHandler(
    dumps=orjson.dumps, loads=orjson.loads
)
app.add_route("/plaintext", Plaintext())
app.add_route("/json", Json())
app.add_route("/echo/{name}", Echo())
app.add_route("/async", Async())
app.add_route("/form", Form())
app.add_route("/upload", Upload())
app.add_static_route("/files", os.environ["FILES"])
for number in range(300):
    app.add_route(f"/route{number}/{{item}}", Item())
