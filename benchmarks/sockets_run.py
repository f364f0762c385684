"""Measures WebSockets: the server is under test, `ws.rs` is the load."""

import http.client
import json
import math
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sockets
from load import SPARE_FILES, LoadError
from servers import Process, Server
from toolkit import Peer, Task
from toolkit_report import Figure
from workloads import TIMEOUT

WARM_UP_SECONDS = 0.3
ECHO = ("echo", sockets.CONNECTIONS)
# What a connection takes of the machine: the sockets of both ends, and the server's objects.
BYTES_A_CONNECTION = 32 << 10
PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
TRACKED = Path("/proc/sys/net/netfilter/nf_conntrack_count")
MOST_TRACKED = TRACKED.with_name("nf_conntrack_max")

Start = Callable[[Server, Path], Process]
"""Starts a server with a folder of files."""


class SocketBench:
    """Measures one server at a time, each in a fresh process.

    Args:
        scratch: A folder.
        build: Gives the program that makes the load.
        start: Starts a server.
        cpu: The client's CPU.
        seconds: The length of a measurement.
        idle: How many WebSockets are open for `ws-idle`.
        many: The same for `ws-many`.
    """

    def __init__(
        self,
        scratch: Path,
        build: Callable[[], Path],
        start: Start,
        cpu: int,
        seconds: float,
        idle: int,
        many: int,
    ) -> None:
        self._scratch = scratch
        self._build = build
        self._start = start
        self._cpu = cpu
        self._seconds = seconds
        self._idle = idle
        self._many = many

    def measure(self, task: Task, peer: Peer) -> Figure:
        server = Server(f"{peer.name}, {task.job}", peer.program, peer.packages)
        with self._start(server, self._scratch) as process:
            match task.name:
                case "ws-echo":
                    return self._speed(process, *ECHO, "text", sockets.SMALL)
                case "ws-echo64k":
                    return self._speed(process, *ECHO, "binary", sockets.LARGE)
                case "ws-broadcast":
                    return self._speed(process, "broadcast", sockets.SUBSCRIBERS)
                case "ws-idle":
                    return self._measure_idle(process)
                case "ws-many":
                    return self._measure_many(process)
                case name:
                    raise LoadError(f"nobody measures {name}")

    def _speed(self, process: Process, job: str, *sizes: object) -> Figure:
        with self._load(process, job, *sizes) as load:
            load.go_on(WARM_UP_SECONDS)
            cpu = process.cpu_seconds()
            found = load.go_on(self._seconds)
            cpu = process.cpu_seconds() - cpu
            load.end()
        count = found["messages"]
        if not count:
            raise LoadError("no message came back")
        return Figure(count / found["seconds"], cpu / count * 1e6)

    def _measure_idle(self, process: Process) -> Figure:
        with self._hold(process, self._idle) as held:
            held.load.end()
        return held.figure(held.bytes_each)

    def _measure_many(self, process: Process) -> Figure:
        count, reason = largest(self._many, sockets.ADDRESSES)
        chatting = min(sockets.CHATTING, count)
        with self._hold(process, count, sockets.ADDRESSES, chatting) as held:
            _lateness(process.port)  # begins to measure
            chat = held.load.go_on(sockets.CHAT_SECONDS)
            late = _lateness(process.port)
            held.load.end()
        loop = ", ".join(f"{_at(late, share):.2f} ms" for share in (50, 99, 100))
        answers = ", ".join(f"{chat[key]:.2f} ms" for key in ("p50_ms", "p99_ms", "max_ms"))
        note = (
            f"{count:,} open, {held.bytes_each:,.0f} bytes each; {chatting:,} of them sent "
            f"{chat['messages']:,} messages in {sockets.CHAT_SECONDS} s. Median, p99 and maximum: "
            f"the loop was late by {loop}; answers took {answers}"
        )
        short = f"{count:,} instead of {self._many:,}: {reason}" if reason else ""
        return held.figure(_at(late, 99), short, note)

    @contextmanager
    def _hold(
        self, process: Process, count: int, addresses: int = 1, chatting: int = 0
    ) -> Iterator["_Held"]:
        """Opens connections. What a server makes once does not count as that of one of them."""
        if not count:
            raise LoadError("not asked for")
        with self._load(process, *ECHO, "text", sockets.SMALL) as warm_up:
            warm_up.go_on(WARM_UP_SECONDS)
            warm_up.end()
        memory, cpu = process.resident_bytes(), process.cpu_seconds()
        with self._load(process, "hold", count, addresses, chatting) as load:
            yield _Held(
                load,
                rate=count / load.opened_in,
                cpu_us=(process.cpu_seconds() - cpu) / count * 1e6,
                bytes_each=(process.resident_bytes() - memory) / count,
            )

    def _load(self, process: Process, job: str, *sizes: object) -> "_Load":
        command = ("taskset", "--cpu-list", self._cpu, self._build(), job, process.port, *sizes)
        return _Load(process, [str(one) for one in command])


