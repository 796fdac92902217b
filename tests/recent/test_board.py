"""The board: what a row shows, worked out by hand, and what a client is told of changes."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.recent.made import MINUTE_MS, T0, Told, bar
from tickertape.stream.errors import ConfigError
from tickertape.stream.recent.columns import load


def snapshot(told: Told) -> dict[str, Any]:
    return dict(msgspec.json.decode(told.recent.board.snapshot()))


def value(told: Told, column: str, symbol: str) -> Any:
    shown = snapshot(told)
    return shown["values"][column][shown["symbols"].index(symbol)]


def test_the_newest_window_is_shown_and_a_late_correction_of_an_older_one_is_not() -> None:
    told = Told()
    told.rounds([bar("A", 0, 10.0, 1), bar("A", 1, 11.0, 1)], [bar("A", 0, 9.0, 5, final=True)])
    assert value(told, "last", "A") == 11.0
    assert value(told, "volume", "A") is None
    told.rounds([bar("A", 0, 11.0, 9, resolution="1m", volume=7.5)])
    assert value(told, "volume", "A") == 7.5


def test_only_all_sources_together_are_shown() -> None:
    told = Told()
    told.rounds([bar("A", 0, 10.0, 1, source="s")])
    assert snapshot(told)["symbols"] == []


def test_the_change_is_since_the_first_price_until_an_hour_is_over() -> None:
    told = Told()
    told.rounds([bar("A", 0, 100.0, 1)], [bar("A", 1, 103.0, 1)])
    assert value(told, "change", "A") == pytest.approx(0.03)
    told.rounds([bar("A", -3600, 80.0, 1, resolution="1h"), bar("A", 0, 103.0, 1, resolution="1h")])
    assert value(told, "change", "A") == pytest.approx(103 / 80 - 1)


def test_the_spark_has_the_last_closes_of_full_seconds() -> None:
    told = Told()
    told.rounds([bar("A", 0, 1.0, 1)], [bar("A", 0, 2.0, 2), bar("A", 1, 3.0, 1)], [bar("A", 3, 4.0, 1)])
    assert snapshot(told)["spark"] == [[2.0, 3.0]]
    told.rounds(*[[bar("A", second, float(second), 1)] for second in range(4, 70)])
    assert snapshot(told)["spark"] == [[float(second) if second > 3 else 4.0 for second in range(9, 69)]]


def test_the_rate_is_that_of_three_full_seconds_and_falls_to_zero() -> None:
    told = Told()
    told.rounds([bar("A", 0, 1.0, 30)], [bar("A", 1, 1.0, 60)], [bar("A", 2, 1.0, 90)], [bar("A", 3, 1.0, 999)])
    assert value(told, "rate", "A") == (30 + 60 + 90) / 3
    before = told.recent.number
    told.rounds([bar("B", 6, 1.0, 1)])
    assert value(told, "rate", "A") == 999 / 3
    assert msgspec.json.decode(told.recent.board.delta(before))["rows"] == [0, 1]
    told.rounds([bar("B", 9, 1.0, 1)])
    assert value(told, "rate", "A") == 0


def test_the_count_stands_in_for_trades_of_bars_that_lack_them() -> None:
    told = Told()
    told.rounds([bar("A", 0, 1.0, 30, trades=None)], [bar("A", 1, 1.0, 1)])
    assert value(told, "rate", "A") == 10


def test_a_delta_has_the_rows_that_changed_since_and_what_is_new() -> None:
    told = Told()
    told.rounds([bar("A", 0, 1.0, 1), bar("B", 0, 5.0, 1)])
    since = told.recent.number
    told.rounds([bar("B", 1, 6.0, 1)], [bar("C", 1, 7.0, 1)])
    delta = msgspec.json.decode(told.recent.board.delta(since))
    # A's rate changes too: its first second is over.
    assert (delta["symbols"], delta["rows"]) == (["C"], [0, 1, 2])
    assert delta["values"]["last"] == [1.0, 6.0, 7.0]
    assert delta["spark"] == [[1, 5.0]]
    since = told.recent.number
    told.rounds([bar("B", 0, 5.5, 9, final=True)])
    assert told.recent.board.number == since, "what isn't shown changes no row"


def test_a_column_that_nobody_publishes_is_left_out() -> None:
    names = [column.name for column in Told().recent.board.columns]
    assert names == ["last", "change", "spark", "volume", "notional", "spread", "rate", "rsi", "mood", "posts"]
    only_posts = Told(agents=["tickertape.agents.social"])
    assert [column.name for column in only_posts.recent.board.columns] == ["mood", "posts"]


def test_a_field_of_another_type_changes_nothing() -> None:
    told = Told()
    told.rounds([bar("A", 0, 1.0, 1)], [bar("A", 0, 2.0, 2) | {"close": "much"}])
    assert value(told, "last", "A") == 1.0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[column]]\nname = 'x'\n", "missing required field"),
        ("[[column]]\nname = 3\n", "Expected `str`"),
        ("not TOML", "Expected"),
        (
            2 * "[[column]]\nname='x'\ntitle=''\ntopic='bars'\nresolution='1s'\nfield='close'\n",
            "two columns are named x",
        ),
    ],
)
def test_a_wrong_file_of_columns_is_told(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "columns.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=told):
        load(path)


def test_the_first_hour_of_a_replay_has_its_own_base() -> None:
    told = Told()
    told.rounds([bar("A", 0, 50.0, 1, resolution="1h")], [bar("A", 0, 50.0, 1, start_ms=T0 - MINUTE_MS)])
    assert value(told, "change", "A") == 0
