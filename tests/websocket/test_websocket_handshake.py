"""What a handler has to do with the opening handshake; its rules are in `handshakes/`."""

from __future__ import annotations

from typing import Any

import pytest
from peers import TEXT, Echo, Peer, connect, encode, refused

from support import StreamServer
from typhoon.httpserver import HTTPServer
from typhoon.web import Application, HTTPError
from typhoon.websocket import WebSocketHandler, WebSocketProtocol13

KEY = "dGhlIHNhbXBsZSBub25jZQ=="


def test_the_accepted_key():
    assert WebSocketProtocol13.compute_accept_value(KEY) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


class Permissive(Echo):
    def check_origin(self, origin: str) -> bool:
        return origin.endswith(".example")


def test_a_handler_may_decide_about_origins(serve):
    server = serve(Application([("/", Permissive)]))
    assert connect(server, Origin="http://other.example").response.status == 101
    assert refused(server, {"Origin": "http://localhost"}).status == 403


class Choosing(WebSocketHandler):
    def initialize(self, choice: str | None) -> None:
        self.choice = choice

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        self.offered = subprotocols
        return self.choice

    def open(self) -> None:
        self.write_message({"offered": self.offered, "selected": self.selected_subprotocol})


def test_subprotocols(serve):
    rules = [("/b", Choosing, {"choice": "b"}), ("/none", Choosing, {"choice": None})]
    server = serve(Application(rules))
    peer = connect(server, "/b", Sec_WebSocket_Protocol="a, b")
    assert peer.response.header("Sec-WebSocket-Protocol") == "b"
    assert peer.read_text() == '{"offered": ["a", "b"], "selected": "b"}'
    peer = connect(server, "/none")
    assert peer.response.header("Sec-WebSocket-Protocol") is None
    assert peer.read_text() == '{"offered": [], "selected": null}'


def test_a_subprotocol_that_was_not_offered_is_the_applications_mistake(serve, caplog):
    server = serve(Application([("/", Choosing, {"choice": "c"})]))
    assert refused(server, {"Sec-WebSocket-Protocol": "a"}).status == 500
    assert "which the client has not offered" in caplog.text


class Preparing(Echo):
    def set_default_headers(self) -> None:
        self.set_header("X-Default", "yes")

    async def prepare(self) -> None:
        if self.get_argument("fail", ""):
            raise HTTPError(401)
        self.set_cookie("seen", "1")
        self.set_header("X-Own", "mine")


def test_what_is_prepared_goes_with_the_response(serve, loop_kind):
    server = serve(Application([("/", Preparing)]), loop_kind=loop_kind)
    peer = connect(server)
    assert peer.response.header("X-Default") == "yes"
    assert peer.response.header("X-Own") == "mine"
    assert peer.response.header("Set-Cookie") == "seen=1; Path=/"
    peer.text("hello")
    assert peer.read_text() == "hello"
    assert refused(server, {}, "/?fail=1").status == 401


class Overriding(Echo):
    async def get(self, *args: Any, **kwargs: Any) -> None:
        self.user = self.get_argument("user")
        await super().get(*args, **kwargs)

    def open(self, *args: str, **kwargs: str) -> None:
        self.write_message(f"{self.user} {args} {kwargs}")


def test_get_may_be_overridden(serve, loop_kind):
    rules = [(r"/(\w+)/(\w+)", Overriding), (r"/(?P<room>\w+)", Overriding)]
    server = serve(Application(rules), loop_kind=loop_kind)
    assert connect(server, "/a/b?user=Ann").read_text() == "Ann ('a', 'b') {}"
    assert connect(server, "/a?user=Bob").read_text() == "Bob () {'room': 'a'}"


@pytest.mark.parametrize("server_class", [HTTPServer, StreamServer])
def test_frames_right_behind_the_handshake(serve, loop_kind, server_class):
    server = serve(Application([("/", Echo)]), loop_kind=loop_kind, server_class=server_class)
    client = server.connect()
    head = (
        "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
    )
    client.send(head.encode() + b"".join(encode(TEXT, b"%d" % n) for n in range(200)))
    assert client.response().status == 101
    peer = Peer.__new__(Peer)
    peer.client = client
    assert [peer.read_text() for _ in range(200)] == [str(n) for n in range(200)]


class AfterOpening(WebSocketHandler):
    def open(self) -> None:
        calls = {
            "write": lambda: self.write("late"),
            "redirect": lambda: self.redirect("/"),
            "set_header": lambda: self.set_header("X", "y"),
            "set_cookie": lambda: self.set_cookie("x", "y"),
            "set_status": lambda: self.set_status(500),
            "flush": self.flush,
            "finish": self.finish,
        }
        for name, call in calls.items():
            with pytest.raises(RuntimeError, match=name):
                call()
        self.write_message("all refused")


def test_no_response_is_written_on_an_open_websocket(serve):
    assert connect(serve(Application([("/", AfterOpening)]))).read_text() == "all refused"


def test_the_access_log_has_the_handshake(serve, caplog):
    caplog.set_level("INFO", "typhoon.access")
    server = serve(Application([("/", Echo)]))
    connect(server)
    server.call()
    assert "101 GET / (127.0.0.1)" in caplog.text
