"""The examples of «Overview», as far as they need the HTTP server and the heart of `web`."""

import json
import logging
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support import Client, Server
from typhoon import web
from typhoon.httpclient import AsyncHTTPClient
from typhoon.web import Application, HTTPError, RequestHandler, StaticFileHandler

HELLO = """
import tornado.ioloop
import tornado.web

class MainHandler(tornado.web.RequestHandler):
    def get(self):
        self.write("Hello, world")

application = tornado.web.Application([
    (r"/", MainHandler),
])

if __name__ == "__main__":
    application.listen(8888)
    tornado.ioloop.IOLoop.instance().start()
"""


def test_hello_world(program: Callable[[str], Client]) -> None:
    client = program(HELLO)
    assert client.get("/").text == "Hello, world"
    assert client.get("/elsewhere").status == 404


STORY = """
class MainHandler(tornado.web.RequestHandler):
    def get(self):
        self.write("You requested the main page")

class StoryHandler(tornado.web.RequestHandler):
    def get(self, story_id):
        self.write("You requested the story " + story_id)

application = tornado.web.Application([
    (r"/", MainHandler),
    (r"/story/([0-9]+)", StoryHandler),
])
"""


def test_the_groups_of_a_pattern_are_arguments(example: Callable[..., Server]) -> None:
    server = example(STORY)
    assert server.get("/").text == "You requested the main page"
    assert server.get("/story/42").text == "You requested the story 42"
    assert server.get("/story/last").status == 404
    assert server.get("/story/42/more").status == 404


FORM = """
class MyFormHandler(tornado.web.RequestHandler):
    def get(self):
        self.write('<html><body><form action="/myform" method="post">'
                   '<input type="text" name="message">'
                   '<input type="submit" value="Submit">'
                   '</form></body></html>')

    def post(self):
        self.set_header("Content-Type", "text/plain")
        self.write("You wrote " + self.get_argument("message"))
"""

URLENCODED = {"Content-Type": "application/x-www-form-urlencoded"}


def application_of(pattern: str, name: str, **settings: Any) -> Callable[[dict[str, Any]], Any]:
    """Makes the application that an example leaves out: one handler of it at a pattern."""
    return lambda names: web.Application([(pattern, names[name])], **settings)


def test_the_arguments_of_a_form(example: Callable[..., Server]) -> None:
    server = example(FORM, application=application_of("/myform", "MyFormHandler"))
    page = server.get("/myform")
    assert page.text.startswith('<html><body><form action="/myform" method="post">')
    assert page.header("Content-Type") == "text/html; charset=UTF-8"
    answer = server.post("/myform", b"message=caf%C3%A9+noir", URLENCODED)
    assert (answer.status, answer.text) == (200, "You wrote café noir")
    assert answer.header("Content-Type") == "text/plain"
    assert server.post("/myform?message=query", b"", URLENCODED).text == "You wrote query"
    assert server.post("/myform", b"", URLENCODED).status == 400


REQUEST = """
class UploadHandler(tornado.web.RequestHandler):
    def post(self):
        self.write({
            "arguments": {name: [value.decode() for value in values]
                          for name, values in self.request.arguments.items()},
            "files": {name: [{**upload, "body": upload["body"].decode()} for upload in uploads]
                      for name, uploads in self.request.files.items()},
            "path": self.request.path,
            "header": self.request.headers["X-Sent"],
        })
"""


def test_the_attributes_of_the_request(example: Callable[..., Server]) -> None:
    server = example(REQUEST, application=application_of("/upload/.*", "UploadHandler"))
    body = (
        b'--sep\r\nContent-Disposition: form-data; name="title"\r\n\r\nA cat\r\n'
        b'--sep\r\nContent-Disposition: form-data; name="picture"; filename="cat.txt"\r\n'
        b"Content-Type: text/plain\r\n\r\nmeow\r\n--sep--\r\n"
    )
    headers = {"Content-Type": "multipart/form-data; boundary=sep", "X-Sent": "yes"}
    answer = server.post("/upload/now?title=first", body, headers)
    assert json.loads(answer.text) == {
        "arguments": {"title": ["first", "A cat"]},
        "files": {
            "picture": [{"filename": "cat.txt", "content_type": "text/plain", "body": "meow"}]
        },
        "path": "/upload/now",
        "header": "yes",
    }


