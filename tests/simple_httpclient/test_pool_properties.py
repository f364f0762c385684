"""The connection pool against a model, under whatever order of events."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from test_pool import PROGRESS, A, B, FakeConnection, settled

from typhoon.simple_httpclient.pool import Pool
from typhoon.simple_httpclient.route import Route

ROUTES = st.sampled_from((A, B))
LIMIT = 3
MAX_IDLE = 2
IDLE_TIMEOUT = 10.0


class PoolModel(RuleBasedStateMachine):
    """Requests come, end, fail and are cancelled; servers close; time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.ahead = 0.0
        self.loop.time = lambda: self.ahead  # type: ignore[method-assign]
        self.making: dict[asyncio.Future[None], Route] = {}
        self.made: dict[FakeConnection, Route] = {}
        self.acquiring: list[tuple[Route, asyncio.Task[FakeConnection]]] = []
        self.busy: list[tuple[Route, FakeConnection]] = []
        self.idle: dict[FakeConnection, tuple[Route, float]] = {}
        """What may be idle, the latest last, and until when it may be used."""
        self.run(self.begin())

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(coroutine, 30))

    async def begin(self) -> None:
        self.pool = Pool(self.make, LIMIT, MAX_IDLE, IDLE_TIMEOUT)

    async def make(self, route: Route, progress: object) -> FakeConnection:
        future = self.loop.create_future()
        self.making[future] = route
        try:
            await future
        finally:
            del self.making[future]
        connection = FakeConnection()
        self.made[connection] = route
        return connection

    async def settle(self) -> None:
        """Let everything happen that can; collect who got a connection."""
        for _ in range(8):
            await asyncio.sleep(0)
        waiting = self.acquiring
        self.acquiring = [one for one in waiting if not one[1].done()]
        for route, task in waiting:
            if task.done() and not task.cancelled() and task.exception() is None:
                connection = task.result()
                assert connection not in [other for _, other in self.busy]
                assert self.made[connection] == route
                assert connection.is_reusable
                self.idle.pop(connection, None)
                self.busy.append((route, connection))
        self.idle = {one: about for one, about in self.idle.items() if not one.closed}

    @rule(route=ROUTES, fresh=st.sampled_from((False, False, True)), at_once=st.booleans())
    def acquire(self, route: Route, fresh: bool, at_once: bool) -> None:
        async def main() -> None:
            usable = [
                one
                for one, (its_route, until) in self.idle.items()
                if its_route == route and until > self.ahead and one.is_reusable
            ]
            task = asyncio.ensure_future(self.pool.acquire(route, PROGRESS, fresh))
            self.acquiring.append((route, task))
            await self.settle()
            if usable and not fresh:
                assert task.done()
                assert task.result() is usable[-1]
            else:
                assert not task.done()
                if at_once and route in self.making.values():
                    await self.let_one_be_made(route)

        self.run(main())

    async def let_one_be_made(self, route: Route) -> None:
        next(one for one, its_route in self.making.items() if its_route == route).set_result(None)
        await self.settle()

    @precondition(lambda self: self.making)
    @rule(data=st.data(), works=st.booleans())
    def finish_making(self, data: st.DataObject, works: bool) -> None:
        future = data.draw(st.sampled_from(list(self.making)))
        if works:
            future.set_result(None)
        else:
            future.set_exception(ConnectionRefusedError())
        self.run(self.settle())

    @precondition(lambda self: self.acquiring)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        _, task = data.draw(st.sampled_from(self.acquiring))
        task.cancel()
        self.run(self.settle())
        assert task.cancelled()

    @precondition(lambda self: self.busy)
    @rule(data=st.data(), reusable=st.booleans(), cancels=st.booleans())
    def release(self, data: st.DataObject, reusable: bool, cancels: bool) -> None:
        async def main() -> None:
            route, connection = data.draw(st.sampled_from(self.busy))
            self.busy.remove((route, connection))
            connection.is_reusable = reusable
            self.idle[connection] = route, self.ahead + IDLE_TIMEOUT
            self.pool.release(route, connection)
            if cancels:  # in the turn in which somebody gets it, or its place
                for its_route, task in self.acquiring:
                    if its_route == route:
                        task.cancel()
                        break
            await self.settle()

        self.run(main())

    @precondition(lambda self: self.idle)
    @rule(data=st.data(), tells=st.booleans())
    def close_by_server(self, data: st.DataObject, tells: bool) -> None:
        connection = data.draw(st.sampled_from(list(self.idle)))
        if tells:
            connection.closed_by_server()
            assert connection.closed
        connection.is_reusable = False
        self.run(self.settle())

    @rule(seconds=st.sampled_from((0.4, 5.0, 9.8, 12.0)))
    def pass_time(self, seconds: float) -> None:
        self.ahead += seconds
        self.run(self.settle())
        over = [one for one, (_, until) in self.idle.items() if until + 1.0 <= self.ahead]
        assert not over, "idle connections are closed at most a second late"

    @invariant()
    def limits_hold(self) -> None:
        alive = [one for one in self.made if not one.closed]
        idle = [one for one in alive if one not in [other for _, other in self.busy]]
        assert set(idle) == set(self.idle)
        assert len(idle) <= MAX_IDLE
        for route in (A, B):
            being_made = sum(its_route == route for its_route in self.making.values())
            there = being_made + sum(self.made[one] == route for one in alive)
            assert there <= LIMIT
            wanting = sum(its_route == route for its_route, _ in self.acquiring)
            if wanting > being_made:
                assert there == LIMIT, "somebody waits though there is a place"

    def teardown(self) -> None:
        async def main() -> None:
            self.pool.close()
            for _, task in self.acquiring:
                task.cancel()
                await settled(task)
            await self.settle()

        self.run(main())
        assert all(one.closed for one in self.made)
        assert not any((self.pool._idle, self.pool._idle_count, self.pool._connections))
        assert not any((self.pool._counts, self.pool._waiting))
        self.run(self.loop.shutdown_asyncgens())
        self.loop.close()


TestPool = PoolModel.TestCase
TestPool.settings = settings(max_examples=50, stateful_step_count=50, deadline=None)
