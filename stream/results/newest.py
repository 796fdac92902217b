"""Of each result the highest (final, revision): what a reader has to keep to be never taken back."""

from enum import Enum, auto


class Verdict(Enum):
    """What a record is to a reader."""

    #: It is older than what is known, or the same.
    OLD = auto()
    #: It is the first of its kind, or newer.
    NEW = auto()
    #: It corrects a result that was final.
    CORRECTED = auto()


class Newest:
    """Remembers the highest (final, revision) of each result, for as long as it may be corrected.

    Whatever of a series lies further behind its newest final result than ``keep_ms`` and the width of two windows is
    past correcting: a record of it is a late repeat.

    Parameters
    ----------
    keep_ms
        How far behind the others a slice may come and still correct results; the setting ``horizon_ms``.
    """

    def __init__(self, keep_ms: int) -> None:
        self._keep_ms = keep_ms
        # By series: the ranks by start, and where what is past correcting ends.
        self._series: dict[bytes, dict[int, int]] = {}
        self._closed_ms: dict[bytes, int] = {}

    def __len__(self) -> int:
        """How many results are remembered."""
        return sum(map(len, self._series.values()))

    def judge(self, series: bytes, start_ms: int, width_ms: int, *, final: bool, revision: int) -> Verdict:
        """Say what a record is, and remember it.

        Parameters
        ----------
        series
            What tells its series from others: symbol, source, resolution, and kind.
        start_ms, width_ms
            Its window.
        final, revision
            As the record says.
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

    def _close(self, series: bytes, known: dict[int, int], closed_ms: int) -> None:
        if closed_ms <= self._closed_ms.get(series, closed_ms - 1):
            return
        self._closed_ms[series] = closed_ms
        # The oldest come first, or nearly so: what is left behind by one that isn't goes with a later call.
        for start_ms in list(known):
            if start_ms >= closed_ms:
                break
            del known[start_ms]


def _is_higher(rank: int, than: int) -> bool:
    """Compare by final first, then by revision."""
    return (rank & 1, rank >> 1) > (than & 1, than >> 1)
