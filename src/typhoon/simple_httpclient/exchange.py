"""One request and its response, over a connection that is there."""

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from typhoon._core import ExchangeError
from typhoon.http1connection.decoding import (
    PIECE,
    BodyDecoder,
    CompressedBodyError,
    consume_codings,
)
from typhoon.http1connection.message import log_malformed
from typhoon.httpclient.failures import Stage
from typhoon.httpclient.request import HTTPRequest
from typhoon.httputil import HTTPHeaders, HTTPOutputError
from typhoon.log import app_log
from typhoon.simple_httpclient.connection import Connection, Reply
from typhoon.simple_httpclient.errors import (
    CLOSED,
    HTTPBodyTooLargeError,
    HTTPContentCodingError,
    HTTPIncompleteResponseError,
    HTTPStreamClosedError,
    refused,
)
from typhoon.simple_httpclient.progress import Progress

_CONTINUE_TIMEOUT: Final = 1.0
"""Seconds to wait for 100 (Continue), after which the body is sent all the same; as curl does.
A server from before HTTP/1.1 never sends it (RFC 9110 §10.1.1)."""

_STATUS: Final = {"header_too_large": 431, "body_too_large": 413}

_STAGES: Final = (Stage.WAITING, Stage.HEAD, Stage.BODY)


def is_plain(request: HTTPRequest) -> bool:
    """Whether nothing is to be done between the request and the end of its response."""
    return (
        request.streaming_callback is None
        and request.header_callback is None
        and request.body_producer is None
        and not request.expect_100_continue
    )


def stage_of(connection: Connection) -> Stage:
    """What the client waits for on a connection."""
    return _STAGES[connection.received]


def failure(error: ExchangeError) -> BaseException:
    """What the client raises for a response that did not come, or not whole."""
    kind, message, cause = error.args
    match kind:
        case "closed":
            return cause or HTTPStreamClosedError(CLOSED)
        case "truncated":
            return cause or HTTPIncompleteResponseError(
                "Connection closed in the middle of the response"
            )
        case _:
            status = _STATUS.get(kind, 400)
            log_malformed(None, status, message)
            return refused(status, message)


def undecodable(error: CompressedBodyError) -> HTTPStreamClosedError:
    """What the client raises for a body that cannot be decompressed, or not any further."""
    log_malformed(None, error.status, str(error))
    kind = HTTPBodyTooLargeError if error.status == 413 else HTTPContentCodingError
    raised = kind(str(error))
    raised.stage = Stage.DECOMPRESSING
    return raised


