"""`Application`: rules, hosts, nesting, settings, logs."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any

import pytest

from typhoon.httputil import HTTPHeaders, ResponseStartLine
from typhoon.routing import AnyMatches, HostMatches, PathMatches, Rule, RuleRouter
from typhoon.web import Application, RequestHandler, URLSpec, url


class Named(RequestHandler):
    """Answers the name that its rule gives it, and the groups of the pattern."""

    def initialize(self, name: str = "default") -> None:
        self.name = name

    def get(self, *args: str, **kwargs: str) -> None:
        self.write(" ".join([self.name, *args, *kwargs.values()]))

    def post(self, *args: str, **kwargs: str) -> None:
        self.write(f"{self.name} {self.request.body.decode()}")


def named(pattern: Any, name: str) -> tuple[Any, ...]:
    return (pattern, Named, {"name": name})


def respond(request: Any, **kwargs: Any) -> None:
    body = b"function " + request.body
    headers = HTTPHeaders({"Content-Length": str(len(body))})
    request.connection.write_headers(ResponseStartLine("", 200, "OK"), headers, body)
    request.connection.finish()


def test_rules_of_every_kind(serve):
    app = Application(
        [
            named("/tuple", "tuple"),
            [*named("/list", "list")],
            url("/url", Named, {"name": "url"}, name="of-url"),
            URLSpec("/spec/(.*)", Named, {"name": "spec"}),
            (re.compile("/compiled"), Named, {"name": "compiled"}),
            ("/dotted", "test_application.Named"),
            (PathMatches("/matcher"), Named, {"name": "matcher"}),
            Rule(PathMatches("/rule"), Named, {"name": "rule"}, "of-rule"),
            ("/function", respond),
            ("/nested/.*", [named("/nested/a", "nested"), ("/nested/f", respond)]),
            ("/router/.*", RuleRouter([Rule(PathMatches("/router/f"), respond)])),
            ("/app/.*", Application([named("/app/(.*)", "app")])),
            (HostMatches("host.example"), [named("/host", "host")]),
        ]
    )
    client = serve(app).connect()
    for path, text in {
        "/tuple": "tuple",
        "/list": "list",
        "/url": "url",
        "/spec/x": "spec x",
        "/compiled": "compiled",
        "/dotted": "default",
        "/matcher": "matcher",
        "/rule": "rule",
        "/function": "function ",
        "/nested/a": "nested",
        "/nested/f": "function ",
        "/router/f": "function ",
        "/app/x": "app x",
    }.items():
        assert (path, client.get(path).text) == (path, text)
    assert client.get("/host", {"Host": "host.example"}).text == "host"
    for path in ("/", "/tuple/", "/host", "/nested/x", "/router/x"):
        assert client.get(path).status == 404
    # Bodies get there by every way.
    for path in ("/tuple", "/function", "/nested/a", "/nested/f", "/router/f", "/rule"):
        assert client.post(path, b"body").text.endswith(" body")
    assert app.reverse_url("of-url") == "/url"
    assert app.reverse_url("of-rule") == "/rule"
    with pytest.raises(KeyError, match="absent"):
        app.reverse_url("absent")


def test_the_first_rule_that_matches_wins(serve):
    client = serve(
        Application([named("/a.*", "one"), named("/ab", "two"), named("/(.*)", "three")])
    ).connect()
    assert [client.get(path).text for path in ("/ab", "/a", "/x")] == ["one", "one", "three x"]


def test_rules_have_to_match_all_of_the_path(serve):
    client = serve(Application([named("/a", "a")])).connect()
    assert [client.get(path).status for path in ("/a", "/ab", "/x/a", "/a?q=1")] == [
        200,
        404,
        404,
        200,
    ]


def test_many_rules(serve):
    rules = [named(f"/literal/{number}", str(number)) for number in range(500)]
    rules += [named(f"/group/{number}/(.*)", str(number)) for number in range(500)]
    client = serve(Application(rules)).connect()
    for number in (0, 250, 499):
        assert client.get(f"/literal/{number}").text == str(number)
        assert client.get(f"/group/{number}/x").text == f"{number} x"
    assert client.get("/literal/500").status == 404


@pytest.mark.parametrize("target", [None, 5, object()])
def test_what_cannot_be_a_target_is_refused(target):
    with pytest.raises(TypeError, match="the target of a rule is"):
        Application([("/", target)])
    with pytest.raises(TypeError, match="the target of a rule is"):
        Application().add_handlers("a", [("/", [("/", target)])])


def test_mixed_groups_are_refused():
    with pytest.raises(ValueError, match="named or all positional"):
        Application([("/(?P<a>.*)/(.*)", Named)])


def hosts_app(**settings: Any) -> Application:
    app = Application([named("/(.*)", "any")], **settings)
    app.add_handlers(r"(www|api)\.example\.com", [named("/", "example")])
    app.add_handlers(r".*\.example\.com", [named("/", "wildcard"), named("/sub", "sub")])
    return app


@pytest.mark.parametrize(
    ("host", "path", "text"),
    [
        ("www.example.com", "/", "example"),
        ("WWW.Example.Com:8888", "/", "example"),
        ("other.example.com", "/", "wildcard"),
        ("www.example.com", "/sub", "sub"),
        ("www.example.com", "/x", "any x"),
        ("example.org", "/", "any "),
        ("www.example.com.evil.org", "/", "any "),
        ("evil-www.example.com.", "/", "any "),
    ],
)
def test_hosts(serve, host, path, text):
    client = serve(hosts_app()).connect()
    assert client.get(path, {"Host": host}).text == text
    assert client.post("/", b"body", {"Host": host}).text.endswith(" body")


def test_rules_for_every_host_can_be_added(serve):
    app = Application([named("/one", "one")])
    app.add_handlers(".*", [named("/two", "two")])
    app.add_handlers(".*$", [named("/three", "three")])
    client = serve(app).connect()
    assert [client.get(path).text for path in ("/one", "/two", "/three")] == ["one", "two", "three"]


def test_rules_can_be_added_while_the_server_runs(serve):
    app = Application([named("/one", "one")])
    server = serve(app)
    client = server.connect()
    assert client.get("/two").status == 404
    server.call(app.add_handlers, ".*", [named("/two", "two")])
    assert [client.get(path).text for path in ("/one", "/two")] == ["one", "two"]
    server.call(app.wildcard_router.add_rules, [named("/three", "three")])
    assert client.get("/three").text == "three"


@pytest.mark.parametrize("running", [False, True])
def test_rules_can_be_inserted_into_the_routers(serve, running):
    app = Application([named("/.*", "wildcard")])
    server = serve(app)
    rule = Rule(PathMatches("/first"), Named, {"name": "first"})

    def insert() -> None:
        app.default_router.rules.insert(0, app.default_router.process_rule(rule))

    client = server.connect()
    if running:
        assert client.get("/first").text == "wildcard"
    server.call(insert)
    assert client.get("/first").text == "first"
    assert client.get("/x").text == "wildcard"
    assert client.post("/first", b"body").text == "first body"


def test_default_host(serve):
    app = Application([named("/only", "any")], default_host="www.example.com")
    app.add_handlers(r"www\.example\.com", [named("/", "example")])
    client = serve(app).connect()
    assert client.get("/", {"Host": "localhost"}).text == "example"
    assert client.get("/only", {"Host": "localhost"}).text == "any"
    # A proxy knows which host was asked for.
    assert client.get("/", {"Host": "localhost", "X-Real-Ip": "192.0.2.1"}).status == 404
    assert client.get("/", {"Host": "www.example.com", "X-Real-Ip": "192.0.2.1"}).text == "example"


@pytest.mark.parametrize("path", ["/a", "/b"])
def test_default_handler_class(serve, path):
    app = Application(
        [named("/known", "known")],
        default_handler_class=Named,
        default_handler_args={"name": "default handler"},
    )
    client = serve(app).connect()
    assert client.get(path).text == "default handler"
    assert client.post(path, b"body").text == "default handler body"
    assert client.get("/known").text == "known"


def test_not_found(serve, caplog):
    client = serve(Application([])).connect()
    for method in ("GET", "POST", "DELETE"):
        answer = client.request(method, "/x", body=b"body" if method == "POST" else None)
        assert answer.status == 404
        assert "404: Not Found" in answer.text


def test_settings():
    app = Application(own=1, debug=True)
    assert app.settings["own"] == 1
    assert app.settings["serve_traceback"] is True
    assert Application(debug=True, serve_traceback=False).settings["serve_traceback"] is False
    assert "serve_traceback" not in Application().settings


@pytest.mark.parametrize(
    ("status", "level"),
    [(200, logging.INFO), (302, logging.INFO), (404, logging.WARNING), (500, logging.ERROR)],
)
def test_the_access_log(serve, caplog, status, level):
    class Handler(RequestHandler):
        def get(self) -> None:
            self.set_status(status)

    caplog.set_level(logging.INFO, "typhoon.access")
    server = serve(Application([("/x", Handler)]))
    server.get("/x?a=1")
    server.call()
    (record,) = [record for record in caplog.records if record.name == "typhoon.access"]
    assert record.levelno == level
    assert re.fullmatch(rf"{status} GET /x\?a=1 \(127\.0\.0\.1\) \d+\.\d\dms", record.getMessage())


def test_listen():
    async def main() -> None:
        app = Application([named("/", "served")])
        server = app.listen(0, "127.0.0.1", backlog=16, reuse_port=True, xheaders=True)
        assert server.xheaders
        port = next(iter(server._sockets.values())).getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).endswith(b"served")
        writer.close()
        await writer.wait_closed()
        server.stop()
        await server.close_all_connections()

    asyncio.run(main())


def test_listen_with_a_keyword_that_there_is_not():
    with pytest.raises(TypeError, match="no_such_option"):
        Application().listen(0, "127.0.0.1", no_such_option=1)


def test_a_router_as_the_callback_of_a_server(serve):
    router = RuleRouter(
        [
            Rule(HostMatches("a.example"), Application([named("/", "a")])),
            Rule(PathMatches("/function"), respond),
            Rule(AnyMatches(), Application([named("/.*", "rest")])),
        ]
    )
    client = serve(router).connect()
    assert client.get("/", {"Host": "a.example"}).text == "a"
    assert client.get("/function").text == "function "
    assert client.get("/x").text == "rest"
    assert client.post("/x", b"body").text == "rest body"


def test_a_router_that_finds_nothing(serve):
    client = serve(RuleRouter([])).connect()
    for _ in range(2):
        answer = client.get("/")
        assert (answer.status, answer.body) == (404, b"")
