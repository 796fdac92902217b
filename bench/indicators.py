"""Measure what indicators cost: every one of them, on the bars of one second of 10,000 symbols.

The same frames go through the windows of one worker without indicators and with them, by turns and without Kafka. The
difference in CPU time is that of the indicators.
"""

import statistics
import time
from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import numpy as np
from rich.console import Console

from bench.load import START_MS
from tickertape.agents.market.bars import TRADE_BARS
from tickertape.agents.market.trades import TRADE_SLICES
from tickertape.schemas.checkpoint import Views
from tickertape.schemas.frame import Frame
from tickertape.schemas.trade import Trade
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.block import Block
from tickertape.stream.engine.define.discovery import Agents, configured
from tickertape.stream.engine.define.recipes import Recursions
from tickertape.stream.engine.slices.slicer import Slicer
from tickertape.stream.engine.slices.slicer_settings import settings_of
from tickertape.stream.engine.windows.windows import Windows, windows_of

SYMBOLS = 10_000
# Some warm-ups are over then, and windows of every length have moved.
SECONDS = 60
# The first ones, in which tables grow, don't count.
SKIPPED = 20
#: The most CPU time for the closes of one second, as a share of a core.
CEILING = 0.5


class Cost(NamedTuple):
    """CPU time for the closes of one second, in seconds: to compute the results, and to write them as records."""

    compute: float
    write: float


def every(resolution: str) -> Agents:
    """Return the agents, with every indicator on bars of one resolution."""
    names = sorted(one.name for one in configured(Settings()).indicators)
    return configured(Settings(indicators="; ".join(f"{name}@{resolution}" for name in names)))


def _frames() -> Iterator[Frame]:
    """Yield the frames of each second: one trade of every symbol."""
    slicer = Slicer(
        TRADE_SLICES, 0, 1, **settings_of(TRADE_SLICES, Settings()), checkpoint=None, committed=None, begin=0
    )
    rng = np.random.default_rng(1)
    prices, symbols = rng.uniform(10, 50_000, SYMBOLS), [f"S{i:05d}-USD" for i in range(SYMBOLS)]
    encode = msgspec.json.Encoder().encode
    for second in range(SECONDS):
        prices *= np.exp(rng.normal(0, 1e-4, SYMBOLS))
        first, time_ms = second * SYMBOLS, START_MS + second * 1000
        values = [
            encode(
                Trade(
                    symbol=name,
                    source="binance",
                    id=first + i,
                    time_ms=time_ms,
                    price=float(price),
                    quantity=1.0,
                    side="buy",
                )
            )
            for i, (name, price) in enumerate(zip(symbols, prices.round(4), strict=True))
        ]
        end = first + SYMBOLS
        block = Block("trades", 0, first, end, np.arange(first, end), values, np.full(SYMBOLS, time_ms + 1))
        if slicer.fold(block):
            raise SystemExit("records were refused")
        for _, frame in slicer.flush(lambda _: 0, 1, everyone=True):
            yield msgspec.msgpack.decode(msgspec.msgpack.encode(frame), type=Frame)


def _flush(windows: Windows, number: int, frame: Frame) -> tuple[Cost, int]:
    windows.apply_frame(0, number, frame)
    began = time.process_time()
    results = windows.flush(provisional=0)
    computed = time.process_time()
    written = sum(len(block.write()) for block in results.blocks)
    return Cost(computed - began, time.process_time() - computed), written


def measure() -> dict[str, float]:
    """Return the medians over the seconds."""
    settings = Settings()
    together = [one for one in every("1s").recipes if isinstance(one, Recursions)]
    (plain,), (followed,) = windows_of([TRADE_BARS], [], settings), windows_of([TRADE_BARS], together, settings)
    for windows in (plain, followed):
        windows.assign(0, Views())
        windows.start_publishing(0)
    costs: list[tuple[Cost, Cost]] = []
    results = 0
    for number, frame in enumerate(_frames()):
        (without, few), (having, many) = _flush(plain, number, frame), _flush(followed, number, frame)
        costs.append((without, having))
        results = many - few
    some = costs[SKIPPED:]
    return {
        "indicators": sum(len(one.members) for one in together),
        "results": results,
        "bars_seconds": statistics.median(without.compute + without.write for without, _ in some),
        "compute_seconds": statistics.median(having.compute - without.compute for without, having in some),
        "write_seconds": statistics.median(having.write - without.write for without, having in some),
    }


def show(console: Console, figures: dict[str, float]) -> bool:
    """Print the figures; return whether they are below the ceiling."""
    taken = figures["compute_seconds"] + figures["write_seconds"]
    ok = taken <= CEILING
    console.print(
        f"{figures['indicators']:.0f} indicators on the bars of one second of {SYMBOLS:,} symbols, "
        f"{figures['results']:,.0f} results: {figures['compute_seconds']:.2f} s of CPU time to compute and "
        f"{figures['write_seconds']:.2f} s to write, beside {figures['bars_seconds']:.2f} s for the bars; "
        f"ceiling {CEILING:g} s {'met' if ok else 'MISSED'}",
        highlight=False,
    )
    return ok
