"""The examples of «python web框架 tornado 初探»."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from proxy import needs_nginx, running_nginx, wrapped
from seed_examples import URLENCODED
from support import Client, Server
from typhoon import web

HELLO = """
import tornado.ioloop
import tornado.web
class MainHandler(tornado.web.RequestHandler):
  def get(self):
    self.write("Hello, world,"+subdomain)

def make_app():
  return tornado.web.Application([
    (r"/", MainHandler),
  ])

if __name__ == "__main__":
  app = make_app()
  app.listen(8888)
  tornado.ioloop.IOLoop.current().start()

  #在浏览器中输入`http://localhost:8888/` 可以看到`Hello,world`的输出
"""


def test_hello_world(program: Callable[[str], Client]) -> None:
    # The document's example lacks this variable.
    assert program("subdomain = 'www'\n" + HELLO).get("/").text == "Hello, world,www"


def test_hello_world_as_it_is_written_is_an_error_of_the_application(
    example: Callable[..., Server], caplog: pytest.LogCaptureFixture
) -> None:
    answer = example(HELLO).get("/")
    assert answer.status == 500
    assert "500: Internal Server Error" in answer.text
    (record,) = [record for record in caplog.records if record.name == "typhoon.application"]
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert record.exc_info[0] is NameError


STATIC = r"""
def make_app():
  return tornado.web.Application([
    (r"/static/(.*)", tornado.web.StaticFileHandler, {"path": "C:\\Users\\Administrator.PC-20150720QKHJ\\Desktop\\static"}),
  ])

  # 输入: http://localhost:8888/static/a.txt 可访问static目录下的文件内容
"""  # noqa: E501


@pytest.mark.skipif("sys.platform == 'win32'", reason="the example's path is another one there")
def test_static_files(
    example: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Outside Windows this is the name of one folder, relative to the current one.
    folder = tmp_path / "C:\\Users\\Administrator.PC-20150720QKHJ\\Desktop\\static"
    folder.mkdir()
    (folder / "a.txt").write_text("content of a.txt")
    (tmp_path / "secret.txt").write_text("secret")
    monkeypatch.chdir(tmp_path)
    server = example(STATIC)
    answer = server.get("/static/a.txt")
    assert (answer.status, answer.text) == (200, "content of a.txt")
    assert answer.header("Content-Type") == "text/plain"
    assert server.get("/static/absent.txt").status == 404
    assert server.get("/static/../secret.txt").status in (400, 403, 404)
    assert server.get("/static/%2e%2e/secret.txt").status in (400, 403, 404)


FORM = """
class MainHandler(tornado.web.RequestHandler):
    def get(self):
        self.write('<html><body><form action="/" method="post">'
                   '<input type="text" name="message">'
                   '<input type="submit" value="Submit">'
                   '</form></body></html>')

    def post(self):
        self.set_header("Content-Type", "text/plain")
        self.write("You wrote " + self.get_argument("message"))

application = tornado.web.Application([(r"/", MainHandler)])
"""


def test_get_argument(example: Callable[..., Server]) -> None:
    server = example(FORM)
    assert '<form action="/" method="post">' in server.get("/").text
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = server.post("/", "message=你好".encode(), headers)
    assert answer.text == "You wrote 你好"
    assert answer.header("Content-Type") == "text/plain"


DOMAINS = r"""
import tornado.ioloop
import tornado.web
class MainHandler(tornado.web.RequestHandler):
  def get(self):
    subdomain = self.request.host.split(".")[0]
    self.write("Hello, world,"+subdomain)

class DomainHandler(tornado.web.RequestHandler):
  def get(self):
    self.write("Hello, a.com")

def make_app():
  return tornado.web.Application([
    (r"/", MainHandler),
  ])

if __name__ == "__main__":
  app = make_app()
  app.add_handlers(r"^(www\.)?a\.com$", [
    (r"/", DomainHandler),
  ])
  app.listen(8888)
  tornado.ioloop.IOLoop.current().start()

  # 在Host中加入这行 127.0.0.1 a.com
  #浏览器中输入:http://a.com:8888  则输出:Hello, a.com
"""


def test_wildcard_domains(program: Callable[[str], Client]) -> None:
    client = program(DOMAINS)
    for host in ("a.com", "www.a.com", "a.com:8888", "www.a.com:8888", "A.com"):
        assert client.get("/", {"Host": host}).text == "Hello, a.com", host
    for host, subdomain in (("blog.a.com", "blog"), ("xa.com", "xa"), ("a.com.b", "a")):
        assert client.get("/", {"Host": host}).text == f"Hello, world,{subdomain}"


NGINX = """
upstream tornado {
    server 127.0.0.1:8888;
}
server {
      listen 80;
      server_name test.com www.test.com;
      location = /favicon.ico {
          rewrite (.*) /static/favicon.ico;
      }
      location = /robots.txt {
          rewrite (.*) /static/robots.txt;
      }
      location / {
          proxy_pass_header Server;
          proxy_set_header Host $http_host;
          proxy_redirect off;
          proxy_set_header X-Real-IP $remote_addr;
          proxy_set_header X-Scheme $scheme;
          proxy_pass http://tornado;
      }
}
"""


class AboutRequest(web.RequestHandler):
    def get(self) -> None:
        request = self.request
        self.write({"host": request.host, "scheme": request.protocol, "ip": request.remote_ip})


@needs_nginx
def test_behind_nginx(serve: Callable[..., Server], tmp_path: Path) -> None:
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "robots.txt").write_text("User-agent: *")
    rules = [("/", AboutRequest)]
    server = serve(web.Application(rules, static_path=str(tmp_path / "static")), xheaders=True)
    with running_nginx(wrapped(NGINX), tmp_path, {8888: server.port}) as connect:
        client = connect()
        answer = client.get("/", {"Host": "www.test.com", "X-Real-IP": "4.4.4.4"})
        expected = {"host": "www.test.com", "scheme": "http", "ip": "127.0.0.1"}
        assert json.loads(answer.text) == expected
        assert (answer.header("Server") or "").startswith("TyphoonServer/")
        assert client.get("/robots.txt").text == "User-agent: *"
        assert client.get("/favicon.ico").status == 404


CHAT = """
upstream chat_cluster{
     ##多server负载,根据ip_hash作分流也可以用weight权重分流
    server 127.0.0.1:10000;
    server 127.0.0.1:10001;
    ip_hash;
    keepalive 1024;
}

