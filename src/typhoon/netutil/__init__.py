"""Network utilities: sockets that listen, names and addresses, TLS."""

from typhoon.netutil import sockets
from typhoon.netutil.accept import add_accept_handler
from typhoon.netutil.resolvers import (
    BlockingResolver,
    DefaultExecutorResolver,
    DefaultLoopResolver,
    ExecutorResolver,
    OverrideResolver,
    Resolver,
    ThreadedResolver,
    is_valid_ip,
)
from typhoon.netutil.sockets import bind_sockets
from typhoon.netutil.tls import ssl_options_to_context, ssl_wrap_socket

__all__ = [
    "BlockingResolver",
    "DefaultExecutorResolver",
    "DefaultLoopResolver",
    "ExecutorResolver",
    "OverrideResolver",
    "Resolver",
    "ThreadedResolver",
    "add_accept_handler",
    "bind_sockets",
    "is_valid_ip",
    "ssl_options_to_context",
    "ssl_wrap_socket",
]

if hasattr(sockets, "bind_unix_socket"):  # not on Windows
    from typhoon.netutil.sockets import bind_unix_socket

    __all__ += ["bind_unix_socket"]
