"""Digest authentication of a request: with its server, with a proxy that forwards it, or both.

(A proxy that opens a tunnel is asked before there is a request: see `connecting`.)
"""

from typhoon.httpclient.request import HTTPRequest
from typhoon.httputil import HTTPHeaders
from typhoon.simple_httpclient.digest import DigestAttempt, DigestMemory, Login
from typhoon.simple_httpclient.headers import login_of
from typhoon.simple_httpclient.route import Route
from typhoon.simple_httpclient.target import Target


class Authentication:
    """What has become of a request's authentication so far.

    Args:
        memory: What the client remembers.
        request: The request.
        target: Where it goes.
        route: On which way.
    """

    __slots__ = ("_attempts", "_request")

    def __init__(
        self, memory: DigestMemory, request: HTTPRequest, target: Target, route: Route
    ) -> None:
        self._request = request
        self._attempts: list[tuple[DigestAttempt, str, str]] = []
        has_body_bytes = request.body_producer is None
        if request.auth_mode == "digest" and (login := login_of(request, target)) is not None:
            attempt = DigestAttempt(memory, Login(target.origin, *login), has_body_bytes)
            self._attempts.append((attempt, "Authorization", target.path))
        if route.is_forwarded and route.proxy is not None and route.proxy.login is not None:
            attempt = DigestAttempt(memory, route.proxy.login, has_body_bytes, with_proxy=True)
            self._attempts.append((attempt, "Proxy-Authorization", route.target_of(target)))

    def add_to(self, headers: HTTPHeaders) -> None:
        """Put what is known into the headers of the request."""
        request = self._request
        for attempt, name, uri in self._attempts:
            value = attempt.authorization(request.method, uri, request.body or b"")
            if value is not None:
                headers[name] = value

    def can_answer(self, code: int, headers: HTTPHeaders) -> bool:
        """Whether the response is a challenge, on which the request is to be sent again."""
        return any(attempt.can_answer(code, headers) for attempt, _, _ in self._attempts)

    def take(self, code: int, headers: HTTPHeaders) -> bool:
        """Take notice of a response. Returns what `can_answer` does."""
        # All of them: one that is not asked may still be given its next nonce.
        return any([attempt.take(code, headers) for attempt, _, _ in self._attempts])
