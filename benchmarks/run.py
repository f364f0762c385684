"""Measures Typhoon beside its peers and writes results.md, results.json and results.svg."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import clients
import environment
import sockets
import templates
import toolkit
from load import LoadError, Wrk, allow_open_files, bytes_per_idle_connection
from plot import draw
from report import Report
from servers import SERVERS, Process, Server, ServerError
from toolkit_report import ToolkitReport
from toolkit_run import ToolkitBench
from workloads import Workload, make_files, make_workloads

HERE = Path(__file__).parent
TASKS = (*toolkit.TASKS, *templates.TASKS, *clients.TASKS, *sockets.TASKS)
FAMILIES = tuple(dict.fromkeys(task.family for task in TASKS))
LIBRARIES = tuple(dict.fromkeys(peer.library for task in TASKS for peer in task.peers))
PARTIAL = HERE / ".partial"
WARM_UP_SECONDS = 1
FULL = {"rounds": 5, "seconds": 3, "idle": 10_000, "many": 100_000}
QUICK = {"rounds": 1, "seconds": 1, "idle": 1000, "many": 5000}


@dataclass(slots=True)
class Bench:
    """One run: the servers that are up, and what was found so far."""

    report: Report
    wrk: Wrk
    cpu: int
    scratch: Path
    files: Path
    up: dict[str, Process] = field(default_factory=dict)

    def start(self, server: Server) -> Process:
        return Process(server, environment.PYTHON, self.cpu, self.scratch, self.files)

    def measure_idle_memory(self) -> None:
        for server in self.report.servers:
            memory = self.report.memory[server.name]
            say(f"idle connections: {server.name}")
            try:
                with self.start(server) as process:
                    memory.per_idle_connection = bytes_per_idle_connection(
                        process, self.report.idle_connections
                    )
            except (ServerError, LoadError) as error:
                memory.problem = str(error)
                say(f"  {error}")

    def measure_speed(self) -> None:
        with ExitStack() as stack:
            for server in self.report.servers:
                self._start_and_check(server, stack)
            for turn in range(self.report.rounds):
                for workload in self.report.workloads:
                    say(f"round {turn + 1} of {self.report.rounds}: {workload.name}")
                    for server in self._in_turn(turn):
                        self._measure(workload, server, turn, stack)
            for name, process in self.up.items():
                self.report.memory[name].after_load = process.resident_bytes()

    def _start_and_check(self, server: Server, stack: ExitStack) -> None:
        self._start(server, stack)
        for workload in self.report.workloads:
            cell = self.report.cell(workload, server)
            if cell.problem:
                continue
            process = self.up[server.name]
            problem = workload.check(process.port)
            if problem:
                cell.problem = problem if process.is_alive else f"died: {process.why_dead()}"
                say(f"{server.name}, {workload.name}: {cell.problem}")
                # What went wrong must not weigh on the other workloads.
                process.stop()
                self._start(server, stack)

    def _start(self, server: Server, stack: ExitStack) -> None:
        try:
            self.up[server.name] = stack.enter_context(self.start(server))
        except ServerError as error:
            say(f"{server.name}: {error}")
            self.up.pop(server.name, None)
            self.report.give_up(server, str(error))

    def _in_turn(self, turn: int) -> Sequence[Server]:
        """Another server goes first in each round, so that none always follows the same one."""
        servers = self.report.servers
        shift = turn % len(servers)
        return [*servers[shift:], *servers[:shift]]

    def _measure(self, workload: Workload, server: Server, turn: int, stack: ExitStack) -> None:
        cell = self.report.cell(workload, server)
        if cell.problem:
            return
        failure = self._try(workload, server, turn)
        if not self.up[server.name].is_alive:
            # The workload before may have been the cause: only a fresh server's death counts.
            self._restart(server, stack)
            if cell.problem:
                return
            failure = self._try(workload, server, turn)
            if not self.up[server.name].is_alive:
                failure = f"died: {self.up[server.name].why_dead()}"
                self._restart(server, stack)
        if failure:
            cell.problem = failure
            say(f"  {server.name}: {failure}")

    def _try(self, workload: Workload, server: Server, turn: int) -> str:
        """Measures once; returns "" or what went wrong."""
        port = self.up[server.name].port
        try:
            if turn == 0:
                self.wrk.run(workload, port, WARM_UP_SECONDS)
            run = self.wrk.run(workload, port, self.report.seconds)
        except LoadError as error:
            return str(error)
        if not self.up[server.name].is_alive:
            return "died"
        self.report.cell(workload, server).runs.append(run)
        errors = f", {run.errors} errors" if run.errors else ""
        say(f"  {server.name:24}{run.rate:12,.0f}/s  p99 {run.p99_ms:9,.2f} ms{errors}")
        return ""

    def _restart(self, server: Server, stack: ExitStack) -> None:
        say(f"  {server.name} died: {self.up[server.name].why_dead()}")
        self.report.memory[server.name].deaths += 1
        self._start(server, stack)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def parse_arguments(workload_names: Sequence[str]) -> argparse.Namespace:
    """The options; `only` and `workloads` become lists of names, each of which exists."""
    peers = sorted({*(server.name for server in SERVERS), *LIBRARIES})
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, help="rounds over all pairs (5)")
    parser.add_argument("--seconds", type=int, help="length of one measurement (3)")
    parser.add_argument("--idle", type=int, help="idle connections, for memory (10000); 0: none")
    parser.add_argument(
        "--many", type=int, help="WebSockets open on one process, for ws-many (100000); 0: none"
    )
    parser.add_argument(
        "--only",
        type=_names,
        default=[],
        help=f"some servers and libraries, by the beginnings of their names: {', '.join(peers)}",
    )
    parser.add_argument(
        "--workloads",
        type=_names,
        default=[],
        help=f"some of them: {','.join([*workload_names, *FAMILIES])}",
    )
    parser.add_argument("--quick", action="store_true", help="one short round, to try it out")
    options = parser.parse_args()
    for name, value in (QUICK if options.quick else FULL).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    if options.rounds < 1 or options.seconds < 1 or options.idle < 0 or options.many < 0:
        parser.error("--rounds and --seconds are at least 1, --idle and --many at least 0")
    known = {*workload_names, *FAMILIES, *(task.name for task in TASKS)}
    if unknown := sorted(set(options.workloads) - known):
        parser.error(f"no such workload: {', '.join(unknown)}")
    unknown = [one for one in options.only if not any(name.startswith(one) for name in peers)]
    if unknown:
        parser.error(f"no such server or library: {', '.join(unknown)}")
    return options


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def write(report: Report, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    names = ["results.md", "results.json"]
    (folder / "results.json").write_text(report.as_json(), encoding="utf-8")
    (folder / "results.md").write_text(report.as_markdown(), encoding="utf-8")
    if report.workloads:
        names.append("results.svg")
        (folder / "results.svg").write_text(draw(report), encoding="utf-8")
    say(f"Wrote {', '.join(names)} to {folder}")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="typhoon-bench-") as temporary:
        scratch = Path(temporary)
        scratch.chmod(0o755)  # nginx reads the files as another user
        files = scratch / "files"
        files.mkdir()
        workloads = make_workloads(make_files(files))
        options = parse_arguments([workload.name for workload in workloads])
        some = options.workloads
        workloads = [w for w in workloads if not some or w.name in some]
        servers = [server for server in SERVERS if _is_chosen(server.name, options.only)]
        if not (workloads and servers):
            workloads, servers = [], []  # the parts without a server alone
        libraries = [name for name in LIBRARIES if _is_chosen(name, options.only)]

        failed = environment.prepare()
        missing = {f"{name} could not be installed": reason for name, reason in failed.items()}
        server_cpu, client_cpu = environment.choose_cpus()
        allow_open_files(options.idle)
        report = Report(
            machine=environment.machine(server_cpu, client_cpu) | missing,
            versions=environment.versions(),
            servers=servers,
            workloads=workloads,
            rounds=options.rounds,
            seconds=options.seconds,
            idle_connections=options.idle,
            parts={
                "toolkit": ToolkitReport(
                    "The toolkit",
                    "Coroutines, queues and streams without HTTP. Typhoon against others on the "
                    "same loop",
                    toolkit.choose(toolkit.TASKS, some),
                    libraries,
                ),
                "templates": ToolkitReport(
                    "Templates",
                    "A page rendered in process. Typhoon against other template engines",
                    toolkit.choose(templates.TASKS, some),
                    libraries,
                ),
                "clients": ToolkitReport(
                    "HTTP clients",
                    "Fetching from nginx on the other CPU. Typhoon's default client against others "
                    "on the same loop, on uvloop against those that have none, and its client on "
                    "libcurl against Tornado's",
                    toolkit.choose(clients.TASKS, some),
                    libraries,
                    most_rounds=clients.MOST_ROUNDS,
                ),
                "websocket": ToolkitReport(
                    "WebSockets",
                    "Servers of WebSockets. Typhoon against others, all on uvloop but socketify",
                    toolkit.choose(sockets.TASKS, some),
                    libraries,
                    most_rounds=sockets.MOST_ROUNDS,
                ),
            },
        )
        bench = Bench(report, Wrk(client_cpu, scratch), server_cpu, scratch, files)
        if options.idle:
            bench.measure_idle_memory()
        if servers:
            bench.measure_speed()
        for part in report.parts.values():
            ToolkitBench(
                part,
                rounds=min(options.rounds, part.most_rounds),
                seconds=options.seconds,
                python=environment.PYTHON,
                server_cpu=server_cpu,
                client_cpu=client_cpu,
                scratch=scratch,
                idle=options.idle,
                many=options.many,
                say=say,
            ).measure()

        # A partial or short run never takes the place of the full one's figures.
        full = not (options.quick or options.workloads or options.only)
        write(report, HERE if full else PARTIAL)
        print(report.ratio_lines())


def _is_chosen(name: str, beginnings: Sequence[str]) -> bool:
    """Whether a name begins with one of those given; all do when none is given."""
    return not beginnings or name.startswith(tuple(beginnings))


if __name__ == "__main__":
    main()
