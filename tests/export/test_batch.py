"""What a batch keeps of the records that it gets, and what rows become of it."""

from typing import Any

import msgspec
import pytest
from aiokafka.structs import TopicPartition

from tests.recent.made import T0, bar, block
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.export.batch import Batch, copied
from tickertape.stream.export.tables import tables_of
from tickertape.stream.recent.sinks import sinks_of
from tickertape.stream.telemetry import metrics

SINKS = sinks_of(Settings())
TABLES = tables_of(list(SINKS.values()))
COPIED = {topic: copied(sink, TABLES[topic]) for topic, sink in SINKS.items()}


def batch(*, finals: bool = False, most_rows: int = 100, most_bytes: int = 1 << 20) -> Batch:
    return Batch(COPIED, finals=finals, most_rows=most_rows, most_bytes=most_bytes)


def whole(symbol: str, second: int, close: float, revision: int, **fields: Any) -> dict[str, Any]:
    """Return a bar with all its fields."""
    numbers = ("open", "high", "low", "notional", "vwap", "buy_volume", "largest", "realised_volatility")
    others = {"open_ms": 1, "close_ms": 2, "buy_share": None, "missing": 0, "incomplete": False}
    return bar(symbol, second, close, revision, **dict.fromkeys(numbers, 1), **others) | fields


def rows(of: Batch, *names: str) -> list[tuple[Any, ...]]:
    found = []
    for _, table, some in of.tables():
        at = table.at(*names)
        found += [tuple(row[place] for place in at) for row in some]
    return found


def test_of_each_result_the_highest_is_kept() -> None:
    some = batch()
    some.add(block(whole("A", 0, 1.0, 1), whole("A", 0, 2.0, 2), whole("A", 1, 3.0, 1), whole("B", 0, 4.0, 9), start=7))
    some.add(block(whole("A", 0, 5.0, 1, final=True), whole("A", 0, 6.0, 8), whole("B", 0, 7.0, 8), partition=2))
    # A final with few events is above a provisional one with many.
    assert rows(some, "symbol", "start_ms", "close", "final", "revision") == [
        ("A", T0, 5.0, True, 1),
        ("A", T0 + 1000, 3.0, False, 1),
        ("B", T0, 4.0, False, 9),
    ]
    assert some.position == {TopicPartition("bars", 0): 11, TopicPartition("bars", 2): 3}


def test_it_is_full_by_rows_or_by_bytes() -> None:
    few = batch(most_rows=2)
    few.add(block(whole("A", 0, 1.0, 1), whole("A", 0, 1.0, 2)))
    assert not few.is_full
    few.add(block(whole("A", 1, 1.0, 1)))
    assert few.is_full
    size = len(msgspec.json.encode(whole("A", 0, 1.0, 1)))
    small = batch(most_bytes=2 * size)
    small.add(block(whole("A", 0, 1.0, 1)))
    # What is replaced takes no room.
    small.add(block(*[whole("A", 0, 1.0, revision) for revision in range(2, 9)]))
    assert not small.is_full
    small.add(block(whole("A", 1, 1.0, 1)))
    assert small.is_full


def test_finals_only() -> None:
    some = batch(finals=True)
    some.add(block(whole("A", 0, 1.0, 5), whole("A", 0, 2.0, 6, final=True), whole("A", 1, 1.0, 1)))
    assert rows(some, "close") == [(2.0,)]
    assert some.position == {TopicPartition("bars", 0): 3}


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"{",
        b'"text"',
        b"\xff{}",
        b'{"symbol":"A","source":"all","resolution":"2s","start_ms":0,"final":true,"revision":1}',  # no such width
        b'{"symbol":"A","source":"all","resolution":"1s","start_ms":0,"final":true,"revision":1}',  # no bar
    ],
)
def test_what_is_no_result_is_left_out_and_counted(value: bytes | None) -> None:
    count = metrics.EXPORT_RECORDS.labels("bars", "unreadable")
    before = count._value.get()
    some = batch()
    some.add(block(value, whole("A", 0, 1.0, 1)))
    assert rows(some, "close") == [(1.0,)]
    assert count._value.get() - before == 1
    assert some.position == {TopicPartition("bars", 0): 2}


def test_a_number_that_no_column_holds_is_left_out() -> None:
    some = batch()
    some.add(block(whole("A", 0, 1.0, 1, count=1 << 63), whole("A", 1, 1.0, 1, count=(1 << 63) - 1)))
    assert rows(some, "start_ms", "count") == [(T0 + 1000, (1 << 63) - 1)]


def test_a_nul_in_a_text_becomes_its_picture() -> None:
    some = batch()
    some.add(block(whole("A\0\"'", 0, 1.0, 1)))
    assert rows(some, "symbol") == [("A\N{SYMBOL FOR NULL}\"'",)]


def test_lists_are_json_and_a_nul_in_them_too() -> None:
    post = {
        "symbol": "A", "source": "all", "resolution": "1m", "start_ms": T0, "mentions": 1, "copies": 0,
        "copy_share": 0, "most_copied": [["a\0\\u0000", 2]], "unique_authors": 1, "unique_authors_error": 0,
        "engagement": 0, "scored": 0, "sentiment": None, "hashtags": [], "hashtags_error": 0, "final": True,
        "revision": 1, "incomplete": False,
    }  # fmt: skip
    some = batch()
    some.add(block(post, topic="social"))
    assert rows(some, "most_copied", "hashtags", "copy_share") == [('[["a␀\\\\u0000",2]]', "[]", 0.0)]


def test_the_kind_is_a_column_and_what_a_kind_lacks_is_null() -> None:
    rsi = {"kind": "rsi", "symbol": "A", "source": "all", "resolution": "1m", "start_ms": T0, "close": 1, "rsi": 50,
           "final": True, "revision": 3, "incomplete": False}  # fmt: skip
    some = batch()
    some.add(block(rsi, rsi | {"kind": "ema", "fast": 1.5, "slow": None, "revision": 4}, topic="indicators"))
    assert rows(some, "kind", "rsi", "fast", "revision") == [("rsi", 50.0, None, 3), ("ema", None, 1.5, 4)]
