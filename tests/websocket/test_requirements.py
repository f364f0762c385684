"""Each requirement of `requirements.md` has its test, and each case its requirement."""

from __future__ import annotations

import asyncio
import base64
import re
from pathlib import Path

import pytest

from typhoon.websocket import WebSocketError, websocket_connect

HERE = Path(__file__).parent
SECTION = re.compile(r"§[\d.]*\d")


def rows() -> list[tuple[str, set[str], str]]:
    """The RFC, the sections and the place of each row."""
    found = []
    for chapter in (HERE / "requirements.md").read_text().split("\n## ")[1:]:
        for line in chapter.splitlines():
            if line.startswith("| §"):
                sections, *_, place = line.strip("| ").split(" | ")
                found.append((chapter[:8], set(SECTION.findall(sections)), place.strip("` ")))
    return found


def headings(path: Path) -> set[tuple[str, str]]:
    """The RFC and the section of each case in a file."""
    found = set()
    for line in re.findall("^## (.*)$", path.read_text(), re.MULTILINE):
        is_other = path.stem == "compression" or line.startswith("RFC 7692")
        found.add(("RFC 7692" if is_other else "RFC 6455", SECTION.findall(line)[0]))
    return found


def test_the_table_is_right():
    claimed: dict[str, set[tuple[str, str]]] = {}
    for rfc, sections, place in rows():
        name, _, test = place.partition("::")
        text = (HERE / name).read_text()
        if test:
            assert f"def {test}(" in text, place
        else:
            claimed.setdefault(name, set()).update((rfc, section) for section in sections)
    for folder in ("cases", "handshakes"):
        for path in (HERE / folder).glob("*.md"):
            if path.name != "README.md":
                name = f"{folder}/{path.name}"
                assert headings(path) == claimed[name], name


@pytest.mark.parametrize("options", [None, {}], ids=["plain", "deflate"])
def test_keys_of_handshakes(run, options):
    """RFC 6455 §4.1: what a client sends, and that its key is a new one each time."""

    async def main() -> None:
        seen: list[str] = []

        async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(refuse, "127.0.0.1", 0)
        host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for _ in range(3):
            with pytest.raises(WebSocketError):
                await websocket_connect(
                    f"ws://{host}/chat?a=b", subprotocols=["a", "b"], compression_options=options
                )
        server.close()
        keys = set()
        for head in seen:
            start, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
            assert start == "GET /chat?a=b HTTP/1.1"
            pairs = [line.split(": ", 1) for line in lines]
            headers = {name.lower(): value for name, value in pairs}
            assert len(headers) == len(pairs)
            assert headers["host"] == host
            assert headers["upgrade"] == "websocket"
            assert headers["connection"] == "Upgrade"
            assert headers["sec-websocket-version"] == "13"
            assert headers["sec-websocket-protocol"].replace(" ", "") == "a,b"
            assert ("sec-websocket-extensions" in headers) == (options is not None)
            key = headers["sec-websocket-key"]
            assert len(base64.b64decode(key, validate=True)) == 16
            keys.add(key)
        assert len(keys) == 3

    run(main)
