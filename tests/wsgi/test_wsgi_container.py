"""WSGI applications under Typhoon's server, in the event loop and in threads."""

from __future__ import annotations

import concurrent.futures
import contextvars
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any
from wsgiref.validate import validator

import pytest

from support import TIMEOUT, Server, StreamServer, running_server
from typhoon.httpserver import HTTPServer
from typhoon.routing import RuleRouter
from typhoon.web import Application, FallbackHandler, RequestHandler
from typhoon.wsgi import HTTPRequest, WSGIContainer, to_wsgi_str

PLAIN = [("Content-Type", "text/plain")]

Serve = Callable[..., Server]


@pytest.fixture(params=["loop", "threads"])
def executor(request: pytest.FixtureRequest) -> Iterator[concurrent.futures.Executor | None]:
    if request.param == "loop":
        yield None
    else:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            yield pool


@pytest.fixture(params=[HTTPServer, StreamServer])
def host(
    request: pytest.FixtureRequest, serve: Serve, executor: concurrent.futures.Executor | None
) -> Serve:
    """`host(wsgi_app)` serves an application, over either kind of connection."""

    def start(application: Any, **options: Any) -> Server:
        container = WSGIContainer(application, executor)
        return serve(container, server_class=request.param, **options)

    return start


class Closing:
    """An iterable that is closed, and says so."""

    def __init__(self, pieces: Any) -> None:
        self.pieces = iter(pieces)
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        return self.pieces

    def close(self) -> None:
        self.closed.set()


def hello(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", PLAIN)
    return [b"Hello ", b"world!"]


def test_a_list_is_one_response(host: Serve) -> None:
    answer = host(hello).get("/")
    assert (answer.status, answer.reason, answer.text) == (200, "OK", "Hello world!")
    assert answer.header("Content-Type") == "text/plain"
    assert answer.header("Content-Length") == "12"
    assert answer.header("Server").startswith("TyphoonServer/")


def test_the_validator_finds_nothing(host: Serve) -> None:
    @validator
    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"] or 0))
        start_response("201 Created Just Now", [*PLAIN, ("X-A", "1"), ("X-A", "2")])
        return iter([body, b"", environ["REQUEST_METHOD"].encode()])

    with host(application).connect() as client:
        answer = client.post("/a%20b?c=d", b"body", {"Content-Type": "text/x"})
        assert (answer.status, answer.reason) == (201, "Created Just Now")
        assert answer.text == "bodyPOST"
        assert answer.header_list("X-A") == ["1", "2"]
        assert client.post("/", b"again").text == "againPOST"


def test_defaults_of_the_head(host: Serve) -> None:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        status = environ["PATH_INFO"][1:]
        start_response(status, [("Server", "mine")])
        return []

    server = host(application)
    answer = server.get("/200")
    assert (answer.status, answer.reason, answer.body) == (200, "", b"")
    assert answer.header("Content-Type") == "text/html; charset=UTF-8"
    assert answer.header("Server") == "mine"
    assert server.get("/304%20Not%20Modified").header("Content-Type") is None
    assert server.get("/204%20No%20Content").header("Content-Length") is None


@pytest.mark.parametrize("length", [True, False])
@pytest.mark.parametrize("pieces", [list, iter])
def test_head_has_no_body(host: Serve, length: bool, pieces: Callable[..., Any]) -> None:
    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [*PLAIN, *([("Content-Length", "4")] if length else [])])
        return pieces([b"ab", b"cd"])

    with host(application).connect() as client:
        answer = client.request("HEAD", "/")
        assert answer.body == b""
        if length or pieces is list:
            assert answer.header("Content-Length") == "4"
        assert client.get("/").text == "abcd"


def test_pieces_are_sent_before_the_application_goes_on(host: Serve) -> None:
    has_come = threading.Event()

    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        write = start_response("200 OK", PLAIN)
        write(b"zero ")
        write(b"")
        yield b"one "
        yield b""
        assert has_come.wait(TIMEOUT)
        yield b"two"

    with host(application).connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        head = client.read_until(b"\r\n\r\n")
        assert b"Transfer-Encoding: chunked" in head
        client.read_until(b"one \r\n")
        has_come.set()
        assert client.read_until(b"0\r\n\r\n") == b"3\r\ntwo\r\n0\r\n\r\n"


