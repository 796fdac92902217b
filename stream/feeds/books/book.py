"""The order book of one symbol: it follows a source's changes, and knows when it can't be trusted."""

import math
from collections.abc import Hashable
from enum import Enum

from tickertape.stream.feeds.books.held import Held
from tickertape.stream.feeds.books.numbers import SETTLE_MS, Verdict, judge
from tickertape.stream.feeds.books.pace import Pace
from tickertape.stream.feeds.books.side import Side
from tickertape.stream.feeds.define.book_rule import BookRule
from tickertape.stream.feeds.define.change import Change, Level

#: How long the best bid of a live book may be at or above its best ask, s.
CROSSED_SECONDS = 1.0
#: A side beyond whose last level others are unknown, is used up when it has fewer levels than this.
LEAST_LEVELS = 20
#: With fewer than this, a new snapshot is fetched while the book is live. A fast market takes some seconds from here.
FEW_LEVELS = 300


class State(Enum):
    """What a book can be used for."""

    #: It has no snapshot yet, or the connection was lost.
    SYNCING = "syncing"
    #: It is what the source says.
    LIVE = "live"
    #: It was live, and can't be trusted any more.
    STALE = "stale"


class Broken(Exception):  # noqa: N818 - it is no error of the program
    """A book can't be trusted. The text is the reason: one of a few, in one or two words."""


