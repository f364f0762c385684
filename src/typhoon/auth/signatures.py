"""Signatures of OAuth 1.0 with HMAC-SHA1 (RFC 5849 §3.4), in the terms of that document."""

import base64
import hashlib
import hmac
from collections.abc import Iterable
from urllib.parse import parse_qsl, quote, urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}


def percent_encode(value: object) -> str:
    """A value as signatures spell it (§3.6): text in UTF-8, and all but RFC 3986's unreserved
    characters escaped. What is neither text nor bytes is written as `str` does.
    """
    return quote(value if isinstance(value, bytes) else str(value), safe="")


def base_string_uri(url: str) -> str:
    """The URL without its query, in normal form (§3.4.1.2)."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if ":" in host:
        host = f"[{host}]"
    if parts.port is not None and parts.port != _DEFAULT_PORTS.get(parts.scheme):
        host += f":{parts.port}"
    return f"{parts.scheme}://{host}{parts.path or '/'}"


def signature_base_string(
    method: str, url: str, parameters: Iterable[tuple[object, object]]
) -> str:
    """The text that is signed (§3.4.1.1).

    Args:
        method: The request's method.
        url: Its URL; the parameters in its query belong to the signature.
        parameters: All others, decoded: those of the protocol, and the fields of a form.
    """
    query = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    pairs = sorted(
        (percent_encode(name), percent_encode(value)) for name, value in [*query, *parameters]
    )
    normalized = "&".join(f"{name}={value}" for name, value in pairs)
    return "&".join(map(percent_encode, (method.upper(), base_string_uri(url), normalized)))


def hmac_sha1(base_string: str, client_secret: str, token_secret: str = "") -> str:
    """The signature of a base string (§3.4.2)."""
    key = f"{percent_encode(client_secret)}&{percent_encode(token_secret)}"
    digest = hmac.digest(key.encode(), base_string.encode(), hashlib.sha1)
    return base64.b64encode(digest).decode()
