"""Every test of streams: on both loops, with no error in a callback and no descriptor left."""

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from pairs import KINDS, Run, certificates, run_on

FDS = Path("/proc/self/fd")


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
