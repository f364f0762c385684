"""The examples of «Overview»: handlers, their arguments, and the sequence of calls."""

import json
from collections.abc import Callable

from seed_examples import URLENCODED, application_of
from support import Client, Server
from typhoon import web

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