class Exchange:
    """Sends a request that is not plain, and takes in the response: a delegate of the connection.

    Args:
        request: The request.
        connection: Takes it now.
        progress: Is told of the stages.
        max_body_size: Bytes that the body of the response may have, decompressed.
        leads_on: Tells from a response's status and headers whether another request will be sent
            after it, so that callbacks do not see it.
    """

    def __init__(
        self,
        request: HTTPRequest,
        connection: Connection,
        progress: Progress,
        max_body_size: int,
        leads_on: Callable[[int, HTTPHeaders], bool],
    ) -> None:
        self._request = request
        self._connection = connection
        self._progress = progress
        self._max_body_size = max_body_size
        self._leads_on = leads_on
        # What a connection calls runs in the context of who made the connection.
        self._context = contextvars.copy_context()
        self._head_came = asyncio.Event()
        self._refused = False
        self._is_sent = False
        self._followed = False
        self._decoder: BodyDecoder | None = None

    async def run(self, target: str, headers: HTTPHeaders) -> Reply:
        """Do it.

        Args:
            target: The request target.
            headers: All headers of the request.

        Raises:
            ExchangeError: The response did not come.
            HTTPStreamClosedError: A callback has failed.
        """
        request, connection = self._request, self._connection
        waiter: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        waits = request.expect_100_continue and "Expect" in headers
        has_more = waits or request.body_producer is not None
        connection.send_request(
            request.method,
            target,
            headers,
            None if has_more else request.body,
            waiter,
            self,
            request.streaming_callback is not None,
            has_more,
        )
        if has_more:
            await self._send_body_until(waiter, waits)
        self._progress.stage = Stage.WAITING
        reply = await waiter
        if self._decoder is not None:
            try:
                self._decoder.finish()
            except CompressedBodyError as error:
                raise undecodable(error) from None
        return reply

    async def _send_body_until(self, waiter: "asyncio.Future[Reply]", waits: bool) -> None:
        """Send the body; a response that comes meanwhile ends that."""
        self._progress.stage = Stage.SENDING
        sending = asyncio.ensure_future(self._send_body(waits))
        try:
            await asyncio.wait((waiter, sending), return_when=asyncio.FIRST_COMPLETED)
            if not waiter.done():
                sending.result()
        finally:
            if not sending.done():
                sending.cancel()
                await asyncio.wait((sending,))
            self._is_sent = True
            if not sending.cancelled():
                sending.exception()  # the response, or the first error, tells more
            del sending

    async def _send_body(self, waits: bool) -> None:
        request, connection = self._request, self._connection
        if waits:
            try:
                await asyncio.wait_for(self._head_came.wait(), _CONTINUE_TIMEOUT)
            except TimeoutError:
                pass
            if self._refused:
                # RFC 9110 §10.1.1: the server has answered without the body.
                return
        if request.body_producer is not None:
            result = request.body_producer(self._write)
            if result is not None:
                await result
        elif request.body is not None:
            await connection.write(request.body)
        self._is_sent = True
        connection.send_end()

    def _write(self, chunk: bytes) -> "asyncio.Future[None]":
        """What a producer writes with. It may keep this: the connection goes to other requests."""
        if self._is_sent:
            raise HTTPOutputError("the body is complete: nothing can be written behind its end")
        return self._connection.write(chunk)

    # What the connection tells

    def headers_received(self, line: tuple[str, int, str], headers: HTTPHeaders) -> None:
        """The head of a response has come, or of a 1xx response before it."""
        version, code, reason = line
        self._head_came.set()
        if code < 200 and code != 101:
            return
        request = self._request
        self._refused = True
        self._followed = self._leads_on(code, headers)
        callback = request.header_callback
        if callback is not None and not self._followed:
            lines = [f"{version} {code} {reason}\r\n"]
            lines += [f"{name}: {value}\r\n" for name, value in headers.get_all()]
            try:
                for text in [*lines, "\r\n"]:
                    self._context.run(callback, text)
            except Exception as error:
                raise _callback_failed(error) from None
        if request.streaming_callback is not None and request.decompress_response:
            codings = consume_codings(headers)
            if codings:
                self._decoder = BodyDecoder(codings, lambda: self._max_body_size)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """A piece of the body has come, for the callback."""
        if self._followed:
            return None
        if self._decoder is not None:
            return self._begin(self._decode(chunk, self._decoder))
        result = self._call(chunk)
        return self._begin(self._wait_for(result)) if inspect.isawaitable(result) else None

    def _begin(self, coroutine: Coroutine[Any, Any, None]) -> Awaitable[None]:
        return self._context.run(asyncio.ensure_future, coroutine)

    async def _decode(self, chunk: bytes, decoder: BodyDecoder) -> None:
        try:
            for piece in decoder.pieces(chunk, PIECE):
                result = self._call(piece)
                if inspect.isawaitable(result):
                    await self._wait_for(result)
        except CompressedBodyError as error:
            raise undecodable(error) from None

    def _call(self, chunk: bytes) -> Any:
        callback = self._request.streaming_callback
        try:
            return self._context.run(callback, chunk) if callback is not None else None
        except Exception as error:
            raise _callback_failed(error) from None

    async def _wait_for(self, awaitable: Awaitable[Any]) -> None:
        try:
            await awaitable
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # Not this request was cancelled, but what the callback waited for.
            raise _callback_failed(error) from None
        except Exception as error:
            raise _callback_failed(error) from None


def _callback_failed(error: BaseException) -> HTTPStreamClosedError:
    """What ends the request when a callback of the application has failed, which is logged."""
    app_log.error("Uncaught exception", exc_info=error)
    return HTTPStreamClosedError("A callback of the application failed")
