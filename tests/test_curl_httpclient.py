"""The client on libcurl, over sockets."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import json
import logging
import pickle
import ssl
import subprocess
import sys
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pycurl
import pytest
import trustme

from support import without_collector
from typhoon.curl_httpclient import CR_OR_LF_RE, CurlAsyncHTTPClient, CurlError, curl_log
from typhoon.gen import coroutine
from typhoon.httpclient import AsyncHTTPClient, HTTPError, HTTPRequest, HTTPResponse
from typhoon.httpserver import HTTPServer
from typhoon.testing import bind_unused_port
from typhoon.web import Application, RequestHandler, stream_request_body

Run = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


class Echo(RequestHandler):
    """Says what has come."""

    def answer(self) -> None:
        self.write(
            {
                "method": self.request.method,
                "body": self.request.body.decode("latin-1"),
                "headers": dict(self.request.headers),
                "uri": self.request.uri,
                "port": self.request.connection.context.address[1],
                "certificate": self.request.get_ssl_certificate() is not None,
            }
        )

    get = post = put = delete = patch = options = answer

    def head(self) -> None:
        self.set_header("Method", "HEAD")


class Redirect(RequestHandler):
    def prepare(self) -> None:
        self.redirect(self.get_argument("to"), status=int(self.get_argument("status", "302")))


class Big(RequestHandler):
    def get(self) -> None:
        self.write(b"x" * int(self.get_argument("size")))


class Never(RequestHandler):
    async def get(self) -> None:
        await asyncio.Event().wait()


class Failing(RequestHandler):
    def get(self) -> None:
        self.set_status(418, "Short and Stout")
        self.write("a pot")


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


ROUTES = [
    ("/echo", Echo),
    ("/redirect", Redirect),
    ("/big", Big),
    ("/never", Never),
    ("/fail", Failing),
    ("/upload", Upload),
]


@contextlib.asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[str]:
    server = HTTPServer(Application(ROUTES), **options)
    sock, port = bind_unused_port()
    server.add_socket(sock)
    try:
        yield f"{'https://localhost' if options else 'http://127.0.0.1'}:{port}"
    finally:
        server.stop()
        await server.close_all_connections()


@contextlib.contextmanager
def curl_client(**options: Any) -> Any:
    client = CurlAsyncHTTPClient(force_instance=True, **options)
    try:
        yield client
    finally:
        client.close()


@contextlib.asynccontextmanager
async def raw_server(answer: bytes) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that gives every request this answer, and closes; with the heads that it gets."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], heads
    finally:
        server.close()
        await server.wait_closed()


def fetch(run: Run, path: str, client_options: dict[str, Any] | None = None, **kwargs: Any) -> Any:
    """Fetch from a server with `ROUTES`; `{url}` in the path is where it is."""

    async def main() -> HTTPResponse:
        async with serving() as url:
            with curl_client(**client_options or {}) as client:
                return await client.fetch(url + path.replace("{url}", url), **kwargs)

    return run(main)


def fetch_echo(run: Run, path: str = "/echo", **kwargs: Any) -> Any:
    return json.loads(fetch(run, path, **kwargs).body)


# Requests and responses


def test_response(run: Run) -> None:
    response = fetch(run, "/echo?a=%C3%A9")
    assert (response.code, response.reason, response.error) == (200, "OK", None)
    assert response.headers["Content-Type"] == "application/json; charset=UTF-8"
    assert json.loads(response.body)["uri"] == "/echo?a=%C3%A9"
    assert response.effective_url == response.request.url
    assert response.time_info.keys() >= {"queue", "namelookup", "connect", "total", "redirect"}
    assert response.request_time > 0


def test_error_status(run: Run) -> None:
    with pytest.raises(HTTPError, match="HTTP 418: Short and Stout") as caught:
        fetch(run, "/fail")
    assert caught.value.response.body == b"a pot"
    assert fetch(run, "/fail", raise_error=False).code == 418


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("GET", None),
        ("DELETE", None),
        ("OPTIONS", None),
        ("POST", b"\0\xff"),
        ("POST", b""),
        ("PUT", b"put"),
        ("PUT", b""),
        ("PATCH", b"patch"),
        ("DELETE", b"unusual"),
        ("GET", b"unusual"),
    ],
)
def test_methods_and_bodies(run: Run, method: str, body: bytes | None) -> None:
    echo = fetch_echo(run, method=method, body=body, allow_nonstandard_methods=True)
    assert echo["method"] == method
    assert echo["body"].encode("latin-1") == (body or b"")
    length = echo["headers"].get("Content-Length")
    assert length == (None if body is None else str(len(body)))
    form = "application/x-www-form-urlencoded" if method == "POST" else None
    assert echo["headers"].get("Content-Type") == form
    assert "Expect" not in echo["headers"]


def test_head(run: Run) -> None:
    response = fetch(run, "/echo", method="HEAD")
    assert (response.headers["Method"], response.body) == ("HEAD", b"")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"method": "POST"}, ValueError, "must not be None"),
        ({"body": b"x"}, ValueError, "must be None"),
        ({"method": "BREW"}, KeyError, "BREW"),
        ({"method": "A B", "allow_nonstandard_methods": True}, ValueError, "no HTTP method"),
        ({"method": "HEAD", "body": b"x", "allow_nonstandard_methods": True}, ValueError, "HEAD"),
        ({"auth_username": "me", "auth_mode": "magic"}, ValueError, "auth_mode 'magic'"),
        ({"proxy_host": "proxy"}, ValueError, "needs proxy_port"),
        ({"client_key": "key.pem"}, ValueError, "needs client_cert"),
        ({"ssl_options": {}}, ValueError, "ssl_options is for the simple client"),
        ({"ca_certs": "no such file"}, None, None),
        ({"network_interface": "no-such-one"}, CurlError, "local connection"),
    ],
)
def test_what_cannot_be_sent(
    run: Run, arguments: dict[str, Any], error: type[Exception] | None, message: str
) -> None:
    if error is None:
        fetch(run, "/echo", **arguments)
        return
    with pytest.raises(error, match=message):
        fetch(run, "/echo", **arguments)


@pytest.mark.parametrize(
    ("url", "errno"),
    [
        ("ftp://localhost/", pycurl.E_UNSUPPORTED_PROTOCOL),
        ("file:///etc/hostname", pycurl.E_UNSUPPORTED_PROTOCOL),
        ("http://", pycurl.E_URL_MALFORMAT),
        ("http://a.invalid/", pycurl.E_COULDNT_RESOLVE_HOST),
    ],
)
def test_where_it_cannot_go(run: Run, url: str, errno: int) -> None:
    async def main() -> None:
        with curl_client() as client:
            await client.fetch(url)

    with pytest.raises(CurlError) as caught:
        run(main)
    assert (caught.value.errno, caught.value.code) == (errno, 599)


def test_headers(run: Run) -> None:
    sent = {"Foo": "bär", "Empty": "", "User-Agent": "mine"}
    headers = fetch_echo(run, headers=sent)["headers"]
    assert {name: headers[name] for name in sent} == sent
    assert fetch_echo(run, user_agent="other")["headers"]["User-Agent"] == "other"
    assert fetch_echo(run)["headers"]["User-Agent"].startswith("Typhoon/")


def test_no_line_ends_in_headers(run: Run) -> None:
    assert CR_OR_LF_RE.search(b"a\nb")
    for arguments in ({"user_agent": "a\r\nInjected: yes"}, {"headers": {"a": "b\nc"}}):
        with pytest.raises(ValueError, match="header"):
            fetch(run, "/echo", **arguments)


def test_header_callback(run: Run) -> None:
    lines: list[str] = []
    fetch(run, "/echo", header_callback=lines.append)
    assert (lines[0], lines[-1]) == ("HTTP/1.1 200 OK\r\n", "\r\n")
    assert "Content-Type: application/json; charset=UTF-8\r\n" in lines


@pytest.mark.parametrize(
    ("answer", "errno"),
    [
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", pycurl.E_FTP_WEIRD_SERVER_REPLY),
        (b"HTTP/1.1 200 OK\r\na b: c\r\n\r\n", pycurl.E_FTP_WEIRD_SERVER_REPLY),
        (b"", pycurl.E_GOT_NOTHING),
        (b"gibberish", pycurl.E_UNSUPPORTED_PROTOCOL),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", pycurl.E_PARTIAL_FILE),
    ],
)
def test_bad_responses(run: Run, answer: bytes, errno: int) -> None:
    async def main() -> None:
        async with raw_server(answer) as (port, _):
            with curl_client() as client:
                await client.fetch(f"http://127.0.0.1:{port}/")

    with pytest.raises(CurlError) as caught:
        run(main)
    assert caught.value.errno == errno


def test_trailers_are_no_headers(run: Run) -> None:
    answer = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        b"2\r\nok\r\n0\r\nContent-Type: sneaky\r\n\r\n"
    )

    async def main() -> HTTPResponse:
        async with raw_server(answer) as (port, _):
            with curl_client() as client:
                return await client.fetch(f"http://127.0.0.1:{port}/")

    response = run(main)
    assert (response.body, response.headers.get("Content-Type")) == (b"ok", None)


# Bodies


def test_streaming(run: Run) -> None:
    chunks: list[bytes] = []
    response = fetch(run, "/big?size=300000", streaming_callback=chunks.append)
    assert (b"".join(chunks), response.body) == (b"x" * 300000, b"")
    assert len(chunks) > 1


def test_streaming_callback_that_raises(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    def callback(chunk: bytes) -> None:
        raise ZeroDivisionError

    assert fetch(run, "/big?size=10", streaming_callback=callback).code == 200
    assert "Exception in callback" in caplog.text


def test_streaming_callback_that_waits(run: Run) -> None:
    async def native(chunk: bytes) -> None: ...

    @coroutine
    def generator(chunk: bytes) -> Any:
        yield None

    for callback in (native, generator):
        with pytest.raises(TypeError, match="write a plain function"):
            fetch(run, "/echo", streaming_callback=callback)


def test_streaming_callback_that_fetches(run: Run) -> None:
    async def main() -> list[HTTPResponse]:
        fetches: list[Awaitable[HTTPResponse]] = []
        async with serving() as url:
            with curl_client() as client:

                def callback(chunk: bytes) -> None:
                    fetches.append(client.fetch(f"{url}/echo"))

                await client.fetch(f"{url}/big?size=1", streaming_callback=callback)
                return await asyncio.gather(*fetches)

    (response,) = run(main)
    assert response.code == 200


def test_streaming_callback_that_closes(run: Run) -> None:
    async def main() -> None:
        async with serving() as url:
            client = CurlAsyncHTTPClient(force_instance=True)
            await client.fetch(f"{url}/big?size=9", streaming_callback=lambda _: client.close())

    with pytest.raises(asyncio.CancelledError):
        run(main)


@pytest.mark.parametrize("streamed", [False, True])
def test_max_body_size(run: Run, streamed: bool) -> None:
    size = 0

    def callback(chunk: bytes) -> None:
        nonlocal size
        size += len(chunk)

    arguments: dict[str, Any] = {"streaming_callback": callback} if streamed else {}
    limit = {"max_body_size": 50000}
    assert fetch(run, "/big?size=50000", limit, **arguments).code == 200
    size = 0
    with pytest.raises(CurlError, match="set the client's max_body_size") as caught:
        fetch(run, "/big?size=50001", limit, **arguments)
    assert caught.value.errno == pycurl.E_FILESIZE_EXCEEDED
    assert size <= 50000


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("length", [None, "150000"])
def test_body_producer(run: Run, method: str, length: str | None) -> None:
    async def produce(write: Callable[[bytes], Awaitable[None]]) -> None:
        await write(b"")
        for _ in range(3):
            await asyncio.sleep(0)
            await write(b"x" * 50000)

    headers = {} if length is None else {"Content-Length": length}
    echo = fetch_echo(run, "/upload", method=method, body_producer=produce, headers=headers)
    assert echo["size"] == 150000
    assert echo["headers"].get("Content-Length") == length
    assert echo["headers"].get("Transfer-Encoding") == (None if length else "chunked")


def test_body_producer_that_raises(run: Run) -> None:
    async def produce(write: Callable[[bytes], Awaitable[None]]) -> None:
        await write(b"x")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fetch(run, "/upload", method="POST", body_producer=produce)


def test_body_producer_of_a_request_that_ends(run: Run) -> None:
    cancelled = []

    async def produce(write: Callable[[bytes], Awaitable[None]]) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    with pytest.raises(CurlError):
        fetch(run, "/upload", method="POST", body_producer=produce, request_timeout=0.05)
    assert cancelled == [True]


def test_expect_100_continue(run: Run) -> None:
    echo = fetch_echo(run, method="POST", body=b"body", expect_100_continue=True)
    assert (echo["body"], echo["headers"]["Expect"]) == ("body", "100-continue")


def test_no_decompression(run: Run) -> None:
    assert "Accept-Encoding" not in fetch_echo(run, decompress_response=False)["headers"]
    assert "gzip" in fetch_echo(run)["headers"]["Accept-Encoding"]


# Redirects


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        (301, "POST", ("GET", "")),
        (302, "POST", ("GET", "")),
        (303, "POST", ("GET", "")),
        (307, "POST", ("POST", "body")),
        (308, "POST", ("POST", "body")),
        (301, "PUT", ("PUT", "body")),
        (307, "PUT", ("PUT", "body")),
        (308, "PATCH", ("PATCH", "body")),
    ],
)
def test_redirect(run: Run, status: int, method: str, then: tuple[str, str]) -> None:
    response = fetch(run, f"/redirect?status={status}&to=/echo", method=method, body="body")
    echo = json.loads(response.body)
    assert (echo["method"], echo["body"]) == then
    assert response.effective_url.endswith("/echo")


def test_redirect_is_not_followed(run: Run) -> None:
    for arguments in ({"follow_redirects": False}, {"max_redirects": 0}):
        response = fetch(run, "/redirect?to=/echo", raise_error=False, **arguments)
        assert (response.code, response.headers["Location"]) == (302, "/echo")


def test_too_many_redirects(run: Run) -> None:
    with pytest.raises(CurlError) as caught:
        fetch(run, "/redirect?to=/redirect?to=/redirect", max_redirects=1)
    assert caught.value.errno == pycurl.E_TOO_MANY_REDIRECTS


def test_redirect_elsewhere(run: Run) -> None:
    with pytest.raises(CurlError) as caught:
        fetch(run, "/redirect?to=file:///etc/hostname")
    assert caught.value.errno == pycurl.E_UNSUPPORTED_PROTOCOL


@pytest.mark.parametrize(
    "arguments",
    [{"auth_username": "me", "auth_password": "secret"}, {"headers": {"Authorization": "secret"}}],
)
def test_credentials_stay_with_the_origin(run: Run, arguments: dict[str, Any]) -> None:
    async def main() -> tuple[Any, Any]:
        async with serving() as url, serving() as other:
            with curl_client() as client:
                same = await client.fetch(f"{url}/redirect?to={url}/echo", **arguments)
                away = await client.fetch(f"{url}/redirect?to={other}/echo", **arguments)
                return json.loads(same.body), json.loads(away.body)

    same, away = run(main)
    assert "Authorization" in same["headers"]
    assert "Authorization" not in away["headers"]


# Proxies and TLS


def test_proxy(run: Run) -> None:
    async def main() -> list[bytes]:
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        async with raw_server(answer) as (port, heads):
            with curl_client(max_clients=1) as client:
                for user in ("me", None):
                    await client.fetch(
                        "http://example.invalid/path",
                        proxy_host="127.0.0.1",
                        proxy_port=port,
                        proxy_username=user,
                        proxy_password="secret",
                    )
        return heads

    with_user, without = run(main)
    assert with_user.startswith(b"GET http://example.invalid/path HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic bWU6c2VjcmV0\r\n" in with_user
    assert b"Proxy-Authorization" not in without


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path]:
    folder = tmp_path_factory.mktemp("tls")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    ca.issue_cert("me@example.org").private_key_and_cert_chain_pem.write_to_path(
        str(folder / "client.pem")
    )
    return ca, folder


def test_tls(run: Run, authority: tuple[trustme.CA, Path]) -> None:
    ca, folder = authority
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    context.verify_mode = ssl.CERT_OPTIONAL
    ca.configure_trust(context)

    async def main() -> None:
        async with serving(ssl_options=context) as url:
            with curl_client(defaults={"allow_ipv6": False}) as client:
                with pytest.raises(CurlError) as caught:
                    await client.fetch(f"{url}/echo")
                assert caught.value.errno == pycurl.E_PEER_FAILED_VERIFICATION
                with pytest.raises(CurlError) as caught:
                    await client.fetch(f"{url}/echo", ca_certs="/no/such/file")
                assert caught.value.errno == pycurl.E_SSL_CACERT_BADFILE
                assert "/no/such/file" in str(caught.value)
                await client.fetch(f"{url}/echo", ca_certs=str(folder / "ca.pem"))
                await client.fetch(f"{url}/echo", validate_cert=False)
                known = await client.fetch(
                    f"{url}/echo",
                    ca_certs=str(folder / "ca.pem"),
                    client_cert=str(folder / "client.pem"),
                    client_key=str(folder / "client.pem"),
                )
                assert json.loads(known.body)["certificate"]
                unknown = await client.fetch(f"{url}/echo", ca_certs=str(folder / "ca.pem"))
                assert not json.loads(unknown.body)["certificate"]

    run(main)


# Timeouts and the queue


def test_request_timeout(run: Run) -> None:
    with pytest.raises(CurlError) as caught:
        fetch(run, "/never", request_timeout=0.05)
    assert caught.value.errno == pycurl.E_OPERATION_TIMEDOUT


def test_no_timeout(run: Run) -> None:
    assert fetch(run, "/echo", connect_timeout=0, request_timeout=0).code == 200


def test_queue(run: Run) -> None:
    async def main() -> None:
        async with serving() as url:
            with curl_client(max_clients=2) as client:
                order: list[int] = []

                async def one(number: int) -> HTTPResponse:
                    response = await client.fetch(f"{url}/echo")
                    order.append(number)
                    return response

                responses = await asyncio.gather(*map(one, range(6)))
                assert sorted(order) == list(range(6))
                ports = {json.loads(response.body)["port"] for response in responses}
                assert len(ports) <= 2, "connections are kept"
                assert responses[5].time_info["queue"] > 0
                assert not client.active
                assert not client.queue

    run(main)


def test_timeout_in_the_queue(run: Run) -> None:
    async def main() -> None:
        async with serving() as url:
            with curl_client(max_clients=1) as client:
                running = client.fetch(f"{url}/never", request_timeout=0)
                with pytest.raises(CurlError, match="Timeout in request queue") as caught:
                    await client.fetch(f"{url}/echo", connect_timeout=0.01)
                assert caught.value.errno == pycurl.E_OPERATION_TIMEDOUT
                client.close()
                with pytest.raises(asyncio.CancelledError):
                    await running

    run(main)


def test_max_clients_of_none() -> None:
    async def main() -> None:
        CurlAsyncHTTPClient(force_instance=True, max_clients=0)

    with pytest.raises(ValueError, match="write 1 or more"):
        asyncio.run(main())


# What applications hook into


def test_callbacks_run_in_the_context_of_the_fetch(run: Run) -> None:
    user: contextvars.ContextVar[int] = contextvars.ContextVar("user")

    async def main() -> list[int]:
        seen: list[int] = []

        async def one(number: int) -> None:
            user.set(number)
            await client.fetch(
                f"{url}/big?size=1",
                streaming_callback=lambda chunk: seen.append(user.get()),
                prepare_curl_callback=lambda curl: seen.append(user.get()),
            )

        async with serving() as url:
            with curl_client(max_clients=1) as client:
                await asyncio.gather(one(1), one(2))
        return seen

    assert run(main) == [1, 1, 2, 2]


def test_prepare_curl_callback(run: Run) -> None:
    def prepare(curl: Any) -> None:
        curl.setopt(pycurl.COOKIE, "a=b")

    def fail(curl: Any) -> None:
        raise ZeroDivisionError

    assert fetch_echo(run, prepare_curl_callback=prepare)["headers"]["Cookie"] == "a=b"
    with pytest.raises(ZeroDivisionError):
        fetch(run, "/echo", prepare_curl_callback=fail)
    with pytest.raises(CurlError):
        fetch(run, "/echo", prepare_curl_callback=lambda curl: curl.setopt(pycurl.MAXREDIRS, -7))


def test_exception_in_callback(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        told = asyncio.Event()

        def callback(response: HTTPResponse) -> None:
            told.set()
            raise ZeroDivisionError

        async with serving() as url:
            with curl_client() as client:
                request = HTTPRequest(f"{url}/echo", connect_timeout=5, request_timeout=5)
                client.fetch_impl(request, callback)
                await told.wait()

    run(main)
    assert "Exception in callback" in caplog.text


def test_log(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, curl_log.name)
    fetch(run, "/echo", headers={"X-Sent": "1"})
    lines = [record.getMessage() for record in caplog.records if record.name == curl_log.name]
    assert "> X-Sent: 1" in lines
    assert "< HTTP/1.1 200 OK" in lines


# The client's life


def test_close_cancels(run: Run) -> None:
    async def main() -> None:
        async with serving() as url:
            client = CurlAsyncHTTPClient(force_instance=True, max_clients=1)
            fetches = [client.fetch(f"{url}/never"), client.fetch(f"{url}/echo")]
            client.close()
            client.close()
            for future in fetches:
                with pytest.raises(asyncio.CancelledError):
                    await future
            with pytest.raises(RuntimeError, match="closed"):
                client.fetch(f"{url}/echo")

    run(main)


def test_a_client_is_freed_when_it_is_closed(run: Run) -> None:
    async def main() -> weakref.ref[CurlAsyncHTTPClient]:
        async with serving() as url:
            with curl_client() as client:
                await client.fetch(f"{url}/echo")
                with pytest.raises(HTTPError):
                    await client.fetch(f"{url}/fail")
                freed = weakref.ref(client)
            del client
        return freed

    with without_collector():
        assert run(main)() is None


def test_configure(run: Run) -> None:
    async def main() -> AsyncHTTPClient:
        client = AsyncHTTPClient()
        client.close()
        return client

    AsyncHTTPClient.configure("typhoon.curl_httpclient.CurlAsyncHTTPClient", max_body_size=5)
    try:
        client = run(main)
    finally:
        AsyncHTTPClient.configure(None)
    assert isinstance(client, CurlAsyncHTTPClient)
    assert client.max_body_size == 5


def test_error_can_be_pickled() -> None:
    error = pickle.loads(pickle.dumps(CurlError(7, "refused")))
    assert (error.errno, error.code, str(error)) == (7, 599, "HTTP 599: refused")


def test_without_pycurl() -> None:
    program = "import sys; sys.modules['pycurl'] = None; import typhoon.curl_httpclient"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert "ImportError: typhoon.curl_httpclient needs pycurl: pip install typhoon[curl]" in (
        done.stderr
    )
