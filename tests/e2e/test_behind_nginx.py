"""`examples/nginx.conf`, in a real nginx: all that stays open passes through it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import queue
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from example_programs import EXAMPLES, ExampleProcess, load
from proxy import needs_nginx, running_nginx, wrapped
from seed_examples import URLENCODED
from support import TIMEOUT, Client, Server
from typhoon.web import Application, RequestHandler, ServerSentEvent
from typhoon.websocket import WebSocketHandler

pytestmark = [needs_nginx, pytest.mark.timeout(120)]

CONFIGURATION = (EXAMPLES / "nginx.conf").read_text("utf-8")
SHORT = CONFIGURATION.replace("proxy_read_timeout 1h;", "proxy_read_timeout 1s;")
ADDRESSES = [f"127.0.{number}.1" for number in range(1, 17)]  # for ip_hash, the third number counts
PING_INTERVAL = 0.25
PINGS = 8  # twice the time in which nginx closes what is silent


class Nginx:
    """A running nginx, which clients reach from any address of this machine."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.stack = contextlib.ExitStack()

    def socket(self, source: str = "127.0.0.1") -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), TIMEOUT, (source, 0))

    def client(self, source: str = "127.0.0.1") -> Client:
        client = Client(self.socket(source))
        self.stack.callback(client.close)
        return client

    def websocket(self, target: str, source: str = "127.0.0.1") -> ClientConnection:
        url = f"ws://localhost:{self.port}{target}"
        # Its own pings are off: what keeps the connection open has to be the server's.
        opening = connect(url, sock=self.socket(source), ping_interval=None)
        return self.stack.enter_context(opening)


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Callable[..., Nginx]]:
    """`nginx(ports, configuration)` runs nginx in front of the servers on these two ports."""
    with contextlib.ExitStack() as stack:

        def start(ports: list[int], configuration: str = CONFIGURATION) -> Nginx:
            documented = dict(zip((8001, 8002), ports, strict=True))
            text = wrapped(configuration)
            running = stack.enter_context(running_nginx(text, tmp_path / "nginx", documented))
            nginx = Nginx(running().socket.getpeername()[1])
            stack.callback(nginx.stack.close)
            return nginx

        yield start


@pytest.fixture
def processes() -> Iterator[Callable[[str], list[ExampleProcess]]]:
    """`processes(program)` starts an example twice."""
    with contextlib.ExitStack() as stack:

        def start(program: str) -> list[ExampleProcess]:
            options = ("--address=127.0.0.1", "--behind-proxy")
            started = [ExampleProcess(program, *options) for _ in range(2)]
            for process in started:
                stack.callback(process.stop)
            return started

        yield start


def test_the_short_timeout_is_one() -> None:
    assert SHORT != CONFIGURATION


# ---- Long polling


def post(client: Client, name: str, text: str) -> None:
    body = urlencode({"name": name, "text": text}).encode()
    assert client.post("/messages", body, URLENCODED).status == 204


def texts(client: Client, number: int = 0, wait: str = "yes") -> list[str]:
    answer = client.get(f"/messages/after/{number}?wait={wait}")
    assert answer.status == 200, answer
    return [message["text"] for message in json.loads(answer.body)["messages"]]


def test_each_address_stays_with_one_process(
    nginx: Callable[..., Nginx], processes: Callable[[str], list[ExampleProcess]]
) -> None:
    """What `ip_hash` does, and what it does not: there are two rooms."""
    front = nginx([process.port for process in processes("chat/chat.py")])
    for address in ADDRESSES:
        post(front.client(address), "ada", address)
    rooms = set()
    for address in ADDRESSES:
        seen = [texts(front.client(address)) for _ in range(3)]
        assert address in seen[0]
        assert seen[0] == seen[1] == seen[2]
        rooms.add(tuple(seen[0]))
    assert len(rooms) == 2
    assert sorted(text for room in rooms for text in room) == sorted(ADDRESSES)