FORBIDDEN = """
class MembersHandler(tornado.web.RequestHandler):
    def user_is_logged_in(self):
        return self.get_argument("user", None) is not None

    def get(self):
        if not self.user_is_logged_in():
            raise tornado.web.HTTPError(403)
        self.write("Welcome")
"""


def test_an_http_error(example: Callable[..., Server]) -> None:
    server = example(FORBIDDEN, application=application_of("/", "MembersHandler"))
    refused = server.get("/")
    assert (refused.status, refused.reason) == (403, "Forbidden")
    assert "403: Forbidden" in refused.text
    assert server.get("/?user=bret").text == "Welcome"


SEQUENCE = """
class BaseHandler(tornado.web.RequestHandler):
    def __init__(self, *args, **kwargs):
        calls.append("__init__")
        super().__init__(*args, **kwargs)

    def initialize(self, name):
        calls.append("initialize " + name)

    def prepare(self):
        calls.append("prepare")
        if self.get_argument("stop", None):
            self.finish("stopped")

    def get(self, arg):
        calls.append("get " + arg)
        self.write("got")

    put = get

    def on_finish(self):
        calls.append("on_finish")

application = tornado.web.Application([(r"/(.*)", BaseHandler, dict(name="base"))])
"""


def test_the_sequence_of_calls(example: Callable[..., Server]) -> None:
    calls: list[str] = []
    server = example(SEQUENCE, calls=calls)
    begin = ["__init__", "initialize base", "prepare"]
    assert server.get("/x").text == "got"
    assert server.call(calls.copy) == [*begin, "get x", "on_finish"]
    calls.clear()
    assert server.get("/x?stop=1").text == "stopped"
    assert server.call(calls.copy) == [*begin, "on_finish"]


PROFILE = """
class ProfileHandler(RequestHandler):
    def initialize(self, database):
        self.database = database

    def get(self, username):
        ...

app = Application([
    (r'/user/(.*)', ProfileHandler, dict(database=database)),
])
"""


def test_initialize(example: Callable[..., Server]) -> None:
    names = {"Application": web.Application, "RequestHandler": web.RequestHandler}
    answer = example(PROFILE, database={}, **names).get("/user/bret")
    assert (answer.status, answer.text) == (200, "")
    source = PROFILE.replace("...", "self.write(self.database[username])")
    server = example(source, database={"bret": "Bret's profile"}, **names)
    assert server.get("/user/bret").text == "Bret's profile"


DEFAULT_HEADERS = """
class MainHandler(tornado.web.RequestHandler):
    def set_default_headers(self):
        self.set_header("Server", "FriendFeed")

    def get(self):
        pass
"""


def test_set_default_headers(example: Callable[..., Server]) -> None:
    server = example(DEFAULT_HEADERS, application=application_of("/", "MainHandler"))
    assert server.get("/").header("Server") == "FriendFeed"


ERRORS = """
class ErrorHandler(tornado.web.RequestHandler):
    def get(self, way):
        self.write("unflushed")
        if way == "status":
            self.clear()
            self.set_status(410)
            self.write("gone for good")
        elif way == "send":
            self.send_error(418)
        elif way == "http":
            raise tornado.web.HTTPError(404)
        else:
            raise KeyError("secret")
"""


def errors(**settings: Any) -> Callable[[dict[str, Any]], Any]:
    return application_of("/(.*)", "ErrorHandler", **settings)


@pytest.mark.parametrize(
    ("way", "status", "text"),
    [
        ("status", 410, "gone for good"),
        ("send", 418, "418: "),
        ("http", 404, "404: Not Found"),
        ("raise", 500, "500: Internal Server Error"),
    ],
)
def test_the_ways_to_return_an_error(
    example: Callable[..., Server],
    caplog: pytest.LogCaptureFixture,
    way: str,
    status: int,
    text: str,
) -> None:
    answer = example(ERRORS, application=errors()).get("/" + way)
    assert answer.status == status
    assert text in answer.text
    assert "unflushed" not in answer.text
    assert "secret" not in answer.text
    logged = [record for record in caplog.records if record.name == "typhoon.application"]
    assert [record.levelno for record in logged] == ([logging.ERROR] if status == 500 else [])


