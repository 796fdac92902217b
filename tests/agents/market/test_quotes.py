"""What a slice of quotes holds, against plain Python; whatever the split and the order."""

import json
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickertape.agents.market.quotes import QUOTE_SLICES, QuoteSlice, columns, imbalance_of, mid_of, spread_bps_of
from tickertape.schemas.quote import Quote
from tickertape.stream.engine.core.records import StructRecords
from tickertape.stream.engine.core.table import Columns

AGGREGATE = QuoteSlice()
QUOTE = {
    "symbol": "A",
    "source": "s",
    "id": 1,
    "time_ms": 1_700_000_000_000,
    "bid": 1.0,
    "bid_quantity": 1.0,
    "ask": 2.0,
    "ask_quantity": 1.0,
}


def quote(time_ms: int, number: int, bid: float, bids: float, ask: float, asks: float) -> Quote:
    return Quote(
        symbol="A", source="s", id=number, time_ms=time_ms, bid=bid, bid_quantity=bids, ask=ask, ask_quantity=asks
    )


def empty(rows: int) -> Columns:
    return {name: np.full(rows, start, dtype) for name, (dtype, start) in AGGREGATE.schema.items()}


def lifted(quotes: list[Quote]) -> Columns:
    events = {
        "time_ms": np.array([one.time_ms for one in quotes], np.int64),
        "id": np.array([one.id for one in quotes], np.int64),
    }
    return AGGREGATE.lift(events | columns(StructRecords(Quote, quotes)))


def folded(*quotes: Quote) -> dict[str, Any]:
    whole = empty(1)
    AGGREGATE.merge(whole, np.zeros(len(quotes), np.int64), lifted(list(quotes)))
    return {name: column[0] for name, column in whole.items()}


def test_by_hand() -> None:
    assert folded(
        quote(20, 3, 9.0, 1.0, 11.0, 3.0),  # the highest mid, and the widest spread: 2 in 10
        quote(10, 2, 7.0, 2.0, 9.0, 2.0),  # the first of its ms by id: a mid of 8, 2500 bps
        quote(30, 6, 7.5, 3.0, 8.5, 1.0),  # the last: 1 in 8
        quote(10, 9, 7.0, 1.0, 7.0, 1.0),  # locked: no spread, and the lowest mid
    ) == {
        "close_ms": 30,
        "close_id": 6,
        "bid": 7.5,
        "ask": 8.5,
        "bid_quantity": 3.0,
        "ask_quantity": 1.0,
        "open_ms": 10,
        "open_id": 2,
        "open": 8.0,
        "high": 10.0,
        "low": 7.0,
        "max_spread_bps": 2500.0,
        "spread_sum": 2000.0 + 2500.0 + 1250.0 + 0.0,
        "imbalance_sum": -0.5 + 0.0 + 0.5 + 0.0,
        "count": 4,
    }


def test_it_is_made_for_quotes() -> None:
    assert (QUOTE_SLICES.topic.name, QUOTE_SLICES.record, QUOTE_SLICES.lateness_ms) == ("quotes", Quote, 2000)


def test_a_crossed_book_has_a_spread_below_zero() -> None:
    assert folded(quote(1, 1, 11.0, 1.0, 9.0, 1.0))["max_spread_bps"] == -2000.0


# Mids of 8, 16 or 32 and spreads of up to as much, in quarters, so that sums of both are exact, in any order.
prices = st.tuples(st.sampled_from([8.0, 16.0, 32.0]), st.integers(-8, 8)).map(lambda p: (p[0] - p[1], p[0] + p[1]))
# And imbalances of quarters.
sizes = st.integers(1, 7).map(lambda n: (n / 4, 2 - n / 4))
quotes = st.lists(
    st.builds(
        lambda time_ms, number, price, size: quote(time_ms, number, price[0], size[0], price[1], size[1]),
        st.integers(0, 3),
        st.integers(0, 60),
        prices.filter(lambda price: min(price) > 0),
        sizes,
    ),
    min_size=1,
    max_size=25,
    unique_by=lambda one: one.id,
)


def oracle(quotes: list[Quote]) -> dict[str, Any]:
    first = min(quotes, key=lambda one: (one.time_ms, one.id))
    last = max(quotes, key=lambda one: (one.time_ms, one.id))
    spreads = [10_000 * (one.ask - one.bid) / ((one.ask + one.bid) / 2) for one in quotes]
    return {
        "close_ms": last.time_ms,
        "close_id": last.id,
        "bid": last.bid,
        "ask": last.ask,
        "bid_quantity": last.bid_quantity,
        "ask_quantity": last.ask_quantity,
        "open_ms": first.time_ms,
        "open_id": first.id,
        "open": (first.bid + first.ask) / 2,
        "high": max((one.bid + one.ask) / 2 for one in quotes),
        "low": min((one.bid + one.ask) / 2 for one in quotes),
        "max_spread_bps": max(spreads),
        "spread_sum": sum(spreads),
        "imbalance_sum": sum(
            (one.bid_quantity - one.ask_quantity) / (one.bid_quantity + one.ask_quantity) for one in quotes
        ),
        "count": len(quotes),
    }


@settings(max_examples=100)
@given(quotes=quotes, data=st.data())
def test_any_split_and_any_order_is_what_plain_python_finds(quotes: list[Quote], data: st.DataObject) -> None:
    n = len(quotes)
    shuffled = [quotes[i] for i in data.draw(st.permutations(range(n)))]
    part = np.array(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)))
    parts, whole = empty(4), empty(1)
    AGGREGATE.merge(parts, part, lifted(shuffled))
    meet = np.array(data.draw(st.permutations(range(4))))
    AGGREGATE.merge(whole, np.zeros(4, np.int64), {name: column[meet] for name, column in parts.items()})
    assert {name: column[0] for name, column in whole.items()} == oracle(quotes)


def test_quotes_of_two_sources_may_share_time_and_id() -> None:
    # Over all sources a tie is no repetition, and which came last is nobody's to say: any order, the same close.
    one, other = quote(10, 1, 5.0, 1.0, 6.0, 1.0), quote(10, 1, 5.0, 1.0, 6.0, 2.0)
    assert folded(one, other) == folded(other, one)
    assert folded(one, other)["ask_quantity"] == 2.0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("bid", "ask"), [(1e18, 1e18), (5e-324, 1e18), (1e18, 5e-324), (5e-324, 5e-324)])
def test_no_quote_that_may_pass_makes_a_metric_without_a_number(bid: float, ask: float) -> None:
    text = json.dumps({**QUOTE, "bid": bid, "ask": ask, "bid_quantity": bid, "ask_quantity": ask}).encode()
    some = columns(StructRecords(Quote, [msgspec.json.decode(text, type=Quote)] * 3))
    assert np.isfinite([metric(some) for metric in (mid_of, spread_bps_of, imbalance_of)]).all()
    assert (np.abs(spread_bps_of(some)) <= 20_000).all()
    assert (np.abs(imbalance_of(some)) <= 1).all()


@pytest.mark.parametrize("field", ["bid", "bid_quantity", "ask", "ask_quantity"])
@pytest.mark.parametrize("value", [1.0000001e18, 0, -1.0])
def test_a_price_or_quantity_past_the_bounds_is_no_quote(field: str, value: float) -> None:
    with pytest.raises(msgspec.ValidationError, match=f"Expected `float` .* at `\\$.{field}`"):
        msgspec.json.decode(json.dumps({**QUOTE, field: value}), type=Quote)
