"""The window agent: frames of slices in, results out."""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from time import monotonic, perf_counter, time
from typing import Protocol

import msgspec
from faust.types import TP

from tickertape.schemas.checkpoint import Views, WindowCheckpoint, to_metadata
from tickertape.schemas.frame import frames_in
from tickertape.schemas.snapshot import Snapshot
from tickertape.schemas.topics import DEAD_LETTERS, LATE, SLICES
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.block import Block
from tickertape.stream.engine.core.keyed_topics import KeyedTopics
from tickertape.stream.engine.core.pace import Pace
from tickertape.stream.engine.core.positions import LogEnd, Position
from tickertape.stream.engine.core.refusal import dead_letter
from tickertape.stream.engine.core.results import Output, Records, ResultBlock, Results, SinkPartitions, records_at
from tickertape.stream.engine.core.workload import AHEAD_MS, Workload
from tickertape.stream.engine.define.recipes import DerivedRecipe, Windowing
from tickertape.stream.engine.frames.packing import BadFrame
from tickertape.stream.engine.recovery.recovery import Recovery
from tickertape.stream.engine.recovery.state import to_bytes
from tickertape.stream.engine.windows.backlogs import Backlogs
from tickertape.stream.engine.windows.latency import Latency
from tickertape.stream.engine.windows.owned_shard import OwnedShard, Resumed, resume
from tickertape.stream.engine.windows.windows import Windows, windows_of
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.telemetry.metrics import BLOCK_RECORDS, FOLD_SECONDS, OPEN_WINDOWS, PUBLISH_SECONDS, RESULTS

# A shard with more unread records than this is behind.
BEHIND_RECORDS = 100
# When more upserts than this wait, they are merged at once: during a backlog, ten final results may follow from each,
# and all of one flush are in memory together. Provisional ones would be outdated, so they aren't published then.
WAITING_UPSERTS = 4_000
# After frames without slices, which only move frontiers, a flush waits so long for more of them.
FRONTIERS_SECONDS = 0.1
# The most provisional results of one flush, so that none takes long.
PROVISIONAL_RESULTS = 20_000
# Provisional results of longer windows are published this often, not with each flush.
LONGER_SECONDS = 0.25
# Flushes take at most a quarter of the time: slices and the fast lane go before.
_SHARE = 4

log = logging.getLogger(__name__)
_json = msgspec.json.Encoder().encode


class Listener(Protocol):
    """Receives every result that is published."""

    def note(self, output: Output, symbols: Sequence[str], records: Records) -> None: ...
    def clear(self) -> None: ...


