"""The workloads: one HTTP request each, and the body that every server must answer it with."""

import http.client
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from apps.templates import page

TIMEOUT = 10.0
BOUNDARY = "----typhoon-benchmark-boundary"

BROWSER_HEADERS = {
    "User-Agent": (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/142.0.0.0 Safari/537.36"
    ),
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
    "Accept-Language": "en-GB,en;q=0.9,de;q=0.8",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Connection": "keep-alive",
    "Cache-Control": "max-age=0",
    "Upgrade-Insecure-Requests": "1",
    "Referer": "http://127.0.0.1/somewhere?page=2",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-User": "?1",
    "Cookie": (
        "session=2|1:0|10:1700000000|7:session|20:c29tZS1zZXNzaW9uLXRva2Vu|f5f9d1d7a0; "
        "_xsrf=2|1f2e3d4c|5b6a79889a7b6c5d4e3f2a1b0c9d8e7f|1700000000; theme=dark; "
        "_ga=GA1.1.1234567890.1700000000; locale=en_GB"
    ),
}
FORM_FIELDS = {
    "name": "Ada Lovelace",
    "email": "ada@example.org",
    "comment": "Überraschung: 100 % & more + longer than a word or two.",
}


@dataclass(frozen=True, slots=True)
class Workload:
    """One request and its right answer.

    `normal` makes answers comparable that differ in what does not matter; it raises ValueError
    for one that is no such answer at all.
    """

    name: str
    title: str
    path: str
    answer: bytes
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    connections: int = 64
    normal: Callable[[bytes], object] = bytes

    def check(self, port: int) -> str | None:
        """Sends the request twice over one connection; returns what is wrong with the answers."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
        try:
            for _ in range(2):
                connection.request(self.method, self.path, self.body or None, dict(self.headers))
                response = connection.getresponse()
                body = response.read()
                if response.status != 200:
                    return f"answered {response.status} {response.reason}"
                if not self.is_right(body):
                    return f"answered {body[:60]!r} ({len(body)} bytes)"
                if response.will_close:
                    return "closes the connection"
        except (OSError, http.client.HTTPException) as error:
            return f"{type(error).__name__}: {error}"
        finally:
            connection.close()
        return None

    def is_right(self, body: bytes) -> bool:
        try:
            return bool(self.normal(body) == self.normal(self.answer))
        except ValueError:
            return False


def make_files(folder: Path) -> dict[str, bytes]:
    """Writes the static files, the same ones in every run, and returns their contents."""
    generator = random.Random(4)
    files = {"4k.bin": generator.randbytes(4 << 10), "10m.bin": generator.randbytes(10 << 20)}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return files


def multipart(field_name: str, content: bytes) -> bytes:
    """A multipart/form-data body of one text field and one file (RFC 7578)."""
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="title"\r\n\r\nA picture\r\n'
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; "
        f'name="{field_name}"; filename="picture.bin"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()


def make_workloads(files: Mapping[str, bytes]) -> list[Workload]:
    """All workloads, in the order in which the report shows them."""
    hello = b"Hello, World!"
    picture = random.Random(5).randbytes(1 << 20)
    return [
        Workload("plaintext", "Plain text", "/plaintext", hello),
        Workload(
            "browser", "Plain text, browser's headers", "/plaintext", hello, headers=BROWSER_HEADERS
        ),
        # The encoders that the frameworks recommend differ in the space after a colon.
        Workload("json", "JSON", "/json", b'{"message": "Hello, World!"}', normal=json.loads),
        Workload(
            "echo",
            "Path and query arguments",
            "/echo/caf%C3%A9?q=tea+%26+cake&page=2",
            "café tea & cake 2".encode(),
        ),
        Workload("routes", "300 routes, the last one", "/route299/item-42", b"item-42"),
        Workload("async", "Handler that awaits once", "/async", hello),
        Workload(
            "template",
            "A page of 50 rows from templates",
            "/template",
            page.expected().encode(),
            normal=page.normal,
        ),
        Workload(
            "form",
            "Urlencoded form",
            "/form",
            " ".join(FORM_FIELDS.values()).encode(),
            method="POST",
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=urlencode(FORM_FIELDS).encode(),
        ),
        Workload(
            "upload",
            "1 MiB multipart upload",
            "/upload",
            str(len(picture)).encode(),
            method="POST",
            headers={"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"},
            body=multipart("file", picture),
            connections=16,
        ),
        Workload("static4k", "4 KiB static file", "/files/4k.bin", files["4k.bin"]),
        Workload(
            "static10m", "10 MiB static file", "/files/10m.bin", files["10m.bin"], connections=8
        ),
    ]
