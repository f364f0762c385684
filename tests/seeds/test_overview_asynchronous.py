"""The examples of «Overview»: non-blocking requests, and the HTTP clients."""

import time
from collections.abc import Callable

import pytest

from seed_examples import application_of, application_with
from support import TIMEOUT, Server
from typhoon.httpclient import AsyncHTTPClient
from typhoon.web import Application, HTTPError, RequestHandler

ASYNCHRONOUS = """
class MainHandler(tornado.web.RequestHandler):
    @tornado.web.asynchronous
    def get(self):
        self.write("Hello, world")
        self.finish()
"""

FETCH = """
class MainHandler(tornado.web.RequestHandler):
    @tornado.web.asynchronous
    def get(self):
        http = tornado.httpclient.AsyncHTTPClient()
        http.fetch("http://friendfeed-api.com/v2/feed/bret",
                   callback=self.on_response)

    def on_response(self, response):
        if response.error: raise tornado.web.HTTPError(500)
        json = tornado.escape.json_decode(response.body)
        self.write("Fetched " + str(len(json["entries"])) + " entries "
                   "from the FriendFeed API")
        self.finish()
"""


def test_asynchronous(example: Callable[..., Server]) -> None:
    with pytest.warns(DeprecationWarning, match="async def"):
        server = example(ASYNCHRONOUS, application=application_of("/", "MainHandler"))
    assert server.get("/").text == "Hello, world"


@pytest.mark.filterwarnings("ignore:the callback argument of fetch.*:DeprecationWarning")
def test_fetching_with_a_callback(
    example: Callable[..., Server],
    origin: Callable[..., Server],
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Feed(RequestHandler):
        def get(self) -> None:
            if failing:
                raise HTTPError(503)
            self.write({"entries": ["a", "b", "c"]})

    failing: list[bool] = []
    origin("friendfeed-api.com", Application([("/v2/feed/bret", Feed)]))
    with pytest.warns(DeprecationWarning, match="async def"):
        server = example(
            "import typhoon.httpclient\n" + FETCH, application=application_of("/", "MainHandler")
        )
    assert server.get("/").text == "Fetched 3 entries from the FriendFeed API"
    failing.append(True)
    assert server.get("/").status == 500, "what a callback raises is the response, too"


def test_configuring_the_client() -> None:
    saved = AsyncHTTPClient._save_configuration()
    try:
        AsyncHTTPClient.configure("typhoon.curl_httpclient.CurlAsyncHTTPClient")
        assert AsyncHTTPClient.configured_class().__name__ == "CurlAsyncHTTPClient"
    finally:
        AsyncHTTPClient._restore_configuration(saved)


# Not in the document, which describes it: «override on_connection_close() to clean up».
LONG_POLLING = """
class UpdatesHandler(tornado.web.RequestHandler):
    @tornado.web.asynchronous
    def get(self):
        waiting.append(self)

    def on_connection_close(self):
        waiting.remove(self)

class NewHandler(tornado.web.RequestHandler):
    def post(self):
        for handler in waiting:
            handler.finish(self.get_argument("body"))
        del waiting[:]
"""
LONG_POLLING_RULES = application_with({"/updates": "UpdatesHandler", "/new": "NewHandler"})


def test_long_polling_cleans_up_when_the_client_goes(example: Callable[..., Server]) -> None:
    waiting: list[RequestHandler] = []
    with pytest.warns(DeprecationWarning, match="async def"):
        server = example(LONG_POLLING, waiting=waiting, application=LONG_POLLING_RULES)
    reader, gone = server.connect(), server.connect()
    for number, client in enumerate((reader, gone), 1):
        client.send(b"GET /updates HTTP/1.1\r\nHost: localhost\r\n\r\n")
        until(server, lambda count=number: len(waiting) == count)
    gone.close()
    until(server, lambda: len(waiting) == 1)
    server.post("/new?body=hello", b"")
    assert reader.response().text == "hello"
    assert not waiting


def until(server: Server, condition: Callable[[], bool]) -> None:
    """Wait for something that happens in the server's event loop."""
    deadline = time.monotonic() + TIMEOUT
    while not server.call(condition):
        assert time.monotonic() < deadline
