"""What kind of answer a client asks for (RFC 9110 §12.5.1)."""

import re
from typing import Literal

Kind = Literal["html", "json"]

_KINDS: dict[str, Kind] = {
    "text/html": "html",
    "application/xhtml+xml": "html",
    "application/json": "json",
    "application/problem+json": "json",
}
_WEIGHT = re.compile(r";\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*(?:;|$)", re.IGNORECASE)
_RANGES = 32
"""Media ranges that are looked at: browsers send up to ten."""


def wanted_kind(accept: str | None) -> Kind | None:
    """HTML or JSON, whichever the client names with the greater weight; the first if equal.

    None if it names neither: `*/*` is what a client sends that has no wish.
    """
    best: Kind | None = None
    best_weight = 0.0
    for media_range in (accept or "").split(",", _RANGES)[:_RANGES]:
        kind = _KINDS.get(media_range.partition(";")[0].strip().lower())
        if kind is None:
            continue
        found = _WEIGHT.search(media_range)
        weight = float(found[1]) if found else 1.0
        if weight > best_weight:
            best, best_weight = kind, weight
    return best