server
{
    listen 80;
    server_name chat.rootk.com;

    location / {
        proxy_pass http://chat_cluster;
        proxy_http_version 1.1;
        # very important, nginx will waitting for the response from tornado
        # if the time have passed more than 7200, nginx send http 504 to client
        proxy_read_timeout 7200;
        proxy_set_header Connection "";
        proxy_set_header Host $host;
        proxy_set_header X-Real-Ip $remote_addr;
        proxy_set_header   X-Forwarded-For  $proxy_add_x_forwarded_for;
    }
}
"""


class PollHandler(web.RequestHandler):
    """Answers when somebody posts a message, as a chat by long polling does."""

    def initialize(self, waiting: "list[asyncio.Future[str]]", number: int) -> None:
        self.waiting = waiting
        self.number = number

    async def get(self) -> None:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.waiting.append(future)
        self.write({"text": await future, "server": self.number})

    def post(self) -> None:
        for future in self.waiting:
            future.set_result(self.get_argument("text"))
        self.write({"told": len(self.waiting)})
        self.waiting.clear()


@needs_nginx
def test_long_connections_through_nginx(serve: Callable[..., Server], tmp_path: Path) -> None:
    servers = []
    for number in range(2):
        arguments = {"waiting": [], "number": number}
        servers.append(serve(web.Application([("/", PollHandler, arguments)]), xheaders=True))
    ports = {10000 + number: server.port for number, server in enumerate(servers)}
    with running_nginx(wrapped(CHAT), tmp_path, ports) as connect:
        reader, writer = connect(), connect()
        heard = []
        for text in ("one", "two"):
            reader.send(b"GET / HTTP/1.1\r\nHost: chat.rootk.com\r\n\r\n")
            body = f"text={text}".encode()
            while not json.loads(writer.post("/", body, URLENCODED).text)["told"]:
                pass
            heard.append(json.loads(reader.response().text))
        assert [message["text"] for message in heard] == ["one", "two"]
        assert len({message["server"] for message in heard}) == 1, "ip_hash"


class EventsHandler(web.RequestHandler):
    async def get(self) -> None:
        await self.send_events(self.events())

    async def events(self) -> AsyncIterator[str]:
        yield f"you are at {self.request.remote_ip}"
        await asyncio.Event().wait()


@needs_nginx
def test_events_through_the_same_nginx(serve: Callable[..., Server], tmp_path: Path) -> None:
    port = serve(web.Application([("/events", EventsHandler)]), xheaders=True).port
    with running_nginx(wrapped(CHAT), tmp_path, {10000: port, 10001: port}) as connect:
        client = connect()
        client.send(b"GET /events HTTP/1.1\r\nHost: chat.rootk.com\r\nX-Real-IP: 4.4.4.4\r\n\r\n")
        assert client.read_until(b"\n\n").endswith(b"data: you are at 127.0.0.1\n\n")


COROUTINE = """
import tornado.ioloop
import tornado.web
from tornado import gen
from tornado.httpclient import AsyncHTTPClient

class MainHandler(tornado.web.RequestHandler):
    @gen.coroutine
    def get(self):
        response = yield self.fetch_json("http://www.baidu.com")
        self.write(response)

    @gen.coroutine
    def fetch_json(self, url):
        response = yield AsyncHTTPClient().fetch(url)
        raise gen.Return(response.body)

application = tornado.web.Application([
    (r"/", MainHandler),
])

if __name__ == "__main__":
    application.listen(8888)
    tornado.ioloop.IOLoop.current().start()
"""


def test_coroutine(example: Callable[..., Server], origin: Callable[..., Server]) -> None:
    origin("www.baidu.com", web.Application([("/", Origin)]))
    server = example(COROUTINE)
    answer = server.get("/")
    assert (answer.status, answer.text) == (200, '{"from": "www.baidu.com"}')


def test_coroutine_that_fails(
    example: Callable[..., Server], origin: Callable[..., Server], caplog: pytest.LogCaptureFixture
) -> None:
    origin("www.baidu.com", web.Application([]))
    server = example(COROUTINE)
    assert server.get("/").status == 500
    server.call()
    (record,) = [r for r in caplog.records if r.name == "typhoon.application"]
    assert "HTTP 404: Not Found" in caplog.text
    assert record.exc_info is not None
    assert "fetch_json" in caplog.text, "the traceback leads to where it was yielded"


class Origin(web.RequestHandler):
    def get(self) -> None:
        self.write({"from": self.request.host_name})
