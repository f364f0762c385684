"""The results as an SVG: one panel a workload, one bar a server, readable in light and dark."""

from collections.abc import Iterable
from html import escape

from report import Report
from servers import Server
from toolkit_report import SUBJECT
from workloads import Workload

WIDTH = 960
MARGIN = 24
GAP = 32
COLUMNS = 2
HEAD = 64
PANEL_HEAD = 34
BAR = 13
STEP = 19
LABELS = 150
VALUES = 62

STYLE = """
svg { --paper: #ffffff; --ink: #1f2328; --soft: #59636e; --line: #d1d9e0;
      --subject: #0969da; --peer: #afb8c1; --limit: #e3e7eb; }
@media (prefers-color-scheme: dark) {
  svg { --paper: #0d1117; --ink: #f0f6fc; --soft: #9198a1; --line: #3d444d;
        --subject: #4493f8; --peer: #59636e; --limit: #2a313a; }
}
text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: var(--ink); }
.title { font-size: 18px; font-weight: 600; }
.panel { font-size: 13px; font-weight: 600; }
.soft { fill: var(--soft); }
.right { text-anchor: end; }
.subject { fill: var(--subject); }
.label-subject { fill: var(--subject); font-weight: 600; }
.peer { fill: var(--peer); }
.limit { fill: var(--limit); stroke: var(--soft); stroke-dasharray: 3 2; }
.line { stroke: var(--line); }
"""


def draw(report: Report) -> str:
    """The whole picture. Each panel has its own scale, that of its fastest server."""
    panels = [(workload, report.ranking(workload)) for workload in report.workloads]
    panels = [(workload, ranking) for workload, ranking in panels if ranking]
    width = (WIDTH - 2 * MARGIN - (COLUMNS - 1) * GAP) / COLUMNS
    parts: list[str] = []
    top = float(HEAD)
    for start in range(0, len(panels), COLUMNS):
        row = panels[start : start + COLUMNS]
        for column, (workload, ranking) in enumerate(row):
            left = MARGIN + column * (width + GAP)
            parts += _panel(workload, ranking, left, top, width)
        top += PANEL_HEAD + STEP * max(len(ranking) for _, ranking in row) + GAP / 2
    height = top + MARGIN / 2
    machine = report.machine
    facts = f"{machine['interpreter']}, {machine['processor']}, one CPU for the server"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
            f'width="{WIDTH}" height="{height:.0f}" role="img">',
            "<title>Requests a second of each server under each workload</title>",
            f"<style>{STYLE}</style>",
            f'<rect width="{WIDTH}" height="{height:.0f}" rx="8" fill="var(--paper)"/>',
            _text(MARGIN, 32, "Requests a second (more is better)", "title"),
            _text(MARGIN, 50, f"{facts} · {machine['date']}", "soft"),
            *parts,
            "</svg>\n",
        ]
    )


def _panel(
    workload: Workload,
    ranking: list[tuple[Server, float]],
    left: float,
    top: float,
    width: float,
) -> Iterable[str]:
    yield _text(left, top + 18, workload.title, "panel")
    line = top + 25
    yield f'<path class="line" d="M{left:.0f} {line:.1f}h{width:.0f}"/>'
    room = width - LABELS - VALUES
    for index, (server, rate) in enumerate(ranking):
        y = top + PANEL_HEAD + index * STEP
        length = max(1.0, room * rate / ranking[0][1])
        kind = _kind(server)
        text = y + BAR - 2.5
        yield _text(left + LABELS - 8, text, server.name, f"right label-{kind}")
        yield (
            f'<rect class="{kind}" x="{left + LABELS:.1f}" y="{y:.1f}" width="{length:.1f}" '
            f'height="{BAR}" rx="2"/>'
        )
        yield _text(left + LABELS + length + 6, text, f"{rate:,.0f}", "soft")


def _kind(server: Server) -> str:
    if server.name == SUBJECT:
        return "subject"
    return "peer" if server.is_python else "limit"


def _text(x: float, y: float, content: str, style: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{style.strip()}">{escape(content)}</text>'
