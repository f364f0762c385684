"""Programs that end, in whichever way, without a word about connections that were kept."""

import asyncio
import subprocess
import sys
from collections.abc import Callable

import pytest

from authority import Authority
from support import TIMEOUT, Server
from typhoon.web import Application, RequestHandler

FETCH = """
import asyncio, gc, logging, os, sys
from typhoon.httpclient import AsyncHTTPClient, HTTPClient
from typhoon.ioloop import IOLoop

# Not what asyncio says of callbacks that take long on a machine with much to do.
logging.getLogger("asyncio").addFilter(lambda record: record.levelno > logging.WARNING)
*urls, ca = sys.argv[1:]

async def fetch(*_):
    client = AsyncHTTPClient()
    fetches = [client.fetch(url, ca_certs=ca) for url in urls for _ in range(2)]
    assert all(response.code == 200 for response in await asyncio.gather(*fetches))
    assert sum(map(len, client.pool._idle.values())) == 4

def sockets():
    gc.collect()
    found = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{fd}"))
        except FileNotFoundError:
            pass  # the one of the directory
    return [one for one in found if one.startswith("socket:")]
"""

ENDS = {
    "asyncio.run": "asyncio.run(fetch())",
    "asyncio.run, while a fetch runs": """
async def begin():
    await fetch()
    for url in urls:
        AsyncHTTPClient().fetch(url + "slow", ca_certs=ca)
    await asyncio.sleep(0.05)
asyncio.run(begin())
""",
    "uvloop.run": "import uvloop; uvloop.run(fetch())",
    "uvloop.run, while a fetch runs": """
import uvloop
async def begin():
    await fetch()
    for url in urls:
        AsyncHTTPClient().fetch(url + "slow", ca_certs=ca)
    await asyncio.sleep(0.05)
uvloop.run(begin())
""",
    "run_sync and close": "loop = IOLoop(); loop.run_sync(fetch); loop.close(all_fds=True)",
    "run_sync and close, asyncio": """
loop = IOLoop(asyncio_loop=asyncio.new_event_loop())
loop.run_sync(fetch)
loop.close()
""",
    "client closed, loop closed": """
loop = IOLoop(asyncio_loop=asyncio.new_event_loop())
async def closing():
    await fetch()
    AsyncHTTPClient().close()
loop.run_sync(closing)
loop.close()
""",
    "blocking": """
client = HTTPClient()
for url in urls * 2:
    assert client.fetch(url, ca_certs=ca).code == 200
client.close()
""",
    "blocking, left to itself": """
client = HTTPClient()
for url in urls:
    assert client.fetch(url, ca_certs=ca).code == 200
del client
""",
    "blocking, left to itself where another loop runs": """
clients = [HTTPClient()]
for url in urls:
    assert clients[0].fetch(url, ca_certs=ca).code == 200
async def elsewhere():
    clients.clear()
    gc.collect()
asyncio.run(elsewhere())
""",
    "several loops": """
for _ in range(3):
    asyncio.run(fetch())
""",
    "asynchronous generators first": """
loop = IOLoop(asyncio_loop=asyncio.new_event_loop())
loop.run_sync(fetch)
loop.asyncio_loop.run_until_complete(loop.asyncio_loop.shutdown_asyncgens())
loop.close()
""",
}


class Slow(RequestHandler):
    async def get(self) -> None:
        await asyncio.Event().wait()


class Fast(RequestHandler):
    def get(self) -> None:
        self.write("there")


@pytest.mark.parametrize("end", ENDS)
def test_ends(end: str, serve: Callable[..., Server], authority: Authority) -> None:
    app = Application([("/", Fast), ("/slow", Slow)])
    tls = serve(app, ssl_options=authority.server_context())
    urls = f"http://127.0.0.1:{serve(app).port}/", f"https://127.0.0.1:{tls.port}/"
    program = f"{FETCH}\n{ENDS[end]}\nassert not sockets(), sockets()"
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", program, *urls, authority.ca],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert (done.returncode, done.stderr) == (0, "")
