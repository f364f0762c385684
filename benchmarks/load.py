"""The clients: wrk for throughput and latency, plain sockets for the cost of idle connections."""

import json
import resource
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from servers import Process
from workloads import TIMEOUT, Workload

SCRIPT = Path(__file__).with_name("wrk.lua")
WARM_UP_REQUESTS = 2000
SPARE_FILES = 500
IDLE_REQUEST = b"GET /plaintext HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
IDLE_ANSWER = b"Hello, World!"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run of wrk. `errors` counts answers that are not 2xx or 3xx and failed connections."""

    rate: float
    p99_ms: float
    errors: int


class LoadError(Exception):
    """A measurement failed; the message says why."""


def allow_open_files(idle_connections: int) -> None:
    """Raises this process's limit, which the servers inherit, to what the idle connections need."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = idle_connections + SPARE_FILES
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise SystemExit(f"{needed} open files are needed and {hard} allowed: see `ulimit -Hn`.")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Wrk:
    """Runs wrk pinned to `cpu`; keeps the bodies to send as files in `scratch`."""

    def __init__(self, cpu: int, scratch: Path) -> None:
        self._cpu = cpu
        self._scratch = scratch

    def run(self, workload: Workload, port: int, seconds: float) -> Measurement:
        body = ""
        if workload.body:
            path = self._scratch / f"{workload.name}.body"
            path.write_bytes(workload.body)
            body = str(path)
        command = [
            *("taskset", "--cpu-list", str(self._cpu), "wrk", "--threads", "1"),
            *("--connections", str(workload.connections), "--duration", f"{seconds:.0f}s"),
            *("--timeout", f"{TIMEOUT:.0f}s", "--latency", "--script", str(SCRIPT)),
            f"http://127.0.0.1:{port}{workload.path}",
            *("--", workload.method, body),
            *(text for header in workload.headers.items() for text in header),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        lines = [line for line in done.stdout.splitlines() if line.startswith('{"requests"')]
        if done.returncode or not lines:
            raise LoadError(f"wrk failed: {done.stderr.strip() or done.stdout.strip()}")
        summary = json.loads(lines[-1])
        return Measurement(
            rate=summary["requests"] / (summary["duration_us"] / 1e6),
            p99_ms=summary["p99_us"] / 1e3,
            errors=summary["bad_status"] + summary["socket_errors"],
        )


def bytes_per_idle_connection(process: Process, count: int) -> float:
    """What one idle keep-alive connection, having made one request, adds to the resident set.

    Raises:
        LoadError: the server refused or dropped some of the connections.
    """
    with _connect(process.port) as warm_up:
        for _ in range(WARM_UP_REQUESTS):
            _request(warm_up)
    before = process.resident_bytes()
    connections: list[socket.socket] = []
    try:
        for _ in range(count):
            connection = _connect(process.port)
            connections.append(connection)
            _request(connection)
        after = process.resident_bytes()
        dropped = sum(_is_closed(connection) for connection in connections)
    except OSError as error:
        raise LoadError(f"at connection {len(connections)}: {error}") from error
    finally:
        for connection in connections:
            connection.close()
    if dropped:
        raise LoadError(f"closed {dropped} of {count} idle connections")
    return (after - before) / count


def _connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), TIMEOUT)


def _request(connection: socket.socket) -> None:
    connection.sendall(IDLE_REQUEST)
    received = b""
    while not received.endswith(IDLE_ANSWER):
        data = connection.recv(4096)
        if not data:
            raise ConnectionError("closed by the server")
        received += data


def _is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return not connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
