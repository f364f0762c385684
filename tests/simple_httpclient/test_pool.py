"""The connection pool, with connections that only say that they are."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from typhoon.httpclient import HTTPRequest
from typhoon.simple_httpclient.errors import HTTPStreamClosedError
from typhoon.simple_httpclient.pool import Pool
from typhoon.simple_httpclient.progress import Progress
from typhoon.simple_httpclient.route import Route

A, B = Route("a", 80), Route("b", 80)
PROGRESS = Progress(HTTPRequest("http://a/"))


class FakeConnection:
    """Stands for a connection."""

    def __init__(self, keep_alive_timeout: float | None = None) -> None:
        self.is_reusable = True
        self.keep_alive_timeout = keep_alive_timeout
        self.on_idle_close: Callable[[], object] | None = None
        self.closed = False

    def close(self) -> None:
        self.is_reusable, self.closed = False, True

    abort = close

    def closed_by_server(self) -> None:
        self.is_reusable = False
        if self.on_idle_close is not None:
            self.on_idle_close()


class Clock:
    """A loop's time, which passes when it is told to."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._time, self._ahead = loop.time, 0.0
        loop.time = lambda: self._time() + self._ahead  # type: ignore[method-assign]

    async def forward(self, seconds: float) -> None:
        """Let time pass, and everything happen that is due then."""
        self._ahead += seconds
        for _ in range(3):
            await asyncio.sleep(0)


class Making:
    """Makes connections, at once or when it is told to."""

    def __init__(self) -> None:
        self.made: list[FakeConnection] = []
        self.hint: float | None = None
        self.hold: asyncio.Event | None = None
        self.error: Exception | None = None

    async def __call__(self, route: Route, progress: Progress) -> FakeConnection:
        if self.hold is not None:
            await self.hold.wait()
        if self.error is not None:
            raise self.error
        self.made.append(FakeConnection(self.hint))
        return self.made[-1]


@asynccontextmanager
async def pools(**settings: Any) -> AsyncIterator[tuple[Pool[FakeConnection], Making]]:
    making = Making()
    pool = Pool(making, **settings)
    yield pool, making
    pool.close()
    assert all(connection.closed for connection in making.made)


Run = Callable[[Callable[[], Awaitable[None]]], None]


async def settled(task: "asyncio.Task[Any]") -> "asyncio.Task[Any]":
    """The task, when it can go no further."""
    for _ in range(3):
        await asyncio.sleep(0)
    return task


async def acquiring(
    pool: Pool[FakeConnection], route: Route = A, fresh: bool = False
) -> "asyncio.Task[FakeConnection]":
    return await settled(asyncio.ensure_future(pool.acquire(route, PROGRESS, fresh)))


def test_a_connection_is_used_again(run: Run) -> None:
    async def main() -> None:
        async with pools() as (pool, making):
            first = await pool.acquire(A, PROGRESS)
            assert pool.take_idle(A) is None
            pool.release(A, first)
            assert await pool.acquire(A, PROGRESS) is first
            assert len(making.made) == 1

    run(main)


def test_a_route_of_its_own_gets_a_connection_of_its_own(run: Run) -> None:
    async def main() -> None:
        async with pools() as (pool, _making):
            first = await pool.acquire(A, PROGRESS)
            pool.release(A, first)
            assert pool.take_idle(B) is None
            assert await pool.acquire(B, PROGRESS) is not first

    run(main)


def test_the_last_used_is_taken_first(run: Run) -> None:
    async def main() -> None:
        async with pools() as (pool, _making):
            taken = [await pool.acquire(A, PROGRESS) for _ in range(3)]
            for connection in taken:
                pool.release(A, connection)
            assert [pool.take_idle(A) for _ in range(4)] == [*reversed(taken), None]

    run(main)


def test_fresh_means_new(run: Run) -> None:
    async def main() -> None:
        async with pools() as (pool, _making):
            first = await pool.acquire(A, PROGRESS)
            pool.release(A, first)
            assert await pool.acquire(A, PROGRESS, fresh=True) is not first
            assert pool.take_idle(A) is first

    run(main)


def test_what_cannot_be_used_is_closed(run: Run) -> None:
    async def main() -> None:
        async with pools() as (pool, making):
            first = await pool.acquire(A, PROGRESS)
            first.is_reusable = False
            pool.release(A, first)
            assert first.closed
            second = await pool.acquire(A, PROGRESS)
            pool.release(A, second)
            second.is_reusable = False  # and nobody has told
            assert pool.take_idle(A) is None
            assert second.closed
            assert len(making.made) == 2

    run(main)


def test_what_the_server_closes_is_dropped_at_once(run: Run) -> None:
    async def main() -> None:
        async with pools() as (pool, _making):
            first, second = [await pool.acquire(A, PROGRESS) for _ in range(2)]
            pool.release(A, first)
            pool.release(A, second)
            first.closed_by_server()
            assert (first.closed, second.closed) == (True, False)
            assert first.on_idle_close is None
            assert pool.take_idle(A) is second

    run(main)


def test_the_oldest_goes_when_there_are_too_many(run: Run) -> None:
    async def main() -> None:
        async with pools(max_idle_connections=2) as (pool, _making):
            first = await pool.acquire(A, PROGRESS)
            second = await pool.acquire(B, PROGRESS)
            third = await pool.acquire(B, PROGRESS)
            for route, connection in ((A, first), (B, second), (B, third)):
                pool.release(route, connection)
            assert [one.closed for one in (first, second, third)] == [True, False, False]

    run(main)


