"""A non-blocking HTTP/1.1 server on asyncio transports.

Most programs call `Application.listen` and never see it. Otherwise:

    server = HTTPServer(application, xheaders=True)
    server.listen(8888)
    IOLoop.current().start()
"""

from typhoon.httpserver.connection import HTTP1ServerConnection
from typhoon.httpserver.server import HTTPServer
from typhoon.httputil import HTTPServerRequest

HTTPRequest = HTTPServerRequest
"""The name that requests had before Tornado 4."""

__all__ = ["HTTP1ServerConnection", "HTTPRequest", "HTTPServer"]
