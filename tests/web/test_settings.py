"""Each setting of an application, as a client sees what it does."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from support import TIMEOUT, Response
from typhoon.template import DictLoader
from typhoon.web import (
    Application,
    ErrorHandler,
    RequestHandler,
    StaticFileHandler,
    authenticated,
)

HTML = {"Accept": "text/html"}


class Fails(RequestHandler):
    def get(self) -> None:
        raise ValueError("what went wrong")


def test_debug_sets_what_it_stands_for():
    settings = Application(debug=True).settings
    assert settings["autoreload"] is True
    assert settings["compiled_template_cache"] is False
    assert settings["static_hash_cache"] is False
    assert settings["serve_traceback"] is True


@pytest.mark.parametrize(
    "name", ["autoreload", "compiled_template_cache", "static_hash_cache", "serve_traceback"]
)
def test_what_debug_stands_for_can_be_set_differently(name):
    assert Application(debug=True, **{name: "own"}).settings[name] == "own"
    assert name not in Application().settings


PROGRAM = """
import asyncio, sys
from typhoon.web import Application, RequestHandler
class Main(RequestHandler):
    def get(self):
        self.write("WORD")
async def main():
    Application([("/", Main)], **{SETTING: True}).listen(int(sys.argv[1]), "127.0.0.1")
    print("ready", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


@pytest.mark.parametrize("setting", ["debug", "autoreload"])
def test_autoreload_starts_a_changed_program_again(tmp_path, setting):
    from typhoon.testing import bind_unused_port

    sock, port = bind_unused_port()
    sock.close()
    program = tmp_path / "program.py"
    text = PROGRAM.replace("SETTING", repr(setting))
    program.write_text(text.replace("WORD", "first"))
    command = [sys.executable, "-X", "dev", str(program), str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        for word in ("first", "second"):
            assert process.stdout.readline() == "ready\n"
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=TIMEOUT) as answer:
                assert answer.read() == word.encode()
            program.write_text(text.replace("WORD", "second"))
            later = os.stat(program).st_mtime + 2
            os.utime(program, (later, later))
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("accept", ["text/html", "application/json", "*/*", None])
@pytest.mark.parametrize("settings", [{"serve_traceback": True}, {"debug": True}])
def test_serve_traceback(serve, accept, settings):
    headers = {"Accept": accept} if accept else {}
    app = Application([("/", Fails)], **{"autoreload": False, **settings})
    assert "what went wrong" in serve(app).get("/", headers).text
    for hidden in ({}, {"serve_traceback": False}, {"debug": False}):
        answer = serve(Application([("/", Fails)], **hidden)).get("/", headers)
        assert answer.status == 500
        assert "what went wrong" not in answer.text
        assert "Traceback" not in answer.text
        assert __file__ not in answer.text


def test_log_function_takes_the_place_of_the_access_log(serve, caplog):
    seen = []
    app = Application([("/", Fails)], log_function=lambda handler: seen.append(handler))
    server = serve(app)
    server.get("/")
    server.get("/none")
    server.call()
    assert [(handler.request.path, handler.get_status()) for handler in seen] == [
        ("/", 500),
        ("/none", 404),
    ]
    assert not [record for record in caplog.records if record.name == "typhoon.access"]


def test_default_handler_class_and_its_arguments(serve):
    class Default(RequestHandler):
        def initialize(self, word: str = "nothing") -> None:
            self.word = word

        def get(self) -> None:
            self.set_status(404)
            self.write(f"{self.word} at {self.request.path}")

    answer = serve(Application(default_handler_class=Default)).get("/x")
    assert (answer.status, answer.text) == (404, "nothing at /x")
    app = Application(default_handler_class=Default, default_handler_args={"word": "no page"})
    assert serve(app).get("/x").text == "no page at /x"
    app = Application(default_handler_class=ErrorHandler, default_handler_args={"status_code": 403})
    assert serve(app).get("/x").status == 403


@pytest.mark.parametrize("prefix", [None, "/static/", "/files/"])
@pytest.mark.parametrize("as_path", [str, Path])
def test_static_path_and_static_url_prefix(serve, tmp_path, prefix, as_path):
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "robots.txt").write_text("none")

    class Address(RequestHandler):
        def get(self) -> None:
            self.write(self.static_url("a.txt"))

    settings: dict[str, Any] = {} if prefix is None else {"static_url_prefix": prefix}
    client = serve(
        Application([("/", Address)], static_path=as_path(tmp_path), **settings)
    ).connect()
    address = client.get("/").text
    assert address.startswith(f"{prefix or '/static/'}a.txt?v=")
    assert client.get(address).text == "a"
    assert client.get("/robots.txt").text == "none"
    assert client.get("/favicon.ico").status == 404


