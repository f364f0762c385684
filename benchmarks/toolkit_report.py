"""The parts of the report about libraries without a server: the toolkit and the template engines.

Medians, comparisons on the same loop, and verdicts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from tables import emphasised, plain, table, verdict
from toolkit import ASYNCIO, NONE, UVLOOP, Peer, Task

SUBJECT = "typhoon"

# The bars of the project: how many times the rate of another library on the same loop.
STREAM_BARS = {"tornado": 1.5, "asyncio streams": 1.0}
BARS: dict[str, dict[str, float]] = {
    "coroutine": {"tornado": 2.0},
    "queue": {"tornado": 2.0},
    "tcpecho": STREAM_BARS,
    "transfer": STREAM_BARS,
    "template": {"tornado": 3.0, "jinja2": 1.0, "mako": 1.0, "minijinja": 1.0},
}
LINE_WIDTHS = (20, 28, 10, 10, 8, 8)


@dataclass(frozen=True, slots=True)
class Figure:
    """One measurement: operations a second, and microseconds of CPU time for each of them."""

    rate: float
    cpu_us: float


@dataclass(slots=True)
class Cell:
    """One library on one loop at one task: a figure a round, or the problem that prevented them."""

    figures: list[Figure] = field(default_factory=list)
    problem: str = ""

    @property
    def middle(self) -> Figure | None:
        """The medians; None when there is nothing that counts."""
        if self.problem or not self.figures:
            return None
        return Figure(
            median(figure.rate for figure in self.figures),
            median(figure.cpu_us for figure in self.figures),
        )

    def as_json(self) -> dict[str, Any]:
        middle = self.middle
        if middle is None:
            return {"problem": self.problem}
        rates = [round(figure.rate, 1) for figure in self.figures]
        return {
            "median": round(middle.rate, 1),
            "min": min(rates),
            "max": max(rates),
            "rates": rates,
            "cpu_us": round(middle.cpu_us, 3),
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """Typhoon against another library on the same loop, as multiples of the other's figures.

    `rate` is how many times as fast; `cpu` is the other's CPU time over Typhoon's.
    """

    task: str
    against: str
    rate: float
    cpu: float
    bar: float | None

    @property
    def row(self) -> list[str]:
        passed = None if self.bar is None else self.rate >= self.bar
        bar = "" if self.bar is None else f"≥ {self.bar:g}"
        return [
            self.task,
            self.against,
            f"{self.rate:.2f}",
            f"{self.cpu:.2f}",
            bar,
            verdict(passed),
        ]

    def as_json(self) -> dict[str, Any]:
        return {
            "task": self.task,
            "against": self.against,
            "rate": round(self.rate, 3),
            "cpu": round(self.cpu, 3),
            "bar": self.bar,
            "passed": None if self.bar is None else self.rate >= self.bar,
        }


def _is_subject(peer: Peer) -> bool:
    return peer.library == SUBJECT


@dataclass(slots=True)
class ToolkitReport:
    """All that one run found about the chosen tasks and libraries, under one heading."""

    title: str
    introduction: str
    tasks: Sequence[Task] = ()
    libraries: Sequence[str] = ()
    cells: dict[tuple[str, str], Cell] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tasks = [task for task in self.tasks if self.peers(task)]
        for task in self.tasks:
            for peer in self.peers(task):
                self.cells[task.name, peer.name] = Cell()

    def peers(self, task: Task) -> list[Peer]:
        return [peer for peer in task.peers if peer.library in self.libraries]

    def cell(self, task: Task, peer: Peer) -> Cell:
        return self.cells[task.name, peer.name]

    def packages(self) -> set[str]:
        return {name for task in self.tasks for peer in self.peers(task) for name in peer.packages}

    def comparisons(self) -> list[Comparison]:
        return [one for task in self.tasks for one in self._comparisons(task)]

    def _comparisons(self, task: Task) -> Iterable[Comparison]:
        measured = {
            peer: middle
            for peer in self.peers(task)
            if not peer.is_limit and (middle := self.cell(task, peer).middle)
        }
        subjects = {peer.loop: middle for peer, middle in measured.items() if _is_subject(peer)}
        for loop in (UVLOOP, ASYNCIO, NONE):
            own = subjects.get(loop)
            if own is None:
                continue
            for peer, other in measured.items():
                if peer.loop == loop and not _is_subject(peer):
                    yield Comparison(
                        task.name,
                        peer.name,
                        rate=own.rate / other.rate,
                        cpu=other.cpu_us / own.cpu_us,
                        bar=BARS[task.family].get(peer.library),
                    )

    def lines(self) -> str:
        """The comparisons as plain text, for the terminal."""
        return plain((one.row for one in self.comparisons()), LINE_WIDTHS)

    def as_json(self) -> dict[str, Any]:
        return {
            "results": {
                task.name: {peer.name: self.cell(task, peer).as_json() for peer in self.peers(task)}
                for task in self.tasks
            },
            "comparisons": [one.as_json() for one in self.comparisons()],
        }

    def sections(self) -> list[str]:
        """The Markdown of this part; nothing when nothing of it was measured."""
        if not self.tasks:
            return []
        rows = [one.row for one in self.comparisons()]
        header = ["task", "against", "rate", "CPU time", "bar", "verdict"]
        return [
            f"## {self.title}",
            f"{self.introduction}: how many times as fast it is, and how many times as much CPU "
            "time the other takes for the same work.",
            table(header, rows) if rows else "Typhoon was not measured beside another library.",
            *(part for task in self.tasks for part in self._details(task)),
        ]

    def _details(self, task: Task) -> Iterable[str]:
        yield f"### {task.title} (`{task.name}`)"
        measured = [
            (peer, middle)
            for peer in self.peers(task)
            if (middle := self.cell(task, peer).middle) is not None
        ]
        measured.sort(key=lambda pair: -pair[1].rate)
        rows = []
        for peer, middle in measured:
            figures = self.cell(task, peer).as_json()
            name = emphasised(peer.library, _is_subject(peer))
            rows.append(
                [
                    f"{name} (limit)" if peer.is_limit else name,
                    peer.loop,
                    f"{middle.rate:,.0f}",
                    f"{figures['min']:,.0f} to {figures['max']:,.0f}",
                    f"{100 * middle.rate / measured[0][1].rate:.0f} %",
                    f"{middle.cpu_us:,.2f}",
                ]
            )
        rate = f"{task.unit} a second"
        header = ["library", "loop", rate, "min to max", "of the fastest", "CPU, µs each"]
        if rows:
            yield table(header, rows)
        absent = [
            f"- {peer.name}: {self.cell(task, peer).problem or 'not measured'}"
            for peer in self.peers(task)
            if self.cell(task, peer).middle is None
        ]
        if absent:
            yield "Without figures:\n\n" + "\n".join(absent)
