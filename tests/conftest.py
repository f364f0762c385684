"""Fixtures for every test: a server on each kind of event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from support import Server, new_event_loop, running_server


@pytest.fixture(params=["asyncio", "uvloop"])
def loop_kind(request: pytest.FixtureRequest) -> str:
    """The stdlib's event loop and uvloop in turn."""
    return request.param


@pytest.fixture
def run(loop_kind: str) -> Iterator[Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]]:
    """`run(main)` runs an ``async def`` function on a loop of each kind."""
    with asyncio.Runner(loop_factory=lambda: new_event_loop(loop_kind)) as runner:
        yield lambda main: runner.run(main())


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """`serve(app, **http_server_options)` starts a server that is stopped after the test."""
    with contextlib.ExitStack() as stack:

        def start(callback: Any, **options: Any) -> Server:
            return stack.enter_context(running_server(callback, **options))

        yield start
