"""`decompress_request`: bodies with a Content-Encoding."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import pytest

from typhoon.web import Application, RequestHandler, stream_request_body


class Whole(RequestHandler):
    def post(self) -> None:
        headers = self.request.headers
        self.set_header("X-Encoding", headers.get("Content-Encoding", "none"))
        self.set_header("X-Consumed", headers.get("X-Consumed-Content-Encoding", "none"))
        self.write(self.request.body)

    def get(self) -> None:
        self.write("get")


@stream_request_body
class Stream(RequestHandler):
    def prepare(self) -> None:
        self.pieces: list[bytes] = []
        if limit := self.get_argument("limit", None):
            self.request.connection.set_max_body_size(int(limit))

    async def data_received(self, chunk: bytes) -> None:
        self.pieces.append(chunk)

    def post(self) -> None:
        self.write(b"".join(self.pieces))


class Form(RequestHandler):
    def post(self) -> None:
        self.write(self.get_body_argument("a"))


APP = Application([("/whole", Whole), ("/stream", Stream), ("/form", Form)])
GZIP = {"Content-Encoding": "gzip"}


@pytest.fixture(params=["/whole", "/stream"])
def target(request):
    return request.param


@pytest.mark.parametrize("body", [b"", b"small", b"large" * 100_000])
def test_compressed_bodies(serve, target, body, loop_kind):
    client = serve(APP, decompress_request=True, loop_kind=loop_kind).connect()
    for compressed, coding in ((gzip.compress(body), "gzip"), (zlib.compress(body), "deflate")):
        answer = client.post(target, compressed, {"Content-Encoding": coding})
        assert (answer.status, answer.body) == (200, body)
        if target == "/whole":
            assert (answer.header("X-Encoding"), answer.header("X-Consumed")) == ("none", coding)
    assert client.post(target, body).body == body


def test_chunked_compressed_bodies(serve, target):
    data = gzip.compress(b"body" * 1000)
    chunked = b"".join(b"1\r\n" + data[i : i + 1] + b"\r\n" for i in range(len(data)))
    headers = {**GZIP, "Transfer-Encoding": "chunked"}
    answer = serve(APP, decompress_request=True).post(target, chunked + b"0\r\n\r\n", headers)
    assert answer.body == b"body" * 1000


def test_compressed_forms(serve):
    headers = {**GZIP, "Content-Type": "application/x-www-form-urlencoded"}
    server = serve(APP, decompress_request=True)
    assert server.post("/form", gzip.compress(b"a=1"), headers).body == b"1"
    assert serve(APP).post("/form", gzip.compress(b"a=1"), headers).status == 400


def test_bodies_stay_compressed_unless_that_is_set(serve, target):
    data = gzip.compress(b"body")
    answer = serve(APP).post(target, data, GZIP)
    assert answer.body == data


def test_other_codings_are_left_alone(serve):
    answer = serve(APP, decompress_request=True).post("/whole", b"x", {"Content-Encoding": "br"})
    assert (answer.body, answer.header("X-Encoding")) == (b"x", "br")


@pytest.mark.parametrize("coding", ["GZIP", "gzip"])
def test_codings_have_no_case(serve, coding):
    server = serve(APP, decompress_request=True)
    assert server.post("/whole", gzip.compress(b"x"), {"Content-Encoding": coding}).body == b"x"


@pytest.mark.parametrize(("size", "status"), [(1000, 200), (1001, 413), (100_000_000, 413)])
def test_the_decompressed_size_counts(serve, target, size, status):
    server = serve(APP, decompress_request=True, max_body_size=200_000 if size > 10_000 else 1000)
    client = server.connect()
    assert client.post(target, gzip.compress(b"\0" * size, 9), GZIP).status == status
    assert server.post(target, b"plain").body == b"plain"


@pytest.mark.parametrize(("size", "status"), [(5000, 200), (5001, 413)])
def test_the_limit_that_a_handler_sets_counts(serve, size, status):
    server = serve(APP, decompress_request=True, max_body_size=1000)
    answer = server.post("/stream?limit=5000", gzip.compress(b"\0" * size), GZIP)
    assert answer.status == status


@pytest.mark.parametrize(
    "body",
    [
        b"no gzip at all",
        gzip.compress(b"body" * 100, mtime=0)[:-1],
        gzip.compress(b"body" * 100, mtime=0)[:20],
        gzip.compress(b"body", mtime=0)[:-4] + b"\0\0\0\0",
        b"\x1f\x8b",
    ],
    ids=["no gzip", "almost all", "half", "wrong length", "start"],
)
def test_malformed_bodies_are_400(serve, target, body, caplog):
    server = serve(APP, decompress_request=True)
    assert server.post(target, body, GZIP).status == 400
    assert server.post(target, b"plain").body == b"plain"
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_request_without_a_body(serve):
    answer = serve(APP, decompress_request=True).connect().request("GET", "/whole", GZIP)
    assert answer.body == b"get"


@pytest.mark.parametrize("kind", ["callable", "delegate"])
def test_other_callbacks(serve, kind):
    from typhoon.httputil import HTTPHeaders, ResponseStartLine
    from typhoon.routing import AnyMatches, Rule, RuleRouter

    def callback(request: Any) -> None:
        headers = HTTPHeaders({"Content-Length": str(len(request.body))})
        request.connection.write_headers(ResponseStartLine("", 200, "OK"), headers, request.body)
        request.connection.finish()

    target = callback if kind == "callable" else RuleRouter([Rule(AnyMatches(), callback)])
    server = serve(target, decompress_request=True)
    assert server.post("/", gzip.compress(b"body"), GZIP).body == b"body"
