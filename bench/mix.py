"""Measure all agents in one process on one core, with a market's mix of trades, quotes and posts."""

import statistics
import subprocess
import sys

from rich.console import Console

from bench import load
from bench.throughput import INPUTS, SPINE, contest
from tickertape.schemas.topics import QUOTES, TRADES
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.admin import topics

TRADES_SENT = 450_000
# Of ten records, 4.5 are trades and 5 are quotes. Bursts triple the number of posts, hence the 3.
RATE, QUOTES_A_TRADE, POSTS_A_SECOND = 10_000, 50 / 45, 10_000 * 5 / 45 / 3
FLOOR = 0.5


def _fill(broker: str) -> dict[str, int]:
    """Publish the mix at full speed; return the number of records in each topic."""
    settings = Settings(broker=broker)
    topics.create(settings)
    market = ["--symbols", str(load.SYMBOLS), "--rate", str(RATE), "--events", str(TRADES_SENT), "--speed", "max"]
    others = ["--quotes", str(QUOTES_A_TRADE), "--posts", str(POSTS_A_SECOND), "--start-ms", str(load.START_MS)]
    feed = [sys.executable, "-m", "tickertape", "--broker", broker, "feed", "simulate", *market, *others]
    subprocess.run([*feed, "--no-close"], check=True, stderr=subprocess.DEVNULL)
    states = topics.describe(settings, INPUTS)
    return {state.name: sum(partition.end for partition in state.partitions) for state in states}


def measure(console: Console, broker: str, rounds: int) -> dict[str, float]:
    """Return the rates of all agents and of the spine alone, measured in turns, as medians."""
    sent = _fill(broker)
    everything, spine = sum(sent.values()), sent[TRADES.name]
    shares = " + ".join(f"{sent[topic.name] / everything:.0%} {topic.name}" for topic in INPUTS)
    console.print(f"a mix of {everything:,} records: {shares}", highlight=False)
    of_market = (sent[TRADES.name] + sent[QUOTES.name]) / everything
    mixed, alone, ratios = [], [], []
    for _ in range(rounds):
        bars, _ = contest("bench.pipeline", broker, spine, [SPINE])
        every, _ = contest("bench.pipeline", broker, everything, [])
        mixed.append(every)
        alone.append(bars)
        ratios.append(every * of_market / bars)
        console.print(f"  every agent: {every:,.0f} per second; trades, bars: {bars:,.0f}", highlight=False)
    return {
        "records": statistics.median(mixed),
        "trades_and_quotes": statistics.median(mixed) * of_market,
        "spine": statistics.median(alone),
        "ratio": statistics.median(ratios),
    }


def show(console: Console, figures: dict[str, float]) -> bool:
    ok = figures["ratio"] >= FLOOR
    console.print(
        f"with every agent, {figures['trades_and_quotes']:,.0f} trades and quotes per second and core: "
        f"{figures['ratio']:.2f} × of the spine's {figures['spine']:,.0f} trades, "
        f"floor {FLOOR:g} × {'met' if ok else 'MISSED'}",
        highlight=False,
    )
    return ok
