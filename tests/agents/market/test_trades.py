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
    time_ms: int, number: int, price: float, quantity: float = 1.0, side: Literal["buy", "sell"] = "buy"
) -> Trade:
    return Trade(symbol="A", source="s", id=number, time_ms=time_ms, price=price, quantity=quantity, side=side)


def empty(rows: int) -> Columns:
    return {name: np.full(rows, start, dtype) for name, (dtype, start) in AGGREGATE.schema.items()}


def lifted(trades: list[Trade]) -> Columns:
    events = {
        "time_ms": np.array([one.time_ms for one in trades], np.int64),
        "id": np.array([one.id for one in trades], np.int64),
    }
    return AGGREGATE.lift(events | columns(trades))


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
        "open_id": 2,
        "open": 5.0,
        "high": 8.0,
        "high_ms": 10,
        "high_id": 9,
        "low": 5.0,
        "low_ms": 10,
        "low_id": 2,
        "close_ms": 30,
        "close_id": 6,
        "close": 5.0,
        "volume": 7.5,
        "notional": 42.0,
        "buy_volume": 4.5,
        "count": 4,
        "largest": 4.0,
        "first_id": 2,
        "last_id": 9,
    }


def test_it_is_made_for_trades() -> None:
    assert (TRADE_SLICES.topic.name, TRADE_SLICES.record, TRADE_SLICES.lateness_ms) == ("trades", Trade, 2000)


quarters = st.integers(1, 12).map(lambda n: n / 4)  # exact sums: any order gives the same
trades = st.lists(
    st.builds(trade, st.integers(0, 3), st.integers(0, 60), quarters, quarters, st.sampled_from(["buy", "sell"])),
    min_size=1,
    max_size=25,
    unique_by=lambda one: one.id,
)


def oracle(trades: list[Trade]) -> dict[str, Any]:
    first = min(trades, key=lambda one: (one.time_ms, one.id))
    last = max(trades, key=lambda one: (one.time_ms, one.id))
    high = min(trades, key=lambda one: (-one.price, one.time_ms, one.id))
    low = min(trades, key=lambda one: (one.price, one.time_ms, one.id))
    return {
        "open_ms": first.time_ms,
        "open_id": first.id,
        "open": first.price,
        "high": high.price,
        "high_ms": high.time_ms,
        "high_id": high.id,
        "low": low.price,
        "low_ms": low.time_ms,
        "low_id": low.id,
        "close_ms": last.time_ms,
        "close_id": last.id,
        "close": last.price,
        "volume": sum(one.quantity for one in trades),
        "notional": sum(one.price * one.quantity for one in trades),
        "buy_volume": sum(one.quantity for one in trades if one.side == "buy"),
        "count": len(trades),
        "largest": max(one.quantity for one in trades),
        "first_id": min(one.id for one in trades),
        "last_id": max(one.id for one in trades),
    }


@settings(max_examples=100, deadline=None)
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
