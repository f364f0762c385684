"""Test cases with an event loop."""

import inspect
import unittest
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from typhoon.ioloop import IOLoop
from typhoon.testing.coroutines import get_async_test_timeout
from typhoon.testing.loops import TestLoop

_T = TypeVar("_T")


def setup_with_context_manager(testcase: unittest.TestCase, cm: AbstractContextManager[_T]) -> _T:
    """Enter `cm` and return what it gives; it is left when the test is over.

    The same as `unittest.TestCase.enterContext`.
    """
    return testcase.enterContext(cm)


class AsyncTestCase(unittest.TestCase):
    """A `unittest.TestCase` that has an event loop of its own for each test, `io_loop`.

    Test methods that are coroutines are decorated with `gen_test`. Those that work with callbacks
    call `wait`, which runs the loop until `stop` is called:

    .. code-block:: python

        class MyTestCase(AsyncTestCase):
            @gen_test
            async def test_coroutine(self):
                self.assertEqual(await fetch("http://example.com/"), b"Hello")

            def test_callback(self):
                fetch_and_call_back("http://example.com/", self.stop)
                self.assertEqual(self.wait(), b"Hello")

    Tasks that a test leaves behind are cancelled when it is over. Subclasses that define `setUp`
    or `tearDown` call those of `super()`, `tearDown` at its end.

    Attributes:
        io_loop: The `.IOLoop` of this test. It is the current one while the test runs.
    """

    io_loop: IOLoop

    def setUp(self) -> None:
        """Make the loop."""
        self.__stopped = False
        self.__running = False
        self.__result: Any = None
        self.__loop = TestLoop(self.get_new_ioloop)
        self.addCleanup(self.__loop.close)  # for when no tearDown follows a setUp that failed
        self.io_loop = self.__loop.io_loop
        super().setUp()

    def tearDown(self) -> None:
        """Cancel what is left on the loop and close it."""
        self.__loop.close()
        super().tearDown()

    def get_new_ioloop(self) -> IOLoop:
        """The loop for one test: a new one. To be overridden to use another.

        A loop that is current already, that of another test framework, say, is left open when the
        test is over.
        """
        io_loop: IOLoop = IOLoop(make_current=False)
        return io_loop

    def _callTestMethod(self, method: Callable[[], Any]) -> None:
        """Call the test, as `unittest` does, but do not take a coroutine for a success."""
        result = method()
        if result is None:
            return
        if inspect.isgenerator(result) or inspect.iscoroutine(result):
            result.close()
            raise TypeError(
                f"{self.id()} is a generator or coroutine: it should be decorated with "
                "typhoon.testing.gen_test, or it would never run"
            )
        raise ValueError(f"Return value from test method ignored: {result!r}")

    def stop(self, _arg: Any = None, **kwargs: Any) -> None:
        """Let one call of `wait`, under way or to come, return.

        What is passed, one positional argument or any named ones, is returned by `wait`, the
        latter as a dictionary.
        """
        if _arg is not None and kwargs:
            raise TypeError("stop takes one argument, or named ones, but not both")
        self.__result = kwargs or _arg
        if self.__running:
            self.io_loop.stop()
            self.__running = False
        self.__stopped = True

    def wait(
        self, condition: Callable[..., bool] | None = None, timeout: float | None = None
    ) -> Any:
        """Run the loop until `stop` is called, and return what was passed to that.

        Args:
            condition: If given, the loop runs on after each `stop` until this function is true.
            timeout: Seconds after which the test fails; `get_async_test_timeout` by default.
        """
        seconds = get_async_test_timeout() if timeout is None else timeout
        timed_out = False

        def expire() -> None:
            nonlocal timed_out
            timed_out = True
            self.stop()

        handle = self.io_loop.call_later(seconds, expire)
        try:
            while not self.__stopped or not (condition is None or condition()):
                self.__stopped = False
                self.__running = True
                self.io_loop.start()
                if timed_out:
                    self.fail(f"Async operation timed out after {seconds} seconds")
        finally:
            self.__running = self.__stopped = False
            self.io_loop.remove_timeout(handle)
        result, self.__result = self.__result, None
        return result
