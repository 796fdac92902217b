"""A market that never was: bursts, correlated returns, and buyers where prices rise. The same seed, the same market."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.trade import Trade

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

TICK_MS = 10
QUOTE = "USD"
# What leads; the rest is drawn.
LEADERS = {"BTC": 60_000.0, "ETH": 2_600.0, "SOL": 150.0, "BNB": 520.0, "XRP": 0.6, "DOGE": 0.1, "ADA": 0.35}
# Activity falls with the rank to this power.
ZIPF = 1.0
# The share of trades that others set off, and how long they do so.
EXCITED = 0.5
EXCITED_MS = 400.0
# The whole market's activity: how far its logarithm strays, and for how long.
MOOD = 0.2
MOOD_MS = 500.0
# 60 % a year.
VOLATILITY_PER_SQRT_MS = 0.6 / np.sqrt(365 * 86_400_000)
# Of a return's variance, what the market as a whole explains.
COMMON = 0.4
# How far a return of one standard deviation tilts the odds that a taker buys.
TILT = 0.35
# The median trade, in the quote currency, and how far sizes stray in logarithms.
NOTIONAL = 400.0
SIZES = 1.3
HALF_SPREAD = 0.00005
# A price has so many digits, 61837.6 or 0.350123, and a lot is worth about a unit of the quote currency.
DIGITS = 6


class Tick(NamedTuple):
    """The trades of ten milliseconds, in order, as columns.

    Attributes
    ----------
    symbol
        Indexes `Market.symbols`.
    id
        Up by one within a symbol.
    offset_ms
        Since the market's start.
    price, quantity
        On the symbol's grid of prices and of lots.
    buy
        True where the taker bought.
    """

    symbol: Ints
    id: Ints
    offset_ms: Ints
    price: Floats
    quantity: Floats
    buy: npt.NDArray[np.bool_]

    def head(self, most: int) -> "Tick":
        """Return the first so many trades."""
        return Tick(
            self.symbol[:most],
            self.id[:most],
            self.offset_ms[:most],
            self.price[:most],
            self.quantity[:most],
            self.buy[:most],
        )


class Market:
    """Trades of some symbols, ten milliseconds at a time.

    Activity is Zipf-like over symbols, self-exciting within one, and rises and falls for all together. Returns are a
    common factor's and a symbol's own; a taker more often buys where the price rises.

    Parameters
    ----------
    symbols
        How many.
    rate
        Trades a second, of all symbols, in the long run.
    seed
        The same seed, symbols and rate: the same market.
    source
        The exchange's name in the trades.
    """

    def __init__(self, symbols: int = 50, rate: float = 20_000.0, *, seed: int = 7, source: str = "sim") -> None:
        self._random = np.random.Generator(np.random.PCG64(seed))
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
        self._next_id = np.ones(symbols, np.int64)
        self._ticks = 0

    def step(self) -> Tick:
        """Return the next tick's trades."""
        counts, returns = self._arrivals(), self._returns()
        total = int(counts.sum())
        # Drawn by symbol, then spread over the tick in random order.
        at = self._random.random(total)
        order = np.argsort(at)
        at = at[order]
        symbol = np.repeat(np.arange(len(counts)), counts)[order]
        buys = 0.5 + TILT * np.tanh(returns / (VOLATILITY_PER_SQRT_MS * np.sqrt(TICK_MS)))
        buy = self._random.random(total) < buys[symbol]
        price = np.exp(self._log_price[symbol] + returns[symbol] * at) * np.where(buy, 1 + HALF_SPREAD, 1 - HALF_SPREAD)
        steps, lots = self._steps_per_unit[symbol], self._lots_per_unit[symbol]
        size = self._median_size[symbol] * np.exp(SIZES * self._random.standard_normal(total))
        tick = Tick(
            symbol,
            self._ids(symbol, counts),
            self._ticks * TICK_MS + (at * TICK_MS).astype(np.int64),
            np.maximum(1, np.rint(price * steps)) / steps,
            np.maximum(1, np.rint(size * lots)) / lots,
            buy,
        )
        self._log_price += returns
        self._ticks += 1
        return tick

    def trades(self, tick: Tick, time_ms: Ints, received_ms: int | None = None) -> list[Trade]:
        """Return a tick's trades as records.

        Parameters
        ----------
        tick
            Of this market.
        time_ms
            Their event times.
        received_ms
            When the feed had them; None: as they happened.
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

    def _arrivals(self) -> Ints:
        # The mean stays as asked: the mood's is one, and what excites is the share that is taken from the base.
        fade = np.exp(-TICK_MS / MOOD_MS)
        self._mood = fade * self._mood + np.sqrt(1 - fade**2) * MOOD * self._random.standard_normal()
        mood = np.exp(self._mood - MOOD**2 / 2)
        counts: Ints = self._random.poisson((1 - EXCITED) * mood * self._base + EXCITED * self._excitement)
        keep = np.exp(-TICK_MS / EXCITED_MS)
        self._excitement = keep * self._excitement + (1 - keep) * counts
        return counts

    def _returns(self) -> Floats:
        scale = VOLATILITY_PER_SQRT_MS * np.sqrt(TICK_MS) * np.exp(self._mood / 2)
        own = self._random.standard_normal(len(self.symbols))
        common = self._random.standard_normal()
        returns: Floats = scale * (np.sqrt(COMMON) * self._beta * common + np.sqrt(1 - COMMON) * own)
        return returns

    def _ids(self, symbol: Ints, counts: Ints) -> Ints:
        grouped = np.argsort(symbol, kind="stable")
        first = np.repeat(self._next_id - (np.cumsum(counts) - counts), counts)
        ids = np.empty(len(symbol), np.int64)
        ids[grouped] = first + np.arange(len(symbol))
        self._next_id += counts
        return ids
