"""What programs that watch or change handlers from outside rely on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from typhoon.web import Application, HTTPError, RequestHandler, stream_request_body


class Page(RequestHandler):
    def initialize(self, **kwargs: Any) -> None:
        self.calls: list[str] = []

    def prepare(self) -> None:
        self.calls.append("prepare")

    def get(self, *args: str, **kwargs: str) -> None:
        self.calls.append("get")
        if self.get_argument("fail", None):
            raise HTTPError(418)
        self.write({"args": args, "kwargs": kwargs, "calls": self.calls})

    def post(self) -> None:
        self.write(self.request.body)


class AsyncPage(Page):
    async def get(self, *args: str, **kwargs: str) -> None:
        await asyncio.sleep(0)
        super().get(*args, **kwargs)


@pytest.mark.parametrize("page", [Page, AsyncPage])
def test_execute_replaced_by_a_wrapper(serve, monkeypatch, page):
    seen: list[Any] = []
    original = RequestHandler._execute

    async def watched(self: RequestHandler, transforms: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append((self.request.path, args, kwargs))
        try:
            return await original(self, transforms, *args, **kwargs)
        finally:
            seen.append((self.get_status(), self._finished))

    monkeypatch.setattr(RequestHandler, "_execute", watched)
    app = Application([(r"/args/(.*)", page), (r"/named/(?P<n>.*)", page), ("/", page)])
    server = serve(app)
    client = server.connect()
    assert (
        client.get("/args/x%20y").text
        == '{"args": ["x y"], "kwargs": {}, "calls": ["prepare", "get"]}'
    )
    assert '"kwargs": {"n": "z"}' in client.get("/named/z").text
    assert client.get("/?fail=1").status == 418
    assert client.post("/", b"body").body == b"body"
    server.call()
    assert seen == [
        ("/args/x%20y", (b"x y",), {}),
        (200, True),
        ("/named/z", (), {"n": b"z"}),
        (200, True),
        ("/", (), {}),
        (418, True),
        ("/", (), {}),
        (200, True),
    ]
    assert not app._tasks


def test_execute_overridden_by_a_handler(serve, caplog):
    class Own(Page):
        async def _execute(self, transforms: Any, *args: Any, **kwargs: Any) -> None:
            if self.get_argument("raise", None):
                raise ValueError("in _execute")
            if self.get_argument("own", None):
                self.finish("own")
                return
            await super()._execute(transforms, *args, **kwargs)

    client = serve(Application([("/", Own)])).connect()
    assert client.get("/?own=1").text == "own"
    assert client.get("/").status == 200
    assert client.get("/?raise=1").status == 500
    assert "in _execute" in caplog.text


def test_a_streaming_handler_with_execute_overridden(serve):
    @stream_request_body
    class Own(RequestHandler):
        async def _execute(self, transforms: Any, *args: Any, **kwargs: Any) -> None:
            if self.get_argument("own", None):
                await self.finish("own")
                return
            await super()._execute(transforms, *args, **kwargs)

        def prepare(self) -> None:
            self.body = b""

        def data_received(self, chunk: bytes) -> None:
            self.body += chunk

        def post(self) -> None:
            self.write(self.body)

    app = Application([("/", Own)])
    server = serve(app)
    assert server.post("/", b"body").body == b"body"
    assert server.post("/?own=1", b"body").body == b"own"
    server.call()
    assert not app._tasks


def test_log_exception_replaced(serve, monkeypatch):
    seen = []
    original = RequestHandler.log_exception

    def watched(self: RequestHandler, typ: Any, value: Any, tb: Any) -> Any:
        seen.append((typ, value.status_code, tb is not None))
        return original(self, typ, value, tb)

    monkeypatch.setattr(RequestHandler, "log_exception", watched)
    assert serve(Application([("/", Page)])).get("/?fail=1").status == 418
    assert seen == [(HTTPError, 418, True)]


def test_init_replaced(serve, monkeypatch):
    seen = []
    original = RequestHandler.__init__

    def watched(self: Any, application: Any, request: Any, **kwargs: Any) -> None:
        seen.append((type(self), request.path, kwargs))
        original(self, application, request, **kwargs)

    monkeypatch.setattr(RequestHandler, "__init__", watched)
    assert serve(Application([("/", Page, {"a": 1})])).get("/").status == 200
    assert seen == [(Page, "/", {"a": 1})]


@pytest.mark.parametrize("name", ["prepare", "on_finish", "finish", "write_error", "log_request"])
def test_other_methods_replaced(serve, monkeypatch, name):
    seen = []
    owner: Any = Application if name == "log_request" else RequestHandler
    original = getattr(owner, name)

    def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(name)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(owner, name, watched)

    class Plain(RequestHandler):
        def get(self) -> None:
            raise HTTPError(400)

    server = serve(Application([("/", Plain)]))
    server.get("/")
    server.call()
    assert seen == [name]


def test_the_type_of_a_request_in_the_log_function(serve):
    seen: list[Any] = []

    def log_function(handler: RequestHandler) -> None:
        seen.append(
            (
                handler.get_status(),
                handler.request.method,
                handler.request.uri,
                handler.request.remote_ip,
                handler.request.request_time() >= 0,
            )
        )

    server = serve(Application([("/x", Page)], log_function=log_function))
    server.get("/x?a=1")
    server.get("/other")
    server.call()
    assert seen == [
        (200, "GET", "/x?a=1", "127.0.0.1", True),
        (404, "GET", "/other", "127.0.0.1", True),
    ]


def test_prepare_and_on_finish_set_on_a_handler(serve):
    done: list[int] = []

    class Marked(RequestHandler):
        def initialize(self) -> None:
            self.prepare = lambda: self.set_header("X-Prepared", "yes")

        def get(self) -> None:
            self.on_finish = lambda: done.append(self.get_status())
            self.write("body")

    server = serve(Application([("/", Marked)]))
    assert server.connect().get("/").header("X-Prepared") == "yes"
    server.call()
    assert done == [200]
