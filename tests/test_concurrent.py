"""Futures of both kinds, and executors."""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent import futures
from typing import Any

import pytest

from typhoon.concurrent import (
    DummyExecutor,
    Future,
    chain_future,
    dummy_executor,
    future_add_done_callback,
    future_set_exc_info,
    future_set_exception_unless_cancelled,
    future_set_result_unless_cancelled,
    is_future,
    run_on_executor,
)

KINDS = {"asyncio": Future, "concurrent": futures.Future}


@pytest.fixture(params=list(KINDS))
def make(request: pytest.FixtureRequest) -> Callable[[], Any]:
    """Makes a future of each kind in turn."""
    return KINDS[request.param]


def test_is_future() -> None:
    async def run() -> None:
        assert is_future(Future())
        assert is_future(asyncio.ensure_future(asyncio.sleep(0)))

    asyncio.run(run())
    assert is_future(futures.Future())
    assert not is_future(run)
    assert not is_future(None)


@pytest.mark.parametrize("source", list(KINDS))
@pytest.mark.parametrize("target", list(KINDS))
@pytest.mark.parametrize("outcome", ["result", "exception", "cancelled"])
def test_chain_future(source: str, target: str, outcome: str) -> None:
    async def run() -> None:
        a: Any = KINDS[source]()
        b: Any = KINDS[target]()
        chain_future(a, b)
        waiter = asyncio.wrap_future(b)
        match outcome:
            case "result":
                a.set_result(42)
                assert await waiter == 42
            case "exception":
                a.set_exception(KeyError("absent"))
                with pytest.raises(KeyError):
                    await waiter
            case "cancelled":
                a.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiter
                assert b.cancelled()

    asyncio.run(run())


def test_chaining_leaves_a_target_that_is_done_alone() -> None:
    async def run() -> None:
        a, b = Future[int](), Future[int]()
        chain_future(a, b)
        b.set_result(1)
        a.set_result(2)
        await asyncio.sleep(0)
        assert await b == 1

    asyncio.run(run())


def test_chaining_from_a_thread_to_a_closed_loop_is_harmless(
    caplog: pytest.LogCaptureFixture,
) -> None:
    source: futures.Future[int] = futures.Future()

    async def run() -> None:
        chain_future(source, Future())

    asyncio.run(run())
    source.set_result(1)
    assert caplog.records == []


def test_set_unless_cancelled(make: Callable[[], Any], caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        done, failed, cancelled = make(), make(), make()
        cancelled.cancel()
        future_set_result_unless_cancelled(done, 42)
        assert done.result() == 42
        future_set_exception_unless_cancelled(failed, KeyError("absent"))
        assert isinstance(failed.exception(), KeyError)
        future_set_result_unless_cancelled(cancelled, 42)
        assert caplog.records == []
        future_set_exception_unless_cancelled(cancelled, KeyError("absent"))

    asyncio.run(run())
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("typhoon.application", logging.ERROR)
    assert record.message == "Exception after Future was cancelled"
    assert record.exc_info is not None


def test_set_exc_info() -> None:
    future: futures.Future[int] = futures.Future()
    error = KeyError("absent")
    future_set_exc_info(future, (KeyError, error, None))
    assert future.exception() is error
    with pytest.raises(ValueError, match="no exception"):
        future_set_exc_info(futures.Future(), (None, None, None))


def test_done_callback_of_a_done_future_is_called_at_once(make: Callable[[], Any]) -> None:
    async def run() -> None:
        called: list[Any] = []
        done, pending = make(), make()
        done.set_result(1)
        future_add_done_callback(done, called.append)
        assert called == [done]
        future_add_done_callback(pending, called.append)
        assert called == [done]
        pending.set_result(2)
        await asyncio.sleep(0)
        assert called == [done, pending]

    asyncio.run(run())


def test_dummy_executor() -> None:
    future = dummy_executor.submit(divmod, 7, 2)
    assert future.result(0) == (3, 1)
    assert isinstance(dummy_executor.submit(divmod, 1, 0).exception(0), ZeroDivisionError)
    with DummyExecutor() as executor:
        assert list(executor.map(abs, [-1, 2])) == [1, 2]


class Worker:
    def __init__(self) -> None:
        self.executor = futures.ThreadPoolExecutor(1, "default")
        self.other = futures.ThreadPoolExecutor(1, "other")

    def shutdown(self) -> None:
        self.executor.shutdown()
        self.other.shutdown()

    @run_on_executor
    def plain(self, value: int, *, double: bool = False) -> tuple[str, int]:
        """Docstring."""
        return threading.current_thread().name, value * 2 if double else value

    @run_on_executor()
    def called(self) -> str:
        return threading.current_thread().name

    @run_on_executor(executor="other")
    def elsewhere(self) -> str:
        return threading.current_thread().name

    @run_on_executor
    def failing(self) -> None:
        raise KeyError("absent")


def test_run_on_executor() -> None:
    async def run(worker: Worker) -> None:
        assert await worker.plain(21, double=True) == ("default_0", 42)
        assert await worker.called() == "default_0"
        assert await worker.elsewhere() == "other_0"
        with pytest.raises(KeyError):
            await worker.failing()

    worker = Worker()
    asyncio.run(run(worker))
    worker.shutdown()
    assert Worker.plain.__doc__ == "Docstring."


def test_run_on_executor_refuses_other_arguments() -> None:
    with pytest.raises(TypeError, match="run_on_executor takes"):
        run_on_executor(pool="x")
    with pytest.raises(TypeError, match="run_on_executor takes"):
        run_on_executor("pool")
