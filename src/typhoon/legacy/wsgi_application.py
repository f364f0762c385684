"""`typhoon.wsgi.WSGIApplication`: request handlers as a WSGI application."""

import inspect
import socket
import warnings
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from wsgiref.util import is_hop_by_hop

from typhoon import _core
from typhoon.gen import is_coroutine_function
from typhoon.httpserver.context import RequestContext
from typhoon.httpserver.server import MAX_BODY_SIZE
from typhoon.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPInputError,
    HTTPServerRequest,
    RequestStartLine,
    ResponseStartLine,
    responses,
)
from typhoon.web import Application, RequestHandler

if TYPE_CHECKING:
    from asyncio import Future

__all__ = ["WSGIApplication"]

_PATH_CHARACTERS = "/:@!$&'()*+,;=-._~%"
"""What stands for itself in a path (RFC 3986 §3.3)."""


class _BadRequest(Exception):
    """A request that is answered with this status without asking a handler."""

    def __init__(self, status: int) -> None:
        self.status = status


class WSGIApplication(Application):
    """An `Application` that a WSGI server calls (PEP 3333).

        application = WSGIApplication([(r"/", MainHandler)])
        wsgiref.handlers.CGIHandler().run(application)

    There is no event loop, so handlers can only be plain `def`: those that are coroutines raise
    `RuntimeError`. Write `Application(...).listen(port)` instead, where they work, too.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        warnings.warn(
            "wsgi.WSGIApplication is deprecated: serve an Application with its listen()",
            DeprecationWarning,
            stacklevel=2,
        )
        super().__init__(*args, **kwargs)

    def __call__(  # type: ignore[override]
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer the request that a WSGI server describes."""
        try:
            request = _request_of(environ)
        except (_BadRequest, HTTPInputError) as error:
            # Some servers hand on folded headers as they came.
            status = error.status if isinstance(error, _BadRequest) else 400
            headers = [("Content-Type", "text/plain"), ("Content-Length", "0")]
            start_response(f"{status} {responses[status]}", headers)
            return []
        super().__call__(request)
        response = request.connection
        start_response(
            f"{response.status} {response.reason}",
            [pair for pair in response.headers.get_all() if not is_hop_by_hop(pair[0])],
        )
        chunks: list[bytes] = [] if request.method == "HEAD" else response.chunks
        return chunks

    def get_handler_delegate(
        self,
        request: HTTPServerRequest,
        target_class: type[RequestHandler],
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        for name in ("prepare", request.method.lower()):
            method = getattr(target_class, name, None)
            if inspect.iscoroutinefunction(method) or is_coroutine_function(method):
                raise RuntimeError(
                    f"{target_class.__qualname__}.{name} is a coroutine, which cannot run under "
                    "WSGI: make it a plain function, or serve it with Application.listen"
                )
        if target_class._stream_request_body:
            raise RuntimeError(
                f"{target_class.__qualname__} streams the body of its requests, which cannot be "
                "done under WSGI: serve it with Application.listen"
            )
        return super().get_handler_delegate(request, target_class, *args, **kwargs)


class _Response(HTTPConnection):
    """Keeps a response that has nowhere to go yet."""

    status: int
    reason: str
    headers: HTTPHeaders
    is_closed = False

    def __init__(self, context: RequestContext) -> None:
        self.context = context
        self.chunks: list[bytes] = []

    def write_headers(
        self,
        start_line: RequestStartLine | ResponseStartLine,
        headers: HTTPHeaders,
        chunk: bytes | None = None,
    ) -> "Future[None]":
        if not isinstance(start_line, ResponseStartLine):
            raise TypeError("a handler sends responses, not requests")
        _, self.status, self.reason = start_line
        self.headers = headers
        return self.write(chunk or b"")

    def write(self, chunk: bytes) -> "Future[None]":
        if chunk:
            self.chunks.append(chunk)
        return self.drained()

    def finish(self) -> None:
        """There is nothing that waits for the end."""

    def drained(self) -> "Future[None]":
        done: Any = _core.DONE  # there may be no event loop that a future could belong to
        return done  # type: ignore[no-any-return]

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        # Asked for when a handler returns without having finished its response.
        raise RuntimeError(
            "the handler waits for something before it finishes its response, and under WSGI "
            "nothing comes later: finish it at once, or serve it with Application.listen"
        )

    def context_of(self, request: HTTPServerRequest) -> RequestContext:
        return self.context

    def abort(self) -> None:
        raise RuntimeError("the response failed after some of it had been written")


def _request_of(environ: dict[str, Any]) -> HTTPServerRequest:
    path = (environ.get("SCRIPT_NAME") or "") + (environ.get("PATH_INFO") or "")
    uri = quote(path.encode("latin-1"), safe=_PATH_CHARACTERS.replace("%", "")) or "/"
    if environ.get("QUERY_STRING"):
        uri = f"{uri}?{environ['QUERY_STRING']}"
    headers = HTTPHeaders()
    for key, value in environ.items():
        if key.startswith("HTTP_"):
            headers[key[5:].replace("_", "-")] = value
    for key, name in (("CONTENT_TYPE", "Content-Type"), ("CONTENT_LENGTH", "Content-Length")):
        if environ.get(key):
            headers[name] = environ[key]
    address = (environ.get("REMOTE_ADDR") or "0.0.0.0", 0)
    context = RequestContext(address, socket.AF_INET, environ["wsgi.url_scheme"])
    return HTTPServerRequest(
        method=environ["REQUEST_METHOD"],
        uri=uri,
        version=environ.get("SERVER_PROTOCOL", "HTTP/1.1"),
        headers=headers,
        body=_body_of(environ),
        host=environ.get("HTTP_HOST") or environ["SERVER_NAME"],
        connection=_Response(context),
    )


def _body_of(environ: dict[str, Any]) -> bytes:
    length = environ.get("CONTENT_LENGTH") or "0"
    if not (length.isascii() and length.isdigit()):
        raise _BadRequest(400)
    if len(length) > 18 or int(length) > MAX_BODY_SIZE:
        raise _BadRequest(413)
    body: bytes = environ["wsgi.input"].read(int(length)) if int(length) else b""
    if len(body) < int(length):
        raise _BadRequest(400)
    return body
