"""What goes wrong with TLS handshakes, which asyncio keeps to itself."""

import ssl

from typhoon.log import gen_log


class _LoggedSSLObject(ssl.SSLObject):
    """The TLS of a connection. A handshake of a server that fails gets a line in the log."""

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            if self.server_side:
                gen_log.warning("SSL Error: %s", error)
            raise


def log_handshakes(context: ssl.SSLContext) -> None:
    """Let the handshakes of this context be logged, unless it has a class of its own for them."""
    if context.sslobject_class is ssl.SSLObject:
        context.sslobject_class = _LoggedSSLObject
