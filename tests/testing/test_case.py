"""AsyncTestCase: its loop, wait and stop, and what is left over at the end."""

import asyncio
import unittest
import warnings

import pytest

from typhoon.ioloop import IOLoop
from typhoon.testing import AsyncTestCase, gen_test, setup_with_context_manager


def run(case: unittest.TestCase) -> unittest.TestResult:
    """The outcome of one test, every warning being an error."""
    result = unittest.TestResult()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        case.run(result)
    return result


def assert_passes(case: unittest.TestCase) -> None:
    result = run(case)
    assert result.testsRun == 1
    assert result.wasSuccessful(), result.errors + result.failures


def test_each_test_has_a_loop_that_is_current_and_closed_afterwards() -> None:
    loops = []

    class Case(AsyncTestCase):
        def test(self) -> None:
            assert IOLoop.current() is self.io_loop
            loops.append(self.io_loop.asyncio_loop)

    assert_passes(Case("test"))
    assert_passes(Case("test"))
    assert len(set(map(id, loops))) == 2
    assert all(loop.is_closed() for loop in loops)
    assert IOLoop.current(instance=False) is None


def test_a_loop_that_was_current_is_not_closed_and_is_current_again() -> None:
    outer = IOLoop()
    try:

        class Own(AsyncTestCase):
            def test(self) -> None:
                assert self.io_loop is not outer

        class Shared(AsyncTestCase):
            def get_new_ioloop(self) -> IOLoop:
                return IOLoop.current()

            def test(self) -> None:
                assert self.io_loop is outer

        for case in (Own("test"), Shared("test")):
            assert_passes(case)
            assert IOLoop.current(instance=False) is outer
            assert not outer.asyncio_loop.is_closed()
    finally:
        outer.close()


def test_the_loop_is_closed_if_the_set_up_fails() -> None:
    class Case(AsyncTestCase):
        def setUp(self) -> None:
            super().setUp()
            raise ZeroDivisionError

        def test(self) -> None:
            pass

    case = Case("test")
    assert len(run(case).errors) == 1
    assert case.io_loop.asyncio_loop.is_closed()
    assert IOLoop.current(instance=False) is None


def test_tasks_that_are_left_over_are_cancelled() -> None:
    cancelled = []

    class Case(AsyncTestCase):
        async def forever(self) -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(1)
                raise

        @gen_test
        async def test(self) -> None:
            self.task = asyncio.ensure_future(self.forever())
            await asyncio.sleep(0)

    assert_passes(Case("test"))
    assert cancelled == [1]


def test_a_task_that_fails_when_it_is_cancelled_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Case(AsyncTestCase):
        async def clumsy(self) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                raise ZeroDivisionError

        @gen_test
        async def test(self) -> None:
            self.task = asyncio.ensure_future(self.clumsy())
            await asyncio.sleep(0)

    assert_passes(Case("test"))
    assert "unhandled exception while the loop of a test was closed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_asynchronous_generators_are_closed() -> None:
    closed = []

    class Case(AsyncTestCase):
        @gen_test
        async def test(self) -> None:
            async def numbers():
                try:
                    yield 1
                finally:
                    closed.append(1)

            self.numbers = numbers()
            await anext(self.numbers)

    assert_passes(Case("test"))
    assert closed == [1]


def test_wait_returns_what_stop_is_passed() -> None:
    class Case(AsyncTestCase):
        def test(self) -> None:
            self.stop("before")
            assert self.wait() == "before"
            self.io_loop.add_callback(self.stop, "after")
            assert self.wait() == "after"
            self.io_loop.add_callback(self.stop, a=1, b=2)
            assert self.wait() == {"a": 1, "b": 2}
            self.io_loop.add_callback(self.stop)
            assert self.wait() is None
            with pytest.raises(TypeError, match="not both"):
                self.stop(1, a=1)

    assert_passes(Case("test"))


def test_wait_goes_on_until_its_condition_is_true() -> None:
    class Case(AsyncTestCase):
        def test(self) -> None:
            calls = []

            def call() -> None:
                calls.append(1)
                self.stop()
                if len(calls) < 3:
                    self.io_loop.add_callback(call)

            self.io_loop.add_callback(call)
            self.wait(condition=lambda: len(calls) == 3)
            assert len(calls) == 3

    assert_passes(Case("test"))


def test_a_wait_that_times_out_fails() -> None:
    class Case(AsyncTestCase):
        def test(self) -> None:
            self.wait(timeout=0.001)

    ((_, text),) = run(Case("test")).failures
    assert "timed out after 0.001 seconds" in text


def test_the_timeout_of_one_wait_does_not_end_the_next() -> None:
    class Case(AsyncTestCase):
        def test(self) -> None:
            self.stop()
            self.wait(timeout=0.001)
            self.io_loop.call_later(0.02, self.stop)
            self.wait(timeout=10)

    assert_passes(Case("test"))


def test_a_coroutine_without_gen_test_is_an_error() -> None:
    class Case(AsyncTestCase):
        async def test_coroutine(self) -> None:
            pass

        def test_generator(self):
            yield

        def test_value(self) -> int:
            return 42

    for name in ("test_coroutine", "test_generator"):
        ((_, text),) = run(Case(name)).errors
        assert name in text
        assert "should be decorated with typhoon.testing.gen_test" in text
    ((_, text),) = run(Case("test_value")).errors
    assert "Return value from test method ignored: 42" in text


def test_set_up_and_tear_down_of_other_bases_are_called() -> None:
    calls = []

    class Other(unittest.TestCase):
        def setUp(self) -> None:
            calls.append("setUp")

        def tearDown(self) -> None:
            calls.append("tearDown")

    class Case(AsyncTestCase, Other):
        def test(self) -> None:
            calls.append("test")

    assert_passes(Case("test"))
    assert calls == ["setUp", "test", "tearDown"]


def test_setup_with_context_manager_leaves_it_at_the_end() -> None:
    calls = []

    class Manager:
        def __enter__(self) -> str:
            calls.append("enter")
            return "value"

        def __exit__(self, *exc_info: object) -> None:
            calls.append("exit")

    class Case(AsyncTestCase):
        def setUp(self) -> None:
            super().setUp()
            assert setup_with_context_manager(self, Manager()) == "value"

        def test(self) -> None:
            calls.append("test")

    assert_passes(Case("test"))
    assert calls == ["enter", "test", "exit"]
