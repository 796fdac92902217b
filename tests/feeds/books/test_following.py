"""Books of each exchange follow a market, also when a message is lost."""

import pytest
from msgspec.structs import replace

from tests.feeds.books.following import EXCHANGES, Following

# Coinbase's changes say nothing of those before them.
TELLING = [name for name in EXCHANGES if name != "coinbase"]


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_book_is_the_markets(exchange: str) -> None:
    following = Following(exchange)
    for _ in range(50):
        for _ in range(10):
            following.step()
        assert following.is_right()
    market = following.sender.market
    assert (following.state, following.books.tally.broken) == ("live", {})
    last = following.quotes[-1]
    assert (last.bid, last.ask) == (max(market.bids) / 10, min(market.asks) / 10)
    ids = [quote.id for quote in following.quotes]
    assert ids == sorted(set(ids))
    assert len(ids) > 100


@pytest.mark.parametrize("exchange", TELLING)
@pytest.mark.parametrize("seed", range(20))
def test_a_lost_change_is_found_within_a_second(exchange: str, seed: int) -> None:
    """Within a second the book is the market's again, and no quote meanwhile is wrong."""
    following = Following(exchange, seed)
    for _ in range(20):
        following.step()
    following.step(lose=True)
    seen = len(following.quotes)
    for _ in range(10):
        following.step()
    assert [(q.bid, q.ask) for q in following.quotes[seen:]] == [
        following.tops[q.time_ms] for q in following.quotes[seen:]
    ]
    assert following.state == "live"
    if exchange == "kraken":
        # Its checksum is of ten levels a side.
        assert following.is_right(10)
        assert following.books.tally.broken.keys() <= {"checksum"}
    else:
        assert following.is_right()
        assert following.books.tally.broken == {"gap": 1}


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_broken_book_says_nothing_until_the_snapshot(exchange: str) -> None:
    following = Following(exchange, answers=False)
    if exchange.startswith("binance"):
        following.step()
        following.give(following.sender.snapshot())
    for _ in range(10):
        following.step()
    assert following.state == "live"
    following.give(replace(following.sender.delta(), bids=[("1", "-1")]))
    assert (following.state, following.books.depths(following.now_ms)) == ("stale", [])
    seen = len(following.quotes)
    for _ in range(10):
        following.step()
    assert (following.state, len(following.quotes)) == ("stale", seen)
    following.give(following.sender.snapshot())
    assert (following.state, len(following.quotes)) == ("live", seen + 1)
