"""What the tests of static files know of robots.txt, the file that they ask for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from support import Server

TEXT = b"User-agent: *\nDisallow: /\n"
MODIFIED = 1_600_000_000
DATE = "Sun, 13 Sep 2020 12:26:40 GMT"
ETAG = f'"{hashlib.sha512(TEXT).hexdigest()}"'

Start = Callable[..., Server]
