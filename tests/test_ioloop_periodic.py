"""Calling a function again and again."""

import asyncio
import datetime
import gc
import random
import weakref
from collections.abc import Iterator

import pytest

from support import new_event_loop
from typhoon.ioloop import IOLoop, PeriodicCallback


@pytest.fixture
def io_loop(loop_kind: str) -> Iterator[IOLoop]:
    """A current loop of each kind."""
    loop = IOLoop(asyncio_loop=new_event_loop(loop_kind))
    yield loop
    loop.close()


def call_times(callback: PeriodicCallback, durations: list[float]) -> list[float]:
    """When the calls would be made, if each took so long (a negative time: the clock set back)."""
    now, times = 1000.0, []
    callback._next_timeout = now
    for duration in durations:
        callback._update_next(now)
        times.append(callback._next_timeout)
        now = callback._next_timeout + duration
    return times


@pytest.mark.parametrize(
    ("durations", "expected"),
    [
        ([0, 0, 0], [1010, 1020, 1030]),
        ([9, 10, 11, 20, 35, 0], [1010, 1020, 1040, 1060, 1090, 1130]),
        ([-2, -1, 0], [1010, 1020, 1030]),
        ([-100, 0, 0], [1010, 1020, 1030]),
    ],
)
def test_the_schedule_is_kept(durations: list[float], expected: list[float]) -> None:
    assert call_times(PeriodicCallback(print, 10_000), durations) == expected


def test_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    values = iter([0.5, 1, 0, 0.75])
    monkeypatch.setattr(random, "random", lambda: next(values))
    callback = PeriodicCallback(print, 10_000, jitter=0.5)
    assert call_times(callback, [0] * 4) == [1010, 1022.5, 1030, 1041.25]


def test_callback_time() -> None:
    assert PeriodicCallback(print, datetime.timedelta(seconds=1.5)).callback_time == 1500
    for wrong in (0, -1, datetime.timedelta()):
        with pytest.raises(ValueError, match="positive"):
            PeriodicCallback(print, wrong)


def test_a_periodic_function_is_called_until_it_is_stopped(io_loop: IOLoop) -> None:
    calls: list[bool] = []

    def callback() -> None:
        calls.append(periodic.is_running())
        if len(calls) == 3:
            periodic.stop()
            io_loop.call_later(0.02, io_loop.stop)

    periodic = PeriodicCallback(callback, 2)
    assert not periodic.is_running()
    periodic.start()
    periodic.start()
    assert periodic.io_loop is io_loop
    io_loop.start()
    assert calls == [True] * 3
    assert not periodic.is_running()


def test_a_periodic_coroutine_never_overlaps_itself(io_loop: IOLoop) -> None:
    running, finished = 0, 0

    async def callback() -> None:
        nonlocal running, finished
        running += 1
        assert running == 1
        await asyncio.sleep(0.005)
        running -= 1
        finished += 1
        if finished == 3:
            periodic.stop()
            io_loop.add_callback(io_loop.stop)

    periodic = PeriodicCallback(callback, 1)
    periodic.start()
    io_loop.start()
    assert finished == 3


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_periodic_callback_survives_its_exceptions(
    io_loop: IOLoop, caplog: pytest.LogCaptureFixture, asynchronous: bool
) -> None:
    count = 0

    def plain() -> None:
        nonlocal count
        count += 1
        if count == 2:
            periodic.stop()
            io_loop.call_later(0.01, io_loop.stop)
        raise KeyError("absent")

    async def coroutine() -> None:
        plain()

    periodic = PeriodicCallback(coroutine if asynchronous else plain, 1)
    periodic.start()
    io_loop.start()
    assert count == 2
    assert [record.name for record in caplog.records] == ["typhoon.application"] * 2


def test_a_periodic_callback_stopped_at_once_is_not_called(io_loop: IOLoop) -> None:
    calls: list[int] = []
    periodic = PeriodicCallback(lambda: calls.append(1), 1)
    periodic.start()
    periodic.stop()
    io_loop.call_later(0.01, io_loop.stop)
    io_loop.start()
    assert calls == []


@pytest.mark.parametrize("jitter", [-0.1, 2])
def test_jitter_out_of_range(jitter: float) -> None:
    with pytest.raises(ValueError, match="10 per cent"):
        PeriodicCallback(print, 1, jitter)


def test_a_restart_during_a_coroutine_does_not_overlap_it(io_loop: IOLoop) -> None:
    running = 0

    async def callback() -> None:
        nonlocal running
        running += 1
        assert running == 1
        periodic.stop()
        periodic.start()
        # Several calls come due meanwhile.
        await asyncio.sleep(0.01)
        running -= 1
        periodic.stop()
        io_loop.add_callback(io_loop.stop)

    periodic = PeriodicCallback(callback, 1)
    periodic.start()
    io_loop.start()
    assert running == 0


def test_a_running_coroutine_is_not_collected(io_loop: IOLoop) -> None:
    awaited: list[weakref.ref[asyncio.Future[None]]] = []

    async def callback() -> None:
        future = asyncio.get_running_loop().create_future()
        awaited.append(weakref.ref(future))
        await future
        io_loop.stop()

    def resume() -> None:
        gc.collect()
        future = awaited[0]()
        assert future is not None
        future.set_result(None)

    periodic = PeriodicCallback(callback, 1)
    periodic.start()
    del periodic
    io_loop.call_later(0.05, resume)
    io_loop.start()
    gc.collect()
