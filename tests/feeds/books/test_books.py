"""All books of a source: quotes and their numbers, depth, requests, connections."""

import logging

import pytest

from tests.feeds.books.market import START_MS, SYMBOL, change
from tickertape.schemas.book import Depth
from tickertape.schemas.quote import Quote
from tickertape.stream.feeds.books import rules
from tickertape.stream.feeds.books.books import Books, Request
from tickertape.stream.feeds.define.book_rule import BookRule

BIDS, ASKS = [("99", "1"), ("98", "2")], [("101", "3"), ("102", "4")]


def of(
    rule: BookRule, *, quotes: bool = True, base_per_unit: float = 1.0, symbols: tuple[str, ...] = (SYMBOL,)
) -> Books:
    return Books("here", rule, symbols, quotes=quotes, base_per_unit=lambda _: base_per_unit, now=0.0)


def start(books: Books, *, last: int = 100, ms: int = 0) -> Quote | None:
    return books.take(change(BIDS, ASKS, snapshot=True, last=last, ms=ms), 0.0)


class TestQuotes:
    def test_a_quote(self) -> None:
        assert start(of(rules.bybit(1000))) == Quote(
            symbol=SYMBOL,
            source="here",
            id=100,
            time_ms=START_MS,
            bid=99.0,
            bid_quantity=1.0,
            ask=101.0,
            ask_quantity=3.0,
            received_ms=START_MS + 5,
        )

    def test_only_a_change_of_the_top_makes_one(self) -> None:
        books = of(rules.bybit(1000))
        start(books)
        told = [
            books.take(change([("98", "5")], last=101), 0.0),  # behind the best bid
            books.take(change([("99", "6")], last=102), 0.0),
            books.take(change([("99", "6")], last=103), 0.0),  # as it was
            books.take(change([("99.0", "6.00")], last=104), 0.0),  # the same numbers
            books.take(change(asks=[("100.5", "1")], last=105), 0.0),
            books.take(change(asks=[("100.5", "0")], last=106), 0.0),
            books.take(change(BIDS, [("101", "3")], snapshot=True, last=107), 0.0),
        ]
        assert [quote and (quote.id, quote.bid_quantity, quote.ask) for quote in told] == [
            None,
            (102, 6.0, 101.0),
            None,
            None,
            (105, 6.0, 100.5),
            (106, 6.0, 101.0),
            (107, 1.0, 101.0),
        ]

    def test_an_empty_side_has_no_quote(self) -> None:
        books = of(rules.bybit(1000))
        start(books)
        assert books.take(change([("99", "0"), ("98", "0")], last=101), 0.0) is None
        assert books.take(change([("97", "1")], last=102), 0.0) is not None

    def test_none_for_a_source_that_sends_its_own(self) -> None:
        books = of(rules.bybit(1000), quotes=False)
        assert start(books) is None
        assert len(books.depths(START_MS)) == 1

    def test_contracts_are_in_the_base_currency(self) -> None:
        books = of(rules.OKX, base_per_unit=0.01)
        quote = books.take(change([("99", "34.95")], [("101", "7")], snapshot=True, last=1), 0.0)
        assert quote is not None
        assert (quote.bid_quantity, quote.ask_quantity) == (0.3495, 0.07)
        assert books.depths(START_MS)[0].bid_quantities == [0.3495]


