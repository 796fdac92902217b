"""Which trades may be sent while earlier ones are missing, and which to ask for. It does no input or output."""

import math
from collections.abc import Iterable, Mapping, Sequence
from heapq import heappop, heappush
from itertools import count

from msgspec import Struct

from tickertape.schemas.trade import Trade
from tickertape.stream.errors import counted

#: The memory of a trade that is held back, and of its place, bytes.
TRADE_BYTES = 512


class Seen(Struct, frozen=True):
    """Up to where a symbol's trades are complete.

    Attributes
    ----------
    id
        The last trade's number.
    time_ms
        Its event time, ms.
    """

    id: int
    time_ms: int


class Ask(Struct, frozen=True):
    """A request for missing trades.

    Attributes
    ----------
    symbol
        The symbol.
    first, last
        The first and the last missing number; without a last one, whether any is missing isn't known.
    since_ms
        The event time of the trade before them: none of them is earlier, but some may have the same time.
    at_seconds
        When it was made, by the monotonic clock.
    """

    symbol: str
    first: int
    last: int | None
    since_ms: int
    at_seconds: float


class Lost(Struct, frozen=True):
    """Trades that can't be had.

    Attributes
    ----------
    symbol, first, last
        As in `Ask`.
    why
        The reason, for a log line.
    """

    symbol: str
    first: int
    last: int | None
    why: str

    def __str__(self) -> str:
        if self.last is None:
            return f"it isn't known whether trades are missing from id {self.first} on: {self.why}"
        ids = f"ids {self.first} to {self.last}" if self.last > self.first else f"id {self.first}"
        return f"{counted(self.last - self.first + 1, 'trades')} can't be had, {ids}: {self.why}"


class Patience(Struct, frozen=True, kw_only=True):
    """The limits of a refill.

    Attributes
    ----------
    settle_seconds
        How old a gap is before it is asked for: until then, trades that come out of order may fill it.
    history_seconds
        How long the source's history may take until it has a trade.
    again_seconds
        The wait until the same trades are asked for again.
    most_seconds
        How long later trades are held back for one gap.
    most_bytes
        How much may be held back.
    """

    settle_seconds: float = 1.0
    history_seconds: float = 5.0
    again_seconds: float = 1.0
    most_seconds: float = 60.0
    most_bytes: int = 64 << 20


class _Range:
    """Numbers that may be missing, from an event time on. Without a last one it isn't known whether any is missing."""

    __slots__ = ("asked_at", "began", "first", "known_at", "last", "since_ms")

    def __init__(self, first: int, last: int | None, since_ms: int, began: float) -> None:
        self.first = first
        self.last = last
        self.since_ms = since_ms
        self.began = began
        # From when on an answer is sure to hold what the connection didn't bring.
        self.known_at = began
        self.asked_at = -math.inf


class _Symbol:
    """What has come of a symbol, and what was sent."""

    __slots__ = ("newest_ms", "next", "sent", "sent_ms")

    def __init__(self, number: int, time_ms: int) -> None:
        # The number after the highest that has come.
        self.next = number
        self.newest_ms = time_ms
        # The highest that was sent, and its time; -1 before the first.
        self.sent = -1
        self.sent_ms = 0


