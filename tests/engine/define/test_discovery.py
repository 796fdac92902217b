"""What agents' files define, with what it is made from, and the topics that they declare."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.engine.made_frames import WINDOWING
from tickertape.agents.market.bars import TRADE_BARS
from tickertape.agents.market.indicators.defaults.ema import EMA
from tickertape.agents.market.trades import TRADE_SLICES
from tickertape.schemas.topics import BARS, CATALOGUE, Topic
from tickertape.schemas.trade import Trade
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.define.discovery import agents_of, configured, discover
from tickertape.stream.errors import ConfigError
from tickertape.testing import run

OWN = """
from tickertape import FLOAT, TRADE_BARS, Recursion, Topic
from tickertape.agents.market.indicators.defaults.ema import Ema, step

OWN = Recursion(
    of=TRADE_BARS, takes=("close",), state={"n": (FLOAT, 0.0)}, step=step, sink=Topic(name="own", holds="x"),
    result=Ema, memory=1,
)
"""


def test_what_a_metric_follows_is_found_through_it(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    agents = discover([str(tmp_path)])
    assert agents.slicings == [TRADE_SLICES]
    assert agents.windowings == [TRADE_BARS]
    (own,) = agents.recipes
    assert own.sink.name == "own"
    assert [topic.name for topic in agents.topics] == [*(topic.name for topic in CATALOGUE), "own"]
    # Beside ours it is one more.
    both = discover(["tickertape.agents", str(tmp_path)])
    assert own in both.recipes
    assert EMA in both.recipes
    assert both.windowings.count(TRADE_BARS) == 1


def test_all_that_ours_declare_is_in_the_catalogue() -> None:
    assert discover(["tickertape.agents"]).topics == CATALOGUE


def test_a_folder_without_a_metric_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no agent in .*: see the setting `agents`"):
        discover([str(tmp_path)])


def test_two_topics_of_one_name_have_to_be_alike() -> None:
    other = Topic(name="bars", holds="something else")
    with pytest.raises(ConfigError, match="topic bars: two declarations of it differ: make them the same"):
        agents_of([TRADE_BARS, _with_sink(other)])
    agents_of([TRADE_BARS, _with_sink(replace(BARS))])


def test_a_topic_has_one_slicing() -> None:
    with pytest.raises(ConfigError, match="topic trades: two slicings read it: keep one"):
        agents_of([TRADE_BARS, WINDOWING])


def _with_sink(topic: Topic) -> object:
    from dataclasses import replace as changed

    return changed(EMA, sink=topic)


def test_resolutions_are_those_of_the_setting() -> None:
    settings = Settings(resolutions={"bars": ["1d", "1s", "4h"], "ema": ["4h"]})
    agents = configured(settings)
    (bars,) = [one for one in agents.windowings if one.output.name == "bars"]
    assert bars.resolutions == {"1s": 1000, "4h": 4 * 3_600_000, "1d": 86_400_000}
    # What follows them follows these.
    assert all(one.of is bars for one in agents.recipes if getattr(one, "of", None) and one.of.sink.name == "bars")
    assert TRADE_BARS.resolutions.keys() == {"1s", "1m", "5m", "15m", "1h"}


def test_a_day_is_a_utc_day_and_an_hour_of_four_begins_with_it() -> None:
    day_ms = 86_400_000
    trades = [
        Trade(symbol="A", source="s", id=n, time_ms=20_000 * day_ms + at, price=1.0 + n, quantity=1.0, side="buy")
        for n, at in enumerate((0, 4 * 3_600_000 - 1, 4 * 3_600_000, day_ms - 1, day_ms))
    ]
    outcome = run(trades, TRADE_BARS, settings=Settings(resolutions={"bars": ["4h", "1d"]}))
    found = {
        (bar.resolution, (bar.start_ms - 20_000 * day_ms) // 3_600_000): bar.count
        for bar in outcome.results["bars"]
        if bar.source == "all"
    }
    assert found == {("4h", 0): 2, ("4h", 4): 1, ("4h", 20): 1, ("4h", 24): 1, ("1d", 0): 4, ("1d", 24): 1}


@pytest.mark.parametrize("name", ["0s", "1w", "s", "1500ms", "", "-1s", "1.5s", "9999999s"])
def test_a_resolution_that_is_none_is_told_of(name: str) -> None:
    with pytest.raises(ConfigError, match=r"resolutions\.bars: .* is not a width of whole slices of 1000 ms: write"):
        configured(Settings(resolutions={"bars": [name]}))
