"""The simulated market: the same for a seed, and shaped as markets are."""

import numpy as np
import numpy.typing as npt
import pytest

from schemas.trade import Trade
from stream.feeds.market import TICK_MS, Market, Tick

SECONDS = 60


def joined(ticks: list[Tick]) -> Tick:
    return Tick(*(np.concatenate(column) for column in zip(*ticks, strict=True)))


@pytest.fixture(scope="module")
def minute() -> tuple[Market, Tick]:
    market = Market(symbols=20, rate=5000, seed=1)
    return market, joined([market.step() for _ in range(SECONDS * 1000 // TICK_MS)])


def closes(market: Market, minute: Tick, symbol: int) -> npt.NDArray[np.float64]:
    """Return the last price of each second."""
    own = minute.symbol == symbol
    last = np.searchsorted(minute.offset_ms[own], np.arange(1, SECONDS + 1) * 1000) - 1
    assert market.symbols[symbol]
    return np.asarray(minute.price[own][last])


def test_the_same_seed_is_the_same_market_and_another_is_another() -> None:
    def start(seed: int) -> list[Trade]:
        market = Market(symbols=10, rate=5000, seed=seed)
        ticks = [market.step() for _ in range(50)]
        return [trade for tick in ticks for trade in market.trades(tick, tick.offset_ms + 1_700_000_000_000)]

    assert start(3) == start(3)
    assert start(3) != start(4)


def test_trades_are_in_order_and_ids_have_no_gap(minute: tuple[Market, Tick]) -> None:
    _, tick = minute
    assert (np.diff(tick.offset_ms) >= 0).all()
    assert tick.offset_ms[-1] < SECONDS * 1000
    for symbol in range(20):
        ids = tick.id[tick.symbol == symbol]
        assert (ids == np.arange(1, len(ids) + 1)).all()


def test_prices_and_sizes_are_above_zero_and_on_a_decimal_grid(minute: tuple[Market, Tick]) -> None:
    market, tick = minute
    for trade in market.trades(tick.head(2000), tick.head(2000).offset_ms):
        assert trade.price > 0
        assert trade.quantity > 0
        # As few digits as an exchange shows, with no float's tail.
        assert len(repr(trade.price)) <= 9
        assert len(repr(trade.quantity)) <= 12


def test_the_rate_is_as_asked_in_the_long_run(minute: tuple[Market, Tick]) -> None:
    assert len(minute[1].id) / SECONDS == pytest.approx(5000, rel=0.1)


def test_activity_falls_with_the_rank_as_zipf_has_it(minute: tuple[Market, Tick]) -> None:
    counts = np.bincount(minute[1].symbol, minlength=20)
    slope, _ = np.polyfit(np.log(np.arange(1, 21)), np.log(counts), 1)
    assert slope == pytest.approx(-1, abs=0.1)


def test_trades_come_in_clusters(minute: tuple[Market, Tick]) -> None:
    _, tick = minute
    for symbol in range(3):
        per_second = np.bincount(tick.offset_ms[tick.symbol == symbol] // 1000, minlength=SECONDS)
        # Of a Poisson process it is one.
        assert per_second.var() / per_second.mean() > 2


def test_returns_go_together_and_takers_buy_where_prices_rise(minute: tuple[Market, Tick]) -> None:
    market, tick = minute
    returns = [np.diff(np.log(closes(market, tick, symbol))) for symbol in range(4)]
    assert np.corrcoef(returns)[np.triu_indices(4, 1)].mean() > 0.15
    sides = np.where(tick.buy, 1.0, -1.0)
    leads = tick.symbol == 0
    flow = np.bincount(tick.offset_ms[leads] // 1000, sides[leads], minlength=SECONDS)[1:]
    assert np.corrcoef(returns[0], flow)[0, 1] > 0.3


def test_any_number_of_symbols_has_distinct_names() -> None:
    for symbols in (1, 7, 50, 1500):
        assert len(set(Market(symbols).symbols)) == symbols
