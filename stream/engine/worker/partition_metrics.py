"""Metrics of the partitions that a worker owns.

Counters follow the commits: a record is counted once its commit has succeeded, and each record is in one commit only.
So when partitions move, the sum over workers neither misses nor repeats records, as far as each worker was scraped.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from time import perf_counter, time
from typing import Protocol

from faust.types import TP
from prometheus_client import Gauge

from tickertape.schemas.checkpoint import SliceCheckpoint, WindowCheckpoint, slices_from, windows_from
from tickertape.schemas.frame import NEVER_MS, Tallies
from tickertape.schemas.topics import SLICES
from tickertape.stream.engine.core.positions import Commits, LogEnd, Position
from tickertape.stream.telemetry import metrics

# What became of records and events. The other tallies count offsets without a record, or whose record was never read,
# and bundles.
OUTCOMES = tuple(name for name in Tallies.__struct_fields__ if name not in ("empty", "lost", "bundles", "bundled"))


class Reader(Protocol):
    """An agent, which reads one topic."""

    topic: str

    def read(self, partition: int) -> int | None: ...


class PartitionMetrics:
    """The metrics of the partitions that a worker owns. When a partition moves away, its gauges are removed.

    Parameters
    ----------
    log_end
        Returns the end of a partition's log, or None if it isn't known.
    """

    def __init__(self, log_end: Callable[[TP], LogEnd | None]) -> None:
        self._log_end = log_end
        self._shown: set[tuple[Gauge, tuple[str, ...]]] = set()
        self._tallies: dict[TP, Tallies] = {}
        #: The offset that a partition had been read to at its last commit. Records below it are read again.
        self._upto: dict[TP, int] = {}
        #: By input topic, shard and source: up to when windows are final, ms.
        self._final_ms: dict[str, dict[int, dict[str, int]]] = {}
        self._began = 0.0

    def assign(self, positions: Mapping[TP, Position], topics: Iterable[str]) -> None:
        """Begin an assignment: of these topics, these are the worker's partitions from now on."""
        for gauge, labels in self._shown:
            gauge.remove(*labels)
        self._shown, self._upto, self._final_ms = set(), {}, {}
        owned = [tp.topic for tp in positions]
        for topic in topics:
            metrics.OWNED_PARTITIONS.labels(topic).set(owned.count(topic))
        for tp, position in positions.items():
            ours = position.committed is not None and position.committed <= position.end
            saved = _saved(tp.topic, position.metadata if ours else "")
            self._upto[tp] = saved.upto
            self._show(metrics.TOPIC_PARTITIONS, (tp.topic,), position.partitions)
            self._show(metrics.CHECKPOINT_TIMESTAMP, _labels(tp), time())
            if isinstance(saved, SliceCheckpoint):
                self._tallies[tp] = saved.tallies
        for topic, partitions in {tp.topic: one.partitions for tp, one in positions.items()}.items():
            if topic != SLICES.name:
                _begin(topic, partitions)

    def look(self, agents: Iterable[Reader]) -> None:
        """Show how far each partition has been read; called about once per second."""
        owned: dict[str, Reader] = {agent.topic: agent for agent in agents}
        for tp, upto in self._upto.items():
            read = owned[tp.topic].read(tp.partition)
            if read is None:
                continue
            read = max(read, upto)
            self._show(metrics.READ_OFFSET, _labels(tp), read)
            if (end := self._log_end(tp)) is not None:
                self._show(metrics.END_OFFSET, _labels(tp), end.offset)
                self._show(metrics.LAG, _labels(tp), max(0, end.offset - read))

    def begin_commit(self) -> None:
        self._began = perf_counter()

    def stands(self, commits: Commits) -> None:
        """Record that the committed checkpoints of some partitions are still up to date."""
        for tp in commits.keys() & self._upto.keys():
            self._show(metrics.CHECKPOINT_TIMESTAMP, _labels(tp), time())

    def committed(self, commits: Commits) -> None:
        """Record that checkpoints were committed."""
        metrics.COMMIT_SECONDS.observe(perf_counter() - self._began)
        self.stands(commits)
        for tp, (offset, metadata) in commits.items():
            saved = _saved(tp.topic, metadata)
            if isinstance(saved, SliceCheckpoint):
                # Even if the partition was revoked in the meantime, it was this worker's commit.
                self._count(tp, saved.tallies)
            if tp not in self._upto:
                continue
            self._show(metrics.COMMITTED_OFFSET, _labels(tp), offset)
            if isinstance(saved, SliceCheckpoint):
                self._show(metrics.TOPIC_PARTITIONS, (tp.topic,), saved.partitions)
                for lane in saved.lanes:
                    if lane.watermark_ms != NEVER_MS:
                        self._show(metrics.WATERMARK, (*_labels(tp), lane.source), lane.watermark_ms / 1000)
                self._leave(metrics.WATERMARK, _labels(tp), {lane.source for lane in saved.lanes})
            else:
                for topic, views in saved.topics.items():
                    self._final_ms.setdefault(topic, {})[tp.partition] = views.final
        self._show_finals()

    def _count(self, tp: TP, tallies: Tallies) -> None:
        """Count what a commit has added to a partition's tallies."""
        before, self._tallies[tp] = self._tallies[tp], tallies
        labels = _labels(tp)
        for outcome in OUTCOMES:
            metrics.RECORDS.labels(*labels, outcome).inc(getattr(tallies, outcome) - getattr(before, outcome))
        metrics.LOST.labels(*labels).inc(tallies.lost - before.lost)
        metrics.BUNDLES.labels(*labels).inc(tallies.bundles - before.bundles)
        metrics.BUNDLED.labels(*labels).inc(tallies.bundled - before.bundled)

    def _show_finals(self) -> None:
        for topic, shards in self._final_ms.items():
            sources = {source for views in shards.values() for source in views}
            self._leave(metrics.FINAL, (topic,), sources)
            for source in sources:
                # A shard without any finals yet delays all of them.
                least_ms = min(views.get(source, NEVER_MS) for views in shards.values())
                if least_ms != NEVER_MS:
                    self._show(metrics.FINAL, (topic, source), least_ms / 1000)

    def _leave(self, gauge: Gauge, labels: tuple[str, ...], sources: Collection[str]) -> None:
        """Remove a gauge of all sources that are gone."""
        gone = {
            (shown, of) for shown, of in self._shown if shown is gauge and of[:-1] == labels and of[-1] not in sources
        }
        for _, of in gone:
            gauge.remove(*of)
        self._shown -= gone

    def _show(self, gauge: Gauge, labels: tuple[str, ...], value: float) -> None:
        gauge.labels(*labels).set(value)
        self._shown.add((gauge, labels))


def _begin(topic: str, partitions: int) -> None:
    """Create the counters of all partitions, so that they exist before a partition moves here from another worker.

    The first scraped value of a counter is no increase.
    """
    for partition in range(partitions):
        for counter in (metrics.LOST, metrics.BUNDLES, metrics.BUNDLED):
            counter.labels(topic, partition)
        for outcome in OUTCOMES:
            metrics.RECORDS.labels(topic, partition, outcome)


def _labels(tp: TP) -> tuple[str, str]:
    return tp.topic, str(tp.partition)


def _saved(topic: str, metadata: str) -> SliceCheckpoint | WindowCheckpoint:
    if topic == SLICES.name:
        return windows_from(metadata) or WindowCheckpoint()
    return slices_from(metadata) or SliceCheckpoint()
