"""Show what was measured: a table in the terminal, and a table and a chart in docs/benchmarks.md."""

import re
import statistics
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.peers import chart, record
from bench.peers.contestants import OURS, PLAIN
from bench.peers.record import Record, Result

DOCS = Path(__file__).parents[2] / "docs"
#: The name of what is kept, and of the chart.
KEPT, CHART, PAGE = "peers.json", "peers.svg", "benchmarks.md"
BEGIN, END = "<!-- peers: written by the bench -->", "<!-- end of peers -->"
#: So many times the best rate of every other engine by CPU time is ours to be.
FLOOR = 3.0
HEADINGS = (
    "contestant",
    "trades",
    "turns",
    "best, events a second",
    "median",
    "best by CPU time",
    "median by CPU time",
    "of the plain loop, by CPU time",
    "rows right",
)


def _order(found: Record) -> list[str]:
    """Return the names, the fastest by CPU time first; those without turns are last."""
    return sorted(found.results, key=lambda name: -_median_cpu(found.results[name]))


def _median_cpu(result: Result) -> float:
    return statistics.median(turn.cpu for turn in result.turns) if result.turns else 0.0


def of_plain(found: Record, name: str) -> float | None:
    """Return how many times the plain loop's rate a contestant has by CPU time: the median over their common rounds."""
    plain = found.results.get(PLAIN)
    theirs = {turn.round: turn.cpu for turn in plain.turns} if plain else {}
    ratios = [turn.cpu / theirs[turn.round] for turn in found.results[name].turns if turn.round in theirs]
    return statistics.median(ratios) if ratios else None


def rows(found: Record) -> list[list[str]]:
    """Return the table's cells, a list for each contestant."""
    return [_cells(found, name) for name in _order(found)]


def _cells(found: Record, name: str) -> list[str]:
    result = found.results[name]
    title = f"{name} {result.version}".strip()
    if not result.turns:
        return [title, f"not run: {result.missing}", *[""] * (len(HEADINGS) - 2)]
    walls, cpus = [turn.wall for turn in result.turns], [turn.cpu for turn in result.turns]
    rates = (max(walls), statistics.median(walls), max(cpus), statistics.median(cpus))
    ratio = of_plain(found, name)
    worst = min(result.turns, key=lambda turn: (-turn.faults, turn.right))
    checked = f"{worst.right:,} of {worst.expected:,}" + (f", {worst.faults:,} WRONG" if worst.faults else "")
    return [
        title,
        f"{result.events:,}",
        str(len(result.turns)),
        *(f"{rate:,.0f}" for rate in rates),
        "" if ratio is None else f"{ratio:.2g} ×",
        checked,
    ]


def _best_cpu(result: Result) -> float:
    return max((turn.cpu for turn in result.turns), default=0.0)


def too_near(found: Record) -> list[str]:
    """Return the engines that ours isn't far enough ahead of; the plain loop is none."""
    ours = _best_cpu(found.results[OURS]) if OURS in found.results else 0.0
    engines = {name: one for name, one in found.results.items() if name != PLAIN and not name.startswith(OURS)}
    return [name for name, one in engines.items() if ours and ours < FLOOR * _best_cpu(one)]


def show(console: Console, found: Record) -> bool:
    """Print the table; return whether no row was wrong, and the floor is met."""
    table = Table(*HEADINGS)
    for cells in rows(found):
        table.add_row(*cells)
    console.print(table)
    near = too_near(found)
    missed = f"MISSED: {', '.join(near)}" if near else "met"
    console.print(f"floor {FLOOR:g} × every other engine by CPU time, best against best: {missed}", highlight=False)
    return not near and not any(turn.faults for result in found.results.values() for turn in result.turns)


def block(found: Record) -> str:
    """Return what stands between the two marks of the page."""
    loads = [turn.load for result in found.results.values() for turn in result.turns]
    between = f"{min(loads):.1f} to {max(loads):.1f}" if loads else "unknown"
    lines = [
        f"{found.rounds} rounds, {found.date}, {found.machine}; load average {between} when a turn began.",
        "",
        f"![Events a second and core, by CPU time: {', '.join(_spoken(found))}]({CHART})",
        "",
        f"| {' | '.join(HEADINGS)} |",
        "| --- |" + " ---: |" * (len(HEADINGS) - 1),
        *(f"| {' | '.join(cells)} |" for cells in rows(found)),
        "",
        *(f"- **{name}**, from the {one.counted_from} on. {one.about}" for name, one in found.results.items()),
    ]
    return "\n".join(lines)


def _spoken(found: Record) -> list[str]:
    return [f"{name} {_median_cpu(one):,.0f}" for name in _order(found) if (one := found.results[name]).turns]


def bars(found: Record) -> list[tuple[str, float]]:
    """Return the chart's bars: the median by CPU time."""
    return [(name, _median_cpu(one)) for name in _order(found) if (one := found.results[name]).turns]


def write(found: Record, docs: Path = DOCS) -> None:
    """Write the page's block, the chart, and what they were made of."""
    page = docs / PAGE
    text = page.read_text()
    marked = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)
    if not marked.search(text):
        raise SystemExit(f"{page} has no lines {BEGIN} and {END}")
    # Not a text, in which a backslash would mean something.
    page.write_text(marked.sub(lambda _: f"{BEGIN}\n\n{block(found)}\n\n{END}", text))
    (docs / CHART).write_text(chart.svg("events a second and core, by CPU time (median)", bars(found)))
    record.save(docs / KEPT, found)
