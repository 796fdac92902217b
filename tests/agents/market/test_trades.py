"""What a slice of trades holds, against plain Python; whatever the split and the order."""

import json
from typing import Any, Literal

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickertape.agents.market.trades import TRADE_SLICES, TradeSlice, columns
from tickertape.schemas.trade import Trade
from tickertape.stream.engine.core.columns import ids
from tickertape.stream.engine.core.names import BadRecord
from tickertape.stream.engine.core.records import StructRecords
from tickertape.stream.engine.core.table import Columns

AGGREGATE = TradeSlice()
TRADE = {
    "symbol": "A",
    "source": "s",
    "id": 1,
    "time_ms": 1_700_000_000_000,
    "price": 1.0,
    "quantity": 1.0,
    "side": "buy",
}


def trade(
    time_ms: int,
    number: int | str,
    price: float,
    quantity: float = 1.0,
    side: Literal["buy", "sell"] | None = "buy",
    sequence: int | None = None,
    more: int | None = None,
) -> Trade:
    last = None if more is None else int(number) + more
    fields: dict[str, Any] = {"id": number, "time_ms": time_ms, "price": price, "quantity": quantity, "side": side}
    return Trade(symbol="A", source="s", **fields, sequence=sequence, last_id=last)


def empty(rows: int) -> Columns:
    return {name: np.full(rows, start, dtype) for name, (dtype, start) in AGGREGATE.schema.items()}


def lifted(trades: list[Trade]) -> Columns:
    events = {
        "time_ms": np.array([one.time_ms for one in trades], np.int64),
        "id": ids([one.id for one in trades]),
    }
    return AGGREGATE.lift(events | columns(StructRecords(Trade, trades)))


def folded(*trades: Trade) -> dict[str, Any]:
    whole = empty(1)
    AGGREGATE.merge(whole, np.zeros(len(trades), np.int64), lifted(list(trades)))
    return {name: column[0] for name, column in whole.items()}


def test_by_hand() -> None:
    assert folded(
        trade(20, 3, 8.0, 0.5),
        trade(10, 2, 5.0, 2.0, "sell"),  # the first of its ms by id, and the least price, first
        trade(30, 6, 5.0, 4.0),  # the last
        trade(10, 9, 8.0, 1.0, "sell"),  # the greatest price, first
    ) == {
        "open_ms": 10,
        "open_sequence": 0,
        "open_id": 2,
        "open": 5.0,
        "high": 8.0,
        "high_ms": 10,
        "high_id": 9,
        "low": 5.0,
        "low_ms": 10,
        "low_id": 2,
        "close_ms": 30,
        "close_sequence": 0,
        "close_id": 6,
        "close": 5.0,
        "volume": 7.5,
        "notional": 42.0,
        "buy_volume": 4.5,
        "unsided_volume": 0.0,
        "count": 4,
        "more_trades": 0,
        "largest": 4.0,
        "first_id": 2,
        "last_id": 9,
    }


def test_it_is_made_for_trades() -> None:
    assert (TRADE_SLICES.topic.name, TRADE_SLICES.record, TRADE_SLICES.lateness_ms) == ("trades", Trade, 2000)


quarters = st.integers(1, 12).map(lambda n: n / 4)  # exact sums: any order gives the same
trades = st.lists(
    st.builds(
        trade,
        st.integers(0, 3),
        st.integers(0, 60),
        quarters,
        quarters,
        st.sampled_from(["buy", "sell", None]),
        st.sampled_from([None, 0, 1, 2]),
        st.sampled_from([None, 0, 5]),
    ),
    min_size=1,
    max_size=25,
    unique_by=lambda one: one.id,
)


def oracle(trades: list[Trade]) -> dict[str, Any]:
    first = min(trades, key=lambda one: (one.time_ms, one.sequence or 0, one.id))
    last = max(trades, key=lambda one: (one.time_ms, one.sequence or 0, one.id))
    lasts = [one.id if one.last_id is None else one.last_id for one in trades]
    high = min(trades, key=lambda one: (-one.price, one.time_ms, one.id))
    low = min(trades, key=lambda one: (one.price, one.time_ms, one.id))
    return {
        "open_ms": first.time_ms,
        "open_sequence": first.sequence or 0,
        "open_id": first.id,
        "open": first.price,
        "high": high.price,
        "high_ms": high.time_ms,
        "high_id": high.id,
        "low": low.price,
        "low_ms": low.time_ms,
        "low_id": low.id,
        "close_ms": last.time_ms,
        "close_sequence": last.sequence or 0,
        "close_id": last.id,
        "close": last.price,
        "volume": sum(one.quantity for one in trades),
        "notional": sum(one.price * one.quantity for one in trades),
        "buy_volume": sum(one.quantity for one in trades if one.side == "buy"),
        "unsided_volume": sum(one.quantity for one in trades if one.side is None),
        "count": len(trades),
        "more_trades": sum(last - int(one.id) for one, last in zip(trades, lasts, strict=True)),
        "largest": max(one.quantity for one in trades),
        "first_id": min(one.id for one in trades),
        "last_id": max(lasts),
    }


