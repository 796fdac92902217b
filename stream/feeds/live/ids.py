"""The ids that a source gives its events: a gap in them is named, and what comes twice is left out."""

import logging
from bisect import bisect_left
from collections.abc import Collection, Hashable

log = logging.getLogger(__name__)

# Two connections that overlap are out of step by less.
SETTLE_SECONDS = 1.0
# Of one symbol; the oldest is forgotten, and an id out of it that comes after all is taken for a repeat.
MOST_GAPS = 1000


class Gap:
    """Ids that haven't come: ``first`` to ``last``, as of ``since``, by the monotonic clock."""

    __slots__ = ("first", "last", "named", "since")

    def __init__(self, first: int, last: int, since: float, *, named: bool = False) -> None:
        self.first = first
        self.last = last
        self.since = since
        self.named = named


class Ids:
    """What ids of one kind of event came, by symbol.

    Parameters
    ----------
    source, what
        As log lines name them: ``binance``, ``trades``.
    contiguous
        True where ids count up by one, so that each one that is left out is missing.
    settle_seconds
        A gap is named once it is so old: until then it may be filled, out of order.

    Attributes
    ----------
    repeats
        How many ids came again; where they aren't contiguous, those that came after a later one too.
    restarts
        How often ids began anew.
    missing
        How many are missing for all that is known, named or not.
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

    def is_new(self, symbol: Hashable, number: int, now: float, time_ms: int) -> bool:
        """Return whether this id has not come before.

        Parameters
        ----------
        symbol
            What the ids count within.
        number
            The id.
        now
            By the monotonic clock.
        time_ms
            Event time.
        """
        newest_ms = self._newest_ms.get(symbol, 0)
        self._newest_ms[symbol] = max(newest_ms, time_ms)
        highest = self._highest.get(symbol)
        if highest is None or number == highest + 1 or (number > highest and not self._contiguous):
            self._highest[symbol] = number
            return True
        if number > highest:
            self._highest[symbol] = number
            self._open(symbol, Gap(highest + 1, number - 1, now))
            return True
        if self._fills(symbol, number):
            self.missing -= 1
            return True
        if self._begins_anew(number, highest, later=time_ms > newest_ms):
            log.warning(
                "%s: %s: ids of %s begin anew at %d after %d", self._source, symbol, self._what, number, highest
            )
            self._highest[symbol] = number
            for gap in self._gaps.pop(symbol, []):
                self._unnamed -= not gap.named
            self.restarts += 1
            return True
        self.repeats += 1
        return False

    def _begins_anew(self, number: int, highest: int, *, later: bool) -> bool:
        """Return whether an id that is behind is no repeat: a source that has started again counts from the beginning.

        A repeat has the event time that it had. What isn't contiguous may have none of its own, so there it is the
        distance that tells: two connections that overlap are not so far apart.
        """
        return later if self._contiguous else number < highest // 2

    def name_gaps(self, now: float) -> None:
        """Tell of each gap that is old enough, once."""
        if not self._unnamed:
            return
        for symbol, gaps in self._gaps.items():
            for gap in gaps:
                if not gap.named and now - gap.since >= self._settle_seconds:
                    self._name(symbol, gap)

    @property
    def symbols(self) -> Collection[Hashable]:
        """Of what there were any."""
        return self._highest.keys()

    @property
    def gaps(self) -> int:
        """How many gaps there are."""
        return sum(map(len, self._gaps.values()))

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
        count, ids = gap.last - gap.first + 1, f"{gap.first} to {gap.last}"
        log.warning("%s: %s: %d %s are missing, ids %s", self._source, symbol, count, self._what, ids)

    def _fills(self, symbol: Hashable, number: int) -> bool:
        """Take an id out of the gap that it lies in; return whether there is one."""
        gaps = self._gaps.get(symbol, [])
        at = bisect_left(gaps, number, key=lambda gap: gap.last)
        if at == len(gaps) or number < gaps[at].first:
            return False
        gap = gaps[at]
        parts = [
            Gap(first, last, gap.since, named=gap.named)
            for first, last in ((gap.first, number - 1), (number + 1, gap.last))
            if first <= last
        ]
        gaps[at : at + 1] = parts
        if not gap.named:
            self._unnamed += len(parts) - 1
        return True
