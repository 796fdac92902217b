"""The state of each shard that a worker owns: its frontiers, and whether its results are published."""

from tickertape.schemas.checkpoint import Views
from tickertape.schemas.control import MOST_PARTITIONS
from tickertape.schemas.frame import NEVER_MS
from tickertape.stream.engine.core.names import ALL
from tickertape.stream.engine.finality.finality import Finality
from tickertape.stream.engine.recovery.state import State


class Shards:
    """The shards of one topic.

    Parameters
    ----------
    horizon_ms
        See `Settings`.
    longest_ms
        The width of the longest windows, ms.

    Attributes
    ----------
    finality
        By shard: its frontiers.
    incomplete
        By shard and input partition: start and end of the span of event time in which records are missing, ms.
    publishing
        Shards whose results are published: they have been read up to the previous owner's checkpoint.
    repeating
        Shards whose finished windows are made again, because stages must process them.
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
        """Resume a shard from its checkpoint, and from a snapshot if there is one.

        Parameters
        ----------
        repeating
            Whether windows that the previous owner had finished are made again.
        """
        known = state.frontiers if state else None
        finality = Finality(self._horizon_ms, self._longest_ms, saved, known, again=repeating)
        finality.limit_partitions(self._most_partitions)
        self.finality[shard], self.incomplete[shard] = finality, state.incomplete if state else {}
        if repeating:
            self.repeating.add(shard)

    def limit_partitions(self, most_partitions: int) -> None:
        """Set the most partitions that the input topic can have."""
        self._most_partitions = most_partitions
        for finality in self.finality.values():
            finality.limit_partitions(most_partitions)

    @property
    def doubtful_partitions(self) -> int:
        """The number of partitions that a frame reports, if it exceeds the most allowed; else 0."""
        return max((finality.doubtful_partitions for finality in self.finality.values()), default=0)

    @property
    def final_ms(self) -> int:
        """The time up to which all results of every shard are final."""
        return min((finality.final_ms.get(ALL, NEVER_MS) for finality in self.finality.values()), default=NEVER_MS)

    def published_ms(self, shard: int, source: str) -> int:
        """Return the time up to which results are already published by the previous owner."""
        return self.finality[shard].previous.published_ms(source) if shard in self.repeating else NEVER_MS

    def settled_ms(self, shard: int, source: str) -> int:
        """Return the time up to which windows can't change any more."""
        return self.finality[shard].settled_ms(source)
