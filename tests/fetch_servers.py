"""What HTTP clients of every kind fetch from."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing

import brotli
import pytest

from http_servers import Countdown, Echo, Pieces, Redirect
from support import Server, new_event_loop
from typhoon.httpclient import AsyncHTTPClient
from typhoon.ioloop import IOLoop
from typhoon.testing.loops import TestLoop
from typhoon.web import Application, RequestHandler, stream_request_body


class Big(RequestHandler):
    """As many bytes as the path says, no two pieces of them alike."""

    SUPPORTED_METHODS = ("GET", "HEAD")

    def get(self, lines: str) -> None:
        self.set_header("Content-Type", "application/octet-stream")
        self.write(numbered(int(lines)))

    head = get


def numbered(lines: int) -> bytes:
    return b"".join(b"%09d\n" % number for number in range(lines))


class Never(RequestHandler):
    async def get(self) -> None:
        await asyncio.Event().wait()


class Failing(RequestHandler):
    def get(self) -> None:
        self.set_status(418, "Short and Stout")
        self.write("a pot")


class Cached(RequestHandler):
    def get(self) -> None:
        if self.request.headers.get("If-Modified-Since") == "Sun, 27 Jan 2013 18:43:20 GMT":
            self.set_status(304)
        else:
            self.write("new")


@stream_request_body
class Upload(RequestHandler):
    """Counts a body that comes in pieces."""

    def prepare(self) -> None:
        self.size = 0

    def data_received(self, chunk: bytes) -> None:
        self.size += len(chunk)

    def post(self) -> None:
        self.write({"size": self.size, "headers": dict(self.request.headers)})

    put = post


CODINGS = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress}


class Coded(RequestHandler):
    """A compressed body, whether the client has asked for it or not."""

    def get(self, coding: str) -> None:
        self.set_header("Content-Encoding", coding)
        self.set_header("Asked", self.request.headers.get("Accept-Encoding", "nothing"))
        self.write(CODINGS[coding](b"a" * 100_000))


class Peer(RequestHandler):
    """Says who the client is."""

    def get(self) -> None:
        certificate = self.request.get_ssl_certificate()
        self.write(
            {
                "address": self.request.remote_ip,
                "port": self.request.connection.context.address[1],
                "certificate": certificate is not None,
            }
        )


class Digest(RequestHandler):
    """Asks for digest authentication (RFC 7616) of the user "me" with the password "secret"."""

    challenge, answer, status = "WWW-Authenticate", "Authorization", 401

    def get(self, algorithm: str = "MD5") -> None:
        given = self.request.headers.get(self.answer, "")
        fields = dict(re.findall(r'(\w+)="?([^",]*)"?', given.partition(" ")[2]))
        if given.startswith("Digest ") and fields["response"] == self.expected(algorithm, fields):
            self.write(f"hello {fields['username']}")
            return
        self.set_status(self.status)
        self.set_header(
            self.challenge,
            f'Digest realm="here", nonce="0123", algorithm={algorithm}, qop="auth", opaque="x"',
        )
        self.write("who are you?")

    def expected(self, algorithm: str, fields: dict[str, str]) -> str:
        new = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}[algorithm]

        def digest(*parts: str) -> str:
            return new(":".join(parts).encode()).hexdigest()

        return digest(
            digest("me", "here", "secret"),
            fields["nonce"],
            fields["nc"],
            fields["cnonce"],
            "auth",
            digest("GET", fields["uri"]),
        )


class DigestProxy(Digest):
    """The same as a proxy asks for it, whatever it is that one wants to be forwarded."""

    challenge, answer, status = "Proxy-Authenticate", "Proxy-Authorization", 407


APP = Application(
    [
        ("/echo", Echo),
        ("/redirect", Redirect),
        ("/countdown/([0-9]+)", Countdown),
        ("/pieces", Pieces),
        ("/big/([0-9]+)", Big),
        ("/never", Never),
        ("/failing", Failing),
        ("/cached", Cached),
        ("/upload", Upload),
        ("/coded/(gzip|deflate|br)", Coded),
        ("/peer", Peer),
        ("/digest/(MD5|SHA-256)", Digest),
        ("/forwarded", DigestProxy),
    ]
)


@pytest.fixture
def io_loop(loop_kind: str) -> Iterator[IOLoop]:
    """Each kind of loop in turn."""
    loop = TestLoop(lambda: IOLoop(make_current=False, asyncio_loop=new_event_loop(loop_kind)))
    yield loop.io_loop
    loop.close()


@pytest.fixture
def client(io_loop: IOLoop, client_class: type[AsyncHTTPClient]) -> Iterator[AsyncHTTPClient]:
    with closing(client_class(force_instance=True)) as client:
        yield client


@pytest.fixture
def server(serve: Callable[..., Server]) -> Server:
    return serve(APP)


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """libcurl looks for proxies in the environment."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
