"""Draw the live table: a summary, and below it a row for each symbol."""

import time
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tickertape.stream.terminal.view import SymbolState, View

# Watermark ages above this are shown in red.
OLD_SECONDS = 3.0


def render(view: View, heading: str, notes: Sequence[str], keys: str, *, rows: int) -> RenderableType:
    """Return the live table, with the heading and the summary above it, and the notes below it.

    Parameters
    ----------
    view
        The state to show.
    heading
        The line above the table.
    notes
        Lines about recent events, the latest last.
    keys
        The line that explains the keys; empty if there is no keyboard.
    rows
        The number of symbols to show at most, the busiest first.
    """
    now_ms = time.time() * 1000
    table = Table(box=None, padding=(0, 0, 0, 1), pad_edge=False, header_style="bold")
    table.add_column("symbol", no_wrap=True)
    for name in ("last", "change", "vwap 1m", "vol 1m", "trades/s", "posts", "mood", "lag", "wm age"):
        table.add_column(name, justify="right", no_wrap=True, min_width=5)
    rates = {symbol: state.rate(now_ms) for symbol, state in view.symbols.items()}
    busiest = view.busiest
    for symbol in busiest[:rows]:
        table.add_row(*_row(view, symbol, view.symbols[symbol], rates[symbol]))
    if len(busiest) > rows:
        table.add_row(Text(f"and {len(busiest) - rows} more", style="dim"))
    own_lines = [Text(line) for line in view.own_metrics.lines(busiest)] if view.own_metrics else []
    foot = [*own_lines, *(Text(note) for note in notes), *([Text(keys, style="dim")] if keys else [])]
    return Group(Text(heading, style="bold"), Text(summary(view)), Text(), table, Text(), *foot)


def _row(view: View, symbol: str, state: SymbolState, rate: float) -> list[str | Text]:
    minute = state.minute
    change = f"{state.change:+.2%}"
    age_seconds = view.watermark_age_seconds(state.partition)
    lag = view.partitions[state.partition].lag
    return [
        symbol,
        price(state.last),
        Text(change, style="green" if state.change > 0 else "red" if state.change < 0 else ""),
        price(minute.vwap) if minute else "",
        f"{minute.volume:,.4g}" if minute and minute.volume < 1000 else f"{minute.volume:,.0f}" if minute else "",
        f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}",
        f"{state.talk.mentions:,}" if state.talk else "",
        _mood(state.talk.sentiment if state.talk else None),
        f"{lag:,}",
        "" if age_seconds is None else Text(age(age_seconds), style="red" if age_seconds > OLD_SECONDS else ""),
    ]


def _mood(sentiment: float | None) -> Text:
    """Return a cell for the sentiment of posts, −1 to 1."""
    if sentiment is None:
        return Text("")
    return Text(f"{sentiment:+.2f}", style="green" if sentiment > 0.1 else "red" if sentiment < -0.1 else "")


def summary(view: View) -> str:
    """Return a line that sums up all symbols."""
    ages = [seconds for number in view.partitions if (seconds := view.watermark_age_seconds(number)) is not None]
    return (
        f"{view.events_per_second:,.0f} events/s   read {view.read:,}   lag {view.lag:,}   "
        f"watermark age {age(max(ages, default=0))}   {view.bars:,} bars of 1 s"
    )


def line(view: View, seconds: float) -> str:
    """Return a line to print in place of the table if there is no terminal."""
    busiest = [(symbol, view.symbols[symbol]) for symbol in view.busiest[:2]]
    prices = "   ".join(f"{symbol} {price(state.last)} {state.change:+.2%}" for symbol, state in busiest)
    own_lines = view.own_metrics.lines(view.busiest) if view.own_metrics else []
    return "\n       ".join([f"{seconds:4.0f} s   {summary(view)}   {prices}", *own_lines])


def age(seconds: float) -> str:
    """Return an age as text, for ages below a year in at most six characters: 0.1 s, 179 s or 41.7 h."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds:.0f} s"
    hours = seconds / 3600
    return f"{hours:.1f} h" if hours < 100 else f"{hours:.0f} h"


def price(value: float) -> str:
    """Return a price with six digits, or more if its integer part has more: 61,837.6, 0.35012 or 1,234,567."""
    digits = 5
    whole = abs(value)
    while whole >= 10 and digits:
        whole /= 10
        digits -= 1
    return f"{value:,.{digits}f}"
