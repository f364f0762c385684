"""From raw measurements to medians, ratios and verdicts, as Markdown and as JSON."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from load import Measurement
from servers import Server
from tables import emphasised, plain, table, verdict
from toolkit_report import SUBJECT, ToolkitReport
from workloads import Workload

ANCESTOR = "tornado"
LIMIT = "nginx"

# The bars of the project: on these two workloads against each, elsewhere ahead of every peer.
HEADLINES = ("plaintext", "browser")
AT_LEAST_TIMES_ANCESTOR = dict.fromkeys(HEADLINES, 20.0) | {"template": 3.0}
AT_LEAST_TIMES_LIMIT = 0.6
IDLE_BYTES_BELOW = 4096
RATIO_WIDTHS = (12, 40, 10, 8, 8)


@dataclass(slots=True)
class Cell:
    """One server under one workload: a measurement a round, or the problem that prevented them."""

    runs: list[Measurement] = field(default_factory=list)
    problem: str = ""

    @property
    def rate(self) -> float | None:
        """The median of the requests a second; None when there is nothing that counts."""
        return None if self.problem or not self.runs else median(run.rate for run in self.runs)

    @property
    def errors(self) -> int:
        return sum(run.errors for run in self.runs)

    def as_json(self) -> dict[str, Any]:
        if self.rate is None:
            return {"problem": self.problem}
        rates = [round(run.rate, 1) for run in self.runs]
        return {
            "median": round(self.rate, 1),
            "min": min(rates),
            "max": max(rates),
            "rates": rates,
            "p99_ms": round(median(run.p99_ms for run in self.runs), 3),
            "errors": self.errors,
        }


@dataclass(slots=True)
class Memory:
    """A server's memory, after all the load and for each idle connection, and its health."""

    after_load: int | None = None
    per_idle_connection: float | None = None
    problem: str = ""
    deaths: int = 0

    @property
    def note(self) -> str:
        died = f"died {self.deaths} times under load" if self.deaths else ""
        return "; ".join(filter(None, (self.problem, died)))


@dataclass(frozen=True, slots=True)
class Ratio:
    """Typhoon compared with another server; `passed` is None where no bar is set."""

    workload: str
    against: str
    value: float
    bar: str = ""
    passed: bool | None = None


