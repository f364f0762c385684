"""Whatever chain of redirects servers make up, credentials stay with their origin."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support import Server, running_server
from typhoon.httputil import HTTPServerRequest
from typhoon.simple_httpclient import SimpleAsyncHTTPClient
from typhoon.web import Application, RequestHandler

SECRET = "c2VjcmV0"
"""Is `secret` in base64, and what is found wherever a secret went."""

CREDENTIALS: dict[str, dict[str, Any]] = {
    "authorization": {"headers": {"Authorization": SECRET}},
    "cookie": {"headers": {"Cookie": SECRET}},
    "proxy-authorization": {"headers": {"Proxy-Authorization": SECRET}},
    "host": {"headers": {"Host": SECRET}},
    "arguments": {"auth_username": "me", "auth_password": "secret"},
    "digest": {"auth_username": SECRET, "auth_password": "x", "auth_mode": "digest"},
    "url": {},
}


@dataclass
class Hop:
    """A redirect: how it is said, and where it leads."""

    status: int
    origin: int
    form: str


HOPS = st.builds(
    Hop,
    st.sampled_from([301, 302, 303, 307, 308]),
    st.integers(0, 2),
    st.sampled_from(["absolute", "relative", "protocol", "capitals", "user", "fragment"]),
)


class World:
    """Two servers, of which one has two names: so three origins; and what they were asked."""

    def __init__(self, servers: list[Server]) -> None:
        first, second = (server.port for server in servers)
        self.origins = [f"127.0.0.1:{first}", f"127.0.0.1:{second}", f"localhost:{first}"]
        self.begin([], challenging=False)

    def begin(self, hops: list[Hop], challenging: bool) -> None:
        self.hops = hops
        self.challenging = challenging
        self.challenged = False
        self.asked: list[tuple[str, HTTPServerRequest]] = []

    def location(self, number: int, place: str) -> str:
        hop = self.hops[number]
        path = f"/{number + 1}"
        origin = self.origins[hop.origin]
        match hop.form:
            case "relative" if origin == place:
                return path
            case "protocol":
                return f"//{origin}{path}"
            case "capitals":
                return f"HTTP://{origin.upper()}{path}"
            case "user":
                return f"http://other:word@{origin}{path}"
            case "fragment":
                return f"http://{origin}{path}#@{self.origins[0]}"
        return f"http://{origin}{path}"


WORLD: World


class Redirecting(RequestHandler):
    def prepare(self) -> None:
        world, number = WORLD, int(self.path_args[0])
        place = world.origins[world.hops[number - 1].origin if number else 0]
        world.asked.append((place, self.request))
        is_last = number == len(world.hops)
        is_known = "Authorization" in self.request.headers
        # Who redirects without asking gets further.
        if world.challenging and not is_known and (place == world.origins[0] or is_last):
            world.challenged = True
            self.set_status(401)
            self.set_header("WWW-Authenticate", 'Digest realm="r", nonce="n", qop="auth"')
        elif not is_last:
            self.set_status(world.hops[number].status)
            self.set_header("Location", world.location(number, place))
        self.finish()


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    global WORLD
    app = Application([("/([0-9]+)", Redirecting)])
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(running_server(app)) for _ in range(2)]
        WORLD = World(servers)
        yield WORLD


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(list(CREDENTIALS)),
    method=st.sampled_from(["GET", "POST", "PUT", "HEAD"]),
    hops=st.lists(HOPS, max_size=6),
)
def test_chains(
    world: World, runner: asyncio.Runner, kind: str, method: str, hops: list[Hop]
) -> None:
    world.begin(hops, challenging=kind == "digest")

    async def fetch() -> None:
        user = "me:secret@" if kind == "url" else ""
        body = b"body" if method in ("POST", "PUT") else None
        with contextlib.closing(SimpleAsyncHTTPClient(force_instance=True)) as client:
            response = await client.fetch(
                f"http://{user}{world.origins[0]}/0",
                method=method,
                body=body,
                max_redirects=len(hops),
                raise_error=False,
                **CREDENTIALS[kind],
            )
            # Where there is no password any more, the challenge is the result.
            assert response.code == 200 or (response.code == 401 and world.challenged)

    runner.run(fetch())
    at_home, seen, carried = True, 0, []
    for place, request in world.asked:
        at_home = at_home and place == world.origins[0]
        carried = [name for name, value in request.headers.get_all() if SECRET in value]
        seen += bool(carried)
        assert at_home or not carried
        assert request.headers["Host"].lower() == place or (kind == "host" and at_home)
    if kind != "host" and not any(hop.form == "user" for hop in hops):
        stays = next((n for n, hop in enumerate(hops) if hop.origin != 0), len(hops))
        assert seen == stays + 1
