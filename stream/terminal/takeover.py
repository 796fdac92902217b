"""Measure how long a killed worker's partitions stand still, from the kill to bars with later trades."""

from collections.abc import Iterable, Mapping

from tickertape.schemas.topics import SLICES, TRADES
from tickertape.stream.kafka.partition import partition_for


class Takeover:
    """The takeover of one killed worker's partitions, measured by the bars.

    A trade after the kill reaches a bar only if the symbol's partition of ``trades`` and its shard of ``slices`` both
    have a live worker. So a partition or shard counts as taken over once a bar of one of its symbols has a last trade
    later than the kill.

    Parameters
    ----------
    owned
        The killed worker's partitions, by topic.
    symbols
        Each symbol's partition of ``trades``. Partitions without a symbol are not waited for.
    shards
        The number of partitions of ``slices``.
    killed_ms
        The time of the kill in ms.

    Attributes
    ----------
    seconds
        How long the takeover took; None while it is under way.
    """

    def __init__(
        self, owned: Mapping[str, Iterable[int]], symbols: Mapping[str, int], shards: int, killed_ms: float
    ) -> None:
        self._killed_ms = killed_ms
        self.seconds: float | None = None
        self.partitions = {topic: sorted(numbers) for topic, numbers in owned.items()}
        lost = {(topic, number) for topic, numbers in owned.items() for number in numbers}
        self._places = {
            symbol: lost & {(TRADES.name, partition), (SLICES.name, partition_for(symbol, shards))}
            for symbol, partition in symbols.items()
        }
        self._waiting = set().union(*self._places.values())

    def note_bar(self, symbol: str, close_ms: int, now_ms: float) -> None:
        """Record a bar whose last trade happened at `close_ms` and that was read at `now_ms`."""
        if self.seconds is None and close_ms > self._killed_ms:
            self._waiting -= self._places.get(symbol, set())
            if not self._waiting:
                self.seconds = (now_ms - self._killed_ms) / 1000
