"""Sending a simulated market, in real time or as fast as possible, with a ledger of its trades."""

import asyncio
import math
import sys
import time
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tickertape.schemas.events import Event
from tickertape.schemas.post import Post
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.errors import InputError
from tickertape.stream.feeds.publish.publisher import Publisher
from tickertape.stream.feeds.publish.records import Records
from tickertape.stream.feeds.simulate.simulated_market import TICK_MS, Book, Ints, Market, Tick
from tickertape.stream.feeds.simulate.simulated_posts import Crowd, Talk

# A live market sends so often in a tick of at least so many trades; otherwise once a tick.
PART_MS = 2
PARTED_TRADES = 10


class Ledger:
    """The number of trades sent, by symbol and second of event time.

    Parameters
    ----------
    symbols
        The symbols' names.
    """

    def __init__(self, symbols: list[str]) -> None:
        self.symbols = symbols
        self._seconds: dict[int, Ints] = {}

    def add(self, symbol: Ints, time_ms: Ints) -> None:
        """Count some trades, given as columns."""
        if not len(time_ms):
            return
        seconds = time_ms // 1000
        first, last = int(seconds.min()), int(seconds.max())
        # The trades of a tick are of one second or two.
        for second in (first,) if first == last else np.unique(seconds).tolist():
            counts = np.bincount(symbol[seconds == second], minlength=len(self.symbols))
            known = self._seconds.get(second)
            self._seconds[second] = counts if known is None else known + counts

    @property
    def trades(self) -> int:
        return sum(int(counts.sum()) for counts in self._seconds.values())

    def by_symbol(self) -> dict[str, int]:
        """Return the number of trades of each symbol that had any."""
        totals = sum(self._seconds.values(), np.zeros(len(self.symbols), np.int64))
        return {symbol: count for symbol, count in zip(self.symbols, totals.tolist(), strict=True) if count}

    def by_symbol_and_second(self) -> dict[tuple[str, int], int]:
        """Return the number of trades by (symbol, start of the second in seconds since 1970)."""
        return {
            (self.symbols[index], second): int(counts[index])
            for second, counts in sorted(self._seconds.items())
            for index in np.flatnonzero(counts).tolist()
        }

    def write(self, path: Path) -> None:
        """Write ``{"trades": …, "by_symbol": {…}}``.

        Raises
        ------
        InputError
            The file can't be written.
        """
        text = msgspec.json.format(msgspec.json.encode({"trades": self.trades, "by_symbol": self.by_symbol()}))
        try:
            path.write_bytes(text + b"\n")
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from None


