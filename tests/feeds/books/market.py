"""An exchange's order book, kept in two plain dicts, and what each exchange would send of it."""

import random
from collections.abc import Sequence
from zlib import crc32

from tickertape.stream.feeds.define.change import Change, Level

START_MS = 1_700_000_000_000
SYMBOL = "BTC-USD"


def change(
    bids: Sequence[Level] = (),
    asks: Sequence[Level] = (),
    *,
    snapshot: bool = False,
    ms: int = 0,
    symbol: str = SYMBOL,
    first: int | None = None,
    last: int | None = None,
    previous: int | None = None,
    checksum: int | None = None,
) -> Change:
    """Return a change, ``ms`` after `START_MS`."""
    return Change(
        symbol=symbol,
        source="here",
        time_ms=START_MS + ms,
        received_ms=START_MS + ms + 5,
        is_snapshot=snapshot,
        bids=bids,
        asks=asks,
        first=first,
        last=last,
        previous=previous,
        checksum=checksum,
    )


def price(ticks: int) -> str:
    return f"{ticks // 10}.{ticks % 10}"


def quantity(units: int) -> str:
    return f"{units // 10**8}.{units % 10**8:08d}"


class Market:
    """The true book. Prices are in tenths, quantities in units of 1e-8.

    Parameters
    ----------
    seed
        The same seed gives the same changes.
    levels
        How many levels a side it begins with.
    """

    def __init__(self, seed: int, levels: int = 80) -> None:
        self.random = random.Random(seed)
        self.middle = 500_000
        self.bids = {self.middle - n: self._units() for n in range(1, levels + 1)}
        self.asks = {self.middle + n: self._units() for n in range(1, levels + 1)}
        self.ms = 0

    def _units(self) -> int:
        return self.random.randrange(1, 5 * 10**8)

    def step(self, most: int = 6) -> tuple[dict[int, int], dict[int, int]]:
        """Change some levels, 100 ms later; return the quantities after it, which are 0 where a price is gone."""
        some = self.random
        self.ms += 100
        told: tuple[dict[int, int], dict[int, int]] = ({}, {})
        if some.random() < 0.3:
            self.middle += some.choice((-1, 1))
            # What stands on the wrong side of the new middle has been traded away.
            for side, gone in (
                (0, [p for p in self.bids if p >= self.middle]),
                (1, [p for p in self.asks if p <= self.middle]),
            ):
                told[side].update(dict.fromkeys(gone, 0))
        for _ in range(some.randint(1, most)):
            side, sign = some.choice(((0, -1), (1, 1)))
            at = self.middle + sign * (1 + int(some.expovariate(0.15)))
            told[side][at] = 0 if some.random() < 0.3 else self._units()
        for book, changes in zip((self.bids, self.asks), told, strict=True):
            for at, units in changes.items():
                if units:
                    book[at] = units
                else:
                    book.pop(at, None)
        return told

    def best(self, count: int | None = None) -> tuple[list[Level], list[Level]]:
        """Return the best levels, the best first."""
        bids = [(price(at), quantity(self.bids[at])) for at in sorted(self.bids, reverse=True)[:count]]
        asks = [(price(at), quantity(self.asks[at])) for at in sorted(self.asks)[:count]]
        return bids, asks


def texts(changes: dict[int, int]) -> list[Level]:
    return [(price(at), quantity(units)) for at, units in changes.items()]


def step_of_best(market: Market, depth: int) -> list[list[Level]]:
    """Let a market change; return what is told of its best levels, in any order.

    What leaves them because better ones come isn't told; what enters them is.
    """
    before = market.best(depth)
    whole = market.step()
    sides = []
    for changes, was, now in zip(whole, before, market.best(depth), strict=True):
        old = dict(was)
        told = [(at, units) for at, units in now if old.get(at) != units]
        told += [(price(at), quantity(0)) for at, units in changes.items() if not units and price(at) in old]
        market.random.shuffle(told)
        sides.append(told)
    return sides


class Numbered:
    """What Binance spot, Binance USD-M, Bybit or OKX send of a market.

    Parameters
    ----------
    market
        The market.
    style
        ``spot``, ``usdm``, ``bybit`` or ``okx``.
    depth
        How many levels a side are told; None: all.
    """

    def __init__(self, market: Market, style: str, depth: int | None = None) -> None:
        self.market = market
        self.style = style
        self.depth = depth
        self.last = 1000

    def delta(self) -> Change:
        """Return the next change."""
        if self.depth is None:
            bids, asks = map(texts, self.market.step())
        else:
            bids, asks = step_of_best(self.market, self.depth)
        before, some = self.last, self.market.random
        # Only on spot and Bybit does a change begin right after the one before it.
        first = before + (1 if self.style in {"spot", "bybit"} else some.randint(1, 50))
        self.last = first if self.style == "bybit" else first + some.randint(0, 30)
        named = {
            "spot": {"first": first, "last": self.last},
            "usdm": {"first": first, "last": self.last, "previous": before},
            "bybit": {"last": self.last},
            "okx": {"last": self.last, "previous": before},
        }[self.style]
        return change(bids, asks, ms=self.market.ms, **named)

    def snapshot(self) -> Change:
        """Return the book as it is now."""
        return change(*self.market.best(self.depth), snapshot=True, ms=self.market.ms, last=self.last)


class Plain:
    """What Coinbase sends of a market: no numbers."""

    def __init__(self, market: Market) -> None:
        self.market = market

    def delta(self) -> Change:
        bids, asks = self.market.step()
        return change(texts(bids), texts(asks), ms=self.market.ms)

    def snapshot(self) -> Change:
        return change(*self.market.best(), snapshot=True, ms=self.market.ms)


class Summed:
    """What Kraken sends of a market: the best levels alone, with a checksum."""

    def __init__(self, market: Market, depth: int) -> None:
        self.market = market
        self.depth = depth

    def delta(self) -> Change:
        bids, asks = step_of_best(self.market, self.depth)
        return change(bids, asks, ms=self.market.ms, checksum=self.sum())

    def snapshot(self) -> Change:
        return change(*self.market.best(self.depth), snapshot=True, ms=self.market.ms, checksum=self.sum())

    def sum(self) -> int:
        """Return the checksum, from numbers: no text has leading zeros to lose."""
        bids, asks = self.market.bids, self.market.asks
        parts = [f"{at}{asks[at]}" for at in sorted(asks)[:10]]
        parts += [f"{at}{bids[at]}" for at in sorted(bids, reverse=True)[:10]]
        return crc32("".join(parts).encode())