class _Load:
    """`ws.rs` at work, once all its connections are open."""

    opened_in = 0.0

    def __init__(self, process: Process, command: list[str]) -> None:
        self._process = process
        self._client = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
        )

    def __enter__(self) -> "_Load":
        try:
            self.opened_in = self._told()["seconds"]
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._client.kill()
        self._client.wait()
        for pipe in (self._client.stdin, self._client.stdout):
            if pipe:
                pipe.close()

    def go_on(self, seconds: float) -> dict[str, Any]:
        """Makes load for some time; returns what the client found."""
        assert self._client.stdin
        with suppress(BrokenPipeError):  # then it has said why it ended
            self._client.stdin.write(f"{seconds}\n")
        return self._told()

    def end(self) -> None:
        """Looks whether all connections are open still."""
        assert self._client.stdin
        self._client.stdin.close()
        closed = self._told()["closed"]
        if closed:
            raise LoadError(f"closed {closed:,} of its connections")

    def _told(self) -> dict[str, Any]:
        assert self._client.stdout
        line = self._client.stdout.readline()
        if line.startswith("{"):
            found: dict[str, Any] = json.loads(line)
            return found
        reason = line.strip() or "the client ended without a word"
        if not self._process.is_alive:
            reason += f"; died: {self._process.why_dead()}"
        raise LoadError(reason)


@dataclass(frozen=True, slots=True)
class _Held:
    """Connections that are open, and what opening them cost."""

    load: _Load
    rate: float
    cpu_us: float
    bytes_each: float

    def figure(self, limited: float, short: str = "", note: str = "") -> Figure:
        return Figure(self.rate, self.cpu_us, limited, short, note)


def largest(wanted: int, addresses: int) -> tuple[int, str]:
    """How many connections of `wanted` this machine lets one process have, and what forbids more.

    The servers have inherited this process's limit of open files.
    """
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    first, last = map(int, PORTS.read_text().split())
    limits = [
        (files - SPARE_FILES, f"{files:,} open files are allowed to a process (`ulimit -Hn`)"),
        (
            _available_bytes() // BYTES_A_CONNECTION,
            f"not enough memory, with {BYTES_A_CONNECTION:,} bytes for each",
        ),
        (
            (last - first) * addresses * 9 // 10,
            f"{last - first:,} ports for each address (ip_local_port_range)",
        ),
    ]
    if MOST_TRACKED.exists():
        free = int(MOST_TRACKED.read_text()) - int(TRACKED.read_text())
        limits.append((free * 9 // 10, f"the kernel can track {free:,} more (nf_conntrack_max)"))
    count, reason = min(limits)
    return (wanted, "") if count >= wanted else (count, reason)


def _available_bytes() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return 0


def _lateness(port: int) -> list[float]:
    """How late the server's loop was each time, in seconds, since this was asked last."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    try:
        connection.request("GET", "/latency")
        late: list[float] = json.loads(connection.getresponse().read())["seconds"]
    except (OSError, http.client.HTTPException) as error:
        raise LoadError(f"/latency: {error}") from error
    finally:
        connection.close()
    return sorted(late)


def _at(seconds: list[float], share: int) -> float:
    """The percentile of sorted seconds, in milliseconds."""
    if not seconds:
        raise LoadError("the loop was not measured")
    index = min(math.floor(len(seconds) * share / 100), len(seconds) - 1)
    return seconds[index] * 1e3
