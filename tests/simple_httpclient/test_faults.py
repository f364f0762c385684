"""Responses that are wrong: each is an error that says so, and the next request gets through."""

import asyncio
import gzip
from typing import Any

import pytest
from hostile import (
    BOUND,
    LIMIT,
    OK,
    Peer,
    Script,
    answer,
    answer_and_wait,
    answer_forever,
    check,
    fails,
    healthy,
    hostile,
    little_memory,
    ok,
    still_works,
)

from typhoon.httpclient import HTTPClientError, Stage
from typhoon.simple_httpclient import (
    HTTPBodyTooLargeError,
    HTTPHeaderTooLargeError,
    HTTPIncompleteResponseError,
    HTTPMalformedResponseError,
    HTTPRedirectError,
    HTTPStreamClosedError,
    HTTPTimeoutError,
    SimpleAsyncHTTPClient,
)

pytestmark = [pytest.mark.gen_test, pytest.mark.usefixtures("quiet")]
"""Coroutines run on a loop of Typhoon's plugin."""


CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


# The framing

MALFORMED = {
    "another protocol": b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
    "another version": b"HTTP/2.0 200 OK\r\n\r\n",
    "lower case": b"http/1.1 200 OK\r\n\r\n",
    "a status that is no number": b"HTTP/1.1 OK 200\r\n\r\n",
    "a status of two digits": b"HTTP/1.1 20 OK\r\n\r\n",
    "a space before the colon": OK + b"Content-Length : 2\r\n\r\nOK",
    "no colon": OK + b"Content-Length\r\n\r\n",
    "an empty name": OK + b": 2\r\n\r\nOK",
    "a NUL": OK + b"A: \0\r\nContent-Length: 2\r\n\r\nOK",
    "a lone CR": OK + b"A: b\rContent-Length: 2\r\n\r\nOK",
    "a length that is none": OK + b"Content-Length: two\r\n\r\nOK",
    "an empty length": OK + b"Content-Length: \r\n\r\nOK",
    "a length with a sign": OK + b"Content-Length: +2\r\n\r\nOK",
    "a negative length": OK + b"Content-Length: -2\r\n\r\nOK",
    "a hexadecimal length": OK + b"Content-Length: 0x2\r\n\r\nOK",
    "a length with a space": OK + b"Content-Length: 2 2\r\n\r\nOK",
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 4\r\n\r\nOK",
    "two lengths in a list": OK + b"Content-Length: 2, 4\r\n\r\nOK",
    "a length and chunks": OK
    + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nOK\r\n0\r\n\r\n",
    "an unknown coding": OK + b"Transfer-Encoding: rot13\r\n\r\nBX",
    "chunked is not the last": OK + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunked twice": OK + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked in 1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}
MALFORMED_BODIES = {
    "a size that is none": b"two\r\nOK\r\n0\r\n\r\n",
    "a negative size": b"-2\r\nOK\r\n0\r\n\r\n",
    "a size with a sign": b"+2\r\nOK\r\n0\r\n\r\n",
    "a size with a prefix": b"0x2\r\nOK\r\n0\r\n\r\n",
    "an empty size": b"\r\nOK\r\n0\r\n\r\n",
    "a size beyond all numbers": b"1" * 17 + b"\r\nOK\r\n0\r\n\r\n",
    "a size that ends in LF": b"2\nOK\r\n0\r\n\r\n",
    "more than the size": b"2\r\nOKAY\r\n0\r\n\r\n",
    "less than the size": b"4\r\nOK\r\n0\r\n\r\n   ",
}


@pytest.mark.parametrize("response", MALFORMED.values(), ids=MALFORMED)
async def test_a_head_against_the_rules(limited: SimpleAsyncHTTPClient, response: bytes) -> None:
    async with hostile(answer_and_wait(response)) as server:
        await fails(limited, server, HTTPMalformedResponseError, Stage.HEAD)


@pytest.mark.parametrize("body", MALFORMED_BODIES.values(), ids=MALFORMED_BODIES)
async def test_chunks_against_the_rules(limited: SimpleAsyncHTTPClient, body: bytes) -> None:
    async with hostile(answer_and_wait(CHUNKED, body)) as server:
        await fails(limited, server, HTTPMalformedResponseError, Stage.BODY)


TRUNCATED = {
    "a status line": (b"HTTP/1.1 20", Stage.HEAD),
    "a head": (OK + b"Content-Len", Stage.HEAD),
    "behind a 1xx": (b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 2", Stage.HEAD),
    "a length": (OK + b"Content-Length: 10\r\n\r\n12345", Stage.BODY),
    "a length, nothing of it": (OK + b"Content-Length: 10\r\n\r\n", Stage.BODY),
    "a chunk": (CHUNKED + b"a\r\n12345", Stage.BODY),
    "a size": (CHUNKED + b"5\r\n12345\r\n1", Stage.BODY),
    "before the last chunk": (CHUNKED + b"5\r\n12345\r\n", Stage.BODY),
    "behind the last chunk": (CHUNKED + b"5\r\n12345\r\n0\r\n", Stage.BODY),
    "a trailer": (CHUNKED + b"5\r\n12345\r\n0\r\nA: b\r\n", Stage.BODY),
}


@pytest.mark.parametrize(("response", "stage"), TRUNCATED.values(), ids=TRUNCATED)
async def test_a_response_that_is_cut_off(
    limited: SimpleAsyncHTTPClient, response: bytes, stage: Stage
) -> None:
    async with hostile(answer(response), answer(response)) as server:
        url = server.url("/bad")
        with pytest.raises(HTTPIncompleteResponseError) as caught:
            await limited.fetch(url)
        check(caught.value, url, stage)
        pieces: list[bytes] = []
        await fails(
            limited, server, HTTPIncompleteResponseError, stage, streaming_callback=pieces.append
        )
        assert b"".join(pieces) in (b"", b"12345")


async def test_a_server_that_closes_without_a_word(limited: SimpleAsyncHTTPClient) -> None:
    async with hostile(answer()) as server:
        error = await fails(limited, server, HTTPStreamClosedError, Stage.WAITING)
        assert type(error) is HTTPStreamClosedError


async def test_a_body_that_lasts_until_the_close_cannot_be_cut_off(
    limited: SimpleAsyncHTTPClient,
) -> None:
    async with hostile(answer(b"HTTP/1.0 200 OK\r\n\r\n", b"all of it")) as server:
        assert (await limited.fetch(server.url("/"))).body == b"all of it"
        await still_works(limited, server)


async def test_lengths_that_agree(limited: SimpleAsyncHTTPClient) -> None:
    twice = OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nOK"
    async with hostile(answer_and_wait(twice)) as server:
        assert (await limited.fetch(server.url("/"))).body == b"OK"


async def test_a_length_where_there_can_be_no_body(limited: SimpleAsyncHTTPClient) -> None:
    async with hostile(
        answer_and_wait(b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n12345")
    ) as server:
        await fails(limited, server, HTTPMalformedResponseError, Stage.HEAD)


# Too much

ENDLESS_HEADS = {
    "one line": (OK + b"A: ", b"a" * 1000),
    "many lines": (OK, b"A: b\r\n" * 100),
    "the reason phrase": (b"HTTP/1.1 200 ", b"O" * 1000),
    "no line at all": (b"", b"\0" * 1000),
}
ENDLESS_BODIES = {
    "until close": (b"HTTP/1.0 200 OK\r\n\r\n", b"a" * 1000),
    "chunks": (CHUNKED, b"64\r\n" + b"a" * 100 + b"\r\n"),
    "one chunk": (CHUNKED + b"fffffff\r\n", b"a" * 1000),
    "a length": (OK + b"Content-Length: 10000000000\r\n\r\n", b"a" * 1000),
    "a length beyond all numbers": (
        OK + b"Content-Length: " + b"9" * 19 + b"\r\n\r\n",
        b"a" * 1000,
    ),
}


@pytest.mark.parametrize(("begin", "more"), ENDLESS_HEADS.values(), ids=ENDLESS_HEADS)
async def test_a_head_without_end(
    limited: SimpleAsyncHTTPClient, begin: bytes, more: bytes
) -> None:
    async with hostile(answer_forever(begin, more)) as server:
        expected = (HTTPHeaderTooLargeError, HTTPMalformedResponseError)
        with little_memory():
            await fails(limited, server, expected, Stage.HEAD)
        assert server.peers[0].sent < BOUND


@pytest.mark.parametrize("streamed", [False, True], ids=["collected", "streamed"])
@pytest.mark.parametrize(("begin", "more"), ENDLESS_BODIES.values(), ids=ENDLESS_BODIES)
async def test_a_body_without_end(
    limited: SimpleAsyncHTTPClient, begin: bytes, more: bytes, streamed: bool
) -> None:
    received: list[int] = []
    options: dict[str, Any] = {}
    if streamed:
        options["streaming_callback"] = lambda piece: received.append(len(piece))
    async with hostile(answer_forever(begin, more)) as server:
        with little_memory():
            expected = (
                HTTPBodyTooLargeError,
                HTTPMalformedResponseError,
            )  # 19 digits may be too many
            await fails(limited, server, expected, {Stage.HEAD, Stage.BODY}, **options)
        assert server.peers[0].sent < BOUND
        assert sum(received) <= LIMIT


async def test_trailers_and_extensions_without_end(limited: SimpleAsyncHTTPClient) -> None:
    for begin, more, expected in (
        (b"0\r\n", b"A: b\r\n", HTTPHeaderTooLargeError),
        (b"0\r\nA: ", b"a" * 1000, HTTPHeaderTooLargeError),
        (b"2;", b"a" * 1000, HTTPStreamClosedError),
        (b"", b"1;" + b"a" * 100 + b"\r\na\r\n", HTTPStreamClosedError),
        (b"", b"0" * 1000, HTTPStreamClosedError),
    ):
        async with hostile(answer_forever(CHUNKED + begin, more)) as server:
            await fails(limited, server, expected, Stage.BODY)
            assert server.peers[0].sent < BOUND


async def test_1xx_without_end(limited: SimpleAsyncHTTPClient) -> None:
    hint = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    async with hostile(answer_forever(b"", hint * 10)) as server:
        await fails(limited, server, HTTPMalformedResponseError, {Stage.WAITING, Stage.HEAD})
        assert server.peers[0].sent < BOUND


async def test_limits_are_met_exactly(limited: SimpleAsyncHTTPClient) -> None:
    for size in (LIMIT, LIMIT + 1):
        body = b"a" * size
        for response in (
            b"HTTP/1.0 200 OK\r\n\r\n" + body,
            OK + b"Content-Length: %d\r\n\r\n%b" % (size, body),
            CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (size, body),
            OK + b"Connection: close\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(body),
        ):
            async with hostile(answer(response)) as server:
                if size == LIMIT:
                    assert (await limited.fetch(server.url("/"))).body == body
                else:
                    with pytest.raises(HTTPBodyTooLargeError):
                        await limited.fetch(server.url("/"))


# Redirects


def redirect(location: str, more: bytes = b"Content-Length: 0\r\n\r\n") -> Script:
    """Answers one request; the connection can be used again only if all is well."""
    head = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\n".encode()

    async def script(peer: Peer) -> None:
        await answer(head, more)(peer)
        await healthy(peer)

    return script


async def test_redirects_without_end(limited: SimpleAsyncHTTPClient) -> None:
    async def script(peer: Peer) -> None:
        while True:
            path = await peer.request()
            if path == "/good":
                await peer.send(ok(path))
            else:
                await peer.send(
                    b"HTTP/1.1 302 Found\r\nLocation: %b0\r\nContent-Length: 4\r\n\r\nmore"
                    % path.encode()
                )

    async with hostile(*[script] * 10) as server:
        url = server.url("/")
        with pytest.raises(HTTPClientError) as caught:
            await limited.fetch(url, max_redirects=3)
        assert caught.value.code == 302
        assert caught.value.response.body == b"more"
        assert caught.value.response.effective_url == url + "000"
        response = await limited.fetch(url, max_redirects=1, raise_error=False)
        assert (response.code, response.headers["Location"]) == (302, "/00")
        assert (await limited.fetch(server.url("/good"))).body == b"/good"


@pytest.mark.parametrize(
    "location",
    [
        "ftp://example.com/",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "https://",
        "http://example.com:http/",
        "http://example.com:99999/",
        "http://[::1/",
        "//:80",
    ],
)
async def test_a_redirect_to_nowhere(limited: SimpleAsyncHTTPClient, location: str) -> None:
    async with hostile(redirect(location)) as server:
        url = server.url("/bad")
        with pytest.raises(HTTPRedirectError) as caught:
            await limited.fetch(url)
        check(caught.value, url, Stage.REDIRECTING)
        assert isinstance(caught.value, ValueError)
        await still_works(limited, server)


async def test_an_error_names_the_url_that_it_was_redirected_to(
    limited: SimpleAsyncHTTPClient,
) -> None:
    async with hostile(answer()) as other:
        secret = f"http://me:secret@127.0.0.1:{other.port}/there"
        async with hostile(redirect(secret)) as server:
            with pytest.raises(HTTPStreamClosedError) as caught:
                await limited.fetch(server.url("/here"))
            url = f"http://***@127.0.0.1:{other.port}/there"
            check(caught.value, url, Stage.WAITING)
            assert "secret" not in repr(caught.value)


async def test_redirects_with_bodies_that_are_wrong(limited: SimpleAsyncHTTPClient) -> None:
    for more in (b"Content-Length: 5\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\nzz"):
        async with hostile(redirect("/good", more)) as server:
            stages = {Stage.BODY}
            await fails(limited, server, HTTPClientError, stages, request_timeout=0.2)


async def test_a_redirect_with_a_body_without_end(limited: SimpleAsyncHTTPClient) -> None:
    begin = b"HTTP/1.1 302 Found\r\nLocation: /good\r\n\r\n"
    async with hostile(answer_forever(begin, b"a" * 1000)) as server:
        with little_memory():
            await fails(limited, server, HTTPBodyTooLargeError, Stage.BODY)
        assert server.peers[0].sent < BOUND


# Time


async def silent(peer: Peer) -> None:
    await peer.request()
    await peer.gone()


SLOW = {
    "nothing": (silent, {Stage.WAITING}),
    "a head": (answer_forever(OK, b"A: b\r\n", 0.01), {Stage.WAITING, Stage.HEAD}),
    "a head, by bytes": (answer_forever(OK + b"A: ", b"a", 0.01), {Stage.WAITING, Stage.HEAD}),
    "1xx": (
        answer_forever(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", 0.06),
        {Stage.WAITING, Stage.HEAD},
    ),
    "a body": (answer_forever(OK + b"Content-Length: 9999\r\n\r\n", b"a", 0.01), {Stage.BODY}),
    "chunks": (answer_forever(CHUNKED, b"1\r\na\r\n", 0.01), {Stage.BODY}),
}


@pytest.mark.parametrize(("script", "stages"), SLOW.values(), ids=SLOW)
async def test_a_server_that_takes_its_time(
    limited: SimpleAsyncHTTPClient, script: Script, stages: set[Stage]
) -> None:
    async with hostile(script) as server:
        await fails(limited, server, HTTPTimeoutError, stages, request_timeout=0.3)


async def test_a_server_that_does_not_read(limited: SimpleAsyncHTTPClient) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await asyncio.Event().wait()

    async with hostile(script) as server:
        await fails(
            limited,
            server,
            HTTPTimeoutError,
            {Stage.SENDING, Stage.WAITING},
            request_timeout=0.3,
            method="POST",
            body=bytes(30_000_000),
        )
