"""What an HTTP client comes back with."""

import weakref
from io import BytesIO
from typing import Any

from typhoon.httpclient.errors import HTTPClientError
from typhoon.httpclient.request import HTTPRequest
from typhoon.httputil import HTTPHeaders, responses


class HTTPResponse:
    """The response to a request, or what stands for it if there is none.

    Attributes:
        request: The `HTTPRequest`, as the application made it.
        code: The status code; 599 if there was no response.
        reason: The reason phrase.
        headers: The `.HTTPHeaders`.
        buffer: The body as a file, made when it is first read, or None.
        effective_url: The URL that it comes from, after redirects.
        request_time: Seconds from the start of the request to its end: of the last one, if
            redirects were followed, and without the time in the client's queue.
        start_time: When the request was started, in seconds since the epoch; None if it never
            left the queue.
        time_info: Where the time went, in seconds: ``queue`` in the client's queue; and, counted
            from there, until the name was resolved (``namelookup``), the socket connected
            (``connect``), TLS agreed on (``appconnect``), the request sent (``pretransfer``), the
            head there (``starttransfer``), everything there (``total``). ``redirect`` is what the
            requests before this one took. Only ``queue`` where there is no response.
    """

    request: HTTPRequest
    code: int
    reason: str
    headers: HTTPHeaders
    effective_url: str
    request_time: float | None
    start_time: float | None
    time_info: dict[str, float]

    def __init__(
        self,
        request: HTTPRequest,
        code: int,
        headers: HTTPHeaders | None = None,
        buffer: BytesIO | None = None,
        effective_url: str | None = None,
        error: BaseException | None = None,
        request_time: float | None = None,
        time_info: dict[str, float] | None = None,
        reason: str | None = None,
        start_time: float | None = None,
    ) -> None:
        # The application's own, where this is the client's copy. Fakes in tests have none.
        original = request._original if isinstance(request, HTTPRequest) else None
        self.request = original or request
        self.code = code
        self.reason = reason or responses.get(code, "Unknown")
        self.headers = HTTPHeaders() if headers is None else headers
        self._buffer = buffer
        self.effective_url = request.url if effective_url is None else effective_url
        self.request_time = request_time
        self.start_time = start_time
        self.time_info = time_info or {}
        self._body: bytes | None = None
        self._error = error
        # Weak: the error refers to the response.
        self._status_error: weakref.ref[HTTPClientError] | None = None

    @property
    def buffer(self) -> BytesIO | None:
        """The body as a file, or None."""
        if self._buffer is None and self._body is not None:
            self._buffer = BytesIO(self._body)
        return self._buffer

    @property
    def body(self) -> bytes:
        """The body; empty if there is none, or if it went to a ``streaming_callback``."""
        if self._body is None:
            if self._buffer is None:
                return b""
            self._body = self._buffer.getvalue()
        return self._body

    @property
    def error(self) -> BaseException | None:
        """What went wrong: an `HTTPClientError` if the status code says so; None if nothing did."""
        if self._error is not None or not self._is_status_error:
            return self._error
        error = self._status_error() if self._status_error is not None else None
        if error is None:
            error = HTTPClientError(self.code, message=self.reason, response=self)
            self._status_error = weakref.ref(error)
        return error

    @error.setter
    def error(self, error: BaseException | None) -> None:
        self._error = error

    @property
    def _is_status_error(self) -> bool:
        """Whether the status code, and nothing else, makes it an error."""
        return self._error is None and not 200 <= self.code < 300

    def rethrow(self) -> None:
        """Raise `error`, if there is one."""
        if (error := self.error) is not None:
            try:
                raise error
            finally:
                del error  # whose traceback refers to this frame

    def __getstate__(self) -> dict[str, Any]:
        # So that it can be copied and pickled: the weak reference is made anew when it is needed.
        return vars(self) | {"_status_error": None}

    def __repr__(self) -> str:
        fields = ",".join(
            f"{name.lstrip('_')}={value!r}"
            for name, value in sorted(vars(self).items())
            if name not in ("_body", "_status_error")
        )
        return f"{type(self).__name__}({fields})"
