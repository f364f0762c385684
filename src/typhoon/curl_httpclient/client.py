"""`CurlAsyncHTTPClient`: libcurl's sockets and timer in the event loop."""

import asyncio
import weakref
from typing import Any, Final

from typhoon.curl_httpclient.errors import CurlError
from typhoon.curl_httpclient.libcurl import pycurl
from typhoon.curl_httpclient.transfer import Transfer
from typhoon.httpclient.errors import HTTPClientError
from typhoon.httpclient.queueing import (
    QueueingHTTPClient,
    ResponseCallback,
    Ticket,
    no_response,
)
from typhoon.httpclient.request import HTTPRequest

_BOTH: Final = pycurl.CSELECT_IN | pycurl.CSELECT_OUT


class CurlAsyncHTTPClient(QueueingHTTPClient):
    """A client on libcurl, which keeps connections and uses them again.

    It knows proxies, digest authentication and, where libcurl was built with it, HTTP/2. Proxies
    in the environment (``https_proxy`` and the like) apply. Redirects are libcurl's: a
    `header_callback` sees the heads of all responses on the way, and one redirect too many is a
    `CurlError`. A `streaming_callback` has to be a plain function. A `body_producer` cannot be
    asked a second time when a redirect keeps the method.

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
            transfer = Transfer(
                ticket,
                request,
                callback,
                queued,
                max_body_size=self.max_body_size,
                on_callback_error=self.handle_callback_exception,
                wake=self._wake,
            )
        except Exception as error:
            if isinstance(error, pycurl.error):
                error = CurlError(*error.args)
            self._end(ticket)
            self._answer(callback, no_response(request, error, queued=queued))
            return
        self._transfers[transfer.curl] = transfer
        self._multi.add_handle(transfer.curl)
        transfer.start(self.io_loop.asyncio_loop)

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
        transfer = self._transfers.pop(curl, None)
        if transfer is None:
            return  # answered when the client was closed
        self._multi.remove_handle(curl)
        response = transfer.response(errno, message)
        transfer.close()
        self._end(transfer.ticket)
        self._answer(transfer.callback, response)

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

    def _wake(self) -> None:
        """Let libcurl go on with what was paused: not all versions ask for it themselves."""
        if not self._closed:
            self._set_timer(0)

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
