"""The opening handshakes of `handshakes/`, to a server and to a client."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from scripted import nothing, scripted

from typhoon.httpclient import HTTPClientError
from typhoon.web import Application
from typhoon.websocket import WebSocketError, WebSocketHandler, websocket_connect

FOLDER = Path(__file__).parent / "handshakes"
REQUEST = [
    "GET / HTTP/1.1",
    "Host: localhost",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
]
RESPONSE = [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Accept: {accept}",
]
ERRORS = {"WebSocketError": WebSocketError, "HTTPClientError": HTTPClientError}


@dataclass
class Case:
    name: str
    options: dict[str, str]
    lines: list[str]
    expected: list[str]

    def __str__(self) -> str:
        return self.name.replace("§", "")

    def head(self, good: list[str]) -> str:
        lines = list(good)
        for number, line in enumerate(self.lines):
            name = line.lstrip("+-").partition(":")[0].lower()
            if number == 0 and not re.match(r"[+-]?[\w-]+(:|$)(?!//)", line):
                lines[0] = line.replace("\\r\\n", "\r\n")
                continue
            if not line.startswith("+"):
                lines = [known for known in lines if known.partition(":")[0].lower() != name]
            if not line.startswith("-"):
                lines.append(line.removeprefix("+"))
        return "\r\n".join(lines) + "\r\n\r\n"


def read_cases(name: str) -> Iterator[Case]:
    for section in (FOLDER / name).read_text().split("\n## ")[1:]:
        blocks = re.findall(r"^```(\w.*?)\n(.*?)```$", section, re.DOTALL | re.MULTILINE)
        (info, lines), (_, expected) = blocks
        options = dict(word.partition("=")[::2] for word in info.split()[1:])
        assert options.keys() <= {"deflate", "subprotocol", "offer"}
        yield Case(section.partition("\n")[0], options, lines.splitlines(), expected.splitlines())


class Handler(WebSocketHandler):
    def initialize(self, options: dict[str, str]) -> None:
        self.options = options

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        wanted = self.options.get("subprotocol")
        return wanted if wanted in subprotocols else None

    def get_compression_options(self) -> dict[str, Any] | None:
        return {} if "deflate" in self.options else None


@pytest.mark.parametrize("case", list(read_cases("requests.md")), ids=str)
def test_a_server(case: Case, serve):
    rules = [("/", Handler, {"options": case.options})]
    server = serve(Application(rules, trusted_origins=["http://trusted.example"]))
    head = case.head(REQUEST)
    client = server.connect()
    client.send(head.encode())
    response = client.response(head.partition(" ")[0])
    status, *fields = case.expected
    assert response.status == int(status)
    for field in fields:
        name, _, value = field.removeprefix("-").partition(":")
        expected = None if field.startswith("-") else value.strip()
        assert response.header(name) == expected, name
    if response.status != 101:
        assert response.header("Sec-WebSocket-Accept") is None
        if "HTTP/1.0" not in head and response.header("Connection") != "close":
            # The connection serves on.
            client.send("\r\n".join([*REQUEST, "", ""]).encode())
            assert client.response().status == 101


@pytest.mark.parametrize("case", list(read_cases("responses.md")), ids=str)
def test_a_client(case: Case, run):
    (expected,) = case.expected
    outcome, _, words = expected.partition(" ")
    offer = case.options.get("offer")

    async def main() -> None:
        async with scripted(nothing, case.head(RESPONSE)) as url:
            connecting = websocket_connect(
                url,
                subprotocols=offer.split(",") if offer else None,
                compression_options={} if "deflate" in case.options else None,
            )
            if outcome != "open":
                with pytest.raises(ERRORS[outcome], match=words):
                    await connecting
                return
            ws = await connecting
            assert ws.selected_subprotocol == (words or None)
            assert ws.stream is not None
            ws.stream.close()
            assert await ws.read_message() is None

    run(main)


@pytest.mark.parametrize("names", [["a b"], ["a,b"], [""], ["grün"], ["a/b"], ["a", "a"]])
def test_subprotocols_that_cannot_be_offered(run, names):
    """RFC 6455 §4.1: tokens, each of them once."""

    async def main() -> None:
        with pytest.raises(ValueError, match="subprotocol"):
            await websocket_connect("ws://127.0.0.1:1/", subprotocols=names)

    run(main)


def test_a_subprotocol_offered_by_a_header_of_ones_own(run):
    from typhoon.httpclient import HTTPRequest

    async def main() -> None:
        head = "\r\n".join([*RESPONSE, "Sec-WebSocket-Protocol: b", "", ""])
        async with scripted(nothing, head) as url:
            request = HTTPRequest(url, headers={"Sec-WebSocket-Protocol": "a, b"})
            ws = await websocket_connect(request)
            assert ws.selected_subprotocol == "b"
            assert ws.stream is not None
            ws.stream.close()
            assert await ws.read_message() is None

    run(main)
