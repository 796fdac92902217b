"""Signals of final results: each once, whoever publishes it, and final once nothing can correct it away."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.engine.blocks import HOUR_MS, Log
from tests.engine.derived.test_fill import FILLED
from tests.engine.derived.test_recursion import DECAY, expected
from tests.engine.made_frames import frame, upsert
from tests.engine.recovery.test_snapshot import Snapped
from tests.engine.windows.test_windows import shards, windows_of
from tickertape.agents.signals import RULES, Signal
from tickertape.schemas.frame import Frame
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.derived import rules
from tickertape.stream.engine.derived.derived import Derived, outputs_of
from tickertape.stream.errors import ConfigError

LEVEL = 10.0


class Watched(Snapped):
    """A shard with what follows its windows, and rules for both."""

    path = ""

    def _following(self) -> Derived:
        return Derived(FILLED, [RULES, DECAY], Settings(signals=self.path))

    def signals(self, *frames: Frame) -> list[tuple[str, str, int, float, bool]]:
        """Hear frames, and publish; return the signals that came: rule, symbol, start, value and whether final."""
        self.says(*frames)
        return [
            (one.rule, one.symbol, one.start_ms - HOUR_MS, one.value, one.final)
            for one in self.news.values()
            if isinstance(one, Signal)
        ]


def watched(path: Path, *some: dict[str, Any]) -> type[Watched]:
    """Write rules, and return shards that have them."""
    file = path / "signals.toml"
    file.write_bytes(_toml(some))
    rules.load.cache_clear()

    class Here(Watched):
        pass

    Here.path = str(file)
    return Here


def _toml(some: tuple[dict[str, Any], ...]) -> bytes:
    lines = []
    for one in some:
        lines += ["[[rule]]", *(f"{name} = {msgspec.json.encode(value).decode()}" for name, value in one.items())]
    return "\n".join(lines).encode()


ABOVE = {"name": "high", "when": "threshold", "on": "bars", "field": "last", "above": LEVEL, "resolutions": ["1s"]}


def test_a_signal_comes_with_the_first_final_that_makes_it_so(tmp_path: Path) -> None:
    shard = watched(tmp_path, ABOVE)()
    # Nothing ends.
    assert shard.signals(frame(1, upsert(0, 11.0), lanes={"s": 500})) == []
    # Ends 1 s at 0.
    assert shard.signals(frame(2, lanes={"s": 1000})) == [("high", "A", 0, 11.0, True)]
    # Ends 1 s at 1000 to 4000.
    some = [upsert(1000 * i, value, first_id=i + 1) for i, value in ((1, 12.0), (2, 9.0), (3, 13.0), (4, 14.0))]
    assert shard.signals(frame(3, *some, lanes={"s": 5000})) == [("high", "A", 3000, 13.0, True)]
    assert shard.derived[f"A|all|1s|{HOUR_MS + 3000}|high"] == Signal(
        rule="high",
        symbol="A",
        source="all",
        resolution="1s",
        start_ms=HOUR_MS + 3000,
        on="bars",
        field="last",
        value=13.0,
        level=10.0,
        final=True,
        revision=4,
        incomplete=False,
    )


def test_symbols_sources_and_a_cool_down(tmp_path: Path) -> None:
    shard = watched(tmp_path, ABOVE | {"symbols": ["A"], "sources": ["s", "all"], "cooldown_seconds": 3})()
    values = [11.0, 9.0, 11.0, 9.0, 11.0, 9.0]
    some = [upsert(1000 * i, value, first_id=i + 1) for i, value in enumerate(values)]
    others = [upsert(1000 * i, value, first_id=i + 1, symbol="B") for i, value in enumerate(values)]
    # Ends 1 s at 0 to 5000. That at 2000 is two seconds after the first.
    came = shard.signals(frame(1, *some, *others, lanes={"s": 6000}))
    assert sorted(came) == [("high", "A", 0, 11.0, True)] * 2 + [("high", "A", 4000, 11.0, True)] * 2


def test_what_follows_windows_may_be_looked_at_too(tmp_path: Path) -> None:
    rule = {"name": "x", "when": "cross", "on": "indicators/decay", "field": "decay", "over": "last"}
    shard = watched(tmp_path, rule | {"resolutions": ["1s"]})()
    # Decays: none, 5, 4.5 (of 2), 10.25 (of 8), 6.125 (of 1); over the last each time, and then below it.
    some = [upsert(1000 * i, value, first_id=i + 1) for i, value in enumerate((2.0, 4.0, 2.0, 8.0, 1.0))]
    assert shard.signals(frame(1, *some, lanes={"s": 5000})) == []
    # 15 - 7 = 8 less than the last: 6.125 / 2 - 30.
    came = shard.signals(frame(2, upsert(5000, -30.0, first_id=6), lanes={"s": 6000}))
    assert came == []
    assert shard.signals(frame(3, upsert(6000, 30.0, first_id=7), lanes={"s": 7000})) == [
        ("x", "A", 6000, -26.9375 / 2 + 30, True)
    ]


def test_a_signal_is_final_once_nothing_can_correct_it_away(tmp_path: Path) -> None:
    shard = watched(tmp_path, ABOVE)()
    shard.apply_frames(frame(1, lanes={"s": -500}, partition=1, partitions=2, idle="s"))
    # Ends 1 s at 0 and 1000, for the other lane is idle; it may wake.
    came = shard.signals(frame(2, upsert(0, 1.0), upsert(1000, 11.0, first_id=2), lanes={"s": 2000}, partitions=2))
    assert came == [("high", "A", 1000, 11.0, False)]
    assert shard.signals() == []
    assert shard.signals(frame(2, lanes={"s": 1500}, partition=1, partitions=2)) == []
    assert shard.signals(frame(3, lanes={"s": 2000}, partition=1, partitions=2)) == [("high", "A", 1000, 11.0, True)]
    assert shard.signals(frame(4, lanes={"s": 3000}, partition=1, partitions=2)) == []


def test_what_is_corrected_away_is_never_final(tmp_path: Path) -> None:
    shard = watched(tmp_path, ABOVE)()
    shard.apply_frames(frame(1, lanes={"s": -500}, partition=1, partitions=2, idle="s"))
    shard.signals(frame(2, upsert(0, 1.0), upsert(1000, 11.0, first_id=2), lanes={"s": 2000}, partitions=2))
    # The lane that was idle wakes, with a later value of the first second: it was above the level before.
    woken = frame(2, upsert(0, 2.0, 12.0, first_id=9), lanes={"s": 500}, partition=1, partitions=2)
    assert shard.signals(woken) == [("high", "A", 0, 12.0, False)]
    came = shard.signals(frame(3, lanes={"s": 3000}, partition=1, partitions=2))
    assert came == [("high", "A", 0, 12.0, True)]
    finals = {key: one.final for key, one in shard.derived.items() if key.endswith("|high")}
    assert finals == {f"A|all|1s|{HOUR_MS}|high": True, f"A|all|1s|{HOUR_MS + 1000}|high": False}


def test_the_next_owner_makes_a_signal_final_that_was_not_settled(tmp_path: Path) -> None:
    shard = watched(tmp_path, ABOVE)()
    shard.apply_frames(frame(1, lanes={"s": -500}, partition=1, partitions=2, idle="s"))
    came = shard.signals(frame(2, upsert(0, 1.0), upsert(1000, 11.0, first_id=2), lanes={"s": 2000}, partitions=2))
    assert came == [("high", "A", 1000, 11.0, False)]
    shard.snap()
    shard.restart()
    assert shard.signals(frame(2, lanes={"s": 1500}, partition=1, partitions=2)) == []
    # Only now can nothing correct it away.
    assert shard.signals(frame(3, lanes={"s": 2000}, partition=1, partitions=2)) == [("high", "A", 1000, 11.0, True)]


def test_the_next_owner_knows_of_the_cool_down(tmp_path: Path) -> None:
    shard = watched(tmp_path, ABOVE | {"cooldown_seconds": 3})()
    values = [(0, 11.0), (1, 9.0), (2, 11.0), (3, 9.0), (4, 11.0)]
    some = [upsert(1000 * i, value, first_id=i + 1) for i, value in values]
    # Ends 1 s at 0 and 1000.
    assert shard.signals(frame(1, *some[:2], lanes={"s": 2000})) == [("high", "A", 0, 11.0, True)]
    shard.snap()
    shard.restart()
    # That at 2000 is two seconds after the first, that at 4000 four.
    assert shard.signals(frame(2, *some[2:], lanes={"s": 5000})) == [("high", "A", 4000, 11.0, True)]


@settings(max_examples=150)
@given(drawn=shards(), data=st.data())
def test_owners_that_come_and_go_publish_each_signal_once(
    tmp_path_factory: pytest.TempPathFactory, drawn: tuple[list[Log], list[Frame]], data: st.DataObject
) -> None:
    level = 0.25
    rule = {"name": "r", "when": "threshold", "on": "indicators/decay", "field": "decay", "above": level}
    partitions, frames = drawn
    shard = watched(tmp_path_factory.mktemp("rules"), rule | {"sources": ["s", "t", "all"]})()
    for one in frames:
        shard.apply_frames(one)
        shard.befall(data.draw(st.sampled_from(["go on", "flush", "flush", "snap", "restart"])))
    shard.flush()
    assume(not shard.all_late())
    found = {key for key, one in shard.derived.items() if isinstance(one, Signal) and one.final}
    wanted = set()
    series: dict[str, bool] = {}
    for key, (value, _) in sorted(
        expected(windows_of(partitions)).items(), key=lambda item: int(item[0].split("|")[3])
    ):
        name = key.rsplit("|", 2)[0]
        if value > level and not series.get(name):
            wanted.add(key.removesuffix("decay") + "r")
        series[name] = value > level
    assert found == wanted


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"on": "bar"}, "rule high: no results are called 'bar'; there are bars, indicators/decay"),
        ({"on": "signals/high"}, "rule high: no results are called 'signals/high'; there are bars, indicators/decay"),
        ({"field": "symbol"}, "rule high: bars has no numeric field 'symbol'; it has count, total, last, missing"),
        ({"resolutions": ["1m"]}, "rule high: bars has no resolution '1m'; it has 1s, 3s"),
    ],
)
def test_a_rule_for_what_is_not_there(tmp_path: Path, changes: dict[str, Any], wrong: str) -> None:
    path = watched(tmp_path, ABOVE | changes).path
    with pytest.raises(ConfigError, match=wrong):
        outputs_of([FILLED], [RULES, DECAY], Settings(signals=path))
