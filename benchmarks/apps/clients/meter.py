"""What the HTTP clients share: the load, what is right, and how they tell what they found.

A program is started as `PROGRAM JOB LOOP`. The job `get` takes two more arguments, the seconds that
it has to last at least and the requests of a batch.
"""

import asyncio
import hashlib
import os
import ssl
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import NoReturn

from toolkit.meter import job, tell
from toolkit.meter import run as run

URL = os.environ["URL"]
CA_FILE = os.environ["CA_FILE"]
ANSWER = b"Hello, World!"
CONCURRENCY = 32
WARM_UP_REQUESTS = 500
PIECE = 64 << 10
SAMPLE = "sample", 16 << 20
LARGE = "large", 1 << 30

Get = Callable[[], Awaitable[tuple[int, bytes]]]
Take = Callable[[bytes], object]
Download = Callable[[str, Take], Awaitable[int]]


def tls_context() -> ssl.SSLContext:
    """One for all connections."""
    return ssl.create_default_context(cafile=CA_FILE)


def wrong(found: object) -> NoReturn:
    raise SystemExit(f"ValueError: wrong answer: {found!r}"[:200])


class Clock:
    """Wall clock and CPU time of this process, since it was made."""

    def __init__(self) -> None:
        self._cpu = time.process_time()
        self._start = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._start

    def tell(self, **found: object) -> None:
        cpu = time.process_time() - self._cpu
        tell(seconds=self.seconds, cpu=cpu, **found)


def sizes() -> tuple[float, int]:
    """The least number of seconds, and the requests of a batch."""
    return float(sys.argv[3]), int(sys.argv[4])


async def measure(get: Get, download: Download) -> None:
    """Does the job.

    Args:
        get: Makes one request for `URL`, reads the whole body, gives it and the status.
        download: Makes a request for a URL, gives each piece of the body to a function as it
            comes, and returns the status.
    """
    if job() == "get":
        await _gets(get)
    else:
        await _downloads(download)


async def _gets(get: Get) -> None:
    """Batches of requests, so many at once, each of them checked."""

    async def work(numbers: Iterable[int]) -> None:
        for _ in numbers:
            status, body = await get()
            if status != 200 or body != ANSWER:
                wrong((status, body))

    async def batch(count: int) -> None:
        numbers = iter(range(count))
        await asyncio.gather(*(work(numbers) for _ in range(CONCURRENCY)))

    least, count = sizes()
    await batch(WARM_UP_REQUESTS)
    done, clock = 0, Clock()
    while clock.seconds < least:
        await batch(count)
        done += count
    clock.tell(count=done)


async def _downloads(download: Download) -> None:
    for sink in sinks():
        sink.check(await download(sink.url, sink.take))


def sinks() -> Iterator["Sink"]:
    """For the download whose content is checked, then for the one that counts."""
    yield Sink(SAMPLE, hashed=True)
    yield Sink(LARGE)


class Sink:
    """Takes the pieces of one download and tells what is known about it at its end."""

    def __init__(self, file: tuple[str, int], *, hashed: bool = False) -> None:
        name, self._size = file
        self.url = f"{URL}/{name}"
        self._digest = hashlib.sha256() if hashed else None
        self._got = 0
        self.take: Take = self._hash if hashed else self._count
        Path("/proc/self/clear_refs").write_text("5")  # the peak is the present size
        self._memory = _peak_bytes()
        self._clock = Clock()

    def check(self, status: int) -> None:
        if status != 200 or self._got != self._size:
            wrong((status, self._got))
        if self._digest:
            tell(digest=self._digest.hexdigest())
        else:
            self._clock.tell(bytes=self._got, memory=_peak_bytes() - self._memory)

    def _count(self, piece: bytes) -> None:
        self._got += len(piece)

    def _hash(self, piece: bytes) -> None:
        self._digest.update(piece)
        self._got += len(piece)


def _peak_bytes() -> int:
    """The largest resident set so far. `ru_maxrss` would count that of the parent, too."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError("no VmHWM in /proc/self/status")
