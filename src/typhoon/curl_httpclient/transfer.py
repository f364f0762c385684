"""One request on its way through libcurl."""

import asyncio
import functools
import logging
import time
from collections.abc import Callable
from typing import Any, Final

from typhoon.curl_httpclient.download import Download
from typhoon.curl_httpclient.errors import CurlError, stage_of
from typhoon.curl_httpclient.libcurl import pycurl
from typhoon.curl_httpclient.options import set_options
from typhoon.curl_httpclient.upload import Upload
from typhoon.httpclient.failures import Stage, located
from typhoon.httpclient.queueing import ResponseCallback, Ticket, no_response
from typhoon.httpclient.request import HTTPRequest
from typhoon.httpclient.response import HTTPResponse
from typhoon.simple_httpclient.redirects import next_request
from typhoon.simple_httpclient.target import parse_target

curl_log: Final = logging.getLogger("typhoon.curl_httpclient")

_TIMES: Final = {
    "namelookup": pycurl.NAMELOOKUP_TIME,
    "connect": pycurl.CONNECT_TIME,
    "appconnect": pycurl.APPCONNECT_TIME,
    "pretransfer": pycurl.PRETRANSFER_TIME,
    "starttransfer": pycurl.STARTTRANSFER_TIME,
    "total": pycurl.TOTAL_TIME,
}
"""The names in `HTTPResponse.time_info`, all in seconds."""


class Fetch:
    """What stays the same while redirects are followed.

    Attributes:
        ticket: What the fetch has in the client's tables.
        callback: What is told the response.
        queued: Seconds that it was in the queue.
        started: When it left the queue, on the clock of `time.monotonic`.
        deadline: When its time is over, on the same clock; None for never.
    """

    __slots__ = ("callback", "deadline", "queued", "started", "ticket")

    def __init__(
        self,
        ticket: Ticket,
        request: HTTPRequest,
        callback: ResponseCallback,
        queued: float,
    ) -> None:
        self.ticket = ticket
        self.callback = callback
        self.queued = queued
        self.started = time.monotonic()
        self.deadline = self.started + request.request_timeout if request.request_timeout else None

    def remaining(self) -> float | None:
        """Seconds that are left; None for no limit."""
        if self.deadline is None:
            return None
        return max(0.0, self.deadline - time.monotonic())