def test_requests_of_a_connection_are_answered_in_order(host: Serve) -> None:
    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", PLAIN)
        yield environ["PATH_INFO"].encode()

    with host(application).connect() as client:
        client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % n for n in range(5)))
        assert [client.response().text for _ in range(5)] == [f"/{n}" for n in range(5)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("OK", []), "the status 'OK'"),
        ((200, []), "the status 200"),
        (("100 Continue", []), "the status '100 Continue'"),
        (("200 OK\r\nX: y", []), "it is a str like '200 OK'"),
        (("200 OK", [("Connection", "close")]), "set the header Connection, which is for the"),
        (("200 OK", [("Transfer-Encoding", "chunked")]), "header Transfer-Encoding"),
        (("200 OK", [("X", "a\r\nb")]), "set the header 'X'"),
        (("200 OK", [("X Y", "a")]), "set the header 'X Y'"),
    ],
)
def test_a_bad_head_is_the_applications_fault(
    host: Serve, arguments: Any, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response(*arguments)
        return [b"lost"]

    answer = host(application).get("/page")
    assert (answer.status, answer.reason) == (500, "Internal Server Error")
    assert "lost" not in answer.text
    (record,) = [r for r in caplog.records if r.name == "typhoon.application"]
    assert record.getMessage().startswith("Uncaught exception GET /page (127.0.0.1)")
    assert message in str(record.exc_info[1])
    assert ".application" in str(record.exc_info[1])


def no_start(environ: Any, start_response: Any) -> list[bytes]:
    return [b"lost"]


def no_start_of_pieces(environ: Any, start_response: Any) -> Iterator[bytes]:
    return iter([b"lost"])


def twice(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    start_response("200 OK", [])
    return []


def text(environ: Any, start_response: Any) -> list[Any]:
    start_response("200 OK", [])
    return ["lost"]


def text_in_pieces(environ: Any, start_response: Any) -> Iterator[Any]:
    start_response("200 OK", [])
    return iter(["lost"])


def one_string(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [])
    return b"lost"


def written_text(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])("lost")
    return []


def nothing(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [])


def longer(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Length", "3")])
    return [b"lost"]


def longer_at_once(environ: Any, start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", [("Content-Length", "3")])
    yield b"lost"


def failing(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    raise KeyError("mine")


@pytest.mark.parametrize(
    ("application", "message"),
    [
        (no_start, "did not call start_response"),
        (no_start_of_pieces, "did not call start_response"),
        (twice, "called start_response twice"),
        (text, "gave str as a piece of its response; it is bytes"),
        (text_in_pieces, "gave str as a piece"),
        (one_string, "gave int as a piece"),
        (written_text, "gave str as a piece"),
        (nothing, "'NoneType' object is not iterable"),
        (longer, "Content-Length"),
        (longer_at_once, "Content-Length"),
        (failing, "mine"),
    ],
)
def test_a_broken_rule_is_a_500(
    host: Serve, application: Any, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    with host(application).connect() as client:
        assert client.get("/").status == 500
        assert client.get("/").status == 500  # the connection goes on
    errors = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert message in str(errors[0].exc_info[1])


def raising_late(environ: Any, start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", PLAIN)
    yield b"some"
    raise KeyError("mine")


def shorter(environ: Any, start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", [("Content-Length", "100")])
    yield b"some"


def longer_in_pieces(environ: Any, start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", [("Content-Length", "6")])
    yield b"some"
    yield b"more"


@pytest.mark.parametrize("application", [raising_late, shorter, longer_in_pieces])
def test_a_response_that_fails_on_its_way_is_cut_off(
    host: Serve, application: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = host(application)
    with server.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        rest = client.read_all()
        assert b"some" in rest
        assert b"more" not in rest
        assert not rest.endswith(b"0\r\n\r\n")
    server.call()
    assert any(r.name == "typhoon.application" for r in caplog.records)


def test_an_error_page_of_the_applications_own(host: Serve) -> None:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("X-First", "1")])
        try:
            raise KeyError("oh")
        except KeyError as error:
            start_response("503 Sorry", PLAIN, (KeyError, error, error.__traceback__))
        return [b"sorry"]

    answer = host(application).get("/")
    assert (answer.status, answer.reason, answer.text) == (503, "Sorry", "sorry")
    assert answer.header("X-First") is None


def test_an_error_page_that_comes_too_late(host: Serve, caplog: pytest.LogCaptureFixture) -> None:
    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", PLAIN)
        yield b"some"
        try:
            raise KeyError("the cause")
        except KeyError as error:
            start_response("500 Oh", PLAIN, (KeyError, error, error.__traceback__))
            yield b"never"

    server = host(application)
    with server.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert b"never" not in client.read_all()
    server.call()
    (record,) = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert "the cause" in str(record.exc_info[1])


@pytest.mark.parametrize("pieces", [[b"a"], [b"a", "not bytes"]])
def test_the_iterable_is_closed(host: Serve, pieces: Any) -> None:
    results: list[Closing] = []

    def application(environ: Any, start_response: Any) -> Closing:
        start_response("200 OK", PLAIN)
        results.append(Closing(pieces))
        return results[0]

    with host(application).connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        client.read_all()
    assert results[0].closed.wait(TIMEOUT)


def endless(results: list[Closing], sent: list[int]) -> Any:
    def pieces() -> Iterator[bytes]:
        while True:
            sent.append(1)
            yield bytes(1 << 20)

    def application(environ: Any, start_response: Any) -> Closing:
        results.append(Closing(pieces()))
        start_response("200 OK", PLAIN)
        return results[0]

    return application


def test_the_application_waits_for_its_client(
    host: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    results: list[Closing] = []
    sent: list[int] = []
    server = host(endless(results, sent))
    client = server.connect()
    client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    client.read_exactly(1 << 20)
    before = len(sent)
    client.read_exactly(10 << 20)
    # What is in between are the buffers of the system; without backpressure it were gigabytes.
    assert before <= len(sent) < before + 60
    client.close()
    assert results[0].closed.wait(TIMEOUT)
    server.call()
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


def test_a_server_that_stops_leaves_no_thread_behind(
    executor: concurrent.futures.Executor | None,
) -> None:
    results: list[Closing] = []
    with running_server(WSGIContainer(endless(results, []), executor)) as server:
        client = server.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        client.read_exactly(1 << 20)
        server.clients.clear()  # the client stays
    assert results[0].closed.wait(TIMEOUT)
    client.close()


def test_threads_answer_at_the_same_time(serve: Serve) -> None:
    both_are_here = threading.Barrier(2, timeout=TIMEOUT)

    def application(environ: Any, start_response: Any) -> list[bytes]:
        both_are_here.wait()
        start_response("200 OK", PLAIN)
        return [threading.current_thread().name.encode()]

    with concurrent.futures.ThreadPoolExecutor(2, "worker") as pool:
        server = serve(WSGIContainer(application, pool))
        clients = [server.connect(), server.connect()]
        for client in clients:
            client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert len({client.response().text for client in clients}) == 2


def test_an_application_stays_in_its_thread(serve: Serve) -> None:
    threads: set[str] = set()

    def application(environ: Any, start_response: Any) -> Closing:
        def pieces() -> Iterator[bytes]:
            for _ in range(10):
                threads.add(threading.current_thread().name)
                yield b"piece"

        threads.add(threading.current_thread().name)
        start_response("200 OK", PLAIN)
        return Closing(pieces())

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert serve(WSGIContainer(application, pool)).get("/").text == "piece" * 10
    assert len(threads) == 1


def test_context_variables_reach_the_application(
    serve: Serve, executor: concurrent.futures.Executor | None
) -> None:
    user: contextvars.ContextVar[str] = contextvars.ContextVar("user")

    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", PLAIN)
        yield user.get().encode()

    container = WSGIContainer(application, executor)

    def callback(request: HTTPRequest) -> None:
        user.set(request.path)
        container(request)

    assert serve(callback).get("/me").text == "/me"


def test_behind_routers_and_handlers(
    serve: Serve, executor: concurrent.futures.Executor | None
) -> None:
    class Own(RequestHandler):
        def get(self) -> None:
            self.write("own")

    container = WSGIContainer(hello, executor)
    application = Application([(r"/own", Own), (r".*", FallbackHandler, {"fallback": container})])
    server = serve(RuleRouter([("/direct", container), ("/.*", application)]))
    assert server.get("/own").text == "own"
    assert server.get("/direct").text == "Hello world!"
    assert server.get("/other").text == "Hello world!"


def test_a_body_over_the_limit_never_reaches_the_application(host: Serve) -> None:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", PLAIN)
        return [environ["wsgi.input"].read()]

    server = host(application, max_body_size=10)
    assert server.post("/", b"x" * 10).text == "x" * 10
    assert server.post("/", b"x" * 11).status == 413


def test_the_access_log(host: Serve, caplog: pytest.LogCaptureFixture) -> None:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response(environ["PATH_INFO"][1:] + " Status", PLAIN)
        return []

    with caplog.at_level(logging.INFO, "typhoon.access"):
        server = host(application)
        for status in (200, 404, 503):
            server.get(f"/{status}?q")
        server.call()
    logged = [(r.levelname, r.getMessage()) for r in caplog.records if r.name == "typhoon.access"]
    assert [level for level, _ in logged] == ["INFO", "WARNING", "ERROR"]
    assert logged[1][1].startswith("404 GET /404?q (127.0.0.1) ")


def environ_of(serve: Serve, request: bytes, **options: Any) -> dict[str, Any]:
    """What the application is given for a request; `validator` looks at it, too."""
    seen: dict[str, Any] = {}

    def application(environ: Any, start_response: Any) -> list[bytes]:
        seen.update(environ)
        seen["body"] = environ["wsgi.input"].read(-1)
        start_response("200 OK", PLAIN)
        return [b""]

    def looked_at(environ: Any, start_response: Any) -> Any:
        # The validator wraps the input, and wants its iterator to be closed.
        return validator(application)(environ, start_response)

    with serve(WSGIContainer(looked_at), **options).connect() as client:
        client.send(request)
        assert client.response().status == 200
    return seen


def test_the_environment_of_a_get(serve: Serve) -> None:
    environ = environ_of(
        serve,
        b"GET /caf%C3%A9/a%2Fb+c;d?q=%20&r HTTP/1.1\r\nHost: Example.com:8080\r\n"
        b"X-Name: one\r\nX-Name: two\r\nCookie: a=1\r\nCookie: b=2\r\n"
        b"X_Name: smuggled\r\nConnection: keep-alive\r\n\r\n",
    )
    wanted = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/café/a/b+c;d".encode().decode("latin-1"),
        "QUERY_STRING": "q=%20&r",
        "SERVER_NAME": "example.com",
        "SERVER_PORT": "8080",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "Example.com:8080",
        "HTTP_X_NAME": "one,two",
        "HTTP_COOKIE": "a=1; b=2",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.multithread": False,
        "wsgi.run_once": False,
        "body": b"",
    }
    assert {name: environ.get(name) for name in wanted} == wanted
    assert not environ.keys() & {"HTTP_CONNECTION", "CONTENT_LENGTH", "CONTENT_TYPE"}


def test_the_environment_of_a_post(serve: Serve) -> None:
    environ = environ_of(
        serve,
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/x\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    )
    assert environ["CONTENT_TYPE"] == "text/x"
    assert environ["CONTENT_LENGTH"] == "3"
    assert environ["body"] == b"abc"
    assert environ["SERVER_PORT"] == "80"
    assert not environ.keys() & {"HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE"}
    assert "HTTP_TRANSFER_ENCODING" not in environ


def test_the_environment_behind_a_proxy(serve: Serve) -> None:
    environ = environ_of(
        serve,
        b"GET / HTTP/1.1\r\nHost: example.com\r\nX-Scheme: https\r\nX-Real-Ip: 4.4.4.4\r\n\r\n",
        xheaders=True,
    )
    assert environ["wsgi.url_scheme"] == "https"
    assert environ["SERVER_PORT"] == "443"
    assert environ["REMOTE_ADDR"] == "4.4.4.4"


@pytest.mark.parametrize(
    ("target", "host", "name", "path"),
    [
        (b"*", b"[::1]:81", "[::1]", ""),
        (
            b"http://other.example/p%C3%A4th?q",
            b"other.example",
            "other.example",
            "/p\u00c3\u00a4th",
        ),
    ],
)
def test_the_environment_of_other_targets(
    serve: Serve, target: bytes, host: bytes, name: str, path: str
) -> None:
    request = b"OPTIONS %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (target, host)
    environ = environ_of(serve, request)
    assert (environ["SERVER_NAME"], environ["PATH_INFO"]) == (name, path)


def test_the_environment_of_a_request_of_ones_own() -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        container = WSGIContainer(hello, pool)
        request = HTTPRequest("GET", "/a?b", headers=None, host="h")
        assert container.wsgi_application is hello
        assert container.executor is pool
        assert container.environ(request)["wsgi.multithread"] is True
    assert to_wsgi_str(b"caf\xc3\xa9") == "caf\u00c3\u00a9"


def test_bottle(host: Serve) -> None:
    bottle = pytest.importorskip("bottle", reason="bottle is not installed (extra: test)")
    application = bottle.Bottle()

    @application.get("/hello/<name>")
    def greet(name: str) -> str:
        bottle.response.set_cookie("seen", "1")
        return f"Hello {name} {bottle.request.query.q}"

    @application.post("/upload")
    def upload() -> dict[str, Any]:
        part = bottle.request.files.get("file")
        return {"name": part.raw_filename, "size": len(part.file.read()), **bottle.request.forms}

    @application.get("/stream")
    def stream() -> Iterator[bytes]:
        yield b"one "
        yield b"two"

    server = host(validator(application))
    answer = server.get("/hello/Zo%C3%AB?q=%C3%A9")
    assert answer.text == "Hello Zoë é"
    assert answer.header("Set-Cookie") == "seen=1"
    assert server.get("/stream").text == "one two"
    assert server.get("/nowhere").status == 404
    body = (
        b'--s\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
        b'--s\r\nContent-Disposition: form-data; name="file"; filename="x.txt"\r\n'
        b"Content-Type: text/plain\r\n\r\nhello\r\n--s--\r\n"
    )
    answer = server.post("/upload", body, {"Content-Type": "multipart/form-data; boundary=s"})
    assert '"size": 5' in answer.text
    assert '"a": "1"' in answer.text
