"""The messages of `cases/` on live connections.

Requests go to a server: what it answers, and that it closes on a bad one. Responses go to a client:
what its delegate hears.
"""

import asyncio
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from escapes import unescape
from support import Server, StreamServer
from typhoon.http1connection import HTTP1Connection, HTTP1ConnectionParameters
from typhoon.httpserver import HTTPServer
from typhoon.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerRequest,
    RequestStartLine,
    ResponseStartLine,
)
from typhoon.iostream import IOStream

CASES = Path(__file__).parent / "cases"
SETTINGS = {"max_head": "max_header_size", "max_body": "max_body_size"}
TEXT = {byte: f"\\x{byte:02x}" for byte in [*range(32), *range(127, 256)]}
TEXT |= {0: "\\0", 9: "\\t", 10: "\\n", 13: "\\r", 34: '\\"', 92: "\\\\"}


@dataclass
class Case:
    name: str
    options: dict[str, str]
    data: bytes
    events: list[str]
    statuses: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        # A complete message is answered with 200, a malformed one with what its error says.
        methods = [e.split()[1] for e in self.events if e.startswith("head ")]
        self.methods = methods
        for event in self.events:
            word, _, rest = event.partition(" ")
            if word == "end":
                self.statuses.append(200)
            elif word == "error":
                self.statuses.append(int(rest.split()[0]))

    @property
    def is_refused(self) -> bool:
        return any(event.startswith("error ") for event in self.events)


def read_cases(wanted: str) -> Iterator[Case]:
    for path in sorted(CASES.glob("*.md")):
        if path.name == "README.md":
            continue
        for section in path.read_text().split("\n## ")[1:]:
            name = section.partition("\n")[0]
            blocks = re.findall(r"^```(\w.*?)\n(.*?)```$", section, re.DOTALL | re.MULTILINE)
            (info, lines), (_, events) = blocks
            kind, *options = info.split()
            if kind == wanted:
                settings = dict(option.partition("=")[::2] for option in options)
                data = unescape(lines.replace("\n", ""))
                yield Case(f"{path.stem}: {name}", settings, data, events.splitlines())


def is_live(case: Case) -> bool:
    """Whether the server has a last word without the client closing first."""
    return bool(case.statuses) and "eof" not in case.options


def answer(request: HTTPServerRequest) -> None:
    """Answers each request with 200, whatever its method."""
    start_line = ResponseStartLine("HTTP/1.1", 200, "OK")
    request.connection.write_headers(start_line, HTTPHeaders({"Content-Length": "0"}))
    request.connection.finish()


@pytest.mark.parametrize("server_class", [HTTPServer, StreamServer])
@pytest.mark.parametrize(
    "case", [c for c in read_cases("request") if is_live(c)], ids=lambda c: c.name
)
def test_answers(case: Case, serve: Callable[..., Server], server_class: type[HTTPServer]) -> None:
    options = {SETTINGS[name]: int(value) for name, value in case.options.items()}
    with serve(answer, server_class=server_class, **options).connect() as client:
        client.send(case.data)
        methods = iter(case.methods)
        statuses = [client.response(next(methods, "GET")).status for _ in case.statuses]
        assert statuses == case.statuses
        if case.is_refused:
            assert client.is_closed()


def written(data: bytes) -> str:
    return "".join(TEXT.get(byte, chr(byte)) for byte in data)


class Listener(HTTPMessageDelegate):
    """Writes down what it hears as the cases do."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.data = b""

    def headers_received(self, start_line, headers) -> None:
        reason = written(start_line.reason.encode("latin-1"))
        self.events.append(f"head {start_line.code} {reason}".rstrip())
        self.events += [f"field {name}: {value}".rstrip() for name, value in headers.get_all()]

    def data_received(self, chunk: bytes) -> None:
        self.data += chunk

    def finish(self) -> None:
        self.flush()
        self.events.append("end")

    def on_connection_close(self) -> None:
        self.flush()
        self.events.append("error")

    def flush(self) -> None:
        if self.data:
            self.events.append(f'data "{written(self.data)}"')


def heard(events: list[str], with_fields: bool) -> Iterator[str]:
    """What a delegate hears of these events, up to the end of the message."""
    for event in events:
        match event.split(" ")[0]:
            case "head":
                start = re.match(r"head \d+.*?(?= 1\.[01] )", event)
                assert start is not None
                yield start[0].rstrip()
            case "field" if with_fields:
                yield event
            case "data":
                yield event
            case "end":
                yield "end"
                return
            case "error":
                yield "error"


@pytest.mark.parametrize("case", list(read_cases("response")), ids=lambda c: c.name)
def test_responses(case: Case) -> None:
    """A client whose server sends this and closes."""
    options = dict(case.options)
    options.pop("eof", None)
    method = options.pop("method", "GET")
    params = HTTP1ConnectionParameters(**{SETTINGS[n]: int(v) for n, v in options.items()})

    async def read() -> Listener:
        near, far = socket.socketpair()
        with far:
            connection = HTTP1Connection(IOStream(near), True, params)
            target = "a:1" if method == "CONNECT" else "/"
            start_line = RequestStartLine(method, target, "")
            await connection.write_headers(start_line, HTTPHeaders({"Host": "a"}))
            connection.finish()
            far.sendall(case.data)
            far.shutdown(socket.SHUT_WR)
            listener = Listener()
            await connection.read_response(listener)
            connection.close()
        return listener

    events = asyncio.run(read()).events
    with_fields = any(event.startswith("field ") for event in case.events)
    if not with_fields:
        events = [event for event in events if not event.startswith("field ")]
    expected = list(heard(case.events, with_fields))
    if expected and expected[-1] not in ("end", "error"):
        # The rest does not come.
        expected.append("end" if " until-close" in case.events[0] else "error")
    assert events == expected
