"""`compress_response`: gzip, Brotli and Zstandard."""

from __future__ import annotations

import asyncio
import gzip
import threading
import zlib
from typing import Any
from urllib.parse import quote

import brotli
import pytest
import zstandard

from typhoon.httpserver import HTTP1ServerConnection
from typhoon.httputil import HTTPHeaders, HTTPServerRequest
from typhoon.web import Application, GZipContentEncoding, OutputTransform, RequestHandler

TEXT = "Hello, wide world. " * 250
SIZE = 4000
ENCODINGS = ["gzip", "br", "zstd"]
ALL = {"Accept-Encoding": "gzip, deflate, br, zstd"}


def decode(encoding: str, body: bytes) -> bytes:
    match encoding:
        case "gzip":
            return gzip.decompress(body)
        case "br":
            return brotli.decompress(body)
    return zstandard.ZstdDecompressor().decompressobj().decompress(body)


class Page(RequestHandler):
    """A page as its query says."""

    def get(self) -> None:
        for name in ("Content-Type", "Cache-Control", "Content-Encoding", "Etag"):
            if value := self.get_query_argument(name, None):
                self.set_header(name, value)
        for value in self.get_query_arguments("Vary"):
            self.add_header("Vary", value)
        self.set_status(int(self.get_query_argument("status", "200")))
        if size := int(self.get_query_argument("size", str(SIZE))):
            self.write(TEXT[:size])

    head = post = get


class Pieces(RequestHandler):
    async def get(self) -> None:
        for number in range(3):
            self.write(f"piece {number}\n")
            await self.flush()
            await self.flush()
        self.write("end\n")

    head = get


PIECES = b"piece 0\npiece 1\npiece 2\nend\n"


@pytest.fixture
def client(serve, loop_kind):
    app = Application([("/", Page), ("/pieces", Pieces)], compress_response=True)
    return serve(app, loop_kind=loop_kind).connect()


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_whole_page(client, encoding):
    for _ in range(2):
        answer = client.get("/", {"Accept-Encoding": encoding})
        assert answer.header("Content-Encoding") == encoding
        assert answer.header("Vary") == "Accept-Encoding"
        assert len(answer.body) < 500
        assert decode(encoding, answer.body) == TEXT.encode()[:SIZE]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_pieces(client, encoding):
    for _ in range(2):
        answer = client.get("/pieces", {"Accept-Encoding": encoding})
        assert answer.header("Content-Encoding") == encoding
        assert answer.header("Transfer-Encoding") == "chunked"
        assert decode(encoding, answer.body) == PIECES


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        (None, None),
        ("", None),
        ("deflate", None),
        ("identity", None),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, br", "br"),
        ("gzip;q=1, br;q=0.9", "gzip"),
        ("gzip;q=0", None),
        ("*;q=0", None),
        ("identity;q=0.5, gzip;q=0.3", None),
        ("identity;q=0, gzip;q=0.001", "gzip"),
        ("*", "zstd"),
        ("*, zstd;q=0", "br"),
    ],
)
def test_the_client_decides(client, accepted, encoding):
    answer = client.get("/", {} if accepted is None else {"Accept-Encoding": accepted})
    assert answer.header("Content-Encoding") == encoding
    assert answer.header("Vary") == "Accept-Encoding"
    body = decode(encoding, answer.body) if encoding else answer.body
    assert body == TEXT.encode()[:SIZE]


def test_short_pages_are_left_unless_the_client_refuses_that(client):
    answer = client.get("/?size=1023", ALL)
    assert (len(answer.body), answer.header("Content-Encoding")) == (1023, None)
    assert answer.header("Vary") == "Accept-Encoding"
    assert client.get("/?size=1024", ALL).header("Content-Encoding") == "zstd"
    for refusing in ("gzip, identity;q=0", "gzip, *;q=0"):
        answer = client.get("/?size=10", {"Accept-Encoding": refusing})
        assert (answer.header("Content-Encoding"), len(gzip.decompress(answer.body))) == (
            "gzip",
            10,
        )
    answer = client.get("/?size=10", {"Accept-Encoding": "compress, identity;q=0"})
    assert (answer.header("Content-Encoding"), len(answer.body)) == (None, 10)


