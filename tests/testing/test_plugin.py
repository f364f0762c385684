"""The pytest plugin, in a pytest of its own."""

import importlib.metadata
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

IS_INSTALLED = any(
    point.value == "typhoon.pytest_plugin"
    for point in importlib.metadata.entry_points(group="pytest11")
)
"""Whether pytest finds it by itself: not in an environment from before the plugin."""

OTHERS = ["xdist", "hypothesispytest", "timeout", "cacheprovider", "anyio"]

APP = textwrap.dedent("""
    import asyncio
    import pytest
    from typhoon.web import Application, RequestHandler

    class Hello(RequestHandler):
        async def get(self):
            await asyncio.sleep(0)
            self.write("Hello")

    @pytest.fixture
    def app():
        return Application([("/", Hello)])
""")


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run the tests with every warning an error."""
    plugin = [] if IS_INSTALLED else ["-p", "typhoon.pytest_plugin"]
    without = [part for name in OTHERS for part in ("-p", f"no:{name}")]
    command = [sys.executable, "-X", "dev", "-W", "error", "-m", "pytest", *plugin, *without]
    return pytester.run(*command, "-v", "--strict-markers", *arguments)


def test_is_registered_for_pytest() -> None:
    pyproject = Path(__file__).parents[2] / "pyproject.toml"
    project = tomllib.loads(pyproject.read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"typhoon": "typhoon.pytest_plugin"}


def test_imports_nothing_of_typhoon_until_it_is_used() -> None:
    code = (
        "import sys, typhoon.pytest_plugin\n"
        "print(*sorted(name for name in sys.modules if name.startswith('typhoon')))"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert output.split() == [b"typhoon", b"typhoon._core", b"typhoon.pytest_plugin"]


def test_runs_coroutines_with_its_fixtures(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(APP)
    pytester.makepyfile(
        """
        import asyncio
        import pytest
        from typhoon import gen
        from typhoon.httpclient import AsyncHTTPClient
        from typhoon.httpserver import HTTPServer
        from typhoon.ioloop import IOLoop

        async def test_fetch(http_client, http_server_url):
            response = await http_client.fetch(f"{http_server_url}/")
            assert response.body == b"Hello"

        @gen.coroutine
        def test_generator(http_client, http_server_url):
            response = yield http_client.fetch(f"{http_server_url}/")
            assert response.body == b"Hello"

        @pytest.mark.parametrize("number", [1, 2])
        async def test_arguments(number, io_loop):
            await asyncio.sleep(0)
            assert number in (1, 2)

        class TestMethods:
            async def test_method(self, io_loop):
                assert IOLoop.current() is io_loop
                assert asyncio.get_running_loop() is io_loop.asyncio_loop

        def test_plain(io_loop, http_client, http_server, http_server_port, http_server_url):
            assert IOLoop.current() is io_loop
            assert isinstance(http_client, AsyncHTTPClient)
            assert isinstance(http_server, HTTPServer)
            assert http_server_url == f"http://127.0.0.1:{http_server_port}"
            fetch = lambda: http_client.fetch(http_server_url)
            assert io_loop.run_sync(fetch).body == b"Hello"

        @pytest.mark.gen_test
        async def test_marked():
            await asyncio.sleep(0)

        def test_no_loop_is_left():
            assert IOLoop.current(instance=False) is None
        """
    )
    run(pytester).assert_outcomes(passed=8)


def test_failures_are_failures(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(APP)
    pytester.makepyfile(
        """
        import asyncio
        import pytest

        async def test_assertion(io_loop):
            await asyncio.sleep(0)
            assert "left" == "right"

        @pytest.mark.gen_test(timeout=0.001)
        async def test_too_long():
            await asyncio.sleep(100)  # it waits here

        @pytest.mark.xfail(raises=ZeroDivisionError, strict=True)
        async def test_expected(io_loop):
            1 / 0

        @pytest.mark.skip
        async def test_skipped(io_loop):
            1 / 0
        """
    )
    result = run(pytester)
    result.assert_outcomes(failed=2, xfailed=1, skipped=1)
    result.stdout.fnmatch_lines(["*assert 'left' == 'right'*", "*it waits here*", "*TimeoutError*"])


def test_says_that_an_app_is_needed(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        async def test_fetch(http_client, http_server_url):
            pass
        """
    )
    result = run(pytester)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*define a fixture named app that returns the application*"])


