"""Measure order books: the time for a change of a level, for a quote, and for the depth.

Run: python -m bench.books [--recorded FILE]

The changes are those of a recording of Binance's depth stream, or made up: most are near the best prices. Each figure
is the fastest of some runs. Beside them is what plain dicts would take, which know nothing of order: the least that a
book can take.
"""

import argparse
import gzip
import math
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from tickertape.stream.feeds.books.books import Books
from tickertape.stream.feeds.define.book_rule import BookRule
from tickertape.stream.feeds.define.change import Change, Level

RUNS = 5
RULE = BookRule(ways=("subscribe",), is_numbered=True)
START_MS = 1_700_000_000_000


def recorded(path: Path) -> list[Change]:
    """Return a recording's changes, from the snapshot on."""
    snapshot: Change | None = None
    changes: list[Change] = []
    with gzip.open(path) as lines:
        for line in lines:
            said = msgspec.json.decode(line.partition(b" ")[2])
            data = said.get("data", said)
            if "lastUpdateId" in data:
                snapshot = _change(0, data["bids"], data["asks"], data["lastUpdateId"], is_snapshot=True)
            elif data.get("e") == "depthUpdate":
                changes.append(_change(len(changes), data["b"], data["a"], data["u"], first=data["U"]))
    assert snapshot is not None
    assert snapshot.last is not None
    return [snapshot, *(change for change in changes if change.last is not None and change.last > snapshot.last)]


def made(levels: int, messages: int, *, per_message: int = 10, seed: int = 1) -> list[Change]:
    """Return made-up changes of a book that begins with so many levels a side."""
    some, middle = random.Random(seed), 6_000_000
    sides = [[[f"{(middle + sign * n) / 100:.2f}", "1.00000000"] for n in range(1, levels + 1)] for sign in (-1, 1)]
    found = [_change(0, sides[0], sides[1], 0, is_snapshot=True)]
    for number in range(1, messages):
        moved = some.choice((-1, 0, 0, 0, 1))
        middle += moved
        told: tuple[list[list[str]], list[list[str]]] = ([], [])
        if moved:
            # What stood there was traded away.
            told[moved > 0].append([f"{middle / 100:.2f}", "0.00000000"])
        for _ in range(per_message):
            side = some.randrange(2)
            away = 1 + (int(some.expovariate(0.05)) if some.random() < 0.9 else some.randrange(levels))
            quantity = "0.00000000" if some.random() < 0.35 else f"{some.random() * 5:.8f}"
            told[side].append([f"{(middle + (-1, 1)[side] * away) / 100:.2f}", quantity])
        found.append(_change(number, told[0], told[1], number))
    return found


def _change(
    n: int,
    bids: Sequence[Sequence[str]],
    asks: Sequence[Sequence[str]],
    last: int,
    *,
    first: int | None = None,
    is_snapshot: bool = False,
) -> Change:
    time_ms = START_MS + 100 * n
    sides: list[list[Level]] = [[(price, quantity) for price, quantity in side] for side in (bids, asks)]
    return Change(
        symbol="BTC-USDT",
        source="bench",
        time_ms=time_ms,
        received_ms=time_ms,
        is_snapshot=is_snapshot,
        bids=sides[0],
        asks=sides[1],
        first=first,
        last=last,
    )


def follow(changes: Sequence[Change], *, quotes: bool) -> Books:
    books = Books("bench", RULE, ["BTC-USDT"], quotes=quotes, most_levels=100_000, now=0.0)
    for change in changes:
        books.take(change, 0.0)
    return books


def plain(changes: Sequence[Change]) -> None:
    """Keep the same levels in two dicts."""
    sides: tuple[dict[float, Level], dict[float, Level]] = ({}, {})
    for change in changes:
        for side, levels in zip(sides, (change.bids, change.asks), strict=True):
            for level in levels:
                if float(level[1]):
                    side[float(level[0])] = level
                else:
                    side.pop(float(level[0]), None)


def fastest(*works: Callable[[], object]) -> list[float]:
    """Return the seconds of the fastest run of each; they run by turns."""
    times = [math.inf for _ in works]
    for _ in range(RUNS):
        for n, work in enumerate(works):
            began = time.perf_counter()
            work()
            times[n] = min(times[n], time.perf_counter() - began)
    return times


def measure(name: str, changes: Sequence[Change]) -> None:
    count = sum(len(change.bids) + len(change.asks) for change in changes)
    books = follow(changes, quotes=True)
    assert books.states["live"] == 1
    seconds = iter(range(1, 1_000_000))
    alone, with_quotes, floor, depths = fastest(
        lambda: follow(changes, quotes=False),
        lambda: follow(changes, quotes=True),
        lambda: plain(changes),
        lambda: [books.depths(START_MS + 10**9 + 1000 * next(seconds)) for _ in range(1000)],
    )
    assert books.tally.depths == RUNS * 1000
    print(
        f"{name}: {len(changes):,} messages, {count:,} levels: {alone / count * 1e6:.2f} µs a level "
        f"({alone / floor:.2f} of plain dicts), {alone / len(changes) * 1e6:.1f} µs a message, "
        f"{(with_quotes - alone) / len(changes) * 1e6:.2f} µs more with quotes, {depths * 1e3:.1f} µs for 20 levels"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recorded", type=Path, help="a recording of combined streams of Binance, with one snapshot")
    path = parser.parse_args().recorded
    if path is not None:
        measure("recorded", recorded(path))
    for levels in (25, 1000, 5000):
        measure(f"made up, {levels} levels a side", made(levels, 20_000))


if __name__ == "__main__":
    main()
