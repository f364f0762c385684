"""A client on each kind of loop, and a server."""

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from authority import Authority, make_authority
from http_servers import APP
from support import Server, new_event_loop
from typhoon.ioloop import IOLoop
from typhoon.simple_httpclient import SimpleAsyncHTTPClient
from typhoon.testing.loops import TestLoop

pytest.register_assert_rewrite("hostile")


@pytest.fixture
def io_loop(loop_kind: str) -> Iterator[IOLoop]:
    """Each kind of loop in turn."""
    loop = TestLoop(lambda: IOLoop(make_current=False, asyncio_loop=new_event_loop(loop_kind)))
    yield loop.io_loop
    loop.close()


@pytest.fixture
def client(io_loop: IOLoop, serve: Callable[..., Server]) -> Iterator[SimpleAsyncHTTPClient]:
    """A client, which is closed before servers are: they wait for its connections."""
    with closing(SimpleAsyncHTTPClient(force_instance=True)) as client:
        yield client


@pytest.fixture
def limited(io_loop: IOLoop) -> Iterator[SimpleAsyncHTTPClient]:
    """A client that takes small bodies only."""
    from hostile import LIMIT

    with closing(SimpleAsyncHTTPClient(force_instance=True, max_body_size=LIMIT)) as client:
        yield client


@pytest.fixture
def server(serve: Callable[..., Server]) -> Server:
    return serve(APP)


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A fault of the server's is no warning, and nothing in the client is left unhandled."""
    from hostile import is_alarming

    yield
    assert [record.getMessage() for record in caplog.records if is_alarming(record)] == []


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def tls_server(serve: Callable[..., Server], authority: Authority) -> Server:
    return serve(APP, ssl_options=authority.server_context())
