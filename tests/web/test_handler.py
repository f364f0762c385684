"""How a handler is run: the order of its calls, its methods, and what it may write."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

from typhoon.web import Application, HTTPError, RequestHandler


class Recorder(RequestHandler):
    """Notes the order of its calls, in a list that the rule gives it."""

    def initialize(self, calls: list[str]) -> None:
        self.calls = calls
        calls.append("initialize")

    def prepare(self) -> Any:
        self.calls.append("prepare")

    def get(self, *args: str) -> Any:
        self.calls.append("get")
        self.write("body")

    def on_finish(self) -> None:
        self.calls.append("on_finish")


class AsyncPrepare(Recorder):
    async def prepare(self) -> None:
        await asyncio.sleep(0)
        self.calls.append("prepare")


class AsyncGet(Recorder):
    async def get(self) -> None:
        await asyncio.sleep(0)
        self.calls.append("get")
        self.write("body")


class AsyncBoth(AsyncPrepare, AsyncGet):
    pass


class FutureGet(Recorder):
    """What decorators of older code give: a future in place of a coroutine."""

    def get(self) -> asyncio.Future[None]:
        async def work() -> None:
            await asyncio.sleep(0)
            self.calls.append("get")
            self.write("body")

        return asyncio.ensure_future(work())


class Unawaited(Recorder):
    """A coroutine that never has to wait."""

    async def get(self) -> None:
        self.calls.append("get")
        self.write("body")


ORDER = ["initialize", "prepare", "get", "on_finish"]


@pytest.mark.parametrize(
    "handler", [Recorder, AsyncPrepare, AsyncGet, AsyncBoth, FutureGet, Unawaited]
)
def test_calls_come_in_the_documented_order(serve, handler, loop_kind):
    calls: list[str] = []
    server = serve(Application([("/", handler, {"calls": calls})]), loop_kind=loop_kind)
    answer = server.get("/")
    assert (answer.status, answer.body) == (200, b"body")
    server.call()
    assert calls == ORDER


@pytest.mark.parametrize("base", [Recorder, AsyncPrepare])
@pytest.mark.parametrize("end", ["finish", "redirect", "send_error", "raise"])
def test_nothing_is_called_behind_a_prepare_that_ends_the_request(serve, base, end):
    calls: list[str] = []

    class Handler(base):
        def prepare(self) -> Any:
            def act() -> None:
                match end:
                    case "finish":
                        self.finish("early")
                    case "redirect":
                        self.redirect("/elsewhere")
                    case "send_error":
                        self.send_error(403)
                    case "raise":
                        raise HTTPError(403)

            if base is Recorder:
                super().prepare()
                act()
                return None

            async def later() -> None:
                await base.prepare(self)
                act()

            return later()

    server = serve(Application([("/", Handler, {"calls": calls})]))
    status = {"finish": 200, "redirect": 302, "send_error": 403, "raise": 403}[end]
    assert server.get("/").status == status
    server.call()
    assert calls == ["initialize", "prepare", "on_finish"]


def test_each_request_has_a_handler_of_its_own(serve):
    seen = []

    class Handler(RequestHandler):
        def get(self) -> None:
            assert not hasattr(self, "mark")
            self.mark = True
            seen.append(self)

    server = serve(Application([("/", Handler)]))
    client = server.connect()
    assert [client.get("/").status for _ in range(3)] == [200] * 3
    assert len(set(map(id, seen))) == 3


def test_async_handlers_run_in_a_task(serve):
    class Handler(RequestHandler):
        async def get(self) -> None:
            assert asyncio.current_task() is not None
            async with asyncio.timeout(10), asyncio.TaskGroup() as group:
                child = group.create_task(asyncio.sleep(0, "nested"))
            self.write(child.result())

    assert serve(Application([("/", Handler)])).get("/").text == "nested"


METHODS = ["GET", "HEAD", "POST", "DELETE", "PATCH", "PUT", "OPTIONS"]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_its_function(serve, method):
    class Handler(RequestHandler):
        pass

    def act(self: RequestHandler, name: str) -> None:
        self.set_header("X-Method", f"{method} {name}")

    setattr(Handler, method.lower(), act)
    server = serve(Application([("/(.*)", Handler)]))
    client = server.connect()
    answer = client.request(method, "/path")
    assert (answer.status, answer.header("X-Method")) == (200, f"{method} path")
    for other in set(METHODS) - {method}:
        assert client.request(other, "/path").status == 405


@pytest.mark.parametrize("method", ["PURGE", "get", "_BEGIN", "FINISH", "PREPARE"])
def test_methods_that_are_not_supported_are_405(serve, method):
    calls = []

    class Handler(RequestHandler):
        def prepare(self) -> None:
            calls.append("prepare")

        def get(self) -> None:
            calls.append("get")

    answer = serve(Application([("/", Handler)])).connect().request(method, "/")
    assert (answer.status, answer.header("Allow")) == (405, "GET")
    assert calls == []


def test_further_methods_can_be_supported(serve):
    class Handler(RequestHandler):
        SUPPORTED_METHODS = (*RequestHandler.SUPPORTED_METHODS, "PROPFIND")

        def propfind(self) -> None:
            self.write("found")

    client = serve(Application([("/", Handler)])).connect()
    assert client.request("PROPFIND", "/").text == "found"
    assert client.request("PURGE", "/").status == 405


def test_undefined_methods_are_told_by_identity():
    class Handler(RequestHandler):
        def get(self) -> None:
            pass

    assert Handler.post is RequestHandler._unimplemented_method
    assert Handler.get is not RequestHandler._unimplemented_method


def test_groups_of_the_pattern_are_arguments(serve):
    class Handler(RequestHandler):
        def get(self, *args: Any, **kwargs: Any) -> None:
            assert (list(args), kwargs) == (self.path_args, self.path_kwargs)
            self.write({"args": args, "kwargs": kwargs})

    server = serve(
        Application(
            [
                (r"/args/(\w+)(?:/(\w+))?", Handler),
                (r"/named/(?P<one>[^/]+)/(?P<two>.*)", Handler),
                (r"/none", Handler),
            ]
        )
    )
    get = lambda target: json.loads(server.get(target).body)  # noqa: E731
    assert get("/args/a/b") == {"args": ["a", "b"], "kwargs": {}}
    assert get("/args/a") == {"args": ["a", None], "kwargs": {}}
    assert get("/named/x%20y/%C3%A9+%2F") == {"args": [], "kwargs": {"one": "x y", "two": "é+/"}}
    assert get("/none") == {"args": [], "kwargs": {}}
    assert server.get("/named/a/%ff").status == 400


@pytest.mark.parametrize(
    ("chunk", "body", "content_type"),
    [
        ("text é", "text é".encode(), "text/html; charset=UTF-8"),
        (b"\x00\xff", b"\x00\xff", "text/html; charset=UTF-8"),
        (bytearray(b"array"), b"array", "text/html; charset=UTF-8"),
        (memoryview(b"view"), b"view", "text/html; charset=UTF-8"),
        (
            {"a": ["</x>", 1, None]},
            b'{"a": ["<\\/x>", 1, null]}',
            "application/json; charset=UTF-8",
        ),
        ("", b"", "text/html; charset=UTF-8"),
    ],
)
@pytest.mark.parametrize("by", ["write", "finish"])
def test_what_can_be_written(serve, chunk, body, content_type, by):
    class Handler(RequestHandler):
        def get(self) -> None:
            getattr(self, by)(chunk)

    answer = serve(Application([("/", Handler)])).get("/")
    assert (answer.status, answer.body) == (200, body)
    assert answer.header("Content-Type") == content_type
    assert answer.header("Content-Length") == str(len(body))


@pytest.mark.parametrize("chunk", [[1, 2], None, 5, object()])
def test_what_cannot_be_written_is_a_500(serve, chunk):
    class Handler(RequestHandler):
        def get(self) -> None:
            self.write("lost")
            with pytest.raises(TypeError, match="only accepts") as error:
                self.write(chunk)
            assert ("security" in str(error.value)) == isinstance(chunk, list)
            raise error.value

    answer = serve(Application([("/", Handler)])).get("/")
    assert answer.status == 500
    assert b"lost" not in answer.body


def test_the_content_type_of_a_dict_can_be_changed_behind_it(serve):
    class Handler(RequestHandler):
        def get(self) -> None:
            self.write({"a": 1})
            self.set_header("Content-Type", "application/vnd.x+json")

    answer = serve(Application([("/", Handler)])).get("/")
    assert answer.header("Content-Type") == "application/vnd.x+json"


def test_finish_twice_and_write_behind_finish_are_errors(serve, caplog):
    raised = []

    class Handler(RequestHandler):
        def get(self) -> None:
            self.finish("whole")
            for call in (lambda: self.write("more"), self.finish):
                try:
                    call()
                except RuntimeError as error:
                    raised.append(str(error))
            raise ValueError("logged only")

    server = serve(Application([("/", Handler)]))
    client = server.connect()
    assert [client.get("/").text for _ in range(2)] == ["whole", "whole"]
    assert raised[:2] == ["Cannot write() after finish()", "finish() called twice"]
    server.call()
    failures = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert len(failures) == 2
    assert all(record.exc_info for record in failures)


def test_a_handler_may_finish_later_without_a_coroutine(serve):
    class Handler(RequestHandler):
        _auto_finish = False

        def get(self) -> None:
            asyncio.get_running_loop().call_soon(self.finish, "later")

    client = serve(Application([("/", Handler)])).connect()
    assert [client.get("/").text for _ in range(2)] == ["later"] * 2


def test_head_is_get_without_the_body(serve):
    class Handler(RequestHandler):
        def get(self) -> None:
            self.write("12345")

        head = get

    client = serve(Application([("/", Handler)])).connect()
    answer = client.request("HEAD", "/")
    assert (answer.header("Content-Length"), answer.body) == ("5", b"")
    assert answer.header("Etag") == client.get("/").header("Etag")


def test_the_private_names_that_programs_use(serve):
    class Handler(RequestHandler):
        def get(self) -> None:
            assert (self._status_code, self._reason) == (200, "OK")
            assert not self._finished
            assert not self._headers_written
            self.set_status(201)
            assert (self._status_code, self._reason) == (201, "Created")
            self._headers["X-A"] = "1"
            assert self._headers.get("x-a") == "1"
            self.write("a")
            assert self._write_buffer == [b"a"]
            self._transforms = []
            assert self._auto_finish
            assert isinstance(self.request._start_time, float)
            assert self.request.connection.context._orig_remote_ip == "127.0.0.1"

        def on_finish(self) -> None:
            assert self._finished
            assert self._headers_written

    answer = serve(Application([("/", Handler)])).get("/")
    assert (answer.status, answer.header("X-A"), answer.body) == (201, "1", b"a")