@pytest.mark.parametrize(
    ("content_type", "encoded"),
    [
        ("text/anything", True),
        ("TEXT/HTML;charset=x", True),
        ("application/json; charset=UTF-8", True),
        ("image/svg+xml", True),
        ("image/png", False),
        ("application/octet-stream", False),
        ("video/text", False),
    ],
)
def test_only_content_that_gets_smaller(client, content_type, encoded):
    answer = client.get(f"/?Content-Type={quote(content_type)}", ALL)
    assert answer.header("Content-Encoding") == ("zstd" if encoded else None)
    assert answer.header("Vary") == ("Accept-Encoding" if encoded else None)


def test_nothing_is_left_as_nothing(serve, tmp_path):
    (tmp_path / "empty.txt").write_bytes(b"")
    (tmp_path / "page.txt").write_text(TEXT)
    settings: dict[str, Any] = {
        "static_path": str(tmp_path),
        "compress_response": {"min_length": 0},
    }
    with serve(Application([("/", Page)], **settings)).connect() as client:
        for target, more in (
            ("/?size=0", {}),
            ("/static/empty.txt", {}),
            ("/static/page.txt", {"Range": "bytes=99999-"}),
        ):
            answer = client.get(target, {**ALL, **more})
            assert answer.header("Content-Encoding") is None
            assert (answer.body, answer.header("Content-Length")) == (b"", "0")
            assert answer.header("Vary") == "Accept-Encoding"


@pytest.mark.parametrize(
    "query",
    [
        "Content-Encoding=br",
        "Cache-Control=public,%20No-Transform",
        "status=206",
        "status=204&size=0",
    ],
)
def test_what_is_left_as_it_is(client, query):
    answer = client.get(f"/?{query}", ALL)
    assert answer.header("Content-Encoding") in (None, "br")
    assert len(answer.body) in (0, SIZE)
    assert answer.header("Vary") == ("Accept-Encoding" if "206" in query else None)


@pytest.mark.parametrize(
    ("own", "vary"),
    [
        ("Vary=Accept-Language", "Accept-Language, Accept-Encoding"),
        ("Vary=Accept-Language&Vary=Cookie", "Accept-Language,Cookie, Accept-Encoding"),
        ("Vary=accept-encoding", "accept-encoding"),
        ("Vary=Cookie,%20Accept-Encoding", "Cookie, Accept-Encoding"),
    ],
)
def test_vary_is_merged(client, own, vary):
    assert client.get(f"/?{own}", ALL).header("Vary") == vary


def test_error_pages_are_compressed(client):
    answer = client.get("/?status=404", ALL)
    assert (answer.status, answer.header("Content-Encoding")) == (404, "zstd")


# Entity tags


def test_codings_share_a_weak_tag(client):
    strong = client.get("/").header("Etag")
    assert strong.startswith('"')
    for encoding in ENCODINGS:
        assert client.get("/", {"Accept-Encoding": encoding}).header("Etag") == f"W/{strong}"
    assert client.get("/?Etag=W/%22own%22", ALL).header("Etag").startswith("W/") is True


@pytest.mark.parametrize("accepted", ["gzip", "identity", "br"])
@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", W/{}'])
def test_not_modified(client, accepted, form):
    strong = client.get("/").header("Etag")
    headers = {"Accept-Encoding": accepted, "If-None-Match": form.format(strong)}
    answer = client.get("/", headers)
    assert answer.status == 304
    assert answer.header("Etag") == (f"W/{strong}" if "W/" in form else strong)
    assert answer.header("Content-Encoding") is None
    assert answer.header("Vary") == "Accept-Encoding"


def test_modified(client):
    strong = client.get("/").header("Etag")
    answer = client.get("/?size=3999", {**ALL, "If-None-Match": f"W/{strong}"})
    assert (answer.status, answer.header("Content-Encoding")) == (200, "zstd")


# HEAD, lengths, HTTP/1.0


