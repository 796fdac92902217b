"""More than the workers or a sink can take: lag grows, memory doesn't, and nobody loses a partition."""

import asyncio
import threading
import time
from contextlib import ExitStack

import psutil
import pytest

from bench import load
from tests.integration.running import all_final, feed, is_read, running, tallies, until
from tickertape.schemas.topics import SLICES, TRADES
from tickertape.schemas.trade import Trade
from tickertape.stream.chaos.quota import throttled
from tickertape.stream.cluster.supervisor import Supervisor
from tickertape.stream.configuration.connection import Connection
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.admin import members, topics

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(240)]

T = 1_723_161_255_000
BACKLOG = 1_500_000


class Memory:
    """The most that a worker's process held, in MiB."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.peak_mib = 0.0
        self._supervisor = supervisor
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def now_mib(self) -> float:
        return sum(psutil.Process(pid).memory_info().rss for pid in self._supervisor.pids.values()) / 2**20

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            try:
                self.peak_mib = max(self.peak_mib, self.now_mib())
            except psutil.NoSuchProcess:
                continue

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def test_a_backlog_is_lag_and_not_memory(own_kafka: str) -> None:
    with running(own_kafka, workers=1) as (settings, supervisor):
        until("the worker owns all", lambda: members.describe(settings).stable)
        start_mib = Memory(supervisor).now_mib()
        supervisor.stop()
        asyncio.run(load.produce(own_kafka, BACKLOG))
        assert sum(state.lag or 0 for state in topics.describe(settings, [TRADES])) == BACKLOG
        with Supervisor(settings, 1, print) as reader, Memory(reader) as memory:
            until("the backlog is read", lambda: is_read(settings), seconds=120)
        total = tallies(settings)
    print(f"at rest {start_mib:.0f} MiB, at its peak {memory.peak_mib:.0f} MiB")
    assert total["counted"] == BACKLOG
    # The backlog is 230 MB of JSON, and as many bytes again as Python's objects. Seen: 107 to 163 MiB.
    assert memory.peak_mib < start_mib + 200


def trades(first: int, n: int) -> list[Trade]:
    return [
        Trade(
            symbol=f"S{i % 50:02d}-USD",
            source="x",
            id=i,
            time_ms=T + i,
            price=10.0,
            quantity=1.0,
            side="buy",
            received_ms=T + i,
        )
        for i in range(first, first + n)
    ]


def commits(settings: Settings) -> list[tuple[int | None, int | None]]:
    found = topics.describe(settings, [TRADES, SLICES])
    return [(p.committed, p.upto) for topic in found for p in topic.partitions]


def test_a_slow_sink_stops_commits_but_no_heartbeat(own_kafka: str, capsys: pytest.CaptureFixture[str]) -> None:
    session_seconds, events = 3.0, 20_000
    # Kafka holds back answers for 11 s each, several after another: a lane that is silent meanwhile isn't idle.
    with running(own_kafka, workers=2, session_seconds=session_seconds, idle_seconds=600.0) as (settings, supervisor):
        feed(own_kafka, trades(0, events), close=False)
        until("all is read", lambda: is_read(settings))
        before = members.describe(settings)
        assert before.stable
        assert "owns" in capsys.readouterr().out
        with Memory(supervisor) as memory:
            start_mib = memory.now_mib()
            with ExitStack() as slow:
                for slot in supervisor.slots:
                    client = f"{settings.group}-{settings.epoch}-{supervisor.name(slot)}"
                    # Frames of so many trades take minutes.
                    slow.enter_context(throttled(Connection(own_kafka), client, 10_000))
                feed(own_kafka, trades(events, 5 * events), close=False)
                last, changed = commits(settings), time.monotonic()
                while time.monotonic() - changed < 2 * session_seconds:
                    assert members.describe(settings) == before
                    if (now := commits(settings)) != last:
                        last, changed = now, time.monotonic()
                    time.sleep(0.2)
                assert not is_read(settings)
            began = time.monotonic()
            until("all is read", lambda: is_read(settings), seconds=120)
            drained_seconds = time.monotonic() - began
        feed(own_kafka, trades(6 * events, events))
        bars = all_final(settings)
        total = tallies(settings)
        after, restarts = members.describe(settings), supervisor.restarts
        said = capsys.readouterr().out
    print(f"{drained_seconds:.1f} s to drain; from {start_mib:.0f} MiB to {memory.peak_mib:.0f} MiB at the peak")
    # Whoever takes part in a rebalance says what it owns.
    assert "owns" not in said
    assert (after, restarts) == (before, 0)
    assert total["counted"] == 7 * events
    assert sum(bar.count for bar in bars.values() if (bar.source, bar.resolution) == ("all", "1s")) == 7 * events
    assert memory.peak_mib < start_mib + 150
