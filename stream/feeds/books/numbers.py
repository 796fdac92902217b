"""Whether a change continues a book, by the numbers that its source gives."""

from enum import Enum

from tickertape.stream.feeds.define.book_rule import BookRule
from tickertape.stream.feeds.define.change import Change

#: The number of an empty book: whatever comes first continues it.
EMPTY = -1
# Two overlapping connections differ by less than this. An old number with a newer time is no repeat.
SETTLE_MS = 1000


class Verdict(Enum):
    """What a change is to a book."""

    APPLY = "apply"
    IGNORE = "ignore"
    GAP = "gap"
    FELL = "numbers fell"


def judge(rule: BookRule, change: Change, last: int, time_ms: float) -> Verdict:
    """Return what a change is to a numbered book.

    A change holds what happened after the number where it begins, up to its last number. Its quantities are those after
    it. So it continues a book whose number lies between, and repeats one that is past it.

    Parameters
    ----------
    rule
        The source's rule.
    change
        The change.
    last
        The book's number.
    time_ms
        The event time of the last change; infinity if it is unknown.

    Raises
    ------
    ValueError
        The change has no numbers.
    """
    upto = change.last
    if upto is None:
        raise ValueError("a change without a number")
    start = change.previous if change.previous is not None else (upto if change.first is None else change.first) - 1
    if rule.may_fall and upto < start:
        if start == last:
            return Verdict.APPLY
        return Verdict.IGNORE if upto == last else Verdict.GAP
    if upto <= last:
        # It may also be an empty change, which says that nothing has happened for long.
        is_repeat = upto == start == last or change.time_ms <= time_ms + SETTLE_MS
        return Verdict.IGNORE if is_repeat else Verdict.FELL
    return Verdict.APPLY if start <= last or last == EMPTY else Verdict.GAP
