r"""What keeps a response from coming.

| error | what happened |
| --- | --- |
| `HTTPTimeoutError` | a timeout has passed |
| `HTTPStreamClosedError` | the connection ended before the response was complete |
| ├ `HTTPIncompleteResponseError` | …in the middle of it, without an error of the network |
| ├ `HTTPMalformedResponseError` | …for the response is against the rules of HTTP |
| ├ `HTTPHeaderTooLargeError` | …for its head is over `max_header_size` |
| ├ `HTTPBodyTooLargeError` | …for its body is over `max_body_size` |
| └ `HTTPContentCodingError` | …for its body is not what its Content-Encoding says |
| `HTTPRedirectError` | a redirect leads where the client cannot go |
| `HTTPProxyError` | the proxy gives no way to the server |
| `OSError` | the network failed: `ConnectionRefusedError`, `socket.gaierror`, `ssl.SSLError`… |

All but the last are `.HTTPClientError`\ s with the code 599. Each, the last too, names the request
and the `.Stage` that it was in: in its message, and in its attributes `method`, `url` and `stage`:

    try:
        response = await client.fetch("http://example.com/")
    except HTTPTimeoutError as error:
        print(error.stage)  # connecting
        print(error)  # Timeout while connecting to example.com:80 (GET http://example.com/)
    except ConnectionRefusedError as error:
        print(error)  # [Errno 111] Connection refused (GET http://example.com/, while connecting…

User names and passwords in URLs are masked. All can be pickled.
"""

from typing import Any, Final

from typhoon.httpclient.errors import HTTPClientError
from typhoon.httpclient.failures import Stage, shown
from typhoon.iostream import UnsatisfiableReadError


class _NoResponseError(HTTPClientError):
    """Has its message alone, and the code 599, and is told later where it happened."""

    def __init__(self, message: str) -> None:
        super().__init__(599, message)

    def __str__(self) -> str:
        return self.message if self.stage is None else f"{self.message} ({self._about(self.stage)})"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message,), self.__dict__

    def _about(self, stage: Stage) -> str:
        return f"{self.method} {shown(self.url or '')}, {stage.phrase(self.place)}"


class HTTPTimeoutError(_NoResponseError):
    """A timeout has passed: `connect_timeout` or `request_timeout`.

    The message says what was going on. In the queue, while the name is resolved and during the TLS
    handshake it says no more, since Tornado's tests know each word of it there; the URL is in a
    note (PEP 678) then, which tracebacks show.
    """

    def __str__(self) -> str:
        if self.stage is None or self.stage in _ONLY_THE_STAGE:
            return self.message
        return f"{self.message} ({self.method} {shown(self.url or '')})"


_ONLY_THE_STAGE: Final = {Stage.QUEUE, Stage.RESOLVING, Stage.TLS_HANDSHAKE}


class HTTPStreamClosedError(_NoResponseError):
    """The connection was closed before the response was complete, by the server or by the client.

    By itself it stands for a close before the response began, or for a `header_callback`,
    `streaming_callback` or `body_producer` that failed and whose error is in the log. What the
    server did wrong has a class of its own.
    """


class HTTPIncompleteResponseError(HTTPStreamClosedError):
    """The server closed the connection in the middle of the response (RFC 9112 §8)."""


class HTTPMalformedResponseError(HTTPStreamClosedError):
    """The response is against the rules of HTTP; the message says against which."""


class HTTPHeaderTooLargeError(HTTPStreamClosedError, UnsatisfiableReadError):
    """The head, or the trailer section, is over `max_header_size` or has too many fields."""


class HTTPBodyTooLargeError(HTTPStreamClosedError):
    """The body is over `max_body_size`, as it came or decompressed."""


class HTTPContentCodingError(HTTPStreamClosedError):
    """The body is not what its Content-Encoding says, or not all of it (RFC 9110 §8.4)."""

    stage = Stage.DECOMPRESSING


class HTTPRedirectError(_NoResponseError, ValueError):
    """A redirect leads where the client cannot go: no URL, or another scheme.

    (One redirect too many is no such error: that response is the result, as an
    `.HTTPClientError` with its code.)
    """

    stage = Stage.REDIRECTING


class HTTPProxyError(_NoResponseError):
    """The proxy gives no way to the server; the message says what it answered.

    Args:
        message: What is wrong.
        proxy_code: The status code of the proxy's response.

    Attributes:
        proxy_code: The status code of its response; None if there was none.
    """

    stage = Stage.PROXY
    proxy_code: int | None = None

    def __init__(self, message: str, proxy_code: int | None = None) -> None:
        super().__init__(message)
        self.proxy_code = proxy_code


def refused(status: int, message: str) -> HTTPStreamClosedError:
    """The error for a response that the client does not take.

    Args:
        status: What a server would answer to a request that is wrong in this way, as the native
            core says it: 431 for a head over the limit, 413 for a body over the limit.
        message: What is wrong.
    """
    match status:
        case 431:
            return HTTPHeaderTooLargeError(message)
        case 413:
            return HTTPBodyTooLargeError(message)
        case _:
            return HTTPMalformedResponseError(message)
