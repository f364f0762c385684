"""The requests of one connection, one after the other."""

import asyncio
from typing import TYPE_CHECKING

from typhoon.http1connection.connection import HTTP1Connection
from typhoon.http1connection.parameters import HTTP1ConnectionParameters
from typhoon.http1connection.writing import new_codec
from typhoon.httputil import HTTPServerConnectionDelegate
from typhoon.ioloop import IOLoop
from typhoon.log import gen_log

if TYPE_CHECKING:
    from typhoon.iostream import IOStream


class HTTP1ServerConnection:
    """Serves the requests that come on a stream.

    Args:
        stream: An `IOStream` that is connected to a client.
        params: The settings; None for the defaults.
        context: Who the client is; see `HTTP1Connection`.
    """

    def __init__(
        self,
        stream: "IOStream",
        params: HTTP1ConnectionParameters | None = None,
        context: object = None,
    ) -> None:
        self.stream = stream
        self.params = params or HTTP1ConnectionParameters()
        self.context = context
        self._serving: asyncio.Task[None] | None = None

    def start_serving(self, delegate: HTTPServerConnectionDelegate) -> None:
        """Read requests; the delegate's `start_request` makes what each is given to.

        Its `on_close` is called at the end. Raises `RuntimeError` if it has been started already.
        """
        if self._serving is not None:
            raise RuntimeError("the connection is being served already")
        self.stream.set_nodelay(True)
        loop = IOLoop.current().asyncio_loop
        self._serving = loop.create_task(self._serve(delegate))

    async def _serve(self, delegate: HTTPServerConnectionDelegate) -> None:
        codec = new_codec(self.stream, False, self.params)
        try:
            while True:
                connection = HTTP1Connection(self.stream, False, self.params, self.context)
                # What has come of the next request while this one was read stays in there.
                connection._codec = codec
                if not await connection._read_message(
                    lambda conn=connection: delegate.start_request(self, conn)  # type: ignore[misc]
                ):
                    break
        except Exception:
            gen_log.error("Uncaught exception", exc_info=True)
            self.stream.close()
        finally:
            delegate.on_close(self)

    async def close(self) -> None:
        """Close the stream, and wait until nothing works on it any more."""
        self.stream.close()
        if self._serving is not None:
            await asyncio.wait([self._serving])