def test_the_stack_trace_in_debug_mode(
    example: Callable[..., Server], caplog: pytest.LogCaptureFixture
) -> None:
    answer = example(ERRORS, application=errors(serve_traceback=True)).get("/raise")
    assert answer.status == 500
    assert answer.text.startswith("Traceback (most recent call last):")
    assert answer.text.rstrip().endswith("KeyError: 'secret'")


WRITE_ERROR = (
    ERRORS
    + """
    def write_error(self, status_code, exc_info=None, **kwargs):
        self.write("%d sorry" % status_code)
        if exc_info is not None:
            last_line = traceback.format_exception(*exc_info)[-1].strip()
            self.write(": %s %s" % (exc_info[0].__name__, last_line.partition(": ")[2]))
"""
)


@pytest.mark.parametrize(
    ("way", "text"),
    [
        ("send", "418 sorry"),
        ("http", "404 sorry: HTTPError HTTP 404: Not Found"),
        ("raise", "500 sorry: KeyError 'secret'"),
    ],
)
def test_write_error(example: Callable[..., Server], way: str, text: str) -> None:
    server = example(WRITE_ERROR, application=errors(), traceback=traceback)
    answer = server.get("/" + way)
    assert (answer.status, answer.text) == (int(text[:3]), text)


REDIRECT = """
class MainHandler(tornado.web.RequestHandler):
    def get(self):
        self.redirect('/some-canonical-page', permanent=True)

    def post(self):
        self.redirect('/done')
"""


def test_redirect(example: Callable[..., Server]) -> None:
    server = example(REDIRECT, application=application_of("/", "MainHandler"))
    permanent = server.get("/")
    assert (permanent.status, permanent.reason) == (301, "Moved Permanently")
    assert permanent.header("Location") == "/some-canonical-page"
    found = server.post("/", b"")
    assert (found.status, found.header("Location")) == (302, "/done")


# The document has `tornado.wsgi.WSGIApplication` in these two, which is another part.
DOWNLOAD = """
application = tornado.web.Application([
    (r"/([a-z]*)", ContentHandler),
    (r"/static/tornado-0.2.tar.gz", tornado.web.RedirectHandler,
     dict(url="https://github.com/downloads/facebook/tornado/tornado-0.2.tar.gz")),
], **settings)
"""

FOO = """
application = tornado.web.Application([
    (r"/foo", tornado.web.RedirectHandler, {"url":"/bar", "permanent":False}),
], **settings)
"""


class ContentHandler(web.RequestHandler):
    def get(self, page: str) -> None:
        self.write(f"content of {page}")


def test_redirect_handler(example: Callable[..., Server]) -> None:
    server = example(DOWNLOAD, ContentHandler=ContentHandler, settings={})
    answer = server.get("/static/tornado-0.2.tar.gz")
    assert answer.status == 301
    target = "https://github.com/downloads/facebook/tornado/tornado-0.2.tar.gz"
    assert answer.header("Location") == target
    assert server.get("/about").text == "content of about"


def test_redirect_handler_that_is_not_permanent(example: Callable[..., Server]) -> None:
    answer = example(FOO, settings={}).get("/foo")
    assert (answer.status, answer.reason) == (302, "Found")
    assert answer.header("Location") == "/bar"


COOKIE = """
class MainHandler(tornado.web.RequestHandler):
    def get(self):
        if not self.get_cookie("mycookie"):
            self.set_cookie("mycookie", "myvalue")
            self.write("Your cookie was not set yet!")
        else:
            self.write("Your cookie was set!")
"""


def test_cookies(example: Callable[..., Server]) -> None:
    server = example(COOKIE, application=application_of("/", "MainHandler"))
    first = server.get("/")
    assert first.text == "Your cookie was not set yet!"
    cookie = first.header("Set-Cookie")
    assert cookie is not None
    pair, *attributes = cookie.split("; ")
    assert pair == "mycookie=myvalue"
    assert attributes == ["Path=/"]
    second = server.get("/", {"Cookie": pair})
    assert second.text == "Your cookie was set!"
    assert second.header("Set-Cookie") is None


STATIC = """
settings = {
    "static_path": os.path.join(os.path.dirname(__file__), "static"),
    "cookie_secret": "__TODO:_GENERATE_YOUR_OWN_RANDOM_VALUE_HERE__",
    "login_url": "/login",
    "xsrf_cookies": True,
}
application = tornado.web.Application([
    (r"/", MainHandler),
    (r"/login", LoginHandler),
    (r"/(apple-touch-icon\\.png)", tornado.web.StaticFileHandler,
     dict(path=settings['static_path'])),
], **settings)
"""


