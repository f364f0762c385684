"""The pytest plugin: fixtures, and tests that are coroutines. See `docs/testing.md`.

pytest imports it wherever Typhoon is installed. So it imports the rest of Typhoon only when a
test makes use of it, and stands outside `typhoon.testing`.
"""

import asyncio
import functools
import importlib
import inspect
import types
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from typhoon.httpclient import AsyncHTTPClient
    from typhoon.httpserver import HTTPServer
    from typhoon.ioloop import IOLoop


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark, and the fixtures unless pytest-tornado has those names already."""
    config.addinivalue_line(
        "markers",
        "gen_test(timeout=None): run this coroutine on an event loop of Typhoon's, and let it fail "
        "after so many seconds",
    )
    if not config.pluginmanager.hasplugin("tornado"):
        config.pluginmanager.register(Fixtures(), "typhoon-fixtures")
        if config.pluginmanager.hasplugin("asyncio"):
            try:
                config.pluginmanager.register(_loops_of_pytest_asyncio(), "typhoon-asyncio")
            except TypeError:  # from before `loop_scope`; io_loop says so to those who ask for it
                pass


def _loops_of_pytest_asyncio() -> types.ModuleType:
    """Fixtures that are the loop on which pytest-asyncio runs a test, one for each scope of loops.

    A fixture that is a coroutine is the one way to ask for it.
    """
    fixture: Any = importlib.import_module("pytest_asyncio").fixture

    async def running_loop() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    fixtures = types.ModuleType("typhoon-asyncio")
    for scope in ("function", "class", "module", "package", "session"):
        # A fixture has a function of its own.
        function = types.FunctionType(running_loop.__code__, globals(), running_loop.__name__)
        name = f"_typhoon_{scope}_loop"
        setattr(fixtures, scope, fixture(loop_scope=scope, name=name)(function))
    return fixtures


def _use_loop_of_pytest_asyncio(request: pytest.FixtureRequest, mark: pytest.Mark) -> None:
    """Make the loop on which pytest-asyncio will run this test the current one."""
    if not request.config.pluginmanager.hasplugin("typhoon-asyncio"):
        pytest.fail(
            "Typhoon's fixtures need pytest-asyncio 0.24 or newer in a test that it runs: update "
            "it, or leave out the mark asyncio, and Typhoon runs the test",
            pytrace=False,
        )
    scope = mark.kwargs.get("loop_scope") or request.config.getini(
        "asyncio_default_test_loop_scope"
    )
    asyncio.set_event_loop(request.getfixturevalue(f"_typhoon_{scope}_loop"))


def _runs_here(item: pytest.Item) -> bool:
    """Whether a test is run on the loop of the fixture `io_loop`."""
    if not isinstance(item, pytest.Function) or item.get_closest_marker("asyncio") is not None:
        return False
    return "io_loop" in item.fixturenames


def _is_coroutine_function(test: Any) -> bool:
    from typhoon import gen

    return inspect.iscoroutinefunction(test) or gen.is_coroutine_function(test)


class Fixtures:
    """The fixtures, and the hooks that run the tests which use them."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makeitem(
        self, collector: pytest.Module | pytest.Class, name: str, obj: Any
    ) -> None:
        """A coroutine that is marked has a loop, whether or not it asks for it."""
        if not collector.istestfunction(obj, name):
            return
        own = getattr(obj, "pytestmark", None)
        marks = [*collector.iter_markers("gen_test"), *(own if isinstance(own, list) else ())]
        if any(mark.name == "gen_test" for mark in marks) and _is_coroutine_function(obj):
            pytest.mark.usefixtures("io_loop")(obj)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, object, object]:
        """Put a plain function in the place of a coroutine function that is to be run here."""
        test = pyfuncitem.obj
        if not _runs_here(pyfuncitem) or not _is_coroutine_function(test):
            return (yield)
        mark = pyfuncitem.get_closest_marker("gen_test")
        timeout = mark.kwargs.get("timeout") if mark is not None else None
        io_loop: Any = pyfuncitem.funcargs["io_loop"]

        def run(**arguments: Any) -> None:
            from typhoon.testing.coroutines import run_test

            __tracebackhide__ = True
            run_test(io_loop, functools.partial(test, **arguments), timeout)

        pyfuncitem.obj = run
        try:
            return (yield)
        finally:
            pyfuncitem.obj = test  # it may be run once more

    @pytest.fixture
    def io_loop(self, request: pytest.FixtureRequest) -> "Iterator[IOLoop]":
        """An event loop for this test: a `typhoon.ioloop.IOLoop`, which is the current one."""
        from typhoon.ioloop import IOLoop
        from typhoon.testing.loops import TestLoop

        if request.node.get_closest_marker("anyio") is not None:
            pytest.fail(
                "Typhoon's fixtures cannot be used in a test that anyio runs: leave out the mark "
                "anyio, and Typhoon runs it",
                pytrace=False,
            )
        mark = request.node.get_closest_marker("asyncio")
        if mark is not None and request.config.pluginmanager.hasplugin("asyncio"):
            _use_loop_of_pytest_asyncio(request, mark)
            loop = TestLoop(IOLoop.current)
        else:
            loop = TestLoop(lambda: IOLoop(make_current=False))
        yield loop.io_loop
        loop.close()

    @pytest.fixture
    def app(self) -> Any:
        """The application to test; it has to be overridden."""
        pytest.fail(
            "define a fixture named app that returns the application to test:\n\n"
            "    @pytest.fixture\n"
            "    def app():\n"
            "        return typhoon.web.Application([...])",
            pytrace=False,
        )

    @pytest.fixture
    def http_server_options(self) -> dict[str, Any]:
        """More arguments for the `HTTPServer` of `http_server`. To be overridden."""
        return {}

    @pytest.fixture
    def http_server(
        self, io_loop: "IOLoop", app: Any, http_server_options: dict[str, Any]
    ) -> "Iterator[HTTPServer]":
        """A server for `app`, on a free port of 127.0.0.1: a `typhoon.httpserver.HTTPServer`."""
        from typhoon.httpserver import HTTPServer
        from typhoon.testing import bind_unused_port, get_async_test_timeout

        server = HTTPServer(app, **http_server_options)
        sock, _ = bind_unused_port()
        server.add_socket(sock)
        yield server
        server.stop()
        io_loop.run_sync(server.close_all_connections, timeout=get_async_test_timeout())

    @pytest.fixture
    def http_server_port(self, http_server: "HTTPServer") -> int:
        """The port of `http_server`."""
        (sock,) = http_server._sockets.values()
        port: int = sock.getsockname()[1]
        return port

    @pytest.fixture
    def http_server_url(self, http_server_port: int, http_server_options: dict[str, Any]) -> str:
        """The URL of `http_server`, to which the path is added: ``http://127.0.0.1:12345``."""
        scheme = "https" if http_server_options.get("ssl_options") is not None else "http"
        return f"{scheme}://127.0.0.1:{http_server_port}"

    @pytest.fixture
    def http_client(self, io_loop: "IOLoop") -> "Iterator[AsyncHTTPClient]":
        """A client: a `typhoon.httpclient.AsyncHTTPClient`."""
        from typhoon.httpclient import AsyncHTTPClient

        client: AsyncHTTPClient = AsyncHTTPClient(force_instance=True)
        yield client
        client.close()
