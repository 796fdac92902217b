"""What a shard's previous owner had finished, by the checkpoint that it left."""

from tickertape.schemas.checkpoint import Views
from tickertape.schemas.frame import NEVER_MS
from tickertape.stream.engine.core.names import ALL


class PreviousOwner:
    """The frontiers of a checkpoint: its windows need not be made again.

    Parameters
    ----------
    saved
        The frontiers in the checkpoint.
    horizon_ms
        How far the fold frontier may stay behind the final one for the sake of idle lanes.
    again
        True if the windows that the previous owner had finished are made again, because stages have to see them.
    """

    def __init__(self, saved: Views, horizon_ms: int, *, again: bool) -> None:
        self._saved = saved
        self._horizon_ms = horizon_ms
        self._finished = {} if again else saved.folded

    def folded_ms(self, source: str) -> int:
        """Return the time up to which it had folded a source's slices; NEVER_MS if windows are made again."""
        return self._finished.get(source, NEVER_MS)

    def finished_ms(self, source: str) -> int:
        """Return the time up to which it had finished a source's windows.

        It kept them until those of all sources were finished, because some metrics of a source need all of them.
        """
        return min(self.folded_ms(ALL), self.folded_ms(source))

    def published_ms(self, source: str) -> int:
        """Return the time up to which it had published all results before its last commit."""
        folded = self._saved.folded
        return min(folded.get(ALL, NEVER_MS), folded.get(source, self._saved.forgotten_ms))

    def had_all(self, partition: int, source: str, end_ms: int) -> bool:
        """Return whether it certainly had all of a lane's slice that ends at a time.

        It had what it had folded, with two exceptions: the horizon may have forced the folding, and the partition may
        have been unknown until then.
        """
        saved = self._saved
        if partition >= saved.partitions or source not in saved.folded:
            return False
        folded_ms = min(saved.folded[source], saved.folded.get(ALL, NEVER_MS))
        final_ms = max(saved.final.get(source, NEVER_MS), saved.final.get(ALL, NEVER_MS))
        if end_ms > folded_ms or folded_ms <= final_ms - self._horizon_ms:
            return False
        without = next((folded for first, folded in reversed(saved.added) if first <= partition), {})
        return end_ms > max(without.get(source, NEVER_MS), without.get(ALL, NEVER_MS))
