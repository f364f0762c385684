"""What the toolkit's programs share: arguments, sizes, clocks, and how they tell what they found.

A program is started as `PROGRAM JOB LOOP [SECONDS]` and prints one JSON object a line.
"""

import asyncio
import hashlib
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator

PORT = int(os.environ.get("PORT", "0"))
MESSAGE = 1024
PIECE = 64 << 10
PIECES = 1600  # 100 MiB
TRANSFERS = 9  # timed, after one whose content is checked


def job() -> str:
    return sys.argv[1]


def run(main: Coroutine[None, None, None]) -> None:
    """Runs a coroutine on the loop of the second argument: `uvloop` or `asyncio`."""
    factory = None
    if sys.argv[2] == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main)


def tell(**found: object) -> None:
    print(json.dumps(found), flush=True)


async def repeat(batch: Callable[[], Awaitable[int]]) -> None:
    """Tells how many operations there were in the seconds of the third argument.

    `batch` does some of them, checks what they gave, and returns their number.
    """
    await batch()  # what is wrong shows here, before the clock starts
    limit = float(sys.argv[3])
    count, cpu, start = 0, time.process_time(), time.perf_counter()
    while (seconds := time.perf_counter() - start) < limit:
        count += await batch()
        await asyncio.sleep(0)  # what the batch left for the loop to do is part of its cost
    tell(count=count, seconds=seconds, cpu=time.process_time() - cpu)


def sources() -> Iterator[Iterable[bytes]]:
    """The pieces to send over each connection; tells what sending them cost.

    The caller takes the next ones when the receiver has said that it got all of these.
    """
    told = [number.to_bytes(4, "big") * (PIECE // 4) for number in range(PIECES)]
    yield told
    tell(digest=hashlib.sha256(b"".join(told)).hexdigest())
    piece = b"x" * PIECE
    for _ in range(TRANSFERS):
        cpu = time.process_time()
        yield (piece for _ in range(PIECES))
        tell(cpu=time.process_time() - cpu)


class Sink:
    """Takes what one connection receives, made when it begins; tells how long everything took."""

    received_one = False

    def __init__(self) -> None:
        self._left = PIECES * PIECE
        self._digest = None if Sink.received_one else hashlib.sha256()
        self._cpu = time.process_time()
        self._start = time.perf_counter()

    def take(self, data: bytes | memoryview) -> bool:
        """Whether more should come: False at the end, too early or not, of the connection."""
        self._left -= len(data)
        if self._digest:
            self._digest.update(data)
        if self._left > 0 and data:
            return True
        if self._left == 0:
            self._tell()
        return False

    def _tell(self) -> None:
        seconds = time.perf_counter() - self._start
        if self._digest:
            Sink.received_one = True
            tell(digest=self._digest.hexdigest())
        else:
            tell(seconds=seconds, cpu=time.process_time() - self._cpu)
