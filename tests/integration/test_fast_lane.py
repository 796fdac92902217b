"""The fast lane on a real Kafka: a spread symbol, a step, a killed worker, and a producer that promises nothing."""

import asyncio
import random
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from itertools import takewhile

import msgspec
import numpy as np
import pytest

from tests.integration.running import all_final, put, read, running, until
from tests.integration.test_scale import owned
from tests.integration.truth import assert_true, log_of, truth_of
from tickertape.agents.market.bars import Bar
from tickertape.schemas.frame import SHOWN_OF_ALL, SHOWN_OF_SOURCE, frames_in
from tickertape.schemas.heartbeat import Heartbeat, to_headers
from tickertape.schemas.trade import Trade
from tickertape.stream.cluster import scale
from tickertape.stream.configuration.connection import Connection
from tickertape.stream.feeds.publish.publisher import Publisher
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.kafka.stores.control import Control

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(240)]

RATE = 500
SYMBOLS = [f"S{i:02d}-USD" for i in range(12)]
HOT = SYMBOLS[0]
SOURCES = ("x", "y")


def trade(source: str, symbol: str, number: int, time_ms: int) -> Trade:
    return Trade(
        symbol=symbol,
        source=source,
        id=number,
        time_ms=time_ms,
        price=10 + number % 97 / 100,
        quantity=1.25,
        side="buy",
        received_ms=time_ms,
    )


class Feed:
    """Live trades of two sources, in a thread, until told to stop."""

    def __init__(self, broker: str) -> None:
        self._broker = broker
        self._over = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    async def _run(self) -> None:
        async with Producer(Connection(self._broker)) as producer, Control(Connection(self._broker)) as control:
            publisher = Publisher(producer, control=control, spread={HOT: 2}, disorder_ms=500)
            await publisher.feed(self._batches(), close=True)

    async def _batches(self) -> AsyncIterator[Sequence[Trade]]:
        rng, began, sent = random.Random(3), time.time(), 0
        while not self._over.is_set():
            await asyncio.sleep(0.01)
            now, batch = time.time(), []
            while sent < (now - began) * RATE:
                sent += 1
                at = int(now * 1000) - rng.choice((0, 0, 5, 400))
                batch.append(trade(rng.choice(SOURCES), rng.choice(SYMBOLS), sent, at))
            yield batch

    def __enter__(self) -> "Feed":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


class Shown:
    """What frames say that the fast lane published: by symbol and start, of sources and of all."""

    def __init__(self, broker: str) -> None:
        self.of_source: set[tuple[str, int]] = set()
        self.of_all: set[tuple[str, int]] = set()
        for frame in (frame for _, value in read(broker, "slices") for frame in frames_in(value)):
            if "shown" not in frame.columns:
                continue
            symbols = np.frombuffer(frame.columns["symbol"], "<u4").tolist()
            starts = np.frombuffer(frame.columns["slice_ms"], "<i8").tolist()
            for symbol, start_ms, shown in zip(symbols, starts, frame.columns["shown"], strict=True):
                if shown & SHOWN_OF_SOURCE:
                    self.of_source.add((frame.symbols[symbol], start_ms))
                if shown & SHOWN_OF_ALL:
                    self.of_all.add((frame.symbols[symbol], start_ms))


def newest_before(records: Iterable[object], source: str) -> int:
    """Return the newest time of a partition's trades before the first of a source."""
    before = takewhile(lambda trade: trade.source != source, (one for one in records if isinstance(one, Trade)))
    return max(trade.time_ms for trade in before)


def test_what_the_fast_lane_publishes_is_what_its_revision_stands_for(own_kafka: str) -> None:
    with running(own_kafka, workers=2, partitions={"trades": 2}, session_seconds=4.0) as (settings, supervisor):
        until("two workers share the partitions", lambda: owned(settings, 2, 2))
        with Feed(own_kafka):
            time.sleep(4)
            report = scale.run(settings, "trades", 3, None, lambda _: None)
            time.sleep(3)
            supervisor.kill(0)
            time.sleep(12)
            # In a partition that its key doesn't lead to, from a producer that sends no heartbeats.
            wild_ms = int(time.time() * 1000)
            wild = [trade("wild", symbol, n, wild_ms) for n, symbol in enumerate(SYMBOLS)]
            put(own_kafka, [(n % 3, msgspec.json.encode(one), []) for n, one in enumerate(wild)])
            time.sleep(4)
        # Otherwise results would wait until it is idle. It ends last, as without it all sources promise again.
        ends = to_headers(Heartbeat("wild", wild_ms, end=True))
        put(own_kafka, [(number, None, ends) for number in range(3)])
        held = all_final(settings)
    log = log_of(own_kafka)
    truth, _ = truth_of(log)
    assert_true(held, truth)
    partitions = defaultdict(set)
    for number, records in log.items():
        for one in records:
            if isinstance(one, Trade):
                start_ms = one.time_ms // 1000 * 1000
                for source in (one.source, "all"):
                    partitions[f"{one.symbol}|{source}|1s|{start_ms}"].add(number)
    provisional: dict[tuple[str, int], Bar] = {}
    several = 0
    for key, bar in ((key.decode(), msgspec.json.decode(value, type=Bar)) for key, value in read(own_kafka, "bars")):
        assert bar.revision <= held[key].revision
        if bar.resolution != "1s" or bar.final:
            continue
        if len(partitions[key]) > 1:
            several += 1
        else:
            assert provisional.setdefault((key, bar.revision), bar) == bar
    assert several > 0
    shown = Shown(own_kafka)
    assert HOT not in {symbol for symbol, _ in shown.of_source | shown.of_all}
    assert {symbol for symbol, _ in shown.of_all} == set(SYMBOLS) - {HOT}
    # Before the step, after it, and after the killed worker's partitions were taken over and their sources heard.
    assert report.from_ms is not None
    for since_ms, until_ms in ((0, report.from_ms), (report.from_ms, report.from_ms + 3000), (wild_ms - 3000, wild_ms)):
        assert any(since_ms <= start_ms < until_ms for _, start_ms in shown.of_all)
    # Of windows whose events all lie behind that producer's, all together aren't published, each source is.
    since_ms = max(newest_before(records, "wild") for records in log.values())
    assert not any(start_ms > since_ms for _, start_ms in shown.of_all)
    assert any(start_ms > since_ms for _, start_ms in shown.of_source)