def test_none_is_kept_where_none_may_be_idle(run: Run) -> None:
    async def main() -> None:
        async with pools(max_idle_connections=0) as (pool, _making):
            first = await pool.acquire(A, PROGRESS)
            pool.release(A, first)
            assert first.closed

    run(main)


@pytest.mark.parametrize(
    ("hint", "seconds"), [(None, 15.0), (60, 15.0), (5, 4.0), (1, 0.5), (0, 0.0)]
)
def test_idle_time(hint: float | None, seconds: float) -> None:
    async def main() -> None:
        clock = Clock(asyncio.get_running_loop())
        async with pools() as (pool, making):
            making.hint = hint
            first = await pool.acquire(A, PROGRESS)
            pool.release(A, first)
            if seconds:
                await clock.forward(seconds - 0.25)
                assert pool.take_idle(A) is first
                pool.release(A, first)
            await clock.forward(seconds)
            assert pool.take_idle(A) is None
            assert first.closed

    asyncio.run(main())


def test_idle_connections_end_without_anybody_looking() -> None:
    async def main() -> None:
        clock = Clock(asyncio.get_running_loop())
        async with pools(idle_timeout=10) as (pool, making):
            first, second, third = [await pool.acquire(A, PROGRESS) for _ in range(3)]
            third.keep_alive_timeout = 4
            pool.release(A, first)
            await clock.forward(5)
            pool.release(A, second)
            pool.release(A, third)
            await clock.forward(3)
            assert [one.closed for one in making.made] == [False, False, True]
            await clock.forward(2)
            assert [one.closed for one in making.made] == [True, False, True]
            await clock.forward(5)
            assert [one.closed for one in making.made] == [True, True, True]

    asyncio.run(main())


def test_a_limit_makes_others_wait_in_order(run: Run) -> None:
    async def main() -> None:
        async with pools(max_connections_per_origin=2) as (pool, making):
            first, second = [await pool.acquire(A, PROGRESS) for _ in range(2)]
            waiting = [await acquiring(pool) for _ in range(3)]
            other = await pool.acquire(B, PROGRESS)  # whose limit is its own
            assert not any(task.done() for task in waiting)
            pool.release(A, second)
            assert await waiting[0] is second
            first.is_reusable = False
            pool.release(A, first)
            third = await waiting[1]
            assert third is making.made[-1]
            pool.release(A, third)
            assert await waiting[2] is third
            assert other not in (first, second, third)
            assert len(making.made) == 4

    run(main)


def test_a_connection_that_fails_leaves_its_place(run: Run) -> None:
    async def main() -> None:
        async with pools(max_connections_per_origin=1) as (pool, making):
            making.hold, making.error = asyncio.Event(), ConnectionRefusedError("no")
            first, second = await acquiring(pool), await acquiring(pool)
            making.hold.set()
            for task in (first, second):
                with pytest.raises(ConnectionRefusedError, match="no"):
                    await task
            making.error = None
            await pool.acquire(A, PROGRESS)

    run(main)


def test_cancellation_leaves_the_place(run: Run) -> None:
    async def main() -> None:
        async with pools(max_connections_per_origin=1) as (pool, making):
            making.hold = asyncio.Event()
            making_one = await acquiring(pool)
            waiting = [await acquiring(pool) for _ in range(2)]
            waiting[0].cancel()
            making_one.cancel()
            await settled(waiting[1])
            assert making_one.cancelled()
            assert waiting[0].cancelled()
            making.hold.set()
            assert await waiting[1] is making.made[0]

    run(main)


def test_cancellation_in_the_turn_of_the_hand_over(run: Run) -> None:
    async def main() -> None:
        async with pools(max_connections_per_origin=1) as (pool, making):
            first = await pool.acquire(A, PROGRESS)
            waiting = [await acquiring(pool) for _ in range(2)]
            pool.release(A, first)
            waiting[0].cancel()
            assert await waiting[1] is first
            third = await acquiring(pool)
            fourth = await acquiring(pool)
            first.is_reusable = False
            pool.release(A, first)  # which gives its place to the third
            third.cancel()
            assert await fourth is making.made[1]

    run(main)


def test_a_fresh_one_takes_the_place_of_an_idle_one(run: Run) -> None:
    async def main() -> None:
        async with pools(max_connections_per_origin=1) as (pool, _making):
            first = await pool.acquire(A, PROGRESS)
            pool.release(A, first)
            second = await pool.acquire(A, PROGRESS, fresh=True)
            assert first.closed
            waiting = await acquiring(pool, fresh=True)
            behind = await acquiring(pool)
            pool.release(A, second)
            third = await waiting
            assert second.closed
            assert third is not second
            pool.release(A, third)
            assert await behind is third

    run(main)


def test_close_ends_all(run: Run) -> None:
    async def main() -> None:
        async with pools(max_connections_per_origin=2) as (pool, making):
            busy, idle = [await pool.acquire(A, PROGRESS) for _ in range(2)]
            waiting = await acquiring(pool)
            pool.release(B, await pool.acquire(B, PROGRESS))
            pool.close()
            assert all(one.closed for one in making.made)
            with pytest.raises(HTTPStreamClosedError, match="closed"):
                await waiting
            pool.release(A, busy)
            pool.release(A, idle)
            assert pool.take_idle(A) is None
            late = await pool.acquire(A, PROGRESS)
            pool.release(A, late)
            assert late.closed

    run(main)


def test_a_limit_of_nothing_is_refused() -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="max_connections_per_origin=0 lets no request run"):
            Pool(Making(), max_connections_per_origin=0)

    asyncio.run(main())
