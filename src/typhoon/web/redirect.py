"""Handlers that only answer, and one that hands on."""

import re
from collections.abc import Callable
from string import Formatter
from typing import Any

from typhoon.httputil import HTTPServerRequest, url_concat
from typhoon.web.errors import HTTPError
from typhoon.web.handler import RequestHandler

_SITE = re.compile(
    # With a web scheme browsers take any number of slashes for two, and without them, too.
    r"(?i:(?P<web>https?|ftp|wss?|file):[/]*|(?P<other>[a-z][a-z0-9+.-]*):|/[/]+)"
    r"(?P<host>[^/?#]*)"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _site(url: str) -> tuple[str, str]:
    """Scheme and authority of a URL as a browser reads it; empty if it is on the same site."""
    # WHATWG URL §4.4: these characters do not count, and "\\" is "/".
    url = url.lstrip("".join(map(chr, range(33)))).replace("\\", "/")
    found = _SITE.match(re.sub(r"[\t\r\n]", "", url))
    if found is None:
        return "", ""
    return (found["web"] or found["other"] or "").lower(), found["host"]


class ErrorHandler(RequestHandler):
    """Answers every request with an error: `dict(status_code=404)`."""

    def initialize(self, status_code: int) -> None:
        self.set_status(status_code)

    def prepare(self) -> None:
        raise HTTPError(self._status_code)

    def check_xsrf_cookie(self) -> None:
        """Nothing: there is nothing that a forged request could do here."""

    def check_trusted_origin(self, origin: str) -> bool:
        """True, for the same reason."""
        return True


class RedirectHandler(RequestHandler):
    """Redirects GET and HEAD to another URL, by default with 301.

    Groups of the pattern can be put into the URL with `str.format`; query arguments are kept.

        (r"/pictures/(.*)", RedirectHandler, dict(url="/photos/{0}", permanent=False))

    What is put in cannot lead to another site than what stands before it: that gives 400.
    """

    def initialize(self, url: str, permanent: bool = True) -> None:
        self._url = url
        self._permanent = permanent

    def get(self, *args: Any, **kwargs: Any) -> None:
        url = self._url.format(*args, **kwargs)
        if url != self._url:
            before = next(iter(Formatter().parse(self._url)))[0]
            if _site(url) != _site(before):
                raise HTTPError(400, "Redirect URL cannot change the scheme or netloc: %r", url)
            if _CONTROL.search(url):
                raise HTTPError(400, "Redirect URL contains invalid characters: %r", url)
        if self.request.query_arguments:
            arguments = self.request.query_arguments
            pairs = [(name, value) for name, values in arguments.items() for value in values]
            url = url_concat(url, pairs)
        self.redirect(url, permanent=self._permanent)

    head = get


class FallbackHandler(RequestHandler):
    """Hands the request on to another server callback, such as a `WSGIContainer`.

    (r".*", FallbackHandler, dict(fallback=wsgi_container))
    """

    def initialize(self, fallback: Callable[[HTTPServerRequest], None]) -> None:
        self.fallback = fallback

    def prepare(self) -> None:
        self.fallback(self.request)
        self._finished = True
        self.on_finish()