def test_head_says_what_get_would(client):
    got, told = (client.request(method, "/", ALL) for method in ("GET", "HEAD"))
    for name in ("Content-Length", "Content-Encoding", "Etag", "Vary", "Content-Type"):
        assert got.header(name) == told.header(name), name
    assert told.body == b""
    got, told = (client.request(method, "/pieces", ALL) for method in ("GET", "HEAD"))
    assert told.header("Content-Encoding") == got.header("Content-Encoding") == "zstd"
    assert client.get("/").body == TEXT.encode()[:SIZE], "the connection goes on"


def test_head_without_a_body_of_its_own(serve):
    class Handler(RequestHandler):
        def get(self) -> None:
            self.write(TEXT)

        def head(self) -> None:
            self.set_header("Content-Length", len(TEXT))

    client = serve(Application([("/", Handler)], compress_response=True)).connect()
    answer = client.request("HEAD", "/", ALL)
    assert answer.header("Content-Encoding") == "zstd"
    assert answer.header("Content-Length") is None
    answer = client.request("HEAD", "/")
    assert answer.header("Content-Length") == str(len(TEXT))
    client.send(b"HEAD / HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n")
    answer = client.response("HEAD")
    assert answer.header("Content-Length") == str(len(TEXT))
    assert answer.header("Transfer-Encoding") is answer.header("Content-Encoding") is None


@pytest.mark.parametrize("flush", [True, False])
def test_a_content_length_of_the_handler_is_corrected(serve, flush):
    class Handler(RequestHandler):
        async def get(self) -> None:
            self.set_header("Content-Length", len(TEXT))
            self.write(TEXT)
            if flush:
                await self.flush()

    client = serve(Application([("/", Handler)], compress_response=True)).connect()
    for _ in range(2):
        answer = client.get("/", {"Accept-Encoding": "gzip"})
        assert gzip.decompress(answer.body) == TEXT.encode()
        assert (answer.header("Content-Length") is None) == flush


def test_a_wrong_content_length_is_still_a_mistake(serve, caplog):
    class Handler(RequestHandler):
        def get(self) -> None:
            self.set_header("Content-Length", "4")
            self.write(TEXT)

    server = serve(Application([("/", Handler)], compress_response=True))
    assert server.get("/", ALL).status == 500
    assert "Tried to write more data than Content-Length" in caplog.text


def test_http_1_0(serve):
    app = Application([("/", Page), ("/pieces", Pieces)], compress_response=True)
    server = serve(app)
    for target, body in (("/", TEXT.encode()[:SIZE]), ("/pieces", PIECES)):
        client = server.connect()
        client.send(f"GET {target} HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n".encode())
        answer = client.response()
        assert gzip.decompress(answer.body) == body
        assert client.is_closed()


# Streams


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_is_flushed_can_be_read_at_once(serve, encoding):
    go_on = threading.Event()

    class Handler(RequestHandler):
        async def get(self) -> None:
            self.write("first")
            await self.flush()
            await asyncio.to_thread(go_on.wait, 20)
            go_on.clear()
            self.write("second")
            await self.flush()
            await asyncio.to_thread(go_on.wait, 20)

    client = serve(Application([("/", Handler)], compress_response=True)).connect()
    client.send(f"GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {encoding}\r\n\r\n".encode())
    assert f"Content-Encoding: {encoding}".encode() in client.read_until(b"\r\n\r\n")
    match encoding:
        case "gzip":
            decoding = zlib.decompressobj(31).decompress
        case "br":
            decoding = brotli.Decompressor().process
        case _:
            decoding = zstandard.ZstdDecompressor().decompressobj().decompress
    for text in (b"first", b"second", b""):
        decoded = b""
        while len(decoded) < len(text):
            size = int(client.read_until(b"\r\n"), 16)
            decoded += decoding(client.read_exactly(size + 2)[:-2])
        assert decoded == text
        go_on.set()
    while size := int(client.read_until(b"\r\n"), 16):
        assert decoding(client.read_exactly(size + 2)[:-2]) == b""


