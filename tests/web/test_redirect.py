"""RedirectHandler, ErrorHandler, FallbackHandler, and the decorators about slashes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from typhoon.httputil import HTTPHeaders, ResponseStartLine
from typhoon.web import (
    Application,
    ErrorHandler,
    FallbackHandler,
    RedirectHandler,
    RequestHandler,
    addslash,
    removeslash,
)


@pytest.mark.parametrize(
    ("pattern", "arguments", "target", "status", "location"),
    [
        ("/a", {"url": "/b"}, "/a", 301, "/b"),
        ("/a", {"url": "/b", "permanent": False}, "/a", 302, "/b"),
        (r"/a/(.*)/(.*)", {"url": "/b/{1}/{0}"}, "/a/x/y", 301, "/b/y/x"),
        (r"/a/(?P<n>.*)", {"url": "/b/{n}"}, "/a/x", 301, "/b/x"),
        ("/a", {"url": "https://example.com/x"}, "/a", 301, "https://example.com/x"),
        ("/a", {"url": "/b"}, "/a?x=1&x=2&y=%20z", 301, "/b?x=1&x=2&y=+z"),
        ("/a", {"url": "/b?own=1"}, "/a?x=1", 301, "/b?own=1&x=1"),
        ("/a", {"url": "/b"}, "/a?x=%ff", 301, "/b?x=%FF"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_redirect_handler(serve, pattern, arguments, target, status, location, method):
    client = serve(Application([(pattern, RedirectHandler, arguments)])).connect()
    answer = client.request(method, target)
    assert (answer.status, answer.header("Location")) == (status, location)


def test_redirect_handler_answers_get_and_head_only(serve):
    server = serve(Application([("/", RedirectHandler, {"url": "/b"})]))
    assert server.post("/", b"").status == 405


@pytest.mark.parametrize(
    ("url", "group", "location"),
    [
        ("/b/{0}", "x", "/b/x"),
        ("/b/{0}", "x%0d%0aX-Injected:%201", None),
        ("/{0}", "x", "/x"),
        ("/{0}", "/evil.example", None),
        ("/{0}", "%5Cevil.example", None),
        ("/{0}", "%09/evil.example", None),
        ("{0}", "a/b", "a/b"),
        ("{0}", "https://evil.example", None),
        ("{0}", "%20%09https:evil.example", None),
        ("{0}", "javascript:alert(1)", None),
        ("https://good.example{0}", "/x", "https://good.example/x"),
        ("https://good.example{0}", "%3Fx", "https://good.example?x"),
        ("https://good.example{0}", "@evil.example", None),
        ("https://good.example{0}", ".evil.example", None),
        ("https://good.example{0}", ":8080/", None),
        ("https:{0}", "evil.example", None),
        ("https://{0}/", "evil.example", None),
        ("/{{}}/{0}", "x", "/{}/x"),
    ],
)
def test_a_group_cannot_lead_elsewhere(serve, url, group, location):
    app = Application([(r"/a/(.*)", RedirectHandler, {"url": url})])
    answer = serve(app).get("/a/" + group)
    assert (answer.status, answer.header("Location")) == (301 if location else 400, location)
    assert answer.header("X-Injected") is None


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_error_handler(serve, method):
    app = Application([("/", ErrorHandler, {"status_code": 451})])
    client = serve(app).connect()
    body = b"" if method != "GET" else None
    assert client.request(method, "/", body=body).status == 451


@pytest.mark.parametrize("body", [b"", b"sent"])
def test_fallback_handler(serve, body):
    logged = []

    def fallback(request: Any) -> None:
        answer = b"fallback " + request.method.encode() + b" " + request.body
        headers = HTTPHeaders({"Content-Length": str(len(answer))})
        request.connection.write_headers(ResponseStartLine("", 201, "Own"), headers, answer)
        request.connection.finish()

    class Logged(FallbackHandler):
        def on_finish(self) -> None:
            logged.append(self.request.path)

    server = serve(Application([("/.*", Logged, {"fallback": fallback})]))
    client = server.connect()
    for method in ("POST", "PUT"):
        answer = client.request(method, "/x", body=body)
        expected = (201, "Own", b"fallback " + method.encode() + b" " + body)
        assert (answer.status, answer.reason, answer.body) == expected
    server.call()
    assert logged == ["/x", "/x"]


def test_an_application_as_the_fallback_of_another(serve):
    class Inner(RequestHandler):
        async def post(self) -> None:
            await asyncio.sleep(0)
            self.write(b"inner " + self.request.body)

    inner = Application([("/.*", Inner)])
    outer = Application([("/.*", FallbackHandler, {"fallback": inner})])
    client = serve(outer).connect()
    assert [client.post("/", b"body").body for _ in range(2)] == [b"inner body"] * 2


class Slashes(RequestHandler):
    @addslash
    def get(self) -> None:
        self.write("with")

    head = get

    @addslash
    def post(self) -> None:
        self.write("with")


class NoSlashes(RequestHandler):
    @removeslash
    async def get(self) -> None:
        self.write("without")

    head = get

    @removeslash
    def post(self) -> None:
        self.write("without")


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/add", "/add/"),
        ("/add?a=1&b=%20", "/add/?a=1&b=%20"),
        ("/add/", None),
        ("//evil.example/add", 403),
        ("/remove/", "/remove"),
        ("/remove///", "/remove"),
        ("/remove/?a=1", "/remove?a=1"),
        ("/remove", None),
        ("//evil.example/remove/", 403),
        ("//evil.example//remove/", 403),
        ("/\\evil.example/remove/", 403),
    ],
)
def test_slashes(serve, target, location):
    app = Application([(r".*/add/?", Slashes), (r".*/remove/*", NoSlashes)])
    client = serve(app).connect()
    for method in ("GET", "HEAD"):
        answer = client.request(method, target)
        if isinstance(location, str):
            assert (answer.status, answer.header("Location")) == (301, location)
        else:
            assert (answer.status, answer.header("Location")) == (location or 200, None)
    assert client.post(target, b"").status == (200 if location is None else 404)


def test_the_root_keeps_its_slash(serve):
    client = serve(Application([("/", NoSlashes)])).connect()
    assert client.get("/").text == "without"
