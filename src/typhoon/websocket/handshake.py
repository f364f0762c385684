"""The opening handshake (RFC 6455 §4): what a server and a client check, and what they answer."""

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from typhoon.httputil import HTTPHeaders, HTTPServerRequest

VERSION = "13"
"""The version of the protocol, the only one there is (RFC 6455 §4.1)."""

TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""A token of HTTP (RFC 9110 §5.6.2)."""

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Refusal(NamedTuple):
    """Why a request cannot become a WebSocket."""

    status: int
    message: str


def accept_value(key: str | bytes) -> str:
    """The value of Sec-WebSocket-Accept for a client's Sec-WebSocket-Key (RFC 6455 §4.2.2)."""
    key = key.encode() if isinstance(key, str) else key
    return base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest()).decode()


def new_key() -> str:
    """A random Sec-WebSocket-Key (RFC 6455 §4.1)."""
    return base64.b64encode(os.urandom(16)).decode()


def tokens(value: str) -> list[str]:
    """The items of a header that is a list, in lower case."""
    return [item.strip().lower() for item in value.split(",")]


def refusal_of(request: HTTPServerRequest) -> Refusal | None:
    """Why this request is no opening handshake, whatever its version; None if it is one."""
    headers = request.headers
    if request.method != "GET":
        return Refusal(405, "A WebSocket begins with a GET request.")
    if request.version == "HTTP/1.0":
        return Refusal(400, "A WebSocket begins with HTTP/1.1.")
    if "websocket" not in tokens(headers.get("Upgrade", "")):
        return Refusal(400, 'Can "Upgrade" only to "WebSocket".')
    if "upgrade" not in tokens(headers.get("Connection", "")):
        return Refusal(400, '"Connection" must be "Upgrade".')
    return None


def refusal_of_key(headers: HTTPHeaders) -> Refusal | None:
    """What is wrong with a client's Sec-WebSocket-Key; None if it is 16 bytes in base64."""
    key = headers.get("Sec-WebSocket-Key", "")
    try:
        length = len(base64.b64decode(key, validate=True))
    except (binascii.Error, ValueError):
        length = 0
    if length != 16:
        return Refusal(400, "Missing or invalid Sec-WebSocket-Key.")
    return None


def check_subprotocols(subprotocols: Sequence[str]) -> None:
    """Raise `ValueError` if a client may not offer these (RFC 6455 §4.1)."""
    for name in subprotocols:
        if not TOKEN.fullmatch(name):
            raise ValueError(
                f"{name!r} is no name of a subprotocol: letters, digits and !#$%&'*+-.^_`|~"
            )
    if len(set(subprotocols)) < len(subprotocols):
        raise ValueError(f"a subprotocol is offered twice: {', '.join(subprotocols)}")


def offered_subprotocols(headers: Mapping[str, str] | None) -> list[str]:
    """The subprotocols that the application offers by a header of its own."""
    for name, value in (headers or {}).items():
        if name.lower() == "sec-websocket-protocol":
            return [item.strip() for item in value.split(",")]
    return []


def response_error(headers: HTTPHeaders, key: str) -> str | None:
    """What is wrong with a server's 101 response to this key (RFC 6455 §4.1); None if nothing."""
    if tokens(headers.get("Upgrade", "")) != ["websocket"]:
        return "its Upgrade is not websocket"
    if "upgrade" not in tokens(headers.get("Connection", "")):
        return "its Connection is not Upgrade"
    if headers.get("Sec-WebSocket-Accept", "").strip() != accept_value(key):
        return "its Sec-WebSocket-Accept does not belong to our key"
    return None