def test_static_files(serve, tmp_path):
    (tmp_path / "page.html").write_text(TEXT)
    (tmp_path / "large.txt").write_text(TEXT * 100)
    (tmp_path / "short.txt").write_text("Hello")
    (tmp_path / "picture.png").write_bytes(b"p" * 5000)
    app = Application(static_path=str(tmp_path), compress_response=True)
    client = serve(app).connect()
    for name, text in (("page.html", TEXT), ("large.txt", TEXT * 100), ("short.txt", "Hello")):
        for _ in range(2):
            answer = client.get(f"/static/{name}", {"Accept-Encoding": "gzip"})
            assert gzip.decompress(answer.body) == text.encode()
            assert answer.header("Accept-Ranges") is None
            assert answer.header("Etag").startswith('W/"')
        again = {"Accept-Encoding": "gzip", "If-None-Match": answer.header("Etag")}
        assert client.get(f"/static/{name}", again).status == 304
        told = client.request("HEAD", f"/static/{name}", {"Accept-Encoding": "gzip"})
        assert told.header("Content-Encoding") == "gzip"
        assert told.header("Etag") == answer.header("Etag")
        assert told.header("Content-Length") is None
        part = {**ALL, "Range": "bytes=1-4", "If-Range": answer.header("Etag")}
        assert client.get(f"/static/{name}", part).status == 200, "the tag is of the whole page"
        del part["If-Range"]
        answer = client.get(f"/static/{name}", part)
        assert (answer.status, answer.body) == (206, b"ello")
        assert answer.header("Etag").startswith('"')
        assert answer.header("Vary") == "Accept-Encoding"
    answer = client.get("/static/picture.png", ALL)
    assert (answer.header("Content-Encoding"), len(answer.body)) == (None, 5000)
    assert answer.header("Accept-Ranges") == "bytes"


def test_files_that_stay_as_they_are_are_sent_by_the_kernel(serve, tmp_path, monkeypatch):
    sent: list[int] = []
    send_file = HTTP1ServerConnection.send_file

    def spy(self, fd: int, offset: int, count: int) -> Any:
        sent.append(count)
        return send_file(self, fd, offset, count)

    monkeypatch.setattr(HTTP1ServerConnection, "send_file", spy)
    content = bytes(range(256)) * 4096
    for name in ("film.mp4", "text.txt"):
        (tmp_path / name).write_bytes(content)
    app = Application(static_path=str(tmp_path), compress_response=True)
    client = serve(app).connect()
    gzip_only = {"Accept-Encoding": "gzip"}
    for headers, name in ((gzip_only, "film.mp4"), ({}, "film.mp4"), ({}, "text.txt")):
        answer = client.get(f"/static/{name}", headers)
        assert (answer.body, answer.header("Content-Encoding")) == (content, None)
    assert sent == [len(content)] * 3
    answer = client.get("/static/text.txt", gzip_only)
    assert gzip.decompress(answer.body) == content
    ranges = {"Range": "bytes=0-99999,200000-299999", **gzip_only}
    answer = client.get("/static/text.txt", ranges)
    assert answer.status == 206
    assert content[200000:300000] in answer.body
    assert sent[3:] == [100000] * 2


def test_other_transforms_see_the_text(serve):
    class Upper(OutputTransform):
        def transform_first_chunk(self, status_code, headers, chunk, finishing):
            return status_code, headers, chunk.upper()

    app = Application([("/", Page)], compress_response=True)
    app.add_transform(Upper)
    answer = serve(app).get("/", {"Accept-Encoding": "gzip"})
    assert gzip.decompress(answer.body) == TEXT.upper().encode()[:SIZE]


# Settings


def options_of(serve: Any, setting: object, accepted: str = "gzip, br, zstd") -> Any:
    client = serve(Application([("/", Page)], compress_response=setting)).connect()
    return lambda query="": client.get(f"/?{query}", {"Accept-Encoding": accepted})


def test_the_encodings_and_their_order(serve):
    for encodings in (["gzip", "br"], ("br", "gzip"), ["zstd"]):
        get = options_of(serve, {"encodings": encodings})
        assert get().header("Content-Encoding") == encodings[0]


def test_the_least_length_and_the_types(serve):
    get = options_of(serve, {"min_length": 10, "content_types": {"Image/Png"}})
    assert get("size=9").header("Content-Encoding") is None
    assert get("size=10").header("Content-Encoding") == "zstd"
    assert get("Content-Type=image/png").header("Content-Encoding") == "zstd"
    assert get("Content-Type=text/css").header("Content-Encoding") == "zstd"
    assert get("Content-Type=application/json").header("Content-Encoding") is None


