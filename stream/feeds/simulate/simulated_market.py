"""A simulated market: bursts, correlated returns, more buying while prices rise, and quotes around the price.

The same seed gives the same market.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

TICK_MS = 10
QUOTE = "USD"
# The busiest symbols and their first prices; those of the others are random.
LEADERS = {"BTC": 60_000.0, "ETH": 2_600.0, "SOL": 150.0, "BNB": 520.0, "XRP": 0.6, "DOGE": 0.1, "ADA": 0.35}
# Activity falls with the rank to this power.
ZIPF = 1.0
# The share of trades that earlier trades set off, and for how long these do.
EXCITED = 0.5
EXCITED_MS = 400.0
# The whole market's activity: the standard deviation of its logarithm, and how long a deviation lasts.
MOOD = 0.2
MOOD_MS = 500.0
# 60 % a year.
VOLATILITY_PER_SQRT_MS = 0.6 / np.sqrt(365 * 86_400_000)
VOLATILITY_PER_SQRT_TICK = VOLATILITY_PER_SQRT_MS * np.sqrt(TICK_MS)
# What is left of the mood, and of excitement, after a tick.
MOOD_LEFT = np.exp(-TICK_MS / MOOD_MS)
EXCITED_LEFT = np.exp(-TICK_MS / EXCITED_MS)
# The share of a return's variance that the whole market explains.
COMMON = 0.4
# How far a return tilts the probability that a taker buys, at most; nearly so from two standard deviations on.
TILT = 0.35
# The median trade in the quote currency, and the standard deviation of the logarithm of sizes.
NOTIONAL = 400.0
SIZES = 1.3
# Half of the busiest symbol's spread, as a share of the mid; it rises with the rank to this power.
HALF_SPREAD = 0.00005
WIDENS = 0.5
# Of quotes: the standard deviation of the spread's logarithm, and the median size in median trades.
SPREADS = 0.2
DEPTH = 5.0
# How far a return tilts a quote's sizes to the side that the price comes from, at most; see `TILT`.
LEAN = 0.4
# The share of quotes that follow trades; the others come at the symbol's own rate.
FOLLOWING = 0.5
# A price has so many digits, 61837.6 or 0.350123, and a lot is worth about a unit of the quote currency.
DIGITS = 6


class Tick(NamedTuple):
    """The trades of a tick of ten milliseconds, in order, as columns.

    Attributes
    ----------
    symbol
        An index of `Market.symbols`.
    id
        Counts up by one within a symbol.
    offset_ms
        The time since the market's start.
    price, quantity
        On the symbol's grid of prices and of lots.
    buy
        True if the taker bought.
    """

    symbol: Ints
    id: Ints
    offset_ms: Ints
    price: Floats
    quantity: Floats
    buy: npt.NDArray[np.bool_]

    def head(self, most: int) -> "Tick":
        """Return the first ``most`` trades."""
        return Tick(
            self.symbol[:most],
            self.id[:most],
            self.offset_ms[:most],
            self.price[:most],
            self.quantity[:most],
            self.buy[:most],
        )


class Book(NamedTuple):
    """The quotes of a tick, in order, as columns.

    Attributes
    ----------
    symbol, id, offset_ms
        As in `Tick`; quotes have ids of their own.
    bid, bid_quantity, ask, ask_quantity
        On the symbol's grid of prices and of lots.
    """

    symbol: Ints
    id: Ints
    offset_ms: Ints
    bid: Floats
    bid_quantity: Floats
    ask: Floats
    ask_quantity: Floats


class Market:
    """Trades and quotes of some symbols, one tick of ten milliseconds at a time.

    Activity is Zipf-like over symbols, self-exciting within a symbol, and rises and falls for the whole market. Returns
    have a common part and a part of the symbol's own. Takers buy more often while the price rises. Spreads are wider
    for quiet symbols and in moving markets, and quotes are larger on the side that the price comes from. Trades are the
    same with quotes or without.

    Parameters
    ----------
    symbols
        The number of symbols.
    rate
        Trades per second of all symbols, on average.
    quotes
        Quotes per trade, on average.
    seed
        The same seed, symbols, rate and quotes give the same market.
    source
        The exchange's name in the records.
    """

    def __init__(
        self,
        symbols: int = 50,
        rate: float = 20_000.0,
        *,
        quotes: float = 0.0,
        seed: int = 7,
        source: str = "sim",
    ) -> None:
        self._random = np.random.Generator(np.random.PCG64(seed))
        self._book_random = np.random.Generator(np.random.PCG64((seed, 1)))
        self._quotes = quotes
        self.source = source
        bases = [*LEADERS, *(f"C{n:03d}" for n in range(len(LEADERS), symbols))][:symbols]
        self.symbols = [f"{base}-{QUOTE}" for base in bases]
        drawn = 10 ** self._random.uniform(-1, 2.5, symbols)
        price = np.array([LEADERS.get(base, drawn[n]) for n, base in enumerate(bases)])
        magnitude = np.floor(np.log10(price)).astype(int)
        self._steps_per_unit = 10.0 ** np.maximum(0, DIGITS - 1 - magnitude)
        self._lots_per_unit = 10.0 ** np.maximum(0, 1 + magnitude)
        self._median_size = NOTIONAL / price
        self._log_price = np.log(price)
        self._beta = self._random.uniform(0.6, 1.4, symbols)
        weight = 1.0 / np.arange(1, symbols + 1) ** ZIPF
        self._base = weight / weight.sum() * rate * TICK_MS / 1000
        self._excitement = self._base.copy()
        self._mood = 0.0
        self._half_spread = HALF_SPREAD * np.arange(1, symbols + 1) ** WIDENS
        self._next_id = np.ones(symbols, np.int64)
        self._next_quote_id = np.ones(symbols, np.int64)
        self._ticks = 0

    @property
    def has_quotes(self) -> bool:
        return self._quotes > 0

    def step(self, push: Floats | float = 0.0) -> tuple[Tick, Book]:
        """Return the next tick's trades and quotes.

        Parameters
        ----------
        push
            What is added to each symbol's return from outside, shape (symbols,).
        """
        counts, returns = self._arrivals(), self._returns() + push
        # The return of each symbol in standard deviations, bounded to ±1; and half its spread.
        lean = np.tanh(returns / VOLATILITY_PER_SQRT_TICK)
        half = self._half_spread * np.exp(self._mood / 2)
        found = self._tick(counts, returns, lean, half), self._book(counts, returns, lean, half)
        self._log_price += returns
        self._ticks += 1
        return found

    def _tick(self, counts: Ints, returns: Floats, lean: Floats, half: Floats) -> Tick:
        random = self._random
        at, symbol = _spread_out(random, counts)
        buy = random.random(len(at)) < 0.5 + TILT * lean[symbol]
        price = np.exp(self._log_price[symbol] + returns[symbol] * at) * (1 + np.where(buy, 1, -1) * half[symbol])
        steps = self._steps_per_unit[symbol]
        size = self._median_size[symbol] * np.exp(SIZES * random.standard_normal(len(at)))
        return Tick(
            symbol,
            _ids(symbol, counts, self._next_id),
            self._ticks * TICK_MS + (at * TICK_MS).astype(np.int64),
            np.maximum(1, np.rint(price * steps)) / steps,
            self._lots(symbol, size),
            buy,
        )

    def _book(self, counts: Ints, returns: Floats, lean: Floats, half: Floats) -> Book:
        random = self._book_random
        counts = random.poisson(self._quotes * (FOLLOWING * counts + (1 - FOLLOWING) * self._base))
        at, symbol = _spread_out(random, counts)
        steps = self._steps_per_unit[symbol]
        mid = np.exp(self._log_price[symbol] + returns[symbol] * at) * steps
        away = mid * half[symbol] * np.exp(SPREADS * random.standard_normal(len(at)))
        bid = np.maximum(1, np.floor(mid - away))
        depth = DEPTH * self._median_size[symbol] * np.exp(SIZES * random.standard_normal((2, len(at))))
        tilt = LEAN * lean[symbol]
        return Book(
            symbol,
            _ids(symbol, counts, self._next_quote_id),
            self._ticks * TICK_MS + (at * TICK_MS).astype(np.int64),
            bid / steps,
            self._lots(symbol, depth[0] * (1 + tilt)),
            np.maximum(bid + 1, np.ceil(mid + away)) / steps,
            self._lots(symbol, depth[1] * (1 - tilt)),
        )

    def _lots(self, symbol: Ints, size: Floats) -> Floats:
        lots = self._lots_per_unit[symbol]
        quantity: Floats = np.maximum(1, np.rint(size * lots)) / lots
        return quantity

    def trades(self, tick: Tick, time_ms: Ints, received_ms: int | None = None) -> list[Trade]:
        """Return a tick's trades as records.

        Parameters
        ----------
        tick
            A tick of this market.
        time_ms
            The trades' event times, ms.
        received_ms
            When the feed received them, ms; None for their event times.
        """
        names, source = self.symbols, self.source
        columns = zip(
            tick.symbol.tolist(),
            tick.id.tolist(),
            time_ms.tolist(),
            tick.price.tolist(),
            tick.quantity.tolist(),
            tick.buy.tolist(),
            strict=True,
        )
        return [
            Trade(
                symbol=names[symbol],
                source=source,
                id=number,
                time_ms=time,
                price=price,
                quantity=quantity,
                side="buy" if buy else "sell",
                received_ms=time if received_ms is None else received_ms,
            )
            for symbol, number, time, price, quantity, buy in columns
        ]

    def quotes(self, book: Book, time_ms: Ints, received_ms: int | None = None) -> list[Quote]:
        """Return a tick's quotes as records; see `trades`."""
        names, source = self.symbols, self.source
        columns = zip(
            book.symbol.tolist(),
            book.id.tolist(),
            time_ms.tolist(),
            book.bid.tolist(),
            book.bid_quantity.tolist(),
            book.ask.tolist(),
            book.ask_quantity.tolist(),
            strict=True,
        )
        return [
            Quote(
                symbol=names[symbol],
                source=source,
                id=number,
                time_ms=time,
                bid=bid,
                bid_quantity=bid_quantity,
                ask=ask,
                ask_quantity=ask_quantity,
                received_ms=time if received_ms is None else received_ms,
            )
            for symbol, number, time, bid, bid_quantity, ask, ask_quantity in columns
        ]

    def _arrivals(self) -> Ints:
        # The mean rate stays as requested: the mood's mean is one, and excitement adds the share that the base loses.
        self._mood = MOOD_LEFT * self._mood + np.sqrt(1 - MOOD_LEFT**2) * MOOD * self._random.standard_normal()
        mood = np.exp(self._mood - MOOD**2 / 2)
        counts: Ints = self._random.poisson((1 - EXCITED) * mood * self._base + EXCITED * self._excitement)
        self._excitement = EXCITED_LEFT * self._excitement + (1 - EXCITED_LEFT) * counts
        return counts

    def _returns(self) -> Floats:
        scale = VOLATILITY_PER_SQRT_TICK * np.exp(self._mood / 2)
        own = self._random.standard_normal(len(self.symbols))
        common = self._random.standard_normal()
        returns: Floats = scale * (np.sqrt(COMMON) * self._beta * common + np.sqrt(1 - COMMON) * own)
        return returns


def _spread_out(random: np.random.Generator, counts: Ints) -> tuple[Floats, Ints]:
    """Draw so many moments for each symbol. Return them sorted, as fractions of a tick, and the symbol of each."""
    at = random.random(int(counts.sum()))
    order = np.argsort(at)
    return at[order], np.repeat(np.arange(len(counts)), counts)[order]


def _ids(symbol: Ints, counts: Ints, next_id: Ints) -> Ints:
    """Return ids that continue the count of each symbol, in order; ``next_id`` is updated in place."""
    grouped = np.argsort(symbol, kind="stable")
    first = np.repeat(next_id - (np.cumsum(counts) - counts), counts)
    ids = np.empty(len(symbol), np.int64)
    ids[grouped] = first + np.arange(len(symbol))
    next_id += counts
    return ids
