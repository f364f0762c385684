"""Measures HTTP clients: nginx is the server, and each client tells what it took."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import clients
from load import LoadError
from servers import CERTIFICATE, SERVERS, Process, Server
from toolkit import Peer, Task
from toolkit_report import Figure

# The names and sizes are in apps/clients/meter.py, too.
SAMPLE_BYTES = 16 << 20
LARGE_BYTES = 1 << 30
MIB = 1 << 20
NGINX = next(server for server in SERVERS if server.name == "nginx")

Start = Callable[[Server, Path], Process]
"""Starts a server with a folder of files."""
Output = Callable[[Process, Peer, tuple[str, ...], dict[str, str]], list[dict[str, Any]]]
"""What a peer's program tells that is run with arguments and environment variables."""


class ClientBench:
    """Runs one client at a time against a new nginx.

    Args:
        folder: Where the files to download are made, at the first need.
        start: Starts nginx.
        output: Runs a client.
        seconds: The least time that a client makes small requests for.
    """

    def __init__(self, folder: Path, start: Start, output: Output, seconds: float) -> None:
        self._folder = folder
        self._start = start
        self._output = output
        self._seconds = seconds
        self._digest = ""

    def measure(self, task: Task, peer: Peer) -> Figure:
        self._make_files()
        with self._start(NGINX, self._folder) as nginx:
            origin = f"http://127.0.0.1:{nginx.port}"
            if task.name == "client-get-tls":
                origin = f"https://127.0.0.1:{nginx.tls_port}"
            if task.job == "get":
                return self._gets(task, peer, nginx, f"{origin}/plaintext")
            return self._download(peer, nginx, f"{origin}/files")

    def _gets(self, task: Task, peer: Peer, nginx: Process, url: str) -> Figure:
        batch = clients.TLS_GETS if task.name == "client-get-tls" else clients.GETS
        arguments = ("get", str(self._seconds), str(batch))
        (found,) = self._output(nginx, peer, arguments, _variables(url))
        return Figure(found["count"] / found["seconds"], found["cpu"] / found["count"] * 1e6)

    def _download(self, peer: Peer, nginx: Process, url: str) -> Figure:
        sample, large = self._output(nginx, peer, ("download",), _variables(url))
        if sample["digest"] != self._digest or large["bytes"] != LARGE_BYTES:
            raise LoadError("what was received is not what was sent")
        size = LARGE_BYTES / MIB
        return Figure(
            size / large["seconds"], large["cpu"] / size * 1e6, limited=large["memory"] / MIB
        )

    def _make_files(self) -> None:
        """The sample to be compared, and the large file, which is sparse."""
        if self._digest:
            return
        self._folder.mkdir()
        sample = os.urandom(SAMPLE_BYTES)
        (self._folder / "sample").write_bytes(sample)
        with (self._folder / "large").open("wb") as file:
            file.truncate(LARGE_BYTES)
        self._digest = hashlib.sha256(sample).hexdigest()


def _variables(url: str) -> dict[str, str]:
    return {"URL": url, "CA_FILE": str(CERTIFICATE)}