def test_the_levels(serve):
    for level in ({"gzip": 9, "br": 11}, {"gzip": 1, "br": 0}, 5):
        setting = {"encodings": ["gzip", "br"], "level": level}
        body = options_of(serve, setting, "gzip")().body
        assert gzip.decompress(body) == TEXT.encode()[:SIZE]
        expected = level if isinstance(level, int) else level["gzip"]
        assert body == zlib.compress(TEXT.encode()[:SIZE], expected, 31)
        assert brotli.decompress(options_of(serve, setting, "br")().body) == TEXT.encode()[:SIZE]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("gzip", "write True"),
        ({"encoding": "br"}, "no option 'encoding'; there are encodings, level"),
        ({"encodings": "br"}, "no list of names"),
        ({"encodings": []}, "no list of names"),
        ({"encodings": ["brotli"]}, "unknown encoding 'brotli'; there are zstd, br, gzip"),
        ({"level": 20}, "the level of zstd is 20; it has to be from 1 to 19"),
        ({"level": {"gzip": "9"}}, "the level of gzip is '9'; it has to be from 1 to 9"),
        ({"level": {"deflate": 1}}, "not among the encodings"),
        ({"encodings": ["br"], "level": {"gzip": 1}}, "not among the encodings br"),
        ({"min_length": "1k"}, "min_length='1k' is no number of bytes"),
        ({"min_length": -1}, "no number of bytes"),
        ({"content_types": "text/html"}, "collection of types"),
    ],
)
def test_a_bad_setting_fails_at_start(setting, message):
    with pytest.raises((ValueError, TypeError), match=message):
        Application(compress_response=setting)


def test_what_is_not_installed(serve, monkeypatch):
    import typhoon.web.codings

    monkeypatch.setattr(typhoon.web.codings, "_module", lambda name: None)
    answer = options_of(serve, True)()
    assert answer.header("Content-Encoding") == "gzip"
    with pytest.raises(ValueError, match=r"'br' is not installed; run pip install typhoon"):
        Application(compress_response={"encodings": ["br", "gzip"]})


def test_off_by_default(serve):
    answer = serve(Application([("/", Page)])).get("/", ALL)
    assert answer.header("Content-Encoding") is answer.header("Vary") is None
    app = Application([("/", Page)], compress_response=False)
    assert not app.transforms


def test_the_older_name_of_the_setting(serve):
    app = Application([("/", Page)], gzip=True)
    assert serve(app).get("/", {"Accept-Encoding": "gzip"}).header("Content-Encoding") == "gzip"

    async def listen() -> None:
        app.listen(0, "127.0.0.1").stop()

    with pytest.warns(DeprecationWarning, match="compress_response=True") as warned:
        asyncio.run(listen())
    assert warned[0].filename == __file__


# The transform by itself


def test_gzip_content_encoding(serve):
    app = Application([("/", Page)], transforms=[GZipContentEncoding])
    server = serve(app)
    assert server.get("/", ALL).header("Content-Encoding") == "gzip"
    assert server.get("/", {"Accept-Encoding": "br"}).header("Content-Encoding") is None


def test_gzip_content_encoding_called_directly(monkeypatch):
    monkeypatch.setattr(GZipContentEncoding, "MIN_LENGTH", 3)
    request = HTTPServerRequest("GET", "/", headers=HTTPHeaders({"Accept-Encoding": "gzip"}))
    headers = HTTPHeaders({"Content-Type": "text/plain", "Content-Length": "3"})
    transform = GZipContentEncoding(request)
    status, headers, chunk = transform.transform_first_chunk(200, headers, b"abc", True)
    assert (status, gzip.decompress(chunk)) == (200, b"abc")
    assert headers["Content-Length"] == str(len(chunk))
    transform = GZipContentEncoding(request)
    headers = HTTPHeaders({"Content-Type": "text/plain"})
    _, _, first = transform.transform_first_chunk(200, headers, b"a", False)
    chunk = first + transform.transform_chunk(b"b", False) + transform.transform_chunk(b"", True)
    assert gzip.decompress(chunk) == b"ab"
