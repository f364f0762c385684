"""What libcurl reports."""

from typing import Any, Final

from typhoon.curl_httpclient.libcurl import pycurl
from typhoon.httpclient.errors import HTTPClientError
from typhoon.httpclient.failures import Stage, shown


class CurlError(HTTPClientError):
    """libcurl could not get a response. Its status code is 599.

    The message, and the attributes `url` and `stage`, say for which request and in what stage.

    Attributes:
        errno: The error's number: one of ``pycurl.E_*``.
    """

    errno: int

    def __init__(self, errno: int, message: str) -> None:
        super().__init__(599, message)
        self.errno = errno

    def __str__(self) -> str:
        if self.stage is None:
            return super().__str__()
        about = f"{self.method} {shown(self.url or '')}, {self.stage.phrase(self.place)}"
        return f"{super().__str__()} ({about})"

    __repr__ = __str__

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.errno, self.message), self.__dict__


_STAGES: Final = {
    pycurl.E_COULDNT_RESOLVE_PROXY: Stage.RESOLVING,
    pycurl.E_COULDNT_RESOLVE_HOST: Stage.RESOLVING,
    pycurl.E_COULDNT_CONNECT: Stage.CONNECTING,
    pycurl.E_INTERFACE_FAILED: Stage.CONNECTING,
    pycurl.E_SSL_CONNECT_ERROR: Stage.TLS_HANDSHAKE,
    pycurl.E_PEER_FAILED_VERIFICATION: Stage.TLS_HANDSHAKE,
    pycurl.E_SSL_CACERT_BADFILE: Stage.TLS_HANDSHAKE,
    pycurl.E_SSL_CERTPROBLEM: Stage.TLS_HANDSHAKE,
    pycurl.E_SSL_CIPHER: Stage.TLS_HANDSHAKE,
    pycurl.E_SEND_ERROR: Stage.SENDING,
    pycurl.E_GOT_NOTHING: Stage.WAITING,
    pycurl.E_PARTIAL_FILE: Stage.BODY,
    pycurl.E_BAD_CONTENT_ENCODING: Stage.DECOMPRESSING,
}
"""Where the error itself says it."""

_TIMES: Final = (
    (pycurl.PRETRANSFER_TIME, Stage.WAITING),
    (pycurl.CONNECT_TIME, Stage.TLS_HANDSHAKE),
    (pycurl.NAMELOOKUP_TIME, Stage.CONNECTING),
)
"""What libcurl has been through, the latest first, and the stage that comes after it."""


def stage_of(curl: Any, errno: int, receiving: Stage | None) -> Stage:
    """The stage in which a transfer ended.

    Args:
        curl: The transfer.
        errno: Why it ended.
        receiving: How far the response had come; None if there was nothing of it.
    """
    if (stage := _STAGES.get(errno) or receiving) is not None:
        return stage
    for time, stage in _TIMES:
        if curl.getinfo(time) > 0:
            return stage
    return Stage.RESOLVING
