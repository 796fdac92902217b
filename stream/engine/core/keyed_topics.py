"""Which topics have only sources that promise where their keys lie, as far as this worker knows."""

from faust.types import TP


class KeyedTopics:
    """What the owners of partitions last reported, shared by all agents of a worker."""

    def __init__(self) -> None:
        # The partitions with a source that promises nothing.
        self._loose: set[TP] = set()

    def note(self, tp: TP, *, keyed: bool) -> None:
        """Record whether all sources of a partition promise where their keys lie."""
        if keyed:
            self._loose.discard(tp)
        else:
            self._loose.add(tp)

    def is_keyed(self, topic: str) -> bool:
        """Return whether all sources promise it, in all partitions that this worker has heard of."""
        return not any(tp.topic == topic for tp in self._loose)

    def clear(self) -> None:
        """Forget all reports. They come again with the next frames."""
        self._loose = set()
