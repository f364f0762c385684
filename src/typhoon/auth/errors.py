"""What goes wrong between two sites."""

from typing import TYPE_CHECKING

from typhoon.httpclient import HTTPClientError
from typhoon.web.errors import HTTPError

if TYPE_CHECKING:
    from typhoon.httpclient import HTTPResponse


class AuthError(Exception):
    """The other site did not say, or not credibly, who the user is."""


class AnsweredError(AuthError, HTTPError):
    """What is no fault of this application: a status, and a line in the log, if not caught."""

    _status: int

    def __init__(self, message: str) -> None:
        HTTPError.__init__(self, self._status, message)

    def __str__(self) -> str:
        return self._log_message or ""


class AuthDeniedError(AnsweredError):
    """The user, or the provider in his place, said no. 403 if a handler does not catch it.

    `error` is the provider's code, such as ``"access_denied"``.
    """

    _status = 403

    def __init__(self, message: str, error: str) -> None:
        super().__init__(message)
        self.error = error


class AuthStateError(AnsweredError):
    """This browser has not asked for the answer that it brings. 400 if a handler does not catch it.

    It is too old, or was used before (as by the browser's button «back»): let the user try again.
    Or it is forged.
    """

    _status = 400


class AuthProviderError(AuthError, HTTPClientError):
    """The other site does not answer, or with an error, or not by the protocol.

    502 if a handler does not catch it; with OAuth 1.0, 500 and a stack trace in the log, as
    Tornado's tests have it. Neither the message nor `error` contain a token or a secret.

    Attributes:
        code: The status code of its answer; 599 if there was none, or if that was not the problem.
        message: Who said what.
        response: The answer, or None.
        error: The name that the site has for the error, such as ``invalid_grant`` (RFC 6749
            §5.2); None if it has none.
    """

    error: str | None

    def __init__(
        self,
        message: str,
        code: int = 599,
        response: "HTTPResponse | None" = None,
        error: str | None = None,
    ) -> None:
        HTTPClientError.__init__(self, code, message, response)
        self.error = error

    def __str__(self) -> str:
        return self.message if self.code == 599 else f"HTTP {self.code}: {self.message}"


class AnsweredProviderError(AuthProviderError, AnsweredError):
    """The same where what is not caught becomes a 502."""

    _status = 502

    def __init__(
        self,
        message: str,
        code: int = 599,
        response: "HTTPResponse | None" = None,
        error: str | None = None,
    ) -> None:
        AuthProviderError.__init__(self, message, code, response, error)
        AnsweredError.__init__(self, str(self))
