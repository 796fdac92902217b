"""Measure events per second on one core: this pipeline, plain Faust, and other consumers of the same records."""

import asyncio
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

from kafka import KafkaAdminClient
from rich.console import Console
from rich.table import Table

from bench import load
from tickertape.schemas.topics import CATALOGUE, POSTS, QUOTES, TRADES
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.admin import topics

PIPELINE = "tickertape: slices"
GETMANY = "aiokafka getmany, nothing decoded"
FAUST_DICT = "Faust agent, adds to a dict"
FAUST_TABLE = "Faust windowed table"
#: The agents of trades and their bars.
SPINE = "tickertape.agents.market.trades,tickertape.agents.market.bars"
# Name, module, arguments, and share of the events.
CONTESTANTS = [
    (FAUST_TABLE, "bench.faust_table", [], 0.015),
    (FAUST_DICT, "bench.faust_dict", [], 0.04),
    ("plain loop: confluent-kafka, msgspec, dicts", "bench.plain_loop", [], 1.0),
    ("tickertape: slices and five bars", "bench.pipeline", [SPINE], 1.0),
    (GETMANY, "bench.getmany", [], 1.0),
    (PIPELINE, "bench.pipeline", ["tickertape.agents.market.trades"], 1.0),
]
INPUTS = (TRADES, QUOTES, POSTS)
REST_SECONDS = 1.5
FLOORS = [(FAUST_TABLE, 100.0), (FAUST_DICT, 60.0), (GETMANY, 1.2)]


def contest(module: str, broker: str, events: int, arguments: Sequence[str]) -> tuple[float, float]:
    """Run one contestant on one core; return events per second of wall time and of CPU time.

    Each contestant begins with empty sinks and an idle broker.
    """
    _delete(broker, [topic.name for topic in CATALOGUE if topic not in INPUTS])
    topics.create(Settings(broker))
    time.sleep(REST_SECONDS)
    core = max(os.sched_getaffinity(0))
    ran = subprocess.run(
        ["taskset", "-c", str(core), sys.executable, "-m", module, broker, str(events), *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    found = re.search(r"@(\d+) (\d+)", ran.stdout)
    if found is None:
        raise SystemExit(f"{module} failed:\n{ran.stdout[-2000:]}{ran.stderr[-4000:]}")
    return float(found[1]), float(found[2])


def _delete(broker: str, names: list[str]) -> None:
    admin = KafkaAdminClient(bootstrap_servers=broker)
    try:
        admin.delete_topics(names)
        while set(names) & set(admin.list_topics()):
            time.sleep(0.1)
    finally:
        admin.close()


def _rates(console: Console, broker: str, events: int, rounds: int) -> dict[str, list[tuple[float, float]]]:
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name, *_ in CONTESTANTS}
    for _ in range(rounds):
        for name, module, arguments, share in CONTESTANTS:
            rate = contest(module, broker, int(events * share), arguments)
            rates[name].append(rate)
            console.print(f"  {name}: {rate[0]:,.0f} per second", highlight=False)
    return rates


def measure(console: Console, broker: str, events: int, rounds: int) -> dict[str, dict[str, float]]:
    """Run all contestants, and return the medians of their rates."""
    topics.create(Settings(broker))
    console.print(f"producing {events:,} trades of 200 symbols")
    asyncio.run(load.produce(broker, events))
    return _figures(_rates(console, broker, events, rounds))


def _figures(rates: dict[str, list[tuple[float, float]]]) -> dict[str, dict[str, float]]:
    """Return medians over the rounds. Ratios are taken within a round, in which the machine's state is the same."""
    ours = rates[PIPELINE]
    return {
        name: {
            "wall": statistics.median(wall for wall, _ in runs),
            "cpu": statistics.median(cpu for _, cpu in runs),
            "ratio": statistics.median(mine[0] / theirs[0] for mine, theirs in zip(ours, runs, strict=True)),
        }
        for name, runs in rates.items()
    }


def show(console: Console, figures: dict[str, dict[str, float]]) -> bool:
    table = Table("events per second, one core", "by the wall", "by CPU time", f"{PIPELINE} is", "floor")
    floors, ok = dict(FLOORS), True
    for name, figure in sorted(figures.items(), key=lambda item: item[1]["wall"]):
        floor = floors.get(name)
        met = floor is None or figure["ratio"] >= floor
        ok &= met
        wanted = "" if floor is None else f"{floor:g} × {'met' if met else 'MISSED'}"
        table.add_row(name, f"{figure['wall']:,.0f}", f"{figure['cpu']:,.0f}", f"{figure['ratio']:.2f} ×", wanted)
    console.print(table)
    return ok
