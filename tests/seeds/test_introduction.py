# ruff: noqa: RUF001  (the examples' comments are Russian)
"""The examples of «Tornado - Введение в асинхронность»."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from seed_examples import URLENCODED, application_of
from support import Client, Server
from typhoon import escape, gen, web
from typhoon.httpclient import AsyncHTTPClient

# What the document leaves to its reader.
IMPORTS = """
import tornado.ioloop
import tornado.web
from tornado.web import RequestHandler
database = {}
"""

SKELETON = """
class MainHandler(RequestHandler):  # класс-обработчик запроса, он будет обрабатывать поступивший url
    def get(self):  # переобределяем метод GET
        self.write("ololo")  # записываем в ответ "ololo"
                     # на этом обработка запроса завершается

class TestHandler(RequestHandler):
    def initialize(self, database):  # здест мы передаём при связке с url параметр
        self.database = database  # см. ниже

    def get(self):
        ...


class HiamHandler(RequestHandler):
    def post(self, username):  # параметр в url присутсвует в параметрах функции обработки запроса
        ...


app_settings = {  # здесь популярные настройки, не нужно обращать на них внимания
    'autoreload': True,
    'debug': True,
    'gzip': False,
    'serve_traceback': True, # True, if Debug
    #'log_function': SOME_LOG_Function,
    #'default_handler_class': SOME_VALUE,
    #'default_handler_args': SOME_VALUE,
    'cookie_secret': "DebuG)",
    #'login_url': "SOME_LOGIN_URL",
    'xsrf_cookies': True,
    #'autoescape': None,
    'compiled_template_cache': False, # False, if Debug
    'template_path': "SOME PATH",
    #'template_loader': SOME_VALUE,
    'static_hash_cache': False, # False, if Debug
    'static_path': "SOME PATH",
    'static_url_prefix': "/static/",
}

if __name__ == "__main__":  # далее код инициализации и запуска сервера
    application = tornado.web.Application([  # создаём наше приложение - сервер
        (r"/", MainHandler),  # тут ставим в соответсвие класс-обработчик запроса и url
        (r"/test/", TestHandler, dict(database=database)),  # возможно также 
                                                    # передавать дополнительный параметр
        (r"/hwoiam/(.*)", HiamHandler),  # параметры url определяются регулярным
                                           # выражением как в других фреймворках
    ], **app_settings)  # словарь с настройками
    application.listen(8888)  # указываем порт, который будем слушать
    tornado.ioloop.IOLoop.instance().start()  # запускаем основную петлю задач, 
                                          # что необходимо при асинхроной архитектуре
"""  # noqa: E501, W291


def test_the_program(program: Callable[[str], Client]) -> None:
    client = program(IMPORTS + SKELETON)
    assert client.get("/").text == "ololo"
    answer = client.get("/test/")
    assert (answer.status, answer.text) == (200, "")
    assert client.get("/hwoiam/anna").status == 405
    assert client.get("/static/absent.css").status == 404
    assert client.get("/absent").status == 404
    assert client.post("/hwoiam/anna", b"").status == 403, "the setting xsrf_cookies"


XSRF = """
class BaseHandler(tornado.web.RequestHandler):
    def get_current_user(self):  # реализуем свою систему аутентификации
        #return None

    def check_xsrf_cookie(self):  # эта переопределённая функция проверки xsrf токена
        token = (self.get_argument("_xsrf", None) or
                 self.request.headers.get("X-Xsrftoken") or
                 self.request.headers.get("X-Csrftoken"))
        if not token:
            raise tornado.web.HTTPError(403, "'_xsrf' argument missing from POST")
        else:
            try:
                token = tornado.escape.json_decode(token)
            except ValueError:
                token = token
        if self.xsrf_token != token:
            raise tornado.web.HTTPError(403, "XSRF cookie does not match POST argument")
"""

# Without a statement the method of the document is no Python.
MEMBERS = (
    XSRF.replace("#return None", "return None")
    + """
