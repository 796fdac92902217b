"""What agents' files define, with what it is made from, and the topics that they declare."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.engine.made_frames import WINDOWING
from tickertape.agents.market.bars import TRADE_BARS
from tickertape.agents.market.ema import EMA
from tickertape.agents.market.trades import TRADE_SLICES
from tickertape.schemas.topics import BARS, CATALOGUE, Topic
from tickertape.stream.engine.define.discovery import agents_of, discover
from tickertape.stream.errors import ConfigError

OWN = """
from tickertape import FLOAT, TRADE_BARS, Recursion, Topic
from tickertape.agents.market.ema import Ema, step

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
    with pytest.raises(ConfigError, match="topic bars: it is declared twice, and not alike: give one another name"):
        agents_of([TRADE_BARS, _with_sink(other)])
    agents_of([TRADE_BARS, _with_sink(replace(BARS))])


def test_a_topic_has_one_slicing() -> None:
    with pytest.raises(ConfigError, match="topic trades: two slicings read it; one makes all slices of a topic"):
        agents_of([TRADE_BARS, WINDOWING])


def _with_sink(topic: Topic) -> object:
    from dataclasses import replace as changed

    return changed(EMA, sink=topic)
