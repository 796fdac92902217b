"""The contestants take turns; after each turn, every row that it has written is checked."""

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from rich.console import Console

from bench import load, throughput
from bench.peers import record, running, truth
from bench.peers.contestants import CONTESTANTS, Contestant, Program
from bench.peers.environments import MissingError
from bench.peers.record import Record, Result, Turn
from tickertape.schemas.topics import BARS, TRADES
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.admin import topics

#: The sink of other engines. Ours and the plain contestants write to `BARS`.
SINK = "bars-of-peers"
REST_SECONDS = 1.5
FAULTS_SHOWN = 3


class Input:
    """The topics that are read, one for each number of trades, and the rows that belong to them.

    Parameters
    ----------
    broker
        Kafka's address.
    events
        The number of trades that are made; a contestant gets a part of them, or all of them several times.
    most
        The greatest number that a contestant gets: these are in the topic that ours reads.
    """

    def __init__(self, broker: str, events: int, most: int) -> None:
        self.broker, self.events, self.most = broker, events, most
        self._truths: dict[int, dict[truth.Key, truth.Row]] = {}

    def topic(self, count: int) -> str:
        return TRADES.name if count == self.most else f"{TRADES.name}-{count}"

    def fill(self, count: int) -> None:
        """Write a topic, unless it is there."""
        if count not in self._truths:
            if count != self.most:
                create(self.broker, self.topic(count))
            asyncio.run(load.produce(self.broker, load.first(count, self.events), self.topic(count)))
            self._truths[count] = truth.truth(load.first(count, self.events))

    def check(self, count: int, sink: str) -> truth.Checked:
        return truth.compare(self._truths[count], truth.read(self.broker, sink))


def create(broker: str, topic: str) -> None:
    """Create a topic that keeps its records: their timestamps may be event times, which are years ago."""
    with KafkaAdminClient(bootstrap_servers=broker) as admin:
        admin.create_topics([NewTopic(topic, TRADES.partitions, 1, topic_configs={"retention.ms": "-1"})])


def measure(
    console: Console,
    broker: str,
    events: int,
    rounds: int,
    kept: Path | None = None,
    contestants: Sequence[Contestant] = CONTESTANTS,
) -> Record:
    """Let contestants take their turns; a file of earlier rounds is continued, and written after each turn."""
    topics.create(Settings(broker))
    found = record.load(kept) if kept and kept.exists() else record.here(events)
    if found.events != events:
        raise SystemExit(f"{kept} is of {found.events:,} events")
    programs = _prepared(console, found, contestants)
    inputs = Input(broker, events, max(round(events * one.share) for one in contestants))
    first = found.rounds
    for number in range(first, first + rounds):
        for one in contestants:
            if one.name in programs and number % one.every == 0:
                result = found.results[one.name]
                inputs.fill(result.events)
                try:
                    result.turns.append(_turn(console, inputs, one.name, result.events, programs[one.name], number))
                except running.PeerError as error:
                    console.print(f"  {one.name} failed: {error}", highlight=False, markup=False)
                    result.missing = "it failed: " + str(error).strip().splitlines()[-1][:200]
                    del programs[one.name]
                if kept:
                    record.save(kept, found)
    return found


def _prepared(
    console: Console, found: Record, contestants: Sequence[Contestant]
) -> dict[str, Program | throughput.Contestant]:
    """Return what runs each contestant; where nothing can, its result says why."""
    programs = {}
    for one in contestants:
        result = Result(one.about, one.counted_from, round(found.events * one.share))
        result.turns = found.results[one.name].turns if one.name in found.results else []
        found.results[one.name] = result
        console.print(f"preparing {one.name}", highlight=False)
        try:
            programs[one.name] = program = one.prepare()
        except MissingError as reason:
            result.missing = str(reason)
            console.print(f"  not run: {reason}", highlight=False)
            continue
        if isinstance(program, Program):
            result.version = program.version
    return programs


def _turn(
    console: Console, inputs: Input, name: str, count: int, program: Program | throughput.Contestant, number: int
) -> Turn:
    busy, topic = os.getloadavg()[0], inputs.topic(count)
    if isinstance(program, Program):
        sink = SINK
        wall, cpu = _peer(program, inputs.broker, topic, count)
    else:
        sink = BARS.name
        # Each knows the topic of all trades, and can be told another.
        arguments = program.arguments if topic == TRADES.name else [*program.arguments, topic]
        wall, cpu = throughput.contest(program._replace(share=1.0, arguments=arguments), inputs.broker, count)
    checked = inputs.check(count, sink)
    expected, right, withheld, faults = checked
    console.print(
        f"  {name}: {wall:,.0f} per second, {cpu:,.0f} by CPU time; {right:,} of {expected:,} rows are right, "
        f"{withheld} of the last seconds are missing; load {busy:.1f}",
        highlight=False,
    )
    for fault in faults[:FAULTS_SHOWN]:
        console.print(f"    {fault}", highlight=False, markup=False)
    return Turn(number, wall, cpu, busy, expected, right, withheld, len(faults))


def _peer(program: Program, broker: str, topic: str, count: int) -> tuple[float, float]:
    """Run a peer once on an idle broker, with an empty sink."""
    with KafkaAdminClient(bootstrap_servers=broker) as admin:
        there = SINK in admin.list_topics()
    if there:
        throughput.delete(broker, [SINK])
    create(broker, SINK)
    time.sleep(REST_SECONDS)
    taken = running.run([*program.command, broker, topic, SINK, str(count)], program.environment)
    return count / taken.wall_seconds, count / taken.cpu_seconds
