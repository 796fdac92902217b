"""A pipeline that ran on an earlier commit goes on with what it left: topics, commits and snapshots."""

import asyncio
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec import json

from tests.integration.in_place.left import load, put_back
from tests.integration.in_place.record import GROUP, KINDS, READ_SECONDS, ROLLING_MS, RULES, START_MS
from tests.integration.recorded_series import talibs
from tests.integration.running import by_kind, delete_topics, finals, is_read, read, tallies, until
from tests.integration.truth import assert_true, log_of, truth_of
from tickertape.agents.market.bars import Bar
from tickertape.agents.market.quote_bars import QuoteBar
from tickertape.agents.social.chatter import Chatter
from tickertape.schemas.topics import POSTS, QUOTES, SLICES, TRADES
from tickertape.schemas.trade import Trade
from tickertape.stream.cluster.supervisor import Supervisor
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.columns import Floats
from tickertape.stream.progress.shown import NOWHERE
from tickertape.stream.replay import verify

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(180)]

#: How a field of a sliding window differs.
SLIDING = re.compile(
    r"rolling/\w+: [^|]+\|[^|]+\|[^|]+\|(?P<start_ms>\d+)\|\w+: "
    r"\w+ is (?P<old>[\d.e-]+) on the sink \(.+\) and (?P<new>[\d.e-]+) in the replay"
)
FILES = sorted(Path(__file__).parent.glob("*.json"))


def closes(truth: dict[str, list[Trade]]) -> dict[tuple[str, str], tuple[list[int], Floats]]:
    """Return the starts and closes of the bars of a second, by symbol and source."""
    found: dict[tuple[str, str], list[tuple[int, float]]] = defaultdict(list)
    for key, trades in truth.items():
        symbol, source, resolution, start_ms = key.split("|")
        if resolution == "1s":
            found[symbol, source].append((int(start_ms), max(trades, key=lambda t: (t.time_ms, t.id)).price))
    return {
        series: ([start for start, _ in sorted(some)], np.array([close for _, close in sorted(some)]))
        for series, some in found.items()
    }


def crossings(truth: dict[str, list[Trade]]) -> dict[str, float]:
    """Return where the fast EMA goes over the slow one, by the signal's key: the fast one."""
    found = {}
    for (symbol, source), (starts, close) in closes(truth).items():
        ema, side = talibs(close)["ema"], 0
        for start_ms, fast, slow in zip(starts, ema["fast"], ema["slow"], strict=True):
            now = 0 if np.isnan(slow) else int(np.sign(fast - slow))
            if source == "all" and now > 0 > side:
                found[f"{symbol}|all|1s|{start_ms}|golden"] = float(fast)
            side = now or side
    return found


def is_of_another_order(difference: str) -> bool:
    """Return whether it is only in the last bits of a sliding window that had been published before."""
    found = SLIDING.fullmatch(difference)
    if found is None or int(found["start_ms"]) >= START_MS + READ_SECONDS * 1000:
        return False
    return float(found["old"]) == pytest.approx(float(found["new"]), rel=1e-13, abs=0)


def assert_series(
    kind: str, rows: dict[tuple[str, str, str, int], dict[str, Any]], truth: dict[str, list[Trade]]
) -> None:
    compared = 0
    for (symbol, source), (starts, close) in closes(truth).items():
        columns = talibs(close)[kind]
        for i, start_ms in enumerate(starts):
            wanted = {name: float(column[i]) for name, column in columns.items() if not np.isnan(column[i])}
            if wanted:
                row = rows[symbol, source, "1s", start_ms]
                assert {name: row[name] for name in wanted} == pytest.approx(wanted, rel=1e-9)
                assert row["final"]
                assert not row["incomplete"]
                compared += 1
    assert compared == len(rows) > 100


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_pipeline_goes_on_with_what_another_commit_left(
    own_kafka: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], file: Path
) -> None:
    left, rules = load(file), tmp_path / "signals.toml"
    rules.write_text(RULES)
    settings = Settings(
        broker=own_kafka,
        group=GROUP,
        partitions=left.partitions,
        resolutions={kind: ["1s"] for kind in KINDS},
        rolling_ms=ROLLING_MS,
        signals=str(rules),
    )
    assert left.group == f"{GROUP}-{settings.epoch}"
    delete_topics(own_kafka)
    put_back(own_kafka, left)
    with Supervisor(settings, 1, print) as supervisor:
        bars = finals(settings, TRADES, "bars", Bar)
        finals(settings, QUOTES, "quote-bars", QuoteBar)
        finals(settings, POSTS, "social", Chatter)
        until("all frames are read", lambda: is_read(settings, SLICES))
        counted = tallies(settings)
        # The worker leaves the group, which the next file's commits are put into.
        supervisor.scale(0)
    said = capsys.readouterr().out
    # What the last owner knew of each shard is used.
    assert said.count(": snapshot at offset ") == left.partitions[SLICES.name], said
    assert "start without their past" not in said
    truth, late = truth_of(log_of(own_kafka))
    assert_true(bars, truth)
    assert counted["late"] == late > 0
    follow = by_kind(own_kafka, "indicators")
    for kind in KINDS:
        assert_series(kind, follow[kind], truth)
    signals = {key.decode(): json.decode(value) for key, value in read(own_kafka, "signals")}
    assert {key: one["value"] for key, one in signals.items()} == pytest.approx(crossings(truth))
    assert len(signals) > 5
    # The rest agrees with what is made of the whole log by nobody who left anything; but for what was published by a
    # commit that let rounding take VWAP out of low and high, or that added up sliding windows in another order.
    for topic in (TRADES, QUOTES, POSTS):
        folder = tmp_path / topic.name
        folder.mkdir()
        compared = asyncio.run(verify.verify(settings, topic.name, 1, folder, NOWHERE))
        found = [difference for one in compared for difference in one.differences]
        differences = [difference for difference in found if not is_of_another_order(difference)]
        assert [difference for difference in differences if ": vwap is " not in difference] == []
        assert sum(one.agree for one in compared) > 20 * len(differences)
