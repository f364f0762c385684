"""Digest authentication with servers and proxies that others have made."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from digest_servers import (
    needs_apache,
    needs_lighttpd,
    prepare,
    running_apache,
    running_lighttpd,
    statuses,
)
from http_servers import APP, echoed
from proxy import free_port
from support import Server, running_server
from typhoon.simple_httpclient import HTTPProxyError, SimpleAsyncHTTPClient
from typhoon.testing import AsyncHTTPSTestCase
from typhoon.web import Application, RequestHandler

pytestmark = pytest.mark.gen_test
"""Coroutines run on a loop of Typhoon's plugin."""

USERS = {"me": "secret", "m\u00fcller": "gr\u00fc\u00df dich"}
ME = {"auth_mode": "digest", "auth_username": "me", "auth_password": "secret"}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that any user may read, as Apache is another user."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        prepare(folder, USERS)
        yield folder


@needs_lighttpd
@pytest.mark.parametrize("name", ["md5", "sha", "both", "hashed"])
@pytest.mark.parametrize("username", USERS)
async def test_lighttpd(
    client: SimpleAsyncHTTPClient, folder: Path, username: str, name: str
) -> None:
    port = free_port()
    with running_lighttpd(folder, port):
        for _ in range(2):
            response = await client.fetch(
                f"http://127.0.0.1:{port}/{name}/file",
                auth_mode="digest",
                auth_username=username,
                auth_password=USERS[username],
            )
            assert response.body == name.encode()
        client.close()  # lighttpd writes its log when it ends
    assert await statuses(folder, 3) == ["200", "200", "401"]


