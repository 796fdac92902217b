"""Bundles and single events on one topic, through a worker that is killed: every final, tally and key is right."""

import asyncio
from collections import Counter
from random import Random

import msgspec
import pytest

from tests.integration.running import all_final, is_read, records, running, tallies, until
from tickertape.schemas.heartbeat import Heartbeat, to_headers
from tickertape.schemas.topics import HOUR_MS, TRADES
from tickertape.schemas.trade import Trade
from tickertape.stream.chaos.oracle import verdict
from tickertape.stream.chaos.oracle.bundles import events_of
from tickertape.stream.chaos.oracle.feed import Plan, in_bundles, record
from tickertape.stream.chaos.oracle.truth import Entry, Truth
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.kafka.partition import partition_for

pytestmark = pytest.mark.kafka

BEGAN_MS = 1_723_161_600_000
PLANS = [Plan(source, 3, 1000.0, 8, BEGAN_MS, "") for source in ("x", "y")]
PARTITIONS = 2


def send(broker: str, first: int, last: int, *, end: bool = False) -> None:
    """Send some trades of each source, and a heartbeat before and after."""

    async def run() -> None:
        async with Producer(Settings(broker=broker)) as producer:
            for plan in PLANS:
                waiting: list[list[tuple[str, bytes]]] = [[] for _ in range(PARTITIONS)]
                for found in (record(plan, n) for n in range(first, last)):
                    waiting[partition_for(found.symbol, PARTITIONS)].append((found.symbol, found.value))
                for partition, events in enumerate(waiting):
                    if not first:
                        headers = to_headers(Heartbeat(plan.source, BEGAN_MS - HOUR_MS))
                        producer.send(TRADES.name, partition, None, None, headers)
                    for key, value, bundled in in_bundles(TRADES, events, Random(partition)):
                        producer.send(TRADES.name, partition, key, value, bundled)
                    headers = to_headers(Heartbeat(plan.source, plan.due_ms(last), end=end))
                    producer.send(TRADES.name, partition, None, None, headers)

    asyncio.run(run())


def truth(broker: str, lateness_ms: int) -> Truth:
    """Return what must come of the log, by the oracle's own reading of it."""
    entries: list[Entry] = []
    for found in records(broker, TRADES.name):
        place = found.partition, found.offset, found.timestamp
        events = events_of(found.value or b"", dict(found.headers))
        if events is None:
            entries.append(Entry(*place, found.value, tuple(found.headers)))
        else:
            texts = [msgspec.json.encode(msgspec.convert(event, Trade)) for event in events]
            entries += [Entry(*place, text, (), index) for index, text in enumerate(texts)]
    return Truth(entries, slice_ms=1000, skew_ms=5000, lateness_ms=lateness_ms)


def test_bundles_and_single_events_are_told_apart_by_nothing_but_their_keys(own_kafka: str) -> None:
    changes = {"partitions": {"trades": PARTITIONS}, "lateness_ms": {"trades": 1000}}
    with running(own_kafka, workers=2, **changes) as (settings, supervisor):
        send(own_kafka, 0, 2500)
        until("the first half is read", lambda: is_read(settings))
        send(own_kafka, 2500, 3000)
        supervisor.kill(0)
        send(own_kafka, 3000, 5000, end=True)
        all_final(settings)
        total = tallies(settings)
        sinks = {topic: records(own_kafka, topic) for topic in ("bars", "late", "dead-letters")}
    expected = truth(own_kafka, 1000)
    holder = verdict.Holder()
    for one in sinks["bars"]:
        holder.add(one.key, one.value)
    assert list(verdict.of_bars(holder.held, expected.bars())) == []
    counts = sum(expected.tallies.values(), Counter[str]())
    assert {name: total[name] for name in verdict.TALLIES} == {name: counts[name] for name in verdict.TALLIES}
    assert total["bundles"] > 50
    assert total["bundled"] > 4 * total["bundles"]
    for topic, positions in (("late", expected.late), ("dead-letters", expected.rejected)):
        found = [(one.key.decode(), msgspec.json.decode(one.value)) for one in sinks[topic]]
        told = {(one["partition"], one["offset"], one["index"]) for _, one in found}
        assert told == positions
        assert {index is None for _, _, index in told} == {True, False}
        for key, one in found:
            index = "" if one["index"] is None else f"|{one['index']}"
            assert key == f"trades|{one['partition']}|{one['offset']}{index}"
