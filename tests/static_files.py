"""What the tests of static files know of robots.txt, the file that they ask for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from email.utils import parsedate_to_datetime

from support import Response, Server

TEXT = b"User-agent: *\nDisallow: /\n"
MODIFIED = 1_600_000_000
DATE = "Sun, 13 Sep 2020 12:26:40 GMT"
ETAG = f'"{hashlib.sha512(TEXT).hexdigest()}"'

Start = Callable[..., Server]


def expires_in(response: Response) -> float:
    """Seconds from the response's date until it expires."""
    expires, date = response.header("Expires"), response.header("Date")
    assert expires is not None
    assert date is not None
    return (parsedate_to_datetime(expires) - parsedate_to_datetime(date)).total_seconds()
