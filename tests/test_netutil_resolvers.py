"""Host names and the addresses that they stand for."""

import asyncio
import os
import socket
from collections.abc import Callable
from concurrent import futures
from typing import Any

import pytest

from support import new_event_loop
from typhoon.netutil import (
    BlockingResolver,
    DefaultExecutorResolver,
    DefaultLoopResolver,
    ExecutorResolver,
    OverrideResolver,
    Resolver,
    ThreadedResolver,
)

KINDS = [
    BlockingResolver,
    DefaultExecutorResolver,
    DefaultLoopResolver,
    ExecutorResolver,
    ThreadedResolver,
]
each_kind = pytest.mark.parametrize("kind", KINDS)


def resolve(loop_kind: str, resolver: Resolver, *args: Any) -> list[tuple[int, Any]]:
    """The addresses, from a resolver that is closed then."""

    async def main() -> list[tuple[int, Any]]:
        try:
            return await resolver.resolve(*args)
        finally:
            resolver.close()

    with asyncio.Runner(loop_factory=lambda: new_event_loop(loop_kind)) as runner:
        return runner.run(main())


@each_kind
def test_localhost(loop_kind: str, kind: Callable[[], Resolver]) -> None:
    found = resolve(loop_kind, kind(), "localhost", 80)
    assert set(found) <= {(socket.AF_INET, ("127.0.0.1", 80)), (socket.AF_INET6, ("::1", 80, 0, 0))}
    assert len(set(found)) == len(found) > 0


@each_kind
def test_one_family(loop_kind: str, kind: Callable[[], Resolver]) -> None:
    found = resolve(loop_kind, kind(), "localhost", 80, socket.AF_INET)
    assert found == [(socket.AF_INET, ("127.0.0.1", 80))]


@each_kind
def test_an_address_stands_for_itself(loop_kind: str, kind: Callable[[], Resolver]) -> None:
    assert resolve(loop_kind, kind(), "::1", 80) == [(socket.AF_INET6, ("::1", 80, 0, 0))]


@each_kind
@pytest.mark.parametrize("name", ["no such host", "a..b", "x" * 70, "nul\0.test"])
def test_an_unresolvable_name_is_named(
    loop_kind: str, kind: Callable[[], Resolver], name: str
) -> None:
    with pytest.raises(socket.gaierror, match="cannot resolve") as caught:
        resolve(loop_kind, kind(), name, 80)
    assert repr(name) in str(caught.value)


@each_kind
def test_an_address_of_the_other_family_is_named(
    loop_kind: str, kind: Callable[[], Resolver]
) -> None:
    with pytest.raises(socket.gaierror, match=r"cannot resolve '127\.0\.0\.1'"):
        resolve(loop_kind, kind(), "127.0.0.1", 80, socket.AF_INET6)


@each_kind
@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_out_of_range_is_named(
    loop_kind: str, kind: Callable[[], Resolver], port: int
) -> None:
    with pytest.raises(ValueError, match=f"port {port} is not between 0 and 65535"):
        resolve(loop_kind, kind(), "localhost", port)


def test_the_default_kind_and_others() -> None:
    assert type(Resolver()) is DefaultLoopResolver
    Resolver.configure("typhoon.netutil.BlockingResolver")
    try:
        assert type(Resolver()) is BlockingResolver
    finally:
        Resolver.configure(None)


def test_an_executor_is_closed_unless_it_is_not_to_be() -> None:
    with futures.ThreadPoolExecutor(1) as kept, futures.ThreadPoolExecutor(1) as closed:
        ExecutorResolver(executor=kept, close_executor=False).close()
        assert kept.submit(abs, -1).result() == 1
        resolver = ExecutorResolver(executor=closed)
        resolver.close()
        resolver.close()
        with pytest.raises(RuntimeError):
            closed.submit(abs, -1)


def test_threaded_resolvers_share_their_threads() -> None:
    first, second = ThreadedResolver(), ThreadedResolver(num_threads=3)
    assert first.executor is second.executor
    shared = first.executor
    first.close()
    assert shared.submit(abs, -1).result() == 1


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python 3.12, with threads
def test_a_forked_process_has_threads_of_its_own() -> None:
    ThreadedResolver().executor.submit(abs, -1).result()
    child = os.fork()
    if child == 0:
        try:
            answer = ThreadedResolver().executor.submit(abs, -1).result(10)
            os._exit(0 if answer == 1 else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


class Recorder(Resolver):
    """Gives what it was asked."""

    def initialize(self) -> None:
        self.closed = False

    async def resolve(  # type: ignore[override]
        self, host: str, port: int, family: int = socket.AF_UNSPEC
    ) -> list[tuple[int, Any]]:
        return [(family, (host, port))]

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (("example.com", 80, socket.AF_INET), ("127.0.1.1", 80)),
        (("example.com", 443, socket.AF_INET), ("localhost", 1443)),
        (("example.com", 443, socket.AF_INET6), ("::1", 2443)),
        (("other.example", 443, socket.AF_INET), ("other.example", 443)),
    ],
)
def test_the_most_exact_entry_overrides(asked: Any, expected: Any) -> None:
    mapping = {
        "example.com": "127.0.1.1",
        ("example.com", 443): ("localhost", 1443),
        ("example.com", 443, socket.AF_INET6): ("::1", 2443),
    }
    recorder = Recorder()
    found = resolve("asyncio", OverrideResolver(recorder, mapping), *asked)
    assert found == [(asked[2], expected)]
    assert recorder.closed
