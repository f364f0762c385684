"""`CurlAsyncHTTPClient`: libcurl's sockets and timer in the event loop."""

import asyncio
import functools
import weakref
from typing import Any, Final

from typhoon.curl_httpclient.errors import CurlError
from typhoon.curl_httpclient.libcurl import pycurl
from typhoon.curl_httpclient.transfer import Fetch, Transfer
from typhoon.httpclient.errors import HTTPClientError
from typhoon.httpclient.failures import Stage, located
from typhoon.httpclient.queueing import (
    QueueingHTTPClient,
    ResponseCallback,
    Ticket,
    no_response,
)
from typhoon.httpclient.request import HTTPRequest
from typhoon.httpclient.response import HTTPResponse

_BOTH: Final = pycurl.CSELECT_IN | pycurl.CSELECT_OUT


class CurlAsyncHTTPClient(QueueingHTTPClient):
    """A client on libcurl, which keeps connections and uses them again.

    Where libcurl was built with it, it speaks HTTP/2 with servers that do, over TLS; a
    `prepare_curl_callback` of the request sets all else that libcurl can do. Proxies in the
    environment (``https_proxy`` and the like) apply. `ssl_options` may be a dictionary, but no
    `ssl.SSLContext`. A `streaming_callback` must not be a coroutine function itself, but what it
    returns is awaited: write ``streaming_callback=lambda chunk: function(chunk)``.

    Attributes:
        max_body_size: Bytes that the body of a response may have, decompressed, also when it is
            streamed.
    """

    max_body_size: int

    def initialize(  # type: ignore[override]  # the implementation's own settings
        self,
        max_clients: int = 10,
        defaults: dict[str, Any] | None = None,
        max_body_size: int = 104857600,
    ) -> None:
        """Set up the client.

        Args:
            max_clients: How many requests may run at once; more wait in a queue, at most for
                their `connect_timeout`.
            defaults: Values for the arguments of `.HTTPRequest` that requests leave at None.
            max_body_size: Bytes that the body of a response may have, decompressed; 100 MiB by
                default.
        """
        super().initialize(max_clients=max_clients, defaults=defaults)
        self.max_body_size = max_body_size
        self._transfers: dict[Any, Transfer] = {}
        self._watched: dict[int, int] = {}
        self._timer: asyncio.Handle | None = None
        self._inside = False
        """Whether libcurl runs, and must not be called."""
        self._multi = pycurl.CurlMulti()
        # Weak: an object with a callback to this one would keep it from being freed at once.
        watch = weakref.WeakMethod(self._watch)
        set_timer = weakref.WeakMethod(self._set_timer)

        def on_socket(event: int, fd: int, multi: Any, data: Any) -> None:
            if (method := watch()) is not None:
                method(event, fd)

        def on_timer(milliseconds: int) -> None:
            if (method := set_timer()) is not None:
                method(milliseconds)

        self._multi.setopt(pycurl.M_SOCKETFUNCTION, on_socket)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, on_timer)

    def close(self) -> None:
        """Cancel what is under way, and free what the client holds."""
        if self._closed:
            return
        active = list(self.active.values())
        super().close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.io_loop.asyncio_loop.is_closed():
            self._watched.clear()
            self._free()
            return
        for fd in list(self._watched):
            self._set_watched(fd, 0)
        if self._inside:  # a callback of the application closes the client
            self.io_loop.asyncio_loop.call_soon(self._free)
        else:
            self._free()
        self.active.clear()
        for request, callback in active:
            self._answer(callback, no_response(request, asyncio.CancelledError()))

    def _free(self) -> None:
        for curl, transfer in self._transfers.items():
            self._multi.remove_handle(curl)
            transfer.close()
        self._transfers.clear()
        self._multi.close()

    # Requests

    def _queue_timeout(self) -> HTTPClientError:
        return CurlError(pycurl.E_OPERATION_TIMEDOUT, "Timeout in request queue")

    def _begin(
        self, ticket: Ticket, request: HTTPRequest, callback: ResponseCallback, queued: float
    ) -> None:
        # Not at once: a callback that libcurl has called may be what fetches.
        self.io_loop.asyncio_loop.call_soon(self._start, ticket, request, callback, queued)

    def _start(
        self, ticket: Ticket, request: HTTPRequest, callback: ResponseCallback, queued: float
    ) -> None:
        if self._closed:
            return
        try:
            fetch = Fetch(ticket, request, callback, queued)
        except Exception as error:  # a timeout that is no number
            self._reject(ticket, request, callback, error, queued)
        else:
            self._send(fetch, request)

    def _send(self, fetch: Fetch, request: HTTPRequest) -> None:
        """Send the request of a fetch, or the one that a redirect has made of it."""
        try:
            transfer = Transfer(
                fetch,
                request,
                max_body_size=self.max_body_size,
                on_callback_error=self.handle_callback_exception,
                resume=self._resume,
            )
        except Exception as error:
            self._refuse(fetch, request, error)
            return
        self._transfers[transfer.curl] = transfer
        self._multi.add_handle(transfer.curl)
        transfer.start(self.io_loop.asyncio_loop)

    def _refuse(self, fetch: Fetch, request: HTTPRequest, error: Exception) -> None:
        """The request cannot be sent as it is."""
        if isinstance(error, pycurl.error):
            error = CurlError(*error.args)
        failure = located(error, request.method, request.url, Stage.PREPARING)
        self._done(fetch, no_response(request, failure, queued=fetch.queued))

    def _done(self, fetch: Fetch, response: HTTPResponse) -> None:
        self._end(fetch.ticket)
        self._answer(fetch.callback, response)

    def _collect(self) -> None:
        """Answer the requests that libcurl is done with."""
        more = True
        while more and not self._closed:
            more, done, failed = self._multi.info_read()
            for curl in done:
                self._finish(curl)
            for curl, errno, message in failed:
                self._finish(curl, errno, message)

    def _finish(self, curl: Any, errno: int | None = None, message: str = "") -> None:
        """libcurl is done with a request: follow the redirect, or answer."""
        transfer = self._transfers.get(curl)
        if transfer is None:
            return  # answered when the client was closed
        if errno is None and transfer.must_wait(
            self.io_loop.asyncio_loop, functools.partial(self._expire_callback, curl)
        ):
            return
        del self._transfers[curl]
        self._multi.remove_handle(curl)
        try:
            following = transfer.next_request(errno)
        except ValueError as error:
            self._done(transfer.fetch, transfer.failure(error, Stage.REDIRECTING))
        else:
            if following is not None:
                self._send(transfer.fetch, following)
            else:
                self._done(transfer.fetch, transfer.response(errno, message))
        finally:
            transfer.close()

    def _expire_callback(self, curl: Any) -> None:
        """The time is over, and a callback of the application is not done."""
        self._finish(curl, pycurl.E_OPERATION_TIMEDOUT, "Timeout in the streaming_callback")

    def _resume(self, curl: Any) -> None:
        """Let libcurl go on with what was paused."""
        # Not at once: a callback may be what has come to its end, and callbacks may follow.
        self.io_loop.asyncio_loop.call_soon(self._go_on, curl)

    def _go_on(self, curl: Any) -> None:
        transfer = self._transfers.get(curl)
        if transfer is None or self._closed:
            return
        if transfer.received:
            self._finish(curl)
            return
        self._inside = True
        try:
            curl.pause(pycurl.PAUSE_CONT)
        except pycurl.error:
            pass  # the transfer has failed, and will say so
        finally:
            self._inside = False
        self._set_timer(0)  # not all versions of libcurl ask for it themselves

    # What libcurl waits for

    def _act(self, fd: int, events: int) -> None:
        """Let libcurl go on: with a socket that is ready, or with its timeouts."""
        if self._closed:
            return
        self._inside = True
        try:
            self._multi.socket_action(fd, events)
        finally:
            self._inside = False
        self._collect()

    def _on_timeout(self) -> None:
        self._timer = None
        self._act(pycurl.SOCKET_TIMEOUT, 0)

    def _set_timer(self, milliseconds: int) -> None:
        """libcurl wants to be called after so long; never, if it is negative."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if milliseconds < 0 or self._closed:
            return
        loop = self.io_loop.asyncio_loop
        if milliseconds == 0:
            self._timer = loop.call_soon(self._on_timeout)
        else:
            self._timer = loop.call_later(milliseconds / 1000, self._on_timeout)

    def _watch(self, event: int, fd: int) -> None:
        """libcurl wants to know when a socket is ready; the bits are those of CSELECT_*."""
        self._set_watched(fd, 0 if event == pycurl.POLL_REMOVE or self._closed else event & _BOTH)

    def _set_watched(self, fd: int, wanted: int) -> None:
        loop = self.io_loop.selector_loop
        watched = self._watched.pop(fd, 0)
        if wanted:
            self._watched[fd] = wanted
        for bit, add, remove in (
            (pycurl.CSELECT_IN, loop.add_reader, loop.remove_reader),
            (pycurl.CSELECT_OUT, loop.add_writer, loop.remove_writer),
        ):
            if wanted & bit and not watched & bit:
                add(fd, self._act, fd, bit)
            elif watched & bit and not wanted & bit:
                remove(fd)
