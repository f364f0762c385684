"""What the parts of a report have in common: Markdown tables, plain ones, and verdicts."""

from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; figures stand to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plain(rows: Iterable[Sequence[str]], widths: Sequence[int]) -> str:
    """The rows for a terminal."""
    return "\n".join("  ".join(map(str.ljust, row, widths)) for row in rows)


def verdict(passed: bool | None) -> str:
    return "" if passed is None else "pass" if passed else "FAIL"


def emphasised(name: str, is_subject: bool) -> str:
    return f"**{name}**" if is_subject else name