class TestNumbersOfQuotes:
    def test_they_rise_when_the_sources_numbers_fall(self) -> None:
        books = of(rules.OKX)
        start(books)
        made = [
            books.take(change([("99", str(last))], last=last, previous=previous), 0.0)
            for previous, last in ((100, 117), (117, 3), (3, 5), (5, 200))
        ]
        assert [quote and quote.id for quote in made] == [117, 118, 119, 200]

    def test_without_numbers_they_rise_across_restarts(self) -> None:
        """A second of time has more numbers than there are changes, so a later run begins above the earlier ones."""
        first = of(rules.COINBASE)
        ids = [start(first)]
        ids += [first.take(change([("99", str(n))], ms=n // 100), 0.0) for n in range(2, 3000)]
        again = of(rules.COINBASE)
        ids.append(start(again, ms=1000))
        numbers = [quote.id for quote in ids if quote is not None]
        assert len(numbers) == 3000
        assert numbers == sorted(set(numbers))
        assert numbers[-1] < 2**53


class TestDepth:
    def test_a_depth(self) -> None:
        books = of(rules.bybit(1000))
        start(books)
        assert books.depths(START_MS + 1789) == [
            Depth(
                symbol=SYMBOL,
                source="here",
                id=100,
                time_ms=START_MS + 1000,
                changed_ms=START_MS,
                bids=[99.0, 98.0],
                bid_quantities=[1.0, 2.0],
                asks=[101.0, 102.0],
                ask_quantities=[3.0, 4.0],
                received_ms=START_MS + 1789,
            )
        ]

    def test_one_a_second_also_without_a_change(self) -> None:
        books = of(rules.bybit(1000))
        start(books)
        made = [books.depths(START_MS + ms) for ms in (0, 10, 990, 1010, 2500, 2400)]
        assert [[depth.time_ms - START_MS for depth in some] for some in made] == [[0], [], [], [1000], [2000], []]

    def test_twenty_levels_a_side(self) -> None:
        books = of(rules.COINBASE)
        books.take(
            change([(str(n), "1") for n in range(1, 50)], [(str(n), "1") for n in range(60, 90)], snapshot=True), 0.0
        )
        (depth,) = books.depths(START_MS)
        assert (depth.bids, depth.asks) == ([*map(float, range(49, 29, -1))], [*map(float, range(60, 80))])

    def test_none_of_a_book_that_is_crossed_or_not_live(self) -> None:
        books = of(rules.COINBASE)
        assert books.depths(START_MS) == []
        start(books)
        books.take(change([("105", "1")]), 0.0)
        assert books.depths(START_MS + 1000) == []
        books.take(change([("105", "0")]), 0.0)
        assert len(books.depths(START_MS + 2000)) == 1
        books.look(0.0)
        books.take(change([("105", "-1")]), 0.0)
        assert books.depths(START_MS + 3000) == []


class TestRequests:
    def test_a_broken_book_asks_at_once_and_until_it_is_answered(self) -> None:
        books = of(rules.BINANCE, symbols=("A", "B"))
        for symbol in ("A", "B"):
            books.take(change(first=1, last=100, symbol=symbol), 0.0)
        assert books.requests(0.0) == [Request("A", "fetch"), Request("B", "fetch")]
        for symbol in ("A", "B"):
            books.take(change(BIDS, ASKS, snapshot=True, last=100, symbol=symbol), 0.5)
        assert books.requests(9.0) == []
        books.take(change(first=102, last=102, symbol="B"), 9.0)
        assert books.requests(9.0) == [Request("B", "fetch")]
        assert (books.requests(13.9), books.requests(14.0)) == ([], [Request("B", "fetch")])
        books.take(change(BIDS, ASKS, snapshot=True, last=102, symbol="B"), 15.0)
        assert (books.requests(1000.0), books.tally.requests) == ([], {"fetch": 4})

    def test_a_symbol_that_never_comes_is_asked_for(self) -> None:
        books = of(rules.COINBASE, symbols=("A",))
        assert (books.requests(4.9), books.requests(5.0)) == ([], [Request("A", "subscribe")])

    def test_the_tick_finds_a_crossed_book(self) -> None:
        books = of(rules.COINBASE)
        start(books)
        books.take(change([("105", "1")]), 1.0)
        books.look(2.0)
        assert books.requests(2.0) == []
        books.look(2.1)
        assert (books.requests(2.1), books.tally.broken) == ([Request(SYMBOL, "subscribe")], {"crossed": 1})


class TestConnections:
    def test_a_gap_in_the_numbers_of_a_connection_hits_all_of_its_books(self) -> None:
        """Coinbase Advanced counts all messages of a connection."""
        books = of(rules.COINBASE, symbols=("A", "B", "C"))
        for number, (symbol, line) in enumerate([("A", 0), ("B", 0), ("C", 1)]):
            books.count(number, 0.0, line)
            books.take(change(BIDS, ASKS, snapshot=True, symbol=symbol), 0.0, line)
        books.count(4, 1.0, 1)
        assert books.states == {"live": 2, "stale": 1, "syncing": 0}
        books.count(2, 1.0, 0)
        assert (books.state("A"), books.requests(1.0)[-2:]) == ("live", [Request("C", "subscribe", 1)])
        books.count(4, 1.0, 0)
        assert [books.state(symbol) for symbol in "ABC"] == ["stale", "stale", "stale"]
        assert books.tally.broken == {"messages lost": 3}

    def test_a_new_connection_counts_from_the_beginning(self) -> None:
        books = of(rules.COINBASE)
        books.count(7, 0.0)
        start(books)
        books.lose(None, 1.0)
        assert books.states == {"syncing": 1, "live": 0, "stale": 0}
        books.count(0, 2.0)
        assert start(books) is None  # the same top as before
        books.count(1, 2.0)
        assert (books.states["live"], books.tally.broken) == (1, {})

    def test_dropped_messages_are_a_gap_where_no_number_tells_of_them(self) -> None:
        """Such as those of a full buffer, while Kafka is away."""
        without, numbered = of(rules.COINBASE), of(rules.bybit(1000))
        for books in (without, numbered):
            start(books)
            books.miss(1.0)
        assert (without.state(SYMBOL), without.requests(1.0)) == ("stale", [Request(SYMBOL, "subscribe")])
        assert (numbered.state(SYMBOL), numbered.requests(1.0)) == ("live", [])

    def test_only_books_of_the_lost_connection_are_in_doubt(self) -> None:
        books = of(rules.COINBASE, symbols=("A", "B"))
        for symbol, line in (("A", 0), ("B", 1)):
            books.take(change(BIDS, ASKS, snapshot=True, symbol=symbol), 0.0, line)
        books.lose(1, 0.0)
        assert (books.state("A"), books.state("B"), books.state("C")) == ("live", "syncing", None)


def test_counts() -> None:
    books = of(rules.bybit(1000))
    start(books)
    books.take(change([("99", "5")], last=101), 0.0)
    books.take(change([("99", "5")], last=101), 0.0)
    books.take(change([("99", "5")], last=103), 0.0)
    books.depths(START_MS)
    tally = books.tally
    assert (tally.changes, tally.quotes, tally.depths, tally.refused, books.ignored, len(books)) == (4, 2, 0, 0, 1, 1)
    assert tally.broken == {"gap": 1}


def test_symbols_that_nobody_has_asked_for() -> None:
    books = of(rules.COINBASE, symbols=("A", "B"))
    for symbol in "ABCD":
        books.take(change(BIDS, ASKS, snapshot=True, symbol=symbol), 0.0)
    assert (len(books), books.states["live"], books.tally.refused, books.state("C")) == (2, 2, 2, None)


def test_broken_books_are_told_of_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    books = of(rules.COINBASE)
    for second in range(20):
        books.take(change([("-1", "1")], snapshot=True), second)
    assert caplog.messages == [
        f"here: the book of {SYMBOL} can't be trusted (invalid), and begins anew; {n} so far"
        for n in ("1 time", "11 times")
    ]