@pytest.mark.parametrize("cached", [True, False])
def test_static_hash_cache(serve, tmp_path, cached):
    (tmp_path / "a.txt").write_text("a")
    hashed = 0

    class Files(StaticFileHandler):
        @classmethod
        def get_content_version(cls, abspath: str) -> str:
            nonlocal hashed
            hashed += 1
            return super().get_content_version(abspath)

    class Address(RequestHandler):
        def get(self) -> None:
            self.write(self.static_url("a.txt"))

    settings = {"static_path": str(tmp_path), "static_handler_class": Files}
    client = serve(Application([("/", Address)], static_hash_cache=cached, **settings)).connect()
    assert client.get("/").text == client.get("/").text
    assert hashed == (1 if cached else 2)


# ---- Signing in and security


class Account(RequestHandler):
    def get_current_user(self) -> str | None:
        name = self.get_signed_cookie("user")
        return name.decode() if name else None

    @authenticated
    def get(self) -> None:
        self.write(f"hello {self.current_user}")

    def post(self) -> None:
        self.set_signed_cookie("user", "ada")


def cookies_of(answer: Response) -> str:
    return "; ".join(value.partition(";")[0] for value in answer.header_list("Set-Cookie"))


@pytest.mark.parametrize("secret", ["one secret", b"bytes", {1: "old", 2: "new"}])
def test_cookie_secret_and_login_url(serve, secret):
    settings = {"key_version": 2} if isinstance(secret, dict) else {}
    app = Application([("/", Account)], cookie_secret=secret, login_url="/sign-in", **settings)
    client = serve(app).connect()
    answer = client.get("/")
    assert (answer.status, answer.header("Location")) == (302, "/sign-in?next=%2F")
    cookies = cookies_of(client.post("/", b""))
    assert client.get("/", {"Cookie": cookies}).text == "hello ada"
    assert client.get("/", {"Cookie": cookies[:-1] + "?"}).status == 302
    other = serve(Application([("/", Account)], cookie_secret="other", login_url="/"))
    assert other.get("/", {"Cookie": cookies}).status == 302


def test_xsrf_cookies(serve):
    class Form(RequestHandler):
        def get(self) -> None:
            self.write(self.xsrf_token)

        def post(self) -> None:
            self.write("done")

    for_all = serve(Application([("/", Form)])).connect()
    assert for_all.post("/", b"").text == "done"
    checked = serve(Application([("/", Form)], xsrf_cookies=True)).connect()
    assert checked.post("/", b"").status == 403
    answer = checked.get("/")
    headers = {"Cookie": cookies_of(answer), "X-XSRFToken": answer.text}
    assert checked.post("/", b"", headers).text == "done"
    headers["X-XSRFToken"] = checked.get("/").text
    assert checked.post("/", b"", headers).status == 403


# ---- Responses


@pytest.mark.filterwarnings("ignore:the setting gzip is deprecated:DeprecationWarning")
@pytest.mark.parametrize("name", ["gzip", "compress_response"])
@pytest.mark.parametrize("value", [True, False])
def test_gzip(serve, name, value):
    class Long(RequestHandler):
        def get(self) -> None:
            self.write("long " * 1000)

    answer = serve(Application([("/", Long)], **{name: value})).get(
        "/", {"Accept-Encoding": "gzip"}
    )
    body = gzip.decompress(answer.body) if value else answer.body
    assert body == b"long " * 1000
    assert answer.header("Content-Encoding") == ("gzip" if value else None)


# ---- Templates


class Shows(RequestHandler):
    def get(self) -> None:
        self.render("page.html", value="<b>")


