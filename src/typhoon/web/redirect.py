"""Handlers that only answer, and one that hands on."""

from collections.abc import Callable
from typing import Any

from typhoon.httputil import HTTPServerRequest, url_concat
from typhoon.web.errors import HTTPError
from typhoon.web.handler import RequestHandler


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
    """

    def initialize(self, url: str, permanent: bool = True) -> None:
        self._url = url
        self._permanent = permanent

    def get(self, *args: Any, **kwargs: Any) -> None:
        url = self._url.format(*args, **kwargs)
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
