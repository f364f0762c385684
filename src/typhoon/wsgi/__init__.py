"""WSGI (PEP 3333): the interface of synchronous Python web applications.

`WSGIContainer` serves such applications, made with Flask, Django, Bottle and others, beside or
behind handlers of one's own:

    wsgi_app = WSGIContainer(flask_app, ThreadPoolExecutor(32))
    application = Application([
        (r"/events", EventsHandler),
        (r".*", FallbackHandler, dict(fallback=wsgi_app)),
    ])

An application that is all WSGI is served as well, or better, by a server made for that.
"""

from typhoon.httputil import HTTPServerRequest
from typhoon.legacy.wsgi_application import WSGIApplication
from typhoon.wsgi.container import WSGIContainer
from typhoon.wsgi.environ import to_wsgi_str

HTTPRequest = HTTPServerRequest
"""The older name of `HTTPServerRequest`."""

__all__ = ["HTTPRequest", "WSGIApplication", "WSGIContainer", "to_wsgi_str"]
