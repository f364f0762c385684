"""A browser as far as sign-in needs one: it follows redirects, and keeps cookies."""

from __future__ import annotations

import http.cookies
import socket
from urllib.parse import parse_qs, urlsplit

from support import TIMEOUT, Client, Response

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Browser:
    """Cookies are those of a host, whatever the port, as in real browsers."""

    def __init__(self) -> None:
        self.cookies: dict[str, str] = {}

    def visit(self, url: str, body: bytes | None = None) -> Response:
        """One request."""
        parts = urlsplit(url)
        headers = {"Host": parts.netloc, **(FORM if body is not None else {})}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={it}" for name, it in self.cookies.items())
        with Client(socket.create_connection((parts.hostname, parts.port), TIMEOUT)) as client:
            target = parts.path + (f"?{parts.query}" if parts.query else "")
            answer = client.request("GET" if body is None else "POST", target, headers, body)
        for text in answer.header_list("Set-Cookie"):
            for name, morsel in http.cookies.SimpleCookie(text).items():
                if morsel.value:
                    self.cookies[name] = morsel.coded_value
                else:
                    self.cookies.pop(name, None)
        return answer

    def go(self, url: str) -> Response:
        """What a user sees in the end, who types the address."""
        answer = self.visit(url)
        for _ in range(10):
            if answer.status not in (301, 302, 303):
                return answer
            answer = self.visit(location(answer))
        raise AssertionError(f"too many redirects; the last to {location(answer)}")


def visit(url: str, body: bytes | None = None) -> Response:
    """One request of a browser without cookies."""
    return Browser().visit(url, body)


def location(answer: Response) -> str:
    """Where a redirect leads."""
    url = answer.header("Location")
    assert answer.status in (301, 302, 303), (answer.status, answer.text)
    assert url is not None
    return url


def query_of(url: str) -> dict[str, str]:
    """The parameters in a URL, each of which is there once."""
    found = parse_qs(urlsplit(url).query, keep_blank_values=True, strict_parsing=True)
    assert all(len(values) == 1 for values in found.values()), found
    return {name: value for name, (value,) in found.items()}
