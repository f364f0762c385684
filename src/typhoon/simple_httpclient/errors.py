"""What keeps a response from coming. (Other errors are those of the network: `OSError`.)"""

from typhoon.httpclient.errors import HTTPClientError


class HTTPTimeoutError(HTTPClientError):
    """A timeout has passed; the message says what was going on. Its status code is 599."""

    def __init__(self, message: str) -> None:
        super().__init__(599, message=message)

    def __str__(self) -> str:
        return self.message or "Timeout"


class HTTPStreamClosedError(HTTPClientError):
    """The connection was closed before the response was complete. Its status code is 599.

    What the server did wrong, or a callback of the application, is in the log.
    """

    def __init__(self, message: str) -> None:
        super().__init__(599, message=message)

    def __str__(self) -> str:
        return self.message or "Stream closed"