class MembersHandler(BaseHandler):
    def get(self):
        self.write(self.xsrf_token)

    def post(self):
        self.write("posted")
"""
)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("way", ["argument", "X-Xsrftoken", "X-Csrftoken"])
@pytest.mark.parametrize("as_json", [False, True], ids=["plain", "json"])
def test_a_check_of_its_own(
    example: Callable[..., Server],
    caplog: pytest.LogCaptureFixture,
    version: int,
    way: str,
    as_json: bool,
) -> None:
    settings = {"xsrf_cookies": True, "xsrf_cookie_version": version}
    server = example(MEMBERS, application=application_of("/", "MembersHandler", **settings))
    page = server.get("/")
    cookie = (page.header("Set-Cookie") or "").split(";")[0]

    def post(token: str) -> int:
        token = escape.json_encode(token) if as_json else token
        headers = {**URLENCODED, "Cookie": cookie}
        body = b""
        if way == "argument":
            body = f"_xsrf={escape.url_escape(token)}".encode()
        else:
            headers[way] = token
        return server.post("/", body, headers).status

    assert post(page.text) == 200
    later = server.get("/", {"Cookie": cookie}).text
    assert (later != page.text) == (version == 2), "masked in another way"
    assert post(later) == 200
    assert server.post("/", b"", {"X-Xsrftoken": later}).status == 403, "without the cookie"
    assert post(server.get("/").text) == 403, "of somebody else"
    assert post("wrong") == 403
    assert server.post("/", b"", {"Cookie": cookie}).status == 403
    assert "'_xsrf' argument missing from POST" in caplog.text
    assert "XSRF cookie does not match POST argument" in caplog.text


def test_the_parameters_of_its_handlers(example: Callable[..., Server]) -> None:
    seen: list[object] = []
    source = SKELETON.replace(
        "...", "seen.append(vars().get('username', vars(self).get('database')))"
    )
    database = {"name": "main"}
    server = example(
        source,
        RequestHandler=web.RequestHandler,
        seen=seen,
        application=lambda names: web.Application(
            [
                ("/test/", names["TestHandler"], {"database": database}),
                ("/hwoiam/(.*)", names["HiamHandler"]),
            ]
        ),
    )
    assert server.get("/test/").status == 200
    assert server.post("/hwoiam/anna", b"").status == 200
    assert seen == [database, "anna"]


GEN = """
class GenAsyncHandler(RequestHandler):
    @gen.coroutine  # с помощью декоратора объявляем
                    # метод асинхронным
    def get(self):
        http_client = AsyncHTTPClient()  # создаём асинхронный клиент
        response = yield http_client.fetch("http://example.com") # делаем неблокирующий запрос
                          #после этого обработка запроса прерывается и выполняются
                          #другие задачи из очереди
                          #когда сервер, выполняющий наши долгие вычисления или обращение к диску
                          #ответит, и торнадо получит результат
                          #обработка продолжится в порядке очереди
        do_something_with_response(response)
        self.render("template.html")  # завершаем обработку
"""


def test_a_coroutine_that_fetches(
    example: Callable[..., Server], origin: Callable[..., Server], tmp_path: Path
) -> None:
    class Example(web.RequestHandler):
        async def get(self) -> None:
            await asyncio.sleep(0.01)
            self.write("done elsewhere")

    (tmp_path / "template.html").write_text("<p>{{ request.method }} done</p>")
    seen: list[str] = []
    origin("example.com", web.Application([("/", Example)]))
    server = example(
        GEN,
        RequestHandler=web.RequestHandler,
        gen=gen,
        AsyncHTTPClient=AsyncHTTPClient,
        do_something_with_response=lambda response: seen.append(response.body.decode()),
        application=lambda names: web.Application([("/", names["GenAsyncHandler"])]),
    )
    assert server.get("/").text == "<p>GET done</p>"
    assert seen == ["done elsewhere"]