class Transfer:
    """A request, the ``pycurl.Curl`` that carries it out, and what has come of it.

    Each has a Curl of its own: that is cheap, connections belong to the client's ``CurlMulti``, and
    so nothing that one request is given, credentials least of all, can be left for the next.

    Args:
        fetch: What it belongs to.
        request: The request, or the one that a redirect has made of it.
        max_body_size: Bytes that the response's body may have, decompressed.
        on_callback_error: Called in the `except` clause of a callback that failed.
        resume: Called with the Curl when libcurl has to go on with what was paused.

    Attributes:
        received: Whether libcurl is done, and the client waits for a callback of the application.

    Raises:
        ValueError: The request contradicts itself, or asks for what this client cannot do.
        TypeError: The streaming callback is a coroutine function.
    """

    def __init__(
        self,
        fetch: Fetch,
        request: HTTPRequest,
        *,
        max_body_size: int,
        on_callback_error: Callable[[Any], None],
        resume: Callable[[Any], None],
    ) -> None:
        self.fetch = fetch
        self.request = request
        self.curl = pycurl.Curl()
        self.received = False
        self._limit: asyncio.TimerHandle | None = None
        self._upload: Upload | None = None
        self._start_time = time.time()
        self._started = time.monotonic()
        try:
            self._target = parse_target(request.url)
            set_options(self.curl, request, self._target, fetch.remaining())
            go_on = functools.partial(resume, self.curl)
            self._download = Download(
                self.curl,
                request,
                fetch.ticket.context,
                max_body_size=max_body_size,
                on_callback_error=on_callback_error,
                resume=go_on,
            )
            if request.body_producer is not None:
                self._upload = Upload(self.curl, request, go_on)
            if curl_log.isEnabledFor(logging.DEBUG):
                self.curl.setopt(pycurl.VERBOSE, 1)
                self.curl.setopt(pycurl.DEBUGFUNCTION, _log_debug)
            if request.prepare_curl_callback is not None:
                fetch.ticket.context.run(request.prepare_curl_callback, self.curl)
        except BaseException:
            self.curl.close()
            raise

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin what goes on beside libcurl: the producer of the body."""
        if self._upload is not None:
            self._upload.start(loop, self.fetch.ticket.context)

    def close(self) -> None:
        """Free libcurl's handle, which keeps references to the callbacks."""
        if self._limit is not None:
            self._limit.cancel()
        if self._upload is not None:
            self._upload.stop()
        self._download.stop()
        self.curl.close()

    def must_wait(self, loop: asyncio.AbstractEventLoop, expired: Callable[[], None]) -> bool:
        """Whether a callback of the application is not done with the last piece of the body.

        Args:
            loop: The event loop.
            expired: Called when the time of the request is over before it is.
        """
        if not self._download.waiting:
            return False
        self.received = True
        if (remaining := self.fetch.remaining()) is not None:
            self._limit = loop.call_later(remaining, expired)
        return True

    def next_request(self, errno: int | None) -> HTTPRequest | None:
        """The request that the response redirects to; None if there is none to follow.

        Raises:
            ValueError: It leads where the client cannot go.
        """
        download = self._download
        if not download.followed or (errno is not None and not download.abandoned):
            return None
        return next_request(self.request, download.code, download.headers)

    def response(self, errno: int | None = None, message: str = "") -> HTTPResponse:
        """What to tell the application, with libcurl's error if there is one."""
        if errno is not None:
            return self.failure(self._error(errno, message))
        download, curl = self._download, self.curl
        download.complete()
        times = {name: curl.getinfo(info) for name, info in _TIMES.items()}
        times["redirect"] = self._started - self.fetch.started
        return HTTPResponse(
            self.request,
            download.code,
            reason=download.reason,
            headers=download.headers,
            buffer=download.buffer(),
            effective_url=self._effective_url(),
            request_time=time.monotonic() - self._started,
            start_time=self._start_time,
            time_info={"queue": self.fetch.queued, **times},
        )

    def failure(self, error: BaseException, stage: Stage | None = None) -> HTTPResponse:
        """What stands for the response if there is none."""
        stage = stage or self._stage(error)
        return no_response(
            self.request,
            located(error, self.request.method, self.request.url, stage, self._place(stage)),
            self._start_time,
            time.monotonic() - self._started,
            self.fetch.queued,
        )

    def _error(self, errno: int, message: str) -> BaseException:
        """Why libcurl has given up: who made it do so knows better."""
        if self._download.refusal is not None:
            return self._download.refusal
        if self._upload is not None and self._upload.error is not None:
            return self._upload.error
        return CurlError(errno, message)

    def _stage(self, error: BaseException) -> Stage:
        errno = error.errno if isinstance(error, CurlError) else 0
        stage = stage_of(self.curl, errno, self._download.stage)
        if stage is Stage.WAITING and self._upload is not None and not self._upload.complete:
            return Stage.SENDING
        return stage

    def _place(self, stage: Stage) -> str:
        """With whom the request was in that stage."""
        request, target = self.request, self._target
        if request.unix_socket is not None:
            return request.unix_socket
        host, port = target.host, target.port
        if request.proxy_host and stage in (Stage.RESOLVING, Stage.CONNECTING):
            host, port = request.proxy_host, request.proxy_port or 0
        return host if stage is Stage.RESOLVING else f"{host}:{port}"

    def _effective_url(self) -> str:
        if self.curl.getinfo(pycurl.REDIRECT_COUNT):  # `prepare_curl_callback` wants them so
            return str(self.curl.getinfo(pycurl.EFFECTIVE_URL))
        return self.request.url


def _log_debug(kind: int, data: bytes) -> None:
    if kind == pycurl.INFOTYPE_TEXT:
        curl_log.debug("%s", data.decode("utf-8", "replace").strip())
    elif kind in (pycurl.INFOTYPE_HEADER_IN, pycurl.INFOTYPE_HEADER_OUT):
        mark = "<" if kind == pycurl.INFOTYPE_HEADER_IN else ">"
        for line in data.decode("latin-1").splitlines():
            curl_log.debug("%s %s", mark, line)
