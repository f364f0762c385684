"""Every test of streams: on both loops, with no error in a callback and no descriptor left."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from pairs import KINDS, certificates

from support import TIMEOUT, new_event_loop

FDS = Path("/proc/self/fd")

Run = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def run(loop_kind: str) -> Iterator[Run]:
    """`run(main)` runs a coroutine function in a loop of its own."""
    certificates()
    run_on(loop_kind, lambda: asyncio.sleep(0))  # a kind of loop keeps some for its first

    def run(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        return run_on(loop_kind, main)

    before = set(os.listdir(FDS))
    yield run
    assert set(os.listdir(FDS)) == before, "descriptors are left open"


def run_on(loop_kind: str, main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    failures: list[dict[str, Any]] = []

    async def guarded() -> Any:
        asyncio.get_running_loop().set_exception_handler(lambda _, what: failures.append(what))
        async with asyncio.timeout(TIMEOUT):
            return await main()

    with contextlib.closing(new_event_loop(loop_kind)) as loop:
        asyncio.set_event_loop(loop)
        try:
            return loop.run_until_complete(guarded())
        finally:
            asyncio.set_event_loop(None)
            assert failures == []
