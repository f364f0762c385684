"""`WSGIContainer`: WSGI applications under Typhoon's server."""

import asyncio
import concurrent.futures
import contextlib
from typing import Any

from typhoon.http1connection.message import refusal
from typhoon.httputil import HTTPServerRequest
from typhoon.iostream import StreamClosedError
from typhoon.log import access_log, app_log
from typhoon.wsgi.environ import make_environ
from typhoon.wsgi.exchange import Exchange, ThreadedExchange, WSGIApp


class WSGIContainer:
    """Makes a WSGI application a target for `HTTPServer`, routers and `FallbackHandler`.

        def simple_app(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [b"Hello world!"]

        async def main():
            executor = concurrent.futures.ThreadPoolExecutor(32)
            HTTPServer(WSGIContainer(simple_app, executor)).listen(8888)
            await asyncio.Event().wait()

    Args:
        wsgi_application: A callable as PEP 3333 describes it.
        executor: Runs the application, each request in one of its threads, until the response
            is complete. Without one it runs in the event loop, which does nothing else meanwhile.

    The body of a request is received whole, within the server's `max_body_size`, before the
    application runs. A list or tuple is sent as one response; what other iterables give is sent
    piece by piece, and the application waits while the client is slow to read.

    Exceptions of the application, and what it does against the rules, are logged; the client gets
    a 500, or a closed connection if some of the response has been sent.
    """

    def __init__(
        self, wsgi_application: WSGIApp, executor: concurrent.futures.Executor | None = None
    ) -> None:
        self.wsgi_application = wsgi_application
        self.executor = executor
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, request: HTTPServerRequest) -> None:
        """Answer a complete request."""
        task = asyncio.get_running_loop().create_task(self.handle_request(request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def handle_request(self, request: HTTPServerRequest) -> None:
        """Run the application for a request, and send its response."""
        application = self.wsgi_application
        exchange = Exchange(application, request)
        try:
            if self.executor is None:
                with contextlib.closing(exchange.run(self.environ(request))) as pieces:
                    for piece in pieces:
                        await exchange.send(piece)
                        # Others have their turn, too, and so has the news that the client is gone.
                        await asyncio.sleep(0)
            else:
                exchange = ThreadedExchange(application, request, asyncio.get_running_loop())
                await exchange.run_in(self.executor, self.environ(request))
            exchange.finish()
        except Exception as error:
            if not (isinstance(error, StreamClosedError) and request.connection.is_closed):
                _fail(exchange, error)
        except BaseException:
            request.connection.abort()
            raise
        _log(exchange)

    def environ(self, request: HTTPServerRequest) -> dict[str, Any]:
        """The environment that the application gets for a request."""
        return make_environ(request, multithread=self.executor is not None)


def _fail(exchange: Exchange, error: Exception) -> None:
    request = exchange.request
    app_log.error(
        "Uncaught exception %s\n%r",
        _summary(request),
        request,
        exc_info=(type(error), error, error.__traceback__),
    )
    if exchange.is_head_sent:
        # The client has to see that the response is not whole.
        request.connection.abort()
    else:
        exchange.status = 500
        reason, headers, body = refusal(500, "the application failed")
        request.connection.respond(500, reason, headers, [body])


def _log(exchange: Exchange) -> None:
    if exchange.status < 400:
        log = access_log.info
    elif exchange.status < 500:
        log = access_log.warning
    else:
        log = access_log.error
    request = exchange.request
    log("%d %s %.2fms", exchange.status, _summary(request), 1000.0 * request.request_time())


def _summary(request: HTTPServerRequest) -> str:
    return f"{request.method} {request.uri} ({request.remote_ip})"
