"""The examples of «Overview» about users: cookies, sign-in, forged requests."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from support import Server
from typhoon.web import Application, RequestHandler

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def cookie_of(answer: Any) -> dict[str, str]:
    """What a browser sends with its next request."""
    return {"Cookie": answer.header("Set-Cookie").partition(";")[0]}


COOKIE = """
class MainHandler(tornado.web.RequestHandler):
    def get(self):
        if not self.get_cookie("mycookie"):
            self.set_cookie("mycookie", "myvalue")
            self.write("Your cookie was not set yet!")
        else:
            self.write("Your cookie was set!")
"""

SECURE_COOKIE = """
class MainHandler(tornado.web.RequestHandler):
    def get(self):
        if not self.get_secure_cookie("mycookie"):
            self.set_secure_cookie("mycookie", "myvalue")
            self.write("Your cookie was not set yet!")
        else:
            self.write("Your cookie was set!")

application = tornado.web.Application([
    (r"/", MainHandler),
], cookie_secret="__TODO:_GENERATE_YOUR_OWN_RANDOM_VALUE_HERE__")
"""


def test_cookies(example: Callable[..., Server]) -> None:
    server = example(COOKIE, application=lambda names: Application([("/", names["MainHandler"])]))
    answer = server.get("/")
    assert answer.text == "Your cookie was not set yet!"
    assert cookie_of(answer) == {"Cookie": "mycookie=myvalue"}
    assert server.get("/", cookie_of(answer)).text == "Your cookie was set!"


def test_secure_cookies(example: Callable[..., Server]) -> None:
    server = example(SECURE_COOKIE)
    answer = server.get("/")
    assert answer.text == "Your cookie was not set yet!"
    assert server.get("/", cookie_of(answer)).text == "Your cookie was set!"
    forged = server.get("/", {"Cookie": "mycookie=myvalue"})
    assert forged.text == "Your cookie was not set yet!"


BASE = """
import tornado.escape

class BaseHandler(tornado.web.RequestHandler):
    def get_current_user(self):
        return self.get_secure_cookie("user")
"""

MAIN = """
class MainHandler(BaseHandler):
    def get(self):
        if not self.current_user:
            self.redirect("/login")
            return
        name = tornado.escape.xhtml_escape(self.current_user)
        self.write("Hello, " + name)
"""

LOGIN = """
class LoginHandler(BaseHandler):
    def get(self):
        self.write('<html><body><form action="/login" method="post">'
                   'Name: <input type="text" name="name">'
                   '<input type="submit" value="Sign in">'
                   '</form></body></html>')

    def post(self):
        self.set_secure_cookie("user", self.get_argument("name"))
        self.redirect("/")
"""

APPLICATION = """
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


def test_signing_in(example: Callable[..., Server]) -> None:
    server = example(BASE + MAIN + LOGIN + APPLICATION)
    assert server.get("/").header("Location") == "/login"
    assert '<form action="/login" method="post">' in server.get("/login").text
    answer = server.post("/login", urlencode({"name": "<b>Ben"}).encode(), FORM)
    assert answer.header("Location") == "/"
    assert server.get("/", cookie_of(answer)).text == "Hello, &lt;b&gt;Ben"


def test_authenticated(example: Callable[..., Server]) -> None:
    server = example(BASE + LOGIN + AUTHENTICATED)
    assert server.get("/").header("Location") == "/login?next=%2F"
    answer = server.post("/login", b"name=Ben", FORM)
    assert server.get("/", cookie_of(answer)).text == "Hello, Ben"


def test_authenticated_post(example: Callable[..., Server]) -> None:
    """«the server will send a 403 response»"""
    source = BASE + LOGIN + AUTHENTICATED.replace("def get", "def post")
    server = example(source)
    assert server.post("/", b"").status == 403
    user = cookie_of(server.post("/login", b"name=Ben", FORM))
    assert server.post("/", b"", user).text == "Hello, Ben"


XSRF = """
settings = {
    "cookie_secret": "__TODO:_GENERATE_YOUR_OWN_RANDOM_VALUE_HERE__",
    "login_url": "/login",
    "xsrf_cookies": True,
}
application = tornado.web.Application([
    (r"/", MainHandler),
    (r"/login", LoginHandler),
], **settings)
"""

FORM_HTML = """
<form action="/new_message" method="post">
{% module xsrf_form_html() %}
<input type="text" name="message"/>
<input type="submit" value="Post"/>
</form>
"""


def test_forged_requests(example: Callable[..., Server]) -> None:
    server = example(BASE + MAIN + LOGIN + XSRF)
    for method in ("POST", "PUT", "DELETE"):
        with server.connect() as client:
            assert client.request(method, "/login", FORM, b"name=Ben").status == 403
    headers = {**FORM, "Cookie": "_xsrf=0123456789abcdef0123456789abcdef"}
    body = b"name=Ben&_xsrf=0123456789abcdef0123456789abcdef"
    assert server.post("/login", body, headers).status == 302
    headers["X-XSRFToken"] = "0123456789abcdef0123456789abcdef"
    assert server.post("/login", b"name=Ben", headers).status == 302


def test_the_form_that_sends_the_token(serve: Callable[..., Server], tmp_path: Path) -> None:
    class MessageHandler(RequestHandler):
        def get(self) -> None:
            self.render("form.html")

        def post(self) -> None:
            self.write(self.get_argument("message"))

    (tmp_path / "form.html").write_text(FORM_HTML)
    rules = [("/new_message", MessageHandler)]
    server = serve(Application(rules, template_path=str(tmp_path), xsrf_cookies=True))
    answer = server.get("/new_message")
    found = re.search(r'<input type="hidden" name="_xsrf" value="([^"]+)"/>', answer.text)
    assert found is not None
    headers = {**FORM, **cookie_of(answer)}
    sent = urlencode({"message": "hello", "_xsrf": found[1]}).encode()
    assert server.post("/new_message", sent, headers).text == "hello"
    assert server.post("/new_message", b"message=hello", headers).status == 403


# The handler that uses Google is in tests/auth/test_openid.py, with a provider.
