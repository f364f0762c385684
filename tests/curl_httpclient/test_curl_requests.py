"""What only the client on libcurl does, and how its errors look."""

from __future__ import annotations

import logging
import pickle
import ssl
from pathlib import Path
from typing import Any

import pycurl
import pytest
import trustme

from http_servers import answers, echoed
from proxy import free_port, needs_nginx, running_nginx, wrapped
from support import Server
from typhoon.curl_httpclient import CR_OR_LF_RE, CurlAsyncHTTPClient, CurlError, curl_log
from typhoon.gen import coroutine
from typhoon.httpclient import Stage

pytestmark = pytest.mark.gen_test
"""Coroutines run on a loop of Typhoon's plugin."""


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"method": "HEAD", "body": b"x", "allow_nonstandard_methods": True}, ValueError, "HEAD"),
        ({"proxy_host": "proxy"}, ValueError, "needs proxy_port"),
        (
            {"proxy_host": "a", "proxy_port": 1, "proxy_username": "b", "proxy_auth_mode": "c"},
            ValueError,
            "unsupported proxy_auth_mode 'c': write basic or digest",
        ),
        ({"ssl_options": ssl.create_default_context()}, ValueError, "takes no SSLContext"),
        ({"ssl_options": {"ssl_version": 1}}, ValueError, "have no .'ssl_version'"),
        ({"network_interface": "no-such-one"}, CurlError, "while connecting to 127.0.0.1:"),
        ({"unix_socket": "/no/such"}, CurlError, "while connecting to /no/such"),
    ],
)
async def test_what_cannot_be_sent(
    client: CurlAsyncHTTPClient,
    server: Server,
    arguments: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        await client.fetch(server.url("/echo"), **arguments)


async def test_no_line_ends_in_headers() -> None:
    assert CR_OR_LF_RE.search(b"a\nb")


async def test_a_streaming_callback_that_is_a_coroutine_function(
    client: CurlAsyncHTTPClient, server: Server
) -> None:
    async def native(chunk: bytes) -> None: ...

    @coroutine
    def generator(chunk: bytes) -> Any:
        yield None

    for callback in (native, generator):
        with pytest.raises(TypeError, match="streaming_callback=lambda chunk: function"):
            await client.fetch(server.url("/echo"), streaming_callback=callback)


@pytest.mark.parametrize("kind", ["plain", "coroutine"])
async def test_a_streaming_callback_that_raises(
    client: CurlAsyncHTTPClient, server: Server, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    """It is logged, and the body goes on."""
    chunks: list[bytes] = []

    def plain(chunk: bytes) -> None:
        chunks.append(chunk)
        raise ZeroDivisionError

    async def waiting(chunk: bytes) -> None:
        plain(chunk)

    callback = plain if kind == "plain" else lambda chunk: waiting(chunk)
    response = await client.fetch(server.url("/big/20000"), streaming_callback=callback)
    assert (response.code, sum(map(len, chunks))) == (200, 200_000)
    assert caplog.text.count("Exception in callback") == len(chunks)


async def test_prepare_curl_callback(client: CurlAsyncHTTPClient, server: Server) -> None:
    def prepare(curl: Any) -> None:
        curl.setopt(pycurl.COOKIE, "a=b")

    def fail(curl: Any) -> None:
        raise ZeroDivisionError

    url = server.url("/echo")
    response = await client.fetch(url, prepare_curl_callback=prepare)
    assert echoed(response)["headers"]["Cookie"] == "a=b"
    with pytest.raises(ZeroDivisionError):
        await client.fetch(url, prepare_curl_callback=fail)
    with pytest.raises(CurlError):
        await client.fetch(
            url, prepare_curl_callback=lambda curl: curl.setopt(pycurl.MAXREDIRS, -7)
        )


async def test_redirects_of_libcurl(client: CurlAsyncHTTPClient, server: Server) -> None:
    response = await client.fetch(
        server.url("/redirect?to=/echo"),
        follow_redirects=False,
        prepare_curl_callback=lambda curl: curl.setopt(pycurl.FOLLOWLOCATION, 1),
    )
    assert response.effective_url == server.url("/echo")


async def test_the_log(
    client: CurlAsyncHTTPClient, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, curl_log.name)
    await client.fetch(server.url("/echo"), headers={"X-Sent": "1"})
    lines = [record.getMessage() for record in caplog.records if record.name == curl_log.name]
    assert "> X-Sent: 1" in lines
    assert "< HTTP/1.1 200 OK" in lines


@needs_nginx
@pytest.mark.skipif(
    not pycurl.version_info()[4] & pycurl.VERSION_HTTP2, reason="libcurl was built without HTTP/2"
)
async def test_http2(client: CurlAsyncHTTPClient, tmp_path: Path) -> None:
    ca, port = trustme.CA(), free_port()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    ca.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(
        str(tmp_path / "server.pem")
    )
    configuration = wrapped(
        "server { listen 80; }\n"
        f"server {{ listen 127.0.0.1:{port} ssl http2;"
        f" ssl_certificate {tmp_path}/server.pem; ssl_certificate_key {tmp_path}/server.pem;"
        " location / { return 200 $server_protocol; } }"
    )
    lines: list[str] = []
    with running_nginx(configuration, tmp_path, {}):
        response = await client.fetch(
            f"https://localhost:{port}/",
            ca_certs=str(tmp_path / "ca.pem"),
            allow_ipv6=False,
            header_callback=lines.append,
        )
    assert (response.body, response.reason) == (b"HTTP/2.0", "OK")
    assert lines[0].startswith("HTTP/2 200")


# Errors


@pytest.mark.parametrize(
    ("answer", "errno", "stage"),
    [
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", pycurl.E_FTP_WEIRD_SERVER_REPLY, Stage.HEAD),
        (b"HTTP/1.1 200 OK\r\na b: c\r\n\r\n", pycurl.E_FTP_WEIRD_SERVER_REPLY, Stage.HEAD),
        (b"", pycurl.E_GOT_NOTHING, Stage.WAITING),
        (b"gibberish", pycurl.E_UNSUPPORTED_PROTOCOL, Stage.WAITING),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ns", pycurl.E_PARTIAL_FILE, Stage.BODY),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnone",
            pycurl.E_BAD_CONTENT_ENCODING,
            Stage.DECOMPRESSING,
        ),
    ],
)
async def test_bad_responses(
    client: CurlAsyncHTTPClient, answer: bytes, errno: int, stage: Stage
) -> None:
    async with answers(answer) as url:
        with pytest.raises(CurlError) as caught:
            await client.fetch(url)
    error = caught.value
    assert (error.errno, error.code, error.stage, error.url) == (errno, 599, stage, url)
    assert f"(GET {url}, {stage.phrase(error.place)})" in str(error)


async def test_the_stage_of_a_timeout(client: CurlAsyncHTTPClient, server: Server) -> None:
    with pytest.raises(CurlError) as caught:
        await client.fetch(server.url("/never"), request_timeout=0.05)
    assert caught.value.errno == pycurl.E_OPERATION_TIMEDOUT
    assert caught.value.stage == Stage.WAITING
    assert f"while waiting for the response from 127.0.0.1:{server.port}" in str(caught.value)


async def test_a_name_that_is_not_found(client: CurlAsyncHTTPClient) -> None:
    with pytest.raises(CurlError, match=r"while resolving a\.invalid") as caught:
        await client.fetch("http://me:secret@a.invalid/")
    assert caught.value.errno == pycurl.E_COULDNT_RESOLVE_HOST
    assert "secret" not in str(caught.value)


def test_errors_can_be_pickled() -> None:
    error = CurlError(7, "refused")
    error.method, error.url, error.stage = "GET", "http://x/", Stage.CONNECTING
    again = pickle.loads(pickle.dumps(error))
    assert (again.errno, again.code, again.url, again.stage) == (7, 599, "http://x/", "connecting")
    assert str(again) == repr(again) == "HTTP 599: refused (GET http://x/, while connecting)"
    assert str(CurlError(7, "refused")) == "HTTP 599: refused"
