"""Binance's recorded depth stream, with the snapshot fetched then, beside the best bids and asks that it sent."""

import gzip
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from tickertape.schemas.quote import Quote
from tickertape.stream.feeds.books import rules
from tickertape.stream.feeds.books.books import Books
from tickertape.stream.feeds.define.change import Change

PATH = Path(__file__).parents[4] / "shared" / "data" / "market" / "binance-spot-btcusdt-20240808.jsonl.gz"

pytestmark = [pytest.mark.recorded, pytest.mark.skipif(not PATH.exists(), reason="needs the recorded input")]

Tops = dict[int, tuple[float, float, float, float]]


def read() -> tuple[list[Change], Tops]:
    """Return all changes, the snapshot included, and what `bookTicker` said by its number."""
    changes, tops = [], Tops()
    with gzip.open(PATH) as lines:
        for line in lines:
            stamp, _, text = line.partition(b" ")
            said = msgspec.json.decode(text)
            data = said.get("data", said)
            if "@bookTicker" in said.get("stream", ""):
                tops[data["u"]] = (float(data["b"]), float(data["B"]), float(data["a"]), float(data["A"]))
            elif "lastUpdateId" in data or data.get("e") == "depthUpdate":
                is_snapshot = "lastUpdateId" in data
                received_ms = int(stamp) // 1_000_000
                changes.append(
                    Change(
                        symbol="BTC-USDT",
                        source="binance",
                        time_ms=data.get("E", received_ms),
                        received_ms=received_ms,
                        is_snapshot=is_snapshot,
                        bids=[tuple(level) for level in data["bids" if is_snapshot else "b"]],
                        asks=[tuple(level) for level in data["asks" if is_snapshot else "a"]],
                        first=data.get("U"),
                        last=data["lastUpdateId" if is_snapshot else "u"],
                    )
                )
    return changes, tops


def followed(changes: list[Change], snapshot_levels: int | None) -> tuple[Books, list[Quote]]:
    books = Books(
        "binance", replace(rules.BINANCE, snapshot_levels=snapshot_levels), ["BTC-USDT"], quotes=True, now=0.0
    )
    made = (books.take(change, change.received_ms / 1000) for change in changes)
    return books, [quote for quote in made if quote is not None]


def told_by_both(quotes: list[Quote], tops: Tops) -> int:
    """Return how many quotes have the number of a `bookTicker`. They must be equal."""
    both = [quote for quote in quotes if quote.id in tops]
    assert [(q.bid, q.bid_quantity, q.ask, q.ask_quantity) for q in both] == [tops[q.id] for q in both]
    return len(both)


def test_the_book_is_what_book_ticker_says() -> None:
    """Its 3,451 changes have no gap; where both have a number, they say the same."""
    changes, tops = read()
    assert [change.is_snapshot for change in changes].count(True) == 1
    books, quotes = followed(changes, None)
    assert (len(changes), books.tally.broken, books.states["live"]) == (3452, {}, 1)
    assert told_by_both(quotes, tops) == 555


def test_the_market_leaves_what_the_snapshot_has_shown() -> None:
    """The snapshot has 1,000 levels a side. Four minutes later the best bid is at the last of them.

    Bids behind that one were never told unless they changed. So the book asks for a new snapshot before, and doesn't
    claim to know what comes next.
    """
    changes, tops = read()
    books, quotes = followed(changes, 1000)
    # It goes on holding changes for a snapshot that this recording doesn't have.
    assert (books.tally.broken, books.states["stale"]) == ({"used up": 1, "too many held": 1}, 1)
    assert told_by_both(quotes, tops) == 400
    (end,) = [change for change in changes if change.last == quotes[-1].id]
    assert 240 < (end.received_ms - changes[0].received_ms) / 1000 < 250
    (snapshot,) = [change for change in changes if change.is_snapshot]
    assert float(snapshot.bids[-1][0]) < quotes[-1].bid < float(snapshot.bids[-1][0]) + 40


def test_it_asks_for_a_new_snapshot_in_time() -> None:
    """Half a minute before the end, while it is live: a fetch takes less than a second."""
    changes, _ = read()
    books = Books("binance", replace(rules.BINANCE, snapshot_levels=1000), ["BTC-USDT"], quotes=True, now=0.0)
    asked_at = []
    for change in changes:
        now = change.received_ms / 1000
        books.take(change, now)
        if books.tally.broken:
            break
        asked_at += [now for _ in books.requests(now)]
    # The first snapshot, and again and again the new one, which this recording doesn't have.
    assert asked_at[0] == changes[0].received_ms / 1000
    assert 20 < now - asked_at[1] < 40
