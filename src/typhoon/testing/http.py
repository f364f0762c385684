"""Test cases with a server and a client."""

import os
import ssl
from typing import Any

from typhoon.httpclient import AsyncHTTPClient, HTTPResponse
from typhoon.httpserver import HTTPServer
from typhoon.testing.case import AsyncTestCase
from typhoon.testing.coroutines import get_async_test_timeout
from typhoon.testing.ports import bind_unused_port
from typhoon.web import Application


class AsyncHTTPTestCase(AsyncTestCase):
    """A test case that serves an application, and fetches from it.

    Subclasses define `get_app`:

    .. code-block:: python

        class HelloTest(AsyncHTTPTestCase):
            def get_app(self):
                return make_app()

            def test_hello(self):
                response = self.fetch("/")
                self.assertEqual(response.body, b"Hello")

    A test that needs to wait for something else in between is a coroutine (`gen_test`) and
    fetches with ``await self.http_client.fetch(self.get_url("/"))``.

    Attributes:
        http_client: The client, made by `get_http_client`.
        http_server: The server, made by `get_http_server`.
    """

    http_client: AsyncHTTPClient
    http_server: HTTPServer

    def setUp(self) -> None:
        """Start the server."""
        super().setUp()
        sock, port = bind_unused_port()
        self.__port = port
        try:
            self.http_client = self.get_http_client()
            self._app = self.get_app()
            self.http_server = self.get_http_server()
            self.http_server.add_sockets([sock])
        except BaseException:
            sock.close()
            raise

    def tearDown(self) -> None:
        """Stop the server, and close its connections and the client."""
        self.http_server.stop()
        self.io_loop.run_sync(
            self.http_server.close_all_connections, timeout=get_async_test_timeout()
        )
        self.http_client.close()
        del self.http_server
        del self._app
        super().tearDown()

    def get_http_client(self) -> AsyncHTTPClient:
        """The client: an `AsyncHTTPClient`. To be overridden to use another."""
        return AsyncHTTPClient()

    def get_http_server(self) -> HTTPServer:
        """The server for the application. To be overridden to make it otherwise."""
        return HTTPServer(self._app, **self.get_httpserver_options())

    def get_app(self) -> Application:
        """The `.Application`, or other callback of `HTTPServer`, to test. To be overridden."""
        raise NotImplementedError(
            f"{type(self).__name__} needs a method get_app that returns the application to test"
        )

    def fetch(self, path: str, raise_error: bool = False, **kwargs: Any) -> HTTPResponse:
        """Fetch from the server under test, and return the response.

        Args:
            path: The path on the server, or a whole URL (``http://…``, ``https://…``).
            raise_error: Whether a response that is an error is raised rather than returned.
            kwargs: What `AsyncHTTPClient.fetch` takes: ``method``, ``body``, ``headers``, …
        """
        if path.lower().startswith(("http://", "https://")):
            url = path
        else:
            url = self.get_url(path)
        response: HTTPResponse = self.io_loop.run_sync(
            lambda: self.http_client.fetch(url, raise_error=raise_error, **kwargs),
            timeout=get_async_test_timeout(),
        )
        return response

    def get_httpserver_options(self) -> dict[str, Any]:
        """More arguments for `HTTPServer`. To be overridden; none by default."""
        return {}

    def get_http_port(self) -> int:
        """The port of the server under test."""
        return self.__port

    def get_protocol(self) -> str:
        """The scheme of the server under test: ``http`` or ``https``."""
        return "http"

    def get_url(self, path: str) -> str:
        """The URL for a path on the server under test."""
        return f"{self.get_protocol()}://127.0.0.1:{self.get_http_port()}{path}"


class AsyncHTTPSTestCase(AsyncHTTPTestCase):
    """A test case that serves an application over TLS.

    The server has a certificate for ``localhost`` and 127.0.0.1 that it signed itself, which the
    client does not check.
    """

    def get_http_client(self) -> AsyncHTTPClient:
        """An `AsyncHTTPClient` of its own, which takes every certificate."""
        client: AsyncHTTPClient = AsyncHTTPClient(
            force_instance=True, defaults={"validate_cert": False}
        )
        return client

    def get_httpserver_options(self) -> dict[str, Any]:
        """The options that make it serve TLS."""
        return {"ssl_options": self.get_ssl_options()}

    def get_ssl_options(self) -> dict[str, Any] | ssl.SSLContext:
        """The `ssl_options` of the server. To be overridden for a certificate of one's own."""
        return self.default_ssl_options()

    @staticmethod
    def default_ssl_options() -> dict[str, Any]:
        """The `ssl_options` for the certificate that comes with this module."""
        folder = os.path.dirname(__file__)
        return {
            "certfile": os.path.join(folder, "localhost.crt"),
            "keyfile": os.path.join(folder, "localhost.key"),
        }

    def get_protocol(self) -> str:
        """``https``."""
        return "https"
