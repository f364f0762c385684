"""What libcurl reports."""

from typhoon.httpclient.errors import HTTPClientError


class CurlError(HTTPClientError):
    """libcurl could not get a response. Its status code is 599.

    Attributes:
        errno: The error's number: one of ``pycurl.E_*``.
    """

    errno: int

    def __init__(self, errno: int, message: str) -> None:
        super().__init__(599, message)
        self.errno = errno

    def __reduce__(self) -> tuple[type["CurlError"], tuple[int, str]]:
        return type(self), (self.errno, self.message)
