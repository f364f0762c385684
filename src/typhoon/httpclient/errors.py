"""What goes wrong with a request."""

from typing import TYPE_CHECKING

from typhoon.httputil import responses

if TYPE_CHECKING:
    from typhoon.httpclient.failures import Stage
    from typhoon.httpclient.response import HTTPResponse


class HTTPClientError(Exception):
    """A request came to no success.

    Attributes:
        code: The status code of the response; 599 where there is none.
        message: What is wrong: by default the usual phrase for the status code.
        response: The response that is an error, or None where there is none.
        method: The method of a request that got no response.
        url: Its URL, with ``***`` for a user name and password.
        stage: What the client was doing for it, such as ``"connecting"``: see `.Stage`.
        place: With whom: host and port, or the host alone while it is resolved.
    """

    code: int
    message: str
    response: "HTTPResponse | None"
    method: str | None = None
    url: str | None = None
    stage: "Stage | None" = None
    place: str = ""

    def __init__(
        self, code: int, message: str | None = None, response: "HTTPResponse | None" = None
    ) -> None:
        self.code = code
        self.message = message or responses.get(code, "Unknown")
        self.response = response
        super().__init__(code, message, response)

    def __str__(self) -> str:
        return f"HTTP {self.code}: {self.message}"

    # The arguments, of which one is the response, would say too much.
    __repr__ = __str__


HTTPError = HTTPClientError
