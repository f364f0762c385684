"""The examples of «Overview»: running in production, behind nginx."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proxy import needs_nginx, running_nginx
from support import Client, Server
from typhoon import web


class AddressHandler(web.RequestHandler):
    def get(self) -> None:
        self.write(f"{self.request.protocol} {self.request.remote_ip}")


def test_xheaders(serve: Callable[..., Server]) -> None:
    application = web.Application([("/", AddressHandler)])
    headers = {"X-Real-IP": "4.4.4.4", "X-Scheme": "https"}
    assert serve(application, xheaders=True).get("/", headers).text == "https 4.4.4.4"
    assert serve(application).get("/", headers).text == "http 127.0.0.1"


NGINX = """\
user nginx;
worker_processes 1;

error_log /var/log/nginx/error.log;
pid /var/run/nginx.pid;

events {
    worker_connections 1024;
    use epoll;
}

http {
    # Enumerate all the Tornado servers here
    upstream frontends {
        server 127.0.0.1:8000;
        server 127.0.0.1:8001;
        server 127.0.0.1:8002;
        server 127.0.0.1:8003;
    }

    include /etc/nginx/mime.types;
    default_type application/octet-stream;

    access_log /var/log/nginx/access.log;

    keepalive_timeout 65;
    proxy_read_timeout 200;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    gzip on;
    gzip_min_length 1000;
    gzip_proxied any;
    gzip_types text/plain text/html text/css text/xml
               application/x-javascript application/xml
               application/atom+xml text/javascript;

    # Only retry if there was a communication error, not a timeout
    # on the Tornado server (to avoid propagating "queries of death"
    # to all frontends)
    proxy_next_upstream error;

    server {
        listen 80;

        # Allow file uploads
        client_max_body_size 50M;

        location ^~ /static/ {
            root /var/www;
            if ($query_string) {
                expires max;
            }
        }
        location = /favicon.ico {
            rewrite (.*) /static/favicon.ico;
        }
        location = /robots.txt {
            rewrite (.*) /static/robots.txt;
        }

        location / {
            proxy_pass_header Server;
            proxy_set_header Host $http_host;
            proxy_redirect false;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Scheme $scheme;
            proxy_pass http://frontends;
        }
    }
}
"""


class FrontendHandler(web.RequestHandler):
    def initialize(self, number: int) -> None:
        self.number = number

    def get(self) -> None:
        request = self.request
        self.write({"frontend": self.number, "host": request.host, "ip": request.remote_ip})

    def post(self) -> None:
        self.write(str(len(self.request.body)))


class LongHandler(web.RequestHandler):
    def get(self) -> None:
        self.set_header("Content-Type", "text/plain")
        self.write("text " * 1000)


class RedirectingHandler(web.RequestHandler):
    def get(self) -> None:
        self.redirect("/next")


@pytest.fixture
def proxied(
    serve: Callable[..., Server], tmp_path: Path
) -> Iterator[tuple[Callable[[], Client], list[Server]]]:
    pages = {"/long": LongHandler, "/redirect": RedirectingHandler, "/address": AddressHandler}
    frontends = [
        serve(
            web.Application([*pages.items(), ("/.*", FrontendHandler, {"number": number})]),
            xheaders=True,
            max_buffer_size=1 << 26,
        )
        for number in range(4)
    ]
    ports = {8000 + number: server.port for number, server in enumerate(frontends)}
    static = tmp_path / "www" / "static"
    static.mkdir(parents=True)
    for name in ("favicon.ico", "robots.txt", "app.css"):
        (static / name).write_text("static " + name)
    with running_nginx(NGINX, tmp_path, ports) as connect:
        yield connect, frontends


@needs_nginx
def test_behind_nginx(proxied: tuple[Callable[[], Client], list[Server]]) -> None:
    connect, _ = proxied
    client = connect()
    seen = [client.get("/", {"Host": "friendfeed.com"}) for _ in range(8)]
    bodies = [json.loads(answer.text) for answer in seen]
    assert {body["frontend"] for body in bodies} == {0, 1, 2, 3}
    assert {body["host"] for body in bodies} == {"friendfeed.com"}
    assert (seen[0].header("Server") or "").startswith("TyphoonServer/")
    # What the client claims is replaced by what nginx knows.
    headers = {"X-Real-IP": "4.4.4.4", "X-Scheme": "https"}
    assert client.get("/address", headers).text == "http 127.0.0.1"
    # A redirect stays as it was written.
    assert client.get("/redirect").header("Location") == "/next"


@needs_nginx
def test_nginx_serves_the_static_files(
    proxied: tuple[Callable[[], Client], list[Server]],
) -> None:
    client = proxied[0]()
    for path, name in [
        ("/static/app.css", "app.css"),
        ("/favicon.ico", "favicon.ico"),
        ("/robots.txt", "robots.txt"),
    ]:
        answer = client.get(path)
        assert (answer.status, answer.text) == (200, "static " + name)
        assert (answer.header("Server") or "").startswith("nginx")
    assert client.get("/static/app.css").header("Cache-Control") is None
    assert "max-age=" in (client.get("/static/app.css?v=aae54").header("Cache-Control") or "")


@needs_nginx
def test_nginx_compresses_and_takes_uploads(
    proxied: tuple[Callable[[], Client], list[Server]],
) -> None:
    client = proxied[0]()
    answer = client.get("/long", {"Accept-Encoding": "gzip"})
    assert answer.header("Content-Encoding") == "gzip"
    assert gzip.decompress(answer.body).startswith(b"text text ")
    upload = b"x" * (8 << 20)
    assert client.post("/upload", upload).text == str(len(upload))


@needs_nginx
def test_a_frontend_that_is_gone(
    proxied: tuple[Callable[[], Client], list[Server]],
) -> None:
    """`proxy_next_upstream error`: the others take over."""
    connect, frontends = proxied
    gone = frontends[2]
    gone.call(gone.http_server.stop)
    gone.call(gone.http_server.close_all_connections)
    client = connect()
    answers = [client.get("/") for _ in range(8)]
    assert {answer.status for answer in answers} == {200}
    assert {json.loads(answer.text)["frontend"] for answer in answers} == {0, 1, 3}
