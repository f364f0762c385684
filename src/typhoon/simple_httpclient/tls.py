"""The TLS settings of a request."""

import functools
import ssl
from typing import Any, NamedTuple

from typhoon.httpclient.request import HTTPRequest
from typhoon.netutil import ssl_options_to_context


class TLSSettings(NamedTuple):
    """What is asked of TLS. Connections with equal settings are as good as each other."""

    validate_cert: bool = True
    ca_certs: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    ssl_options: ssl.SSLContext | tuple[tuple[str, Any], ...] | None = None
    """In place of the others: a context, or the entries of a dictionary."""

    def context(self) -> ssl.SSLContext:
        """The context that the settings describe.

        Raises:
            OSError: A file cannot be used.
            ValueError: The settings are not complete.
        """
        if self.ssl_options is not None:
            options = self.ssl_options
            return ssl_options_to_context(
                dict(options) if isinstance(options, tuple) else options, server_side=False
            )
        if self.ca_certs is None and self.client_cert is None and self.client_key is None:
            return _plain_context(self.validate_cert)
        return _make_context(self.validate_cert, self.ca_certs, self.client_cert, self.client_key)


def settings_of(request: HTTPRequest) -> TLSSettings:
    """The settings of a request."""
    options = request.ssl_options
    if options is not None:
        if isinstance(options, ssl.SSLContext):
            return TLSSettings(ssl_options=options)
        return TLSSettings(ssl_options=tuple(sorted(options.items())))
    return TLSSettings(
        bool(request.validate_cert), request.ca_certs, request.client_cert, request.client_key
    )


def _make_context(
    validate: bool,
    ca_certs: str | None = None,
    client_cert: str | None = None,
    client_key: str | None = None,
) -> ssl.SSLContext:
    if client_key is not None and client_cert is None:
        raise ValueError("client_key needs client_cert, the certificate that it belongs to")
    if validate:
        try:
            context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca_certs)
        except OSError as error:
            raise type(error)(error.errno, f"cannot use ca_certs {ca_certs!r}: {error}") from None
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if client_cert is not None:
        try:
            context.load_cert_chain(client_cert, client_key)
        except OSError as error:
            files = repr(client_cert) + (f", client_key {client_key!r}" if client_key else "")
            raise type(error)(error.errno, f"cannot use client_cert {files}: {error}") from None
    return context


# Reading the system's authorities takes long. Contexts with files of one's own are made for each
# connection, since the files may change.
_plain_context = functools.lru_cache(_make_context)
