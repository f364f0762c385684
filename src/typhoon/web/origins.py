"""Which origins may have requests made that change something (Fetch Metadata, RFC 6454).

Browsers say in `Sec-Fetch-Site` whether a page of the same origin caused a request, and older ones
in `Origin` which one did. Requests with neither come from no page of a browser.
"""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from typhoon.web.errors import HTTPError, refuse_coroutine

if TYPE_CHECKING:
    from typhoon.httputil import HTTPServerRequest

_ORIGIN = re.compile(r"[a-z][-+.a-z0-9]*://[^A-Z/?#@\s]+")


def check_origin(request: "HTTPServerRequest", is_trusted: Callable[[str], bool]) -> None:
    """`HTTPError` 403 if a page of another origin made the request, and none that is trusted."""
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site")
    message: tuple[str, *tuple[str | None, ...]]
    if site is not None:
        # "none": no page at all, such as a bookmark.
        if site in ("same-origin", "none"):
            return
        message = ("Sec-Fetch-Site %s from origin %r not allowed", site, origin)
    else:
        if origin is None or is_same_host(origin, request):
            return
        message = ("Origin %r not allowed", origin)
    trusted = is_trusted(origin) if origin else False
    refuse_coroutine(trusted, "check_trusted_origin() has to be awaited: make it a plain method")
    if not trusted:
        raise HTTPError(403, *message)


def is_same_host(origin: str, request: "HTTPServerRequest") -> bool:
    """Whether an origin has the host and port of the request.

    Not the scheme: behind a proxy that does TLS, it is another one here.
    """
    try:
        host = urlsplit(origin).netloc
    except ValueError:
        return False
    return host != "" and host.lower() == request.headers.get("Host", "").lower()


def check_trusted_origins(origins: Any) -> None:
    """`ValueError` or `TypeError` for a setting `trusted_origins` that would trust nobody."""
    if isinstance(origins, str | bytes):
        raise TypeError(f"trusted_origins is a list of origins: write [{origins!r}]")
    for origin in origins:
        if not isinstance(origin, str) or not _ORIGIN.fullmatch(origin):
            raise ValueError(
                f"trusted_origins has {origin!r}, which no browser sends: an origin is a scheme and"
                " a host in small letters, and a port if it is not the usual one, such as"
                " 'https://example.com'"
            )
