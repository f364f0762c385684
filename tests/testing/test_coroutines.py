"""gen_test and its timeouts."""

import asyncio
import traceback
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from typhoon import gen
from typhoon.ioloop import IOLoop
from typhoon.testing import gen_test, get_async_test_timeout


@pytest.fixture
def case() -> Iterator[Any]:
    """What has an io_loop, as gen_test needs it."""
    io_loop = IOLoop()
    yield SimpleNamespace(io_loop=io_loop)
    io_loop.close()


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ASYNC_TEST_TIMEOUT", raising=False)


def test_runs_coroutines_generators_and_plain_functions(case: Any) -> None:
    calls = []

    @gen_test
    async def coroutine(self: Any, *args: Any, **kwargs: Any) -> None:
        await asyncio.sleep(0)
        calls.append((args, kwargs))

    @gen_test
    def generator(self: Any, *args: Any, **kwargs: Any):
        yield gen.moment
        calls.append((args, kwargs))

    @gen_test()
    def plain(self: Any, *args: Any, **kwargs: Any) -> None:
        calls.append((args, kwargs))

    for test in (coroutine, generator, plain):
        assert test(case, 1, a=2) is None
    assert calls == [((1,), {"a": 2})] * 3


def test_keeps_the_name_and_is_no_coroutine_function() -> None:
    @gen_test
    async def test_something(self: Any) -> None:
        """What it tests."""

    assert test_something.__name__ == "test_something"
    assert test_something.__doc__ == "What it tests."
    assert not asyncio.iscoroutinefunction(test_something)


def test_an_exception_comes_out(case: Any) -> None:
    @gen_test
    async def coroutine(self: Any) -> None:
        raise ZeroDivisionError

    @gen_test
    def generator(self: Any):
        yield gen.moment
        raise ZeroDivisionError

    for test in (coroutine, generator):
        with pytest.raises(ZeroDivisionError):
            test(case)


@gen_test(timeout=0.001)
async def waiting_coroutine(self: Any) -> None:
    try:
        await asyncio.sleep(100)  # the coroutine waits here
    finally:
        self.cleaned_up = True


@gen_test(timeout=0.001)
def waiting_generator(self: Any):
    try:
        yield gen.sleep(100)  # the generator waits here
    finally:
        self.cleaned_up = True


@pytest.mark.parametrize("test", [waiting_coroutine, waiting_generator])
def test_a_timeout_says_where_the_test_waits(test: Callable[..., None], case: Any) -> None:
    with pytest.raises(TimeoutError) as caught:
        test(case)
    assert "waits here" in "".join(traceback.format_exception(caught.value))
    assert case.cleaned_up


def test_a_timeout_that_the_test_itself_raises_is_its_own(case: Any) -> None:
    @gen_test
    def test(self: Any):
        yield gen.moment
        raise TimeoutError("of its own")

    with pytest.raises(TimeoutError, match="of its own"):
        test(case)


def test_the_environment_can_only_give_more_time(
    case: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    @gen_test(timeout=0.001)
    async def test(self: Any) -> None:
        await asyncio.sleep(0.02)

    monkeypatch.setenv("ASYNC_TEST_TIMEOUT", "0.0001")
    with pytest.raises(TimeoutError):
        test(case)
    monkeypatch.setenv("ASYNC_TEST_TIMEOUT", "10")
    test(case)


def test_get_async_test_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    assert get_async_test_timeout() == 5
    monkeypatch.setenv("ASYNC_TEST_TIMEOUT", "0.5")
    assert get_async_test_timeout() == 0.5
    monkeypatch.setenv("ASYNC_TEST_TIMEOUT", "soon")
    with pytest.raises(ValueError, match="ASYNC_TEST_TIMEOUT is 'soon'"):
        get_async_test_timeout()
