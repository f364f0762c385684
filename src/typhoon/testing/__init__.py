"""Support for unit tests of asynchronous code.

- `AsyncTestCase`, `AsyncHTTPTestCase` and `AsyncHTTPSTestCase` are subclasses of
  `unittest.TestCase` that have an event loop, and a server and a client on it.
- `gen_test` runs a test method that is a coroutine.
- `ExpectLog` makes sure that something is logged, and keeps it off the console.
- `main` runs tests: ``python -m typhoon.testing mypackage.tests``.

Those who test with pytest find the same as fixtures, in `typhoon.testing.plugin`.
"""

from typhoon.testing.case import AsyncTestCase, setup_with_context_manager
from typhoon.testing.coroutines import gen_test, get_async_test_timeout
from typhoon.testing.http import AsyncHTTPSTestCase, AsyncHTTPTestCase
from typhoon.testing.logs import ExpectLog
from typhoon.testing.ports import bind_unused_port
from typhoon.testing.runner import main

__all__ = [
    "AsyncHTTPSTestCase",
    "AsyncHTTPTestCase",
    "AsyncTestCase",
    "ExpectLog",
    "bind_unused_port",
    "gen_test",
    "get_async_test_timeout",
    "main",
    "setup_with_context_manager",
]
