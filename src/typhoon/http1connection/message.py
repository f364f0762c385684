"""Who is told of a message, and what becomes of what is written."""

import asyncio
from collections.abc import Awaitable
from http import HTTPStatus

from typhoon.httputil import HTTPHeaders, HTTPMessageDelegate
from typhoon.iostream import StreamClosedError
from typhoon.log import app_log, gen_log


class Message:
    """The delegate of one message, and whether it has been told of its end."""

    __slots__ = ("delegate", "finished")

    def __init__(self, delegate: HTTPMessageDelegate | None) -> None:
        self.delegate = delegate
        self.finished = False

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        return self.delegate.data_received(chunk) if self.delegate is not None else None

    def finish(self) -> None:
        if self.delegate is not None:
            self.delegate.finish()
        self.finished = True

    def close(self) -> None:
        """Tell the delegate that the rest will not come, if it has not been told of the end."""
        delegate, self.delegate = self.delegate, None
        if delegate is not None and not self.finished:
            try:
                delegate.on_connection_close()
            except Exception as error:
                app_log.error("Uncaught exception", exc_info=error)


def log_malformed(peer: object, status: int, message: str) -> None:
    """Say in the log that a peer broke the rules or a limit."""
    match status:
        case 408:
            gen_log.info("%s from %s", message, peer)
        case 431:
            gen_log.info("Unsatisfiable read from %s: %s", peer, message)
        case _:
            gen_log.info("Malformed HTTP message from %s: %s", peer, message)


def refusal(status: int, message: str) -> tuple[str, HTTPHeaders, bytes]:
    """Reason, headers and body of a response that tells a client what was wrong."""
    reason = HTTPStatus(status).phrase
    headers = HTTPHeaders({"Content-Type": "text/plain; charset=utf-8"})
    return reason, headers, f"{status} {reason}: {message}\n".encode()


def done() -> "asyncio.Future[None]":
    """A write that had nothing to wait for."""
    future = asyncio.get_running_loop().create_future()
    future.set_result(None)
    return future


def lost(error: StreamClosedError | None = None) -> "asyncio.Future[None]":
    """A write that came too late. Not awaiting it is fine."""
    future = asyncio.get_running_loop().create_future()
    future.set_exception(error or StreamClosedError())
    future.exception()
    return future


def retrieve(future: "asyncio.Future[None]") -> None:
    """Look at how a write ended: not awaiting it is fine."""
    if not future.cancelled():
        future.exception()
