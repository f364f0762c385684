"""The connection to asyncio."""

import asyncio
import platform
import subprocess
import sys
from collections.abc import Generator
from concurrent import futures

import pytest

import typhoon.platform.asyncio
from typhoon import gen
from typhoon.platform.asyncio import to_asyncio_future, to_tornado_future


def test_the_modules_of_the_standard_library_are_not_hidden() -> None:
    assert platform.system()
    assert asyncio.run is typhoon.platform.asyncio.asyncio.run
    program = "import platform; print(platform.python_version())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == platform.python_version()


def test_futures_are_those_of_asyncio() -> None:
    @gen.coroutine
    def coroutine() -> Generator[object, object, int]:
        yield gen.moment
        return 42

    async def native() -> int:
        return 43

    async def main() -> None:
        future = asyncio.get_running_loop().create_future()
        assert to_tornado_future(future) is future
        assert to_asyncio_future(future) is future
        future.cancel()
        assert await to_asyncio_future(coroutine()) == 42
        assert await to_asyncio_future(native()) == 43
        assert await to_asyncio_future([coroutine(), native()]) == [42, 43]

    asyncio.run(main())


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="policies are deprecated")
def test_any_thread_event_loop_policy() -> None:
    with pytest.warns(DeprecationWarning, match="asyncio.new_event_loop"):
        policy = typhoon.platform.asyncio.AnyThreadEventLoopPolicy
    with pytest.warns(DeprecationWarning, match="deprecated") as caught:
        assert typhoon.platform.asyncio.AnyThreadEventLoopPolicy is policy
    assert caught[0].filename == __file__

    def loop_of_thread() -> asyncio.AbstractEventLoop:
        loop = asyncio.get_event_loop()
        assert asyncio.get_event_loop() is loop
        loop.close()
        return loop

    before = asyncio.get_event_loop_policy()
    asyncio.set_event_loop_policy(policy())
    try:
        with futures.ThreadPoolExecutor(1) as pool:
            assert isinstance(pool.submit(loop_of_thread).result(), asyncio.AbstractEventLoop)
    finally:
        asyncio.set_event_loop_policy(before)


def test_an_unknown_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        typhoon.platform.asyncio.nothing
