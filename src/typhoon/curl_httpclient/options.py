"""A request in the words of libcurl."""

import re
import ssl
import unicodedata
from io import BytesIO
from typing import Any, Final

import typhoon
from typhoon.curl_httpclient.libcurl import pycurl
from typhoon.httpclient.methods import METHODS_WITH_BODY, check_method
from typhoon.httpclient.request import HTTPRequest
from typhoon.httputil import HTTPHeaders
from typhoon.simple_httpclient.target import Target

CR_OR_LF_RE: Final = re.compile(rb"[\r\n]")
"""What a line of the head must not contain (RFC 9112 §2.2)."""

_NO_LIMIT: Final = 2**31 - 1
"""Milliseconds, nearly 25 days. For `connect_timeout`, 0 is libcurl's own default."""

_SUPPRESS_CONNECT_HEADERS: Final = 265
"""CURLOPT_SUPPRESS_CONNECT_HEADERS, which pycurl has no name for: what a proxy says about its
tunnel is no response."""

_AUTH_MODES: Final[dict[str, int]] = {
    "basic": pycurl.HTTPAUTH_BASIC,
    "digest": pycurl.HTTPAUTH_DIGEST,
}
_SSL_OPTIONS: Final = {"certfile", "keyfile", "cert_reqs", "ca_certs", "ciphers"}
"""Those of `.ssl_options_to_context` that libcurl has something for."""

_SCHEMES: Final = pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS


def set_options(curl: Any, request: HTTPRequest, target: Target, remaining: float | None) -> None:
    """Tell `curl` all of the request but its callbacks and its `body_producer`.

    Args:
        curl: A new ``pycurl.Curl``.
        request: The request.
        target: The parts of its URL: what libcurl makes of it and what redirects go by is the same.
        remaining: Seconds that there are for the request; None for no limit.

    Raises:
        ValueError: The request contradicts itself, or asks for what this client cannot do.
        KeyError: The method is unknown.
        pycurl.error: libcurl does not accept a value.
    """
    check_method(request)
    curl.setopt(pycurl.NOSIGNAL, 1)
    curl.setopt(pycurl.URL, f"{target.scheme}://{target.authority}{target.path}")
    curl.setopt(pycurl.PROTOCOLS, _SCHEMES)
    curl.setopt(pycurl.REDIR_PROTOCOLS, _SCHEMES)
    curl.setopt(_SUPPRESS_CONNECT_HEADERS, 1)
    curl.setopt(pycurl.CONNECTTIMEOUT_MS, _milliseconds(request.connect_timeout) or _NO_LIMIT)
    curl.setopt(pycurl.TIMEOUT_MS, 0 if remaining is None else _milliseconds(remaining) or 1)
    if request.decompress_response:
        curl.setopt(pycurl.ENCODING, "")  # all that libcurl knows
    if request.unix_socket is not None:
        curl.setopt(pycurl.UNIX_SOCKET_PATH, request.unix_socket)
    if request.network_interface:
        curl.setopt(pycurl.INTERFACE, request.network_interface)
    if request.allow_ipv6 is False:
        curl.setopt(pycurl.IPRESOLVE, pycurl.IPRESOLVE_V4)
    _set_proxy(curl, request)
    _set_tls(curl, request)
    _set_credentials(curl, request, target)
    _set_method_and_body(curl, request)
    headers = request.headers.copy()
    if request.proxy_host and "Proxy-Authorization" in headers:
        # Not for the server (RFC 9110 §11.7.2).
        line = f"Proxy-Authorization: {headers.pop('Proxy-Authorization')}"
        curl.setopt(pycurl.HEADEROPT, pycurl.HEADER_SEPARATE)
        curl.setopt(pycurl.PROXYHEADER, [line.encode("latin-1")])
    curl.setopt(pycurl.HTTPHEADER, _header_lines(request, headers))


def _milliseconds(seconds: float | None) -> int:
    """0 for no limit."""
    return min(max(1, round(seconds * 1000)), _NO_LIMIT) if seconds else 0


def _set_proxy(curl: Any, request: HTTPRequest) -> None:
    """Without one, those of the environment apply, as always with libcurl."""
    if not request.proxy_host:
        return
    if not request.proxy_port:
        raise ValueError(f"proxy_host={request.proxy_host!r} needs proxy_port")
    curl.setopt(pycurl.PROXY, request.proxy_host)
    curl.setopt(pycurl.PROXYPORT, request.proxy_port)
    if request.proxy_username:
        curl.setopt(pycurl.PROXYAUTH, _auth_mode("proxy_auth_mode", request.proxy_auth_mode))
        curl.setopt(pycurl.PROXYUSERNAME, _normal(request.proxy_username))
        curl.setopt(pycurl.PROXYPASSWORD, _normal(request.proxy_password))


