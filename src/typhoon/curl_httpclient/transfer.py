"""One request on its way through libcurl."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from io import BytesIO
from typing import Any, Final

from typhoon.curl_httpclient.errors import CurlError
from typhoon.curl_httpclient.libcurl import pycurl
from typhoon.curl_httpclient.options import set_options
from typhoon.curl_httpclient.upload import Upload
from typhoon.gen import is_coroutine_function
from typhoon.httpclient.queueing import ResponseCallback, Ticket
from typhoon.httpclient.request import HTTPRequest
from typhoon.httpclient.response import HTTPResponse
from typhoon.httputil import HTTPHeaders, HTTPInputError

curl_log: Final = logging.getLogger("typhoon.curl_httpclient")

_REFUSE: Final = -1
"""What a callback returns to end the transfer: no number of bytes that libcurl could have given."""

_TIMES: Final = {
    "namelookup": pycurl.NAMELOOKUP_TIME,
    "connect": pycurl.CONNECT_TIME,
    "appconnect": pycurl.APPCONNECT_TIME,
    "pretransfer": pycurl.PRETRANSFER_TIME,
    "starttransfer": pycurl.STARTTRANSFER_TIME,
    "total": pycurl.TOTAL_TIME,
    "redirect": pycurl.REDIRECT_TIME,
}
"""The names in `HTTPResponse.time_info`, all in seconds."""


class Transfer:
    """A request, the ``pycurl.Curl`` that carries it out, and what has come of it.

    Each has a Curl of its own: that is cheap, connections belong to the client's ``CurlMulti``, and
    so nothing that one request is given, credentials least of all, can be left for the next.

    Args:
        ticket: What the request has in the client's tables.
        request: The request.
        callback: What is told the response.
        queued: Seconds that the request was in the queue.
        max_body_size: Bytes that the response's body may have, decompressed.
        on_callback_error: Called in the `except` clause of a callback that failed.
        wake: Called when libcurl has to go on with what was paused.

    Raises:
        ValueError: The request contradicts itself, or asks for what this client cannot do.
        TypeError: The streaming callback is a coroutine function.
    """

    def __init__(
        self,
        ticket: Ticket,
        request: HTTPRequest,
        callback: ResponseCallback,
        queued: float,
        *,
        max_body_size: int,
        on_callback_error: Callable[[Any], None],
        wake: Callable[[], None],
    ) -> None:
        self.ticket = ticket
        self.request = request
        self.callback = callback
        self.curl = pycurl.Curl()
        self._queued = queued
        self._max_body_size = max_body_size
        self._on_callback_error = on_callback_error
        self._upload: Upload | None = None
        self._start_time = time.time()
        self._started = time.monotonic()
        self._reason = ""
        self._headers = HTTPHeaders()
        self._in_head = False
        self._chunks: list[bytes] = []
        self._size = 0
        self._refusal: CurlError | None = None
        """Why a callback ended the transfer."""
        try:
            self._prepare(wake)
        except BaseException:
            self.close()
            raise

    def _prepare(self, wake: Callable[[], None]) -> None:
        request, curl = self.request, self.curl
        if is_awaitable_function(request.streaming_callback):
            raise TypeError(
                "the curl client does not wait for a streaming_callback:"
                " write a plain function, or use the simple client"
            )
        set_options(curl, request)
        curl.setopt(pycurl.HEADERFUNCTION, self._header_received)
        curl.setopt(pycurl.WRITEFUNCTION, self._data_received)
        if request.body_producer is not None:
            self._upload = Upload(curl, request, wake)
        if curl_log.isEnabledFor(logging.DEBUG):
            curl.setopt(pycurl.VERBOSE, 1)
            curl.setopt(pycurl.DEBUGFUNCTION, _log_debug)
        if request.prepare_curl_callback is not None:
            self.ticket.context.run(request.prepare_curl_callback, curl)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin what goes on beside libcurl: the producer of the body."""
        if self._upload is not None:
            self._upload.start(loop, self.ticket.context)

    def close(self) -> None:
        """Free libcurl's handle, which keeps references to the callbacks."""
        if self._upload is not None:
            self._upload.stop()
        self.curl.close()

    def response(self, errno: int | None = None, message: str = "") -> HTTPResponse:
        """What to tell the application, with libcurl's error if there is one."""
        curl = self.curl
        error: BaseException | None = None
        if errno is not None:
            error = self._refusal or CurlError(errno, message)
            if self._upload is not None and self._upload.error is not None:
                error = self._upload.error
        try:
            url = curl.getinfo(pycurl.EFFECTIVE_URL)
        except pycurl.error:
            url = None  # libcurl could make nothing of it
        times = {name: curl.getinfo(info) for name, info in _TIMES.items()}
        return HTTPResponse(
            self.request,
            curl.getinfo(pycurl.HTTP_CODE) if error is None else 599,
            reason=self._reason if error is None else None,
            headers=self._headers,
            buffer=BytesIO(b"".join(self._chunks)) if error is None else None,
            effective_url=url or self.request.url,
            error=error,
            request_time=time.monotonic() - self._started,
            start_time=self._start_time,
            time_info={"queue": self._queued, **times},
        )

    # What libcurl calls. The client must not be called from here: libcurl cannot be entered twice.

    def _header_received(self, data: bytes) -> int | None:
        """A line of a head: of the response, of one that comes before it, or of the trailer."""
        line = data.decode("latin-1")
        if line.startswith("HTTP/"):
            self._in_head = True
            self._headers = HTTPHeaders()
            _, _, self._reason = line.rstrip("\r\n").partition(" ")[2].partition(" ")
        elif not self._in_head:
            return None  # a trailer says nothing that is used (RFC 9110 §6.5.1)
        elif not line.rstrip("\r\n"):
            self._in_head = False
        else:
            try:
                self._headers.parse_line(line)
            except HTTPInputError as error:
                self._refusal = CurlError(
                    pycurl.E_FTP_WEIRD_SERVER_REPLY, f"malformed header in the response: {error}"
                )
                return _REFUSE
        if self.request.header_callback is not None:
            self._tell(self.request.header_callback, line)
        return None

    def _data_received(self, chunk: bytes) -> int | None:
        """A piece of the body, decompressed. There is none of a redirect that is followed."""
        self._size += len(chunk)
        if self._size > self._max_body_size:
            self._refusal = CurlError(
                pycurl.E_FILESIZE_EXCEEDED,
                f"the body of the response is larger than {self._max_body_size} bytes: to allow"
                " for it, set the client's max_body_size",
            )
            return _REFUSE
        if self.request.streaming_callback is not None:
            self._tell(self.request.streaming_callback, chunk)
        else:
            self._chunks.append(chunk)
        return None

    def _tell(self, callback: Callable[[Any], Awaitable[None] | None], argument: Any) -> None:
        try:
            self.ticket.context.run(callback, argument)
        except Exception:
            self._on_callback_error(callback)


def is_awaitable_function(function: Any) -> bool:
    """Whether somebody has to wait for what the function returns."""
    return asyncio.iscoroutinefunction(function) or is_coroutine_function(function)


def _log_debug(kind: int, data: bytes) -> None:
    if kind == pycurl.INFOTYPE_TEXT:
        curl_log.debug("%s", data.decode("utf-8", "replace").strip())
    elif kind in (pycurl.INFOTYPE_HEADER_IN, pycurl.INFOTYPE_HEADER_OUT):
        mark = "<" if kind == pycurl.INFOTYPE_HEADER_IN else ">"
        for line in data.decode("latin-1").splitlines():
            curl_log.debug("%s %s", mark, line)
