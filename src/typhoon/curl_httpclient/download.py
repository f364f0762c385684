"""The response of one request, as libcurl delivers it."""

import asyncio
import contextvars
import inspect
import re
from collections.abc import Callable
from io import BytesIO
from typing import Any, Final

from typhoon.curl_httpclient.errors import CurlError
from typhoon.curl_httpclient.libcurl import pycurl
from typhoon.gen import is_coroutine_function
from typhoon.httpclient.failures import Stage
from typhoon.httpclient.request import HTTPRequest
from typhoon.httputil import HTTPHeaders, HTTPInputError
from typhoon.simple_httpclient.redirects import is_followed

_REFUSE: Final = -1
"""What a callback returns to end the transfer: no number of bytes that libcurl could have given."""

_STATUS_LINE: Final = re.compile(r"HTTP/[0-9.]+ +([1-9][0-9][0-9])(?: (.*))?")

_UNSEEN_LIMIT: Final = 65536
"""Bytes of the body of a redirect that are read to keep the connection; over it, it is closed."""


class Download:
    """The head, and the body or what the callbacks were given of it.

    A `streaming_callback` that returns an awaitable pauses libcurl until that is done. The piece of
    the body that libcurl has at hand then comes again; what it keeps meanwhile it bounds itself.

    Args:
        curl: The transfer that it belongs to.
        request: The request.
        context: Where the application's callbacks run.
        max_body_size: Bytes that the body may have, decompressed.
        on_callback_error: Called in the `except` clause of a callback that failed.
        resume: Called when libcurl has to go on.

    Attributes:
        code: The status code; 0 before there is one.
        reason: The reason phrase.
        headers: The headers.
        followed: Whether the response is a redirect that the client will follow.
        refusal: Why the transfer was ended from here, if it was.
        abandoned: Whether the transfer was ended because more of a redirect is of no use.

    Raises:
        TypeError: The `streaming_callback` is a coroutine function.
    """

    def __init__(
        self,
        curl: Any,
        request: HTTPRequest,
        context: contextvars.Context,
        *,
        max_body_size: int,
        on_callback_error: Callable[[Any], None],
        resume: Callable[[], None],
    ) -> None:
        streaming_callback = request.streaming_callback
        if inspect.iscoroutinefunction(streaming_callback) or is_coroutine_function(
            streaming_callback
        ):
            raise TypeError(
                "the curl client takes no coroutine function as streaming_callback: to have it"
                " awaited, write streaming_callback=lambda chunk: function(chunk)"
            )
        self.code = 0
        self.reason = ""
        self.headers = HTTPHeaders()
        self.followed = False
        self.abandoned = False
        self.refusal: CurlError | None = None
        self._request = request
        self._context = context
        self._max_body_size = max_body_size
        self._on_callback_error = on_callback_error
        self._resume = resume
        self._in_head = False
        self._untold: list[str] = []
        """The lines of the head that the application is still to be told."""
        self._chunks: list[bytes] = []
        self._size = 0
        self._task: asyncio.Future[Any] | None = None
        curl.setopt(pycurl.HEADERFUNCTION, self._header_received)
        curl.setopt(pycurl.WRITEFUNCTION, self._data_received)

    @property
    def waiting(self) -> bool:
        """Whether an awaitable of the `streaming_callback` is not done."""
        return self._task is not None

    @property
    def stage(self) -> Stage | None:
        """How far the response has come; None if there is nothing of it."""
        if self.code == 0:
            return None
        return Stage.HEAD if self._in_head else Stage.BODY

    def buffer(self) -> BytesIO:
        """The body, unless it was streamed."""
        return BytesIO(b"".join(self._chunks))

    def complete(self) -> None:
        """All of it has come."""
        self._tell_head()

    def stop(self) -> None:
        """The transfer is over."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()

    # What libcurl calls. The client must not be called from here: libcurl cannot be entered twice.

    def _header_received(self, data: bytes) -> int | None:
        """A line of a head: of the response, of one that comes before it, or of the trailer."""
        line = data.decode("latin-1")
        if line.startswith("HTTP/"):
            if (status := _STATUS_LINE.fullmatch(line.rstrip("\r\n"))) is None:
                return self._refuse(pycurl.E_FTP_WEIRD_SERVER_REPLY, f"{line!r} is no status line")
            self.code, self.reason = int(status[1]), status[2] or ""
            self.headers = HTTPHeaders()
            self._in_head = True
            self._untold = []
        elif not self._in_head:
            return None  # a trailer says nothing that is used (RFC 9110 §6.5.1)
        self._untold.append(line)
        if not line.rstrip("\r\n"):
            self._in_head = False
            return self._head_received()
        if len(self._untold) > 1:
            try:
                self.headers.parse_line(line)
            except HTTPInputError as error:
                return self._refuse(
                    pycurl.E_FTP_WEIRD_SERVER_REPLY, f"malformed header in the response: {error}"
                )
        return None

    def _head_received(self) -> int | None:
        if self.code < 200 or self.code in (401, 407):
            return None  # another response may follow: with the next data, or the end, it is told
        self.followed = is_followed(self._request, self.code, self.headers)
        if self.followed:
            return None
        self._tell_head()
        length = self.headers.get("Content-Length", "")
        has_body = self._request.method != "HEAD" and self.code not in (204, 304)
        if has_body and length.isdecimal() and int(length) > self._max_body_size:
            return self._refuse_body()
        return None

    def _tell_head(self) -> None:
        """Tell the application the head, if it has not been told."""
        lines, self._untold = self._untold, []
        if self._request.header_callback is not None and not self.followed:
            for line in lines:
                self._tell(self._request.header_callback, line)

    def _data_received(self, chunk: bytes) -> int | None:
        """A piece of the body, decompressed."""
        if self._task is not None:
            return int(pycurl.WRITEFUNC_PAUSE)
        self._size += len(chunk)
        if self.followed:
            self.abandoned = self._size > _UNSEEN_LIMIT
            return _REFUSE if self.abandoned else None
        self._tell_head()
        if self._size > self._max_body_size:
            return self._refuse_body()
        if self._request.streaming_callback is None:
            self._chunks.append(chunk)
            return None
        result = self._tell(self._request.streaming_callback, chunk)
        if inspect.isawaitable(result):
            if inspect.iscoroutine(result):
                loop = asyncio.get_running_loop()
                self._task = loop.create_task(result, context=self._context)
            else:
                self._task = asyncio.ensure_future(result)
            self._task.add_done_callback(self._waited)
        return None

    def _refuse_body(self) -> int:
        return self._refuse(
            pycurl.E_FILESIZE_EXCEEDED,
            f"the body of the response is larger than {self._max_body_size} bytes: to allow"
            " for it, set the client's max_body_size",
        )

    def _refuse(self, errno: int, message: str) -> int:
        self.refusal = CurlError(errno, message)
        return _REFUSE

    # What the application is told

    def _tell(self, callback: Callable[[Any], Any], argument: Any) -> Any:
        try:
            return self._context.run(callback, argument)
        except Exception:
            self._on_callback_error(callback)
            return None

    def _waited(self, task: "asyncio.Future[Any]") -> None:
        """What the `streaming_callback` has returned is done: go on."""
        if self._task is None:  # the transfer is over
            if not task.cancelled():
                task.exception()
            return
        self._task = None
        try:
            task.result()
        except (Exception, asyncio.CancelledError):
            self._on_callback_error(self._request.streaming_callback)
        self._resume()
