"""What tests of the examples share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running_feed import Feed

from support import Server


@pytest.fixture
def feed(serve: Callable[..., Server], tmp_path: Path) -> Iterator[Feed]:
    running = Feed(serve, tmp_path)
    yield running
    running.close()
