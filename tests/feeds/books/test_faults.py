"""Messages are lost, come twice, late and over two connections; connections end; snapshots are of a while ago."""

import random

import pytest

from tests.feeds.books.following import EXCHANGES
from tests.feeds.books.market import START_MS, SYMBOL, Market
from tickertape.schemas.book import Depth
from tickertape.schemas.quote import Quote
from tickertape.stream.feeds.books.books import Books
from tickertape.stream.feeds.define.change import Change

STEPS = 600
# Coinbase's changes say nothing of those before them.
TELLING = [name for name in EXCHANGES if name != "coinbase"]
# How many levels are known to be right.
SURE = {name: 10 if name == "kraken" else 20 for name in TELLING}


class Run:
    """A market of `STEPS` changes, over two connections of which the second is two steps behind."""

    def __init__(self, exchange: str, seed: int) -> None:
        rule, of = EXCHANGES[exchange]
        self.random = random.Random(seed)
        self.market = Market(seed)
        self.sender = of(self.market)
        self.rule = rule
        self.books = Books("here", rule, [SYMBOL], quotes=True, now=0.0)
        self.quotes: list[Quote] = []
        self.depths: list[Depth] = []
        #: By event time.
        self.true = {START_MS: self.market.best(20)}
        # What is on its way: when it arrives, in steps; what; and over which connection.
        self.coming: list[tuple[int, Change, int]] = []
        #: The connections, by line, and those that are up.
        self.connections = [0, 1]
        self.up = [True, True]

    def subscribe(self, line: int, at: int) -> None:
        """The stream's snapshot comes before all later changes."""
        if self.rule.ways[0] == "subscribe" and self.up[line]:
            self.coming.append((at + 2 * line, self.sender.snapshot(), self.connections[line]))

    def run(self) -> None:
        for line in (0, 1):
            self.subscribe(line, 0)
        for n in range(STEPS):
            self.arrive(n)
            if n < STEPS - 30:
                self.misfortune(n)
            change = self.sender.delta()
            self.true[START_MS + self.market.ms] = self.market.best(20)
            for line in (0, 1):
                is_lost = n < STEPS - 30 and self.random.random() < 0.005
                if self.up[line] and not is_lost:
                    self.coming.append((n + 1 + 2 * line, change, self.connections[line]))
            now = n / 10
            if n % 10 == 0:
                self.books.look(now)
            for request in self.books.requests(now):
                if request.way == "fetch":
                    self.coming.append((n + self.random.randint(1, 4), self.sender.snapshot(), -1))
                for line in (0, 1):
                    if request.way == "subscribe" and request.connection in (None, self.connections[line]):
                        self.subscribe(line, n + 1)
        self.arrive(STEPS + 3)

    def arrive(self, n: int) -> None:
        for at, change, connection in self.coming:
            if at <= n and (connection == -1 or connection in self.connections):
                quote = self.books.take(change, n / 10, connection)
                self.quotes += [quote] if quote is not None else []
        self.coming = [one for one in self.coming if one[0] > n]
        self.depths += self.books.depths(START_MS + 100 * n)

    def misfortune(self, n: int) -> None:
        """Let a connection end, or begin again."""
        for line in (0, 1):
            if self.random.random() >= (0.005 if self.up[line] else 0.1):
                continue
            if self.up[line]:
                self.books.lose(self.connections[line], n / 10)
            self.up[line] = not self.up[line]
            if self.up[line]:
                self.connections[line] = max(self.connections) + 1
                self.subscribe(line, n + 1)


@pytest.mark.parametrize("exchange", TELLING)
@pytest.mark.parametrize("seed", range(5))
def test_what_is_published_is_true(exchange: str, seed: int) -> None:
    run = Run(exchange, seed)
    run.run()
    for quote in run.quotes:
        (bids, asks) = run.true[quote.time_ms]
        assert [(repr(quote.bid), quote.bid_quantity)] == [(price, float(quantity)) for price, quantity in bids[:1]]
        assert [(repr(quote.ask), quote.ask_quantity)] == [(price, float(quantity)) for price, quantity in asks[:1]]
    sure = SURE[exchange]
    for depth in run.depths:
        shown = [depth.bids, depth.bid_quantities, depth.asks, depth.ask_quantities]
        true = [list(map(float, texts)) for side in run.true[depth.changed_ms] for texts in zip(*side, strict=True)]
        assert [some[:sure] for some in shown] == [some[:sure] for some in true]
    # It was live for a good part of the minute, in spite of everything.
    assert len(run.quotes) > 50
    assert len(run.depths) > 20
    assert run.books.tally.broken.total() > 0