def test_long_polling(
    nginx: Callable[..., Nginx], serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = load("chat/chat.py")
    room = chat.Room()
    server = serve(chat.make_app(room), xheaders=True)
    front = nginx([server.port, server.port])
    reader, writer = front.client(), front.client()

    def until_waiting(count: int) -> None:
        deadline = time.monotonic() + TIMEOUT
        while server.call(lambda: len(room.waiting)) != count:
            assert time.monotonic() < deadline

    for text in ("one", "two"):
        number = server.call(lambda: room.messages[-1]["number"] if room.messages else 0)
        reader.send(b"GET /messages/after/%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % number)
        until_waiting(1)
        post(writer, "ada", text)
        assert text in reader.response().text
    reader.send(b"GET /messages/after/999999999999999 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    until_waiting(1)
    reader.close()  # nginx tells the server, which forgets the request
    until_waiting(0)


def test_a_process_that_stops_while_requests_wait(
    nginx: Callable[..., Nginx], processes: Callable[[str], list[ExampleProcess]]
) -> None:
    """nginx gives its requests to the other process, and new ones to it when it is back."""
    running = processes("chat/chat.py")
    front = nginx([process.port for process in running])
    number = max(newest_number(front, address) for address in ADDRESSES)
    for process in running:
        waiting = [front.client(address) for address in ADDRESSES]
        for client in waiting:
            target = f"/messages/after/{number}?wait=yes"
            client.send(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        process.stop()
        post(front.client(), "ada", process.url)
        for client in waiting:
            answer = client.response()
            assert answer.status == 200, answer
            (message,) = json.loads(answer.body)["messages"]
            assert message["text"] == process.url
        number = message["number"]
        process.start()


def newest_number(front: Nginx, address: str) -> int:
    """Write something, and give its number."""
    post(front.client(address), "ada", "hello")
    answer = front.client(address).get("/messages/after/0")
    number: int = json.loads(answer.body)["messages"][-1]["number"]
    return number


# ---- WebSockets


class TalkHandler(WebSocketHandler):
    """Says where the client is, repeats what it hears, and counts what keeps it open."""

    def initialize(self, heard: queue.Queue[str]) -> None:
        self.heard = heard

    def open(self) -> None:
        self.write_message(f"{self.request.protocol} {self.request.remote_ip}")

    def on_message(self, message: str | bytes) -> None:
        self.write_message(message)

    def on_pong(self, data: bytes) -> None:
        self.heard.put("pong")

    def on_close(self) -> None:
        self.heard.put("close")


class AddressHandler(RequestHandler):
    def get(self) -> None:
        self.write(f"{self.request.protocol} {self.request.remote_ip}")


def talk(serve: Callable[..., Server], **settings: Any) -> tuple[queue.Queue[str], list[int]]:
    heard: queue.Queue[str] = queue.Queue()
    rules = [("/ws", TalkHandler, {"heard": heard}), ("/address", AddressHandler)]
    return heard, [serve(Application(rules, **settings), xheaders=True).port for _ in range(2)]


def test_websockets_and_the_client_s_address(
    nginx: Callable[..., Nginx], serve: Callable[..., Server]
) -> None:
    _, ports = talk(serve)
    front = nginx(ports)
    person = front.websocket("/ws", source="127.0.7.1")
    assert person.recv(TIMEOUT) == "http 127.0.7.1"
    for text in ("hello", "✓" * 100_000):
        person.send(text)
        assert person.recv(TIMEOUT) == text
    # Ordinary requests beside it; what a client claims to be is not believed.
    claims = {"X-Real-IP": "4.4.4.4", "X-Forwarded-For": "4.4.4.4", "X-Forwarded-Proto": "https"}
    for _ in range(2):
        assert front.client("127.0.9.1").get("/address", claims).text == "http 127.0.9.1"


def test_pings_keep_a_silent_websocket_open(
    nginx: Callable[..., Nginx], serve: Callable[..., Server]
) -> None:
    heard, ports = talk(serve, websocket_ping_interval=PING_INTERVAL)
    person = nginx(ports, SHORT).websocket("/ws")
    assert person.recv(TIMEOUT) == "http 127.0.0.1"
    received: list[str | bytes] = []
    end = threading.Thread(target=lambda: received.append(person.recv(TIMEOUT)))
    end.start()  # it answers pings meanwhile
    for _ in range(PINGS):
        assert heard.get(timeout=TIMEOUT) == "pong"
    person.send("still here")
    end.join(TIMEOUT)
    assert received == ["still here"]


def test_without_pings_nginx_closes_a_silent_websocket(
    nginx: Callable[..., Nginx], serve: Callable[..., Server]
) -> None:
    heard, ports = talk(serve)
    person = nginx(ports, SHORT).websocket("/ws")
    assert person.recv(TIMEOUT) == "http 127.0.0.1"
    with pytest.raises(ConnectionClosed):
        person.recv(TIMEOUT)
    assert heard.get(timeout=TIMEOUT) == "close"


def test_a_process_that_stops_under_websockets(
    nginx: Callable[..., Nginx], processes: Callable[[str], list[ExampleProcess]]
) -> None:
    """Its clients hear 1001, and are let in by the other one at once; nobody else notices."""
    running = processes("chat_websocket/chat.py")
    front = nginx([process.port for process in running])
    people = {address: front.websocket("/chat/after/0", address) for address in ADDRESSES}
    assert {goodbye(person, address) for address, person in people.items()} == {None}
    running[0].stop()
    codes = {address: goodbye(person, "anybody?") for address, person in people.items()}
    assert set(codes.values()) == {None, 1001}
    gone = [address for address, code in codes.items() if code]
    for address in gone:
        assert goodbye(front.websocket("/chat/after/0", address), address + " again") is None
    running[0].start()
    for address in gone:
        greeting = front.websocket("/chat/after/0", address).recv(TIMEOUT)
        assert json.loads(greeting) == {"messages": []}, "a new room, in their own process"


def goodbye(person: ClientConnection, text: str) -> int | None:
    """Say something. None if it comes back; else the code that the connection is closed with."""
    try:
        person.send(json.dumps({"name": "ada", "text": text, "key": str(id(person)) + text}))
        while text not in person.recv(TIMEOUT):
            pass
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else 1006
    return None


# ---- Server-Sent Events


class EventsHandler(RequestHandler):
    def initialize(self, told: asyncio.Event) -> None:
        self.told = told

    async def get(self) -> None:
        await self.send_events(self.events(), keepalive=PING_INTERVAL)

    async def events(self) -> AsyncIterator[ServerSentEvent]:
        yield ServerSentEvent("first")
        await self.told.wait()
        yield ServerSentEvent("second")
        await asyncio.Event().wait()


def test_server_sent_events_come_at_once_and_comments_keep_them_open(
    nginx: Callable[..., Nginx], serve: Callable[..., Server]
) -> None:
    told = asyncio.Event()
    server = serve(Application([("/events", EventsHandler, {"told": told})]))
    client = nginx([server.port, server.port], SHORT).client()
    client.send(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b"200 OK" in client.read_until(b"\r\n\r\n")
    client.read_until(b"data: first\n\n")
    for _ in range(PINGS):
        client.read_until(b":\n\n")
    server.call(told.set)
    client.read_until(b"data: second\n\n")