@pytest.mark.parametrize("as_path", [str, Path])
@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({}, "&lt;b&gt;"),
        ({"autoescape": "xhtml_escape"}, "&lt;b&gt;"),
        ({"autoescape": None}, "<b>"),
        ({"autoescape": "url_escape"}, "%3Cb%3E"),
    ],
)
def test_template_path_and_autoescape(serve, tmp_path, as_path, settings, text):
    (tmp_path / "page.html").write_text("{{ value }}")
    app = Application([("/", Shows)], template_path=as_path(tmp_path), **settings)
    assert serve(app).get("/").text == text


@pytest.mark.parametrize("settings", [{}, {"compiled_template_cache": False}])
def test_compiled_template_cache(serve, tmp_path, settings):
    page = tmp_path / "page.html"
    page.write_text("before")
    client = serve(Application([("/", Shows)], template_path=str(tmp_path), **settings)).connect()
    assert client.get("/").text == "before"
    page.write_text("after")
    assert client.get("/").text == ("after" if settings else "before")


def test_template_loader(serve):
    loader = DictLoader({"page.html": "from the loader: {{ value }}"})
    app = Application([("/", Shows)], template_loader=loader, template_path="none")
    assert serve(app).get("/").text == "from the loader: &lt;b&gt;"


# ---- What cannot be right is said at start.


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({"autoescape": str.upper}, '"xhtml_escape"'),
        ({"cookie_secret": 12345}, "long random string"),
        ({"cookie_secret": {"a": "b"}}, "integers as versions"),
        ({"default_handler_args": ["a"]}, "dict of arguments"),
        ({"default_handler_class": "Main"}, "subclass of RequestHandler"),
        ({"log_function": "log"}, "takes the handler"),
        ({"key_version": "1"}, "version of the key"),
        ({"login_url": 5}, '"/login"'),
        ({"static_handler_args": 5}, "dict of arguments"),
        ({"static_handler_class": "Main"}, "subclass of StaticFileHandler"),
        ({"static_path": True}, "path of a folder"),
        ({"static_url_prefix": 1}, '"/static/"'),
        ({"template_loader": "templates"}, 'Loader("templates")'),
        ({"template_path": 1}, "path of a folder"),
        ({"trusted_origins": "https://example.org"}, "list of origins"),
        ({"ui_modules": "modules"}, "a module, a dict"),
        ({"ui_methods": 1}, "a module, a dict"),
        ({"websocket_max_message_size": "10 MiB"}, "number of bytes"),
        ({"websocket_ping_interval": "5"}, "number of seconds"),
        ({"websocket_ping_timeout": "5"}, "number of seconds"),
        ({"xsrf_cookie_kwargs": True}, "arguments for set_cookie"),
    ],
)
def test_a_setting_of_the_wrong_kind_says_what_to_write(settings, hint):
    (name,) = settings
    with pytest.raises(TypeError, match=name) as caught:
        Application(**settings)
    assert hint in str(caught.value)
    assert "12345" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({"template_whitespace": "double"}, "'all', 'single', 'oneline'"),
        ({"xsrf_cookie_version": 3}, "1, 2"),
        ({"key_version": 3, "cookie_secret": {1: "old", 2: "new"}}, "(1, 2), not 3"),
    ],
)
def test_a_value_that_does_not_exist_says_which_do(settings, hint):
    with pytest.raises(ValueError, match=next(iter(settings))) as caught:
        Application(**settings)
    assert hint in str(caught.value)


@pytest.mark.parametrize("secret", ["", b"", {}, {1: "good", 2: ""}])
def test_an_empty_secret_is_no_secret(secret):
    with pytest.raises(ValueError, match="token_urlsafe") as caught:
        Application(cookie_secret=secret)
    assert "good" not in str(caught.value)


@pytest.mark.parametrize("name", ["static_path", "template_path"])
def test_a_file_where_a_folder_is_wanted(name, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ValueError, match=f"{name} is a folder"):
        Application(**{name: str(file)})


def test_settings_that_are_right():
    """None stands for what is not set; what is unknown belongs to the application."""
    Application(
        **dict.fromkeys(("cookie_secret", "static_path", "log_function", "ui_modules", "debug")),
        staticpath=5,
        database=object(),
    )
    Application(cookie_secret={1: "a", 2: b"b"}, template_path=Path("none"), static_path="none")


def test_handlers_of_an_application_s_own_may_take_several_folders():
    class Finder(RequestHandler):
        pass

    Application(static_path=["a", "b"], static_handler_class=Finder, template_path=("a", "b"))
