"""The workloads on Typhoon, written with Tornado's API; tornado_app.py runs this file too."""

import asyncio
import os

import uvloop

from templates import page
from typhoon.ioloop import IOLoop
from typhoon.web import Application, RequestHandler, StaticFileHandler


class Plaintext(RequestHandler):
    def get(self) -> None:
        self.write("Hello, World!")


class Json(RequestHandler):
    def get(self) -> None:
        self.write({"message": "Hello, World!"})


class Echo(RequestHandler):
    def get(self, name: str) -> None:
        self.write(f"{name} {self.get_query_argument('q')} {self.get_query_argument('page')}")


class Template(RequestHandler):
    def get(self) -> None:
        self.render("page.html", **page.DATA)


class Async(RequestHandler):
    async def get(self) -> None:
        await asyncio.sleep(0)
        self.write("Hello, World!")


class Form(RequestHandler):
    def post(self) -> None:
        fields = (self.get_body_argument(name) for name in ("name", "email", "comment"))
        self.write(" ".join(fields))


class Upload(RequestHandler):
    def post(self) -> None:
        self.write(str(len(self.request.files["file"][0].body)))


class Item(RequestHandler):
    def get(self, item: str) -> None:
        self.write(item)


if __name__ == "__main__":
    asyncio.set_event_loop(uvloop.new_event_loop())
    app = Application(
        [
            (r"/plaintext", Plaintext),
            (r"/json", Json),
            (r"/echo/([^/]+)", Echo),
            (r"/async", Async),
            (r"/template", Template),
            (r"/form", Form),
            (r"/upload", Upload),
            (r"/files/(.*)", StaticFileHandler, {"path": os.environ["FILES"]}),
            *((rf"/route{number}/([^/]+)", Item) for number in range(300)),
        ],
        log_function=lambda handler: None,
        template_path=page.TORNADO,
    )
    app.listen(int(os.environ["PORT"]), address="127.0.0.1")
    IOLoop.current().start()
