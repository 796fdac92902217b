"""`make bench`: measure throughput on one core, other engines, latency, memory, scaling and what capacity needs.

For throughput, the worker is pinned to one core, and the broker may use both. The contestants take turns for several
rounds, and the median counts: machines are noisy, but ratios within a round are less so.
"""

import sys
import time
from pathlib import Path

import click
import msgspec
from rich.console import Console

from bench import capacity, fan_out, feed, indicators, latency, memory, mix, restart, scaling, throughput
from bench.peers import report, turns
from bench.peers.contestants import CONTESTANTS
from tickertape.stream.kafka.embedded.broker import EmbeddedKafka

console = Console(width=110)


@click.command()
@click.option("--events", default=1_000_000, show_default=True, help="Number of trades.")
@click.option("--rounds", default=5, show_default=True, help="Rounds of each contestant; the median counts.")
@click.option(
    "--only",
    type=click.Choice(
        [
            *("throughput", "peers", "mix", "latency", "memory", "scaling", "fan-out", "feed", "indicators"),
            *("capacity", "restart"),
        ]
    ),
    help="Measure only this.",
)
@click.option(
    "--contestant",
    "contestants",
    type=click.Choice(list(throughput.CONTESTANTS)),
    multiple=True,
    help="Measure the throughput of only this one, beside the plain loop; repeatable.",
)
@click.option("--json", "path", type=click.Path(path_type=Path), help="Also write the figures to this JSON file.")
@click.option(
    "--peer",
    "names",
    type=click.Choice([one.name for one in CONTESTANTS]),
    multiple=True,
    help="Of the peers, measure only this one; may be repeated.",
)
@click.option("--kept", type=click.Path(path_type=Path), help="Peers: a file of turns, continued if it is there.")
@click.option("--write", is_flag=True, help="Peers: write the table and the chart into docs/benchmarks.md.")
def main(
    events: int,
    rounds: int,
    only: str | None,
    contestants: tuple[str, ...],
    path: Path | None,
    names: tuple[str, ...],
    kept: Path | None,
    write: bool,
) -> None:
    """Measure and print; the exit code is 1 if a floor is missed. Restarts are measured only with --only restart."""
    ok, figures = True, dict[str, object]()
    if only in (None, "throughput"):
        with EmbeddedKafka() as kafka, EmbeddedKafka() as bundled:
            brokers = {1: kafka.broker, throughput.BUNDLE: bundled.broker}
            rates = throughput.measure(console, brokers, events, rounds, contestants)
            figures["throughput"] = rates
            ok &= throughput.show(console, rates)
    if only in (None, "peers"):
        with EmbeddedKafka() as kafka:
            chosen = [one for one in CONTESTANTS if not names or one.name in names]
            found = turns.measure(console, kafka.broker, events, rounds, kept, chosen)
        figures["peers"] = found
        ok &= report.show(console, found)
        if write:
            report.write(found)
    if only in (None, "mix"):
        with EmbeddedKafka() as kafka:
            mixed = mix.measure(console, kafka.broker, rounds)
            figures["mix"] = mixed
            ok &= mix.show(console, mixed)
    if only in (None, "latency"):
        with EmbeddedKafka() as kafka:
            spread = latency.measure(kafka.broker, rounds)
            figures["latency"] = spread
            ok &= latency.show(console, spread)
    if only in (None, "memory"):
        peaks = []
        for agents in (throughput.SPINE, "tickertape.agents"):
            with EmbeddedKafka() as kafka:
                peaks.append(memory.measure(kafka.broker, agents))
        figures["memory"] = peaks
        ok &= memory.show(console, *peaks)
    if only in (None, "scaling"):
        with EmbeddedKafka() as kafka:
            changes = scaling.measure(kafka.broker)
            figures["scaling"] = changes
            ok &= scaling.show(console, changes)
    if only in (None, "fan-out"):
        with EmbeddedKafka() as kafka:
            fans = fan_out.measure(kafka.broker)
            figures["fan_out"] = fans
            ok &= fan_out.show(console, fans)
    if only in (None, "feed"):
        with EmbeddedKafka() as kafka:
            taken = feed.measure(console, kafka.broker, rounds)
        figures["feed"] = taken
        ok &= feed.show(console, taken)
    if only in (None, "indicators"):
        costs = indicators.measure()
        figures["indicators"] = costs
        ok &= indicators.show(console, costs)
    if only in (None, "capacity"):
        with EmbeddedKafka() as kafka:
            constants = capacity.measure(kafka)
        figures["capacity"] = constants
        capacity.show(console, constants)
    if only == "restart":  # only on request, as it takes a quarter of an hour
        with EmbeddedKafka() as kafka:
            back = restart.measure(kafka.broker)
            figures["restart"] = back
            ok &= restart.show(console, back)
    figures["at"] = time.strftime("%Y-%m-%d")
    if path:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(figures, enc_hook=float)) + b"\n")
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
