"""Contestants take turns on a real Kafka: a wrong row is found, and who can't run is named."""

import sys
from pathlib import Path

import pytest
from rich.console import Console

from bench import throughput
from bench.peers import record, turns
from bench.peers.contestants import FIRST, Contestant, Program
from bench.peers.environments import MissingError
from tickertape.stream.kafka.embedded.broker import EmbeddedKafka

EVENTS = 20_000
#: Publishes one row, which is wrong.
LIAR = """
import sys
from confluent_kafka import Producer
broker, source, sink, events = sys.argv[1:]
assert (source, events) == ("trades-10000", "10000")
producer = Producer({"bootstrap.servers": broker})
producer.produce(sink, b"[1,1,1,1,1,1,1,1,1700000000]", b"S000-USD")
producer.flush()
print("@begin 1", flush=True)
sum(range(10_000_000))
print("@end 2", flush=True)
sys.stdin.read()
"""


def absent() -> Program:
    raise MissingError("there is no java")


CONTESTANTS = [
    Contestant("absent", "", 1.0, 1, FIRST, absent),
    Contestant(
        "broken", "", 1.0, 1, FIRST, lambda: Program([sys.executable, "-c", "raise SystemExit('why')"], {}, "3")
    ),
    Contestant("plain loop", "", 1.0, 1, FIRST, lambda: throughput.CONTESTANTS[throughput.PLAIN]),
    Contestant("liar", "", 0.5, 2, FIRST, lambda: Program([sys.executable, "-c", LIAR], {}, "")),
]


@pytest.mark.kafka
def test_a_wrong_row_is_found_and_who_cannot_run_is_named(tmp_path: Path) -> None:
    kept, quiet = tmp_path / "kept.json", Console(quiet=True)
    with EmbeddedKafka() as kafka:
        found = turns.measure(quiet, kafka.broker, EVENTS, 1, kept, CONTESTANTS)
    assert record.load(kept) == found
    assert list(found.results) == ["absent", "broken", "plain loop", "liar"]
    results = found.results
    assert (results["absent"].missing, results["absent"].turns) == ("there is no java", [])
    assert (results["broken"].missing, results["broken"].turns) == ("it failed: it ended with 1: why", [])
    # 20,000 trades are two seconds of 200 symbols; the plain loop publishes the last ones too.
    (plain,) = results["plain loop"].turns
    assert (plain.expected, plain.right, plain.withheld, plain.faults) == (400, 400, 0, 0)
    assert plain.wall > 0
    (liar,) = results["liar"].turns
    assert (liar.wall, liar.expected, liar.right, liar.withheld, liar.faults) == (10_000.0, 200, 0, 199, 1)
