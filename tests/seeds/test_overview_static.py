"""The examples of «Overview»: static files and aggressive file caching."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy import needs_nginx, running_nginx, wrapped
from support import Server
from typhoon import web

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
    url = web.StaticFileHandler.make_static_url({"static_path": str(tmp_path / "static")}, name)
    versioned = server.get(target + "?v=" + url.partition("?v=")[2][:5])
    assert "max-age=" in (versioned.header("Cache-Control") or "")
    assert server.get("/static/absent.png").status == 404
    assert server.get("/static/../secret").status in (400, 403, 404)
    assert server.get("/").text == "page"


LOGO = """\
<html>
   <head>
      <title>FriendFeed - {{ _("Home") }}</title>
   </head>
   <body>
     <div><img src="{{ static_url("images/logo.png") }}"/></div>
   </body>
 </html>
"""


def test_static_url_in_a_template(example: Callable[..., Server], tmp_path: Path) -> None:
    class HomeHandler(web.RequestHandler):
        def get(self) -> None:
            self.render("home.html")

        def get_template_path(self) -> str:
            return str(tmp_path)

    def serve_home() -> tuple[Server, str]:
        server = example(STATIC, os=os, MainHandler=HomeHandler, LoginHandler=HomeHandler)
        page = server.get("/").text
        assert "<title>FriendFeed - Home</title>" in page
        return server, page.partition('<img src="')[2].partition('"')[0]

    (tmp_path / "home.html").write_text(LOGO)
    logo = tmp_path / "static" / "images" / "logo.png"
    logo.parent.mkdir(parents=True)
    logo.write_bytes(b"old logo")
    server, old = serve_home()
    assert re.fullmatch(r"/static/images/logo\.png\?v=[0-9a-f]{5,}", old)
    answer = server.get(old)
    assert answer.body == b"old logo"
    assert "max-age=" in (answer.header("Cache-Control") or "")
    assert answer.header("Expires") is not None

    # The file is updated, and the server is restarted.
    logo.write_bytes(b"the new logo")
    web.StaticFileHandler.reset()
    server, new = serve_home()
    assert new != old
    assert server.get(new).body == b"the new logo"


LOCATION = """
location /static/ {
    root /var/friendfeed/static;
    if ($query_string) {
        expires max;
    }
}
"""


@needs_nginx
def test_nginx_serves_the_same_addresses(tmp_path: Path) -> None:
    logo = tmp_path / "friendfeed" / "static" / "static" / "images" / "logo.png"
    logo.parent.mkdir(parents=True)
    logo.write_bytes(b"the logo")
    settings = {"static_path": str(logo.parents[1])}
    url = web.StaticFileHandler.make_static_url(settings, "images/logo.png")
    assert "?v=" in url
    server = wrapped("server {\nlisten 80;" + LOCATION + "}")
    with running_nginx(server, tmp_path, {}) as connect:
        client = connect()
        versioned = client.get(url)
        assert versioned.body == b"the logo"
        assert "max-age=" in (versioned.header("Cache-Control") or "")
        assert client.get("/static/images/logo.png").header("Cache-Control") is None