@dataclass(slots=True)
class Report:
    """All that one run of the benchmark found."""

    machine: dict[str, str]
    versions: dict[str, str]
    servers: Sequence[Server]
    workloads: Sequence[Workload]
    rounds: int
    seconds: float
    idle_connections: int
    parts: Mapping[str, ToolkitReport]
    cells: dict[tuple[str, str], Cell] = field(default_factory=dict)
    memory: dict[str, Memory] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for server in self.servers:
            self.memory[server.name] = Memory()
            for workload in self.workloads:
                problem = (
                    "no facility of its own for this" if workload.name in server.missing else ""
                )
                self.cells[workload.name, server.name] = Cell(problem=problem)

    def cell(self, workload: Workload, server: Server) -> Cell:
        return self.cells[workload.name, server.name]

    def give_up(self, server: Server, reason: str) -> None:
        """Notes that a server does not run, wherever it has no other problem yet."""
        self.memory[server.name].problem = reason
        for workload in self.workloads:
            cell = self.cell(workload, server)
            cell.problem = cell.problem or reason

    def ranking(self, workload: Workload) -> list[tuple[Server, float]]:
        """The servers that have figures for this workload, the fastest first."""
        rates = ((server, self.cell(workload, server).rate) for server in self.servers)
        measured = [(server, rate) for server, rate in rates if rate is not None]
        return sorted(measured, key=lambda pair: -pair[1])

    def ratios(self) -> list[Ratio]:
        """Typhoon against its ancestor, the best of its peers, and the limit."""
        return [ratio for workload in self.workloads for ratio in self._ratios(workload)]

    def _ratios(self, workload: Workload) -> Iterable[Ratio]:
        ranking = self.ranking(workload)
        rates = {server.name: rate for server, rate in ranking}
        if SUBJECT not in rates:
            return
        own = rates[SUBJECT]
        headline = workload.name in HEADLINES
        if ANCESTOR in rates:
            value = own / rates[ANCESTOR]
            bar = AT_LEAST_TIMES_ANCESTOR.get(workload.name, 0.0)
            yield _ratio(workload, ANCESTOR, value, f"≥ {bar:g}", value >= bar, bar > 0)
        peers = [server.name for server, _ in ranking if server.is_python]
        peers.remove(SUBJECT)
        if peers:
            value = own / rates[peers[0]]
            yield _ratio(workload, f"{peers[0]}, the best peer", value, "> 1", value > 1, True)
        if LIMIT in rates:
            value = own / rates[LIMIT]
            bar = AT_LEAST_TIMES_LIMIT
            yield _ratio(workload, LIMIT, value, f"≥ {bar:g}", value >= bar, headline)

    def ratio_lines(self) -> str:
        """The comparison as plain text, for the terminal."""
        lines = (part.lines() for part in self.parts.values())
        parts = [plain(self._ratio_rows(), RATIO_WIDTHS), *lines]
        return "\n".join(filter(None, parts))

    def as_json(self) -> str:
        document = {
            "machine": self.machine,
            "versions": self.versions,
            "rounds": self.rounds,
            "seconds": self.seconds,
            "idle_connections": self.idle_connections,
            "results": {
                workload.name: {
                    server.name: self.cell(workload, server).as_json() for server in self.servers
                }
                for workload in self.workloads
            },
            "memory": {
                name: {
                    "after_load_bytes": memory.after_load,
                    "per_idle_connection_bytes": memory.per_idle_connection,
                    "problem": memory.note,
                }
                for name, memory in self.memory.items()
            },
            "ratios": [
                {
                    "workload": ratio.workload,
                    "against": ratio.against,
                    "value": round(ratio.value, 3),
                    "bar": ratio.bar,
                    "passed": ratio.passed,
                }
                for ratio in self.ratios()
            ],
            **{name: part.as_json() for name, part in self.parts.items()},
        }
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"

    def as_markdown(self) -> str:
        sections = [
            "# Benchmark results",
            "More is better, but for memory and CPU time. Figures are medians over the rounds. "
            "How it is measured: [README.md](README.md).",
            *(self._web_sections() if self.workloads else []),
            *(section for part in self.parts.values() for section in part.sections()),
            "## Where and how",
            self._facts(),
        ]
        return "\n\n".join(sections) + "\n"

    def _web_sections(self) -> list[str]:
        return [
            "## Servers",
            "Requests a second.",
            "![Requests a second of each server under each workload](results.svg)",
            self._overview(),
            "### Typhoon against the others",
            self._ratio_table(),
            "### Memory",
            self._memory_table(),
            *(part for workload in self.workloads for part in self._details(workload)),
        ]

    def _overview(self) -> str:
        rows = []
        for server in self.servers:
            cells = [self.cell(workload, server) for workload in self.workloads]
            texts = ["—" if cell.rate is None else f"{cell.rate:,.0f}" for cell in cells]
            rows.append([_emphasised(server), *texts])
        return table(["server", *(workload.name for workload in self.workloads)], rows)

    def _ratio_rows(self) -> list[list[str]]:
        rows = [
            [ratio.workload, ratio.against, f"{ratio.value:.2f}", ratio.bar, verdict(ratio.passed)]
            for ratio in self.ratios()
        ]
        idle = self.memory[SUBJECT].per_idle_connection if SUBJECT in self.memory else None
        if idle is not None:
            outcome = verdict(idle < IDLE_BYTES_BELOW)
            bar = f"< {IDLE_BYTES_BELOW:,}"
            rows.append(["idle memory", "bytes a connection", f"{idle:,.0f}", bar, outcome])
        return rows

    def _ratio_table(self) -> str:
        rows = self._ratio_rows()
        if not rows:
            return "Typhoon was not measured."
        return table(["workload", "against", "figure", "bar", "verdict"], rows)

    def _memory_table(self) -> str:
        rows = []
        for server in self.servers:
            memory = self.memory[server.name]
            load = "—" if memory.after_load is None else f"{memory.after_load / 2**20:,.1f}"
            idle = memory.per_idle_connection
            text = "—" if idle is None else f"{idle:,.0f}"
            rows.append([_emphasised(server), load, text, memory.note])
        count = f"{self.idle_connections:,}"
        header = [
            "server",
            "RSS after the load, MiB",
            f"bytes an idle connection ({count})",
            "note",
        ]
        return table(header, rows)

    def _details(self, workload: Workload) -> Iterable[str]:
        yield f"### {workload.title} (`{workload.name}`)"
        yield f"`{workload.method} {workload.path}` over {workload.connections} connections"
        ranking = self.ranking(workload)
        rows = []
        for server, rate in ranking:
            figures = self.cell(workload, server).as_json()
            spread = f"{figures['min']:,.0f} to {figures['max']:,.0f}"
            share = f"{100 * rate / ranking[0][1]:.0f} %"
            p99 = f"{figures['p99_ms']:,.2f}"
            errors = f"{figures['errors']:,}"
            rows.append(
                [
                    _emphasised(server),
                    f"{rate:,.0f}",
                    spread,
                    share,
                    p99,
                    errors,
                ]
            )
        header = ["server", "median", "min to max", "of the fastest", "p99, ms", "errors"]
        if rows:
            yield table(header, rows)
        absent = [
            f"- {server.name}: {self.cell(workload, server).problem or 'not measured'}"
            for server in self.servers
            if self.cell(workload, server).rate is None
        ]
        if absent:
            yield "Without figures:\n\n" + "\n".join(absent)

    def _facts(self) -> str:
        lines = [f"- {name}: {value}" for name, value in self.machine.items()]
        lines.append(f"- {self.rounds} rounds of {self.seconds:g} s for each pair, interleaved")
        packages = {name for server in self.servers for name in server.packages}
        for part in self.parts.values():
            packages |= part.packages()
        names = sorted({"nginx", "wrk", "rustc", *packages})
        found = [f"{name} {self.versions.get(name) or 'missing'}" for name in names]
        return "\n".join([*lines, f"- versions: {', '.join(found)}"])


def _ratio(
    workload: Workload, against: str, value: float, bar: str, passed: bool, has_bar: bool
) -> Ratio:
    if not has_bar:
        return Ratio(workload.name, against, value)
    return Ratio(workload.name, against, value, bar, passed)


def _emphasised(server: Server) -> str:
    return emphasised(server.name, server.name == SUBJECT)
