"""Measures programs that time themselves, echo under load, transfers, clients and WebSockets."""

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import clients
import sockets
from clients_run import ClientBench
from load import LoadError
from servers import APPS, Process, Server, ServerError, environment_of
from sockets_run import SocketBench
from toolkit import Peer, Task
from toolkit_report import Figure, ToolkitReport

HERE = Path(__file__).parent
CONNECTIONS = 64
MESSAGE = 1024
WARM_UP_SECONDS = 0.5
MOST_TASK_SECONDS = 1.0  # in one process there is no queue to fill: more adds nothing
TRANSFER_MIB = 100
PATIENCE = 60.0  # beyond the time that a measurement lasts


@dataclass(slots=True)
class ToolkitBench:
    """Runs every peer of every task once a round, each in fresh processes."""

    report: ToolkitReport
    rounds: int
    seconds: float
    python: Path
    server_cpu: int
    client_cpu: int
    scratch: Path
    idle: int
    many: int
    say: Callable[[str], None]
    _clients: ClientBench = field(init=False)
    _sockets: SocketBench = field(init=False)

    def __post_init__(self) -> None:
        seconds = min(self.seconds, MOST_TASK_SECONDS)
        folder = self.scratch / "downloads"
        self._clients = ClientBench(folder, self._start_server, self._ask_client, seconds)
        self._sockets = SocketBench(
            self.scratch,
            lambda: self._build("ws"),
            self._start_server,
            self.client_cpu,
            seconds,
            self.idle,
            self.many,
        )

    def measure(self) -> None:
        for turn in range(self.rounds):
            for task in self.report.tasks:
                if task.once and turn > 0:
                    continue
                self.say(f"round {turn + 1} of {self.rounds}: {task.name}")
                for peer in self._in_turn(task, turn):
                    self._measure(task, peer)

    def _in_turn(self, task: Task, turn: int) -> Sequence[Peer]:
        """Another peer goes first in each round."""
        peers = self.report.peers(task)
        shift = turn % len(peers)
        return [*peers[shift:], *peers[:shift]]

    def _measure(self, task: Task, peer: Peer) -> None:
        cell = self.report.cell(task, peer)
        if cell.problem:
            return
        try:
            match task.family:
                case "tcpecho":
                    figure = self._echo(peer)
                case "transfer":
                    figure = self._transfer(peer)
                case clients.FAMILY:
                    figure = self._clients.measure(task, peer)
                case sockets.FAMILY:
                    figure = self._sockets.measure(task, peer)
                case _:
                    figure = self._in_one_process(task, peer)
        except (LoadError, ServerError) as error:
            cell.problem = str(error)
            self.say(f"  {peer.name}: {error}")
            return
        cell.figures.append(figure)
        limited = f"{figure.limited:10,.1f} {task.limit.title}" if task.limit else ""
        speed = f"{figure.rate:12,.0f} {task.unit}/s{figure.cpu_us:10,.2f} µs"
        self.say(f"  {peer.name:28}{speed}{limited}")
        for text in filter(None, (figure.short, figure.note)):
            self.say(f"    {text}")

    def _in_one_process(self, task: Task, peer: Peer) -> Figure:
        seconds = min(self.seconds, MOST_TASK_SECONDS)
        command = peer.command(task.job, str(seconds))
        (found,) = _objects(self._output(self.server_cpu, str(self.python), *command))
        count = found["count"]
        return Figure(count / found["seconds"], found["cpu"] / count * 1e6)

    def _echo(self, peer: Peer) -> Figure:
        load = self._build("echo")
        with self._start(peer, "echo") as server:

            def run(seconds: float) -> tuple[float, float, float]:
                cpu = server.cpu_seconds()
                sizes = (str(server.port), str(CONNECTIONS), str(MESSAGE), str(seconds))
                (found,) = _objects(self._client(server, str(load), *sizes))
                return found["messages"], found["seconds"], server.cpu_seconds() - cpu

            run(WARM_UP_SECONDS)
            messages, seconds, cpu = run(self.seconds)
        if not messages:
            raise LoadError("no message came back")
        return Figure(messages / seconds, cpu / messages * 1e6)

    def _transfer(self, peer: Peer) -> Figure:
        """The median of several transfers; the CPU time is that of both processes."""
        with self._start(peer, "receive") as receiver:
            command = (str(self.python), *peer.command("send"))
            sent_digest, *sent = _objects(self._client(receiver, *command))
            received_digest, *received = _objects(receiver.output)
        if received_digest != sent_digest:
            raise LoadError("what was received is not what was sent")
        if len(received) != len(sent) or not sent:
            raise LoadError(f"{len(received)} transfers of {len(sent)} were received")
        seconds = median(one["seconds"] for one in received)
        cpu = median(one["cpu"] for one in received) + median(one["cpu"] for one in sent)
        return Figure(TRANSFER_MIB / seconds, cpu / TRANSFER_MIB * 1e6)

    def _start(self, peer: Peer, job: str) -> Process:
        server = Server(f"{peer.name}, {job}", peer.command(job), peer.packages)
        return self._start_server(server, self.scratch)

    def _start_server(self, server: Server, files: Path) -> Process:
        return Process(server, self.python, self.server_cpu, self.scratch, files)

    def _ask_client(
        self, server: Process, peer: Peer, arguments: tuple[str, ...], variables: dict[str, str]
    ) -> list[dict[str, Any]]:
        command = (str(self.python), *peer.command(*arguments))
        return _objects(self._client(server, *command, **variables))

    def _client(self, server: Process, *command: str, **variables: str) -> str:
        try:
            return self._output(self.client_cpu, *command, PORT=str(server.port), **variables)
        except LoadError as error:
            if server.is_alive:
                raise
            raise LoadError(f"{error}; died: {server.why_dead()}") from error

    def _build(self, name: str) -> Path:
        """Compiles a client at its first use: who has built Typhoon has the compiler."""
        program = self.scratch / name
        if not program.exists():
            options = ("--edition", "2024", "-C", "opt-level=3", "-o", str(program))
            self._output(self.client_cpu, "rustc", *options, str(HERE / f"{name}.rs"))
        return program

    def _output(self, cpu: int, *command: str, **variables: str) -> str:
        """What a program prints that ends by itself."""
        limit = self.seconds + PATIENCE
        try:
            done = subprocess.run(
                ["taskset", "--cpu-list", str(cpu), *command],
                cwd=APPS,
                env=environment_of(**variables),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=limit,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise LoadError(f"did not end within {limit:.0f} s") from error
        if done.returncode:
            lines = done.stderr.strip().splitlines()
            raise LoadError(lines[-1][:200] if lines else f"exit status {done.returncode}")
        return done.stdout


def _objects(output: str) -> list[dict[str, Any]]:
    """The JSON objects that a program printed, one a line, among other lines perhaps."""
    found = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    if not found:
        raise LoadError("a program told nothing")
    return found