class Book:
    """The order book of one symbol of one source. Times are of the monotonic clock, s, unless their names say ms.

    Parameters
    ----------
    rule
        How the source's books are kept.
    most_levels
        The most levels a side that are kept. What is behind them is then unknown.
    now
        The time.

    Attributes
    ----------
    state
        What the book can be used for.
    pace
        When it asks for a snapshot.
    connection
        The connection that its last change came from.
    number
        The number of the last change; None without a snapshot, or if the source gives no numbers.
    time_ms, received_ms
        When the book changed last by the source's clock, and when the feed received that, ms.
    ignored
        How many changes were repeats, or came from another connection than the book's.
    """

    def __init__(self, rule: BookRule, most_levels: int, now: float) -> None:
        self._rule = rule
        self._most_levels = most_levels
        self._held = Held()
        # Whether changes have come since the connection began.
        self._is_heard = False
        # Whether a new snapshot is awaited while the book is live.
        self._renews = False
        self._crossed_since: float | None = None
        # Of a book without numbers: another connection that brings its changes.
        self._other: Hashable = None
        # The event time of the last change from the stream; a fetched snapshot may have none by the same clock.
        self._stream_ms = math.inf
        self.pace = Pace(rule.ways)
        self.state = State.SYNCING
        self.connection: Hashable = None
        self.number: int | None = None
        self.time_ms = 0
        self.received_ms = 0
        self.ignored = 0
        self._bids, self._asks = Side(1, most_levels), Side(-1, most_levels)
        if rule.ways[0] == "subscribe":
            self.pace.expect(now)

    def take(self, change: Change, now: float, connection: Hashable) -> bool:
        """Take a change. Return whether the book has changed; it is then live.

        Parameters
        ----------
        change
            The change.
        now
            The time.
        connection
            The connection that it came from; for a snapshot that was fetched, it doesn't matter.

        Raises
        ------
        Broken
            The book can't be trusted, and asks for a snapshot; or the snapshot is no use.
        """
        rule = self._rule
        try:
            if change.is_snapshot or (rule.restarts_at is not None and change.last == rule.restarts_at):
                return self._begin(change, now, connection)
            self._is_heard = True
            # A numbered book whose connection was lost goes on if nothing is missing.
            if self.state is State.LIVE or self.number is not None:
                return self._continue(change, now, connection)
            self.connection = connection
            if rule.ways[0] == "fetch" and self.pace.due is None:
                self.pace.need(now)
            if "fetch" in rule.ways and not self._held.add(change):
                raise Broken("too many held")
        except Broken:
            self._end(now)
            raise
        except (ValueError, TypeError):
            self._held.clear()
            self._end(now)
            raise Broken("invalid") from None
        return False

    def look(self, now: float) -> None:
        """Check what takes time; call it about once a second.

        Raises
        ------
        Broken
            The book can't be trusted.
        """
        if self._crossed_since is not None and now - self._crossed_since > CROSSED_SECONDS:
            self._end(now)
            raise Broken("crossed")

    def doubt(self, now: float) -> None:
        """Say that a change may have been lost."""
        self._held.clear()
        self._end(now)

    def lose(self, connection: Hashable, now: float) -> None:
        """Say that a connection was lost. A numbered book may go on later, if nothing is missing then."""
        if connection == self._other:
            self._other = None
        if connection != self.connection:
            return
        self.state, self._is_heard, self._renews, self._crossed_since = State.SYNCING, False, False, None
        self._held.clear()
        if not self._rule.is_numbered:
            self._clear()
        if self._other is not None:
            # A snapshot comes sooner over a connection that stands than over a new one.
            self.connection, self._other = self._other, None
            self.pace.need(now)
        elif self._rule.ways[0] == "subscribe":
            self.pace.expect(now)
        else:
            # It is asked for once changes come again.
            self.pace.done(now)

    @property
    def is_crossed(self) -> bool:
        """True if the best bid is at or above the best ask."""
        return self._crossed_since is not None

    def best(self) -> tuple[Level, Level] | None:
        """Return the best bid and ask; None if the book isn't live, a side is empty, or they cross."""
        bid, ask = self._bids.best(), self._asks.best()
        if self.state is not State.LIVE or self.is_crossed or bid is None or ask is None:
            return None
        return bid, ask

    def depth(self, count: int) -> tuple[list[Level], list[Level]]:
        """Return the best bids and asks, at most so many a side, the best first."""
        return self._bids.top(count), self._asks.top(count)

    def _continue(self, change: Change, now: float, connection: Hashable) -> bool:
        rule, was_live = self._rule, self.state is State.LIVE
        if self.number is not None:
            verdict = judge(rule, change, self.number, self._stream_ms)
        else:
            # Changes of two connections come in no common order.
            verdict = Verdict.APPLY if connection == self.connection else Verdict.IGNORE
        if verdict is Verdict.IGNORE:
            self.ignored += 1
            self._other = None if self.number is not None else connection
            return False
        self.connection = connection
        if "fetch" in rule.ways and (self._renews or verdict is not Verdict.APPLY):
            self._held.add(change)
        if verdict is not Verdict.APPLY:
            raise Broken(verdict.value if was_live else "connection lost")
        self._apply(change, self._bids, self._asks)
        self._move(change)
        if not was_live:
            self.state = State.LIVE
            self.pace.done(now)
        self._check(now)
        return True

    def _begin(self, change: Change, now: float, connection: Hashable) -> bool:
        """Begin with a snapshot, and with what was held for it."""
        rule, number, newest = self._rule, change.last, change
        if rule.is_numbered and number is None:
            raise ValueError("a snapshot without a number")
        is_fetched = "fetch" in (self.pace.way, rule.ways[0])
        # Without a connection nothing would tell of changes after it.
        is_too_early = is_fetched and not self._is_heard
        if is_too_early or (self.state is State.LIVE and not self._renews and self._is_older(change)):
            self.ignored += 1
            return False
        bids, asks = Side(1, self._most_levels), Side(-1, self._most_levels)
        self._apply(change, bids, asks)
        for side, levels in ((bids, change.bids), (asks, change.asks)):
            if rule.snapshot_levels is not None and len(levels) >= rule.snapshot_levels:
                side.end_here()
        # The stream's own snapshot is in order with its changes, so none before it counts.
        if is_fetched and number is not None:
            for held in self._held.take_from(rule, number):
                self._apply(held, bids, asks)
                newest = held
            if len(self._held):
                # It is older than what is held, or a change was lost meanwhile.
                if not self._renews:
                    raise Broken("old snapshot")
                self.pace.need(now)
                return False
        else:
            self.connection = connection
        self._held.clear()
        self._bids, self._asks, self._renews, self.state = bids, asks, False, State.LIVE
        self._move(newest)
        if is_fetched and newest is change:
            self._stream_ms = math.inf
        self.pace.done(now)
        self._check(now)
        return True

    def _is_older(self, snapshot: Change) -> bool:
        """Return whether a snapshot is older than the live book. Numbers that begin anew come with a later time."""
        if snapshot.last is None or self.number is None or snapshot.last in (self._rule.restarts_at, self.number):
            return False
        is_later = snapshot.time_ms > self.time_ms + SETTLE_MS and "subscribe" in self._rule.ways
        return snapshot.last < self.number and not is_later

    def _apply(self, change: Change, bids: Side, asks: Side) -> None:
        rule = self._rule
        bids.apply(change.bids)
        asks.apply(change.asks)
        if rule.depth is not None:
            bids.cut(rule.depth)
            asks.cut(rule.depth)
        if rule.checksum is not None and change.checksum:
            count = rule.checksum_levels
            if rule.checksum(bids.top(count), asks.top(count)) != change.checksum:
                raise Broken("checksum")

    def _move(self, newest: Change) -> None:
        self.number = newest.last if self._rule.is_numbered else None
        self.time_ms, self.received_ms, self._stream_ms = newest.time_ms, newest.received_ms, newest.time_ms

    def _check(self, now: float) -> None:
        """Check the book after a change."""
        bid, ask = self._bids.best_price, self._asks.best_price
        if bid is None or ask is None or bid < ask:
            self._crossed_since = None
        elif self._crossed_since is None:
            self._crossed_since = now
        self.look(now)
        least = min((len(side) for side in (self._bids, self._asks) if not side.is_whole), default=FEW_LEVELS)
        if least < LEAST_LEVELS:
            raise Broken("used up")
        if least < FEW_LEVELS and not self._renews and self._rule.ways[0] == "fetch":
            self._renews = True
            self.pace.need(now)

    def _end(self, now: float) -> None:
        """Trust the book no more, and ask for a snapshot."""
        if self.state is State.LIVE or self.number is not None:
            self.state = State.STALE
        self._renews, self._crossed_since = False, None
        self._clear()
        self.pace.need(now)

    def _clear(self) -> None:
        self._bids, self._asks = Side(1, self._most_levels), Side(-1, self._most_levels)
        self.number = None
