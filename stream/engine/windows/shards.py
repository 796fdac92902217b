"""What is known of each shard that a worker owns: how far it is, and whether its results are published."""

from tickertape.schemas.checkpoint import Views
from tickertape.schemas.control import MOST_PARTITIONS
from tickertape.stream.engine.core.lanes import UNSET
from tickertape.stream.engine.core.names import ALL
from tickertape.stream.engine.recovery.state import State
from tickertape.stream.engine.windows.finality import Finality


class Shards:
    """The shards of one topic.

    Parameters
    ----------
    horizon_ms
        See `Settings`.
    longest_ms
        The width of the longest windows.

    Attributes
    ----------
    finality
        By shard: how far its windows are.
    incomplete
        By shard and input partition: from when to when records are missing, ms.
    publishing
        Those whose results are published: they have been read to where the last owner's checkpoint was made.
    repeating
        Those of which windows come again that the last owner has published, because stages have to see them.
    """

    def __init__(self, horizon_ms: int, longest_ms: int) -> None:
        self.finality: dict[int, Finality] = {}
        self.incomplete: dict[int, dict[int, tuple[int, int]]] = {}
        self.publishing: set[int] = set()
        self.repeating: set[int] = set()
        self._horizon_ms = horizon_ms
        self._longest_ms = longest_ms
        self._most_partitions = MOST_PARTITIONS

    def assign(self, shard: int, saved: Views, state: State | None, *, repeating: bool) -> None:
        """Begin with a shard, from its checkpoint and perhaps a snapshot.

        Parameters
        ----------
        repeating
            Whether windows that the last owner was done with are made again.
        """
        known = state.frontiers if state else None
        finality = Finality(self._horizon_ms, self._longest_ms, saved, known, done=not repeating)
        finality.limit_partitions(self._most_partitions)
        self.finality[shard], self.incomplete[shard] = finality, state.incomplete if state else {}
        if repeating:
            self.repeating.add(shard)

    def limit_partitions(self, most_partitions: int) -> None:
        """Set how many partitions the input topic has, or is promised."""
        self._most_partitions = most_partitions
        for finality in self.finality.values():
            finality.limit_partitions(most_partitions)

    @property
    def doubtful_partitions(self) -> int:
        """How many partitions a frame says that there are, where that is more than there may be; else 0."""
        return max((finality.doubtful_partitions for finality in self.finality.values()), default=0)

    @property
    def final_ms(self) -> int:
        """Up to when all results are final, in every shard."""
        return min((finality.final_ms.get(ALL, UNSET) for finality in self.finality.values()), default=UNSET)

    def published_ms(self, shard: int, source: str) -> int:
        """Return the time up to which what the last owner published is not to be published again."""
        return self.finality[shard].published_ms(source) if shard in self.repeating else UNSET

    def settled_ms(self, shard: int, source: str) -> int:
        """Return the time up to which no window is corrected any more."""
        return self.finality[shard].settled_ms(source)
