"""The ids of a source's events: gaps are reported, and repeated events are dropped."""

import logging
from bisect import bisect_left
from collections.abc import Hashable

from tickertape.stream.errors import counted

log = logging.getLogger(__name__)

# Two overlapping connections differ by less than this.
SETTLE_SECONDS = 1.0
# How many ids are remembered at least of events whose ids say nothing of others. Two connections differ by far less.
MOST_RECENT = 50_000
# The most gaps per symbol. The oldest is forgotten, and an id of it that comes later counts as a repeat.
MOST_GAPS = 1000


class Gap:
    """Missing ids: ``first`` to ``last``, found at ``since`` by the monotonic clock."""

    __slots__ = ("first", "last", "named", "since")

    def __init__(self, first: int, last: int, since: float, *, named: bool = False) -> None:
        self.first = first
        self.last = last
        self.since = since
        self.named = named


class Recent:
    """The newest ids of events whose ids say nothing of others, such as UUIDs.

    Attributes
    ----------
    repeats
        The number of repeated ids.
    """

    def __init__(self) -> None:
        # When the new ones are many, they become the old ones, which are forgotten.
        self._new: set[Hashable] = set()
        self._old: set[Hashable] = set()
        self.repeats = 0

    def is_new(self, key: Hashable) -> bool:
        """Return whether an id has not come before; at most twice `MOST_RECENT` are remembered."""
        if key in self._new or key in self._old:
            self.repeats += 1
            return False
        self._new.add(key)
        if len(self._new) >= MOST_RECENT:
            self._new, self._old = set(), self._new
        return True


class Ids:
    """The ids received of one kind of event, by symbol.

    Parameters
    ----------
    source, what
        Their names in log lines: ``binance``, ``trades``.
    contiguous
        True if ids count up by one, so that each id left out is a missing event.
    settle_seconds
        The age at which a gap is reported. Until then, ids that come out of order may fill it.

    Attributes
    ----------
    repeats
        The number of repeated ids. If ids are not contiguous, it includes those that came after a higher one.
    restarts
        How often ids started again.
    missing
        The number of ids that are missing now, reported or not.
    """

    def __init__(self, source: str, what: str, *, contiguous: bool, settle_seconds: float = SETTLE_SECONDS) -> None:
        self._source = source
        self._what = what
        self._contiguous = contiguous
        self._settle_seconds = settle_seconds
        self._highest: dict[Hashable, int] = {}
        self._gaps: dict[Hashable, list[Gap]] = {}
        self._unnamed = 0
        self._newest_ms: dict[Hashable, int] = {}
        self.repeats = 0
        self.restarts = 0
        self.missing = 0

    def resume(self, symbol: Hashable, number: int, time_ms: int) -> None:
        """Go on after a number that came before this process: what follows it may be missing."""
        self._highest[symbol] = number
        self._newest_ms[symbol] = time_ms

    def is_new(self, symbol: Hashable, number: int, now: float, time_ms: int, *, last: int | None = None) -> bool:
        """Return whether an event has not come before, by its id.

        Parameters
        ----------
        symbol
            The symbol within which ids count.
        number
            The id; for an aggregate, the first one.
        now
            The time by the monotonic clock, s.
        time_ms
            The event time, ms.
        last
            For an aggregate, the last id; None for a single event.
        """
        last = number if last is None else last
        highest = self._highest.get(symbol)
        newest_ms = self._newest_ms.get(symbol, 0)
        if time_ms > newest_ms:
            self._newest_ms[symbol] = time_ms
        if highest is None or number == highest + 1 or (number > highest and not self._contiguous):
            self._highest[symbol] = last
            return True
        if number > highest:
            self._highest[symbol] = last
            self._open(symbol, Gap(highest + 1, number - 1, now))
            return True
        if filled := self._fill(symbol, number, last):
            self.missing -= filled
            return True
        if self._begins_anew(number, highest, later=time_ms > newest_ms):
            log.warning(
                "%s: %s: ids of %s start again at %d after %d", self._source, symbol, self._what, number, highest
            )
            self._highest[symbol] = last
            for gap in self._gaps.pop(symbol, []):
                self._unnamed -= not gap.named
            self.restarts += 1
            return True
        self.repeats += 1
        return False

    def _begins_anew(self, number: int, highest: int, *, later: bool) -> bool:
        """Return whether a lower id is not a repeat, but comes from a source that has started to count again.

        A repeat has the same event time as before. Ids that are not contiguous may have no event time of their own, so
        their distance decides: two overlapping connections are never so far apart.
        """
        return later if self._contiguous else number < highest // 2

    def name_gaps(self, now: float) -> None:
        """Report each gap that is old enough, once."""
        if not self._unnamed:
            return
        for symbol, gaps in self._gaps.items():
            for gap in gaps:
                if not gap.named and now - gap.since >= self._settle_seconds:
                    self._name(symbol, gap)

    @property
    def gaps(self) -> int:
        """The number of gaps."""
        return sum(map(len, self._gaps.values()))

    @property
    def holes(self) -> dict[Hashable, tuple[int, int]]:
        """The number of gaps, and of missing ids in them, of each symbol that has gaps."""
        return {
            symbol: (len(gaps), sum(gap.last - gap.first + 1 for gap in gaps))
            for symbol, gaps in self._gaps.items()
            if gaps
        }

    def _open(self, symbol: Hashable, gap: Gap) -> None:
        gaps = self._gaps.setdefault(symbol, [])
        gaps.append(gap)
        self._unnamed += 1
        self.missing += gap.last - gap.first + 1
        if len(gaps) > MOST_GAPS:
            forgotten = gaps.pop(0)
            if not forgotten.named:
                self._name(symbol, forgotten)

    def _name(self, symbol: Hashable, gap: Gap) -> None:
        gap.named = True
        self._unnamed -= 1
        what = counted(gap.last - gap.first + 1, self._what)
        if gap.first == gap.last:
            log.warning("%s: %s: %s is missing, id %d", self._source, symbol, what, gap.first)
        else:
            log.warning("%s: %s: %s are missing, ids %d to %d", self._source, symbol, what, gap.first, gap.last)

    def _fill(self, symbol: Hashable, number: int, until: int) -> int:
        """Remove ids from the gap in which the first one lies; return how many, 0 if there is no such gap."""
        gaps = self._gaps.get(symbol, [])
        at = bisect_left(gaps, number, key=lambda gap: gap.last)
        if at == len(gaps) or number < gaps[at].first:
            return 0
        gap = gaps[at]
        until = min(until, gap.last)
        parts = [
            Gap(first, last, gap.since, named=gap.named)
            for first, last in ((gap.first, number - 1), (until + 1, gap.last))
            if first <= last
        ]
        gaps[at : at + 1] = parts
        if not gap.named:
            self._unnamed += len(parts) - 1
        return until - number + 1
