"""Results as records, and final ones as columns."""

import json

import numpy as np
from msgspec import Struct

from tickertape.stream.engine.core.results import NOTHING, Finals, Results, ResultWriter, output_of


class Mean(Struct, frozen=True, tag_field="kind", tag="mean"):
    symbol: str
    source: str
    resolution: str
    start_ms: int
    mean: float | None
    final: bool


class Plain(Struct, frozen=True):
    symbol: str
    source: str
    resolution: str
    start_ms: int


KEYS = [("A", "s", "1s", 1000), ("B", "all", "1m", 60_000)]


def test_a_record_says_which_window_it_is_in_its_key_and_its_value() -> None:
    output = output_of("indicators", Mean)
    columns = {"mean": np.array([1.5, np.nan]), "final": np.array([True, False]), "more": np.array([1, 2])}
    first, second = Results(ResultWriter(output).write(KEYS, columns))
    assert first[:3] == (output, "A", b"A|s|1s|1000|mean")
    assert json.loads(first[3]) == {
        "kind": "mean",
        "symbol": "A",
        "source": "s",
        "resolution": "1s",
        "start_ms": 1000,
        "mean": 1.5,
        "final": True,
    }
    # What isn't a number is null in JSON.
    assert json.loads(second[3])["mean"] is None
    assert second[2] == b"B|all|1m|60000|mean"


def test_results_that_are_the_only_ones_on_a_topic_have_no_kind() -> None:
    output = output_of("bars", Plain)
    assert (output.name, output_of("indicators", Mean).name) == ("bars", "indicators/mean")
    results = Results(ResultWriter(output).write(KEYS, {}))
    assert [key for _, _, key, _ in results] == [b"A|s|1s|1000", b"B|all|1m|60000"]


def test_finals_are_put_together_and_cut_to_some_columns() -> None:
    one = Finals(KEYS[:1], np.array([3]), {"close": np.array([1.0])})
    two = Finals(KEYS[1:], np.array([4]), {"close": np.array([2.0]), "volume": np.array([9.0])})
    both = one.and_(two)
    assert both.keys == KEYS
    assert both.shards.tolist() == [3, 4]
    assert {name: column.tolist() for name, column in both.columns.items()} == {"close": [1.0, 2.0]}
    assert (one.and_(NOTHING), NOTHING.and_(two)) == (one, two)
    assert two.only({"volume"}).columns.keys() == {"volume"}
    assert NOTHING.only({"volume"}).columns == {}
