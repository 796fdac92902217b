"""Partitions added while trades flow: nothing is lost, nothing counted twice, and results hardly pause."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Sequence

import msgspec
import pytest

from tests.integration.running import all_final, bars, fresh, put, read, running, tallies, until
from tests.integration.truth import assert_true, log_of, truth_of
from tickertape.agents.market.bars import Bar
from tickertape.schemas.heartbeat import Heartbeat, to_headers
from tickertape.schemas.topics import TRADES
from tickertape.schemas.trade import Trade
from tickertape.stream.cluster import scale
from tickertape.stream.configuration.connection import Connection
from tickertape.stream.configuration.environment import environment
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.feeds.publish.publisher import Publisher
from tickertape.stream.feeds.simulate.simulated_market import Market
from tickertape.stream.feeds.simulate.simulation import Simulation
from tickertape.stream.kafka.admin import members, topics
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.kafka.partition import partition_for
from tickertape.stream.kafka.stores.control import Control

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(240)]

RATE = 1500
SYMBOLS = [f"S{i:02d}-USD" for i in range(30)]


class Feed:
    """Live trades of one source until told to stop, some late, some sent again, by our own publisher, in a thread."""

    def __init__(self, broker: str, seed: int) -> None:
        self._broker = broker
        self._rng = random.Random(seed)
        self._over = threading.Event()
        self.again = 0
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    async def _run(self) -> None:
        async with Producer(Connection(self._broker)) as producer, Control(Connection(self._broker)) as control:
            await Publisher(producer, control=control, disorder_ms=1500).feed(self._batches(), close=True)

    async def _batches(self) -> AsyncIterator[Sequence[Trade]]:
        rng, began, sent = self._rng, time.time(), 0
        old: list[Trade] = []
        while not self._over.is_set():
            await asyncio.sleep(0.01)
            now = time.time()
            batch = []
            while sent < (now - began) * RATE:
                sent += 1
                batch.append(
                    Trade(
                        symbol=rng.choice(SYMBOLS),
                        source="x",
                        id=sent,
                        time_ms=int(now * 1000) - rng.choice((0, 0, 0, 5, 50, 500, 1500)),
                        price=round(rng.uniform(10, 11), 4),
                        quantity=round(rng.expovariate(1) + 0.001, 6),
                        side=rng.choice(("buy", "sell")),
                        received_ms=int(now * 1000),
                    )
                )
            # A connection that broke sends the last two seconds again.
            if rng.random() < 0.02:
                batch += (again := [trade for trade in old if trade.time_ms > now * 1000 - 2000])
                self.again += len(again)
            old = (old + batch)[-4 * RATE :]
            yield batch

    def __enter__(self) -> "Feed":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def owned(settings: Settings, workers: int, partitions: int) -> bool:
    group = members.describe(settings)
    parts = [p for owned in group.owned.values() for p in owned.get(TRADES.name, ())]
    return group.stable and len(group.owned) == workers and len(parts) == partitions


@pytest.mark.parametrize("zombie", [False, True], ids=["all well", "a zombie"])
def test_partitions_are_added_while_trades_flow(own_kafka: str, zombie: bool) -> None:
    said: list[str] = []
    with running(own_kafka, workers=2, partitions={"trades": 2}, session_seconds=4.0) as (settings, supervisor):
        until("two workers share the partitions", lambda: owned(settings, 2, 2))
        with Feed(own_kafka, seed=5) as feed:
            time.sleep(4)
            frozen = supervisor.pids[1]
            if zombie:
                # It has never heard of more partitions, and wakes when these are used.
                os.kill(frozen, signal.SIGSTOP)
            try:
                report = scale.run(settings, "trades", 4, None, said.append)
                time.sleep(2)
            finally:
                os.kill(frozen, signal.SIGCONT)
            time.sleep(3)
        held = all_final(settings)
        total = tallies(settings)
    print(*said, sep="\n")
    assert (report.before, report.after, report.in_force, report.caught_up) == (2, 4, True, True)
    assert report.longest_gap_seconds is not None
    # What a worker has that is away stands still for the session time-out, whatever else happens.
    assert report.longest_gap_seconds < (9 if zombie else 5)
    assert report.from_ms is not None
    log = log_of(own_kafka)
    sent_again_across_the_step = 0
    for number, records in log.items():
        past_it = False
        for record in records:
            # By event time, to the millisecond, and whatever was sent again.
            if isinstance(record, Trade):
                after = record.time_ms >= report.from_ms
                assert partition_for(record.symbol, 4 if after else 2) == number
                past_it = past_it or after
                sent_again_across_the_step += past_it and not after
    assert sent_again_across_the_step > 100
    assert sum(isinstance(record, Trade) for number in (2, 3) for record in log[number]) > 1000
    truth, late = truth_of(log)
    assert total["late"] == late
    assert total["repeated"] > feed.again / 2
    assert_true(held, truth)
    # And so has been every final that anybody ever published.
    decode = msgspec.json.Decoder(Bar).decode
    for key, bar in ((key.decode(), decode(value)) for key, value in read(own_kafka, "bars")):
        if bar.final and key in truth:
            assert bar.count == len(truth[key]), key


def test_up_follows_and_without_a_feed_it_does_not_hang(own_kafka: str) -> None:
    settings = fresh(own_kafka, partitions={"trades": 2})
    up = subprocess.Popen(
        [sys.executable, "-m", "tickertape", "up", "--workers", "1"],
        env=environment(settings),
        stderr=subprocess.DEVNULL,
    )
    try:
        until("one worker owns both partitions", lambda: owned(settings, 1, 2))
        said: list[str] = []
        report = scale.run(settings, "trades", 4, 2, said.append)
        assert owned(settings, 2, 4)
        assert (report.workers, report.in_force, report.longest_gap_seconds) == (2, False, None)
        assert "no feed sends records: the new partitions are used once one does" in said
        # As many as there are is no change; fewer workers are.
        report = scale.run(settings, "trades", 4, 1, said.append)
        assert owned(settings, 1, 4)
        assert (report.before, report.after, report.from_ms, report.caught_up) == (4, 4, None, True)
    finally:
        up.send_signal(signal.SIGTERM)
        assert up.wait(15) == 0


@pytest.mark.parametrize("topic", ["trades", "quotes"])
def test_without_workers_the_step_is_past_all_that_can_have_been_sent(own_kafka: str, topic: str) -> None:
    settings = fresh(own_kafka, partitions={topic: 2})
    began_ms = int(time.time() * 1000)
    said: list[str] = []
    report = scale.run(settings, topic, 3, None, said.append)
    assert report.from_ms is not None
    assert began_ms + 5000 < report.from_ms < began_ms + 15_000
    assert report.from_ms % 1000 == 0
    assert not report.caught_up
    assert said[1] == f"no worker of group {settings.group} runs: the next ones will own all partitions"
    later = scale.run(settings, topic, 4, None, said.append)
    assert steps_of(own_kafka, topic) == [
        (0, 2),
        (report.from_ms, 3),
        (later.from_ms, 4),
    ]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["trades", "--partitions", "1"], "trades has 4 partitions, and Kafka can't remove any: ask for 4 or more"),
        (["bars", "--partitions", "9"], "bars can't get more partitions"),
        (["nope", "--partitions", "9"], "unknown topic nope; the topics are trades, quotes, books, posts"),
    ],
)
def test_what_it_refuses_is_one_line(own_kafka: str, arguments: list[str], told: str) -> None:
    settings = fresh(own_kafka)
    ended = subprocess.run(
        [sys.executable, "-m", "tickertape", "scale", *arguments],
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert told in line
    assert steps_of(own_kafka) == []


def steps_of(broker: str, topic: str = "trades") -> list[tuple[int, int]]:
    async def ask() -> list[tuple[int, int]]:
        async with Control(Connection(broker)) as control:
            return [(step.from_ms, step.partitions) for step in control.steps(topic)]

    return asyncio.run(ask())


def test_a_producer_of_its_own_that_finds_partitions_late_has_results_corrected(own_kafka: str) -> None:
    """It sends no heartbeats, and goes by Kafka's metadata alone."""
    rng, encode = random.Random(3), msgspec.json.Encoder().encode
    began_ms, number = int(time.time() * 1000), 0

    def send(seconds: range, partitions: int) -> None:
        nonlocal number
        records: list[tuple[int, bytes | None, Sequence[tuple[str, bytes]]]] = []
        for second in seconds:
            for symbol in SYMBOLS:
                number += 1
                at_ms = began_ms + second * 1000 - 60_000 + rng.randrange(1000)
                trade = Trade(
                    symbol=symbol,
                    source="y",
                    id=number,
                    time_ms=at_ms,
                    price=rng.uniform(1, 2),
                    quantity=1.0,
                    side="buy",
                )
                records.append((partition_for(symbol, partitions), encode(trade), ()))
        put(own_kafka, records)

    with running(own_kafka, workers=1, partitions={"trades": 2}, idle_seconds=2.0) as (settings, _):
        send(range(20), 2)
        topics.add_partitions(Connection(own_kafka), TRADES, 4)
        send(range(20, 30), 2)
        # All are silent, and the new ones too, so what there is becomes final up to the newest.
        until("results are final though partitions haven't spoken", lambda: finals_of(own_kafka) > 100)
        before = finals_of(own_kafka)
        # It has found them: events from before what is final already lie there.
        send(range(15, 40), 4)
        put(own_kafka, [(p, None, to_headers(Heartbeat("y", began_ms, end=True))) for p in range(4)])
        held = all_final(settings)
        total = tallies(settings)
    truth, late = truth_of(log_of(own_kafka))
    assert before > 100
    assert total["late"] == late
    assert_true(held, truth)