def test_serves_tls_if_the_options_say_so(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(APP)
    pytester.makepyfile(
        """
        import pytest
        from typhoon.testing import AsyncHTTPSTestCase

        OPTIONS = AsyncHTTPSTestCase.default_ssl_options()

        @pytest.fixture
        def http_server_options():
            return {"ssl_options": OPTIONS}

        async def test_fetch(http_client, http_server_url):
            assert http_server_url.startswith("https://127.0.0.1:")
            response = await http_client.fetch(http_server_url, ca_certs=OPTIONS["certfile"])
            assert response.body == b"Hello"
        """
    )
    run(pytester).assert_outcomes(passed=1)


def test_uses_the_loop_of_pytest_asyncio(pytester: pytest.Pytester) -> None:
    """One that has the documented interface of pytest-asyncio, and no more."""
    pytester.makepyfile(
        pytest_asyncio="""
        import pytest

        def fixture(*, loop_scope, name):
            def decorate(function):
                @pytest.fixture(name=name)
                def run(runners):
                    return runners[loop_scope].run(function())

                return run

            return decorate
        """
    )
    other = """
        def pytest_addoption(parser):
            parser.addini("asyncio_default_test_loop_scope", "", default="function")

        @pytest.hookimpl(tryfirst=True)
        def pytest_configure(config):
            config.pluginmanager.register(object(), "asyncio")
            config.addinivalue_line("markers", "asyncio(loop_scope): run it on a loop")

        @pytest.fixture
        def runners():
            with asyncio.Runner() as function, asyncio.Runner() as module:
                yield {"function": function, "module": module}

        def pytest_pyfunc_call(pyfuncitem):
            mark = pyfuncitem.get_closest_marker("asyncio")
            if mark is not None:
                names = pyfuncitem._fixtureinfo.argnames
                arguments = {name: pyfuncitem.funcargs[name] for name in names}
                runner = pyfuncitem.funcargs["runners"][mark.kwargs.get("loop_scope", "function")]
                runner.run(pyfuncitem.obj(**arguments))
                return True
    """
    pytester.makeconftest(APP + textwrap.dedent(other))
    pytester.makepyfile(
        """
        import asyncio
        import pytest

        @pytest.mark.parametrize("number", [1, 2])
        @pytest.mark.asyncio
        async def test_loop(runners, io_loop, http_client, http_server_url, number):
            assert runners["function"].get_loop() is io_loop.asyncio_loop
            assert (await http_client.fetch(http_server_url)).body == b"Hello"

        @pytest.mark.asyncio(loop_scope="module")
        async def test_scope(runners, io_loop, http_client, http_server_url):
            assert runners["module"].get_loop() is io_loop.asyncio_loop
            assert (await http_client.fetch(http_server_url)).body == b"Hello"

        @pytest.mark.asyncio
        async def test_without_any_fixture(runners):
            pass

        async def test_its_own_loop(runners, io_loop, http_client, http_server_url):
            assert io_loop.asyncio_loop not in [runner.get_loop() for runner in runners.values()]
            assert (await http_client.fetch(http_server_url)).body == b"Hello"
        """
    )
    pytester.syspathinsert()
    run(pytester).assert_outcomes(passed=5)


def test_leaves_tests_to_anyio(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.anyio
        async def test_of_anyio(io_loop):
            pass
        """
    )
    pytester.makeini("[pytest]\nmarkers = anyio: run it on any loop")
    result = run(pytester)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*cannot be used in a test that anyio runs*"])


def test_gives_way_to_the_fixtures_of_pytest_tornado(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        tornado="""
        import pytest

        @pytest.fixture
        def io_loop():
            return "the other plugin's"
        """
    )
    pytester.makepyfile(
        """
        def test_fixture(io_loop, request):
            assert io_loop == "the other plugin's"
            with __import__("pytest").raises(LookupError):
                request.getfixturevalue("http_server")
        """
    )
    pytester.syspathinsert()
    run(pytester, "-p", "tornado").assert_outcomes(passed=1)
