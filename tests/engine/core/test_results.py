"""Results as records, and final ones as columns."""

import json

import numpy as np
from msgspec import Struct

from tickertape.stream.compiled.texts import Coded
from tickertape.stream.engine.core.results import (
    NOTHING,
    Finals,
    Results,
    ResultWriter,
    SinkPartitions,
    WindowKeys,
    output_of,
)
from tickertape.stream.kafka.partition import partition_for


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


def test_keys_are_columns_that_read_as_rows() -> None:
    keys = WindowKeys.of([*KEYS, ("A", "all", "1s", 2000)])
    assert list(keys) == [*KEYS, ("A", "all", "1s", 2000)]
    assert (len(keys), keys[1], keys.symbol.names) == (3, KEYS[1], ["A", "B"])
    assert list(keys[np.array([2, 0])]) == [("A", "all", "1s", 2000), KEYS[0]]
    assert list(keys[1:]) == list(keys)[1:]


def test_names_that_are_added_later_are_written_too() -> None:
    names, writer = ["A"], ResultWriter(output_of("bars", Plain))

    def written(codes: list[int]) -> list[bytes]:
        zeros = np.zeros(len(codes), np.int64)
        coded = Coded(names, np.array(codes, np.int64))
        keys = WindowKeys(coded, Coded(["s"], zeros), Coded(["1s"], zeros), zeros)
        return [key for _, _, key, _ in Results(writer.write(keys, {}))]

    assert written([0]) == [b"A|s|1s|0"]
    names.append("B")
    assert written([1, 0]) == [b"B|s|1s|0", b"A|s|1s|0"]
    # Other names have other codes.
    names = ["B"]
    assert written([0]) == [b"B|s|1s|0"]


def test_each_result_goes_to_the_partition_of_its_symbol() -> None:
    names = ["BTC-USD", "ETH-USD"]
    partitions = SinkPartitions({"bars": 4, "more": 1})
    expected = {name: partition_for(name, 4) for name in ("BTC-USD", "ETH-USD", "SOL-USD")}
    symbols = Coded(names, np.array([1, 0, 1]))
    found = {at: partition for partition, places in partitions.split("bars", symbols) for at in places.tolist()}
    assert found == {0: expected["ETH-USD"], 1: expected["BTC-USD"], 2: expected["ETH-USD"]}
    names.append("SOL-USD")
    ((partition, places),) = partitions.split("bars", Coded(names, np.array([2, 2])))
    assert (partition, places.tolist()) == (expected["SOL-USD"], [0, 1])
    assert [partition for partition, _ in partitions.split("more", symbols)] == [0]
    # Other names have other codes.
    assert [one for one, _ in partitions.split("bars", Coded(["SOL-USD"], np.array([0])))] == [expected["SOL-USD"]]