@needs_apache
async def test_apache(client: SimpleAsyncHTTPClient, folder: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/md5/file"
    with running_apache(folder, port):
        for path in ("", "?a=b", "?a=%22"):
            assert (await client.fetch(url + path, **ME)).body == b"md5"
        assert await statuses(folder, 4) == ["200", "200", "200", "401"]
        response = await client.fetch(url, **{**ME, "auth_password": "no"}, raise_error=False)
        assert response.code == 401
        response = await client.fetch(url.replace("//", "//me:secret@"), auth_mode="digest")
        assert response.body == b"md5"
        response = await client.fetch(url, raise_error=False)
        assert response.code == 401
    (folder / "access").unlink()
    with running_apache(folder, port):  # which knows none of its nonces any more
        assert (await client.fetch(url, **ME)).body == b"md5"
        assert await statuses(folder, 2) == ["200", "401"]


SSL = AsyncHTTPSTestCase.default_ssl_options()
PROXY = {
    "proxy_host": "127.0.0.1",
    "proxy_username": "me",
    "proxy_password": "secret",
    "proxy_auth_mode": "digest",
}


@needs_apache
async def test_apache_as_a_proxy(
    client: SimpleAsyncHTTPClient, server: Server, folder: Path
) -> None:
    port = free_port()
    with running_apache(folder, port):
        for _ in range(2):
            response = await client.fetch(
                server.url("/echo?a=b"), method="POST", body="c", proxy_port=port, **PROXY
            )
            seen = echoed(response)
            assert (seen["method"], seen["body"]) == ("POST", "c")
            assert "Proxy-Authorization" not in seen["headers"]
        assert await statuses(folder, 3) == ["200", "200", "407"]
        wrong = {**PROXY, "proxy_password": "wrong"}
        response = await client.fetch(
            server.url("/echo"), proxy_port=port, **wrong, raise_error=False
        )
        assert response.code == 407


@needs_apache
async def test_tunnels_of_apache(client: SimpleAsyncHTTPClient, folder: Path) -> None:
    port = free_port()
    with running_apache(folder, port), running_server(APP, ssl_options=SSL) as server:
        url = server.url("/echo").replace("http:", "https:")
        options = {"proxy_port": port, "validate_cert": False}
        for headers in ({}, {"Connection": "close"}, {}):
            seen = echoed(await client.fetch(url, headers=headers, **options, **PROXY))
            assert "Proxy-Authorization" not in seen["headers"]
        with pytest.raises(HTTPProxyError, match="407"):
            await client.fetch(url, **options, **{**PROXY, "proxy_password": "wrong"})
        client.close()
        # One 407 for the first tunnel, none for the second, two for the wrong password. Tunnels
        # come into the log when they end.
        assert await statuses(folder, 5) == ["200"] * 2 + ["407"] * 3


# What those do not show.


class Challenging(RequestHandler):
    """Asks everybody who sends no Authorization, and those who send one with an old nonce."""

    nonce = 0
    seen: list[tuple[str | None, bytes]]

    def prepare(self) -> None:
        authorization = self.request.headers.get("Authorization")
        self.seen.append((authorization, self.request.body))
        if self.path_args[0] == "never" or f'nonce="{self.nonce}"' not in str(authorization):
            challenge = f'Digest realm="r", nonce="{self.nonce}", qop="auth"'
            self.set_header("WWW-Authenticate", f'Basic realm="r", {challenge}')
            self.set_status(401)
            self.finish("a challenge")
        else:
            self.finish("content")


@pytest.fixture
def handler(serve: Callable[..., Server]) -> type[Challenging]:
    return type("Handler", (Challenging,), {"seen": []})


async def test_the_body_is_sent_again(
    client: SimpleAsyncHTTPClient, serve: Callable[..., Server], handler: type[Challenging]
) -> None:
    url = serve(Application([("/(.*)", handler)])).url("/")
    calls = []

    async def produce(write: Callable[[bytes], Awaitable[None]]) -> None:
        calls.append(write)
        await write(b"produced")

    for options in ({"body": b"given"}, {"body_producer": produce}):
        response = await client.fetch(f"{url}always", method="POST", **options, **ME)
        assert response.body == b"content"
        assert response.request_time > 0
    assert [body for _, body in handler.seen] == [b"given", b"given", b"produced"]
    handler.nonce = 100
    response = await client.fetch(f"{url}always", method="PUT", body_producer=produce, **ME)
    assert [body for _, body in handler.seen[3:]] == [b"produced"] * 2
    assert len(calls) == 3


async def test_callbacks_do_not_see_the_challenge(
    client: SimpleAsyncHTTPClient, serve: Callable[..., Server], handler: type[Challenging]
) -> None:
    url = serve(Application([("/(.*)", handler)])).url("/")
    lines: list[str] = []
    chunks: list[bytes] = []
    callbacks = {"header_callback": lines.append, "streaming_callback": chunks.append}
    await client.fetch(f"{url}always", **callbacks, **ME)
    assert [line for line in lines if line.startswith("HTTP/")] == ["HTTP/1.1 200 OK\r\n"]
    assert chunks == [b"content"]
    chunks.clear()
    response = await client.fetch(f"{url}never", raise_error=False, **callbacks, **ME)
    assert response.code == 401
    assert b"".join(chunks) == b"a challenge"


async def test_a_second_challenge_is_the_result(
    client: SimpleAsyncHTTPClient, serve: Callable[..., Server], handler: type[Challenging]
) -> None:
    url = serve(Application([("/(.*)", handler)])).url("/")
    response = await client.fetch(f"{url}never", raise_error=False, **ME)
    assert (response.code, response.body) == (401, b"a challenge")
    assert [authorization is not None for authorization, _ in handler.seen] == [False, True]


async def test_nothing_is_sent_without_a_user_name(
    client: SimpleAsyncHTTPClient, serve: Callable[..., Server], handler: type[Challenging]
) -> None:
    url = serve(Application([("/(.*)", handler)])).url("/")
    response = await client.fetch(f"{url}always", auth_mode="digest", raise_error=False)
    assert response.code == 401
    assert handler.seen == [(None, b"")]


async def test_a_nonce_that_is_too_old(
    client: SimpleAsyncHTTPClient, serve: Callable[..., Server], handler: type[Challenging]
) -> None:
    url = serve(Application([("/(.*)", handler)])).url("/always")
    for nonce, counts in ((0, [1, 2]), (7, [3, 1, 2])):
        handler.nonce = nonce
        handler.seen.clear()
        for _ in range(2):
            assert (await client.fetch(url, **ME)).body == b"content"
        sent = [authorization for authorization, _ in handler.seen if authorization]
        assert [f"nc={count:08x}" in text for count, text in zip(counts, sent, strict=True)]
        assert len(handler.seen) == 3
