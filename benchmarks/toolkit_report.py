"""The parts of the report about single tasks: toolkit, templates, HTTP clients, WebSockets.

Medians, comparisons on the same loop, and verdicts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from tables import emphasised, plain, table, verdict
from toolkit import ASYNCIO, NONE, SUBJECT, UVLOOP, Limit, Peer, Task

# The bars of the project: how many times the rate of another library on the same loop. Those of a
# task come before those of its family.
STREAM_BARS = {"tornado": 1.5, "asyncio streams": 1.0}
WEBSOCKET_BARS = dict.fromkeys(
    (
        *("tornado", "aiohttp", "uvicorn, websockets", "uvicorn, wsproto", "sanic", "granian"),
        *("socketify", "picows", "websockets"),
    ),
    1.0,
)
BARS: dict[str, dict[str, float]] = {
    "coroutine": {"tornado": 2.0},
    "queue": {"tornado": 2.0},
    "tcpecho": STREAM_BARS,
    "transfer": STREAM_BARS,
    "template": {"tornado": 3.0, "jinja2": 1.0, "mako": 1.0, "minijinja": 1.0},
    "client-get": dict.fromkeys(("aiohttp", "httpx", "niquests", "pyreqwest", "pycurl"), 1.0)
    | {"tornado": 6.0},
    "client-download": {"tornado": 1.0, "aiohttp": 1.0},
    "ws-echo": WEBSOCKET_BARS | {"tornado": 5.0},
    "ws-echo64k": WEBSOCKET_BARS,
    "ws-broadcast": {"tornado": 10.0, "socketify": 1.0},
}
LINE_WIDTHS = (20, 42, 10, 10, 8, 8)


@dataclass(frozen=True, slots=True)
class Figure:
    """One measurement: operations a second, and microseconds of CPU time for each of them.

    `limited` is what the task has a limit for. `short` says why the measurement had to be smaller
    than the task wants, so that no bar applies; `note` is what else was found.
    """

    rate: float
    cpu_us: float
    limited: float | None = None
    short: str = ""
    note: str = ""


@dataclass(slots=True)
class Cell:
    """One library on one loop at one task: a figure a round, or the problem that prevented them."""

    figures: list[Figure] = field(default_factory=list)
    problem: str = ""

    @property
    def middle(self) -> Figure | None:
        """The medians, and the worst of what is limited; None when there is nothing that counts."""
        if self.problem or not self.figures:
            return None
        limited = [one.limited for one in self.figures if one.limited is not None]
        return Figure(
            median(figure.rate for figure in self.figures),
            median(figure.cpu_us for figure in self.figures),
            max(limited, default=None),
            self.figures[-1].short,
            self.figures[-1].note,
        )

    def as_json(self, limit: Limit | None) -> dict[str, Any]:
        middle = self.middle
        if middle is None:
            return {"problem": self.problem}
        rates = [round(figure.rate, 1) for figure in self.figures]
        limited = {limit.key: round(middle.limited, 2)} if limit and middle.limited else {}
        texts = {"short": middle.short, "note": middle.note}
        return {
            "median": round(middle.rate, 1),
            "min": min(rates),
            "max": max(rates),
            "rates": rates,
            "cpu_us": round(middle.cpu_us, 3),
            **limited,
            **{name: text for name, text in texts.items() if text},
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
    """Whether it is Typhoon, with whatever implementation."""
    return peer.library.partition(" ")[0] == SUBJECT


@dataclass(slots=True)
class ToolkitReport:
    """All that one run found about the chosen tasks and libraries, under one heading.

    `most_rounds` is for tasks that take long.
    """

    title: str
    introduction: str
    tasks: Sequence[Task] = ()
    libraries: Sequence[str] = ()
    most_rounds: int = 1000
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
        subjects = {
            (peer.library, peer.loop): middle
            for peer, middle in measured.items()
            if _is_subject(peer)
        }
        bars = BARS.get(task.name) or BARS.get(task.family, {})
        for loop in (UVLOOP, ASYNCIO, NONE):
            for peer, other in measured.items():
                own = subjects.get((peer.counterpart, loop))
                if own is None and loop == NONE:
                    own = subjects.get((peer.counterpart, UVLOOP))
                if own is None or peer.loop != loop or _is_subject(peer):
                    continue
                of = "" if peer.counterpart == SUBJECT else f" ({peer.counterpart})"
                yield Comparison(
                    task.name,
                    f"{peer.name}{of}",
                    rate=own.rate / other.rate,
                    cpu=other.cpu_us / own.cpu_us,
                    bar=bars.get(peer.library),
                )

    def _rows(self) -> list[list[str]]:
        """The comparisons, and Typhoon's figures that have a limit."""
        return [one.row for one in self.comparisons()] + [
            [
                task.name,
                f"{peer.name}: {task.limit.title}",
                f"{middle.limited:,.1f}",
                "",
                f"≤ {task.limit.bar:g}",
                verdict(None if middle.short else middle.limited <= task.limit.bar),
            ]
            for task in self.tasks
            if task.limit is not None
            for peer in self.peers(task)
            if _is_subject(peer)
            and (middle := self.cell(task, peer).middle)
            and middle.limited is not None
        ]

    def lines(self) -> str:
        """The comparisons as plain text, for the terminal."""
        return plain(self._rows(), LINE_WIDTHS)

    def as_json(self) -> dict[str, Any]:
        return {
            "results": {
                task.name: {
                    peer.name: self.cell(task, peer).as_json(task.limit)
                    for peer in self.peers(task)
                }
                for task in self.tasks
            },
            "comparisons": [one.as_json() for one in self.comparisons()],
        }

    def sections(self) -> list[str]:
        """The Markdown of this part; nothing when nothing of it was measured."""
        if not self.tasks:
            return []
        rows = self._rows()
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
            figures = self.cell(task, peer).as_json(task.limit)
            name = emphasised(peer.library, _is_subject(peer))
            row = [
                f"{name} (limit)" if peer.is_limit else name,
                peer.loop,
                f"{middle.rate:,.0f}",
                f"{figures['min']:,.0f} to {figures['max']:,.0f}",
                f"{100 * middle.rate / measured[0][1].rate:.0f} %",
                f"{middle.cpu_us:,.2f}",
            ]
            if middle.limited is not None:
                row.append(f"{middle.limited:,.1f}")
            rows.append(row)
        rate = f"{task.unit} a second"
        header = ["library", "loop", rate, "min to max", "of the fastest", "CPU, µs each"]
        if task.limit is not None:
            header.append(task.limit.title)
        if rows:
            yield table(header, rows)
        notes = [
            f"- {peer.name}: {'; '.join(texts)}"
            for peer, middle in measured
            if (texts := [text for text in (middle.short, middle.note) if text])
        ]
        if notes:
            yield "\n".join(notes)
        absent = [
            f"- {peer.name}: {self.cell(task, peer).problem or 'not measured'}"
            for peer in self.peers(task)
            if self.cell(task, peer).middle is None
        ]
        if absent:
            yield "Without figures:\n\n" + "\n".join(absent)