class Simulation:
    """A simulated market, played in time.

    Without ``start_ms`` it is **live**: an event's time is the wall clock at which the event is due. This stays so if
    sending falls behind, so that delays show. With ``start_ms`` it is **history**: event time is the market's own
    clock, counted from there, and the same market gives the same records to the last byte.

    Parameters
    ----------
    market
        The market, which must not have been stepped yet.
    crowd
        The source of posts, which prices follow; None for no posts.
    start_ms
        The market's start, ms; None for a live market.
    seconds
        The event time after which it ends; None for no end.
    events
        The number of trades after which it ends, with that tick; None for no end.
    speed
        2.0 is twice as fast as the market's clock; infinity never waits.

    Attributes
    ----------
    market
        As given.
    ledger
        The trades that have been sent.
    """

    def __init__(
        self,
        market: Market,
        crowd: Crowd | None = None,
        *,
        start_ms: int | None = None,
        seconds: float | None = None,
        events: int | None = None,
        speed: float = 1.0,
    ) -> None:
        self.market = market
        self._crowd = crowd
        self.ledger = Ledger(market.symbols)
        self._start_ms = start_ms
        self._seconds = math.inf if seconds is None else seconds
        self._events = sys.maxsize if events is None else events
        self._speed = speed

    async def run(self, records: Records, *, close: bool | None = None) -> Ledger:
        """Publish all events, and return the ledger once they are acknowledged.

        Parameters
        ----------
        records
            Where records are sent to.
        close
            True to close every bar at the end. None closes history but not a live market, whose next run in the same
            hour would be late.

        Raises
        ------
        BrokerError
            A topic doesn't exist, or a record was not delivered.
        """
        publisher = Publisher(records, kinds=self.kinds)
        await publisher.feed(self.batches(), close=self.closes if close is None else close)
        return self.ledger

    @property
    def kinds(self) -> tuple[type, ...]:
        """The kinds of events that may come."""
        return (Trade, *[Quote] * self.market.has_quotes, *[Post] * (self._crowd is not None))

    @property
    def closes(self) -> bool:
        """True if no later event of the same source can follow."""
        return self._start_ms is not None

    async def batches(self) -> AsyncIterator[list[Event]]:
        """Yield the events of each tick when they are due, and count their trades in the ledger before.

        A live tick with many trades comes in parts: a busy market doesn't send in bursts each ten milliseconds. One
        with few comes at once, because each part wakes the feed, the broker and a worker.
        """
        clock = asyncio.get_running_loop().time
        epoch_seconds, began, left = time.time(), clock(), self._events
        for number in count():
            market_seconds = number * TICK_MS / 1000
            due = market_seconds / self._speed
            if (wait := due - (clock() - began)) > 0:
                await asyncio.sleep(wait)
            at = clock() - began if math.isinf(self._speed) else due
            if left <= 0 or (market_seconds if self.closes else at) >= self._seconds:
                return
            talk, push = self._crowd.step() if self._crowd else (None, 0.0)
            tick, book = self.market.step(push)
            tick = tick.head(left)
            left -= len(tick.id)
            if self.closes or math.isinf(self._speed):
                yield self._events_of(
                    tick, book, talk, int((epoch_seconds + at) * 1000), clock() - began + epoch_seconds
                )
                continue
            part_ms = PART_MS if len(tick.id) >= PARTED_TRADES else TICK_MS
            for since_ms in range(0, TICK_MS, part_ms):
                part_at = at + since_ms / 1000 / self._speed
                if (wait := part_at - (clock() - began)) > 0:
                    await asyncio.sleep(wait)
                first_ms = number * TICK_MS + since_ms
                trades, quotes, posts = (_part(one, first_ms, first_ms + part_ms) for one in (tick, book, talk))
                live_ms = int((epoch_seconds + part_at) * 1000)
                if events := self._events_of(trades, quotes, posts, live_ms, clock() - began + epoch_seconds):
                    yield events

    def _events_of(
        self, tick: Tick, book: Book, talk: Talk | None, live_ms: int, received_seconds: float
    ) -> list[Event]:
        received_ms = None if self.closes else int(received_seconds * 1000)
        time_ms = self._times(tick.offset_ms, live_ms)
        self.ledger.add(tick.symbol, time_ms)
        quotes = self.market.quotes(book, self._times(book.offset_ms, live_ms), received_ms)
        events: list[Event] = [*self.market.trades(tick, time_ms, received_ms), *quotes]
        if self._crowd and talk is not None and len(talk.id):
            events += self._crowd.posts(talk, self._times(talk.offset_ms, live_ms), received_ms)
        return events

    def _times(self, offset_ms: Ints, live_ms: int) -> Ints:
        return np.full(len(offset_ms), live_ms) if self._start_ms is None else self._start_ms + offset_ms


def _part(columns: Any, from_ms: int, to_ms: int) -> Any:
    """Return what lies between two times since the market's start. Columns are sorted by their offsets."""
    if columns is None:
        return None
    offset_ms = columns.offset_ms
    if not len(offset_ms) or (from_ms <= offset_ms[0] and offset_ms[-1] < to_ms):
        return columns
    first, end = offset_ms.searchsorted((from_ms, to_ms)).tolist()
    return type(columns)(*(column[first:end] for column in columns))
