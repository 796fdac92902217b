"""Books that follow a market, as the session lets them: it carries out what they ask for."""

from collections.abc import Callable
from typing import Protocol

from tests.feeds.books.market import START_MS, SYMBOL, Market, Numbered, Plain, Summed
from tickertape.schemas.quote import Quote
from tickertape.stream.feeds.books import rules
from tickertape.stream.feeds.books.books import Books
from tickertape.stream.feeds.define.book_rule import BookRule
from tickertape.stream.feeds.define.change import Change


class Sender(Protocol):
    market: Market

    def delta(self) -> Change: ...

    def snapshot(self) -> Change: ...


#: By exchange: its rule, and what it sends of a market.
EXCHANGES: dict[str, tuple[BookRule, Callable[[Market], Sender]]] = {
    "binance": (rules.BINANCE, lambda market: Numbered(market, "spot")),
    "binance-usdm": (rules.BINANCE_USDM, lambda market: Numbered(market, "usdm")),
    "coinbase": (rules.COINBASE, Plain),
    # No such depth is on offer; with this one the best twenty levels need the rest.
    "bybit": (rules.bybit(25), lambda market: Numbered(market, "bybit", 25)),
    "bybit-deep": (rules.bybit(1000), lambda market: Numbered(market, "bybit")),
    "okx": (rules.OKX, lambda market: Numbered(market, "okx")),
    "kraken": (rules.kraken(25), lambda market: Summed(market, 25)),
}


class Following:
    """Books that are sent a market's changes, each 100 ms after the one before it.

    Parameters
    ----------
    exchange
        One of `EXCHANGES`.
    seed
        The market's.
    answers
        False: what the books ask for never comes.
    """

    def __init__(self, exchange: str, seed: int = 1, *, answers: bool = True) -> None:
        rule, of = EXCHANGES[exchange]
        self.sender = of(Market(seed))
        self.books = Books("here", rule, [SYMBOL], quotes=True, now=self.now)
        self.answers = answers
        self.quotes: list[Quote] = []
        # By event time: the true best bid and ask.
        self.tops: dict[int, tuple[float, float]] = {}
        if rule.ways[0] == "subscribe":
            self.give(self.sender.snapshot())

    @property
    def now(self) -> float:
        return self.sender.market.ms / 1000

    @property
    def now_ms(self) -> int:
        return START_MS + self.sender.market.ms

    def give(self, change: Change) -> None:
        quote = self.books.take(change, self.now)
        if quote is not None:
            self.quotes.append(quote)

    def step(self, *, lose: bool = False) -> Change:
        """Let the market change, and the books learn of it unless the message is lost."""
        change = self.sender.delta()
        market = self.sender.market
        self.tops[self.now_ms] = (max(market.bids) / 10, min(market.asks) / 10)
        if not lose:
            self.give(change)
        if market.ms % 1000 == 0:
            self.books.look(self.now)
        if self.books.requests(self.now) and self.answers:
            self.give(self.sender.snapshot())
        return change

    @property
    def state(self) -> str | None:
        return self.books.state(SYMBOL)

    def is_right(self, levels: int = 20) -> bool:
        """Return whether the book shows the market's best levels."""
        (depth,) = self.books.depths(self.now_ms)
        shown = (
            list(zip(depth.bids, depth.bid_quantities, strict=True))[:levels],
            list(zip(depth.asks, depth.ask_quantities, strict=True))[:levels],
        )
        true = self.sender.market.best(levels)
        return shown == tuple([(float(at), float(units)) for at, units in side] for side in true)
