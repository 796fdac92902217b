"""Whatever a source sends: no quote is crossed, nothing crashes, nothing grows."""

import math
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.feeds.books.following import EXCHANGES
from tests.feeds.books.market import START_MS, SYMBOL, change
from tickertape.schemas.book import Depth
from tickertape.schemas.quote import Quote
from tickertape.stream.feeds.books import rules
from tickertape.stream.feeds.books.books import Books
from tickertape.stream.feeds.define.book_rule import BookRule
from tickertape.stream.feeds.define.change import Change

PRICES = st.sampled_from(["1", "1.0", "2", "3", "4", "5", "6"])
QUANTITIES = st.sampled_from(["0", "1", "2.50"])
GARBAGE = st.sampled_from(["-1", "nan", "inf", "-inf", "", "0", "1e999", "1e-999", "1_0", "٣", "0.-1", "9" * 100, " 1"])
# Now and then a bid meets an ask.
BIDS = st.lists(st.tuples(st.sampled_from(["1", "1.0", "2", "3", "4"]), QUANTITIES), max_size=3)
ASKS = st.lists(st.tuples(st.sampled_from(["4", "5", "6", "6.0", "7"]), QUANTITIES), max_size=3)
ANY = st.lists(st.tuples(PRICES | GARBAGE, QUANTITIES | GARBAGE), max_size=4)
NUMBERS = st.none() | st.integers(-1, 12)
RULES = st.sampled_from([rule for rule, _ in EXCHANGES.values()])
WORDS = st.sampled_from(["look", "lose 0", "lose 1", "requests", "count"])


@st.composite
def sessions(draw: st.DrawFn) -> list[Change | str]:
    """Return what comes, mostly in order, and what is done meanwhile."""
    steps: list[Change | str] = []
    number = 0
    for ms in range(0, 200 * draw(st.integers(0, 60)), 200):
        kind = draw(st.sampled_from(["next"] * 8 + ["snapshot", "gap", "repeat", "invalid", "anything", "word"]))
        is_sane = kind not in {"invalid", "anything"}
        sides = draw(BIDS if is_sane else ANY), draw(ASKS if is_sane else ANY)
        if kind == "word":
            steps.append(draw(WORDS))
        elif kind == "anything":
            numbers = {name: draw(NUMBERS) for name in ("first", "last", "previous", "checksum")}
            steps.append(change(*sides, snapshot=draw(st.booleans()), ms=draw(st.integers(0, 9999)), **numbers))
        else:
            before = number + {"gap": 3, "repeat": -1}.get(kind, 0)
            number = max(number, before + 1)
            is_snapshot = kind == "snapshot" or not steps
            steps.append(
                change(*sides, snapshot=is_snapshot, ms=ms, first=before + 1, last=before + 1, previous=before)
            )
    return steps


def run(rule: BookRule, steps: list[Change | str]) -> tuple[list[Quote], list[Depth], Books]:
    books = Books("here", rule, [SYMBOL], quotes=True, now=0.0)
    quotes, depths = [], []
    for n, step in enumerate(steps):
        now = n / 5
        match step:
            case "look":
                books.look(now)
            case "requests":
                books.requests(now)
            case "count":
                books.count(n, now, connection=False)
            case "lose 0" | "lose 1":
                books.lose(step[-1] == "1", now)
            case Change():
                quote = books.take(step, now, n % 8 == 0)
                quotes += [quote] if quote is not None else []
        depths += books.depths(START_MS + 200 * n)
    return quotes, depths, books


@settings(max_examples=300)
@given(RULES, sessions())
def test_nothing_that_is_published_is_crossed_or_invalid(rule: BookRule, steps: list[Change | str]) -> None:
    quotes, depths, _ = run(rule, steps)
    for quote in quotes:
        assert 0 < quote.bid < quote.ask < math.inf
        assert 0 < quote.bid_quantity < math.inf
        assert 0 < quote.ask_quantity < math.inf
    ids = [quote.id for quote in quotes]
    assert ids == sorted(set(ids))
    for depth in depths:
        assert depth.bids == sorted(set(depth.bids), reverse=True)
        assert depth.asks == sorted(set(depth.asks))
        assert not (depth.bids and depth.asks) or depth.bids[0] < depth.asks[0]
        assert all(0 < number < math.inf for number in (*depth.bid_quantities, *depth.ask_quantities))
    assert [depth.id for depth in depths] == sorted(depth.id for depth in depths)


@pytest.mark.parametrize("rule", [rules.BINANCE, rules.COINBASE, rules.bybit(1000), rules.OKX, rules.kraken(10)])
def test_nothing_grows(rule: BookRule) -> None:
    """A flood of new prices, in order or not, with or without a snapshot; then one that is a million levels large."""
    books = Books("here", rule, ["A"], quotes=True, most_levels=1000, now=0.0)

    def flood(first: int, count: int) -> None:
        for n in range(first, first + count):
            levels = [(f"{n * 50 + k}", "1") for k in range(50)]
            books.take(change(levels, symbol="A", first=n, last=n, previous=n - 1), n / 100)
            if n % 400 == 0:
                books.take(change(levels, symbol="A", last=n, snapshot=True), n / 100)

    tracemalloc.start()
    flood(1, 1500)
    before, _ = tracemalloc.get_traced_memory()
    flood(1501, 1500)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after < before + (1 << 20)
    books.take(change([("1", "1")] * 1_000_000, symbol="A", last=9000, snapshot=True), 1000.0)
    assert books.states["live"] == 0
    assert books.tally.broken["invalid"] > 0
