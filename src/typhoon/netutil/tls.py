"""TLS contexts, and TLS over sockets."""

import ssl
from socket import socket as Socket
from typing import Any

__all__ = ["ssl_options_to_context", "ssl_wrap_socket"]

_SSL_OPTIONS = ("ssl_version", "certfile", "keyfile", "cert_reqs", "ca_certs", "ciphers")

_PROTOCOLS = {
    True: ssl.PROTOCOL_TLS_SERVER,
    False: ssl.PROTOCOL_TLS_CLIENT,
    None: ssl.PROTOCOL_TLS,  # for both sides; Python itself warns when it is used
}


def ssl_options_to_context(
    ssl_options: dict[str, Any] | ssl.SSLContext, server_side: bool | None = None
) -> ssl.SSLContext:
    """The `ssl.SSLContext` that `ssl_options` describes; a context is returned as it is.

    Args:
        ssl_options: A context, or a dictionary with some of ``ssl_version``, ``certfile``,
            ``keyfile``, ``cert_reqs``, ``ca_certs`` and ``ciphers``: paths, strings, and
            constants of the `ssl` module.
        server_side: Which side of the connection the context is for. Without it the context
            serves both, verifies nothing, and a `DeprecationWarning` is given.

    Raises:
        ValueError: The dictionary has a key that is unknown, or ``keyfile`` without ``certfile``.
        OSError: A file cannot be read or used (`ssl.SSLError`); the message names it.
    """
    if isinstance(ssl_options, ssl.SSLContext):
        return ssl_options
    unknown = [key for key in ssl_options if key not in _SSL_OPTIONS]
    if unknown:
        raise ValueError(
            f"ssl_options: unknown {', '.join(map(repr, unknown))}; known are "
            + ", ".join(_SSL_OPTIONS)
        )
    version = ssl_options.get("ssl_version")
    if version is None:
        version = _PROTOCOLS[server_side]
    context = ssl.SSLContext(version)
    certfile, keyfile = ssl_options.get("certfile"), ssl_options.get("keyfile")
    if certfile is not None:
        with _NamingFiles(certfile=certfile, keyfile=keyfile):
            context.load_cert_chain(certfile, keyfile)
    elif keyfile is not None:
        raise ValueError("ssl_options: keyfile needs certfile")
    if "cert_reqs" in ssl_options:
        if ssl_options["cert_reqs"] == ssl.CERT_NONE:
            context.check_hostname = False  # on in a client's context, which refuses CERT_NONE then
        context.verify_mode = ssl_options["cert_reqs"]
    ca_certs = ssl_options.get("ca_certs")
    if ca_certs is not None:
        with _NamingFiles(ca_certs=ca_certs):
            context.load_verify_locations(ca_certs)
    elif server_side is False and context.verify_mode != ssl.CERT_NONE:
        context.load_default_certs()
    if ssl_options.get("ciphers") is not None:
        context.set_ciphers(ssl_options["ciphers"])
    return context


def ssl_wrap_socket(
    socket: Socket,
    ssl_options: dict[str, Any] | ssl.SSLContext,
    server_hostname: str | None = None,
    server_side: bool | None = None,
    **kwargs: Any,
) -> ssl.SSLSocket:
    """An `ssl.SSLSocket` over `socket`, which must not be used any more.

    Args:
        socket: A connected socket, or a listening one.
        ssl_options: A context, or a dictionary as for `ssl_options_to_context`.
        server_hostname: For the client's side: the name that the server's certificate must bear,
            which is also sent to the server.
        server_side: Which side of the connection this is; the client's by default.
        **kwargs: More arguments for `ssl.SSLContext.wrap_socket`.

    Raises:
        ssl.SSLError: The handshake failed, where `socket` is connected and blocking.
        ValueError: As `ssl_options_to_context`.
    """
    context = ssl_options_to_context(ssl_options, server_side)
    return context.wrap_socket(
        socket, server_side=bool(server_side), server_hostname=server_hostname, **kwargs
    )


class _NamingFiles:
    """Lets an error of the block say which of the `ssl_options` files it is about."""

    def __init__(self, **files: str | None) -> None:
        self._files = ", ".join(f"{k} {v!r}" for k, v in files.items() if v is not None)

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, OSError):
            message = f"ssl_options: cannot use {self._files}: {error.strerror or error}"
            kind = ssl.SSLError if isinstance(error, ssl.SSLError) else OSError
            raise kind(error.errno, message) from None
