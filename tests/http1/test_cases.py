"""The requests of `cases/` at a live server: what it answers, and that it closes on a bad one."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support import Server
from typhoon.httputil import HTTPHeaders, HTTPServerRequest, ResponseStartLine

CASES = Path(__file__).parent / "cases"
ESCAPE = re.compile(r"\\(?:x(..)|\{(\d+)\*([^}]*)\}|(.))", re.DOTALL)
SETTINGS = {"max_head": "max_header_size", "max_body": "max_body_size"}
PLAIN = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\"}


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


def unescape(text: str) -> bytes:
    data, position = b"", 0
    for match in ESCAPE.finditer(text):
        data += text[position : match.start()].encode()
        position = match.end()
        hexadecimal, count, repeated, letter = match.groups()
        if hexadecimal is not None:
            data += bytes([int(hexadecimal, 16)])
        elif count is not None:
            data += unescape(repeated) * int(count)
        else:
            data += PLAIN[letter]
    return data + text[position:].encode()


def read_cases() -> Iterator[Case]:
    for path in sorted(CASES.glob("*.md")):
        if path.name == "README.md":
            continue
        for section in path.read_text().split("\n## ")[1:]:
            name = section.partition("\n")[0]
            blocks = re.findall(r"^```(\w.*?)\n(.*?)```$", section, re.DOTALL | re.MULTILINE)
            (info, lines), (_, events) = blocks
            kind, *options = info.split()
            if kind == "request":
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


@pytest.mark.parametrize("case", [c for c in read_cases() if is_live(c)], ids=lambda c: c.name)
def test_answers(case: Case, serve: Callable[..., Server]) -> None:
    options = {SETTINGS[name]: int(value) for name, value in case.options.items()}
    with serve(answer, **options).connect() as client:
        client.send(case.data)
        methods = iter(case.methods)
        statuses = [client.response(next(methods, "GET")).status for _ in case.statuses]
        assert statuses == case.statuses
        if case.is_refused:
            assert client.is_closed()
