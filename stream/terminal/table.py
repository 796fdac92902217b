"""The demo's table: a row for each symbol; and in a pipe, a line in its place."""

import time

from tickertape.stream.terminal.view import SymbolState, View
from tickertape.stream.top.cells import Cell, Column, Table, age, aged, amount

SYMBOLS = (
    Column(key="symbol", label="symbol", width=12, left=True),
    Column(key="last", label="last", width=9, rank=1),
    Column(key="change", label="change", width=8, rank=2),
    Column(key="vwap", label="vwap 1m", width=9, rank=6),
    Column(key="volume", label="vol 1m", width=9, rank=7),
    Column(key="rate", label="trades/s", width=9, rank=3),
    Column(key="trades", label="trades", width=9, rank=10),
    Column(key="posts", label="posts", width=6, rank=8),
    Column(key="mood", label="mood", width=5, rank=9),
    Column(key="lag", label="lag", width=7, rank=4),
    Column(key="age", label="wm age", width=7, rank=5),
)


def symbols(view: View) -> Table:
    """Return a row for each symbol, the busiest first. Rows stay readable, as this order seldom changes."""
    now_ms = time.time() * 1000
    rows = {symbol: _row(view, symbol, state, state.rate(now_ms)) for symbol, state in view.symbols.items()}
    return Table(name="symbols", columns=SYMBOLS, rows=rows, sort="trades", falling=True)


def _row(view: View, symbol: str, state: SymbolState, rate: float) -> dict[str, Cell]:
    change, trades = state.change, state.trades
    lag = view.partitions[state.partition].lag
    row = {
        "symbol": Cell(symbol, symbol, "bold"),
        "last": Cell(price(state.last), state.last),
        "change": Cell(f"{change:+.2%}", change, "green" if change > 0 else "red" if change < 0 else ""),
        "rate": Cell(f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}", rate),
        "trades": Cell(f"{trades:,}", trades),
        "lag": Cell(f"{lag:,}", lag, "" if lag else "dim"),
    }
    if minute := state.minute:
        row["vwap"] = Cell(price(minute.vwap), minute.vwap)
        volume = f"{minute.volume:,.4g}" if minute.volume < 1000 else amount(minute.volume)
        row["volume"] = Cell(volume, minute.volume)
    if talk := state.talk:
        row["posts"] = Cell(f"{talk.mentions:,}", talk.mentions)
        if (mood := talk.sentiment) is not None:
            row["mood"] = Cell(f"{mood:+.2f}", mood, "green" if mood > 0.1 else "red" if mood < -0.1 else "")
    age_seconds = view.watermark_age_seconds(state.partition)
    if age_seconds is not None:
        row["age"] = aged(age_seconds)
    return row


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


def price(value: float) -> str:
    """Return a price with six digits, or more if its integer part has more: 61,837.6, 0.35012 or 1,234,567."""
    digits = 5
    whole = abs(value)
    while whole >= 10 and digits:
        whole /= 10
        digits -= 1
    return f"{value:,.{digits}f}"
