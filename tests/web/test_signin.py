"""Who is signed in, and where those go who are not."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, urlsplit

import pytest

from typhoon import gen
from typhoon.web import Application, RequestHandler, authenticated


class Base(RequestHandler):
    def get_current_user(self) -> bytes | None:
        return self.get_signed_cookie("user")


class Page(Base):
    @authenticated
    def get(self) -> None:
        self.write(self.current_user)

    head = get

    @authenticated
    def post(self) -> None:
        self.write("posted")


class AsyncPage(Base):
    @authenticated
    async def get(self) -> None:
        await asyncio.sleep(0)
        self.write(self.current_user)

    async def head(self) -> None:
        await self.get()

    @authenticated
    async def put(self) -> None:
        self.write("put")


class YieldingPage(Base):
    @authenticated
    @gen.coroutine
    def get(self):
        yield gen.moment
        self.write(self.current_user)


class Login(Base):
    def get(self) -> None:
        self.write("Who are you?")

    def post(self) -> None:
        self.set_signed_cookie("user", self.get_argument("name"))
        self.redirect(self.get_next_url())


def application(**settings) -> Application:
    settings = {"cookie_secret": "secret", "login_url": "/login", **settings}
    rules = [(".*/async", AsyncPage), ("/yielding", YieldingPage), ("/login", Login), (".*", Page)]
    return Application(rules, **settings)


def next_of(answer) -> str | None:
    assert answer.status == 302
    (page,) = parse_qs(urlsplit(answer.header("Location")).query).get("next", [None])
    return page


@pytest.mark.parametrize("path", ["/", "/async", "/yielding"])
def test_signing_in_leads_to_the_page_that_was_asked_for(serve, path):
    server = serve(application())
    page = f"{path}?a=1&b=%C3%A9"
    answer = server.get(page)
    assert answer.header("Location").startswith("/login?next=%2F")
    assert next_of(answer) == page
    answer = server.post(answer.header("Location"), b"name=Ben", FORM)
    assert (answer.status, answer.header("Location")) == (302, page)
    user = {"Cookie": answer.header("Set-Cookie").partition(";")[0]}
    assert server.get(page, user).text == "Ben"


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("HEAD", "/", 302),
        ("HEAD", "/async", 302),
        ("POST", "/", 403),
        ("PUT", "/async", 403),
    ],
)
def test_other_methods(serve, method, path, status):
    with serve(application()).connect() as client:
        assert client.request(method, path, body=b"").status == status


@pytest.mark.parametrize(
    ("login_url", "location"),
    [
        ("/login", "/login?next=%2Fa"),
        ("login", "login?next=%2Fa"),
        ("/login?language=de", "/login?language=de"),
        ("/login?next=/home", "/login?next=/home"),
        ("https://id.example.com/in", "https://id.example.com/in?next=http%3A%2F%2Flocalhost%2Fa"),
        ("//id.example.com/in", "//id.example.com/in?next=http%3A%2F%2Flocalhost%2Fa"),
    ],
)
def test_the_login_url(serve, login_url, location):
    assert serve(application(login_url=login_url)).get("/a").header("Location") == location


def test_a_login_url_of_the_handler(serve):
    class Handler(Page):
        def get_login_url(self) -> str:
            return f"/login/{self.request.method.lower()}"

    answer = serve(Application([("/a", Handler)], cookie_secret="s")).get("/a")
    assert answer.header("Location") == "/login/get?next=%2Fa"


def test_without_a_login_url(serve):
    answer = serve(application(login_url=None, serve_traceback=True)).get("/")
    assert answer.status == 500
    assert "define the 'login_url' setting" in answer.text


@pytest.mark.parametrize(
    ("target", "page"),
    [
        ("//evil.example.com/x?y=1", "/evil.example.com/x?y=1"),
        ("/\\evil.example.com/", "/evil.example.com/"),
        ("/\\/\\//evil.example.com", "/evil.example.com"),
        ("/%2Fevil.example.com", "/%2Fevil.example.com"),
        ("http://localhost/a?b=1", "/a?b=1"),
    ],
)
@pytest.mark.parametrize("login_url", ["/login", "https://id.example.com/"])
def test_next_is_never_another_site(serve, target, page, login_url):
    answer = serve(application(login_url=login_url)).get(target)
    assert next_of(answer) == (page if login_url == "/login" else "http://localhost" + page)


@pytest.mark.parametrize(
    ("argument", "url"),
    [
        (None, "/home"),
        ("", "/home"),
        ("/", "/"),
        ("/a/b?c=d&e=/%2F#f", "/a/b?c=d&e=/%2F#f"),
        ("/a?to=http://evil.com", "/a?to=http://evil.com"),
        ("/a//b", "/a//b"),
        ("http://localhost/a?b=c", "/a?b=c"),
        ("https://localhost/a", "/a"),
        ("http://localhost", "/"),
        ("http://localhost?a", "/?a"),
        ("http://localhost//evil.com", "/home"),
        ("http://localhost/\\evil.com", "/home"),
        ("//evil.com", "/home"),
        ("///evil.com", "/home"),
        ("/\\evil.com", "/home"),
        ("\\\\evil.com", "/home"),
        ("/\t/evil.com", "/home"),
        ("/\r\n/evil.com", "/home"),
        ("\t//evil.com", "/home"),
        ("/ /evil.com", "/home"),
        ("http://evil.com/", "/home"),
        ("http:/evil.com", "/home"),
        ("http://localhost@evil.com/", "/home"),
        ("http://evil.com\\@localhost/", "/home"),
        ("http://localhost:80@evil.com/", "/home"),
        ("http://localhost.evil.com/", "/home"),
        ("http://[evil.com/", "/home"),
        ("ftp://localhost/", "/home"),
        ("javascript:alert(1)", "/home"),
        ("javascript://localhost/%0aalert(1)", "/home"),
        ("a", "/home"),
        ("?a", "/home"),
    ],
)
def test_get_next_url(serve, argument, url):
    class Handler(RequestHandler):
        def get(self) -> None:
            if argument is not None:
                self.request.arguments["next"] = [argument.encode()]
            self.write(self.get_next_url(default="/home"))

    assert serve(Application([("/", Handler)])).get("/").text == url


def test_the_user_is_asked_for_once_and_only_when_wanted(serve):
    asked = []

    class Handler(RequestHandler):
        def get_current_user(self) -> None:
            asked.append(self)

        def get(self) -> None:
            pass

        def post(self) -> None:
            assert self.current_user is None
            assert self.current_user is None

    server = serve(Application([("/", Handler)]))
    assert server.get("/").status == 200
    assert asked == []
    assert server.post("/", b"").status == 200
    assert len(asked) == 1


def test_the_user_can_be_set(serve):
    class Handler(RequestHandler):
        async def prepare(self) -> None:
            await asyncio.sleep(0)
            self.current_user = "Ben"

        def get_current_user(self) -> str:
            raise NotImplementedError

        @authenticated
        def get(self) -> None:
            self.write(self.current_user)

    assert serve(Application([("/", Handler)])).get("/").text == "Ben"


def test_nobody_by_default(serve):
    class Handler(RequestHandler):
        def get(self) -> None:
            assert self.current_user is None

    assert serve(Application([("/", Handler)])).get("/").status == 200


@pytest.mark.parametrize("kind", ["async def", "future"])
def test_a_user_that_has_to_be_awaited_is_no_user(serve, kind):
    """It would be true, and so everybody would be signed in."""

    class Handler(RequestHandler):
        if kind == "async def":

            async def get_current_user(self) -> None:
                return None
        else:

            def get_current_user(self) -> asyncio.Future[None]:
                return asyncio.get_running_loop().create_future()

        @authenticated
        def get(self) -> None:
            self.write("secret")

    answer = serve(Application([("/", Handler)], login_url="/", serve_traceback=True)).get("/")
    assert answer.status == 500
    assert "set self.current_user in an async prepare() instead" in answer.text


def test_the_decorator_keeps_name_and_docstring():
    @authenticated
    def method(self) -> None:
        """What it does."""

    assert (method.__name__, method.__doc__) == ("method", "What it does.")
