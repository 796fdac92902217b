"""`make bench`: throughput on one core, latency, and memory, all in one go, on an embedded Kafka.

The worker is pinned to one core and the broker has both. Each contestant runs several times in turn, and the median
counts: machines are noisy, ratios within one run are less so.
"""

import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import click
from kafka import KafkaAdminClient
from rich.console import Console
from rich.table import Table

from bench import latency, load, memory, restart, scaling
from schemas.topics import BARS, SLICES
from stream.kafka import topics
from stream.kafka.embedded import EmbeddedKafka
from stream.settings import Settings

console = Console(width=110)

PIPELINE = "tickertape: slices"
GETMANY = "aiokafka getmany, nothing decoded"
FAUST_DICT = "Faust agent, adds to a dict"
FAUST_TABLE = "Faust windowed table"
# (name, module, arguments, share of the events, what it does)
CONTESTANTS = [
    (FAUST_TABLE, "bench.faust_table", [], 0.06),
    (FAUST_DICT, "bench.faust_dict", [], 0.12),
    ("plain loop: confluent-kafka, msgspec, dicts", "bench.plain_loop", [], 1.0),
    ("tickertape: slices and five bars", "bench.pipeline", [], 1.0),
    (GETMANY, "bench.getmany", [], 1.0),
    (PIPELINE, "bench.pipeline", ["agents.market.trades"], 1.0),
]
REST_SECONDS = 1.5
FLOORS = [(FAUST_TABLE, 100.0), (FAUST_DICT, 60.0), (GETMANY, 1.2)]


def _contest(module: str, broker: str, events: int, arguments: list[str]) -> tuple[float, float]:
    """Run one contestant on one core; return events a second, by the wall and by the processor's clock."""
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


def _throughput(broker: str, events: int, rounds: int) -> dict[str, list[tuple[float, float]]]:
    settings = Settings(broker=broker)
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name, *_ in CONTESTANTS}
    for turn in range(rounds):
        for name, module, arguments, share in CONTESTANTS:
            if turn and share < 1:
                continue  # slow, and steady enough
            # Each begins with empty sinks, and a broker that has come to rest.
            _delete(broker, [SLICES.name, BARS.name])
            topics.create(broker, settings)
            time.sleep(REST_SECONDS)
            rate = _contest(module, broker, int(events * share), arguments)
            rates[name].append(rate)
            console.print(f"  {name}: {rate[0]:,.0f} a second", highlight=False)
    return rates


def _figures(rates: dict[str, list[tuple[float, float]]]) -> dict[str, dict[str, float]]:
    """Return medians over the rounds; a ratio is the median of the rounds' own: within one the machine is the same."""
    ours = rates[PIPELINE]
    return {
        name: {
            "wall": statistics.median(wall for wall, _ in runs),
            "cpu": statistics.median(cpu for _, cpu in runs),
            "ratio": statistics.median(
                mine[0] / (runs[i] if i < len(runs) else runs[0])[0] for i, mine in enumerate(ours)
            ),
        }
        for name, runs in rates.items()
    }


def _print(figures: dict[str, dict[str, float]]) -> bool:
    table = Table("events a second, one core", "by the wall", "by CPU time", f"{PIPELINE} is", "floor")
    floors, ok = dict(FLOORS), True
    for name, figure in sorted(figures.items(), key=lambda item: item[1]["wall"]):
        floor = floors.get(name)
        met = floor is None or figure["ratio"] >= floor
        ok &= met
        wanted = "" if floor is None else f"{floor:g} × {'met' if met else 'MISSED'}"
        table.add_row(name, f"{figure['wall']:,.0f}", f"{figure['cpu']:,.0f}", f"{figure['ratio']:.2f} ×", wanted)
    console.print(table)
    return ok


@click.command()
@click.option("--events", default=1_000_000, show_default=True)
@click.option("--rounds", default=5, show_default=True, help="Of the fast contestants; the median counts.")
@click.option("--only", type=click.Choice(["throughput", "latency", "memory", "scaling", "restart"]))
@click.option("--json", "path", type=click.Path(path_type=Path), help="Write the figures there too.")
def main(events: int, rounds: int, only: str | None, path: Path | None) -> None:
    """Measure, print, and exit 1 where a floor is missed; a restart only if asked for, for it takes long."""
    ok, figures = True, dict[str, object]()
    if only in (None, "throughput"):
        with EmbeddedKafka() as kafka:
            topics.create(kafka.broker, Settings(broker=kafka.broker))
            console.print(f"producing {events:,} trades of 200 symbols")
            asyncio.run(load.produce(kafka.broker, events))
            throughput = _figures(_throughput(kafka.broker, events, rounds))
            figures["throughput"] = throughput
            ok &= _print(throughput)
    if only in (None, "latency"):
        with EmbeddedKafka() as kafka:
            spread = latency.measure(kafka.broker)
            figures["latency"] = spread
            ok &= latency.show(console, spread)
    if only in (None, "memory"):
        with EmbeddedKafka() as kafka:
            peak = memory.measure(kafka.broker)
            figures["memory"] = peak
            ok &= memory.show(console, peak)
    if only in (None, "scaling"):
        with EmbeddedKafka() as kafka:
            changes = scaling.measure(kafka.broker)
            figures["scaling"] = changes
            ok &= scaling.show(console, changes)
    if only == "restart":  # it takes a quarter of an hour
        with EmbeddedKafka() as kafka:
            back = restart.measure(kafka.broker)
            figures["restart"] = back
            ok &= restart.show(console, back)
    figures["at"] = time.strftime("%Y-%m-%d")
    if path:
        path.write_text(json.dumps(figures, indent=2) + "\n")
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
