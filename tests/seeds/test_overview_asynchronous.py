"""The examples of «Overview»: non-blocking requests, and the HTTP clients."""

from collections.abc import Callable

import pytest

from seed_examples import application_of
from support import Server
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
