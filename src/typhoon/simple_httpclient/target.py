"""Where a request goes: what its URL says."""

import functools
import re
from typing import Final, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from typhoon.httpclient.failures import mask_url

_DEFAULT_PORTS = {"http": 80, "https": 443}

_TARGET_CHARACTERS = "!#$%&'()*+,/:;=?@[]~"
"""What may stand in a request target beside letters and digits (RFC 3986 §3.3, §3.4)."""

_NAME: Final = re.compile(r"[-.0-9a-z_~!$&'()*+,;=%]+")
"""A name or an IPv4 address (RFC 3986 §3.2.2), in lower case."""

_ADDRESS: Final = re.compile(r"\[[0-9A-Fa-f.]*:[0-9A-Fa-f:.]+(?:%[-.0-9A-Za-z_~%]+)?\](?::[0-9]*)?")
"""An IPv6 address, with its zone and the port."""


class Target(NamedTuple):
    """The parts of a URL that a client needs (RFC 9110 §4.2)."""

    scheme: str
    host: str
    """A name or an address; that of an IPv6 address may end in a zone, as in ``fe80::1%eth0``."""
    port: int
    authority: str
    """The host, and the port if it is in the URL, as the Host header has them."""
    path: str
    """Path and query, as the request line has them."""
    credentials: tuple[str, str] | None
    """User name and password, if they are in the URL."""

    @property
    def origin(self) -> tuple[str, str, int]:
        """Whose credentials they are (RFC 9110 §4.3.1)."""
        return self.scheme, self.host, self.port


@functools.lru_cache(maxsize=256)
def parse_target(url: str) -> Target:
    """The parts of `url`.

    Raises:
        ValueError: It is no URL of HTTP.
    """
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError(
            f"Unsupported url scheme: {mask_url(url)!r} does not start with http:// or https://"
        )
    try:
        port = parts.port
    except ValueError:
        raise ValueError(f"the port in {mask_url(url)!r} is no number from 0 to 65535") from None
    if not parts.hostname:
        raise ValueError(f"there is no host in {mask_url(url)!r}")
    host = parts.hostname if parts.hostname.isascii() else _to_ascii(parts.hostname, url)
    place = parts.netloc.rpartition("@")[2]
    if "[" in place or "]" in place:
        is_host = _ADDRESS.fullmatch(place)
    else:
        is_host = _NAME.fullmatch(host)
    if is_host is None:
        # Other readers of URLs see another host where a backslash is, for example.
        raise ValueError(f"the host in {mask_url(url)!r} is neither a host name nor an address")
    authority = host
    if ":" in host:
        # The zone, behind %25 or as many write it %, means something here alone (RFC 6874 §2, §4).
        address, _, zone = host.partition("%")
        authority = f"[{address}]"
        if zone:
            host = f"{address}%{zone.removeprefix('25') or zone}"
    if port is not None:
        authority += f":{port}"
    path = quote(parts.path or "/", safe=_TARGET_CHARACTERS)
    if parts.query:
        path += "?" + quote(parts.query, safe=_TARGET_CHARACTERS)
    credentials = None
    if parts.username is not None:
        credentials = unquote(parts.username), unquote(parts.password or "")
    port = _DEFAULT_PORTS[parts.scheme] if port is None else port
    return Target(parts.scheme, host, port, authority, path, credentials)


def authority_of(host: str, port: int) -> str:
    """Host and port, as the target of CONNECT and messages have them (RFC 9110 §9.3.6)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _to_ascii(host: str, url: str) -> str:
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise ValueError(f"the host in {mask_url(url)!r} is no host name: {error}") from None
