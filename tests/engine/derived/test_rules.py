"""Rules: when they come true, by hand and by Polars; and what is told of those that are none."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.discovery import discover
from tickertape.stream.engine.derived.derived import outputs_of
from tickertape.stream.engine.derived.rules import Cross, Rule, Threshold, Zscore, load
from tickertape.stream.errors import ConfigError

NAN = float("nan")


def fires(rule: Rule, **fields: list[float]) -> list[int]:
    """Step through results of one series; return with which of them the rule comes true."""
    state: Columns = {name: np.full(1, start, dtype) for name, (dtype, start) in rule.state.items()}
    found = []
    for i in range(len(next(iter(fields.values())))):
        made = rule.step(state, {name: np.array([values[i]]) for name, values in fields.items()})
        if made["fires"][0]:
            found.append(i)
    return found


def rule(kind: Any, **changes: Any) -> Any:
    return kind(**({"name": "r", "on": "bars", "field": "x"} | changes))


def test_a_threshold_comes_true_once_and_again_when_it_was_back() -> None:
    assert fires(rule(Threshold, above=10), x=[9, 10, 11, 12, 10, 11, 9, 12]) == [2, 5, 7]
    assert fires(rule(Threshold, above=10, rearm=9), x=[9, 10, 11, 12, 10, 11, 9, 12]) == [2, 7]
    assert fires(rule(Threshold, below=10), x=[11, 9, 8, 10, 9]) == [1, 4]
    assert fires(rule(Threshold, below=10, rearm=12), x=[11, 9, 11, 9, 12, 9]) == [1, 5]


def test_the_first_value_may_be_beyond_it() -> None:
    assert fires(rule(Threshold, above=10), x=[11, 12]) == [0]


def test_what_is_null_changes_nothing() -> None:
    assert fires(rule(Threshold, above=10), x=[NAN, 11, NAN, 12, NAN, 9, NAN, 11]) == [1, 7]
    assert fires(rule(Cross, over="y"), x=[1, NAN, 3, 3], y=[2, 2, NAN, 2]) == [3]


def test_a_field_crosses_another() -> None:
    x, y = [1, 2, 3, 2, 2, 1, 3], [2, 2, 2, 2, 2, 2, 2]
    assert fires(rule(Cross, over="y"), x=x, y=y) == [2, 5, 6]
    assert fires(rule(Cross, over="y", direction="up"), x=x, y=y) == [2, 6]
    assert fires(rule(Cross, over="y", direction="down"), x=x, y=y) == [5]
    assert fires(rule(Cross, over=2.0), x=x) == [2, 5, 6]


def test_the_side_that_it_begins_on_is_no_crossing() -> None:
    assert fires(rule(Cross, over=2.0), x=[3, 2, 2, 3]) == []


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=60), st.integers(2, 20))
def test_the_baseline_of_a_z_score_is_what_polars_finds(values: list[float], windows: int) -> None:
    one = rule(Zscore, windows=windows, above=2)
    state: Columns = {name: np.full(1, start, dtype) for name, (dtype, start) in one.state.items()}
    for value in values:
        one.step(state, {"x": np.array([value])})
    series = pl.Series(values)
    alpha = 2 / (windows + 1)
    assert state["mean"][0] == pytest.approx(series.ewm_mean(alpha=alpha, adjust=False)[-1], rel=1e-9, abs=1e-9)
    variance = series.ewm_var(alpha=alpha, adjust=False, bias=True)[-1]
    assert state["variance"][0] == pytest.approx(variance, rel=1e-9, abs=1e-9)


def test_a_z_score_is_of_the_baseline_before_it() -> None:
    calm = [10.0, 12.0] * 10
    # The mean is about 11, and the deviation 1.
    assert fires(rule(Zscore, windows=4, above=5), x=[*calm, 30, 11, 11]) == [20]
    assert fires(rule(Zscore, windows=4, below=-5), x=[*calm, 30, 11, 11]) == []
    assert fires(rule(Zscore, windows=4, below=-5), x=[*calm, -30]) == [20]
    # Not before there is one.
    assert fires(rule(Zscore, windows=30, above=5), x=[*calm, 30]) == []
    assert fires(rule(Zscore, windows=4, above=5), x=[7.0] * 10 + [8.0]) == [], "nothing has moved so far"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("rule = 3", "Expected `array`"),
        ('[[rule]]\nname = "a"', "missing required field `when`"),
        ('[[rule]]\nwhen = "never"\nname = "a"\non = "bars"\nfield = "x"', "Invalid value 'never'"),
        ('[[rule]]\nwhen = "threshold"\nname = "a|b"\non = "bars"\nfield = "x"', "`name`|pattern|match"),
        ('[[rule]]\nwhen = "threshold"\nname = "a"\non = "bars"\nfield = "x"\nabov = 1', "unknown field `abov`"),
        ('[[rule]]\nwhen = "threshold"\nname = "a"\non = "bars"\nfield = "x"', "rule a: it needs either `above`"),
        (
            '[[rule]]\nwhen = "threshold"\nname = "a"\non = "bars"\nfield = "x"\nabove = 1\nrearm = 2',
            "rule a: `rearm` 2 must not be beyond the level 1",
        ),
        (
            2 * '[[rule]]\nwhen = "cross"\nname = "a"\non = "bars"\nfield = "x"\nover = 1.0\n',
            "rule a: another rule has this name",
        ),
        ("[[rule]", "signals="),
    ],
)
def test_what_is_no_rule_is_told_in_a_line(tmp_path: Path, text: str, wrong: str) -> None:
    path = tmp_path / "signals.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=wrong) as caught:
        load(str(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_told_of() -> None:
    with pytest.raises(ConfigError, match=r"signals=not/here.toml: .*No such file"):
        load("not/here.toml")


def test_the_rules_that_the_project_shows_fit_its_agents() -> None:
    agents = discover(["tickertape.agents"])
    shown = str(Path(__file__).parents[3] / "docs" / "signals.toml")
    outputs = outputs_of(agents.windowings, agents.recipes, Settings(signals=shown))
    assert {f"signals/{one.name}" for one in load(shown)} == {one.name for one in outputs if one.sink == "signals"}