def _set_tls(curl: Any, request: HTTPRequest) -> None:
    validate_cert, ca_certs = request.validate_cert, request.ca_certs
    client_cert, client_key = request.client_cert, request.client_key
    if (options := request.ssl_options) is not None:
        if not isinstance(options, dict):
            raise ValueError(
                "libcurl takes no SSLContext: write ssl_options as a dictionary, or validate_cert, "
                "ca_certs, client_cert and client_key, or set libcurl's options in "
                "prepare_curl_callback"
            )
        if unknown := options.keys() - _SSL_OPTIONS:
            raise ValueError(f"ssl_options of the curl client have no {sorted(unknown)}")
        validate_cert = options.get("cert_reqs", ssl.CERT_REQUIRED) != ssl.CERT_NONE
        ca_certs = options.get("ca_certs")
        client_cert, client_key = options.get("certfile"), options.get("keyfile")
        if options.get("ciphers"):
            curl.setopt(pycurl.SSL_CIPHER_LIST, options["ciphers"])
    if not validate_cert:
        curl.setopt(pycurl.SSL_VERIFYPEER, 0)
        curl.setopt(pycurl.SSL_VERIFYHOST, 0)
    elif ca_certs is not None:
        curl.setopt(pycurl.CAINFO, ca_certs)
    else:
        # A libcurl from a wheel has the paths of the machine that it was built on.
        paths = ssl.get_default_verify_paths()
        if paths.cafile is not None:
            curl.setopt(pycurl.CAINFO, paths.cafile)
        if paths.capath is not None:
            curl.setopt(pycurl.CAPATH, paths.capath)
    if client_cert is not None:
        curl.setopt(pycurl.SSLCERT, client_cert)
        if client_key is not None:
            curl.setopt(pycurl.SSLKEY, client_key)
    elif client_key is not None:
        raise ValueError("client_key needs client_cert, the certificate that it belongs to")


def _set_credentials(curl: Any, request: HTTPRequest, target: Target) -> None:
    """What is in the URL goes first."""
    if target.credentials is not None:
        username, password = target.credentials
    elif request.auth_username is not None:
        username, password = request.auth_username, request.auth_password or ""
    else:
        return
    curl.setopt(pycurl.HTTPAUTH, _auth_mode("auth_mode", request.auth_mode))
    curl.setopt(pycurl.USERNAME, _normal(username))
    curl.setopt(pycurl.PASSWORD, _normal(password))


def _auth_mode(name: str, mode: str | None) -> int:
    try:
        return _AUTH_MODES[mode or "basic"]
    except KeyError:
        raise ValueError(f"unsupported {name} {mode!r}: write basic or digest") from None


def _normal(text: str | bytes | None) -> bytes:
    """As RFC 7617 §2.1 and RFC 7616 §4 want it."""
    if isinstance(text, bytes):
        return text
    return unicodedata.normalize("NFC", text or "").encode()


def _set_method_and_body(curl: Any, request: HTTPRequest) -> None:
    method, body = request.method, request.body
    has_body = body is not None or request.body_producer is not None
    if method == "GET" and not has_body:
        curl.setopt(pycurl.HTTPGET, 1)
    elif method == "HEAD":
        if has_body:
            raise ValueError("libcurl sends no body with HEAD: leave it out")
        curl.setopt(pycurl.NOBODY, 1)
    elif method == "POST":
        curl.setopt(pycurl.POST, 1)
        if request.body_producer is None:
            curl.setopt(pycurl.POSTFIELDS, body or b"")
    elif has_body or method in METHODS_WITH_BODY:
        curl.setopt(pycurl.UPLOAD, 1)
        curl.setopt(pycurl.CUSTOMREQUEST, method)
        if request.body_producer is None:
            _set_upload(curl, body or b"")
    else:
        curl.setopt(pycurl.CUSTOMREQUEST, method)


def _set_upload(curl: Any, body: bytes) -> None:
    upload = BytesIO(body)

    def rewind(offset: int, origin: int) -> int:
        upload.seek(offset, origin)
        return int(pycurl.SEEKFUNC_OK)

    curl.setopt(pycurl.INFILESIZE_LARGE, len(body))
    curl.setopt(pycurl.READFUNCTION, upload.read)
    curl.setopt(pycurl.SEEKFUNCTION, rewind)


def _header_lines(request: HTTPRequest, headers: HTTPHeaders) -> list[bytes]:
    """The headers as libcurl takes them: a semicolon for an empty one, nothing for none at all."""
    if request.user_agent:
        headers["User-Agent"] = request.user_agent
    elif "User-Agent" not in headers:
        headers["User-Agent"] = f"Typhoon/{typhoon.version}"
    omitted = []
    has_body = request.body is not None or request.body_producer is not None
    if request.expect_100_continue and has_body:
        headers["Expect"] = "100-continue"
    elif "Expect" not in headers:
        omitted.append(b"Expect:")
    if request.body is not None:
        headers.pop("Content-Length", None)  # libcurl knows
    if request.body_producer is not None and "Content-Length" not in headers:
        headers["Transfer-Encoding"] = "chunked"
    if request.method == "POST" and not has_body and "Content-Type" not in headers:
        omitted.append(b"Content-Type:")
    return _lines(headers) + omitted


def _lines(headers: HTTPHeaders) -> list[bytes]:
    lines = []
    for name, value in headers.get_all():
        line = f"{name}: {value}" if value.strip() else f"{name};"
        encoded = line.encode("latin-1")
        if CR_OR_LF_RE.search(encoded):
            raise ValueError(f"the header {line!r} has a line end in it")
        lines.append(encoded)
    return lines