class WindowAgent:
    """Owns the windows of this worker's shards: it receives frames and sends results.

    Parameters
    ----------
    windowings
        The recipes of the windows.
    producer
        Sends results and dead letters.
    sinks
        The number of partitions of each sink, by name.
    log_end
        Returns the end of a shard's log, or None if it is unknown.
    workload
        The worker's backlog, shared by all of its agents.
    recovery
        Loads and saves snapshots; None for a worker without them.
    recipes
        The recipes of what is derived from final windows.
    listener
        Receives the published results, or None.
    keyed
        Hears from frames which topics have sources that don't promise where their keys lie.
    """

    topic = SLICES.name

    def __init__(
        self,
        windowings: list[Windowing],
        settings: Settings,
        producer: Producer,
        sinks: Mapping[str, int],
        log_end: Callable[[TP], LogEnd | None],
        workload: Workload,
        recovery: Recovery | None = None,
        recipes: Sequence[DerivedRecipe] = (),
        listener: Listener | None = None,
        keyed: KeyedTopics | None = None,
    ) -> None:
        self._windowings = windowings
        self._recipes = recipes
        self._settings = settings
        self._producer = producer
        self._partitions = SinkPartitions(sinks)
        self._windows: list[Windows] = []
        self._most: Mapping[str, int] = {}
        self._shards: dict[int, OwnedShard] = {}
        self._log_end = log_end
        self._workload = workload
        self._recovery = recovery
        self._listener = listener
        self._keyed = keyed or KeyedTopics()
        self._latency = Latency()
        self._backlogs = Backlogs(workload)
        # By sink: when provisional results may be published next, and when also those of longer windows.
        self._next: dict[str, float] = {}
        self._longer: dict[str, float] = {}
        self._block_records = BLOCK_RECORDS.labels(self.topic)
        self._fold_seconds = FOLD_SECONDS.labels(self.topic)
        self._publish_seconds = PUBLISH_SECONDS.labels(self.topic)
        self._pace = Pace(self.flush, settings.backlog_ms / 1000, workload, _SHARE)

    def restore(self, positions: Mapping[TP, Position]) -> dict[TP, int]:
        """Resume these shards from checkpoints and snapshots; return the offset to read each from."""
        self._pace.stop()
        self._workload.clear(self.topic)
        if self._listener:
            self._listener.clear()
        self._latency.clear()
        if self._recovery:
            self._recovery.begin([tp.partition for tp in positions])
        self._windows = windows_of(self._windowings, self._recipes, self._settings)
        self.limit_partitions(self._most)
        self._shards, self._next, self._longer = {}, {}, {}
        self._backlogs.clear()
        self._keyed.clear()
        for tp, position in positions.items():
            resumed = resume(tp, position, self._recovery)
            self._shards[tp.partition] = resumed.shard
            self._assign(tp.partition, resumed)
            self._publish_if_restored(tp.partition)
        return {tp: self._shards[tp.partition].read for tp in positions}

    def _assign(self, shard: int, resumed: Resumed) -> None:
        anew: list[str] = []
        for i, windows in enumerate(self._windows):
            views = resumed.views.get(windows.topic, Views())
            state = resumed.states[i] if resumed.states else None
            anew += windows.assign(shard, views, resumed.shard.upto, state, fresh=resumed.from_first)
            if resumed.lost:
                windows.mark_incomplete(shard, int(time() * 1000) + self._settings.skew_ms)
        if anew:
            log.warning(
                "slices, partition %d: %s start without their past, because no snapshot has it; their results are "
                "marked incomplete for as long as they would depend on it",
                shard,
                ", ".join(anew),
            )

    def limit_partitions(self, most: Mapping[str, int]) -> None:
        """Set the most partitions that a topic may have, by topic."""
        self._most = most
        for windows in self._windows:
            if windows.topic in most:
                windows.shards.limit_partitions(most[windows.topic])

    def claimed_partitions(self, block: Block) -> dict[str, int]:  # noqa: ARG002 - frames report it when they are applied
        return {}

    def doubtful_partitions(self) -> dict[str, int]:
        """Return the number of partitions that frames claim, for topics where it exceeds the most allowed."""
        return {windows.topic: doubt for windows in self._windows if (doubt := windows.shards.doubtful_partitions)}

    def _publish_if_restored(self, shard: int) -> None:
        if self._shards[shard].is_restored:
            for windows in self._windows:
                windows.start_publishing(shard)

    def read(self, partition: int) -> int | None:
        """Return the offset that a shard has been read to, or None if another worker owns it."""
        shard = self._shards.get(partition)
        return None if shard is None else shard.read

    def receive(self, block: Block) -> None:
        shard, owned = block.partition, self._shards[block.partition]
        began = perf_counter()
        block = block.since(owned.read)
        for at, (offset, value) in enumerate(zip(block.offsets.tolist(), block.values, strict=True)):
            try:
                frames = frames_in(value or b"")
                for windows in self._windows:
                    windows.apply_record(shard, offset, frames)
                if offset >= owned.upto:
                    self._latency.note_frames(frames)
                    self._backlogs.note_frames(shard, frames)
                    for frame in frames:
                        self._keyed.note(TP(frame.topic, frame.partition), keyed=frame.keyed)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, BadFrame) as error:
                self._reject(block, at, error)
            if any(windows.waiting > WAITING_UPSERTS for windows in self._windows):
                owned.read = offset + 1
                self._pace.now()
        owned.read = max(owned.read, block.end)
        self._publish_if_restored(shard)
        self._block_records.observe(len(block))
        self._fold_seconds.observe(perf_counter() - began)
        tp = TP(self.topic, shard)
        end = self._log_end(tp)
        self._workload.record_backlog(tp, behind=end is not None and end.offset - owned.read > BEHIND_RECORDS)
        if any(windows.has_changes for windows in self._windows):
            self._pace.ask()
        else:
            # The next fetch doesn't wait for that flush.
            self._workload.record_processed()
            self._pace.ask(FRONTIERS_SECONDS)

    def _reject(self, block: Block, at: int, error: Exception) -> None:
        if block.offsets[at] < self._shards[block.partition].upto:
            return  # the previous owner reported it
        letter = dead_letter(block, at, f"not a frame: {error}")
        log.error("%s, partition %d, offset %d: %s", self.topic, block.partition, letter.offset, letter.reason)
        key = f"{self.topic}|{block.partition}|{letter.offset}".encode()
        self._producer.send(DEAD_LETTERS.name, 0, key, _json(letter))

    def flush(self) -> None:
        """Publish the results that have changed."""
        with self._publish_seconds.time():
            waits = {windows.topic for windows in self._windows if self._flush(windows)}
        self._latency.clear(but=waits)
        if any(windows.lags for windows in self._windows):
            self._pace.again()

    def _flush(self, windows: Windows) -> bool:
        """Publish the changed results of one recipe; return whether provisional results have to wait."""
        sink = windows.windowing.sink.name
        now = monotonic()
        waits = (
            windows.waiting > WAITING_UPSERTS or now < self._next.get(sink, 0.0) or self._backlogs.has(windows.topic)
        )
        if not waits:
            self._next[sink] = now + windows.windowing.provisional_seconds
        longer = now >= self._longer.get(sink, 0.0)
        results = windows.flush(provisional=0 if waits else PROVISIONAL_RESULTS, longer=longer)
        if self._workload.has_backlog(windows.topic):
            self._report_finals(windows)
        published = bool(results) and not waits
        if published and longer:
            self._longer[sink] = now + LONGER_SECONDS
        self._send(results)
        OPEN_WINDOWS.labels(sink).set(len(windows))
        if published:
            self._latency.published(windows.topic, sink)
        return waits

    def _send(self, results: Results) -> None:
        # Not all at once: results become records when there is room for them.
        for block in results.blocks:
            self._producer.send_later(partial(self._write, block))
        results.blocks.clear()

    def _write(self, block: ResultBlock) -> None:
        records, sink = block.write(), block.output.sink
        for partition, places in self._partitions.split(sink, block.symbols):
            self._producer.send_many(sink, partition, records_at(records, places))
        RESULTS.labels(sink).inc(len(records))
        if self._listener:
            self._listener.note(block.output, block.symbols, records)

    def _report_finals(self, windows: Windows) -> None:
        """Report to the workload how far results are final, and how many open slices are beyond that."""
        final_ms = windows.shards.final_ms
        lateness_ms = windows.windowing.slicing.lateness(self._settings.lateness_ms)
        open_ahead = windows.slices_from(final_ms + lateness_ms + AHEAD_MS)
        self._workload.record_finals(windows.topic, final_ms, open_ahead)

    def checkpoint(self) -> dict[TP, tuple[int, str]]:
        """Flush; return each shard's offset and metadata, to commit once the producer has delivered."""
        self._pace.now()
        self._report_late()
        commits: dict[TP, tuple[int, str]] = {}
        if any(windows.lags for windows in self._windows):
            # The next owner starts filling where windows are finished.
            return commits
        for shard, owned in self._shards.items():
            if not owned.is_restored:
                continue
            read = owned.read
            oldest, carried, known = read, read, {}
            for windows in self._windows:
                offset, known[windows.topic] = windows.checkpoint(shard, read)
                oldest, carried = min(oldest, offset), min(carried, windows.post_processors_need(shard, read))
            began = None
            if any(windows.needs_all_finals for windows in self._windows):
                kept = self._recovery.kept(shard) if self._recovery else None
                if kept is None:
                    kept = began = owned.first
                carried = min(carried, read if kept is None else kept)
            needed = oldest if carried < oldest else None
            checkpoint = WindowCheckpoint(upto=read, topics=known, needed=needed, log=owned.log_id, began=began)
            commits[TP(self.topic, shard)] = min(oldest, carried), to_metadata(checkpoint)
        if self._recovery:
            read_to = {shard: owned.read for shard, owned in self._shards.items()}
            self._recovery.pack(commits, read_to, self._snapshot)
        return commits

    def _snapshot(self, shard: int) -> Snapshot:
        states = [windows.state(shard) for windows in self._windows]
        return Snapshot(self._shards[shard].log_id, self._shards[shard].read, to_bytes(states))

    def _report_late(self) -> None:
        """Report slices that arrived past the horizon, only once per checkpoint, because every frame updates them."""
        for windows in self._windows:
            late = windows.late()
            for one in late:
                key = f"{one.input_topic}|{one.input_partition}|{one.source}|{one.symbol}|{one.time_ms}".encode()
                self._producer.send(LATE.name, 0, key, _json(one))
            if late:
                log.warning(
                    "%s: slices that arrived past the horizon and are missing from results: %d; see the topic %s; "
                    "horizon_ms is %d",
                    windows.topic,
                    len(late),
                    LATE.name,
                    self._settings.horizon_ms,
                )

    def stop(self) -> None:
        self._pace.stop()
