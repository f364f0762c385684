"""Asking a provider, and how long its answers hold."""

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any, Generic, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from typhoon.auth.errors import AnsweredProviderError
from typhoon.auth.openidconnect.errors import quoted
from typhoon.httpclient import AsyncHTTPClient, HTTPClientError
from typhoon.httputil import HTTPHeaders

T = TypeVar("T")

MAX_BYTES = 256 * 1024
"""Of an answer. The longest in use, the keys of providers with many customers, have 30 KiB."""

TIMEOUT = 10.0
"""Seconds for a request: a user waits for it."""

_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=\"?([0-9]{1,10})")


class Answer(NamedTuple):
    """What a provider said."""

    status: int
    headers: HTTPHeaders
    document: dict[str, Any]


async def fetch_json(client: AsyncHTTPClient, url: str, what: str, **request: Any) -> Answer:
    """Fetch a JSON object; `request` are arguments of `HTTPRequest`.

    Statuses are the caller's to look at. `AuthProviderError` if there is no such answer; `what`
    names it there.
    """
    body = bytearray()

    def receive(piece: bytes) -> None:
        # One byte too many says that there were more.
        body.extend(piece[: MAX_BYTES + 1 - len(body)])

    headers = {"Accept": "application/json", **request.pop("headers", {})}
    try:
        response = await client.fetch(
            url,
            raise_error=False,
            headers=headers,
            follow_redirects=False,  # RFC 6749 §3.2 and Discovery §4.2 know none
            decompress_response=False,
            connect_timeout=TIMEOUT,
            request_timeout=TIMEOUT,
            streaming_callback=receive,
            **request,
        )
    except (HTTPClientError, OSError) as error:
        raise AnsweredProviderError(f"{what} cannot be fetched from {url}: {error}") from error
    if len(body) > MAX_BYTES:
        raise AnsweredProviderError(f"{what} from {url} has more than {MAX_BYTES} bytes")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        kind = quoted(response.headers.get("Content-Type", "nothing"))
        raise AnsweredProviderError(
            f"{what} from {url} is no JSON object, but {kind} with the status {response.code}"
        )
    return Answer(response.code, response.headers, document)


def lifetime(headers: HTTPHeaders) -> float | None:
    """Seconds for which an answer may be kept (RFC 9111 §5.2.2); None if it does not say."""
    text = headers.get("Cache-Control", "").lower()
    if "no-store" in text or "no-cache" in text:
        return 0
    found = _MAX_AGE.search(text)
    return float(found[1]) if found else None


class Cached(Generic[T]):
    """A document of a provider, fetched when it is needed and kept for as long as it says.

    Requests that need it at the same time wait for one fetch. What is kept is at most `LONGEST`
    old; that is the bound for keys that a provider has taken back.
    """

    SHORTEST = 300.0
    LONGEST = 24 * 3600.0
    USUAL = 3600.0
    RENEWAL = 10.0
    """Seconds between two fetches that are caused by something unknown in a token."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._value: T | None = None
        self._fetched = 0.0
        self._expires = 0.0
        # A provider may be shared by event loops in several threads, and a lock cannot.
        self._locks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock]
        self._locks = WeakKeyDictionary()

    async def get(self, load: Callable[[], Awaitable[tuple[T, float | None]]]) -> T:
        """The value, by `load` if there is none: it gives one, and its lifetime in seconds."""
        if self._value is None or self._clock() >= self._expires:
            async with self._lock():
                if self._value is None or self._clock() >= self._expires:
                    return await self._load(load)
        return self._value

    async def renew(self, load: Callable[[], Awaitable[tuple[T, float | None]]]) -> T:
        """The value, by `load` unless that was done just now."""
        async with self._lock():
            if self._value is None or self._clock() >= self._fetched + self.RENEWAL:
                return await self._load(load)
            return self._value

    async def _load(self, load: Callable[[], Awaitable[tuple[T, float | None]]]) -> T:
        value, seconds = await load()
        kept = self.USUAL if seconds is None else seconds
        self._fetched = self._clock()
        self._expires = self._fetched + min(max(kept, self.SHORTEST), self.LONGEST)
        self._value = value
        return value

    def _lock(self) -> asyncio.Lock:
        return self._locks.setdefault(asyncio.get_running_loop(), asyncio.Lock())