class Refill:
    """The trades of one source that have come, and those that may be missing.

    A trade is **sent** once no missing trade can be earlier. Otherwise its heartbeat or its own time would close the
    slices that the missing trade belongs to, and the missing trade would be late. So a gap holds back what is later
    than the trade before it, of all symbols. After a connection was lost, every symbol may have a gap: it has none once
    its next number comes, or once the source is asked and has nothing more.

    What was sent is complete but for what `lost` names, and a feed that starts again goes on from `complete`.

    Parameters
    ----------
    patience
        The limits.

    Attributes
    ----------
    lost
        The trades that were given up, the newest last. Whoever reads it empties it.
    refilled
        The number of trades that were asked for and came.
    """

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._symbols: dict[str, _Symbol] = {}
        self._ranges: dict[str, list[_Range]] = {}
        # By symbol: why it was given up to ask whether trades are missing before the next.
        self._written_off: dict[str, str] = {}
        self._held: list[tuple[int, int, Trade]] = []
        self._order = count()
        # Trades that came while nothing was in doubt.
        self._ready: list[Trade] = []
        self.lost: list[Lost] = []
        self.refilled = 0

    @property
    def held(self) -> int:
        """The number of trades that are held back."""
        return len(self._held)

    def resume(self, complete: Mapping[str, Seen], now: float) -> None:
        """Go on from where an earlier feed ended: what came since then may be missing."""
        for name, seen in complete.items():
            symbol = self._symbols[name] = _Symbol(seen.id + 1, seen.time_ms)
            symbol.sent, symbol.sent_ms = seen.id, seen.time_ms
        self.disconnected(complete, now)

    def disconnected(self, symbols: Iterable[str], now: float) -> None:
        """Record that a connection was lost: trades of its symbols may be missing after the last that came.

        Parameters
        ----------
        symbols
            The connection's symbols.
        now
            The monotonic clock, s.
        """
        for symbol in symbols:
            if symbol in self._symbols:
                self._unknown(symbol, now).known_at = math.inf

    def connected(self, symbols: Iterable[str], now: float) -> None:
        """Record that a connection stands again: what it doesn't bring from now on can be asked for."""
        for symbol in symbols:
            ranges = self._ranges.get(symbol)
            if self._written_off.pop(symbol, None) is not None or (ranges and ranges[-1].last is None):
                gap = self._unknown(symbol, now)
                gap.began = gap.known_at = now

    def _unknown(self, symbol: str, now: float) -> _Range:
        """Return the range after the last number of a symbol, of which it isn't known whether any is missing."""
        ranges = self._ranges.setdefault(symbol, [])
        if not ranges or ranges[-1].last is not None:
            come = self._symbols[symbol]
            ranges.append(_Range(come.next, None, come.newest_ms, now))
        return ranges[-1]

    def take(self, trades: Sequence[Trade], now: float, *, asked: bool = False) -> None:
        """Take new trades, in the order in which they came. No trade is given twice.

        Parameters
        ----------
        trades
            The trades.
        now
            The monotonic clock, s.
        asked
            True if they were asked for.
        """
        for trade in trades:
            first, last = trade.id, trade.newest_id
            assert isinstance(first, int)
            assert isinstance(last, int)
            come = self._symbols.get(trade.symbol)
            if come is None or come.next != first or self._ranges or self._held or self._written_off:
                come = self._note(trade, first, last, now, asked=asked)
            else:
                come.next = last + 1
                if trade.time_ms > come.newest_ms:
                    come.newest_ms = trade.time_ms
            if self._ranges or self._held:
                heappush(self._held, (trade.time_ms, next(self._order), trade))
            else:
                self._ready.append(trade)
                come.sent, come.sent_ms = last, trade.time_ms
        if asked:
            self.refilled += len(trades)

    def _note(self, trade: Trade, first: int, last: int, now: float, *, asked: bool) -> _Symbol:
        """Learn from a trade what is missing, and what no longer is."""
        name = trade.symbol
        come = self._symbols.get(name)
        if come is None:
            come = self._symbols[name] = _Symbol(first, trade.time_ms)
        if first >= come.next:
            unknown = self._close(name, come, first, now)
            if asked and unknown:
                # More may follow it.
                self._ranges.setdefault(name, []).append(_Range(last + 1, None, trade.time_ms, unknown.began))
            come.next = last + 1
        else:
            self._fill(name, first, last, trade.time_ms)
        come.newest_ms = max(come.newest_ms, trade.time_ms)
        return come

    def _close(self, symbol: str, come: _Symbol, first: int, now: float) -> _Range | None:
        """Learn from a number beyond all before which of those between are missing. Return what wasn't known before."""
        ranges = self._ranges.get(symbol, [])
        unknown = ranges.pop() if ranges and ranges[-1].last is None else None
        why = self._written_off.pop(symbol, None)
        if first > come.next:
            if why is not None:
                self.lost.append(Lost(symbol, come.next, first - 1, why))
                return unknown
            gap = unknown or _Range(come.next, None, come.newest_ms, now)
            gap.last = first - 1
            # A later trade has come, so a connection stands.
            gap.known_at = min(gap.known_at, now)
            self._ranges.setdefault(symbol, []).append(gap)
        elif not ranges:
            self._ranges.pop(symbol, None)
        return unknown

    def _fill(self, symbol: str, first: int, last: int, time_ms: int) -> None:
        """Remove numbers from the range that they lie in, if they weren't given up."""
        ranges = self._ranges.get(symbol, [])
        for at, gap in enumerate(ranges):
            if gap.last is not None and gap.first <= first <= gap.last:
                parts = [_Range(gap.first, first - 1, gap.since_ms, gap.began)] if first > gap.first else []
                if last < gap.last:
                    parts.append(_Range(last + 1, gap.last, max(gap.since_ms, time_ms), gap.began))
                    # A page may end here: the next is asked for at once.
                    parts[-1].known_at = gap.known_at
                ranges[at : at + 1] = parts
                if not ranges:
                    del self._ranges[symbol]
                return

    def ask(self, now: float) -> Ask | None:
        """Return what to ask for next: what holds the others back the longest way; None if nothing is due."""
        patience = self._patience
        due = [
            (gap.since_ms, symbol, gap)
            for symbol, ranges in self._ranges.items()
            for gap in ranges
            if now >= gap.known_at + patience.settle_seconds and now >= gap.asked_at + patience.again_seconds
        ]
        if not due:
            return None
        _, symbol, gap = min(due, key=lambda one: one[:2])
        gap.asked_at = now
        return Ask(symbol, gap.first, gap.last, gap.since_ms, now)

    def answered(self, ask: Ask, *, last: int | None, more: bool) -> None:
        """Record that what the source answered was taken.

        Parameters
        ----------
        ask
            The request.
        last
            The number up to which the source has none but those that were taken; None if it had none.
        more
            True if the source may have more.
        """
        for gap in list(self._ranges.get(ask.symbol, [])):
            if gap.last is None:
                settled = ask.at_seconds >= gap.known_at + self._patience.settle_seconds
                if ask.last is None and settled and not more:
                    # It was asked after the connection stood, so what follows comes over the connection.
                    self._drop(ask.symbol, gap)
                elif last is not None:
                    gap.asked_at = -math.inf
            elif last is not None and ask.first <= gap.first <= last:
                self._lose(ask.symbol, gap, min(gap.last, last), "the source doesn't have them")
            elif last is None and gap.first == ask.first and self._is_old(gap, ask):
                self._lose(ask.symbol, gap, gap.last, "the source doesn't have them")

    def _is_old(self, gap: _Range, ask: Ask) -> bool:
        return ask.at_seconds >= gap.known_at + self._patience.history_seconds

    def give_up(self, ask: Ask, why: str) -> None:
        """Record that what was asked for can't be had."""
        for gap in list(self._ranges.get(ask.symbol, [])):
            if gap.first == ask.first:
                self._lose(ask.symbol, gap, gap.last, why)

    def release(self, now: float) -> list[Trade]:
        """Return the trades that may be sent now, by event time."""
        sent, self._ready = self._ready, []
        if not self._held and not self._ranges:
            return sent
        self._expire(now)
        bound = self._bound()
        while self._held and self._held[0][0] < bound:
            trade = heappop(self._held)[2]
            last = trade.newest_id
            assert isinstance(last, int)
            come = self._symbols[trade.symbol]
            if last > come.sent:
                come.sent, come.sent_ms = last, trade.time_ms
            sent.append(trade)
        return sent

    def complete(self) -> dict[str, Seen]:
        """Return, by symbol, up to where all trades are sent or lost: where a feed that starts again goes on."""
        found = {}
        for name, come in self._symbols.items():
            number, time_ms = come.sent, come.sent_ms
            if (ranges := self._ranges.get(name)) and ranges[0].first <= number:
                number, time_ms = ranges[0].first - 1, min(time_ms, ranges[0].since_ms)
            if number >= 0:
                found[name] = Seen(number, time_ms)
        return found

    def _bound(self) -> float:
        return min((gap.since_ms for ranges in self._ranges.values() for gap in ranges), default=math.inf)

    def _expire(self, now: float) -> None:
        patience = self._patience
        for symbol, ranges in list(self._ranges.items()):
            for gap in list(ranges):
                if now >= gap.began + patience.most_seconds:
                    self._lose(symbol, gap, gap.last, f"not had within {patience.most_seconds:g} s")
        while len(self._held) * TRADE_BYTES > patience.most_bytes and self._ranges:
            symbol, ranges = min(self._ranges.items(), key=lambda one: one[1][0].since_ms)
            self._lose(symbol, ranges[0], ranges[0].last, f"{patience.most_bytes >> 20} MiB of later trades wait")

    def _lose(self, symbol: str, gap: _Range, last: int | None, why: str) -> None:
        self.lost.append(Lost(symbol, gap.first, last, why))
        if last is None:
            # The next trade will show whether any was missing.
            self._written_off[symbol] = why
        if last is None or last == gap.last:
            self._drop(symbol, gap)
        else:
            gap.first = last + 1

    def _drop(self, symbol: str, gap: _Range) -> None:
        ranges = self._ranges[symbol]
        ranges.remove(gap)
        if not ranges:
            del self._ranges[symbol]
