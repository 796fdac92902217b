"""Measure events per second on one core: this pipeline, plain Faust, and other consumers of the same records."""

import asyncio
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from kafka import KafkaAdminClient
from rich.console import Console
from rich.table import Table

from bench import load
from tickertape.schemas.topics import CATALOGUE, POSTS, QUOTES, TRADES
from tickertape.stream.compiled.build import OFF
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.admin import topics

SLICES = "slices"
BARS = "slices and bars"
BUNDLED_SLICES = "slices, bundles of 1,000"
BUNDLED_BARS = "slices and bars, bundles of 1,000"
NUMPY_BUNDLED = "slices, bundles of 1,000, NumPy only"
NUMPY_BARS = "the same, NumPy only"
#: confluent-kafka, msgspec and dicts.
PLAIN = "plain loop"
GETMANY = "aiokafka getmany"
FAUST_DICT = "Faust dict"
FAUST_TABLE = "Faust table"
#: The agents of trades and their bars.
TRADES_ALONE = "tickertape.agents.market.trades"
SPINE = f"{TRADES_ALONE},tickertape.agents.market.bars"


# The events of a bundle.
BUNDLE = 1000


class Contestant(NamedTuple):
    """A program that reads the trades.

    Attributes
    ----------
    module, arguments
        What is run.
    share
        The share of the events that it gets.
    environment
        Variables that are set for it.
    bundle
        How many events a record has that it reads.
    """

    module: str
    arguments: Sequence[str] = ()
    share: float = 1.0
    environment: Mapping[str, str] = MappingProxyType({})
    bundle: int = 1


CONTESTANTS = {
    FAUST_TABLE: Contestant("bench.faust_table", share=0.015),
    FAUST_DICT: Contestant("bench.faust_dict", share=0.04),
    PLAIN: Contestant("bench.plain_loop"),
    BARS: Contestant("bench.pipeline", [SPINE]),
    NUMPY_BARS: Contestant("bench.pipeline", [SPINE], environment={OFF: "1"}),
    GETMANY: Contestant("bench.getmany"),
    SLICES: Contestant("bench.pipeline", [TRADES_ALONE]),
    BUNDLED_BARS: Contestant("bench.pipeline", [SPINE], bundle=BUNDLE),
    NUMPY_BUNDLED: Contestant("bench.pipeline", [TRADES_ALONE], environment={OFF: "1"}, bundle=BUNDLE),
    BUNDLED_SLICES: Contestant("bench.pipeline", [TRADES_ALONE], bundle=BUNDLE),
}
INPUTS = (TRADES, QUOTES, POSTS)
REST_SECONDS = 1.5
# By CPU time, as a multiple of another's rate in the same round.
FLOORS = {SLICES: (FAUST_TABLE, 100.0), BARS: (PLAIN, 1.4), NUMPY_BARS: (FAUST_DICT, 25.0)}


def contest(contestant: Contestant, broker: str, events: int) -> tuple[float, float]:
    """Run a contestant on one core; return events per second of wall time and of CPU time.

    Each contestant begins with empty sinks and an idle broker.
    """
    delete(broker, [topic.name for topic in CATALOGUE if topic not in INPUTS])
    topics.create(Settings(broker))
    time.sleep(REST_SECONDS)
    core, count = max(os.sched_getaffinity(0)), int(events * contestant.share)
    command = [sys.executable, "-m", contestant.module, broker, str(count), *contestant.arguments]
    ran = subprocess.run(
        ["taskset", "-c", str(core), *command],
        env=os.environ | contestant.environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    found = re.search(r"@(\d+) (\d+)", ran.stdout)
    if found is None:
        raise SystemExit(f"{contestant.module} failed:\n{ran.stdout[-2000:]}{ran.stderr[-4000:]}")
    return float(found[1]), float(found[2])


def delete(broker: str, names: list[str]) -> None:
    admin = KafkaAdminClient(bootstrap_servers=broker)
    try:
        admin.delete_topics(names)
        while set(names) & set(admin.list_topics()):
            time.sleep(0.1)
    finally:
        admin.close()


def measure(
    console: Console, brokers: Mapping[int, str], events: int, rounds: int, only: Sequence[str] = ()
) -> dict[str, dict[str, float]]:
    """Run all contestants by turns; return the best and the medians of their rates, and how they compare.

    Parameters
    ----------
    brokers
        By the number of events of a record: the broker whose topics get such records.
    only
        If given, only these take part, and the plain loop.
    """
    for bundle, broker in brokers.items():
        topics.create(Settings(broker))
        console.print(f"producing {events:,} trades of 200 symbols, in records of {bundle:,}")
        asyncio.run(load.produce(broker, load.trades(events), bundle=bundle))
    contestants = {name: one for name, one in CONTESTANTS.items() if not only or name in (PLAIN, *only)}
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            wall, cpu = contest(contestant, brokers[contestant.bundle], events)
            rates[name].append((wall, cpu))
            console.print(f"  {name}: {wall:,.0f} per second, {cpu:,.0f} by CPU time", highlight=False)
    return {name: _figures(rates, name) for name in contestants}


def _figures(rates: dict[str, list[tuple[float, float]]], name: str) -> dict[str, float]:
    """Return a contestant's figures. Ratios are taken within a round, in which the machine's state is the same."""
    walls, cpus = zip(*rates[name], strict=True)
    return {
        "best_wall": max(walls),
        "wall": statistics.median(walls),
        "best_cpu": max(cpus),
        "cpu": statistics.median(cpus),
        "of_plain": _ratio(rates, name, PLAIN),
        **({"of_reference": _ratio(rates, name, FLOORS[name][0])} if _has_floor(rates, name) else {}),
    }


def _has_floor(rates: Collection[str], name: str) -> bool:
    return name in FLOORS and FLOORS[name][0] in rates


def _ratio(rates: dict[str, list[tuple[float, float]]], name: str, other: str) -> float:
    return statistics.median(mine / theirs for (_, mine), (_, theirs) in zip(rates[name], rates[other], strict=True))


def show(console: Console, figures: dict[str, dict[str, float]]) -> bool:
    rates = ("best", "median", "best by CPU", "median by CPU")
    table = Table("events per second, one core", *rates, "of the plain loop", "floor")
    ok = True
    for name, figure in sorted(figures.items(), key=lambda item: item[1]["cpu"]):
        wanted = ""
        if _has_floor(figures, name):
            other, least = FLOORS[name]
            met = figure["of_reference"] >= least
            ok &= met
            wanted = f"{least:g} × {other} {'met' if met else 'MISSED'}"
        cells = (f"{figure[key]:,.0f}" for key in ("best_wall", "wall", "best_cpu", "cpu"))
        table.add_row(name, *cells, f"{figure['of_plain']:.3g} ×", wanted)
    console.print(table)
    return ok
