"""Which lanes are idle: silent for the time-out, in a partition that has been read to the end of its log."""

from collections.abc import Callable, Iterable, Mapping
from time import monotonic

from faust.types import TP

from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.positions import LogEnd
from tickertape.stream.engine.slices.slicer import Idle, Slicer


class Silence:
    """When each lane of this worker's partitions was last active.

    A lane without records isn't idle while its records may still be unread: while the broker is away and the end of
    the log is unknown, or while an open transaction hides them.

    Parameters
    ----------
    topic
        The input topic.
    settings
        ``idle_seconds`` and ``horizon_ms``.
    log_end
        The end of a partition's log as far as known, or None.
    """

    def __init__(self, topic: str, settings: Settings, log_end: Callable[[TP], LogEnd | None]) -> None:
        self._topic = topic
        self._settings = settings
        self._log_end = log_end
        # By partition and source; the source "" stands for those without a lane.
        self._active_seconds: dict[tuple[int, str], float] = {}
        self._caught_up_seconds: dict[int, float] = {}

    def restart(self, slicers: Iterable[Slicer]) -> None:
        """Begin anew with these partitions, with all of their lanes active now."""
        now = monotonic()
        self._caught_up_seconds = {}
        self._active_seconds = {
            (slicer.partition, source): now for slicer in slicers for source in ("", *slicer.lanes.watermark_ms)
        }

    def note(self, slicer: Slicer) -> None:
        """Record what a slicer has just read."""
        now = monotonic()
        for source in slicer.pop_active():
            self._active_seconds[slicer.partition, source] = now
        self._note_end(slicer)

    def idle(self, slicer: Slicer) -> Idle:
        """Return the lanes that had been silent for the time-out when the log was last read to its end."""
        partition, settings = slicer.partition, self._settings
        self._note_end(slicer)
        caught_up = self._caught_up_seconds.get(partition, 0.0)
        silent = {
            source
            for source in ("", *slicer.lanes.watermark_ms)
            if caught_up - self._active_seconds[partition, source] >= settings.idle_seconds
        }
        return Idle(frozenset(silent - {""}), "" in silent)

    def retire(self, slicer: Slicer) -> None:
        """Close the open slices of lanes that are idle past the horizon: they would delay the commit for ever."""
        wait_seconds = self._settings.idle_seconds + self._settings.horizon_ms / 1000
        caught_up = self._caught_up_seconds.get(slicer.partition, 0.0)
        for source in list(slicer.lanes.watermark_ms):
            if caught_up - self._active_seconds[slicer.partition, source] >= wait_seconds:
                slicer.retire(source)

    def forget_evicted(self, slicers: Mapping[int, Slicer]) -> None:
        """Forget the lanes that were evicted."""
        self._active_seconds = {
            (partition, source): active
            for (partition, source), active in self._active_seconds.items()
            if not source or source in slicers[partition].lanes.watermark_ms
        }

    def _note_end(self, slicer: Slicer) -> None:
        end = self._log_end(TP(self._topic, slicer.partition))
        if end is not None and slicer.read >= end.written:
            self._caught_up_seconds[slicer.partition] = monotonic() - end.age_seconds
