"""How long the partitions of a killed worker stand still: from the kill to bars made of trades that came after it."""

from collections.abc import Iterable, Mapping

from tickertape.schemas.topics import SLICES, TRADES
from tickertape.stream.kafka.partition import partition_for


class Takeover:
    """One worker's, seen from the bars.

    A trade that happened after the kill is in a bar only if the symbol's partition of ``trades`` and its shard of
    ``slices`` both have a worker that lives. So each partition and shard that the worker owned is back with the first
    bar of one of its symbols whose last trade is later than the kill.

    Parameters
    ----------
    owned
        The worker's partitions, by topic.
    symbols
        Those that there are, with their partition of ``trades``. What has no symbol is not waited for.
    shards
        How many partitions ``slices`` has.
    killed_ms
        When it was killed, ms.

    Attributes
    ----------
    seconds
        How long it took; None while it is under way.
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
        """Hear of a bar, and when it was read."""
        if self.seconds is None and close_ms > self._killed_ms:
            self._waiting -= self._places.get(symbol, set())
            if not self._waiting:
                self.seconds = (now_ms - self._killed_ms) / 1000
