"""Other shards, while trades flow: the same bars, and what was broken off is finished."""

import asyncio
import random
import signal
import subprocess
import sys
import threading
import time

import pytest

from tests.integration.running import all_final, feed, fresh, is_read, running, tallies, until
from tickertape.schemas.topics import SLICES
from tickertape.schemas.trade import Trade
from tickertape.stream.cluster import reshard
from tickertape.stream.configuration.environment import environment
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.worker.pipeline import Pipeline
from tickertape.stream.errors import BrokerError, ConfigError
from tickertape.stream.kafka.admin import members, topics

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(180)]


def trades(n: int, seconds: int, seed: int) -> list[Trade]:
    """Return trades of two sources and thirty symbols, in time order, that end about now."""
    rng = random.Random(seed)
    end_ms = int(time.time() * 1000)
    times = sorted(end_ms - rng.randrange(seconds * 1000) for _ in range(n))
    return [
        Trade(
            symbol=f"S{rng.randrange(30):02d}-USD",
            source=rng.choice("xy"),
            id=i,
            time_ms=at,
            price=round(rng.uniform(10, 11), 4),
            quantity=round(rng.expovariate(1) + 0.001, 6),
            side=rng.choice(("buy", "sell")),
            received_ms=at,
        )
        for i, at in enumerate(times)
    ]


def truth(all_trades: list[Trade]) -> dict[str, tuple[int, float, float]]:
    """Return (count, high, volume) of each bar, by a plain loop."""
    bars: dict[str, tuple[int, float, float]] = {}
    for trade in all_trades:
        for resolution, width_ms in (
            ("1s", 1000),
            ("1m", 60_000),
            ("5m", 300_000),
            ("15m", 900_000),
            ("1h", 3_600_000),
        ):
            for source in (trade.source, "all"):
                key = f"{trade.symbol}|{source}|{resolution}|{trade.time_ms // width_ms * width_ms}"
                count, high, volume = bars.get(key, (0, 0.0, 0.0))
                bars[key] = count + 1, max(high, trade.price), volume + trade.quantity
    return bars


def assert_true(settings: Settings, all_trades: list[Trade]) -> None:
    held = all_final(settings)
    expected = truth(all_trades)
    assert held.keys() == expected.keys()
    for key, (count, high, volume) in expected.items():
        assert (held[key].count, held[key].high, held[key].volume) == (count, high, pytest.approx(volume, rel=1e-12))
    assert tallies(settings)["counted"] == len(all_trades)


async def start(settings: Settings) -> None:
    """Start a worker in this process, if it will."""
    app = Pipeline(settings, "0")
    try:
        await app.start()
    finally:
        await app.on_shutdown()


def shards_of(settings: Settings) -> int:
    return len(topics.describe(settings, [SLICES])[0].partitions)


@pytest.mark.parametrize(("before", "after"), [(4, 7), (4, 1)])
def test_open_windows_are_carried_over(own_kafka: str, before: int, after: int) -> None:
    sent = trades(12_000, seconds=90, seed=before)
    with running(own_kafka, workers=2, partitions={"slices": before}) as (settings, supervisor):
        feed(own_kafka, sent[:5000], close=False)
        until("the first part is read", lambda: is_read(settings))
        with pytest.raises(BrokerError, match=r"2 workers of .* are running"):
            reshard.reshard(settings, after)
        supervisor.scale(0)
        # Feeds go on meanwhile.
        feeding = threading.Thread(target=feed, args=(own_kafka, sent[5000:9000]), kwargs={"close": False})
        feeding.start()
        assert reshard.reshard(settings, after) > 0
        feeding.join()
        assert shards_of(settings) == after
        supervisor.scale(2)
        feed(own_kafka, sent[9000:])
        assert_true(settings, sent)


def test_what_was_broken_off_is_finished(own_kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = trades(4000, seconds=30, seed=5)
    with running(own_kafka, workers=1, partitions={"slices": 3}) as (settings, supervisor):
        feed(own_kafka, sent[:2000], close=False)
        until("the first part is read", lambda: is_read(settings))
        supervisor.scale(0)
        with monkeypatch.context() as patch:

            async def dies(*_: object) -> list[int]:
                raise KeyboardInterrupt

            patch.setattr(reshard, "_copy", dies)
            with pytest.raises(KeyboardInterrupt):
                reshard.reshard(settings, 5)
        with pytest.raises(BrokerError, match="slices is being resharded"):
            asyncio.run(start(settings))
        with pytest.raises(ConfigError, match=r"resharding to 5 was interrupted: finish it with .* --shards 5`"):
            reshard.reshard(settings, 4)
        assert reshard.reshard(settings, 5) > 0
        assert shards_of(settings) == 5
        supervisor.scale(1)
        feed(own_kafka, sent[2000:])
        assert_true(settings, sent)


def test_the_command_drains_the_workers_and_has_them_start_again(own_kafka: str) -> None:
    sent = trades(6000, seconds=60, seed=9)
    settings = fresh(own_kafka, partitions={"slices": 2})
    environ = environment(settings)
    up = subprocess.Popen([sys.executable, "-m", "tickertape", "up", "--workers", "2"], env=environ)
    try:
        feed(own_kafka, sent[:3000], close=False)
        until("the first part is read", lambda: is_read(settings))
        said = subprocess.run(
            [sys.executable, "-m", "tickertape", "reshard", "slices", "--shards", "5"],
            env=environ,
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        ).stdout.splitlines()
        assert said[0] == "the workers have drained"
        assert said[1].startswith("slices has 5 shards; ")
        assert said[2].startswith("the workers own all 5 shards; results paused for ")
        # The shards may all be owned before the second worker has joined.
        until("both workers are members", lambda: len(members.describe(settings).owned) == 2)
        feed(own_kafka, sent[3000:])
        assert_true(settings, sent)
    finally:
        up.send_signal(signal.SIGTERM)
        up.wait(20)


def test_workers_that_nobody_can_drain_are_named(own_kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reshard, "DRAIN_SECONDS", 1.0)
    with running(own_kafka, workers=1, partitions={"slices": 2}) as (settings, supervisor):
        until("it owns all", lambda: any(members.describe(settings).owned.values()))
        with pytest.raises(
            BrokerError, match=rf"no `tickertape up` controls these workers, stop them first: {supervisor.name(0)}"
        ):
            reshard.run(settings, 3, print)
        assert shards_of(settings) == 2
