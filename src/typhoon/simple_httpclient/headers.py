"""The headers of a request: the application's, and those that it needs beside them."""

import base64
from typing import Final

import typhoon
from typhoon.http1connection.decoding import accept_encoding
from typhoon.httpclient.methods import METHODS_WITH_BODY, check_method
from typhoon.httpclient.request import HTTPRequest
from typhoon.httputil import HTTPHeaders, encode_username_password
from typhoon.simple_httpclient.target import Target

_USER_AGENT: Final = f"Typhoon/{typhoon.version}"


def request_headers(request: HTTPRequest, target: Target) -> HTTPHeaders:
    """The headers to send: those of the request, and those that it needs beside them.

    Raises:
        ValueError: The request contradicts itself.
        KeyError: The method is unknown.
    """
    check_method(request)
    headers = request.headers.copy()
    headers.setdefault("Host", target.authority)
    if (credentials := _credentials(request, target)) is not None:
        headers["Authorization"] = credentials
    if request.user_agent:
        headers["User-Agent"] = request.user_agent
    elif "User-Agent" not in headers:
        headers["User-Agent"] = _USER_AGENT
    has_length = "Content-Length" in headers or "Transfer-Encoding" in headers
    if request.body is not None:
        headers["Content-Length"] = str(len(request.body))
    elif request.body_producer is None and request.method in METHODS_WITH_BODY and not has_length:
        headers["Content-Length"] = "0"
    has_body = request.body is not None or request.body_producer is not None
    if request.method == "POST" and has_body and "Content-Type" not in headers:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    if request.decompress_response:
        headers["Accept-Encoding"] = accept_encoding()
    if request.expect_100_continue and has_body:
        headers["Expect"] = "100-continue"
    return headers


def login_of(request: HTTPRequest, target: Target) -> tuple[str, str] | None:
    """The user name and password for the server, or None. What is in the URL goes first."""
    if target.credentials is not None:
        return target.credentials
    if request.auth_username is not None:
        return request.auth_username, request.auth_password or ""
    return None


def _credentials(request: HTTPRequest, target: Target) -> str | None:
    """The value of Authorization (RFC 7617), or None: for Digest it is made elsewhere."""
    login = login_of(request, target)
    if login is None or request.auth_mode == "digest":
        return None
    if request.auth_mode not in (None, "basic"):
        raise ValueError(f"unsupported auth_mode {request.auth_mode!r}: write basic or digest")
    return "Basic " + base64.b64encode(encode_username_password(*login)).decode()
