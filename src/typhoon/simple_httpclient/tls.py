"""The TLS settings of a request."""

import functools
import ssl

from typhoon.httpclient.request import HTTPRequest
from typhoon.netutil import ssl_options_to_context


def context_for(request: HTTPRequest) -> ssl.SSLContext:
    """The context that the request's settings describe.

    Raises:
        OSError: A file cannot be used.
        ValueError: The settings are not complete.
    """
    if request.ssl_options is not None:
        return ssl_options_to_context(request.ssl_options, server_side=False)
    if request.ca_certs is None and request.client_cert is None and request.client_key is None:
        return _plain_context(bool(request.validate_cert))
    return _make_context(
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
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca_certs)
    except OSError as error:
        raise type(error)(error.errno, f"cannot use ca_certs {ca_certs!r}: {error}") from None
    if not validate:
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
# request, since the files may change.
_plain_context = functools.lru_cache(_make_context)
