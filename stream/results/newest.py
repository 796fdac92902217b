"""Keep the highest (final, revision) of each result, so that a reader never returns to an older one."""

from collections.abc import Hashable
from enum import Enum, auto


class Verdict(Enum):
    """How a record compares with what a reader has seen."""

    #: It is older than the known record of its result, or the same.
    OLD = auto()
    #: It is the first record of its result, or newer than the known one.
    NEW = auto()
    #: It is newer than a final record, and corrects it.
    CORRECTED = auto()


class Newest:
    """Remembers the highest (final, revision) of each result for as long as the result may be corrected.

    A result can't be corrected any more once it is further behind the newest final result of its series than
    ``keep_ms`` and two windows. A record of such a result is a late repeat.

    Parameters
    ----------
    keep_ms
        How far back in event time a correction may reach: the setting ``horizon_ms``.
    """

    def __init__(self, keep_ms: int) -> None:
        self._keep_ms = keep_ms
        # By series: the rank of each result by its start, and the start before which results can't be corrected.
        self._series: dict[Hashable, dict[int, int]] = {}
        self._closed_ms: dict[Hashable, int] = {}

    def __len__(self) -> int:
        """The number of results that are remembered."""
        return sum(map(len, self._series.values()))

    def judge(self, series: Hashable, start_ms: int, width_ms: int, *, final: bool, revision: int) -> Verdict:
        """Compare a record with the known one of its result, and remember it if it is newer.

        Parameters
        ----------
        series
            The key of its series: symbol, source, resolution, and kind.
        start_ms, width_ms
            Start and width of its window.
        final, revision
            The record's fields of these names.
        """
        known = self._series.setdefault(series, {})
        rank = (revision << 1) + final
        before = known.get(start_ms)
        if before is None:
            if start_ms < self._closed_ms.get(series, start_ms):
                return Verdict.OLD
        elif not _is_higher(rank, before):
            return Verdict.OLD
        known[start_ms] = rank
        if final:
            self._close(series, known, start_ms - self._keep_ms - 2 * width_ms)
        return Verdict.CORRECTED if before is not None and before & 1 else Verdict.NEW

    def _close(self, series: Hashable, known: dict[int, int], closed_ms: int) -> None:
        if closed_ms <= self._closed_ms.get(series, closed_ms - 1):
            return
        self._closed_ms[series] = closed_ms
        # The dict is roughly in order of start: an entry that is out of order is deleted by a later call.
        for start_ms in list(known):
            if start_ms >= closed_ms:
                break
            del known[start_ms]


def _is_higher(rank: int, than: int) -> bool:
    """Compare ranks by final first, then by revision."""
    return (rank & 1, rank >> 1) > (than & 1, than >> 1)
