"""The check of a contestant's rows finds each that is wrong."""

from typing import Any, Literal

import msgspec
import pytest

from bench.peers.truth import Key, Row, compare, decode, truth
from tickertape.agents.market.bars import Bar
from tickertape.schemas.trade import Trade


def trade(number: int, symbol: str, time_ms: int, price: float, quantity: float, side: Literal["buy", "sell"]) -> Trade:
    return Trade(symbol=symbol, source="x", id=number, time_ms=time_ms, price=price, quantity=quantity, side=side)


TRADES = [
    trade(0, "A-USD", 7_000, 10.0, 2.0, "buy"),
    trade(1, "B-USD", 7_100, 5.0, 1.0, "sell"),
    trade(2, "A-USD", 7_500, 12.0, 1.0, "sell"),
    trade(3, "A-USD", 7_999, 8.0, 1.0, "buy"),
    trade(4, "A-USD", 8_000, 9.0, 4.0, "sell"),
]
# (10·2 + 12 + 8) / 4 = 10
A7 = Row(open=10.0, high=12.0, low=8.0, close=8.0, volume=4.0, vwap=10.0, buy_volume=3.0, trades=3)
EXPECTED: dict[Key, Row] = {
    ("A-USD", 7_000): A7,
    ("B-USD", 7_000): Row(5.0, 5.0, 5.0, 5.0, 1.0, 5.0, 0.0, 1),
    ("A-USD", 8_000): Row(9.0, 9.0, 9.0, 9.0, 4.0, 9.0, 0.0, 1),
}
#: A row long before the last seconds.
EARLY: dict[Key, Row] = {("A-USD", 1_000): A7}


def test_the_truth_has_a_row_for_each_symbol_and_second() -> None:
    assert truth(TRADES) == EXPECTED


def test_all_rows_right() -> None:
    assert compare(EXPECTED, EXPECTED) == (3, 3, 0, [])


@pytest.mark.parametrize(
    "wrong",
    [
        {"open": 10.000001},
        {"high": 12.5},
        {"low": 7.0},
        {"close": 12.0},
        {"volume": 4.0001},
        {"vwap": 9.999},
        {"buy_volume": 2.0},
        {"trades": 4},
    ],
)
def test_a_wrong_field_is_found(wrong: dict[str, float]) -> None:
    found = EXPECTED | {("A-USD", 7_000): A7._replace(**wrong)}
    checked = compare(EXPECTED, found)
    assert (checked.right, len(checked.faults)) == (2, 1)
    assert "('A-USD', 7000) must be" in checked.faults[0]


def test_sums_may_differ_in_their_last_digits() -> None:
    found = EXPECTED | {("A-USD", 7_000): A7._replace(volume=4.0 + 1e-12, vwap=10.0 - 1e-12)}
    assert compare(EXPECTED, found).right == 3


def test_a_missing_row_is_found_unless_it_is_of_the_last_seconds() -> None:
    expected = EXPECTED | EARLY
    assert compare(expected, EARLY) == (4, 1, 3, [])
    assert compare(expected, EXPECTED) == (4, 3, 0, ["('A-USD', 1000) is missing"])


def test_a_row_that_nobody_expects_is_found() -> None:
    assert compare(EXPECTED, EXPECTED | EARLY).faults == ["('A-USD', 1000) is expected by nobody"]


def bar(**changes: Any) -> bytes:
    fields = {"symbol": "A-USD", "source": "all", "resolution": "1s", "start_ms": 7_000, "final": True} | changes
    prices = {"open": 10.0, "high": 12.0, "low": 8.0, "close": 8.0, "open_ms": 7_000, "close_ms": 7_999, "vwap": 10.0}
    sums = {"volume": 4.0, "notional": 40.0, "count": 3, "buy_volume": 3.0, "buy_share": 0.75, "largest": 2.0}
    rest = {"realised_volatility": 0.0, "missing": 0, "revision": 3, "incomplete": False}
    return msgspec.json.encode(Bar(**fields, **prices, **sums, **rest))


def test_our_final_bars_of_a_second_over_all_sources_count() -> None:
    assert decode(b"any", bar()) == (("A-USD", 7_000), A7)
    assert [decode(b"any", bar(**other)) for other in ({"source": "x"}, {"resolution": "1m"}, {"final": False})] == [
        None,
        None,
        None,
    ]


def test_rows_of_others_are_objects_or_arrays() -> None:
    value = b'{"symbol":"A-USD","start_ms":7000,"open":10,"high":12,"low":8,"close":8.0,"volume":4,"vwap":10,'
    assert decode(None, value + b'"buy_volume":3,"count":3}') == (("A-USD", 7_000), A7)
    assert decode(None, value + b'"buy_volume":3,"count":3,"diff":-1,"time":5}') is None
    assert decode(b"A-USD", b"[10.0,12,8,8,4,10,3,3,7]") == (("A-USD", 7_000), A7)
    # Faust's keys are JSON.
    assert decode(b'"A-USD"', b"[10.0,12,8,8,4,10,3,3,7]") == (("A-USD", 7_000), A7)
