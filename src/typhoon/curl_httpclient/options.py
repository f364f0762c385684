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

CR_OR_LF_RE: Final = re.compile(rb"[\r\n]")
"""What a line of the head must not contain (RFC 9112 §2.2)."""

_NO_LIMIT: Final = 2**31 - 1
"""Milliseconds, nearly 25 days. For `connect_timeout`, 0 is libcurl's own default."""

_OBEY_STATUS: Final = 2
"""CURLFOLLOW_OBEYCODE: also other methods than POST become GET where the status code says so.
Before libcurl 8.16 it is the same as 1."""

_AUTH_MODES: Final[dict[str, int]] = {
    "basic": pycurl.HTTPAUTH_BASIC,
    "digest": pycurl.HTTPAUTH_DIGEST,
}
_SCHEMES: Final = pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS


def set_options(curl: Any, request: HTTPRequest) -> None:
    """Tell `curl` all of the request but its callbacks and its `body_producer`.

    Raises:
        ValueError: The request contradicts itself, or asks for what this client cannot do.
        KeyError: The method is unknown.
        pycurl.error: libcurl does not accept a value.
    """
    check_method(request)
    curl.setopt(pycurl.NOSIGNAL, 1)
    curl.setopt(pycurl.URL, request.url.encode())
    curl.setopt(pycurl.PROTOCOLS, _SCHEMES)
    curl.setopt(pycurl.REDIR_PROTOCOLS, _SCHEMES)
    curl.setopt(pycurl.CONNECTTIMEOUT_MS, _milliseconds(request.connect_timeout) or _NO_LIMIT)
    curl.setopt(pycurl.TIMEOUT_MS, _milliseconds(request.request_timeout))
    if request.follow_redirects and request.max_redirects:
        curl.setopt(pycurl.FOLLOWLOCATION, _OBEY_STATUS)
        curl.setopt(pycurl.MAXREDIRS, request.max_redirects)
    if request.decompress_response:
        curl.setopt(pycurl.ENCODING, "gzip,deflate")
    if request.network_interface:
        curl.setopt(pycurl.INTERFACE, request.network_interface)
    if request.allow_ipv6 is False:
        curl.setopt(pycurl.IPRESOLVE, pycurl.IPRESOLVE_V4)
    _set_proxy(curl, request)
    _set_tls(curl, request)
    _set_credentials(curl, request)
    _set_method_and_body(curl, request)
    curl.setopt(pycurl.HTTPHEADER, _header_lines(request))


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
    if request.ssl_options is not None:
        raise ValueError(
            "ssl_options is for the simple client: write validate_cert, ca_certs, client_cert and "
            "client_key, or set libcurl's options in prepare_curl_callback"
        )
    if not request.validate_cert:
        curl.setopt(pycurl.SSL_VERIFYPEER, 0)
        curl.setopt(pycurl.SSL_VERIFYHOST, 0)
    elif request.ca_certs is not None:
        curl.setopt(pycurl.CAINFO, request.ca_certs)
    else:
        # A libcurl from a wheel has the paths of the machine that it was built on.
        paths = ssl.get_default_verify_paths()
        if paths.cafile is not None:
            curl.setopt(pycurl.CAINFO, paths.cafile)
        if paths.capath is not None:
            curl.setopt(pycurl.CAPATH, paths.capath)
    if request.client_cert is not None:
        curl.setopt(pycurl.SSLCERT, request.client_cert)
        if request.client_key is not None:
            curl.setopt(pycurl.SSLKEY, request.client_key)
    elif request.client_key is not None:
        raise ValueError("client_key needs client_cert, the certificate that it belongs to")


def _set_credentials(curl: Any, request: HTTPRequest) -> None:
    """Those in the URL libcurl finds itself."""
    if request.auth_username is not None:
        curl.setopt(pycurl.HTTPAUTH, _auth_mode("auth_mode", request.auth_mode))
        curl.setopt(pycurl.USERNAME, _normal(request.auth_username))
        curl.setopt(pycurl.PASSWORD, _normal(request.auth_password))


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


def _header_lines(request: HTTPRequest) -> list[bytes]:
    """The headers as libcurl takes them: a semicolon for an empty one, nothing for none at all."""
    headers = request.headers.copy()
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
