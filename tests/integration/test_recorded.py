"""Real recorded trades and quotes come out as exact bars."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.integration import recorded, recorded_series
from tests.integration.running import (
    all_final,
    bars,
    by_kind,
    feed,
    finals,
    is_read,
    read,
    running,
    tallies,
    until,
)
from tickertape.agents.market.bars import TRADE_BARS, Bar
from tickertape.agents.market.quote_bars import QuoteBar
from tickertape.schemas.topics import QUOTES
from tickertape.schemas.trade import Trade
from tickertape.stream.configuration.environment import environment
from tickertape.stream.engine.derived import rules
from tickertape.stream.kafka.partition import partition_for

pytestmark = [pytest.mark.kafka, *recorded.needed]

EXACT = ("open", "high", "low", "close", "open_ms", "close_ms", "largest", "count", "missing")
SUMS = ("volume", "notional", "buy_volume")
# The rules that the project shows.
SIGNALS = Path(__file__).parents[2] / "docs" / "signals.toml"
EXPECTED_BARS = {
    ("BTC-USDT", "1s"): 345,
    ("BTC-USDT", "1m"): 7,
    ("BTC-USDT", "5m"): 3,
    ("ETH-USDT", "1s"): 320,
    ("ETH-USDT", "1m"): 7,
    ("ETH-USDT", "5m"): 3,
}


def assert_equal_polars(held: dict[str, Bar], trades: list[Trade]) -> None:
    compared = 0
    for resolution, width_ms in TRADE_BARS.resolutions.items():
        for row in recorded.polars_bars(trades, width_ms).iter_rows(named=True):
            for source in ("binance", "all"):
                bar = held[f"{row['symbol']}|{source}|{resolution}|{row['start_ms']}"]
                assert {name: getattr(bar, name) for name in EXACT} == {name: row[name] for name in EXACT}
                assert [getattr(bar, name) for name in SUMS] == pytest.approx([row[name] for name in SUMS], rel=1e-9)
                assert bar.vwap == pytest.approx(row["notional"] / row["volume"], rel=1e-9)
                assert bar.final
                assert bar.revision == row["count"]
                compared += 1
    assert compared == len(held)


def test_file_through_two_workers_equals_polars(own_kafka: str) -> None:
    changes = {"resolutions": recorded_series.RESOLUTIONS, "signals": str(SIGNALS)}
    with running(own_kafka, workers=2, **changes) as (settings, _):
        command = [sys.executable, "-m", "tickertape", "--broker", own_kafka, "feed", "file", "--speed", "max"]
        subprocess.run([*command, *map(str, recorded.PATHS)], check=True, timeout=60)
        held = all_final(settings)
        counted = tallies(settings)["counted"]
        quoted = finals(settings, QUOTES, "quote-bars", QuoteBar)
        assert tallies(settings, QUOTES)["counted"] == 28_040 + 24_077
        follow = by_kind(own_kafka, "indicators")
        slide = by_kind(own_kafka, "rolling")
        signals = by_kind(own_kafka, "signals", named=False)
        lines = []
        for topic in ("trades", "quotes"):
            command = [sys.executable, "-m", "tickertape", "--broker", own_kafka, "verify", "--topic", topic]
            lines += subprocess.check_output(command, env=environment(settings), text=True, timeout=60).splitlines()
    assert set(lines) == {
        f"{len(held):,} bars agree",
        f"{len(quoted):,} quote-bars agree",
        *(f"{len(rows):,} indicators/{kind} agree" for kind, rows in follow.items()),
        *(f"{len(rows):,} rolling/{kind} agree" for kind, rows in slide.items()),
        *(f"{len(signals.get(one.name, ())):,} signals/{one.name} agree" for one in rules.load(str(SIGNALS))),
    }
    by_place = {(bar.symbol, bar.source, bar.resolution, bar.start_ms): bar for bar in quoted.values()}
    recorded.assert_are_polars(recorded.quote_rows(recorded.quotes()), by_place)
    trades = recorded.trades()
    for kind in recorded_series.RESOLUTIONS:
        recorded_series.assert_are_talibs(kind, follow[kind], trades)
    for kind in ("trades", "quotes"):
        recorded_series.assert_are_polars(kind, slide[kind])
    for (symbol, resolution), expected in EXPECTED_BARS.items():
        mine = [b for b in held.values() if (b.symbol, b.source, b.resolution) == (symbol, "binance", resolution)]
        assert len(mine) == expected
    assert counted == 9_757 + 6_106
    assert_equal_polars(held, trades)


def _disordered(trades: list[Trade], by_ms: int, seed: int) -> list[Trade]:
    """Let each trade arrive up to so much later than its turn."""
    rng = random.Random(seed)
    return sorted(trades, key=lambda trade: trade.time_ms + rng.uniform(0, by_ms))


def test_disorder_within_the_lateness_changes_nothing(own_kafka: str) -> None:
    # The frontier is 2 s behind, so 1.9 s of disorder make nothing late.
    trades = recorded.trades()
    with running(own_kafka, workers=2) as (settings, _):
        feed(own_kafka, _disordered(trades, 1900, seed=5))
        held = all_final(settings)
        assert tallies(settings)["late"] == 0
    assert_equal_polars(held, trades)


def _late(trades: list[Trade], partitions: int, lateness_ms: int) -> set[tuple[str, int]]:
    """The oracle: a plain loop over the lanes. A trade is late once its second's end is at or behind the frontier."""
    newest: dict[tuple[int, str], int] = {}
    late = set()
    for trade in trades:
        lane = partition_for(trade.symbol, partitions), trade.source
        frontier_ms = newest.get(lane, 0) - lateness_ms
        if (trade.time_ms // 1000 + 1) * 1000 <= frontier_ms:
            late.add((trade.symbol, trade.id))
        newest[lane] = max(newest.get(lane, 0), trade.time_ms)
    return late


def test_disorder_beyond_the_lateness_makes_exactly_those_late(own_kafka: str) -> None:
    import msgspec

    trades = recorded.trades()
    # Two sources, so that lanes are told apart: every third trade is said to be from another exchange.
    trades = [replace(trade, source="other") if trade.id % 3 == 0 else trade for trade in trades]
    sent = _disordered(trades, 9000, seed=6)
    with running(own_kafka, workers=2) as (settings, _):
        # The feed's own heartbeats follow the newest event: with the disorder they come none too early at `max` speed,
        # for one comes a second of the wall clock and all is sent within it.
        feed(own_kafka, sent, close=False)
        until("all is read", lambda: is_read(settings))
        total = tallies(settings)
        late = {
            (r["symbol"], msgspec.json.decode(r["value"])["id"])
            for r in map(msgspec.json.decode, _values(own_kafka, "late"))
            if r["topic"] == "trades"  # not the slices that came past the horizon
        }
    expected = _late(sent, 4, 2000)
    assert 100 < len(expected) < len(sent)
    assert late == expected
    assert (total["late"], total["counted"]) == (len(expected), len(sent) - len(expected))


def _values(broker: str, topic: str) -> list[bytes]:
    return [value for _, value in read(broker, topic)]


@pytest.mark.slow
def test_same_bars_whatever_the_blocks_partitions_and_workers(own_kafka: str) -> None:
    trades = recorded.trades()
    seen: list[dict[str, Bar]] = []
    for partitions, workers, block_records, shards in (
        (1, 1, 8192, 1),
        (2, 2, 100, 16),
        (4, 2, 1000, 5),
        (7, 1, 37, 16),
    ):
        changes = {"partitions": {"trades": partitions, "slices": shards}, "block_records": block_records}
        with running(own_kafka, workers=workers, **changes) as (settings, _):
            feed(own_kafka, trades)
            seen.append(all_final(settings))
    # A symbol is on one partition, so the sums are the same to the last bit too.
    assert seen[0] == seen[1] == seen[2] == seen[3]
    assert bars(own_kafka) == seen[0]
