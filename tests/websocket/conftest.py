"""Certificates, and a check of what goes into the log."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from authority import Authority, make_authority


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A fault of the peer's is no warning, and nothing on our side is left unhandled."""
    yield
    alarming = [
        record.getMessage()
        for record in caplog.records
        # asyncio's warnings are about slow machines.
        if record.levelno > (logging.WARNING if record.name == "asyncio" else logging.INFO)
    ]
    assert alarming == []
