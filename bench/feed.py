"""Measure what a live feed takes on one core, from the socket to acknowledged, beside receiving alone.

The server is a process of its own. It says all messages as fast as they are taken.
"""

import statistics
import subprocess
import sys

from rich.console import Console
from rich.table import Table

from bench.throughput import Contestant, contest
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.admin import topics

MESSAGES = 500_000
#: Each event as a record.
RECORDS = "records"
WAYS = {
    "websockets": "receive with websockets",
    "picows": "receive with picows",
    RECORDS: "feed, a record each",
    "bundles": "feed, bundles of 5 ms",
}
#: Messages a second of CPU time of the feed; the broker and the server have another core.
FLOOR = 50_000


def measure(console: Console, broker: str, rounds: int, messages: int = MESSAGES) -> dict[str, dict[str, float]]:
    """Return the messages a second of each way, by turns, as medians, and as a part of receiving with picows."""
    topics.create(Settings(broker=broker))
    rates: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    server = subprocess.Popen([sys.executable, "-m", "bench.flood", str(messages)], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout
        url = f"ws://127.0.0.1:{int(server.stdout.readline())}/stream"
        for _ in range(rounds):
            for way, name in WAYS.items():
                wall, cpu = contest(Contestant("bench.feeding", (way, url)), broker, messages)
                rates[way].append((wall, cpu))
                console.print(f"  {name}: {wall:,.0f} per second, {cpu:,.0f} by CPU time", highlight=False)
    finally:
        server.kill()
        server.wait()
    return {
        way: {
            "wall": statistics.median(wall for wall, _ in mine),
            "cpu": statistics.median(cpu for _, cpu in mine),
            "of_received": statistics.median(
                cpu / bare for (_, cpu), (_, bare) in zip(mine, rates["picows"], strict=True)
            ),
        }
        for way, mine in rates.items()
    }


def show(console: Console, figures: dict[str, dict[str, float]]) -> bool:
    table = Table("messages per second, one core", "median", "median by CPU", "of receiving with picows", "floor")
    ok = figures[RECORDS]["cpu"] >= FLOOR
    for way, figure in figures.items():
        floor = f"{FLOOR:,} {'met' if ok else 'MISSED'}" if way == RECORDS else ""
        table.add_row(
            WAYS[way], f"{figure['wall']:,.0f}", f"{figure['cpu']:,.0f}", f"{figure['of_received']:.2g} ×", floor
        )
    console.print(table)
    return ok
