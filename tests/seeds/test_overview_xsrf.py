"""The examples of «Overview»: protection against cross-site request forgery."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seed_examples import URLENCODED, application_of
from support import Response, Server
from typhoon import web

SETTINGS = """
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

FORM = """\
<form action="/new_message" method="post">
  {% module xsrf_form_html() %}
  <input type="text" name="message"/>
  <input type="submit" value="Post"/>
</form>
"""

# What the document's function getCookie looks for in document.cookie.
GET_COOKIE = re.compile(r"\b_xsrf=([^;]*)\b")


class MainHandler(web.RequestHandler):
    def get(self) -> None:
        self.render("form.html")

    def post(self) -> None:
        self.write("posted " + self.get_argument("message", "nothing"))

    put = delete = post


class LoginHandler(web.RequestHandler):
    """A page of pure JavaScript: reading the token is enough to set the cookie."""

    def get(self) -> None:
        assert self.xsrf_token
        self.write("<script>...</script>")


@pytest.fixture
def server(example: Callable[..., Server], tmp_path: Path) -> Server:
    (tmp_path / "form.html").write_text(FORM)

    class Main(MainHandler):
        def get_template_path(self) -> str:
            return str(tmp_path)

    return example(SETTINGS, MainHandler=Main, LoginHandler=LoginHandler)


def cookie_of(answer: Response) -> str:
    """document.cookie, once the browser has this page."""
    cookie = answer.header("Set-Cookie")
    assert cookie is not None
    assert "httponly" not in cookie.lower(), "scripts have to read it"
    return cookie.split(";")[0]


def test_the_form_in_a_template(server: Server) -> None:
    page = server.get("/")
    field = re.search(r'<input type="hidden" name="_xsrf" value="([^"]+)"/>', page.text)
    assert field is not None
    cookie = {"Cookie": cookie_of(page)}
    body = f"_xsrf={field[1]}&message=hello".encode()
    assert server.post("/", body, {**URLENCODED, **cookie}).text == "posted hello"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"message=hello", {}),
        (b"_xsrf=2|00000000|00|1&message=hello", {}),
        (b"", {"X-XSRFToken": "forged"}),
    ],
    ids=["none", "wrong", "forged"],
)
def test_requests_without_the_right_value_are_rejected(
    server: Server,
    caplog: pytest.LogCaptureFixture,
    method: str,
    body: bytes,
    headers: dict[str, str],
) -> None:
    cookie = cookie_of(server.get("/"))
    with server.connect() as client:
        headers = {**URLENCODED, **headers, "Cookie": cookie}
        assert client.request(method, "/", headers, body).status == 403
        # Without the cookie the value of the form proves nothing.
        body = b"_xsrf=" + cookie.partition("=")[2].encode()
        assert client.request(method, "/", URLENCODED, body).status == 403


def test_post_json_of_the_document(server: Server) -> None:
    """What jQuery.postJSON sends: the cookie that getCookie finds, as an argument."""
    cookie = cookie_of(server.get("/login"))
    found = GET_COOKIE.search("first=1; " + cookie + "; last=2")
    assert found is not None
    assert found[1] == cookie.partition("=")[2]
    body = f"message=hello&_xsrf={found[1].replace('|', '%7C')}".encode()
    headers = {**URLENCODED, "Cookie": cookie, "X-Requested-With": "XMLHttpRequest"}
    assert server.post("/", body, headers).text == "posted hello"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_the_value_in_a_header(server: Server, method: str) -> None:
    cookie = cookie_of(server.get("/login"))
    headers = {"Cookie": cookie, "X-XSRFToken": cookie.partition("=")[2]}
    with server.connect() as client:
        answer = client.request(method, "/", headers, b'{"message": "hello"}')
    assert (answer.status, answer.text) == (200, "posted nothing")


def test_a_value_without_a_mask(server: Server) -> None:
    """As versions of Tornado set it that are as old as the document."""
    token = "0123456789abcdef0123456789abcdef"
    headers = {**URLENCODED, "Cookie": f"_xsrf={token}"}
    assert server.post("/", f"message=hello&_xsrf={token}".encode(), headers).text == "posted hello"
    headers["X-XSRFToken"] = token
    assert server.post("/", b"message=hello", headers).text == "posted hello"


UNCHECKED = """
class MainHandler(tornado.web.RequestHandler):
    def check_xsrf_cookie(self):
        pass

    def post(self):
        self.write("posted by " + self.request.headers["Authorization"])
"""


def test_a_handler_of_its_own(example: Callable[..., Server]) -> None:
    settings: dict[str, Any] = {"xsrf_cookies": True}
    server = example(UNCHECKED, application=application_of("/", "MainHandler", **settings))
    assert server.post("/", b"", {"Authorization": "bearer"}).text == "posted by bearer"
