"""The changes that come before a book's snapshot does."""

import math
from collections import deque
from collections.abc import Iterator

from tickertape.stream.feeds.books.numbers import Verdict, judge
from tickertape.stream.feeds.define.book_rule import BookRule
from tickertape.stream.feeds.define.change import Change

MOST_CHANGES = 1000
MOST_LEVELS = 100_000


class Held:
    """Numbered changes in the order in which they came, up to a bound."""

    def __init__(self) -> None:
        self._changes: deque[Change] = deque()
        self._levels = 0

    def __len__(self) -> int:
        return len(self._changes)

    def add(self, change: Change) -> bool:
        """Add a change. If there is no room, drop those before it, and return False."""
        has_room = len(self._changes) < MOST_CHANGES and self._levels + _levels(change) <= MOST_LEVELS
        if not has_room:
            self.clear()
        if _levels(change) <= MOST_LEVELS:
            self._changes.append(change)
            self._levels += _levels(change)
        return has_room

    def clear(self) -> None:
        self._changes.clear()
        self._levels = 0

    def take_from(self, rule: BookRule, number: int) -> Iterator[Change]:
        """Yield and forget the changes that continue a snapshot with this number; end before a gap.

        Raises
        ------
        ValueError
            A change has no number.
        """
        time_ms = math.inf
        if not rule.may_fall:
            # Of two connections one may be behind, and bring what the other has lost.
            self._changes = deque(sorted(self._changes, key=lambda change: -1 if change.last is None else change.last))
        while self._changes:
            change = self._changes[0]
            verdict = judge(rule, change, number, time_ms)
            if verdict is Verdict.GAP:
                return
            self._changes.popleft()
            self._levels -= _levels(change)
            if verdict is Verdict.APPLY:
                assert change.last is not None
                number, time_ms = change.last, change.time_ms
                yield change


def _levels(change: Change) -> int:
    return len(change.bids) + len(change.asks)
