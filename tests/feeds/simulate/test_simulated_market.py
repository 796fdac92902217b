"""The simulated market: the same for a seed, and shaped as markets are."""

import numpy as np
import numpy.typing as npt
import pytest

from tickertape.schemas.events import Event
from tickertape.stream.feeds.simulate.simulated_market import TICK_MS, Book, Market, Tick

SECONDS = 60


def run(market: Market, ticks: int) -> tuple[Tick, Book]:
    """Return the trades and the quotes of so many ticks."""
    trades, quotes = zip(*[market.step() for _ in range(ticks)], strict=True)
    tick = Tick(*(np.concatenate(column) for column in zip(*trades, strict=True)))
    return tick, Book(*(np.concatenate(column) for column in zip(*quotes, strict=True)))


@pytest.fixture(scope="module")
def minute() -> tuple[Market, Tick, Book]:
    market = Market(symbols=20, rate=5000, quotes=1.5, seed=1)
    return market, *run(market, SECONDS * 1000 // TICK_MS)


def closes(market: Market, minute: Tick, symbol: int) -> npt.NDArray[np.float64]:
    """Return the last price of each second."""
    own = minute.symbol == symbol
    last = np.searchsorted(minute.offset_ms[own], np.arange(1, SECONDS + 1) * 1000) - 1
    assert market.symbols[symbol]
    return np.asarray(minute.price[own][last])


def test_the_same_seed_is_the_same_market_and_another_is_another() -> None:
    def start(seed: int, quotes: float = 1.0) -> tuple[list[Event], list[Event]]:
        market = Market(symbols=10, rate=5000, quotes=quotes, seed=seed)
        tick, book = run(market, 50)
        return (
            [*market.trades(tick, tick.offset_ms + 1_700_000_000_000)],
            [*market.quotes(book, book.offset_ms + 1_700_000_000_000)],
        )

    (trades, quotes), other = start(3), start(4)
    assert start(3) == (trades, quotes)
    assert trades != other[0]
    assert quotes != other[1]
    # Quotes change no trade.
    assert start(3, quotes=0.0) == (trades, [])


def test_trades_are_in_order_and_ids_have_no_gap(minute: tuple[Market, Tick, Book]) -> None:
    _, tick, _ = minute
    assert (np.diff(tick.offset_ms) >= 0).all()
    assert tick.offset_ms[-1] < SECONDS * 1000
    for symbol in range(20):
        ids = tick.id[tick.symbol == symbol]
        assert (ids == np.arange(1, len(ids) + 1)).all()


def test_prices_and_sizes_are_above_zero_and_on_a_decimal_grid(minute: tuple[Market, Tick, Book]) -> None:
    market, tick, _ = minute
    for trade in market.trades(tick.head(2000), tick.head(2000).offset_ms):
        assert trade.price > 0
        assert trade.quantity > 0
        # As few digits as an exchange shows, with no float's tail.
        assert len(repr(trade.price)) <= 9
        assert len(repr(trade.quantity)) <= 12


def test_the_rate_is_as_asked_in_the_long_run(minute: tuple[Market, Tick, Book]) -> None:
    assert len(minute[1].id) / SECONDS == pytest.approx(5000, rel=0.1)


def test_activity_falls_with_the_rank_as_zipf_has_it(minute: tuple[Market, Tick, Book]) -> None:
    counts = np.bincount(minute[1].symbol, minlength=20)
    slope, _ = np.polyfit(np.log(np.arange(1, 21)), np.log(counts), 1)
    assert slope == pytest.approx(-1, abs=0.1)


def test_trades_come_in_clusters(minute: tuple[Market, Tick, Book]) -> None:
    _, tick, _ = minute
    for symbol in range(3):
        per_second = np.bincount(tick.offset_ms[tick.symbol == symbol] // 1000, minlength=SECONDS)
        # Of a Poisson process it is one.
        assert per_second.var() / per_second.mean() > 2


def test_returns_go_together_and_takers_buy_where_prices_rise(minute: tuple[Market, Tick, Book]) -> None:
    market, tick, _ = minute
    returns = [np.diff(np.log(closes(market, tick, symbol))) for symbol in range(4)]
    assert np.corrcoef(returns)[np.triu_indices(4, 1)].mean() > 0.15
    sides = np.where(tick.buy, 1.0, -1.0)
    leads = tick.symbol == 0
    flow = np.bincount(tick.offset_ms[leads] // 1000, sides[leads], minlength=SECONDS)[1:]
    assert np.corrcoef(returns[0], flow)[0, 1] > 0.3


def test_any_number_of_symbols_has_distinct_names() -> None:
    for symbols in (1, 7, 50, 1500):
        assert len(set(Market(symbols).symbols)) == symbols


def test_quotes_are_in_order_their_ids_have_no_gap_and_there_are_as_many_as_asked(
    minute: tuple[Market, Tick, Book],
) -> None:
    _, tick, book = minute
    assert (np.diff(book.offset_ms) >= 0).all()
    assert book.offset_ms[-1] < SECONDS * 1000
    for symbol in range(20):
        ids = book.id[book.symbol == symbol]
        assert (ids == np.arange(1, len(ids) + 1)).all()
    assert len(book.id) / len(tick.id) == pytest.approx(1.5, rel=0.1)


def test_books_are_never_crossed_and_on_a_decimal_grid(minute: tuple[Market, Tick, Book]) -> None:
    market, _, book = minute
    some = Book(*(column[:2000] for column in book))
    for quote in market.quotes(some, some.offset_ms):
        assert 0 < quote.bid < quote.ask
        assert min(quote.bid_quantity, quote.ask_quantity) > 0
        assert max(len(repr(price)) for price in (quote.bid, quote.ask)) <= 9
        assert max(len(repr(quantity)) for quantity in (quote.bid_quantity, quote.ask_quantity)) <= 12


def spreads_bps(book: Book, symbol: int) -> npt.NDArray[np.float64]:
    own = book.symbol == symbol
    bid, ask = book.bid[own], book.ask[own]
    return np.asarray(20_000 * (ask - bid) / (ask + bid))


def test_trades_are_about_as_far_from_the_mid_as_the_quotes_are(minute: tuple[Market, Tick, Book]) -> None:
    _, tick, book = minute
    for symbol in range(3):
        quoted, traded = book.symbol == symbol, tick.symbol == symbol
        # The mid when a trade came, by the quote before it.
        before = np.searchsorted(book.offset_ms[quoted], tick.offset_ms[traded][100:]) - 1
        mid = (book.bid[quoted][before] + book.ask[quoted][before]) / 2
        away_bps = 10_000 * (tick.price[traded][100:] / mid - 1) * np.where(tick.buy[traded][100:], 1, -1)
        assert np.median(away_bps) == pytest.approx(np.median(spreads_bps(book, symbol)) / 2, rel=0.2)


def test_spreads_are_wider_for_quiet_symbols_and_in_a_busy_market(minute: tuple[Market, Tick, Book]) -> None:
    _, tick, book = minute
    medians = [np.median(spreads_bps(book, symbol)) for symbol in range(20)]
    assert medians[0] == pytest.approx(1.0, rel=0.2)
    slope, _ = np.polyfit(np.log(np.arange(1, 21)), np.log(medians), 1)
    assert slope == pytest.approx(0.5, abs=0.1)
    # The market's mood is in both: trades of each fifth of a second, and the mean spread then.
    fifth = book.offset_ms[book.symbol == 0] // 200
    spread = np.bincount(fifth, spreads_bps(book, 0)) / np.maximum(np.bincount(fifth), 1)
    busy = np.bincount(tick.offset_ms // 200, minlength=len(spread))
    assert np.corrcoef(spread, busy)[0, 1] > 0.3


def test_there_is_more_on_the_side_that_the_price_comes_from(minute: tuple[Market, Tick, Book]) -> None:
    _, _, book = minute
    own = book.symbol == 0
    imbalance = (book.bid_quantity - book.ask_quantity)[own] / (book.bid_quantity + book.ask_quantity)[own]
    mid = np.log((book.bid + book.ask)[own])
    tick = book.offset_ms[own] // TICK_MS
    first = np.flatnonzero(np.diff(tick, prepend=-1))
    # From each tick's first quote to the next tick's, and what the quotes of the tick lean to.
    returns = np.diff(mid[first])
    leans = np.add.reduceat(imbalance, first)[:-1]
    assert np.corrcoef(returns, leans)[0, 1] > 0.1
