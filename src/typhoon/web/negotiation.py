"""Choosing what a client likes best (RFC 9110 §12)."""

import functools
import re
from collections.abc import Sequence

from typhoon.httputil import HTTPHeaders

_MEMBER = re.compile(
    r"\s*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)\s*(?:;\s*[qQ]\s*=\s*(0(?:\.[0-9]*)?|1(?:\.0*)?)\s*)?"
)
_CACHED_LENGTH = 200
"""Characters up to which a header's outcome is kept: browsers send a handful of short ones."""


def weights(header: str) -> list[tuple[str, float]]:
    """The names of a list and how much each is liked, from 0 (not at all) to 1, as they came.

    For `Accept-Encoding` and `Accept-Language`; names in lower case. What is malformed is left
    out. Linear in the length of the header.

    >>> weights("br;q=0.5, gzip, zstd;q=0")
    [('br', 0.5), ('gzip', 1.0), ('zstd', 0.0)]
    """
    found = []
    for member in header.split(","):
        match = _MEMBER.fullmatch(member)
        if match is not None:
            found.append((match[1].lower(), float(match[2] or 1)))
    return found


def best_encoding(header: str | None, offered: Sequence[str]) -> str | None:
    """The content coding to answer with: one of those offered, or None for the content as it is.

    `header` is the request's `Accept-Encoding` (None if there is none), `offered` the codings in
    lower case, the one that the server likes best first: it decides between codings that the
    client likes the same. The content as it is comes behind every coding that the client accepts,
    unless the client weighs `identity` higher. It is also what is left if nothing offered is
    accepted, even where the client refuses that as well (RFC 9110 §12.5.3).

    >>> best_encoding("gzip, br;q=0.9, zstd", ["br", "zstd", "gzip"])
    'zstd'
    """
    if not header or not offered:
        return None
    if len(header) > _CACHED_LENGTH:
        return _best(header, tuple(offered))
    return _known_best(header, tuple(offered))


def _best(header: str, offered: tuple[str, ...]) -> str | None:
    liked = {"gzip" if name == "x-gzip" else name: weight for name, weight in weights(header)}
    others = liked.get("*", 0.0)
    best, best_weight = None, 0.0
    for coding in offered:
        weight = liked.get(coding, others)
        if weight > best_weight:
            best, best_weight = coding, weight
    return best if best_weight >= liked.get("identity", 0.0) else None


_known_best = functools.lru_cache(maxsize=256)(_best)


def add_vary(headers: HTTPHeaders, name: str) -> None:
    """Say that the response depends on this request header too (RFC 9110 §12.5.5)."""
    known = headers.get("Vary")
    if not known:
        headers["Vary"] = name
    elif name.lower() not in (known_name.strip().lower() for known_name in known.split(",")):
        headers["Vary"] = f"{known}, {name}"
