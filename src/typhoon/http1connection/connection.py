"""Messages on a stream. What HTTP makes of the bytes is the native core's (`HTTP1Codec`).

| state of a message that is read | waits for | then |
| --- | --- | --- |
| head | a head, for `header_timeout` | `headers_received` |
| body | its pieces, for `body_timeout`, and for the delegate | `data_received`…, `finish` |
| answered (servers) | the response | the next message, or close |
| lingering (servers) | the peer's close, for `LINGER_SECONDS` | close |
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from typhoon._core import HTTP1Codec, HTTP1End, HTTP1Head
from typhoon.http1connection.decoding import (
    REQUEST_CODINGS,
    CompressedBodyError,
    consume_codings,
)
from typhoon.http1connection.decompression import Decompressor
from typhoon.http1connection.message import Message, log_malformed, refusal
from typhoon.http1connection.parameters import HTTP1ConnectionParameters
from typhoon.http1connection.writing import MessageWriter, max_body_size
from typhoon.httputil import (
    HTTPInputError,
    HTTPMessageDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from typhoon.iostream import StreamClosedError, UnsatisfiableReadError
from typhoon.log import app_log, gen_log

if TYPE_CHECKING:
    from typhoon.iostream import IOStream

LINGER_SECONDS = 5.0
"""How long a client may go on sending behind the last response (nginx: `lingering_timeout` 5 s)."""


class HTTP1Connection(MessageWriter):
    """Reads and writes the messages of one stream.

    Args:
        stream: An `IOStream` that is connected. The connection closes it unless it is detached.
        is_client: Whether requests are written and responses read, or the other way round.
        params: The settings; None for the defaults.
        context: Who the peer is: what the logs call it, and `HTTPServerRequest` asks for its
            `remote_ip` and `protocol`.
    """

    def __init__(
        self,
        stream: "IOStream",
        is_client: bool,
        params: HTTP1ConnectionParameters | None = None,
        context: object = None,
    ) -> None:
        super().__init__(stream, is_client, params or HTTP1ConnectionParameters())
        self.context = context
        self.max_body_size = max_body_size(self.params, stream)
        self._body_timeout = self.params.body_timeout
        self._close_callback: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed_here = False
        self._delegate_works = False
        self._expects_continue = False
        self._answered: asyncio.Future[None] | None = None
        self._held_by: Coroutine[Any, Any, None] | None = None
        if is_client:
            # `HTTP1ServerConnection` does it once for all of its requests.
            stream.set_nodelay(True)

    # Reading.

    async def read_response(self, delegate: HTTPMessageDelegate) -> bool:
        """Read one message: a response, or a request if this is a server.

        The delegate gets each head (also those of 1xx responses), then the body, then the end or
        the close. What is wrong with the message, and exceptions of the delegate, are logged and
        close the stream. Read a response after its request has been written.

        Returns whether the stream can be used for another message.
        """
        try:
            return await self._read_message(lambda: delegate, waits_for_head=True)
        finally:
            if self.stream is not None:
                _give_back(self._codec, self.stream)

    async def _read_message(
        self, start: Callable[[], HTTPMessageDelegate], waits_for_head: bool = False
    ) -> bool:
        """Read a message for the delegate that `start` returns once there is a head.

        With `waits_for_head` the delegate is also told if no head comes.
        """
        message = Message(start() if waits_for_head else None)
        try:
            return await self._receive(message, start)
        except HTTPInputError as error:
            status = error.status if isinstance(error, CompressedBodyError) else 400
            if self._codec.error is not None:
                status, _ = self._codec.error
            message.close()
            log_malformed(self.context, status, str(error))
            if self.is_client and status == 431 and self.stream is not None:
                # As when a stream is told to read no more than so many bytes.
                self.stream.close(UnsatisfiableReadError(str(error)))
                return False
            await self._refuse(status, str(error))
        except StreamClosedError:
            self.close()
        except Exception as error:
            app_log.error("Uncaught exception", exc_info=error)
            message.close()
            await self._refuse(500, "the application failed")
        except BaseException:
            self.close()
            raise
        finally:
            self._disarm()
            self._in_body = False
            if self._held_by is not None:
                self._held_by.close()
                self._held_by = None
            message.close()
            if self.stream is not None and self.stream.closed():
                self._notify_closed()
            del message  # which an exception's traceback would keep
        return False

    async def _receive(self, message: Message, start: Callable[[], HTTPMessageDelegate]) -> bool:
        while True:
            head = await self._next_head()
            if head is None or self.stream is None:
                self.close()
                return False
            if message.delegate is None:
                message.delegate = start()
            await self._begin(message, message.delegate, head, self.stream)
            if self.stream is None:
                message.finished = True
                return False
            if not head.is_informational:
                break
        if not await self._receive_body(message, head):
            return False
        message.finish()
        await self._release()
        if self.stream is None:
            return False
        keep_alive = not self.no_keep_alive and head.keep_alive
        if self.is_client:
            # With a request that is not complete nobody knows where the next one begins.
            keep_alive = keep_alive and self._codec.keep_alive and not self._codec.is_sending
        else:
            await self._response()
            keep_alive = self._codec.keep_alive
        if self.stream is None or not keep_alive:
            self.close()
            return False
        self._codec.next_message()
        return not self.stream.closed()

    async def _next_head(self) -> HTTP1Head | None:
        """The next head; None if the stream ends before it."""
        idle_timeout = self.params.idle_timeout
        self._arm(self.params.header_timeout if idle_timeout is None else idle_timeout)
        if idle_timeout is not None and not self._codec.has_unread:
            if not await self._read():
                return None
            self._arm(self.params.header_timeout)
        head = await self._next_event()
        self._disarm()
        return head if isinstance(head, HTTP1Head) else None

    async def _begin(
        self,
        message: Message,
        receiver: HTTPMessageDelegate,
        head: HTTP1Head,
        stream: "IOStream",
    ) -> None:
        """Tell the delegate of a head."""
        start_line: RequestStartLine | ResponseStartLine
        if self.is_client:
            start_line = ResponseStartLine(*head.start_line)
        else:
            start_line = RequestStartLine(*head.start_line)
            self._in_body = True
            self._response_complete = False
            self._expects_continue = head.expects_continue
            stream.set_close_callback(self._on_stream_closed)
            if self.no_keep_alive:
                self._codec.close_after()
        self._codec.set_max_body_size(self.max_body_size)
        if self.params.decompress:
            codings = consume_codings(head.headers, None if self.is_client else REQUEST_CODINGS)
            if codings and head.has_body:
                message.delegate = Decompressor(
                    receiver, codings, lambda: self.max_body_size, self.params.chunk_size
                )
        await self._wait_for(receiver.headers_received(start_line, head.headers))

    async def _receive_body(self, message: Message, head: HTTP1Head) -> bool:
        """Give the delegate the body. False if there is nothing more to do on this connection."""
        self._in_body = True
        if head.has_body:
            self._arm(self._body_timeout)
        while True:
            await self._release()
            event = await self._next_event()
            if self.stream is None:
                message.finished = True
                return False
            if isinstance(event, HTTP1End):
                break
            if not isinstance(event, bytes):
                self.close()
                return False
            if not self.is_client and self._response_complete:
                # Nobody wants the rest, and nothing can follow it (see `respond`).
                message.close()
                await self._linger()
                return False
            self._expects_continue = False
            await self._wait_for(message.data_received(event))
            if self.stream is None:
                message.finished = True
                return False
        self._disarm()
        self._in_body = False
        return True

    async def _next_event(self) -> HTTP1Head | HTTP1End | bytes | None:
        """What comes next, None if the stream has ended in order between two messages."""
        codec = self._codec
        while True:
            event = codec.next_event(self.params.chunk_size)
            if event is None:
                if self._expects_continue and codec.expects_head:
                    self._send(b"HTTP/1.1 100 Continue\r\n\r\n")
                self._expects_continue = False
                if not await self._read():
                    return self._end_of_input()
            elif event == b"":
                await asyncio.sleep(0)  # a body of tiny chunks: let others have a turn
            else:
                return event

    def _end_of_input(self) -> HTTP1End | None:
        """The end of a body that lasts until the peer closes."""
        try:
            return None if self.stream is None else self._codec.receive_eof()
        except HTTPInputError:
            raise StreamClosedError from None  # peers go in the middle of messages all the time

    async def _read(self) -> bool:
        """Read what has come. False if that is the end, or if the stream is not ours any more."""
        if self.stream is None:
            return False
        try:
            data = await self.stream.read_bytes(self.params.chunk_size, partial=True)
        except StreamClosedError as error:
            if self._closed_here or error.real_error is not None:
                # Not an end that the peer has meant.
                raise
            return False
        self._codec.receive(data)
        return True

    async def _response(self) -> None:
        """Servers: wait until the response is complete and on its way."""
        if not self._response_complete:
            self._answered = asyncio.get_running_loop().create_future()
            if self.stream is None or self.stream.closed():
                self._on_stream_closed()
            await self._answered
            self._answered = None
        if self._response_complete and self.stream is not None:
            # A client that does not read is not waited for any longer than one that does not write.
            self._arm(self.params.idle_timeout or self.params.header_timeout)
            await self._flushed()
            self._disarm()

    def hold(self, awaitable: Awaitable[Any], then: Callable[[], Any] | None = None) -> None:
        """Receive no more of the body until this is done; go on with `then`."""

        async def wait() -> None:
            await awaitable
            if then is not None:
                then()

        self._held_by = wait()

    async def _release(self) -> None:
        held_by, self._held_by = self._held_by, None
        await self._wait_for(held_by)

    async def _wait_for(self, awaitable: Awaitable[Any] | None) -> None:
        """Wait for the delegate, which hears of the peer's close meanwhile."""
        if awaitable is not None:
            self._delegate_works = True
            try:
                await awaitable
            finally:
                self._delegate_works = False

    def _response_finished(self) -> None:
        self._close_callback = None
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(None)
        elif self._in_body:
            # Some of the request has not come, and will not be waited for much longer.
            self._body_timeout = LINGER_SECONDS
            self._arm(LINGER_SECONDS)

    # Settings of one message.

    def set_max_body_size(self, max_body_size: int) -> None:
        """Allow this message's body so many bytes. For use before or in `headers_received`."""
        self.max_body_size = max_body_size
        self._codec.set_max_body_size(max_body_size)

    def set_body_timeout(self, timeout: float) -> None:
        """Allow this message's body so many seconds to come, from now on."""
        self._body_timeout = timeout
        if self._in_body:
            self._arm(timeout)

    # Ends.

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        """Call this if the connection closes before the response is complete; None for nothing.

        A delegate that is still told of a message hears of it by `on_connection_close`, too.
        """
        if self._response_complete:
            return
        self._close_callback = callback
        if self.stream is not None:
            self.stream.set_close_callback(self._on_stream_closed)

    def _on_stream_closed(self) -> None:
        if self._in_body and not self._delegate_works:
            # What has come before the close is read first; then that is noticed.
            return
        self._notify_closed()
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(None)

    def _notify_closed(self) -> None:
        """The response will not be completed, or nobody takes it any more."""
        callback, self._close_callback = self._close_callback, None
        if callback is not None:
            try:
                callback()
            except Exception as error:
                app_log.error("Uncaught exception", exc_info=error)

    def get_ssl_certificate(self, binary_form: bool = False) -> dict[str, Any] | bytes | None:
        """The peer's certificate; None on plain connections and if it sent none."""
        sock: Any = None if self.is_closed else self.stream.socket
        return sock.getpeercert(binary_form) if isinstance(sock, ssl.SSLSocket) else None

    def close(self) -> None:
        """Close the stream; what has not been sent is lost."""
        self._closed_here = True
        if self.stream is not None:
            self.stream.close()

    abort = close

    def detach(self) -> "IOStream":
        """Take the stream away from HTTP. What has come behind the message is read from it next.

        `RuntimeError` if it has been detached already.
        """
        stream = self.stream
        if stream is None:
            raise RuntimeError("the stream has been detached already")
        self.stream = None  # type: ignore[assignment]
        self._close_callback = None
        self._disarm()
        stream.set_close_callback(None)
        _give_back(self._codec, stream)
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(None)
        return stream

    async def _refuse(self, status: int, message: str) -> None:
        """Close; a client whose request has not been answered is told why."""
        stream = self.stream
        if stream is None or stream.closed():
            return
        if not self.is_client and not self._codec.is_sending and not self._response_complete:
            self._answer(status, message)
            await self._linger()
        stream.close()

    def _answer(self, status: int, message: str) -> None:
        self._notify_closed()
        self._codec.answer_malformed()
        reason, headers, body = refusal(status, message)
        self.respond(status, reason, headers, [body])

    async def _linger(self) -> None:
        """Let the client read our last words: closing on one that is still sending would reset the
        connection and destroy them (RFC 9112 §9.6)."""
        stream = self.stream
        if stream is None:
            return
        self._arm(LINGER_SECONDS)
        try:
            await self._flushed()
            _shut_down(stream)
            while True:
                await stream.read_bytes(self.params.chunk_size, partial=True)
        except StreamClosedError:
            pass
        finally:
            self._disarm()
            stream.close()

    # Deadlines.

    def _arm(self, seconds: float | None) -> None:
        self._disarm()
        if seconds is not None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._expire)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self._timer = None
        part = "body" if self._in_body else "head"
        begun = self._in_body or self._codec.has_unread
        if begun and not self._response_complete:
            gen_log.info("Timeout reading %s from %s", part, self.context)
            if not self.is_client and not self._codec.is_sending:
                self._answer(408, f"Timeout reading {part}")
        self.close()


def _give_back(codec: HTTP1Codec, stream: "IOStream") -> None:
    """Put what does not belong to a message back on the stream."""
    if codec.has_unread:
        stream._unread(codec.take_unread())


def _shut_down(stream: "IOStream") -> None:
    """Say that nothing more will be sent; TLS has no such message that others would know."""
    sock = stream.socket
    if type(sock) is socket.socket:
        try:
            sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the peer has gone