class MainHandler(web.RequestHandler):
    def get(self) -> None:
        self.write("page")


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("/static/foo.png", "foo.png"),
        ("/static/images/logo.png", "images/logo.png"),
        ("/robots.txt", "robots.txt"),
        ("/favicon.ico", "favicon.ico"),
        ("/apple-touch-icon.png", "apple-touch-icon.png"),
    ],
)
def test_static_files(
    example: Callable[..., Server], tmp_path: Path, target: str, name: str
) -> None:
    path = tmp_path / "static" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"content of " + name.encode())
    (tmp_path / "secret").write_text("secret")
    server = example(STATIC, os=os, MainHandler=MainHandler, LoginHandler=MainHandler)
    answer = server.get(target)
    assert (answer.status, answer.text) == (200, f"content of {name}")
    assert answer.header("Last-Modified") is not None
    etag = answer.header("ETag")
    assert etag is not None
    assert server.get(target, {"If-None-Match": etag}).status == 304
    # The first characters of its hash in the query make it cacheable for good.
    url = StaticFileHandler.make_static_url({"static_path": str(tmp_path / "static")}, name)
    versioned = server.get(target + "?v=" + url.partition("?v=")[2][:5])
    assert "max-age=" in (versioned.header("Cache-Control") or "")
    assert server.get("/static/absent.png").status == 404
    assert server.get("/static/../secret").status in (400, 403, 404)
    assert server.get("/").text == "page"


def test_xheaders(serve: Callable[..., Server]) -> None:
    class AddressHandler(web.RequestHandler):
        def get(self) -> None:
            self.write(f"{self.request.protocol} {self.request.remote_ip}")

    application = web.Application([("/", AddressHandler)])
    headers = {"X-Real-IP": "4.4.4.4", "X-Scheme": "https"}
    assert serve(application, xheaders=True).get("/", headers).text == "https 4.4.4.4"
    assert serve(application).get("/", headers).text == "http 127.0.0.1"


ASYNCHRONOUS = """
class MainHandler(tornado.web.RequestHandler):
    @tornado.web.asynchronous
    def get(self):
        self.write("Hello, world")
        self.finish()
"""

FETCH = """
class MainHandler(tornado.web.RequestHandler):
    @tornado.web.asynchronous
    def get(self):
        http = tornado.httpclient.AsyncHTTPClient()
        http.fetch("http://friendfeed-api.com/v2/feed/bret",
                   callback=self.on_response)

    def on_response(self, response):
        if response.error: raise tornado.web.HTTPError(500)
        json = tornado.escape.json_decode(response.body)
        self.write("Fetched " + str(len(json["entries"])) + " entries "
                   "from the FriendFeed API")
        self.finish()
"""


def make_application(names: dict[str, type[RequestHandler]]) -> Application:
    return Application([("/", names["MainHandler"])])


def test_asynchronous(example: Callable[..., Server]) -> None:
    with pytest.warns(DeprecationWarning, match="async def"):
        server = example(ASYNCHRONOUS, application=make_application)
    assert server.get("/").text == "Hello, world"


@pytest.mark.filterwarnings("ignore:the callback argument of fetch.*:DeprecationWarning")
def test_fetching_with_a_callback(
    example: Callable[..., Server],
    origin: Callable[..., Server],
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Feed(RequestHandler):
        def get(self) -> None:
            if failing:
                raise HTTPError(503)
            self.write({"entries": ["a", "b", "c"]})

    failing: list[bool] = []
    origin("friendfeed-api.com", Application([("/v2/feed/bret", Feed)]))
    with pytest.warns(DeprecationWarning, match="async def"):
        server = example("import typhoon.httpclient\n" + FETCH, application=make_application)
    assert server.get("/").text == "Fetched 3 entries from the FriendFeed API"
    failing.append(True)
    assert server.get("/").status == 500, "what a callback raises is the response, too"


def test_configuring_the_client() -> None:
    saved = AsyncHTTPClient._save_configuration()
    try:
        AsyncHTTPClient.configure("typhoon.curl_httpclient.CurlAsyncHTTPClient")
        assert AsyncHTTPClient.configured_class().__name__ == "CurlAsyncHTTPClient"
    finally:
        AsyncHTTPClient._restore_configuration(saved)