def finals_of(broker: str) -> int:
    return sum(bar.final for bar in bars(broker).values())


def test_a_symbol_spread_on_purpose_has_the_same_bars(own_kafka: str) -> None:
    start_ms = 1_723_161_600_000

    async def feed(source: str, spread: dict[str, int]) -> list[str]:
        market = Market(5, 2000.0, seed=4, source=source)
        async with Producer(Connection(own_kafka)) as producer:
            simulation = Simulation(market, start_ms=start_ms, seconds=5.0, speed=float("inf"))
            await Publisher(producer, spread=spread).feed(simulation.batches(), close=True)
        return market.symbols

    with running(own_kafka, workers=2, partitions={"trades": 4}) as (settings, _):
        symbols = asyncio.run(feed("plain", {}))
        hot = symbols[0]
        asyncio.run(feed("wide", {hot: 3}))
        held = all_final(settings)
    at = {
        number: sum(isinstance(r, Trade) and r.symbol == hot and r.source == "wide" for r in records)
        for number, records in log_of(own_kafka).items()
    }
    assert sum(count > 500 for count in at.values()) == 3
    compared = 0
    for key, bar in held.items():
        if bar.source == "plain":
            other = held[key.replace("|plain|", "|wide|")]
            for name in Bar.__struct_fields__:
                ours, theirs = getattr(bar, name), getattr(other, name)
                if isinstance(ours, float):
                    assert theirs == pytest.approx(ours, rel=1e-12), name
                elif name != "source":
                    assert theirs == ours, name
            compared += bar.symbol == hot
    assert compared >= 7
