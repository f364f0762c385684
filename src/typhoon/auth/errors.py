"""What goes wrong between two sites."""

from typing import TYPE_CHECKING

from typhoon.httpclient import HTTPClientError

if TYPE_CHECKING:
    from typhoon.httpclient import HTTPResponse


class AuthError(Exception):
    """The other site did not say, or not credibly, who the user is."""


class ProviderError(AuthError, HTTPClientError):
    """The other site answered with an error: this says which, and what it said about it.

    Neither the message nor `error` contain a token or a secret.

    Attributes:
        code: The status code; 599 if there was no answer.
        message: Who said what.
        response: The answer, or None.
        error: The name that the site has for the error, such as ``invalid_grant`` (RFC 6749
            §5.2); None if it has none.
    """

    error: str | None

    def __init__(
        self,
        code: int,
        message: str,
        response: "HTTPResponse | None" = None,
        error: str | None = None,
    ) -> None:
        super().__init__(code, message, response)
        self.error = error