@settings(max_examples=100)
@given(trades=trades, data=st.data())
def test_any_split_and_any_order_is_what_plain_python_finds(trades: list[Trade], data: st.DataObject) -> None:
    n = len(trades)
    shuffled = [trades[i] for i in data.draw(st.permutations(range(n)))]
    part = np.array(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)))
    parts, whole = empty(4), empty(1)
    AGGREGATE.merge(parts, part, lifted(shuffled))
    meet = np.array(data.draw(st.permutations(range(4))))
    AGGREGATE.merge(whole, np.zeros(4, np.int64), {name: column[meet] for name, column in parts.items()})
    assert {name: column[0] for name, column in whole.items()} == oracle(trades)


def test_trades_of_two_sources_may_share_time_and_id() -> None:
    # Over all sources a tie is no repetition, and which came first is nobody's to say: any order, the same open.
    one, other = trade(10, 1, 5.0), trade(10, 1, 6.0)
    assert folded(one, other) == folded(other, one)


@pytest.mark.filterwarnings("error")
def test_no_trade_that_may_pass_makes_a_bar_without_a_number() -> None:
    most = json.dumps({**TRADE, "price": 1e18, "quantity": 1e18}).encode()
    assert folded(*[msgspec.json.decode(most, type=Trade)] * 1000)["notional"] == pytest.approx(1e39)


@pytest.mark.parametrize("field", ["price", "quantity"])
@pytest.mark.parametrize("value", [1.0000001e18, 1e200, 0, -1.0])
def test_a_price_or_quantity_past_the_bounds_is_no_trade(field: str, value: float) -> None:
    with pytest.raises(msgspec.ValidationError, match=f"Expected `float` .* at `\\$.{field}`"):
        msgspec.json.decode(json.dumps({**TRADE, field: value}), type=Trade)


def test_a_sources_name_has_24_characters_at_most() -> None:
    assert msgspec.json.decode(json.dumps({**TRADE, "source": "s" * 24}), type=Trade).source == "s" * 24
    with pytest.raises(msgspec.ValidationError, match="length <= 24"):
        msgspec.json.decode(json.dumps({**TRADE, "source": "s" * 25}), type=Trade)


def test_trades_of_one_moment_are_in_the_order_of_their_sequence_then_of_their_ids() -> None:
    found = folded(
        trade(10, 7, 3.0, sequence=2),
        trade(10, 9, 1.0, sequence=1),  # the first
        trade(10, 8, 2.0, sequence=2),  # the last: of the greatest sequence, the greatest id
    )
    assert (found["open"], found["close"]) == (1.0, 2.0)


def test_an_aggregate_stands_for_all_of_its_trades() -> None:
    found = folded(trade(10, 5, 1.0, more=2), trade(20, 10, 1.0))
    assert (found["count"], found["more_trades"], found["first_id"], found["last_id"]) == (2, 2, 5, 10)
    assert folded(trade(10, 5, 1.0, more=2))["last_id"] == 7


def test_a_text_for_an_id_is_a_negative_number() -> None:
    found = folded(trade(10, "0b59b9ee-1f2a-4f30-a1f7-d5c5e2c6c6ae", 1.0), trade(11, 3, 1.0))
    assert found["first_id"] < 0


@pytest.mark.parametrize(
    ("number", "last_id", "reason"),
    [
        (5, 4, "last_id is 4, but must be at least the id, 5"),
        (5, 5 + 2**31, "less than 2\\^31 above it"),
        ("a", 7, "whose id is a text can't have a last_id"),
    ],
)
def test_a_last_id_that_can_not_be(number: int | str, last_id: int, reason: str) -> None:
    one = msgspec.convert(TRADE | {"id": number, "last_id": last_id}, Trade)
    with pytest.raises(BadRecord, match=reason):
        columns(StructRecords(Trade, [one]))


@pytest.mark.parametrize("fields", [{"id": ""}, {"id": "x" * 65}, {"id": -1}, {"side": "both"}, {"sequence": -1}])
def test_fields_that_can_not_be(fields: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(TRADE | fields, Trade)
