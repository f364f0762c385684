"""The examples of «Overview»: cookies, secure cookies, and user authentication."""

import re
from collections.abc import Callable

import pytest

from seed_examples import URLENCODED, application_of
from support import Response, Server

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


SECURE = """
application = tornado.web.Application([
    (r"/", MainHandler),
], cookie_secret="__TODO:_GENERATE_YOUR_OWN_RANDOM_VALUE_HERE__")
"""

SECURE_COOKIE = """
class MainHandler(tornado.web.RequestHandler):
    def get(self):
        if not self.get_secure_cookie("mycookie"):
            self.set_secure_cookie("mycookie", "myvalue")
            self.write("Your cookie was not set yet!")
        else:
            self.write("Your cookie was set!")
"""


def cookies_of(answer: Response) -> str:
    """What a browser sends back."""
    return "; ".join(cookie.split(";")[0] for cookie in answer.header_list("Set-Cookie"))


def test_secure_cookies(example: Callable[..., Server]) -> None:
    server = example(SECURE_COOKIE + SECURE)
    first = server.get("/")
    assert first.text == "Your cookie was not set yet!"
    cookie = cookies_of(first)
    assert re.match('mycookie="?2[|]', cookie)
    assert server.get("/", {"Cookie": cookie}).text == "Your cookie was set!"
    assert "myvalue" not in cookie, "it is encoded"
    for forged in ("mycookie=myvalue", cookie[:-3] + 'f"', cookie.replace("mycookie", "other")):
        assert server.get("/", {"Cookie": forged}).text == "Your cookie was not set yet!"


NICKNAMES = """
class BaseHandler(tornado.web.RequestHandler):
    def get_current_user(self):
        return self.get_secure_cookie("user")

class MainHandler(BaseHandler):
    def get(self):
        if not self.current_user:
            self.redirect("/login")
            return
        name = tornado.escape.xhtml_escape(self.current_user)
        self.write("Hello, " + name)

class LoginHandler(BaseHandler):
    def get(self):
        self.write('<html><body><form action="/login" method="post">'
                   'Name: <input type="text" name="name">'
                   '<input type="submit" value="Sign in">'
                   '</form></body></html>')

    def post(self):
        self.set_secure_cookie("user", self.get_argument("name"))
        self.redirect("/")

application = tornado.web.Application([
    (r"/", MainHandler),
    (r"/login", LoginHandler),
], cookie_secret="__TODO:_GENERATE_YOUR_OWN_RANDOM_VALUE_HERE__")
"""

AUTHENTICATED = """
class MainHandler(BaseHandler):
    @tornado.web.authenticated
    def get(self):
        name = tornado.escape.xhtml_escape(self.current_user)
        self.write("Hello, " + name)

settings = {
    "cookie_secret": "__TODO:_GENERATE_YOUR_OWN_RANDOM_VALUE_HERE__",
    "login_url": "/login",
}
application = tornado.web.Application([
    (r"/", MainHandler),
    (r"/login", LoginHandler),
], **settings)
"""


@pytest.mark.parametrize(
    ("source", "login"),
    [(NICKNAMES, "/login"), (NICKNAMES + AUTHENTICATED, "/login?next=%2F")],
    ids=["by hand", "authenticated"],
)
def test_sign_in(example: Callable[..., Server], source: str, login: str) -> None:
    server = example(source)
    stranger = server.get("/")
    assert (stranger.status, stranger.header("Location")) == (302, login)
    assert '<form action="/login" method="post">' in server.get(login).text
    signed_in = server.post("/login", b"name=Ann+<3", URLENCODED)
    assert (signed_in.status, signed_in.header("Location")) == (302, "/")
    user = {"Cookie": cookies_of(signed_in)}
    assert server.get("/", user).text == "Hello, Ann &lt;3"
    assert server.get("/", {"Cookie": "user=Ann"}).status == 302


def test_a_post_of_a_stranger_is_forbidden(
    example: Callable[..., Server], caplog: pytest.LogCaptureFixture
) -> None:
    source = NICKNAMES + AUTHENTICATED.replace("def get(self)", "def post(self)")
    server = example(source)
    assert server.post("/", b"").status == 403
    user = {"Cookie": cookies_of(server.post("/login", b"name=Ann", URLENCODED))}
    assert server.post("/", b"", user).text == "Hello, Ann"
