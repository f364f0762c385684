"""Decorators for handlers and their methods."""

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode, urlsplit

from typhoon import _core
from typhoon.web.errors import HTTPError

if TYPE_CHECKING:
    from typhoon.web.handler import RequestHandler

Method = Callable[..., Awaitable[None] | None]
Handler = TypeVar("Handler", bound="type[RequestHandler]")


def stream_request_body(cls: Handler) -> Handler:
    """Give the handler the request's body in pieces.

    `prepare` is called when the head has come, `data_received` with each piece of body (an
    awaitable that it returns makes the next piece wait), and the HTTP method when all has come.
    `request.body` and the arguments of the body stay empty.
    """
    from typhoon.web.handler import RequestHandler

    if not issubclass(cls, RequestHandler):
        raise TypeError(f"expected subclass of RequestHandler, got {cls!r}")
    cls._stream_request_body = True
    return cls


def authenticated(method: Method) -> Method:
    """Let only users who are signed in call this method of a handler, plain or `async`.

    Others are sent to `get_login_url()` with the page that they asked for in the argument `next`:
    its path, or its whole URL if the login URL is a whole one. A login URL that has arguments
    already is taken as it is. Other methods than GET and HEAD raise `HTTPError` 403.

    The handler of the login URL follows `next` safely with `get_next_url`.

        class ProfileHandler(BaseHandler):
            @authenticated
            async def get(self):
                self.write(await load_profile(self.current_user))
    """
    # What callers may await.
    nothing = _core.DONE if inspect.iscoroutinefunction(method) else None

    @functools.wraps(method)
    def wrapper(self: "RequestHandler", *args: Any, **kwargs: Any) -> Awaitable[None] | None:
        if self.current_user:
            return method(self, *args, **kwargs)
        if self.request.method not in ("GET", "HEAD"):
            raise HTTPError(403)
        self.redirect(_login_url(self))
        return nothing

    return wrapper


def _login_url(handler: "RequestHandler") -> str:
    url = handler.get_login_url()
    if "?" in url:
        return url
    request = handler.request
    page = _local(request.path) + (f"?{request.query}" if request.query else "")
    if urlsplit(url).netloc:
        page = f"{request.protocol}://{request.host}{page}"
    return f"{url}?{urlencode({'next': page})}"


def _local(path: str) -> str:
    """A path of this site: "//host" would be another site, and browsers read "/\\host" the same."""
    return "/" + path.lstrip("/\\")


def _redirecting(name: str, method: Method, path: Callable[[str], str | None]) -> Method:
    @functools.wraps(method)
    def wrapper(self: "RequestHandler", *args: Any, **kwargs: Any) -> Awaitable[None] | None:
        uri = path(self.request.path)
        if uri is None:
            return method(self, *args, **kwargs)
        if self.request.method not in ("GET", "HEAD"):
            raise HTTPError(404)
        if uri != _local(uri):
            raise HTTPError(403, "%s cannot redirect path %r: it names a host", name, uri)
        if self.request.query:
            uri += "?" + self.request.query
        self.redirect(uri, permanent=True)
        return None

    return wrapper


def removeslash(method: Method) -> Method:
    """Redirect a path with slashes at its end to the one without, as `/foo/` to `/foo`.

    The rule's pattern has to accept both: `r"/foo/*"`.
    """

    def without(path: str) -> str | None:
        shorter = path.rstrip("/")
        return shorter if shorter and shorter != path else None

    return _redirecting("removeslash", method, without)


def addslash(method: Method) -> Method:
    """Redirect a path without a slash at its end to the one with it, as `/foo` to `/foo/`.

    The rule's pattern has to accept both: `r"/foo/?"`.
    """
    return _redirecting("addslash", method, lambda path: None if path.endswith("/") else path + "/")
