"""Measure all agents in one process on one core, with a market's mix of trades, quotes and posts."""

import statistics
import subprocess
import sys

from rich.console import Console

from bench import load
from bench.throughput import CONTESTANTS, INPUTS, PLAIN, Contestant, contest
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.admin import topics

TRADES_SENT = 450_000
# Of ten records, 4.5 are trades and 5 are quotes. Bursts triple the number of posts, hence the 3.
RATE, QUOTES_A_TRADE, POSTS_A_SECOND = 10_000, 50 / 45, 10_000 * 5 / 45 / 3
#: As a multiple of the plain loop's rate, by CPU time.
FLOOR = 0.6


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
    """Return the rates of all agents, and of the plain loop that reads the trades alone, by turns, as medians."""
    sent = _fill(broker)
    everything = sum(sent.values())
    shares = " + ".join(f"{sent[topic.name] / everything:.0%} {topic.name}" for topic in INPUTS)
    console.print(f"a mix of {everything:,} records: {shares}", highlight=False)
    mixed, plain = [], []
    for _ in range(rounds):
        plain.append(contest(CONTESTANTS[PLAIN], broker, TRADES_SENT))
        mixed.append(contest(Contestant("bench.pipeline"), broker, everything))
        (wall, cpu), (_, plain_cpu) = mixed[-1], plain[-1]
        console.print(
            f"  every agent: {wall:,.0f} records per second, {cpu:,.0f} by CPU time; plain loop: {plain_cpu:,.0f}",
            highlight=False,
        )
    return {
        "wall": statistics.median(wall for wall, _ in mixed),
        "cpu": statistics.median(cpu for _, cpu in mixed),
        "of_plain": statistics.median(mine / theirs for (_, mine), (_, theirs) in zip(mixed, plain, strict=True)),
    }


def show(console: Console, figures: dict[str, float]) -> bool:
    ok = figures["of_plain"] >= FLOOR
    console.print(
        f"with every agent, {figures['wall']:,.0f} records per second and core, {figures['cpu']:,.0f} by CPU time: "
        f"{figures['of_plain']:.2f} × the trades of the plain loop, floor {FLOOR:g} × {'met' if ok else 'MISSED'}",
        highlight=False,
    )
    return ok
